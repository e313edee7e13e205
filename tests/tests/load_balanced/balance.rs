//! Shares by weight; one slows down, one is killed (`control-plane.md` §9).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use xdpsar_tests::{
    pace::{PATIENCE, until},
    privileged,
};

use crate::{
    site::{Site, undisturbed},
    source::Source,
    worker::Worker,
};

/// Between two looks at who gets how much.
const GLANCE: Duration = Duration::from_millis(100);

/// Events of each worker, since counted before.
fn since(workers: &[Worker], before: &[u64]) -> Vec<u64> {
    workers.iter().zip(before).map(|(worker, before)| worker.events() - before).collect()
}

fn events(workers: &[Worker]) -> Vec<u64> {
    workers.iter().map(Worker::events).collect()
}

/// Sends so many events, not more on the way than a queue's sixteenth: nothing
/// overflows, queues are next to empty, and weights stay what they are.
fn in_step(site: &Site, source: &mut Source, workers: &[Worker], number: u64) {
    for _ in 0..number / 16 {
        source.send(site, 16);
        until("they have arrived", || {
            site.drops_nothing();
            events(workers).iter().sum::<u64>() == source.sent
        });
    }
}

/// By weights 1:1:2. A machine that stalls longer than a load balancer waits
/// for a worker's state shifts the shares for a while: so it is tried again.
fn shares(site: &Site, source: &mut Source, workers: &[Worker]) {
    const EVENTS: u64 = 10_000;
    let mut tries = Vec::new();
    for _ in 0..4 {
        let before = events(workers);
        in_step(site, source, workers, EVENTS);
        let shares = since(workers, &before);
        println!("of {EVENTS} events by weights 1:1:2: {shares:?}");
        let fits = |(share, parts): (&u64, u64)| {
            share.abs_diff(EVENTS * parts / 4) * 20 <= EVENTS * parts / 4
        };
        if shares.iter().zip([1, 1, 2]).all(fits) {
            return;
        }
        tries.push(shares);
    }
    panic!("not once within 5 %: {tries:?}");
}

/// Sends until a worker's part of what is forwarded is so; says how long that
/// took.
fn until_part(
    site: &Site,
    source: &mut Source,
    worker: &Worker,
    what: &str,
    part: impl Fn(f64) -> bool,
) -> Duration {
    let begin = Instant::now();
    loop {
        let (forwarded, sent) = (site.forwarded(worker), source.packets);
        source.send_for(site, GLANCE);
        site.drops_nothing();
        let new = (source.packets - sent) as f64;
        if part((site.forwarded(worker) - forwarded) as f64 / new) {
            println!("{what} after {:?}", begin.elapsed());
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: {:?}", site.status().workers);
    }
}

/// Sends until events no longer go to a worker that is dead.
fn until_avoided(site: &Site, source: &mut Source, dead: &Worker, others: &[&Worker]) {
    let begin = Instant::now();
    let (mut forwarded, mut last) = (0, Duration::ZERO);
    loop {
        source.send_for(site, GLANCE);
        let now = site.forwarded(dead);
        if now > forwarded {
            (forwarded, last) = (now, begin.elapsed());
        }
        let status = site.status();
        let has_slots = |name| {
            let mut workers = status.workers.iter();
            workers.any(|worker| worker.name == name && worker.slots_assigned > 0)
        };
        if !has_slots(dead.name) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{:?}", status.workers);
    }
    site.settled(others);
    println!("the killed worker was sent something for {last:?}");
}

/// Each number below once, of those that arrived.
fn arrived(workers: &[Worker], sent: u64) -> BTreeMap<u64, &'static str> {
    let mut arrived = BTreeMap::new();
    for worker in workers {
        for number in worker.got() {
            let twice = arrived.insert(number, worker.name);
            assert!(twice.is_none(), "event {number}: {twice:?} and {}", worker.name);
            assert!(number < sent, "event {number} was never sent");
        }
    }
    arrived
}

#[test]
fn a_whole_run() {
    privileged!();
    undisturbed(whole_run);
}

fn whole_run() {
    let site = Site::new(false, None);
    let mut source = Source::open(&site);
    let mut workers: Vec<Worker> = [("a", 1.0, 20_000), ("b", 1.0, 20_100), ("c", 2.0, 20_200)]
        .map(|(name, weight, port)| Worker::start(&site, &source, name, weight, port))
        .into();
    site.settled(&workers.iter().collect::<Vec<_>>());
    shares(&site, &mut source, &workers);

    // Half of the events are more than a worker bears that naps after each.
    workers[2].nap(Duration::from_millis(20));
    let shed = |part: f64| part < 0.25;
    until_part(&site, &mut source, &workers[2], "a slow worker has half of its share", shed);
    let status = site.status();
    let slow = status.workers.iter().find(|worker| worker.name == "c").expect("it is there");
    assert!(slow.fill > 0.1 && slow.control_signal < -10.0, "{slow:?}");
    until_part(&site, &mut source, &workers[2], "a full worker has no share", |part| part == 0.0);
    assert_eq!(workers[2].status()["ready"], false);
    workers[2].nap(Duration::ZERO);
    until_part(&site, &mut source, &workers[2], "once empty, it is back", |part| part > 0.05);
    site.balanced_books(&source, &workers.iter().collect::<Vec<_>>());
    assert_eq!(arrived(&workers, source.sent).len() as u64, source.sent, "none is lost so far");
    site.drops_nothing();

    let before = source.sent;
    source.send_for(&site, GLANCE);
    workers[1].kill();
    let [a, b, c] = &workers[..] else { unreachable!("there are three") };
    until_avoided(&site, &mut source, b, &[a, c]);
    let after = source.sent;
    source.send_for(&site, Duration::from_secs(1));
    site.balanced_books(&source, &[a, c]);
    let arrived = arrived(&workers, source.sent);
    let lost: Vec<u64> = (0..source.sent).filter(|number| !arrived.contains_key(number)).collect();
    println!("lost with a killed worker: {} of {} events", lost.len(), source.sent);
    site.drops_nothing();
    // The books say that the load balancer sent them to nobody else.
    let out_of_place = lost.iter().find(|number| !(before..after).contains(*number));
    assert_eq!(
        out_of_place, None,
        "lost without need: sent from {before} to {after} are in danger"
    );

    source.close();
    // The dead one's session ends by itself, a minute after its last state.
    let dead = workers.remove(1).sessions.clone();
    workers.into_iter().for_each(Worker::stop);
    site.lb.deregister(dead.last().map(String::as_str)).expect("deregistered");
    site.free();
}

/// All of it by IPv6, control plane and data plane; and one worker by AF_XDP.
#[test]
fn a_run_by_ipv6_and_af_xdp() {
    privileged!();
    undisturbed(run_by_ipv6_and_af_xdp);
}

fn run_by_ipv6_and_af_xdp() {
    let site = Site::new(true, None);
    assert!(site.uri().data_addr().expect("a data address").is_ipv6());
    let mut source = Source::open(&site);
    let workers = [
        Worker::start_xdp(&site, &source, "a", 20_000),
        Worker::start(&site, &source, "b", 1.0, 20_100),
    ];
    site.settled(&workers.each_ref());
    in_step(&site, &mut source, &workers, 2000);
    site.balanced_books(&source, &workers.each_ref());
    assert_eq!(arrived(&workers, source.sent).len(), 2000);
    assert!(workers.iter().all(|worker| worker.events() > 500), "{:?}", events(&workers));
    source.close();
    workers.into_iter().for_each(Worker::stop);
    site.free();
}
