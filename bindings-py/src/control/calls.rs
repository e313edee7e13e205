//! The client as a Python class: its calls.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use pyo3::{IntoPyObjectExt, prelude::*};
use xdpsar::load_balancer::{
    self as blocking, Chain, Counters, Error, PortRange, Register, Reserve, Reserved, Reset,
    Session, SlotRange, State, aio::LoadBalancer,
};

use super::{
    answer,
    ask::{IP_FAMILIES, Reach, STRATEGIES, Selector, addresses, moment, permissions, slots, which},
    call::{PyCall, Undo},
    client::{Client, Open, Read},
};
use crate::{
    error,
    options::{ip, seconds, uri, word},
    origin::{Close, Live, Origin, close_at_exit},
    uri::PyEjfatUri,
};

/// A control plane's client. `xdpsar.LoadBalancer` and `xdpsar.aio` have its
/// calls answered.
#[pyclass(name = "ControlPlane", module = "xdpsar._native", frozen, weakref)]
pub(crate) struct PyControl {
    client: Client,
    _live: Live,
}

type Slots = Vec<(Option<u16>, u16)>;

impl PyControl {
    fn of(open: &Arc<Open>, inner: LoadBalancer) -> Self {
        let client = Client { open: open.clone(), inner, origin: Origin::here() };
        Self { client, _live: Live::control() }
    }

    /// Has a call made that leaves nothing behind.
    fn start<T, F>(
        &self,
        py: Python<'_>,
        what: &'static str,
        call: impl FnOnce(LoadBalancer) -> F,
        read: Read<T>,
    ) -> PyResult<PyCall>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let inner = self.client.inner(py)?;
        self.client.open.start(py, what, call(inner), read, None)
    }
}

/// What a reservation nobody knows of would keep occupied.
fn free((lb, reserved): &(LoadBalancer, Reserved)) -> Undo {
    let (lb, id) = (lb.clone(), reserved.lb_id.clone());
    // If that fails, its end does the same later.
    Box::pin(async move { drop(lb.free(Some(&id)).await) })
}

/// The same of a worker.
fn deregister((lb, session): &(LoadBalancer, Session)) -> Undo {
    let (lb, id) = (lb.clone(), session.id.clone());
    Box::pin(async move { drop(lb.deregister(Some(&id)).await) })
}

#[pymethods]
impl PyControl {
    #[new]
    #[pyo3(signature = (
        uri, *, verify = true, cafile = None, cadata = None, server_name = None, family = "any",
        timeout = 10.0, connect_timeout = 5.0, keep_alive = 10.0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
    fn new(
        py: Python<'_>,
        uri: &Bound<'_, PyAny>,
        verify: bool,
        cafile: Option<PathBuf>,
        cadata: Option<String>,
        server_name: Option<String>,
        family: &str,
        timeout: f64,
        connect_timeout: f64,
        keep_alive: f64,
    ) -> PyResult<Self> {
        let uri = self::uri(uri)?;
        let reach = Reach {
            verify,
            cafile,
            cadata,
            server_name,
            family: family.to_owned(),
            timeout,
            connect_timeout,
            keep_alive,
        };
        let options = reach.options(py)?;
        let client = py.detach(|| blocking::LoadBalancer::new(uri, &options));
        let client = client.map_err(|error| error::control(py, &error))?;
        let inner = client.client().clone();
        let open = Arc::new(Open::new(client));
        close_at_exit(&open);
        Ok(Self::of(&open, inner))
    }

    /// The URI, with what answers added to it.
    #[getter]
    fn uri(&self, py: Python<'_>) -> PyResult<PyEjfatUri> {
        Ok(PyEjfatUri::from_inner(self.client.inner(py)?.uri()))
    }

    /// The same connection, with another URI of the same server.
    fn with_uri(&self, py: Python<'_>, uri: &Bound<'_, PyAny>) -> PyResult<Self> {
        let inner = self.client.inner(py)?;
        Ok(Self::of(&self.client.open, inner.with_uri(self::uri(uri)?)))
    }

    /// The same, with another time to wait for answers, in seconds.
    fn with_timeout(&self, py: Python<'_>, timeout: f64) -> PyResult<Self> {
        let inner = self.client.inner(py)?;
        Ok(Self::of(&self.client.open, inner.with_timeout(seconds(py, "timeout", timeout)?)))
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> PyResult<bool> {
        self.client.inner(py)?;
        Ok(self.client.open.is_closed())
    }

    /// Ends the connection, and calls that wait.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.client.inner(py)?;
        py.detach(|| self.client.open.close());
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.client.inner(py)?.uri().to_string())
    }

    fn reserve(
        &self,
        py: Python<'_>,
        name: String,
        until: Option<&Bound<'_, PyAny>>,
        senders: &Bound<'_, PyAny>,
        ip_family: &str,
        strategy: Option<&str>,
    ) -> PyResult<PyCall> {
        let wish = Reserve {
            name,
            until: until.map(moment).transpose()?,
            senders: addresses(senders)?,
            ip_family: word(py, "ip_family", ip_family, IP_FAMILIES)?,
            strategy: strategy
                .map(|strategy| word(py, "strategy", strategy, STRATEGIES))
                .transpose()?,
        };
        let lb = self.client.inner(py)?;
        let call = async move { lb.reserve(&wish).await.map(|reserved| (lb, reserved)) };
        let read: Read<_> = |py, (_, reserved)| answer::reserved(py, reserved);
        self.client.open.start(py, "reserve", call, read, Some(free))
    }

    fn get(&self, py: Python<'_>, lb_id: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.get(lb_id.as_deref()).await };
        self.start(py, "get", call, answer::reserved)
    }

    fn free(&self, py: Python<'_>, lb_id: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.free(lb_id.as_deref()).await };
        self.start(py, "free", call, answer::nothing)
    }

    fn extend(
        &self,
        py: Python<'_>,
        until: Option<&Bound<'_, PyAny>>,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let until = until.map(moment).transpose()?;
        let call = move |lb: LoadBalancer| async move { lb.extend(lb_id.as_deref(), until).await };
        self.start(py, "extend", call, answer::moment)
    }

    fn reset(
        &self,
        py: Python<'_>,
        what: (bool, bool, bool, bool),
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let (sync, epochs, senders, workers) = what;
        let what = Reset { sync, epochs, senders, workers };
        let call = move |lb: LoadBalancer| async move { lb.reset(lb_id.as_deref(), what).await };
        self.start(py, "reset", call, answer::reset)
    }

    /// Lets addresses send, or no longer; None: this host's.
    fn senders(
        &self,
        py: Python<'_>,
        add: bool,
        senders: Option<&Bound<'_, PyAny>>,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let senders = senders.map(addresses).transpose()?;
        let call = move |lb: LoadBalancer| async move {
            let id = lb_id.as_deref();
            match (add, senders) {
                (true, Some(senders)) => lb.add_senders(id, &senders).await.map(|()| senders),
                (false, Some(senders)) => lb.remove_senders(id, &senders).await.map(|()| senders),
                (true, None) => lb.add_sender_self(id).await,
                (false, None) => lb.remove_sender_self(id).await,
            }
        };
        self.start(py, if add { "senders.add" } else { "senders.remove" }, call, |py, it| {
            it.into_bound_py_any(py)
        })
    }

    fn status(&self, py: Python<'_>, lb_id: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.status(lb_id.as_deref()).await };
        self.start(py, "status", call, answer::status)
    }

    fn overview(&self, py: Python<'_>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.overview().await };
        self.start(py, "overview", call, answer::overview)
    }

    fn version(&self, py: Python<'_>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.version().await };
        self.start(py, "version", call, answer::version)
    }

    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn register(
        &self,
        py: Python<'_>,
        name: String,
        address: &Bound<'_, PyAny>,
        port: u16,
        ports: u32,
        keep_lb_header: bool,
        weight: f32,
        factors: (f32, f32),
        slot_demands: Slots,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let address = ip(address)?;
        let worker = Register {
            ports: PortRange::at_least(ports),
            weight,
            min_factor: factors.0,
            max_factor: factors.1,
            keep_lb_header,
            slot_demands: slots(slot_demands),
            ..Register::new(name, address, port)
        };
        let lb = self.client.inner(py)?;
        let call = async move {
            lb.register(lb_id.as_deref(), &worker).await.map(|session| (lb, session))
        };
        let read: Read<_> = |py, (_, session)| answer::session(py, session);
        self.client.open.start(py, "register", call, read, Some(deregister))
    }

    fn send_state(
        &self,
        py: Python<'_>,
        state: (f32, f32, bool),
        at: Option<&Bound<'_, PyAny>>,
        counters: [u64; 7],
        session: Option<String>,
    ) -> PyResult<PyCall> {
        let at = at.map(moment).transpose()?.unwrap_or_else(SystemTime::now);
        let [received, reassembled, errors, dequeued, enqueue_errors, bytes, packets] = counters;
        let counters = Counters {
            events_received: received,
            events_reassembled: reassembled,
            reassembly_errors: errors,
            events_dequeued: dequeued,
            enqueue_errors,
            bytes_received: bytes,
            packets_received: packets,
        };
        let (fill, control_signal, ready) = state;
        let state = State { at, fill, control_signal, ready, counters };
        let call =
            move |lb: LoadBalancer| async move { lb.send_state(session.as_deref(), &state).await };
        self.start(py, "send_state", call, answer::nothing)
    }

    fn deregister(&self, py: Python<'_>, session: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.deregister(session.as_deref()).await };
        self.start(py, "deregister", call, answer::nothing)
    }

    fn set_slot_demands(
        &self,
        py: Python<'_>,
        sessions: Vec<(String, Slots)>,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let sessions: Vec<(String, Vec<SlotRange>)> =
            sessions.into_iter().map(|(id, ranges)| (id, slots(ranges))).collect();
        let call = |lb: LoadBalancer| async move {
            let sessions: Vec<(&str, &[SlotRange])> =
                sessions.iter().map(|(id, ranges)| (id.as_str(), ranges.as_slice())).collect();
            lb.set_slot_demands(lb_id.as_deref(), &sessions).await
        };
        self.start(py, "set_slot_demands", call, answer::nothing)
    }

    /// Series by their paths; None: all of a load balancer.
    fn series(
        &self,
        py: Python<'_>,
        paths: Option<Vec<String>>,
        since: Option<&Bound<'_, PyAny>>,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let since = since.map(moment).transpose()?;
        let call = move |lb: LoadBalancer| async move {
            match paths {
                Some(paths) => lb.timeseries(&paths, since).await,
                None => lb.series_of(lb_id.as_deref(), since).await,
            }
        };
        self.start(py, "timeseries", call, answer::series)
    }

    fn create_token(
        &self,
        py: Python<'_>,
        name: String,
        permissions: Vec<(i32, i32, String)>,
    ) -> PyResult<PyCall> {
        let permissions = self::permissions(permissions);
        let call = |lb: LoadBalancer| async move { lb.create_token(&name, &permissions).await };
        self.start(py, "tokens.create", call, answer::token)
    }

    fn token_permissions(&self, py: Python<'_>, which: Option<Selector>) -> PyResult<PyCall> {
        let which = self::which(which)?;
        let call = |lb: LoadBalancer| async move { lb.token_permissions(&which).await };
        self.start(py, "tokens.list", call, answer::details)
    }

    fn child_tokens(&self, py: Python<'_>, which: Option<Selector>) -> PyResult<PyCall> {
        let which = self::which(which)?;
        let call = |lb: LoadBalancer| async move { lb.child_tokens(&which).await };
        self.start(py, "tokens.children", call, answer::all_details)
    }

    fn revoke_token(&self, py: Python<'_>, which: Selector) -> PyResult<PyCall> {
        let which = self::which(Some(which))?;
        let call = |lb: LoadBalancer| async move { lb.revoke_token(&which).await };
        self.start(py, "tokens.revoke", call, answer::nothing)
    }

    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn chain(
        &self,
        py: Python<'_>,
        upstream: &Bound<'_, PyAny>,
        ip_family: &str,
        weight: f32,
        factors: (f32, f32),
        slot_demands: Slots,
        lb_id: Option<String>,
    ) -> PyResult<PyCall> {
        let chain = Chain {
            upstream: uri(upstream)?,
            ip_family: word(py, "ip_family", ip_family, IP_FAMILIES)?,
            weight,
            min_factor: factors.0,
            max_factor: factors.1,
            slot_demands: slots(slot_demands),
        };
        let call = |lb: LoadBalancer| async move { lb.chain(lb_id.as_deref(), &chain).await };
        self.start(py, "chain", call, |py, it| it.into_bound_py_any(py))
    }

    fn unchain(&self, py: Python<'_>, chain_id: String, lb_id: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.unchain(lb_id.as_deref(), &chain_id).await };
        self.start(py, "unchain", call, answer::nothing)
    }

    fn chain_graph(&self, py: Python<'_>, lb_id: Option<String>) -> PyResult<PyCall> {
        let call = |lb: LoadBalancer| async move { lb.chain_graph(lb_id.as_deref()).await };
        self.start(py, "chain_graph", call, answer::chains)
    }
}
