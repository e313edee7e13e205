//! What stands on the wire before an event's bytes, as Python classes over
//! those of the crate `wire`.

use std::ffi::c_int;

use pyo3::{
    exceptions::PyValueError,
    ffi,
    prelude::*,
    types::{IntoPyDict, PyTuple},
};
use xdpsar::wire::{
    LbHeader, LbVersion, ReHeader, SyncMessage, datagram::LB_RE_HEADER_LEN, lb::LB_HEADER_LEN,
    re::RE_HEADER_LEN, sync::SYNC_LEN,
};
use zerocopy::IntoBytes;

use crate::{buffer, error, export::Export};

/// Why bytes are no such header.
type Checked = Result<(), String>;

fn re(bytes: &[u8; RE_HEADER_LEN]) -> ReHeader {
    zerocopy::transmute!(*bytes)
}

fn lb(bytes: &[u8; LB_HEADER_LEN]) -> LbHeader {
    zerocopy::transmute!(*bytes)
}

fn sync(bytes: &[u8; SYNC_LEN]) -> SyncMessage {
    zerocopy::transmute!(*bytes)
}

/// Both headers of a datagram.
fn both(bytes: &[u8; LB_RE_HEADER_LEN]) -> (LbHeader, ReHeader) {
    let mut both = ([0; LB_HEADER_LEN], [0; RE_HEADER_LEN]);
    both.0.copy_from_slice(&bytes[..LB_HEADER_LEN]);
    both.1.copy_from_slice(&bytes[LB_HEADER_LEN..]);
    (lb(&both.0), re(&both.1))
}

fn check_re(header: &ReHeader) -> Checked {
    header.check().map_err(|error| error.to_string())
}

fn check_lb(header: &LbHeader, wanted: Option<LbVersion>) -> Checked {
    let found = header.check().map_err(|error| error.to_string())?;
    match wanted {
        Some(wanted) if wanted != found => {
            Err(format!("LB header version {}, not {}", found.number(), wanted.number()))
        }
        _ => Ok(()),
    }
}

fn version(given: u8) -> PyResult<LbVersion> {
    match given {
        2 => Ok(LbVersion::V2),
        3 => Ok(LbVersion::V3),
        other => Err(PyValueError::new_err(format!(
            "lb_version={other}: load balancers know versions 2 and 3; choose one"
        ))),
    }
}

/// The bytes of a header, at most so many as are there.
fn read<const N: usize>(
    py: Python<'_>,
    name: &str,
    buffer: &Bound<'_, PyAny>,
    exact: bool,
) -> PyResult<[u8; N]> {
    let export = Export::readable(buffer)?;
    match export.bytes().first_chunk() {
        Some(bytes) if !exact || export.len() == N => Ok(*bytes),
        _ => Err(error::header(py, name, &format!("{} bytes, and it has {N}", export.len()))),
    }
}

/// A class that is a header's bytes, with a getter for each field.
macro_rules! header {
    (
        $(#[$doc:meta])*
        $class:ident as $name:literal, $len:ident bytes, exact: $exact:literal,
        new($($field:ident: $type:ident = $default:tt),*) $make:expr,
        view: $view:expr,
        check: $check:expr,
        $($(#[$about:meta])* $getter:ident: $value:ident = $get:expr;)*
    ) => {
        $(#[$doc])*
        #[pyclass(name = $name, module = "xdpsar.headers", frozen, eq, hash)]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $class([u8; $len]);

        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (*, $($field = $default),*))]
            #[allow(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
            fn new($($field: $type),*) -> PyResult<Self> {
                $make.map(Self)
            }

            /// Reads the header that a buffer begins with.
            #[staticmethod]
            #[pyo3(signature = (buffer, *, check = true))]
            fn from_bytes(py: Python<'_>, buffer: &Bound<'_, PyAny>, check: bool) -> PyResult<Self> {
                let header = Self(read(py, $name, buffer, $exact)?);
                match header.check() {
                    Err(found) if check => Err(error::header(py, $name, &found)),
                    _ => Ok(header),
                }
            }

            /// Its bytes as they stand on the wire.
            fn to_bytes(&self) -> &[u8] {
                &self.0
            }

            fn __bytes__(&self) -> &[u8] {
                &self.0
            }

            fn __len__(&self) -> usize {
                $len
            }

            /// Whether it is sound: false only of bytes read without a check.
            #[getter]
            fn valid(&self) -> bool {
                self.check().is_ok()
            }

            $(
                $(#[$about])*
                #[getter]
                fn $getter(&self) -> $value {
                    let view = $view(&self.0);
                    ($get)(&view)
                }
            )*

            fn __repr__(&self) -> String {
                let fields = [$(format!("{}={}", stringify!($getter), self.$getter())),*];
                let unsound = if self.valid() { "" } else { " (unsound)" };
                format!("<xdpsar.headers.{} {}{unsound}>", $name, fields.join(" "))
            }

            fn __reduce__<'py>(
                slf: &Bound<'py, Self>,
            ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
                let py = slf.py();
                let rebuild = py.import("xdpsar._native")?.getattr("_rebuild_header")?;
                Ok((rebuild, (slf.get_type(), slf.get().to_bytes()).into_pyobject(py)?))
            }

            /// # Safety
            /// `view` is the interpreter's, to be filled.
            unsafe fn __getbuffer__(
                slf: &Bound<'_, Self>,
                view: *mut ffi::Py_buffer,
                flags: c_int,
            ) -> PyResult<()> {
                let bytes: *const [u8] = &slf.get().0;
                // SAFETY: frozen: the bytes stay, unchanged, as long as the
                // object, which the view keeps.
                unsafe { buffer::fill(slf.as_any(), view, flags, bytes.cast_mut(), true) }
            }
        }

        impl $class {
            fn check(&self) -> Checked {
                let view = $view(&self.0);
                ($check)(&view)
            }
        }
    };
}

header! {
    /// The reassembly header: which event a fragment is of, and where in it.
    PyReHeader as "ReHeader", RE_HEADER_LEN bytes, exact: false,
    new(data_id: u16 = 0, offset: u32 = 0, length: u32 = 0, event_number: u64 = 0)
        Ok(zerocopy::transmute!(ReHeader::new(data_id, offset, length, event_number))),
    view: re,
    check: check_re,
    /// The source within the event.
    data_id: u16 = ReHeader::data_id;
    /// Where the fragment's bytes begin in the event.
    offset: u32 = ReHeader::offset;
    /// Bytes of the whole event.
    length: u32 = ReHeader::length;
    /// The event's number.
    event_number: u64 = ReHeader::event_number;
}

header! {
    /// The load balancer's header, version 2: the slot comes from the tick.
    PyLbHeaderV2 as "LbHeaderV2", LB_HEADER_LEN bytes, exact: false,
    new(entropy: u16 = 0, tick: u64 = 0)
        Ok(zerocopy::transmute!(LbHeader::v2(entropy, tick))),
    view: lb,
    check: |header| check_lb(header, Some(LbVersion::V2)),
    /// Its low bits choose the port.
    entropy: u16 = LbHeader::entropy;
    /// The load balancer's event number.
    tick: u64 = LbHeader::tick;
    /// 2.
    version: u8 = lb_version;
    /// 1: an RE header follows.
    next_protocol: u8 = lb_next;
}

header! {
    /// The load balancer's header, version 3, with a slot of its own.
    PyLbHeaderV3 as "LbHeaderV3", LB_HEADER_LEN bytes, exact: false,
    new(slot: u16 = 0, entropy: u16 = 0, tick: u64 = 0)
        Ok(zerocopy::transmute!(LbHeader::v3(slot, entropy, tick))),
    view: lb,
    check: |header| check_lb(header, Some(LbVersion::V3)),
    /// Chooses the receiver.
    slot: u16 = LbHeader::slot;
    /// Its low bits choose the port.
    entropy: u16 = LbHeader::entropy;
    /// The load balancer's event number.
    tick: u64 = LbHeader::tick;
    /// 3.
    version: u8 = lb_version;
    /// 1: an RE header follows.
    next_protocol: u8 = lb_next;
}

header! {
    /// Both headers, as they stand before a fragment's bytes on its way to the
    /// load balancer.
    PyLbReHeader as "LbReHeader", LB_RE_HEADER_LEN bytes, exact: false,
    new(
        lb_version: u8 = 2, slot: u16 = 0, entropy: u16 = 0, tick: u64 = 0,
        data_id: u16 = 0, offset: u32 = 0, length: u32 = 0, event_number: u64 = 0
    ) version(lb_version).and_then(|version| {
        let lb = match version {
            LbVersion::V2 if slot != 0 => return Err(PyValueError::new_err(format!(
                "slot={slot}: version 2 of the LB header has none; choose lb_version=3"
            ))),
            LbVersion::V2 => LbHeader::v2(entropy, tick),
            LbVersion::V3 => LbHeader::v3(slot, entropy, tick),
        };
        let mut bytes = [0; LB_RE_HEADER_LEN];
        bytes[..LB_HEADER_LEN].copy_from_slice(lb.as_bytes());
        let re = ReHeader::new(data_id, offset, length, event_number);
        bytes[LB_HEADER_LEN..].copy_from_slice(re.as_bytes());
        Ok(bytes)
    }),
    view: both,
    check: |(lb, re): &(LbHeader, ReHeader)| check_lb(lb, None).and_then(|()| check_re(re)),
    /// 2 or 3.
    lb_version: u8 = |(lb, _): &(LbHeader, ReHeader)| lb_version(lb);
    /// Chooses the receiver, in version 3.
    slot: u16 = |(lb, _): &(LbHeader, ReHeader)| lb.slot();
    /// Its low bits choose the port.
    entropy: u16 = |(lb, _): &(LbHeader, ReHeader)| lb.entropy();
    /// The load balancer's event number.
    tick: u64 = |(lb, _): &(LbHeader, ReHeader)| lb.tick();
    /// The source within the event.
    data_id: u16 = |(_, re): &(LbHeader, ReHeader)| re.data_id();
    /// Where the fragment's bytes begin in the event.
    offset: u32 = |(_, re): &(LbHeader, ReHeader)| re.offset();
    /// Bytes of the whole event.
    length: u32 = |(_, re): &(LbHeader, ReHeader)| re.length();
    /// The event's number.
    event_number: u64 = |(_, re): &(LbHeader, ReHeader)| re.event_number();
}

header! {
    /// A Sync message: where a sender's ticks are, and how fast they grow.
    PySyncHeader as "SyncHeader", SYNC_LEN bytes, exact: true,
    new(source_id: u32 = 0, event_number: u64 = 0, rate_hz: u32 = 0, unix_time_ns: u64 = 0)
        Ok(zerocopy::transmute!(
            SyncMessage::new(source_id, event_number, rate_hz, unix_time_ns)
        )),
    view: sync,
    check: |message: &SyncMessage| {
        SyncMessage::parse(message.as_bytes()).map(drop).map_err(|error| error.to_string())
    },
    /// Which sender it is of.
    source_id: u32 = SyncMessage::source_id;
    /// Where it is on the axis of ticks.
    event_number: u64 = SyncMessage::event_number;
    /// Ticks in a second; 0 asks for an estimate.
    rate_hz: u32 = SyncMessage::rate_hz;
    /// When that was, in nanoseconds since 1970.
    unix_time_ns: u64 = SyncMessage::unix_time_ns;
}

// Where they stand (`data-plane.md` §1.2).
fn lb_version(header: &LbHeader) -> u8 {
    header.as_bytes()[2]
}

fn lb_next(header: &LbHeader) -> u8 {
    header.as_bytes()[3]
}

/// What unpickling calls.
#[pyfunction(name = "_rebuild_header")]
pub(crate) fn rebuild_header<'py>(
    class: &Bound<'py, PyAny>,
    bytes: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let unchecked = [("check", false)].into_py_dict(class.py())?;
    class.call_method("from_bytes", (bytes,), Some(&unchecked))
}
