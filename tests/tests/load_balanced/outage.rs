//! A control plane that stops, restarts, hangs up, falls silent: data keep
//! flowing, and workers are back by themselves.

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    thread,
    time::{Duration, Instant},
};

use xdpsar::load_balancer::Reset;
use xdpsar_tests::{pace::PATIENCE, privileged};

use crate::{site::Site, source::Source, worker::Worker};

/// So many seconds a control plane is gone; after 60 load balancers forget
/// their workers.
const SECONDS: &str = "XDPSAR_OUTAGE_S";
/// The control plane's own address, where it has one.
const CONTROL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 3));
/// A connection attempt, and the name service's like.
const SPARE: usize = 4;

struct Run {
    site: Site,
    source: Source,
    workers: [Worker; 2],
}

impl Run {
    fn new(control: Option<IpAddr>) -> Self {
        let site = Site::new(false, control);
        let source = Source::of_single_packets(&site);
        let workers = [("a", 20_000), ("b", 20_100)]
            .map(|(name, port)| Worker::start(&site, &source, name, 1.0, port));
        site.settled(&workers.each_ref());
        Self { site, source, workers }
    }

    fn send_for(&mut self, time: Duration) {
        self.source.send_for(&self.site, time);
    }

    fn events(&self) -> u64 {
        self.workers.iter().map(Worker::events).sum()
    }

    /// Until the load balancer takes each worker's states again; meanwhile
    /// events are sent. Says how long it took.
    fn resumed(&mut self) -> Duration {
        let begin = Instant::now();
        let sent = |worker: &mut Worker| worker.status()["states_sent"].as_u64();
        let before = self.workers.each_mut().map(sent);
        while self.workers.iter_mut().zip(&before).any(|(worker, before)| sent(worker) <= *before) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{:?}",
                self.workers.each_mut().map(Worker::status)
            );
            self.source.send_for(&self.site, Duration::from_millis(20));
        }
        begin.elapsed()
    }

    /// A second in which all that is sent arrives; it is tried again if the
    /// load balancer takes its workers for dead, as it does when a machine
    /// stalls for 2 s.
    fn all_is_well(&mut self) {
        for _ in 0..5 {
            self.site.settled(&self.workers.each_ref());
            let dropped = self.site.dropped();
            self.send_for(Duration::from_secs(1));
            self.site.balanced_books(&self.source, &self.workers.each_ref());
            if self.site.dropped() == dropped {
                return;
            }
        }
        panic!("the load balancer drops packets all the time");
    }

    fn registrations(&mut self) -> [u64; 2] {
        let count = |worker: &mut Worker| worker.status()["registrations"].as_u64();
        self.workers.each_mut().map(count).map(|count| count.expect("a number"))
    }

    fn end(self) {
        let mut numbers: Vec<u64> = self.workers.iter().flat_map(Worker::got).collect();
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|one, other| one < other), "an event came twice");
        self.source.close();
        self.workers.into_iter().for_each(Worker::stop);
        self.site.free();
    }
}

/// It is stopped for long, in mid-run.
#[test]
fn a_control_plane_that_is_gone_for_long() {
    privileged!();
    let seconds = env::var(SECONDS).ok().map_or(6, |seconds| seconds.parse().expect("a number"));
    let mut run = Run::new(None);
    let usual = run.workers.each_ref().map(|worker| (worker.entries("fd"), worker.entries("task")));
    let rate = |run: &mut Run, time: Duration| {
        let (before, begin) = (run.events(), Instant::now());
        run.send_for(time);
        (run.events() - before) as f64 / begin.elapsed().as_secs_f64()
    };
    let before = rate(&mut run, Duration::from_secs(2));
    run.all_is_well();
    let dropped = run.site.dropped();
    run.site.server.stop();
    let meanwhile = rate(&mut run, Duration::from_secs(seconds));
    for (worker, (fds, tasks)) in run.workers.iter_mut().zip(usual) {
        let status = worker.status();
        assert!(status["errors"].as_u64() > Some(0), "{status}");
        assert!(worker.entries("fd") <= fds + SPARE, "open files grow");
        assert!(worker.entries("task") <= tasks + SPARE, "threads grow");
    }
    run.site.balanced_books(&run.source, &run.workers.each_ref());
    assert_eq!(run.site.dropped(), dropped, "the data plane goes on");
    run.site.restart();
    if seconds > 60 {
        // Before any worker is back: all of them are forgotten.
        run.site.server.tick();
    }
    let resumed = run.resumed();
    println!(
        "{before:.0} events/s before, {meanwhile:.0} during {seconds} s without a control plane; \
         states again after {resumed:?}"
    );
    run.all_is_well();
    // What it has for a worker that it forgot, a load balancer drops.
    println!(
        "{} packets dropped meanwhile; registered {:?} times",
        run.site.dropped() - dropped,
        run.registrations()
    );
    for (worker, (fds, tasks)) in run.workers.iter().zip(usual) {
        assert!(worker.entries("fd") <= fds + SPARE, "open files stay");
        assert!(worker.entries("task") <= tasks + SPARE, "threads stay");
    }
    run.end();
}

/// A restart, connections that are reset, one that hears nothing any more:
/// it is the same session after each.
#[test]
fn a_control_plane_in_trouble() {
    privileged!();
    let mut run = Run::new(Some(CONTROL));
    run.send_for(Duration::from_secs(1));
    run.site.restart();
    println!("states again {:?} after a restart", run.resumed());
    run.site.server.hang_up();
    println!("states again {:?} after a reset", run.resumed());

    // Half-open: the connection is there, but what the workers say goes to a
    // station that does not exist.
    let neighbour = |run: &Run, change: &str| {
        let host = &run.site.lab.receiver;
        host.tool(&format!("ip neigh {change} {CONTROL} dev {}", host.interface));
    };
    let errors = |worker: &mut Worker| worker.status()["errors"].as_u64().expect("a number");
    let before = run.workers.each_mut().map(errors);
    neighbour(&run, "replace lladdr 02:00:00:00:00:99 nud permanent to");
    let begin = Instant::now();
    while run.workers.iter_mut().zip(before).any(|(worker, before)| errors(worker) < before + 5) {
        assert!(begin.elapsed() < PATIENCE, "silence is no answer");
        run.send_for(Duration::from_millis(100));
    }
    neighbour(&run, "del");
    println!("states again {:?} after silence", run.resumed());
    run.all_is_well();
    assert_eq!(run.registrations(), [1, 1]);

    // Now the sessions are gone: others take their place.
    let workers = Reset { workers: true, ..Reset::default() };
    run.site.lb.reset(None, workers).expect("reset");
    let begin = Instant::now();
    while run.registrations() != [2, 2] {
        assert!(begin.elapsed() < PATIENCE, "{:?}", run.workers.each_mut().map(Worker::status));
        thread::sleep(Duration::from_millis(20));
    }
    println!("registered anew {:?} after the sessions were gone", begin.elapsed());
    run.all_is_well();
    run.end();
}
