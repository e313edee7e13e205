//! Servers that are away, slow, forgetful or wrong: data keep flowing, and
//! the receiver is registered again as soon as may be.

use std::time::Duration;

use xdpsar::{RegistrationState, load_balancer::Reset};
use xdpsar_lb_server::Fault;

use crate::common::{Lab, assert_flowing, status, until, until_state};

#[test]
fn a_server_that_is_away_and_comes_back() {
    let mut lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    let session = status(&receiver).session_id;
    lab.server.stop();
    until("some states fail", || status(&receiver).errors_in_a_row >= 5);
    assert_flowing(&receiver, 1);
    let away = status(&receiver);
    assert!(away.last_error.is_some_and(|error| error.contains("the state of session")));
    // Somebody may get hold of the port meanwhile.
    until("it is back", || lab.server.restart().is_ok());
    until("it is taken again", || status(&receiver).errors_in_a_row == 0);
    until_state(&receiver, RegistrationState::Ready);
    let back = status(&receiver);
    assert_eq!((back.registrations, back.session_id), (1, session), "still the same session");
    assert_flowing(&receiver, 2);
    lab.until_slots(&[512]);
}

#[test]
fn a_session_that_is_gone() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    let session = status(&receiver).session_id;
    lab.lb.reset(None, Reset { workers: true, ..Reset::default() }).expect("reset");
    until("a second registration", || status(&receiver).registrations == 2);
    until_state(&receiver, RegistrationState::Ready);
    let now = status(&receiver);
    assert_ne!(now.session_id, session);
    assert!(now.last_error.is_some_and(|error| error.contains("PERMISSION_DENIED")));
    assert_eq!(lab.worker().session.map(|id| id.to_string()), Some(now.session_id));
    assert_flowing(&receiver, 1);
    receiver.join();
    assert!(lab.workers().is_empty());
}

/// Its token still takes states, and they have no effect.
#[test]
fn a_session_that_somebody_else_ended() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    lab.lb.deregister(Some(&status(&receiver).session_id)).expect("deregistered");
    assert!(lab.workers().is_empty());
    // An answer without anything in it says nothing of us.
    lab.server.disturb("LoadBalancerStatus", Fault::Empty, 1);
    until("a second registration", || status(&receiver).registrations == 2);
    assert!(status(&receiver).last_error.is_some_and(|error| error.contains("no such worker")));
    until_state(&receiver, RegistrationState::Ready);
    assert_eq!(lab.worker().name, "node");
}

/// To a server whose clock is a minute ahead we have been silent for a
/// minute: it forgets us, and we know why.
#[test]
fn clocks_that_are_apart_are_named() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until("the clocks are compared", || {
        status(&receiver).clock_skew_s.is_some_and(|skew| skew.abs() < 2.0)
    });
    lab.server.advance(Duration::from_secs(66));
    until("a second registration", || status(&receiver).registrations == 2);
    until("the clocks are compared again", || {
        status(&receiver).clock_skew_s.is_some_and(|skew| (60.0..70.0).contains(&skew))
    });
    assert_flowing(&receiver, 1);
    drop(receiver);

    let receiver = lab.start("late");
    until("it is known at once", || {
        status(&receiver).clock_skew_s.is_some_and(|skew| (60.0..70.0).contains(&skew))
    });
}

/// A reservation that is over comes back only by somebody's hand; until then
/// it is asked for now and then.
#[test]
fn a_reservation_that_is_over() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    // The client forgets which one that was.
    lab.lb.free(None).expect("freed");
    until("it is lost", || status(&receiver).state == RegistrationState::Lost);
    let errors = status(&receiver).errors;
    until("it is tried again", || status(&receiver).errors >= errors + 2);
    assert_flowing(&receiver, 1);
    receiver.join();
    assert_eq!(status(&receiver).state, RegistrationState::Deregistered);
    assert_eq!((status(&receiver).registrations, lab.server.calls("Deregister")), (1, 0));
}

#[test]
fn states_that_meet_faults() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    let faults = [
        Fault::Silence,
        Fault::Delay(Duration::from_secs(1)),
        Fault::Reset,
        // UNAVAILABLE, INTERNAL, INVALID_ARGUMENT
        Fault::Refusal(14),
        Fault::Refusal(13),
        Fault::Refusal(3),
        Fault::Reply(vec![0xff; 7]),
    ];
    for (number, fault) in (1..).zip(faults) {
        let errors = status(&receiver).errors;
        lab.server.disturb("SendState", fault.clone(), 3);
        until(&format!("{fault:?} is noticed"), || status(&receiver).errors >= errors + 3);
        assert_flowing(&receiver, number);
        until("it goes on", || status(&receiver).errors_in_a_row == 0);
        until_state(&receiver, RegistrationState::Ready);
    }
    assert_eq!((status(&receiver).registrations, lab.worker().name.as_str()), (1, "node"));
}

/// One that had its effect is undone before the next one.
#[test]
fn registrations_that_meet_faults() {
    let lab = Lab::new();
    let receiver = lab.start("node");
    until_state(&receiver, RegistrationState::Ready);
    lab.server.disturb("Register", Fault::Unanswered, 1);
    lab.server.disturb("Register", Fault::Empty, 1);
    lab.server.disturb("Register", Fault::Reset, 1);
    lab.server.disturb("Register", Fault::Refusal(13), 1);
    lab.lb.reset(None, Reset { workers: true, ..Reset::default() }).expect("reset");
    assert_flowing(&receiver, 1);
    until("a second registration", || status(&receiver).registrations == 2);
    assert_eq!(lab.server.calls("Register"), 1 + 4 + 1);
    until_state(&receiver, RegistrationState::Ready);
    assert_eq!(lab.worker().name, "node");
}

/// However the server behaves, a stop ends.
#[test]
fn stopped_though_nobody_answers() {
    let mut lab = Lab::new();
    let silent = lab.start("silent");
    let lost = lab.start("lost");
    lab.lb.reset(None, Reset { workers: true, ..Reset::default() }).expect("reset");
    lab.server.disturb("*", Fault::Silence, usize::MAX);
    for receiver in [silent, lost] {
        assert_flowing(&receiver, 1);
        receiver.join();
        assert_eq!(status(&receiver).state, RegistrationState::Deregistered);
    }
    lab.server.calm();
    let gone = lab.start("gone");
    lab.server.stop();
    gone.join();
    let end = status(&gone);
    assert_eq!(end.state, RegistrationState::Deregistered);
    assert!(end.last_error.is_some_and(|error| error.contains("deregister session")));
}
