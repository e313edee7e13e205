//! Status, overview, version, time series (`control-plane.md` §11, §12).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::Status;
use xdpsar_control::message::{
    FloatSample, FloatTimeseries, LoadBalancerStatusReply, LoadBalancerStatusRequest, Overview,
    OverviewReply, OverviewRequest, Samples, SendStateRequest, SlotRange, Timeseries,
    TimeseriesRequest, TimeseriesResponse, VersionReply, VersionRequest, WorkerStatus,
};

use crate::{
    book::{Book, Caller, Reservation, id, stamp, time},
    calendar::{self, SLOTS},
    sessions::Session,
    tokens::{READ, Resource},
};

/// Without a beginning, series begin so long ago.
const LAST: Duration = Duration::from_secs(60);

impl Book {
    pub(crate) fn status(
        &mut self,
        by: &Caller,
        request: LoadBalancerStatusRequest,
    ) -> Result<LoadBalancerStatusReply, Status> {
        let now = self.now;
        let (_, reservation) = self.reserved(by, &request.lb_id, READ)?;
        Ok(reservation.status(now))
    }

    pub(crate) fn overview(
        &mut self,
        by: &Caller,
        _: OverviewRequest,
    ) -> Result<OverviewReply, Status> {
        let row = self.caller(by)?;
        let mut load_balancers = Vec::new();
        for (id, reservation) in &self.reservations {
            if !self.may(row, Resource::Reservation(*id), READ) {
                continue;
            }
            load_balancers.push(Overview {
                name: reservation.name.clone(),
                reservation: Some(self.addresses(*id)?),
                status: Some(reservation.status(self.now)),
            });
        }
        Ok(OverviewReply { load_balancers })
    }

    pub(crate) fn version(
        &mut self,
        by: &Caller,
        _: VersionRequest,
    ) -> Result<VersionReply, Status> {
        self.caller(by)?;
        Ok(VersionReply {
            commit: "xdpsar".into(),
            build: env!("CARGO_PKG_VERSION").into(),
            compat_tag: "0.3.1".into(),
        })
    }

    pub(crate) fn timeseries(
        &mut self,
        by: &Caller,
        request: TimeseriesRequest,
    ) -> Result<TimeseriesResponse, Status> {
        let row = self.caller(by)?;
        let since = match &request.since {
            Some(since) => time(Some(since))?,
            None => self.now - LAST,
        };
        let mut timeseries = Vec::new();
        for selector in &request.series_selector {
            // Wildcards find nothing, as in real servers.
            let mut parts = selector.strip_prefix("/lb/").unwrap_or_default().splitn(2, '/');
            let (Some(Ok(lb)), Some(metric)) = (parts.next().map(id), parts.next()) else {
                continue;
            };
            let Some(reservation) = self.reservations.get(&lb) else { continue };
            if !self.may(row, Resource::Reservation(lb), READ) {
                continue;
            }
            let samples = reservation.samples(metric, since, self.now);
            timeseries.extend(samples.map(|data| Timeseries {
                name: selector.clone(),
                unit: String::new(),
                samples: Some(Samples::Float(FloatTimeseries { data })),
            }));
        }
        Ok(TimeseriesResponse { timeseries, since: request.since })
    }
}

impl Reservation {
    fn status(&self, now: SystemTime) -> LoadBalancerStatusReply {
        let worker = |(id, session): (&u64, &Session)| self.worker(*id, session);
        LoadBalancerStatusReply {
            timestamp: Some(stamp(now)),
            current_epoch: self.epoch,
            current_predicted_event_number: self.boundary,
            workers: self.sessions.iter().map(worker).collect(),
            sender_addresses: self.senders.iter().map(ToString::to_string).collect(),
            expires_at: Some(stamp(self.until)),
            slot_resolution: SLOTS as u32,
            health_issues: Vec::new(),
        }
    }

    fn worker(&self, id: u64, session: &Session) -> WorkerStatus {
        let slots = calendar::ranges(&self.calendar, id);
        let (state, request) = (&session.state, &session.request);
        WorkerStatus {
            name: request.name.clone(),
            fill_percent: state.fill_percent,
            control_signal: state.control_signal,
            slots_assigned: slots.iter().map(|(_, length)| length).sum(),
            last_updated: Some(stamp(session.updated)),
            ip_address: session.address.to_string(),
            udp_port: request.udp_port,
            port_range: request.port_range,
            min_factor: request.min_factor,
            max_factor: request.max_factor,
            keep_lb_header: request.keep_lb_header,
            total_events_recv: state.total_events_recv,
            total_events_reassembled: state.total_events_reassembled,
            total_events_reassembly_err: state.total_events_reassembly_err,
            total_events_dequeued: state.total_events_dequeued,
            total_event_enqueue_err: state.total_event_enqueue_err,
            total_bytes_recv: state.total_bytes_recv,
            total_packets_recv: state.total_packets_recv,
            slots: slots.into_iter().map(|(index, length)| SlotRange { index, length }).collect(),
            slot_demands: session.demands.clone(),
            health_issues: Vec::new(),
            session_id: id as i64,
        }
    }

    /// Of a metric that there is.
    fn samples(
        &self,
        metric: &str,
        since: SystemTime,
        now: SystemTime,
    ) -> Option<Vec<FloatSample>> {
        let sample = |at: SystemTime, value: f32| {
            let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
            FloatSample { timestamp, value, meta: None }
        };
        if metric == "event_number" || metric == "epoch/boundary_event" {
            let recent = self.boundaries.iter().filter(|(at, _)| *at >= since);
            return Some(recent.map(|(at, event)| sample(*at, *event as f32)).collect());
        }
        // The data plane's counters are known as they are now.
        if let Some(count) = self.counters.get(metric) {
            return Some(vec![sample(now, *count as f32)]);
        }
        let (session, metric) = metric.strip_prefix("session/")?.split_once('/')?;
        let session = self.sessions.get(&id(session).ok()?)?;
        let value: fn(&SendStateRequest) -> f32 = match metric {
            "fill_percent" => |state| state.fill_percent,
            "control_signal" => |state| state.control_signal,
            "is_ready" => |state| state.is_ready.into(),
            "total_events_recv" => |state| state.total_events_recv as f32,
            "total_events_reassembled" => |state| state.total_events_reassembled as f32,
            "total_events_reassembly_err" => |state| state.total_events_reassembly_err as f32,
            "total_events_dequeued" => |state| state.total_events_dequeued as f32,
            "total_event_enqueue_err" => |state| state.total_event_enqueue_err as f32,
            "total_bytes_recv" => |state| state.total_bytes_recv as f32,
            "total_packets_recv" => |state| state.total_packets_recv as f32,
            _ => return None,
        };
        let recent = session.history.iter().filter(|(at, _)| *at >= since);
        Some(recent.map(|(at, state)| sample(*at, value(state))).collect())
    }
}
