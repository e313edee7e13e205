//! From registered to deregistered, with a server that is well.

use std::{net::IpAddr, thread, time::Duration};

use xdpsar::{
    Gains, LbFraming, Registration, RegistrationState, TokenKind, load_balancer::PortRange,
};

use xdpsar_lb_server::{Config, Identity};

use crate::common::{
    Lab, PATIENCE, assert_flowing, send, start, start_at, status, until, until_state,
};

#[test]
fn registered_while_it_receives() {
    let lab = Lab::new();
    let registration = Registration {
        weight: 0.5,
        min_factor: 0.25,
        max_factor: 4.0,
        ..lab.registration("node-1")
    };
    let secret = lab.uri().token_for(TokenKind::Instance).unwrap().reveal().to_owned();
    assert!(!format!("{registration:?}").contains(&secret));
    let receiver = start(|builder| builder.ports(4).register(registration.clone())).unwrap();
    let now = status(&receiver);
    assert_eq!((now.state, now.registrations), (RegistrationState::Ready, 1));
    assert_eq!((now.address, now.lb_id.as_str()), (receiver.local_addr(), lab.lb.uri().lb_id()));
    let worker = lab.worker();
    assert_eq!(worker.session.map(|id| id.to_string()), Some(now.session_id));
    assert_eq!((worker.name.as_str(), worker.address), ("node-1", Some(now.address.ip())));
    assert_eq!(
        (worker.port, worker.ports),
        (Some(now.address.port()), Some(PortRange::at_least(4)))
    );
    assert_eq!((worker.min_factor, worker.max_factor, worker.keep_lb_header), (0.25, 4.0, false));
    until_state(&receiver, RegistrationState::Ready);
    assert_flowing(&receiver, 1);
    let json = serde_json::to_value(status(&receiver)).unwrap();
    assert_eq!(json["state"], "ready");
    assert_eq!(json["address"], receiver.local_addr().to_string());
    assert!(!json.to_string().contains(&secret));

    receiver.stop();
    assert!(receiver.recv().is_none(), "nothing more");
    assert!(lab.workers().is_empty(), "deregistered before the workers end");
    receiver.join();
    let end = status(&receiver);
    assert_eq!((end.state, end.ready, end.errors), (RegistrationState::Deregistered, false, 0));
    assert_eq!(lab.server.calls("Deregister"), 1);
}

#[test]
fn with_tls() {
    let tls = Some(Identity::signed(&["127.0.0.1"]));
    let lab = Lab::with(Config { tls, ..Config::default() });
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    assert_eq!(lab.worker().name, "node");
    drop(receiver);
    assert!(lab.workers().is_empty());
}

#[test]
fn deregistered_when_dropped_or_stopped_from_elsewhere() {
    let lab = Lab::new();
    let receiver = lab.start("dropped");
    assert_eq!(lab.worker().name, "dropped");
    drop(receiver);
    assert!(lab.workers().is_empty());
    until("the client's connection is closed", || lab.server.connections() == 1);

    let receiver = lab.start("stopped");
    let stopper = receiver.stopper();
    thread::spawn(move || (stopper.stop(), stopper.stop())).join().unwrap();
    assert_eq!(receiver.iter().count(), 0);
    assert!(lab.workers().is_empty());
}

/// Stops that come at once, from everywhere, end once.
#[test]
fn stopped_by_many() {
    let lab = Lab::new();
    for _ in 0..5 {
        let receiver = lab.start("node");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| receiver.join());
            }
        });
        assert!(lab.workers().is_empty());
    }
    assert_eq!(lab.server.calls("Deregister"), 5);
}

#[test]
fn a_full_queue_is_told_and_wants_no_more() {
    let lab = Lab::new();
    let registration = Registration {
        gains: Gains { set_point: 0.5, kp: 100.0, ..Gains::NONE },
        high_water: 0.8,
        ..lab.registration("node")
    };
    let receiver = start(|builder| builder.queue(10).register(registration.clone())).unwrap();
    until_state(&receiver, RegistrationState::Ready);
    let worker = lab.worker();
    assert_eq!((worker.fill, worker.control_signal), (0.0, 50.0));
    lab.until_slots(&[512]);

    // One at a time: loopback loses none, and none finds a full queue.
    for number in 0..10 {
        send(&receiver, number..number + 1, 10);
        until("it is queued", || receiver.stats().queued == number + 1);
    }
    until_state(&receiver, RegistrationState::NotReady);
    let worker = lab.worker();
    assert_eq!((worker.fill, worker.control_signal), (1.0, -50.0));
    lab.until_slots(&[0]);
    assert!(!status(&receiver).ready);

    // Below the mark, but not by a quarter.
    (0..3).for_each(|_| drop(receiver.recv()));
    until("the fill is told", || (lab.worker().fill - 0.7).abs() < 1e-6);
    until_state(&receiver, RegistrationState::NotReady);
    (0..3).for_each(|_| drop(receiver.recv()));
    until_state(&receiver, RegistrationState::Ready);
    lab.until_slots(&[512]);
}

/// Events that the consumer keeps fill the memory, not the queue.
#[test]
fn full_memory_counts_too() {
    let lab = Lab::new();
    let receiver =
        start(|builder| builder.memory(1 << 20).register(lab.registration("node"))).unwrap();
    let mut kept = Vec::new();
    for number in 0..12 {
        send(&receiver, number..number + 1, 50_000);
        kept.push(receiver.recv_timeout(PATIENCE).expect("an event"));
    }
    until("the fill is told", || (0.5..=1.0).contains(&lab.worker().fill));
    assert_eq!(receiver.stats().queued, 0);
    drop(kept);
    // A worker notices with its next batch what came back to it.
    let mut number = 100;
    until("the memory is free again", || {
        number += 1;
        assert_flowing(&receiver, number);
        lab.worker().fill < 0.2
    });
}

#[test]
fn what_is_counted_is_told_unless_it_is_not_to_be() {
    let lab = Lab::new();
    let receiver = lab.start("counts");
    for number in 0..5 {
        send(&receiver, number..number + 1, 80);
        until("it is queued", || receiver.stats().queued == number + 1);
    }
    (0..3).for_each(|_| drop(receiver.recv()));
    until("all of it is told", || {
        let counters = lab.worker().counters;
        counters.events_received == 5
            && counters.events_reassembled == 5
            && counters.events_dequeued == 3
            && counters.packets_received == 5
            && counters.bytes_received == 5 * 100
            && (counters.reassembly_errors, counters.enqueue_errors) == (0, 0)
    });
    receiver.join();

    let registration = Registration { report_counters: false, ..lab.registration("silent") };
    let receiver = start(|builder| builder.register(registration.clone())).unwrap();
    assert_flowing(&receiver, 1);
    until_state(&receiver, RegistrationState::Ready);
    assert_eq!(lab.worker().counters, xdpsar::load_balancer::Counters::default());
}

/// The load balancer is told the address that faces it, also if its own has
/// to be asked for first.
#[test]
fn the_address_that_faces_the_load_balancer() {
    let lab = Lab::new();
    let bare = Registration {
        uri: lab.uri().without_data(false).without_data(true),
        ..lab.registration("asks")
    };
    for registration in [lab.registration("knows"), bare] {
        let start = || start_at("0.0.0.0", |builder| builder.register(registration.clone()));
        let receiver = start().unwrap();
        let ip: IpAddr = [127, 0, 0, 1].into();
        assert_eq!((lab.worker().address, status(&receiver).address.ip()), (Some(ip), ip));
    }
    assert_eq!(lab.server.calls("GetLoadBalancer"), 1);
    let named: IpAddr = [192, 0, 2, 9].into();
    let registration = Registration { address: Some(named), ..lab.registration("named") };
    let receiver =
        start(|builder| builder.lb_header(LbFraming::Keep).register(registration.clone()));
    let receiver = receiver.unwrap();
    let worker = lab.worker();
    assert_eq!((worker.address, worker.keep_lb_header), (Some(named), true));
    assert_eq!(status(&receiver).address.ip(), named);
}

#[test]
fn two_share_a_load_balancer() {
    let lab = Lab::new();
    let (one, other) = (lab.start("one"), lab.start("other"));
    for receiver in [&one, &other] {
        until_state(receiver, RegistrationState::Ready);
    }
    lab.until_slots(&[256, 256]);
    one.join();
    until_state(&other, RegistrationState::Ready);
    lab.until_slots(&[512]);
    assert_eq!(lab.worker().name, "other");
}

/// Not ready first, but there, and receiving; seen in one of some attempts.
#[test]
fn it_lingers_if_it_is_to() {
    let lab = Lab::new();
    let registration = Registration { linger: Duration::from_secs(1), ..lab.registration("node") };
    let lingered = (0..20).any(|number| {
        let receiver = start(|builder| builder.register(registration.clone())).unwrap();
        until_state(&receiver, RegistrationState::Ready);
        receiver.stop();
        let mut seen = false;
        until("it is gone", || {
            lab.server.tick();
            let workers = lab.workers();
            let idle = workers.iter().any(|worker| worker.slots_assigned == 0);
            if idle && status(&receiver).state == RegistrationState::NotReady && !seen {
                send(&receiver, number..number + 1, 100);
                seen = receiver.recv_timeout(PATIENCE).is_ok();
            }
            workers.is_empty()
        });
        seen
    });
    assert!(lingered);
}

/// Waiting for answers is a thread's own business.
#[test]
fn inside_of_a_runtime() {
    let lab = Lab::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let receiver = lab.registration("node");
        let receiver = start(|builder| builder.register(receiver.clone())).unwrap();
        assert_flowing(&receiver, 1);
        assert_eq!(status(&receiver).state, RegistrationState::Ready);
    });
    assert!(lab.workers().is_empty());
}

#[test]
fn who_is_not_to_be_registered_is_not() {
    let receiver = start(|builder| builder).unwrap();
    assert!(receiver.registration().is_none());
}

/// Registered only once it is wanted, and for a while.
#[test]
fn registered_and_deregistered_while_it_receives() {
    let lab = Lab::new();
    let receiver = start(|builder| builder).unwrap();
    assert!(receiver.registration().is_none());
    receiver.deregister();
    for round in 1..=2 {
        receiver.register(lab.registration("node")).unwrap();
        until_state(&receiver, RegistrationState::Ready);
        assert_eq!(lab.worker().port, Some(receiver.local_addr().port()));
        let error = receiver.register(lab.registration("again")).expect_err("it is registered");
        assert!(error.to_string().contains("deregister it before"), "{error}");
        assert_flowing(&receiver, round);
        receiver.deregister();
        assert!(lab.workers().is_empty());
        assert_eq!(status(&receiver).state, RegistrationState::Deregistered);
        assert_flowing(&receiver, 100 + round);
    }
    let refused = Registration { name: "-".into(), ..lab.registration("") };
    receiver.register(refused).expect_err("no name for a worker");
    assert_flowing(&receiver, 200);
    receiver.register(lab.registration("node")).unwrap();
    receiver.stop();
    assert!(receiver.recv().is_none(), "stopped");
    assert!(lab.workers().is_empty());
    let error = receiver.register(lab.registration("late")).expect_err("it was stopped");
    assert!(!error.to_string().is_empty());
    receiver.join();
    let error = receiver.register(lab.registration("late")).expect_err("it was stopped");
    assert!(error.to_string().contains("was stopped"), "{error}");
    assert_eq!(lab.server.calls("Register"), lab.server.calls("Deregister"));
}

/// Whoever comes first: nothing hangs, and nobody stays registered.
#[test]
fn stopped_while_it_registers() {
    for _ in 0..20 {
        let lab = Lab::new();
        let receiver = start(|builder| builder).unwrap();
        thread::scope(|scope| {
            // Either may come first, which decides whether it is refused.
            scope.spawn(|| drop(receiver.register(lab.registration("node"))));
            scope.spawn(|| receiver.stop());
        });
        assert!(receiver.recv().is_none());
        receiver.join();
        assert!(lab.workers().is_empty());
    }
}
