//! A load balancer lets known senders in only (`control-plane.md` §8): told
//! of ours before the first event, and of its end after the last one.

use std::{
    net::{IpAddr, SocketAddr},
    panic::resume_unwind,
    thread,
    time::Duration,
};

use serde::Serialize;
use xdpsar_control::{EjfatUri, Error as LbError, Options, blocking::LoadBalancer};

use crate::{Error, local_address_towards};

/// Load balancers act on a change of senders with their next tick: once in a
/// second, and programming the hardware takes a little.
const TAKES_EFFECT: Duration = Duration::from_millis(1200);
/// For the last datagrams to pass the load balancer: it may act at once.
const LINGER: Duration = Duration::from_millis(200);
/// An end waits no longer for an answer, whatever the options say.
const LAST_WORD: Duration = Duration::from_secs(3);

/// That a load balancer is to let a segmenter's datagrams in, as long as that
/// lives: see [`SegmenterBuilder::admit`](super::SegmenterBuilder::admit).
#[derive(Clone, Debug)]
pub struct Admission {
    /// The load balancer, with a token of the reservation's.
    pub uri: EjfatUri,
    /// How to reach its control plane.
    pub options: Options,
    /// Where the datagrams come from, as the load balancer sees it. `None`:
    /// the segmenter's source address, or else the one of this host that
    /// faces the load balancer.
    pub addresses: Option<Vec<IpAddr>>,
    /// Whether the addresses lose the right to send at the end. Say no if
    /// other senders of this host go on.
    pub remove: bool,
    /// From the control plane's word to the first event. Default 1.2 s: load
    /// balancers act on it within a second.
    pub takes_effect: Duration,
}

impl Admission {
    /// As long as the segmenter lives, from the address that faces the load
    /// balancer.
    pub fn new(uri: EjfatUri) -> Self {
        Self {
            uri,
            options: Options::default(),
            addresses: None,
            remove: true,
            takes_effect: TAKES_EFFECT,
        }
    }
}

/// Whether a load balancer lets a segmenter's datagrams in. Names are stable:
/// this is also the JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdmissionStatus {
    /// Which load balancer.
    pub lb_id: String,
    /// From where.
    pub addresses: Vec<IpAddr>,
    /// How far it is.
    pub state: AdmissionState,
    /// Calls to the control plane that failed.
    pub errors: u64,
    /// What it said last.
    pub last_error: Option<String>,
}

/// How far an admission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionState {
    /// The addresses may send.
    Admitted,
    /// They no longer may: all was sent.
    Removed,
    /// All was sent, and they may still, as was asked for.
    Kept,
    /// All was sent, and they may still: the control plane did not answer, or
    /// refused.
    LeftBehind,
}

/// Addresses that were let in. They are removed at the end of this, at the
/// latest.
#[derive(Debug)]
pub(super) struct Admitted {
    lb: LoadBalancer,
    timeout: Duration,
    remove: bool,
    status: AdmissionStatus,
}

impl Admitted {
    /// Asks to be let in. What is refused leaves nothing behind.
    pub(super) fn ask(
        admission: Admission,
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<Self, Error> {
        let Admission { uri, options, addresses, remove, .. } = admission;
        let addresses = match (addresses, source) {
            (Some(addresses), _) => addresses,
            (None, Some(source)) => vec![source],
            (None, None) => vec![local_address_towards(to.ip())?],
        };
        let lb_id = uri.lb_id().to_owned();
        let lb = apart(|| {
            let lb = LoadBalancer::new(uri, &options)?;
            let added = lb.add_senders(None, &addresses);
            if let Err(error) = &added
                && error.is_retryable()
                && remove
            {
                // It may have been heard all the same.
                let _ = lb
                    .with_timeout(options.timeout.min(LAST_WORD))
                    .remove_senders(None, &addresses);
            }
            added.map(|()| lb)
        })?;
        let state = AdmissionState::Admitted;
        let status = AdmissionStatus { lb_id, addresses, state, errors: 0, last_error: None };
        Ok(Self { lb, timeout: options.timeout.min(LAST_WORD), remove, status })
    }

    pub(super) fn status(&self) -> AdmissionStatus {
        self.status.clone()
    }

    /// All was sent: the addresses need not be let in any more.
    pub(super) fn leave(&mut self) {
        if self.status.state != AdmissionState::Admitted {
            return;
        }
        if !self.remove {
            self.status.state = AdmissionState::Kept;
            return;
        }
        thread::sleep(LINGER);
        let (lb, addresses) = (self.lb.with_timeout(self.timeout), &self.status.addresses);
        match apart(|| lb.remove_senders(None, addresses)) {
            Ok(()) => self.status.state = AdmissionState::Removed,
            Err(error) => {
                tracing::warn!("{addresses:?} may still send to the load balancer: {error}");
                self.status.state = AdmissionState::LeftBehind;
                self.status.errors += 1;
                self.status.last_error = Some(error.to_string());
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Calls on a thread of their own: the caller's may belong to a runtime, in
/// which nothing may wait.
fn apart<T: Send>(calls: impl FnOnce() -> Result<T, LbError> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("xdpsar-admit".into()).spawn_scoped(scope, calls);
        let thread = thread.map_err(|error| super::no_thread("a thread for a call", error))?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?)
    })
}
