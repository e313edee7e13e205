//! Answers as the dataclasses of `xdpsar.load_balancer`.

use std::{
    net::{IpAddr, SocketAddr},
    time::{SystemTime, UNIX_EPOCH},
};

use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};
use xdpsar::{
    Token,
    load_balancer::{
        ChainGraph, ChainLink, Counters, HealthIssue, Level, Overview, Permission, Reserved, Reset,
        Resource, Samples, Series, Session, SlotRange, Status, TokenDetails, Version, WorkerStatus,
    },
};

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// An object of a class, from its fields by their names.
macro_rules! object {
    ($py:expr, $class:literal, $($field:ident: $value:expr),* $(,)?) => {{
        let fields = PyDict::new($py);
        $(fields.set_item(stringify!($field), $value)?;)*
        class($py, $class)?.call((), Some(&fields))
    }};
}

fn class<'py>(py: Python<'py>, name: &str) -> Object<'py> {
    py.import("xdpsar._lb_types")?.getattr(name)
}

/// The same of each of several.
fn each<'py, T>(
    py: Python<'py>,
    all: impl IntoIterator<Item = T>,
    one: impl Fn(Python<'py>, T) -> Object<'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let all: Vec<_> = all.into_iter().map(|item| one(py, item)).collect::<PyResult<_>>()?;
    PyTuple::new(py, all)
}

/// Python's clocks end with the year 9999; what is later is as good as never.
fn time(py: Python<'_>, time: Option<SystemTime>) -> Option<Bound<'_, PyAny>> {
    time.and_then(|time| time.into_bound_py_any(py).ok())
}

fn endpoint(address: Option<SocketAddr>) -> Option<(IpAddr, u16)> {
    address.map(|address| (address.ip(), address.port()))
}

/// An enum's member, or the number that it has no member for.
fn member<'py>(py: Python<'py>, name: &str, number: i32) -> Object<'py> {
    class(py, name)?.call1((number,)).or_else(|_| number.into_bound_py_any(py))
}

pub(super) fn nothing(py: Python<'_>, (): ()) -> Object<'_> {
    Ok(py.None().into_bound(py))
}

pub(super) fn moment(py: Python<'_>, at: Option<SystemTime>) -> Object<'_> {
    time(py, at).into_bound_py_any(py)
}

pub(super) fn token(py: Python<'_>, token: Token) -> Object<'_> {
    token.reveal().into_bound_py_any(py)
}

pub(super) fn reserved(py: Python<'_>, it: Reserved) -> Object<'_> {
    let range = py.import("builtins")?.getattr("range")?;
    let ports = it.data_ports.as_ref();
    let ports = ports.map(|ports| range.call1((*ports.start(), u32::from(*ports.end()) + 1)));
    object!(py, "Reserved",
        lb_id: it.lb_id,
        fpga_lb_id: it.fpga_lb_id,
        sync_v4: endpoint(it.sync_v4),
        sync_v6: endpoint(it.sync_v6),
        data_v4: it.data_v4,
        data_v6: it.data_v6,
        data_ports: ports.transpose()?,
        strategy: it.strategy,
        token: it.token.as_ref().map(Token::reveal),
    )
}

pub(super) fn reset(py: Python<'_>, it: Reset) -> Object<'_> {
    let Reset { sync, epochs, senders, workers } = it;
    object!(py, "Reset", sync: sync, epochs: epochs, senders: senders, workers: workers)
}

pub(super) fn session(py: Python<'_>, it: Session) -> Object<'_> {
    object!(py, "Session", id: it.id, token: it.token.reveal())
}

pub(super) fn status(py: Python<'_>, it: Status) -> Object<'_> {
    object!(py, "Status",
        at: time(py, it.at),
        clock_ahead: it.clock_ahead,
        epoch: it.epoch,
        predicted_event_number: it.predicted_event_number,
        workers: each(py, it.workers, worker)?,
        senders: PyTuple::new(py, it.senders)?,
        expires_at: time(py, it.expires_at),
        slots: it.slots,
        health: each(py, it.health, issue)?,
    )
}

fn worker(py: Python<'_>, it: WorkerStatus) -> Object<'_> {
    object!(py, "WorkerStatus",
        name: it.name,
        session: it.session,
        fill: it.fill,
        control_signal: it.control_signal,
        slots_assigned: it.slots_assigned,
        last_updated: time(py, it.last_updated),
        address: it.address,
        port: it.port,
        ports: it.ports.map(|ports| ports.ports()),
        min_factor: it.min_factor,
        max_factor: it.max_factor,
        keep_lb_header: it.keep_lb_header,
        counters: counters(py, it.counters)?,
        slots: each(py, it.slots, slots)?,
        slot_demands: each(py, it.slot_demands, slots)?,
        health: each(py, it.health, issue)?,
    )
}

fn counters(py: Python<'_>, it: Counters) -> Object<'_> {
    object!(py, "Counters",
        events_received: it.events_received,
        events_reassembled: it.events_reassembled,
        reassembly_errors: it.reassembly_errors,
        events_dequeued: it.events_dequeued,
        enqueue_errors: it.enqueue_errors,
        bytes_received: it.bytes_received,
        packets_received: it.packets_received,
    )
}

fn slots(py: Python<'_>, it: SlotRange) -> Object<'_> {
    object!(py, "SlotRange", first: it.first, length: it.length)
}

fn issue(py: Python<'_>, it: HealthIssue) -> Object<'_> {
    let details = PyDict::new(py);
    it.details.into_iter().try_for_each(|(name, text)| details.set_item(name, text))?;
    object!(py, "HealthIssue",
        kind: it.kind,
        severity: it.severity,
        message: it.message,
        details: details,
        detected_at: time(py, it.detected_at),
    )
}

pub(super) fn overview(py: Python<'_>, all: Vec<Overview>) -> Object<'_> {
    let one = |py, it: Overview| {
        let (reserved, status) = (reserved(py, it.reserved)?, status(py, it.status)?);
        object!(py, "Overview", name: it.name, reserved: reserved, status: status)
    };
    Ok(each(py, all, one)?.into_any())
}

pub(super) fn version(py: Python<'_>, it: Version) -> Object<'_> {
    object!(py, "Version", commit: it.commit, build: it.build, compat_tag: it.compat_tag)
}

pub(super) fn series(py: Python<'_>, all: Vec<Series>) -> Object<'_> {
    Ok(each(py, all, one_series)?.into_any())
}

fn one_series(py: Python<'_>, it: Series) -> Object<'_> {
    let (times, code, values) = match it.samples {
        Samples::Float(samples) => (
            column(samples.iter().map(|(at, _)| nanoseconds(*at).to_ne_bytes())),
            "f",
            column(samples.iter().map(|(_, value)| value.to_ne_bytes())),
        ),
        Samples::Integer(samples) => (
            column(samples.iter().map(|(at, _)| nanoseconds(*at).to_ne_bytes())),
            "q",
            column(samples.iter().map(|(_, value)| value.to_ne_bytes())),
        ),
    };
    let array = py.import("array")?.getattr("array")?;
    object!(py, "Series",
        name: it.name,
        unit: it.unit,
        times_ns: array.call1(("q", PyBytes::new(py, &times)))?,
        values: array.call1((code, PyBytes::new(py, &values)))?,
    )
}

fn column<const N: usize>(items: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    items.flatten().collect()
}

/// Since 1970.
fn nanoseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn details(py: Python<'_>, it: TokenDetails) -> Object<'_> {
    object!(py, "TokenDetails",
        id: it.id,
        name: it.name,
        permissions: each(py, it.permissions, permission)?,
        created_at: it.created_at,
    )
}

pub(super) fn all_details(py: Python<'_>, all: Vec<TokenDetails>) -> Object<'_> {
    Ok(each(py, all, details)?.into_any())
}

fn permission(py: Python<'_>, it: Permission) -> Object<'_> {
    let (resource, id) = match it.resource {
        Resource::All => (0, String::new()),
        Resource::LoadBalancer(id) => (1, id),
        Resource::Reservation(id) => (2, id),
        Resource::Session(id) => (3, id),
        Resource::Unknown(kind, id) => (kind, id),
    };
    let level = match it.level {
        Level::ReadOnly => 0,
        Level::Register => 1,
        Level::Reserve => 2,
        Level::Update => 3,
        Level::Unknown(number) => number,
    };
    let (level, resource) = (member(py, "Level", level)?, member(py, "Resource", resource)?);
    object!(py, "Permission", level: level, resource: resource, id: id)
}

pub(super) fn chains(py: Python<'_>, it: ChainGraph) -> Object<'_> {
    let links = each(py, it.links, link)?;
    object!(py, "ChainGraph", links: links, has_cycle: it.has_cycle)
}

fn link(py: Python<'_>, it: ChainLink) -> Object<'_> {
    // What is no address is none.
    let address = |text: String| text.parse::<IpAddr>().ok();
    object!(py, "ChainLink",
        chain_id: it.chain_id,
        upstream_lb_id: it.upstream_lb_id,
        upstream_data_v4: address(it.upstream_data_v4),
        upstream_data_v6: address(it.upstream_data_v6),
        downstream_lb_id: it.downstream_lb_id,
        downstream_data_v4: address(it.downstream_data_v4),
        downstream_data_v6: address(it.downstream_data_v6),
    )
}
