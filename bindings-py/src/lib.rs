//! The native half of the Python package `xdpsar`.
//!
//! ```text
//!  xdpsar (Python): names, exceptions, statistics as dataclasses, NumPy views
//!     │
//!  xdpsar._native: this crate: arguments, the GIL, who owns which memory
//!     │
//!  xdpsar (Rust): everything else
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `reassembler`, `receive` | receiving: the class, and how it waits |
//! | `batch` | many events at once, in columns |
//! | `feed`, `filter` | events for threads that call something with each |
//! | `event` | an event, and its memory as a Python buffer |
//! | `segmenter`, `sending` | sending: the class, and how it waits |
//! | `ticket`, `receipt` | receipts of queued events, and callbacks |
//! | `control` | the control plane's client |
//! | `registration` | receivers and senders as load balancers know them |
//! | `options` | keyword arguments to builders |
//! | `uri` | EJFAT URIs, and which of our addresses face another one |
//! | `headers` | what stands before an event's bytes on the wire |
//! | `buffer` | our memory as buffers of Python's |
//! | `export` | memory of other Python objects: borrowed, and given back |
//! | `error` | failures as the exceptions of `xdpsar._errors` |
//! | `turns`, `wait` | threads taking turns; without the GIL, but with an ear for signals |
//! | `origin` | forks, and how many of our objects live |
//! | `host` | what this host and this build are like |
//! | `bench` | the library without Python, to compare with |
//!
//! No call into Python is made while a lock of ours is held, and no lock is
//! waited for with the GIL: whoever holds the lock may need the GIL to go on.
#![deny(unsafe_code)]

use pyo3::prelude::*;

mod batch;
mod bench;
#[allow(unsafe_code, reason = "fills Py_buffer structures")]
mod buffer;
mod control;
mod error;
#[allow(unsafe_code, reason = "fills Py_buffer structures and keeps what they point to")]
mod event;
#[allow(unsafe_code, reason = "borrows the memory of Python objects")]
mod export;
mod feed;
mod filter;
#[allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "what PyO3 makes of a buffer in a macro")]
mod headers;
mod host;
mod options;
#[allow(unsafe_code, reason = "registers a fork handler")]
mod origin;
mod reassembler;
mod receipt;
mod receive;
mod registration;
mod segmenter;
mod sending;
mod ticket;
mod turns;
mod uri;
mod wait;

/// Natively implemented parts of xdpsar; import them from `xdpsar`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::{
        batch::PyBatch,
        bench::{drain, send_again},
        control::{PyCall, PyControl},
        event::{PyEvent, rebuild_event},
        feed::{PyFeed, PyWorker},
        headers::{
            PyLbHeaderV2, PyLbHeaderV3, PyLbReHeader, PyReHeader, PySyncHeader, rebuild_header,
        },
        host::{build, host, way_to},
        origin::{at_exit, inject_panic, live_objects, unraisable},
        reassembler::PyReassembler,
        receipt::PyCallbacks,
        receive::EventIterator,
        segmenter::PySegmenter,
        ticket::PyTicket,
        uri::{PyEjfatUri, local_address_towards, local_addresses_towards, rebuild_uri},
    };

    /// Version of the crate, and so of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "a Python name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(_module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::origin::watch_forks();
        Ok(())
    }
}
