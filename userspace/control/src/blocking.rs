//! The control plane for threads that wait for answers.

use std::{
    fmt,
    future::Future,
    net::IpAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::{
    client::{
        self,
        chain::{Chain, ChainGraph},
        error::{Error, ErrorKind},
        options::Options,
        reservation::{Reserve, Reserved, Reset},
        series::Series,
        status::{Overview, Status, Version},
        tokens::{Permission, TokenDetails, Which},
        worker::{Register, Session, SlotRange, State},
    },
    token::Token,
    uri::EjfatUri,
};

/// As [`crate::LoadBalancer`], but each call waits for its answer. A thread
/// of its own keeps the connection; it ends with the last clone.
#[derive(Clone)]
pub struct LoadBalancer {
    inner: client::LoadBalancer,
    thread: Arc<Runtime>,
}

/// Drives the connection, also between calls.
struct Runtime {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    fn start() -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            let asked = "a thread for the control plane";
            let remedy = "raise the limits of processes and open files (ulimit -a)";
            Error::new(ErrorKind::System, asked, error.to_string(), remedy)
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Never sent, only dropped.
            let _ = runtime.block_on(stopped);
            // A name server may keep its thread busy for long.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("xdpsar-lb".into()).spawn(run).map_err(failed)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        refuse_inside_of_a_runtime()?;
        self.handle.block_on(answer)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only panics if tokio does.
            let _ = thread.join();
        }
    }
}

/// There, waiting would stop everything else, and tokio panics.
fn refuse_inside_of_a_runtime() -> Result<(), Error> {
    if Handle::try_current().is_err() {
        return Ok(());
    }
    let found = "this thread belongs to a tokio runtime";
    let remedy = "use xdpsar_control::LoadBalancer there";
    Err(Error::new(ErrorKind::Logic, "a call that waits", found, remedy))
}

/// Each as the one that it is named after.
macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => { $(
        #[doc = concat!("See [`crate::LoadBalancer::", stringify!($name), "`].")]
        ///
        /// # Errors
        /// As there.
        pub fn $name(&self, $($argument: $type),*) -> Result<$answer, Error> {
            self.thread.wait(self.inner.$name($($argument),*))
        }
    )* };
}

impl LoadBalancer {
    /// For the control plane that the URI names. Nothing is sent yet, and no
    /// name looked up.
    ///
    /// # Errors
    /// What [`Options`] name is not there; no thread can be started.
    pub fn new(uri: EjfatUri, options: &Options) -> Result<Self, Error> {
        let thread = Runtime::start()?;
        let _inside = thread.handle.enter();
        let inner = client::LoadBalancer::new(uri, options)?;
        drop(_inside);
        Ok(Self { inner, thread: thread.into() })
    }

    /// The same, with another time to wait for an answer.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { inner: self.inner.with_timeout(timeout), thread: self.thread.clone() }
    }

    /// See [`crate::LoadBalancer::with_uri`].
    #[must_use]
    pub fn with_uri(&self, uri: EjfatUri) -> Self {
        Self { inner: self.inner.with_uri(uri), thread: self.thread.clone() }
    }

    /// The URI, with what answers added to it.
    pub fn uri(&self) -> EjfatUri {
        self.inner.uri()
    }

    /// The same client for tasks of its [`runtime`](Self::runtime), which do
    /// not keep it: they end with the last clone of this.
    pub const fn client(&self) -> &crate::LoadBalancer {
        &self.inner
    }

    /// That of its thread.
    pub fn runtime(&self) -> &Handle {
        &self.thread.handle
    }

    calls! {
        reserve(wish: &Reserve) -> Reserved;
        get(lb_id: Option<&str>) -> Reserved;
        free(lb_id: Option<&str>) -> ();
        extend(lb_id: Option<&str>, until: Option<SystemTime>) -> Option<SystemTime>;
        reset(lb_id: Option<&str>, what: Reset) -> Reset;
        add_senders(lb_id: Option<&str>, senders: &[IpAddr]) -> ();
        remove_senders(lb_id: Option<&str>, senders: &[IpAddr]) -> ();
        add_sender_self(lb_id: Option<&str>) -> Vec<IpAddr>;
        remove_sender_self(lb_id: Option<&str>) -> Vec<IpAddr>;
        status(lb_id: Option<&str>) -> Status;
        overview() -> Vec<Overview>;
        version() -> Version;
        register(lb_id: Option<&str>, worker: &Register) -> Session;
        send_state(session: Option<&str>, state: &State) -> ();
        deregister(session: Option<&str>) -> ();
        set_slot_demands(lb_id: Option<&str>, sessions: &[(&str, &[SlotRange])]) -> ();
        timeseries(paths: &[&str], since: Option<SystemTime>) -> Vec<Series>;
        series_of(lb_id: Option<&str>, since: Option<SystemTime>) -> Vec<Series>;
        create_token(name: &str, permissions: &[Permission]) -> Token;
        token_permissions(which: &Which) -> TokenDetails;
        child_tokens(which: &Which) -> Vec<TokenDetails>;
        revoke_token(which: &Which) -> ();
        revoke_own_token() -> ();
        chain(lb_id: Option<&str>, chain: &Chain) -> String;
        unchain(lb_id: Option<&str>, chain_id: &str) -> ();
        chain_graph(lb_id: Option<&str>) -> ChainGraph;
    }

    /// Reserves a load balancer as long as the guard lives.
    ///
    /// # Errors
    /// As of [`reserve`](Self::reserve).
    pub fn reserve_guarded(&self, wish: &Reserve) -> Result<Reservation, Error> {
        Ok(Reservation { reserved: self.reserve(wish)?, lb: self.clone(), armed: true })
    }
}

impl fmt::Debug for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A reservation, freed at the end of its scope: that waits for the answer,
/// and what fails is logged.
#[derive(Debug)]
pub struct Reservation {
    lb: LoadBalancer,
    reserved: Reserved,
    armed: bool,
}

impl Reservation {
    /// What was reserved.
    pub const fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// The client that reserved it.
    pub const fn load_balancer(&self) -> &LoadBalancer {
        &self.lb
    }

    /// Frees it.
    ///
    /// # Errors
    /// See [`Error`]. It is not tried again.
    pub fn free(mut self) -> Result<(), Error> {
        self.armed = false;
        self.lb.free(Some(&self.reserved.lb_id))
    }

    /// Lets it last until its end.
    pub fn keep(mut self) -> Reserved {
        self.armed = false;
        self.reserved.clone()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Err(error) = self.lb.free(Some(&self.reserved.lb_id)) {
            tracing::warn!("load balancer {} stays reserved: {error}", self.reserved.lb_id);
        }
    }
}
