//! What goes over the wire: the messages and field numbers of
//! `control-plane.md` §4, as older and newer servers understand them.
//!
//! For this crate's client and for test servers. Fields have no words of
//! their own here: the typed requests and answers of the client have.
//! Enumerations are plain numbers, because a newer server may send any.
#![allow(missing_docs, reason = "field for field the table of control-plane.md §4")]

use std::collections::BTreeMap;

/// Where each call goes: `/loadbalancer.LoadBalancer/NAME`.
pub const SERVICE: &str = "/loadbalancer.LoadBalancer/";

/// `number (kind) name: type`. `Debug` shows the name only: there may be a
/// token in any of them.
macro_rules! messages {
    ($($(#[$about:meta])* $name:ident { $($tag:tt ($($kind:tt)+) $field:ident: $type:ty,)* })*) => { $(
        $(#[$about])*
        #[derive(Clone, PartialEq, prost::Message)]
        #[prost(skip_debug)]
        pub struct $name {
            $(#[prost($($kind)+, tag = $tag)] pub $field: $type,)*
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )* };
}

messages! {
    /// `google.protobuf.Timestamp`: since 1970.
    Timestamp { 1 (int64) seconds: i64, 2 (int32) nanos: i32, }
    /// `google.protobuf.Struct`.
    Struct { 1 (btree_map = "string, message") fields: BTreeMap<String, Value>, }
    /// `google.protobuf.ListValue`.
    ListValue { 1 (message, repeated) values: Vec<Value>, }

    SlotRange { 1 (int32) index: i32, 2 (uint32) length: u32, }
    SessionSlotRanges { 1 (string) session_id: String, 2 (message, repeated) slots: Vec<SlotRange>, }
    HealthIssue {
        1 (string) kind: String, 2 (string) severity: String, 3 (string) message: String,
        4 (message, optional) details: Option<Struct>, 5 (message, optional) detected_at: Option<Timestamp>,
    }

    ReserveLoadBalancerRequest {
        2 (string) name: String, 4 (message, optional) until: Option<Timestamp>,
        5 (string, repeated) sender_addresses: Vec<String>, 6 (int32) ip_family: i32,
        10 (string) strategy: String,
    }
    GetLoadBalancerRequest { 2 (string) lb_id: String, }
    ReserveLoadBalancerReply {
        1 (string) token: String, 2 (string) lb_id: String,
        3 (string) sync_ipv4_address: String, 4 (uint32) sync_udp_port: u32,
        5 (string) data_ipv4_address: String, 6 (string) data_ipv6_address: String,
        7 (uint32) fpga_lb_id: u32, 8 (string) sync_ipv6_address: String,
        9 (uint32) data_min_port: u32, 10 (uint32) data_max_port: u32,
        11 (string) strategy: String, 12 (string) ejfat_uri: String,
    }
    FreeLoadBalancerRequest { 2 (string) lb_id: String, }
    ResetLoadBalancerRequest {
        1 (string) lb_id: String, 2 (bool) sync: bool, 3 (bool) epochs: bool,
        4 (bool) senders: bool, 5 (bool) workers: bool,
    }
    ResetLoadBalancerReply { 2 (bool) sync: bool, 3 (bool) epochs: bool, 4 (bool) senders: bool, 5 (bool) workers: bool, }
    ExtendReservationRequest { 1 (string) lb_id: String, 2 (message, optional) until: Option<Timestamp>, }
    ExtendReservationReply { 2 (message, optional) until: Option<Timestamp>, }
    /// To add and to remove them.
    SendersRequest { 2 (string) lb_id: String, 3 (string, repeated) sender_addresses: Vec<String>, }
    /// Any reply without a field.
    Empty { }

    LoadBalancerStatusRequest { 2 (string) lb_id: String, }
    WorkerStatus {
        1 (string) name: String, 2 (float) fill_percent: f32, 3 (float) control_signal: f32,
        4 (uint32) slots_assigned: u32, 5 (message, optional) last_updated: Option<Timestamp>,
        6 (string) ip_address: String, 7 (uint32) udp_port: u32, 8 (int32) port_range: i32,
        9 (float) min_factor: f32, 10 (float) max_factor: f32, 11 (bool) keep_lb_header: bool,
        12 (int64) total_events_recv: i64, 13 (int64) total_events_reassembled: i64,
        14 (int64) total_events_reassembly_err: i64, 15 (int64) total_events_dequeued: i64,
        16 (int64) total_event_enqueue_err: i64, 17 (int64) total_bytes_recv: i64,
        18 (int64) total_packets_recv: i64, 19 (message, repeated) slots: Vec<SlotRange>,
        20 (message, repeated) slot_demands: Vec<SlotRange>,
        21 (message, repeated) health_issues: Vec<HealthIssue>, 22 (int64) session_id: i64,
    }
    LoadBalancerStatusReply {
        1 (message, optional) timestamp: Option<Timestamp>, 2 (uint64) current_epoch: u64,
        3 (uint64) current_predicted_event_number: u64, 4 (message, repeated) workers: Vec<WorkerStatus>,
        5 (string, repeated) sender_addresses: Vec<String>, 6 (message, optional) expires_at: Option<Timestamp>,
        11 (uint32) slot_resolution: u32, 12 (message, repeated) health_issues: Vec<HealthIssue>,
    }
    OverviewRequest { }
    OverviewReply { 1 (message, repeated) load_balancers: Vec<Overview>, }
    Overview {
        1 (string) name: String, 3 (message, optional) reservation: Option<ReserveLoadBalancerReply>,
        4 (message, optional) status: Option<LoadBalancerStatusReply>,
    }
    VersionRequest { }
    VersionReply { 1 (string) commit: String, 2 (string) build: String, 3 (string) compat_tag: String, }

    RegisterRequest {
        2 (string) lb_id: String, 3 (string) name: String, 4 (float) weight: f32,
        5 (string) ip_address: String, 6 (uint32) udp_port: u32, 7 (int32) port_range: i32,
        8 (float) min_factor: f32, 9 (float) max_factor: f32, 10 (bool) keep_lb_header: bool,
        12 (message, repeated) slot_demands: Vec<SlotRange>,
    }
    RegisterReply { 1 (string) token: String, 2 (string) session_id: String, }
    /// Beware: session and load balancer are the other way round than in
    /// [`DeregisterRequest`].
    SendStateRequest {
        2 (string) session_id: String, 3 (string) lb_id: String,
        4 (message, optional) timestamp: Option<Timestamp>, 5 (float) fill_percent: f32,
        6 (float) control_signal: f32, 7 (bool) is_ready: bool,
        8 (int64) total_events_recv: i64, 9 (int64) total_events_reassembled: i64,
        10 (int64) total_events_reassembly_err: i64, 11 (int64) total_events_dequeued: i64,
        12 (int64) total_event_enqueue_err: i64, 13 (int64) total_bytes_recv: i64,
        14 (int64) total_packets_recv: i64,
    }
    DeregisterRequest { 2 (string) lb_id: String, 3 (string) session_id: String, }
    SetSlotDemandsRequest { 1 (string) lb_id: String, 2 (message, repeated) slot_constraints: Vec<SessionSlotRanges>, }

    TimeseriesRequest { 1 (string, repeated) series_selector: Vec<String>, 2 (message, optional) since: Option<Timestamp>, }
    FloatSample { 1 (int64) timestamp: i64, 2 (float) value: f32, 3 (message, optional) meta: Option<Struct>, }
    FloatTimeseries { 4 (message, repeated) data: Vec<FloatSample>, }
    IntegerSample { 1 (int64) timestamp: i64, 2 (int64) value: i64, 3 (message, optional) meta: Option<Struct>, }
    IntegerTimeseries { 1 (message, repeated) data: Vec<IntegerSample>, }
    TimeseriesResponse { 1 (message, repeated) timeseries: Vec<Timeseries>, 2 (message, optional) since: Option<Timestamp>, }

    TokenPermission { 1 (int32) resource_type: i32, 2 (string) resource_id: String, 3 (int32) permission: i32, }
    CreateTokenRequest { 1 (string) name: String, 2 (message, repeated) permissions: Vec<TokenPermission>, }
    CreateTokenReply { 1 (string) token: String, 2 (string) ejfat_uri: String, }
    /// To list a token's permissions, its children, or to revoke it.
    TokenRequest { 1 (message, optional) target: Option<TokenSelector>, }
    TokenDetails {
        1 (string) name: String, 2 (message, repeated) permissions: Vec<TokenPermission>,
        3 (string) created_at: String, 4 (uint32) id: u32,
    }
    ListTokenPermissionsReply { 1 (message, optional) token: Option<TokenDetails>, }
    ListChildTokensReply { 1 (message, repeated) tokens: Vec<TokenDetails>, }

    ChainLoadBalancerRequest {
        1 (string) lb_id: String, 2 (string) ejfat_uri: String, 3 (int32) ip_family: i32,
        4 (float) weight: f32, 5 (float) min_factor: f32, 6 (float) max_factor: f32,
        7 (message, repeated) slot_demands: Vec<SlotRange>,
    }
    ChainLoadBalancerReply { 1 (string) chain_id: String, }
    UnchainLoadBalancerRequest { 1 (string) lb_id: String, 2 (string) chain_id: String, }
    GetChainGraphRequest { 1 (string) lb_id: String, 2 (string, repeated) visited: Vec<String>, }
    ChainGraphEdge {
        1 (string) upstream_lb_id: String, 2 (string) upstream_data_ipv4: String,
        3 (string) upstream_data_ipv6: String, 4 (string) downstream_lb_id: String,
        5 (string) downstream_data_ipv4: String, 6 (string) downstream_data_ipv6: String,
        7 (string) chain_id: String,
    }
    GetChainGraphReply { 1 (message, repeated) edges: Vec<ChainGraphEdge>, 2 (bool) cycle_detected: bool, }
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    #[prost(oneof = "ValueKind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<ValueKind>,
}

/// Of [`Value`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ValueKind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(ListValue),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Timeseries {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub unit: String,
    #[prost(oneof = "Samples", tags = "3, 4")]
    pub samples: Option<Samples>,
}

/// Of [`Timeseries`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Samples {
    #[prost(message, tag = "3")]
    Integer(IntegerTimeseries),
    #[prost(message, tag = "4")]
    Float(FloatTimeseries),
}

/// Whose `Debug` cannot be left to the derive: it may be a token.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct TokenSelector {
    #[prost(oneof = "Selector", tags = "1, 2")]
    pub selector: Option<Selector>,
}

impl std::fmt::Debug for TokenSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSelector")
    }
}

/// Of [`TokenSelector`].
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
#[prost(skip_debug)]
pub enum Selector {
    #[prost(uint32, tag = "1")]
    Id(u32),
    #[prost(string, tag = "2")]
    Token(String),
}
