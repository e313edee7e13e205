//! The receiver as a Python class.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};
use xdpsar::{
    Backend, BudgetPolicy, DATA_PORT, EjfatUri, LaneMode, LbFraming, LostEvent, Overflow,
    Readiness, Reassembler, SocketOptions, Wait, XdpOptions,
};

use crate::{
    batch::PyBatch,
    error,
    event::PyEvent,
    export::Export,
    feed::PyFeed,
    filter::{DataIds, Filter},
    options::{self, ATTACHES, CHECKSUMS, COPIES, LAYOUTS, seconds, word},
    origin::{Close, Live, Origin, close_at_exit},
    receive::{EventIterator, Next, Open, Receiver, State, stats},
    registration::{self, registration},
    wait::elsewhere,
};

mod taking;

const WAITS: &[(&str, Wait)] =
    &[("adaptive", Wait::Adaptive), ("spin", Wait::Spin), ("sleep", Wait::Sleep)];

/// Receives events from its construction on, until it is closed. What is not
/// hot, `xdpsar.Reassembler` adds in Python.
#[pyclass(name = "Reassembler", module = "xdpsar._native", frozen, weakref, subclass)]
pub(crate) struct PyReassembler {
    open: Arc<Open>,
    origin: Origin,
    uri: Option<EjfatUri>,
    data_ip: IpAddr,
    ports: (u32, u32),
    backend: String,
    readonly_events: bool,
    /// Its descriptor stays until this object goes: an event loop may still
    /// watch it when it is closed.
    readiness: OnceLock<Readiness>,
    /// Events that filters have dropped.
    filtered: Arc<AtomicU64>,
    _live: Live,
}

#[pymethods]
impl PyReassembler {
    #[new]
    #[pyo3(signature = (
        uri = None, *, data_ip = None, port = DATA_PORT, ports = 1, backend = "auto", interface = None,
        threads = None, cores = None, event_timeout = 0.5, event_lifetime = None, memory = None,
        prefault = None, max_event = None, on_budget = "refuse", queue = None, overflow = "drop",
        wait = "adaptive", consumer_wait = "adaptive", lane = "port", lanes = None,
        lb_header = "auto", attach = "auto", copy = "auto", layout = "auto", lend = "auto",
        checksum = "auto", busy_poll = None, socket_buffer = None, gro = true,
        readonly_events = false, register = None,
    ), text_signature = "(uri=None, *, data_ip=None, port=19522, ports=1, backend='auto', interface=None, \
        threads=None, cores=None, event_timeout=0.5, event_lifetime=None, memory=None, \
        prefault=None, max_event=None, on_budget='refuse', queue=None, overflow='drop', wait='adaptive', \
        consumer_wait='adaptive', lane='port', lanes=None, lb_header='auto', attach='auto', \
        copy='auto', layout='auto', lend='auto', checksum='auto', busy_poll=None, \
        socket_buffer=None, gro=True, readonly_events=False, register=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
    fn new(
        py: Python<'_>,
        uri: Option<&Bound<'_, PyAny>>,
        data_ip: Option<&Bound<'_, PyAny>>,
        port: u16,
        ports: u16,
        backend: &str,
        interface: Option<String>,
        threads: Option<usize>,
        cores: Option<Vec<usize>>,
        event_timeout: f64,
        event_lifetime: Option<f64>,
        memory: Option<u64>,
        prefault: Option<u64>,
        max_event: Option<u32>,
        on_budget: &str,
        queue: Option<usize>,
        overflow: &str,
        wait: &str,
        consumer_wait: &str,
        lane: &str,
        lanes: Option<u16>,
        lb_header: &str,
        attach: &str,
        copy: &str,
        layout: &str,
        lend: &str,
        checksum: &str,
        busy_poll: Option<u16>,
        socket_buffer: Option<usize>,
        gro: bool,
        readonly_events: bool,
        register: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let uri = uri.map(options::uri).transpose()?;
        let data_ip = options::listen(py, uri.as_ref(), data_ip)?;
        let socket = SocketOptions::default();
        let socket = SocketOptions { buffer: socket_buffer.unwrap_or(socket.buffer), gro };
        let xdp = XdpOptions {
            interface,
            attach: word(py, "attach", attach, ATTACHES)?,
            copy: word(py, "copy", copy, COPIES)?,
            layout: word(py, "layout", layout, LAYOUTS)?,
            lend: options::lend(py, lend, readonly_events)?,
            checksum: word(py, "checksum", checksum, CHECKSUMS)?,
            busy_poll,
            ..XdpOptions::default()
        };
        let mut builder = Reassembler::builder(SocketAddr::new(data_ip, port))
            .ports(ports)
            .backend(word(
                py,
                "backend",
                backend,
                &[("auto", Backend::Auto), ("xdp", Backend::Xdp), ("socket", Backend::Socket)],
            )?)
            .cores(cores.unwrap_or_default())
            .timeout(seconds(py, "event_timeout", event_timeout)?)
            .on_budget(word(
                py,
                "on_budget",
                on_budget,
                &[("refuse", BudgetPolicy::RefuseNew), ("evict", BudgetPolicy::EvictOldest)],
            )?)
            .overflow(word(
                py,
                "overflow",
                overflow,
                &[("drop", Overflow::DropNewest), ("block", Overflow::Block)],
            )?)
            .wait(word(py, "wait", wait, WAITS)?)
            .consumer_wait(word(py, "consumer_wait", consumer_wait, WAITS)?)
            .lane_mode(word(
                py,
                "lane",
                lane,
                &[("port", LaneMode::Port), ("entropy", LaneMode::Entropy)],
            )?)
            .lb_header(word(
                py,
                "lb_header",
                lb_header,
                &[("auto", LbFraming::Auto), ("keep", LbFraming::Keep), ("none", LbFraming::None)],
            )?)
            .socket(socket)
            .xdp(xdp);
        if let Some(threads) = threads {
            builder = builder.workers(threads);
        }
        if let Some(lifetime) = event_lifetime {
            builder = builder.lifetime(seconds(py, "event_lifetime", lifetime)?);
        }
        if let Some(memory) = memory {
            builder = builder.memory(memory);
        }
        if let Some(prefault) = prefault {
            builder = builder.prefault(prefault);
        }
        if let Some(max_event) = max_event {
            builder = builder.max_event(max_event);
        }
        if let Some(queue) = queue {
            builder = builder.queue(queue);
        }
        if let Some(lanes) = lanes {
            builder = builder.lanes(lanes);
        }
        let started = match register {
            None => py.detach(|| builder.start()),
            Some(register) => {
                let builder = builder.register(registration(register, uri.as_ref())?);
                elsewhere(py, || builder.start())?
            }
        };
        let receiver = started.map_err(|error| error::from_library(py, &error))?;
        // Two strings, an enum, a list of strings: it cannot fail.
        let backend = serde_json::to_string(receiver.backend()).unwrap_or_default();
        let open = Arc::new(Open::new(Receiver::new(receiver)));
        close_at_exit(&open);
        let ports = (u32::from(port), u32::from(port) + u32::from(ports));
        let origin = Origin::here();
        Ok(Self {
            open,
            origin,
            uri,
            data_ip,
            ports,
            backend,
            readonly_events,
            readiness: OnceLock::new(),
            filtered: Arc::default(),
            _live: Live::reassembler(),
        })
    }

    /// Waits for the next event.
    #[pyo3(signature = (timeout = None))]
    fn recv(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<PyEvent> {
        let event = self.next(py, "recv", timeout)?;
        Ok(self.event(event))
    }

    /// The next event if one is there, else None.
    fn try_recv(&self, py: Python<'_>) -> PyResult<Option<PyEvent>> {
        let receiver = self.receiver(py, "try_recv")?;
        match receiver.try_next() {
            Some(Next::Event(event)) => Ok(Some(self.event(event))),
            Some(Next::End) => Err(receiver.ended(py)),
            None => Ok(None),
        }
    }

    /// Waits for `min_events`, and returns up to `max_events` that are there;
    /// fewer, or none, when the time is over.
    #[pyo3(signature = (max_events = 64, timeout = None, *, min_events = 1))]
    fn recv_many<'py>(
        &self,
        py: Python<'py>,
        max_events: usize,
        timeout: Option<f64>,
        min_events: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let events = self.next_many(py, "recv_many", max_events, timeout, min_events)?;
        PyList::new(py, events.into_iter().map(|event| self.event(event)))
    }

    /// Waits for an event, and returns up to `max_events` that are there, with
    /// columns of what is known of them; none when the time is over.
    #[pyo3(signature = (max_events = 1024, timeout = None))]
    fn recv_batch(
        slf: &Bound<'_, Self>,
        max_events: usize,
        timeout: Option<f64>,
    ) -> PyResult<PyBatch> {
        let events = slf.get().next_many(slf.py(), "recv_batch", max_events, timeout, 1)?;
        Ok(PyBatch::new(slf, events))
    }

    /// Copies the next event into a writable buffer, and returns the event's
    /// facts. If the buffer is too short, the event stays the next one.
    #[pyo3(signature = (buffer, timeout = None))]
    fn recv_into(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let buffer = Export::writable(buffer)?;
        let event = self.next(py, "recv_into", timeout)?;
        if event.len() > buffer.len() {
            let error = error::too_small(py, event.len(), buffer.len());
            // Unless it was closed meanwhile.
            if let Some(receiver) = self.open.running() {
                receiver.keep(vec![event]);
            }
            return Err(error);
        }
        buffer.write(py, 0, &event);
        let facts = (
            event.event_number(),
            event.data_id(),
            event.len(),
            event.fragments(),
            event.lane(),
            event.worker(),
            event.tick(),
            event.entropy(),
            event.completed_ns(),
        );
        let class = py.import("xdpsar._stats")?.getattr("EventInfo")?;
        Ok(class.call1(facts)?.unbind())
    }

    /// Events until the end: closed or stopped.
    fn __iter__(slf: Bound<'_, Self>) -> PyResult<EventIterator> {
        Self::events(slf, None, None, None, 1)
    }

    /// Events, until there were `max_events`, or none has come for `timeout`
    /// seconds, or the end: those with such a `data_id`, and of these every so
    /// many-th.
    #[pyo3(signature = (*, max_events = None, timeout = None, data_id = None, every = 1))]
    fn events(
        slf: Bound<'_, Self>,
        max_events: Option<usize>,
        timeout: Option<f64>,
        data_id: Option<DataIds>,
        every: u64,
    ) -> PyResult<EventIterator> {
        let filter = Filter::new(data_id, every, slf.get().filtered())?;
        EventIterator::new(slf.unbind(), max_events, timeout, filter)
    }

    /// For threads that call something with events.
    #[pyo3(signature = (*, batch, max_events, data_id, every))]
    fn _feed(
        slf: Bound<'_, Self>,
        batch: usize,
        max_events: Option<u64>,
        data_id: Option<DataIds>,
        every: u64,
    ) -> PyResult<PyFeed> {
        slf.get().receiver(slf.py(), "run or start")?;
        PyFeed::new(slf.unbind(), batch, max_events, data_id, every)
    }

    /// A descriptor that is readable while an event can be had, and at the
    /// end. When it is, call `try_recv` until there is none.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.origin.check(py, "Reassembler")?;
        if let Some(readiness) = self.readiness.get() {
            return Ok(readiness.as_raw_fd());
        }
        let readiness = self.receiver(py, "fileno")?.readiness()?;
        Ok(self.readiness.get_or_init(|| readiness).as_raw_fd())
    }

    /// Reports of lost events, each once; `max_items` at most, if not 0.
    #[pyo3(signature = (max_items = 0))]
    fn lost(&self, py: Python<'_>, max_items: usize) -> PyResult<Vec<Py<PyAny>>> {
        self.origin.check(py, "Reassembler")?;
        let at_most = if max_items == 0 { usize::MAX } else { max_items };
        let lost: Vec<_> = match &mut *self.open.state() {
            State::Running(receiver) => receiver.lost(at_most),
            State::Closed { lost, .. } => lost.drain(..at_most.min(lost.len())).collect(),
        };
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let class = py.import("xdpsar._stats")?.getattr("LostEvent")?;
        let report = |lost: LostEvent| {
            let LostEvent { event_number, data_id, length, fragments, bytes, cause } = lost;
            let facts = (event_number, data_id, length, fragments, bytes, cause.as_str());
            class.call1(facts).map(Bound::unbind)
        };
        lost.into_iter().map(report).collect()
    }

    /// Registers it with the load balancer of its URI, or of another one, as
    /// the option `register` does at the start.
    #[pyo3(signature = (register, uri = None))]
    fn register(
        &self,
        py: Python<'_>,
        register: &Bound<'_, PyAny>,
        uri: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let receiver = self.receiver(py, "register")?;
        let uri = uri.map(options::uri).transpose()?;
        registration::begin(register, uri.as_ref().or(self.uri.as_ref()), receiver)
    }

    /// Deregisters it, if it is registered; it goes on receiving.
    fn deregister(&self, py: Python<'_>) -> PyResult<()> {
        let Some(receiver) = self.if_open(py)? else { return Ok(()) };
        elsewhere(py, move || receiver.inner.deregister())
    }

    /// How it stands with its load balancer.
    #[getter]
    fn registration(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.origin.check(py, "Reassembler")?;
        registration::status(py, &self.open)
    }

    /// What has become of everything received.
    #[getter]
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.origin.check(py, "Reassembler")?;
        let receiver = match &*self.open.state() {
            State::Running(receiver) => Ok(Arc::clone(receiver)),
            State::Closed { stats, .. } => Err(stats.clone()),
        };
        // Not with the GIL: it waits while another thread closes.
        let json = receiver.map_or_else(|last| last, |receiver| py.detach(|| stats(&receiver)));
        let module = py.import("xdpsar._stats")?;
        let filtered = self.filtered.load(Ordering::Relaxed);
        module.call_method1("reassembler_stats", (json, filtered)).map(Bound::unbind)
    }

    /// Datagrams so far, by the port that they came to.
    #[getter]
    fn port_stats(&self, py: Python<'_>) -> PyResult<BTreeMap<u32, u64>> {
        self.origin.check(py, "Reassembler")?;
        let counts = match &*self.open.state() {
            State::Running(receiver) => receiver.inner.lane_datagrams(),
            State::Closed { lanes, .. } => lanes.clone(),
        };
        Ok((self.ports.0..).zip(counts).collect())
    }

    /// AF_XDP or sockets, and why.
    #[getter]
    fn backend(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let module = py.import("xdpsar._stats")?;
        module.call_method1("backend_info", (&self.backend,)).map(Bound::unbind)
    }

    /// The address that it listens on.
    #[getter]
    fn data_ip(&self) -> String {
        self.data_ip.to_string()
    }

    /// The UDP ports that it listens on.
    #[getter]
    fn ports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("builtins")?.call_method1("range", self.ports)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.running().is_none()
    }

    /// Stops receiving. Events in the queue can still be received, and then
    /// comes the end.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(receiver) = self.if_open(py)? {
            receiver.inner.stop();
        }
        Ok(())
    }

    /// Stops receiving, frees interface and ports, and drops what nobody has
    /// received. When it returns, the ports can be bound again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.origin.check(py, "Reassembler")?;
        py.detach(|| self.open.close());
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let (first, end) = self.ports;
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<xdpsar.Reassembler {} ports {first}-{}{closed}>", self.data_ip, end - 1)
    }
}

impl Drop for PyReassembler {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            // The threads are the parent's, and nobody's here to join.
            std::mem::forget(Arc::clone(&self.open));
            return;
        }
        // Without the GIL, unless the interpreter is ending: then it was
        // closed by `at_exit`.
        Python::try_attach(|py| py.detach(|| self.open.close()));
    }
}
