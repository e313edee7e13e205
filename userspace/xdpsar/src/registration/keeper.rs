//! The thread that keeps a receiver registered.

use std::{
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use xdpsar_control::{
    feedback::{HighWater, Pid},
    registration::{Act, Outcome, Registrar, RegistrationState, next_period},
};
use xdpsar_dataplane::{ReceiveConfig, SetupError, error::SetupErrorKind};
use xdpsar_wire::{LbFraming, steering::LaneMode};

use super::{Gauges, Registration, RegistrationStatus};
use crate::{
    Error,
    error::panic_message,
    load_balancer::{
        self, Counters, ErrorKind, LoadBalancer, PortRange, Register, State, WorkerStatus,
    },
    local_address_towards,
    stop::Control,
};

/// So long a state may take, or nine tenths of a longer period. The way to a
/// load balancer may take longer than a period: those missed are skipped.
const STATE_DEADLINE: Duration = Duration::from_millis(300);
/// So long registering may take, once data flow.
const ANEW_DEADLINE: Duration = Duration::from_secs(2);
/// So long each of two attempts to deregister may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);
/// How often the load balancer is asked for its view of us.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the thread says of itself.
pub(crate) type Shared = Arc<Mutex<RegistrationStatus>>;

/// A poisoned one is still true.
pub(crate) fn lock(status: &Shared) -> MutexGuard<'_, RegistrationStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the receiver; returns once that is done. The thread ends, and
/// with it the workers in case of a stop, after somebody asked it to leave.
pub(crate) fn start(
    registration: Registration,
    place: Place,
    gauges: Gauges,
    control: Arc<Control>,
) -> Result<(Shared, JoinHandle<()>), Error> {
    let asked = format!("a thread to register worker {} by", registration.name);
    let Some(leave) = control.hear_of_stop() else {
        let asked = format!("register worker {}", registration.name);
        let (found, remedy) = ("the receiver was stopped", "start another one");
        return Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy).into());
    };
    let system = |found, remedy| SetupError::new(SetupErrorKind::System, asked, found, remedy);
    let run_with = Arc::clone(&control);
    let (report, reports) = mpsc::sync_channel(1);
    let run = move || {
        let keeper = match Keeper::register(registration, &place, gauges) {
            Ok(keeper) => keeper,
            Err(error) => {
                run_with.has_left();
                let _ = report.send(Err(error));
                return;
            }
        };
        let status = Arc::clone(&keeper.status);
        let _ = report.send(Ok(Arc::clone(&status)));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| keeper.run(&leave))) {
            let message = panic_message(&*panic);
            tracing::error!("the load balancer is told nothing any more: {message}");
            let mut status = lock(&status);
            (status.state, status.last_error) = (RegistrationState::Lost, Some(message));
            drop(status);
            // Data keep flowing.
            let _ = leave.recv();
        }
        run_with.has_left();
    };
    let thread = match thread::Builder::new().name("xdpsar-state".into()).spawn(run) {
        Ok(thread) => thread,
        Err(error) => {
            control.has_left();
            let remedy = "raise the limit on processes (ulimit -u)";
            return Err(system(error.to_string(), remedy).caused_by(error).into());
        }
    };
    let failure = match reports.recv() {
        Ok(Ok(status)) => return Ok((status, thread)),
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    let panic = thread.join().map_or_else(|panic| panic_message(&*panic), |()| String::new());
    Err(failure.unwrap_or_else(|| system(panic, "please report it: a defect of ours").into()))
}

/// Where the receiver is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    listen: IpAddr,
    port: u16,
    ports: PortRange,
    keep_lb_header: bool,
}

impl Place {
    pub(crate) fn of(receive: &ReceiveConfig) -> Self {
        Self {
            listen: receive.listen,
            port: receive.base_port,
            ports: PortRange::at_least(receive.ports.into()),
            // Otherwise there is no need for it.
            keep_lb_header: receive.framing == LbFraming::Keep
                || receive.lane_mode == LaneMode::Entropy,
        }
    }

    /// Where the load balancer is to send to.
    fn address(&self, given: Option<IpAddr>, lb: &LoadBalancer) -> Result<IpAddr, Error> {
        if let Some(address) = given.or((!self.listen.is_unspecified()).then_some(self.listen)) {
            return Ok(address);
        }
        let v6 = self.listen.is_ipv6();
        if lb.uri().data_of(v6).is_none() {
            lb.get(None)?;
        }
        let uri = lb.uri();
        let to = uri.data_of(v6).ok_or_else(|| {
            SetupError::new(
                SetupErrorKind::NoInterface,
                format!("the address to receive at from load balancer {}", uri.lb_id()),
                format!("we listen on {}, and it has no data address like that", self.listen),
                "listen on one address, or name the one to register",
            )
        })?;
        Ok(local_address_towards(to.ip())?)
    }
}

struct Keeper {
    lb: LoadBalancer,
    /// The same, for states.
    states: LoadBalancer,
    worker: Register,
    gauges: Gauges,
    status: Shared,
    registrar: Registrar,
    pid: Pid,
    water: HighWater,
    registration: Registration,
    counters: Counters,
    look_at: Duration,
    started: Instant,
}

impl Keeper {
    fn register(registration: Registration, place: &Place, gauges: Gauges) -> Result<Self, Error> {
        let lb = LoadBalancer::new(registration.uri.clone(), &registration.options)?;
        let address = place.address(registration.address, &lb)?;
        let worker = Register {
            ports: place.ports,
            weight: registration.weight,
            min_factor: registration.min_factor,
            max_factor: registration.max_factor,
            keep_lb_header: place.keep_lb_header,
            slot_demands: registration.slot_demands.clone(),
            ..Register::new(registration.name.clone(), address, place.port)
        };
        let deadline = STATE_DEADLINE.max(registration.period * 9 / 10);
        let states = lb.with_timeout(deadline.min(registration.options.timeout));
        let status = RegistrationStatus {
            state: RegistrationState::Registering,
            session_id: String::new(),
            lb_id: lb.uri().lb_id().to_owned(),
            address: SocketAddr::new(address, place.port),
            fill: 0.0,
            control_signal: 0.0,
            ready: true,
            states_sent: 0,
            errors: 0,
            errors_in_a_row: 0,
            last_error: None,
            registrations: 0,
            clock_skew_s: None,
        };
        let mut keeper = Self {
            pid: Pid::new(registration.gains, registration.horizon, Duration::ZERO),
            water: HighWater::new(registration.high_water),
            lb,
            states,
            worker,
            gauges,
            status: Arc::new(Mutex::new(status)),
            registrar: Registrar::default(),
            registration,
            counters: Counters::default(),
            look_at: Duration::ZERO,
            started: Instant::now(),
        };
        let lb = keeper.lb.clone();
        keeper.try_to_register(&lb)?;
        Ok(keeper)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Until it is to leave.
    fn run(mut self, leave: &Receiver<()>) {
        self.period(true);
        while self.wait(leave) == Err(RecvTimeoutError::Timeout) {
            self.period(true);
        }
        let until = self.now() + self.registration.linger;
        while self.now() < until && self.registrar.is_registered() {
            self.period(false);
            let left = until.saturating_sub(self.now());
            thread::sleep(self.until_next_period().min(left));
        }
        self.leave();
    }

    fn until_next_period(&self) -> Duration {
        let now = self.now();
        next_period(now, self.registration.period) - now
    }

    fn wait(&self, leave: &Receiver<()>) -> Result<(), RecvTimeoutError> {
        leave.recv_timeout(self.until_next_period())
    }

    /// What there is to do in one period; `welcome`: whether events are.
    fn period(&mut self, welcome: bool) {
        match self.registrar.next(self.now()) {
            Act::Rest => {}
            Act::Tell => self.tell(welcome),
            Act::Register => {
                lock(&self.status).state = self.registrar.state();
                let deadline = ANEW_DEADLINE.min(self.registration.options.timeout);
                let lb = self.lb.with_timeout(deadline);
                if let Err(error) = self.try_to_register(&lb) {
                    self.note(&error);
                }
            }
        }
        if self.registrar.is_registered() && self.now() >= self.look_at {
            self.look();
        }
    }

    fn try_to_register(&mut self, lb: &LoadBalancer) -> Result<(), load_balancer::Error> {
        let answer = lb.register(None, &self.worker);
        let outcome = outcome(&answer);
        self.registrar.registered(self.now(), outcome);
        match answer {
            Ok(session) => {
                tracing::info!(
                    "registered as {} with load balancer {}: session {}",
                    self.worker.name,
                    self.lb.uri().lb_id(),
                    session.id
                );
                self.pid = Pid::new(self.registration.gains, self.registration.horizon, self.now());
                self.look_at = self.now();
                let mut status = lock(&self.status);
                status.state = self.registrar.state();
                status.session_id = session.id;
                status.registrations += 1;
                Ok(())
            }
            Err(error) => {
                if outcome == Outcome::Failed {
                    self.forget_half_done();
                }
                Err(error)
            }
        }
    }

    /// A registration without an answer may have been done all the same.
    fn forget_half_done(&self) {
        let lb = self.lb.with_timeout(LEAVE_DEADLINE.min(self.registration.options.timeout));
        let Ok(status) = lb.status(None) else { return };
        let ours = status.workers.iter().filter(|worker| self.is_here(worker));
        for session in ours.filter_map(|worker| worker.session) {
            // It is forgotten after a minute otherwise.
            let _ = lb.deregister(Some(&session.to_string()));
        }
    }

    fn tell(&mut self, welcome: bool) {
        let fill = self.gauges.fill();
        let control_signal = self.pid.step(fill, self.now());
        let ready = self.water.is_ready(fill) && welcome;
        if self.registration.report_counters {
            self.counters = self.gauges.counters(&self.counters);
        }
        let counters = self.counters;
        let at = SystemTime::now();
        let answer =
            self.states.send_state(None, &State { at, fill, control_signal, ready, counters });
        self.registrar.told(ready, outcome(&answer));
        let mut status = lock(&self.status);
        status.state = self.registrar.state();
        (status.fill, status.control_signal, status.ready) = (fill, control_signal, ready);
        if let Err(error) = answer {
            drop(status);
            return self.note(&error);
        }
        status.states_sent += 1;
        let failed = std::mem::take(&mut status.errors_in_a_row);
        drop(status);
        if failed > 0 {
            tracing::info!("the load balancer takes states again, after {failed} failures");
        }
    }

    /// Counts an error, and tells of the first one in a row.
    fn note(&self, error: &load_balancer::Error) {
        let mut status = lock(&self.status);
        status.state = self.registrar.state();
        status.errors += 1;
        status.errors_in_a_row += 1;
        status.last_error = Some(error.to_string());
        let first = status.errors_in_a_row == 1;
        // Whoever logs may ask how things stand.
        drop(status);
        if first {
            tracing::warn!("{error}; data keep flowing, and it is tried again");
        }
    }

    /// Whether the clocks are apart, of which the client warns; and whether
    /// the load balancer still names us.
    fn look(&mut self) {
        self.look_at = self.now() + LOOK_EVERY;
        let answer = match self.states.status(None) {
            Ok(answer) => answer,
            Err(error) => return tracing::debug!("no view of this worker: {error}"),
        };
        let session = {
            let mut status = lock(&self.status);
            status.clock_skew_s = answer.clock_ahead;
            status.session_id.clone()
        };
        // An answer that does not even have a time says nothing.
        if answer.at.is_none() {
            return;
        }
        let ours = |worker: &WorkerStatus| match worker.session {
            Some(id) => id.to_string() == session,
            None => self.is_here(worker),
        };
        self.registrar.named(answer.workers.iter().any(ours));
        if self.registrar.is_missed() {
            // Once more, before something is done about it.
            self.look_at = self.now();
        } else if !self.registrar.is_registered() {
            let asked = format!("session {session}");
            let found = "the load balancer has no such worker any more";
            let remedy = "see who deregistered it";
            self.note(&load_balancer::Error::new(ErrorKind::NotFound, asked, found, remedy));
        }
    }

    /// Whether that is a session of ours.
    fn is_here(&self, worker: &WorkerStatus) -> bool {
        let Register { name, address, port, .. } = &self.worker;
        (&worker.name, worker.address, worker.port) == (name, Some(*address), Some(*port))
    }

    fn leave(&mut self) {
        if self.registrar.is_registered() {
            let lb = self.lb.with_timeout(LEAVE_DEADLINE.min(self.registration.options.timeout));
            let answer = lb.deregister(None).or_else(|_| lb.deregister(None));
            if let Err(error) = answer {
                lock(&self.status).last_error = Some(error.to_string());
                tracing::warn!("{error}; the load balancer forgets us within a minute");
            }
        }
        self.registrar.left();
        let mut status = lock(&self.status);
        (status.state, status.ready) = (self.registrar.state(), false);
    }
}

fn outcome<T>(answer: &Result<T, load_balancer::Error>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Taken,
        Err(error) if error.is_denied() => Outcome::Denied,
        Err(_) => Outcome::Failed,
    }
}
