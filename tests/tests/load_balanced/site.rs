//! The hosts, the load balancer, and what it counted.

use std::{
    cell::Cell,
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    panic::{catch_unwind, resume_unwind},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use xdpsar::{
    EjfatUri, LoadBalancer, TokenKind,
    load_balancer::{Options, Reserve, Status},
};
use xdpsar_lb_server::{Config, Server};
use xdpsar_tests::{
    Lab, LabConfig,
    pace::{PATIENCE, until},
};

use crate::{source::Source, worker::Worker};

thread_local! {
    /// Whether the last site's load balancer dropped anything.
    static DISTURBED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a test in which the load balancer is to drop nothing. If a machine
/// stalls for longer than the 2 s after which a load balancer takes its
/// workers for dead, it does: then the test is run again.
pub(crate) fn undisturbed(test: impl Fn() + std::panic::UnwindSafe + Copy) {
    for _ in 0..2 {
        match catch_unwind(test) {
            Ok(()) => return,
            Err(_) if DISTURBED.get() => println!("the machine stalled: once more"),
            Err(panic) => resume_unwind(panic),
        }
    }
    test();
}

/// Fields go in this order: the control plane before its network.
pub(crate) struct Site {
    pub(crate) lb: LoadBalancer,
    pub(crate) server: Server,
    pub(crate) lab: Lab,
    v6: bool,
}

impl Site {
    /// With a reserved load balancer. Its control plane is at `control`, if
    /// that is named, an address of the sender's host.
    pub(crate) fn new(v6: bool, control: Option<IpAddr>) -> Self {
        let lab = Lab::new(LabConfig::default());
        let here = lab.sender.address(v6);
        let config = Config {
            listen: SocketAddr::new(here, 0),
            plane: Some(here),
            ticks: true,
            lbs: 1,
            v6,
            ..Config::default()
        };
        if let Some(control) = control {
            lab.sender.tool(&format!("ip addr add {control}/24 dev {}", lab.sender.interface));
        }
        let listen = SocketAddr::new(control.unwrap_or(here), 0);
        let config = Config { listen, ..config };
        let (server, lb) = lab.sender.run(|| {
            let server = Server::start(config).expect("a server");
            let uri = EjfatUri::parse(&server.uri(None), TokenKind::Admin).expect("a URI");
            let options = Options { timeout: PATIENCE, ..Options::default() };
            let lb = LoadBalancer::new(uri, &options).expect("a client");
            lb.reserve(&Reserve::new("whole-run")).expect("a reservation");
            (server, lb)
        });
        Self { lb, server, lab, v6 }
    }

    /// As workers and senders have it: with the reservation's token only.
    pub(crate) fn uri(&self) -> EjfatUri {
        let text = self.lb.uri().reveal_with(TokenKind::Instance);
        EjfatUri::parse(&text, TokenKind::Instance).expect("a URI")
    }

    /// Where the workers are.
    pub(crate) fn workers_host(&self) -> IpAddr {
        self.lab.receiver.address(self.v6)
    }

    pub(crate) fn status(&self) -> Status {
        self.lb.status(None).expect("a status")
    }

    /// Stops the control plane, if it runs, and starts it again, at the same
    /// address.
    pub(crate) fn restart(&mut self) {
        let Self { lab, server, .. } = self;
        lab.sender.run(|| server.restart()).expect("its port again");
    }

    /// What the data plane counted by this name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters().get(name).copied().unwrap_or(0)
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        self.server.counters(self.lb.uri().lb_id())
    }

    /// Packets that a worker was sent.
    pub(crate) fn forwarded(&self, worker: &Worker) -> u64 {
        let count = |session| self.counter(&format!("session/{session}/mbr_tx_pkts"));
        worker.sessions.iter().map(count).sum()
    }

    /// Packets that nobody was sent.
    pub(crate) fn dropped(&self) -> u64 {
        let counters = self.counters();
        counters.iter().filter(|(name, _)| name.starts_with("drop_")).map(|(_, count)| count).sum()
    }

    /// The load balancer dropped nothing so far.
    pub(crate) fn drops_nothing(&self) {
        assert_eq!(self.dropped(), 0, "{:?}", self.counters());
    }

    /// Returns once exactly these workers have slots, in the epoch that
    /// events now belong to.
    pub(crate) fn settled(&self, workers: &[&Worker]) {
        let mut wanted: Vec<&str> = workers.iter().map(|worker| worker.name).collect();
        wanted.sort_unstable();
        until("the workers have their slots", || {
            let status = self.status();
            let serving = status.workers.iter().filter(|worker| worker.slots_assigned > 0);
            let mut serving: Vec<&str> = serving.map(|worker| worker.name.as_str()).collect();
            serving.sort_unstable();
            let begins = UNIX_EPOCH + Duration::from_micros(status.predicted_event_number);
            if serving == wanted && SystemTime::now() > begins {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
            false
        });
    }

    /// Whatever the load balancer forwarded to these workers has arrived, in
    /// whole events; and whatever was sent it has forwarded or counted as
    /// dropped.
    pub(crate) fn balanced_books(&self, source: &Source, workers: &[&Worker]) {
        until("all that was forwarded has arrived", || {
            workers.iter().all(|worker| worker.packets() == self.forwarded(worker))
        });
        let all: u64 = self
            .counters()
            .iter()
            .filter(|(name, _)| name.ends_with("/mbr_tx_pkts"))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(all + self.dropped(), source.packets, "{:?}", self.counters());
    }

    /// Nothing is left: no worker, no sender, no reservation, no connection
    /// but the test's own.
    pub(crate) fn free(&self) {
        until("all workers are gone", || self.status().workers.is_empty());
        assert_eq!(self.status().senders, [] as [IpAddr; 0]);
        until("only the test is connected", || self.server.connections() == 1);
        self.lb.free(None).expect("freed");
        assert!(self.lb.overview().expect("an overview").is_empty());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        DISTURBED.set(self.dropped() > 0);
    }
}
