//! The sender as a Python class.

use std::net::SocketAddr;

use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};
use xdpsar::{
    EventOptions, LbVersion, Segmenter, SendBackend, SyncConfig, SyncRate, Ticks,
    XdpTransmitOptions,
};

use crate::{
    error,
    export::Export,
    options::{COPIES, Target, ip, seconds, socket_address, word},
    origin::Live,
    registration::admission,
    sending::Sending,
    ticket::PyTicket,
    wait::{Deadline, elsewhere},
};

/// Sends events. What is not hot, `xdpsar.Segmenter` adds in Python.
#[pyclass(name = "Segmenter", module = "xdpsar._native", frozen, weakref, subclass)]
pub(crate) struct PySegmenter {
    pub(crate) sending: Sending,
    to: String,
    mtu: u32,
    max_payload: usize,
    backend: String,
    reason: String,
    _live: Live,
}

const SYNC_RATES: &[(&str, SyncRate)] = &[
    ("megahertz", SyncRate::Megahertz),
    ("measured", SyncRate::Measured),
    ("zero", SyncRate::Zero),
];

/// Where sync messages go: to the address named; if it is left open, to that
/// of the URI, if it has one, and if True, it must; if False, nowhere.
fn sync_address(
    py: Python<'_>,
    target: &Target,
    sync: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<SocketAddr>> {
    let asked: Option<bool> = match sync {
        None => None,
        Some(sync) => match sync.cast::<PyString>() {
            Ok(text) => return socket_address(py, "sync messages to", text.to_str()?).map(Some),
            Err(_) => Some(sync.extract()?),
        },
    };
    match (asked, target) {
        (Some(false), _) | (None, Target::Address(_)) => Ok(None),
        (None, Target::Uri(uri)) if uri.sync().is_none() => Ok(None),
        (_, Target::Uri(uri)) => uri.sync_addr().map(Some).map_err(|error| error::uri(py, &error)),
        (Some(true), Target::Address(to)) => Err(error::usage(
            py,
            &format!("sync messages for what is sent to {to}"),
            "only an EJFAT URI says where those go",
            "send to an EjfatUri, or write sync=\"ip:port\"",
        )),
    }
}

#[pymethods]
impl PySegmenter {
    #[new]
    #[pyo3(signature = (
        to, /, *, data_id = 0, first_event = 0, ports = 1, sockets = 4, threads = None,
        cores = None, queue = 1024, mtu = None, rate_gbps = None, smooth = true,
        count_ethernet = false, kernel_pacing = false, backend = "auto", xdp_queue = None,
        copy = "auto", source = None, dscp = None, connected = true, lb_version = Some(2),
        send_buffer = None, patience = 5.0, ticks = "clock", sync = None, source_id = 0,
        sync_period = 1.0, sync_rate = "megahertz", sync_warm_up = 1.0, admit = None,
    ), text_signature = "(to, /, *, data_id=0, first_event=0, ports=1, sockets=4, threads=None, \
        cores=None, queue=1024, mtu=None, rate_gbps=None, smooth=True, count_ethernet=False, \
        kernel_pacing=False, backend='auto', xdp_queue=None, copy='auto', source=None, \
        dscp=None, connected=True, lb_version=2, send_buffer=None, patience=5.0, \
        ticks='clock', sync=None, source_id=0, sync_period=1.0, sync_rate='megahertz', \
        sync_warm_up=1.0, admit=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
    fn new(
        py: Python<'_>,
        to: &Bound<'_, PyAny>,
        data_id: u16,
        first_event: u64,
        ports: u16,
        sockets: usize,
        threads: Option<usize>,
        cores: Option<Vec<usize>>,
        queue: usize,
        mtu: Option<u32>,
        rate_gbps: Option<f64>,
        smooth: bool,
        count_ethernet: bool,
        kernel_pacing: bool,
        backend: &str,
        xdp_queue: Option<u32>,
        copy: &str,
        source: Option<&Bound<'_, PyAny>>,
        dscp: Option<u8>,
        connected: bool,
        lb_version: Option<u8>,
        send_buffer: Option<usize>,
        patience: f64,
        ticks: &str,
        sync: Option<&Bound<'_, PyAny>>,
        source_id: u32,
        sync_period: f64,
        sync_rate: &str,
        sync_warm_up: f64,
        admit: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let target = Target::new(to)?;
        let to = target.address().map_err(|error| error::uri(py, &error))?;
        let sync = sync_address(py, &target, sync)?;
        let sync_rate = word(py, "sync_rate", sync_rate, SYNC_RATES)?;
        let period = seconds(py, "sync_period", sync_period)?;
        let warm_up = seconds(py, "sync_warm_up", sync_warm_up)?;
        let sync = sync.map(|to| SyncConfig {
            period,
            warm_up,
            rate: sync_rate,
            ..SyncConfig::new(to, source_id)
        });
        let lb = match lb_version {
            None => None,
            Some(2) => Some(LbVersion::V2),
            Some(3) => Some(LbVersion::V3),
            Some(other) => {
                return Err(error::usage(
                    py,
                    &format!("lb_version={other}"),
                    "load balancers know versions 2 and 3",
                    "choose 2, 3, or None for no LB header",
                ));
            }
        };
        let copy = word(py, "copy", copy, COPIES)?;
        let mut builder = Segmenter::builder(to)
            .data_id(data_id)
            .first_event(first_event)
            .ports(ports)
            .sockets(sockets)
            .cores(cores.unwrap_or_default())
            .queue(queue)
            .mtu(mtu)
            .rate_gbps(rate_gbps)
            .smooth(smooth)
            .count_ethernet(count_ethernet)
            .kernel_pacing(kernel_pacing)
            .backend(word(
                py,
                "backend",
                backend,
                &[
                    ("auto", SendBackend::Auto),
                    ("gso", SendBackend::Gso),
                    ("mmsg", SendBackend::Mmsg),
                    ("xdp", SendBackend::Xdp),
                ],
            )?)
            .xdp(XdpTransmitOptions { queue: xdp_queue, copy, ..XdpTransmitOptions::new() })
            .source(source.map(ip).transpose()?)
            .dscp(dscp)
            .connected(connected)
            .lb(lb)
            .patience(seconds(py, "patience", patience)?)
            .ticks(word(
                py,
                "ticks",
                ticks,
                &[("clock", Ticks::Clock), ("event_number", Ticks::EventNumber)],
            )?)
            .sync(sync);
        if let Some(threads) = threads {
            builder = builder.workers(threads);
        }
        if let Some(bytes) = send_buffer {
            builder = builder.send_buffer(bytes);
        }
        if let Some(admit) = admit {
            let uri = match &target {
                Target::Uri(uri) => Some(&**uri),
                Target::Address(_) => None,
            };
            builder = builder.admit(admission(admit, uri)?);
        }
        let segmenter = match admit {
            None => py.detach(|| builder.open()),
            Some(_) => elsewhere(py, || builder.open())?,
        };
        let segmenter = segmenter.map_err(|error| error::from_library(py, &error))?;
        let (mtu, max_payload) = (segmenter.mtu(), segmenter.max_payload());
        let (backend, reason) = (segmenter.backend().to_string(), segmenter.reason().to_owned());
        let (sending, to) = (Sending::new(segmenter), to.to_string());
        let _live = Live::segmenter();
        Ok(Self { sending, to, mtu, max_payload, backend, reason, _live })
    }

    /// Sends an event in this thread, and returns its number when the kernel
    /// has taken all of it.
    #[pyo3(signature = (data, /, *, event_number = None, data_id = None, entropy = None, tick = None))]
    fn send(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        event_number: Option<u64>,
        data_id: Option<u16>,
        entropy: Option<u16>,
        tick: Option<u64>,
    ) -> PyResult<u64> {
        let part = Export::readable(data)?;
        let options = EventOptions { event_number, data_id, entropy, tick };
        self.sending.send_parts(py, "send", std::slice::from_ref(&part), options)
    }

    /// Sends one event that is gathered from several buffers, without a copy.
    #[pyo3(signature = (parts, /, *, event_number = None, data_id = None, entropy = None, tick = None))]
    fn send_vectored(
        &self,
        py: Python<'_>,
        parts: &Bound<'_, PyAny>,
        event_number: Option<u64>,
        data_id: Option<u16>,
        entropy: Option<u16>,
        tick: Option<u64>,
    ) -> PyResult<u64> {
        let part = |part: PyResult<Bound<'_, PyAny>>| Export::readable(&part?);
        let parts: Vec<Export> = parts.try_iter()?.map(part).collect::<PyResult<_>>()?;
        let options = EventOptions { event_number, data_id, entropy, tick };
        self.sending.send_parts(py, "send_vectored", &parts, options)
    }

    /// Queues an event for the sender threads, and waits while the queue is
    /// full. The buffer stays exported until it is sent. `callback` is called
    /// with the ticket, once, when it is known what became of the event.
    #[pyo3(signature = (data, /, *, event_number = None, data_id = None, entropy = None, tick = None, timeout = None, callback = None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
    fn submit(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        event_number: Option<u64>,
        data_id: Option<u16>,
        entropy: Option<u16>,
        tick: Option<u64>,
        timeout: Option<f64>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyTicket>> {
        let options = EventOptions { event_number, data_id, entropy, tick };
        self.sending.queue("submit", data, options, timeout, callback)?.ok_or_else(|| {
            let message = format!(
                "submit: no room in the queue within {} s; wait longer, or send less",
                timeout.unwrap_or(f64::INFINITY)
            );
            error::raise(py, "QueueFull", message)
        })
    }

    /// Queues an event if the queue has room for it; None if not.
    #[pyo3(signature = (data, /, *, event_number = None, data_id = None, entropy = None, tick = None, callback = None))]
    fn try_submit(
        &self,
        data: &Bound<'_, PyAny>,
        event_number: Option<u64>,
        data_id: Option<u16>,
        entropy: Option<u16>,
        tick: Option<u64>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<PyTicket>>> {
        let options = EventOptions { event_number, data_id, entropy, tick };
        self.sending.queue("try_submit", data, options, Some(0.0), callback)
    }

    /// Waits until every event queued before was sent, or has failed; False
    /// when the time is over.
    #[pyo3(signature = (timeout = None))]
    fn flush(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.sending.check(py, "flush")?;
        self.sending.flushed(py, Deadline::after(timeout)?)
    }

    /// Takes no more events, sends what is queued, if it is to `drain`, for
    /// up to `timeout` seconds, cuts off the rest, and ends all threads.
    #[pyo3(signature = (*, drain = true, timeout = None))]
    fn close(&self, py: Python<'_>, drain: bool, timeout: Option<f64>) -> PyResult<()> {
        self.sending.close(py, drain, Deadline::after(timeout)?)
    }

    /// What was done up to now, by all threads.
    #[getter]
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let json = self.sending.stats(py)?;
        let module = py.import("xdpsar._stats")?;
        module.call_method1("segmenter_stats", (json,)).map(Bound::unbind)
    }

    /// Where events go.
    #[getter]
    fn to(&self) -> &str {
        &self.to
    }

    /// Largest IP datagram in bytes.
    #[getter]
    fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Event bytes in one datagram.
    #[getter]
    fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// How datagrams are handed to the system: "gso", "mmsg" or "xdp".
    #[getter]
    fn backend(&self) -> &str {
        &self.backend
    }

    /// Why it is that backend.
    #[getter]
    fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.sending.is_closed()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py, true, None)
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<xdpsar.Segmenter to {} ({}){closed}>", self.to, self.backend)
    }
}
