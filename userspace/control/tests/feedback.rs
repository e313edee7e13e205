//! What a load balancer is told of a worker, and when: `control-plane.md`
//! §9.6, `data-plane.md` §4.10.
#![cfg(feature = "client")]

use std::time::Duration;

use proptest::prelude::*;
use xdpsar_control::{
    feedback::{Gains, HighWater, LIMIT, Pid, fill},
    registration::{Act, Outcome, RETRY, Registrar, RegistrationState, next_period},
};

const PERIOD: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// One signal for each fill, a period apart.
fn signals(gains: Gains, fills: &[f32]) -> Vec<f32> {
    let mut pid = Pid::new(gains, SECOND, Duration::ZERO);
    (1..).zip(fills).map(|(at, fill)| pid.step(*fill, PERIOD * at)).collect()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    let near = found.len() == expected.len()
        && found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-5);
    assert!(near, "{found:?} instead of {expected:?}");
}

/// The sequences of `data-plane.md` §4.10; the integral by each sample's own
/// interval.
#[test]
fn known_sequences() {
    let fills = [0.0, 0.1, 0.2, 0.5, 0.8];
    let at = |kp, ki, kd| signals(Gains { set_point: 0.5, kp, ki, kd }, &fills);
    assert_near(&at(1.0, 0.0, 0.0), &[0.5, 0.4, 0.3, 0.0, -0.3]);
    assert_near(&at(0.0, 1.0, 0.0), &[0.05, 0.09, 0.12, 0.12, 0.09]);
    assert_near(&at(0.0, 0.0, 1.0), &[5.0, 2.0, 1.0, 0.0, -0.6]);
    assert_near(&at(1.0, 0.5, 0.1), &[1.025, 0.645, 0.46, 0.06, -0.315]);
    assert_near(&signals(Gains::NONE, &fills), &[0.0; 5]);
}

#[test]
fn the_derivative_is_over_the_horizon() {
    let gains = Gains { kd: 1.0, ..Gains::NONE };
    let mut pid = Pid::new(gains, SECOND, Duration::ZERO);
    let mut step = |tenths: u32, fill| pid.step(fill, PERIOD * tenths);
    for at in 1..=20 {
        step(at, 0.0);
    }
    assert_near(&[step(21, 0.5)], &[-0.5]);
    for at in 22..=31 {
        step(at, 0.5);
    }
    assert_near(&[step(32, 0.5)], &[0.0]);
}

/// After a long time at the limit, the signal turns as soon as the error
/// does.
#[test]
fn the_integral_does_not_wind_up() {
    let gains = Gains { set_point: 0.5, ki: 2000.0, ..Gains::NONE };
    let mut fills = vec![1.0; 600];
    fills.extend([0.0; 10]);
    let signals = signals(gains, &fills);
    assert!(signals[599] < -0.9 * LIMIT, "{}", signals[599]);
    assert!(signals[609] > -0.1 * LIMIT, "{}", signals[609]);
}

#[test]
fn a_pause_counts_as_one_horizon() {
    let gains = Gains { set_point: 1.0, ki: 100.0, ..Gains::NONE };
    let mut pid = Pid::new(gains, SECOND, Duration::ZERO);
    assert_near(&[pid.step(0.0, SECOND * 3600)], &[100.0]);
}

#[test]
fn fills() {
    assert_eq!([fill(0.0, 10.0), fill(5.0, 10.0), fill(10.0, 10.0)], [0.0, 0.5, 1.0]);
    assert_eq!(
        [fill(11.0, 10.0), fill(1.0, 0.0), fill(0.0, 0.0), fill(-1.0, 1.0)],
        [1.0, 1.0, 1.0, 0.0]
    );
}

#[test]
fn high_water_has_hysteresis() {
    let mut water = HighWater::new(0.8);
    let mut seen = |fills: [f32; 4]| fills.map(|fill| water.is_ready(fill));
    assert_eq!(seen([0.0, 0.8, 0.81, 0.7]), [true, true, false, false]);
    assert_eq!(seen([0.61, 0.59, 0.79, 0.9]), [false, true, true, false]);
    let mut always = HighWater::new(1.0);
    assert!(always.is_ready(1.0));
}

/// Each state, each answer.
#[test]
fn transitions() {
    use RegistrationState as State;
    let mut now = Duration::ZERO;
    let mut it = Registrar::default();
    assert_eq!((it.state(), it.is_registered()), (State::Registering, false));
    assert_eq!(it.next(now), Act::Register);
    it.registered(now, Outcome::Taken);
    assert_eq!((it.state(), it.is_registered()), (State::Ready, true));
    for (ready, outcome, state) in [
        (true, Outcome::Taken, State::Ready),
        (true, Outcome::Failed, State::Ready),
        (false, Outcome::Failed, State::Ready),
        (false, Outcome::Taken, State::NotReady),
        (true, Outcome::Failed, State::NotReady),
        (true, Outcome::Taken, State::Ready),
    ] {
        assert_eq!(it.next(now), Act::Tell);
        it.told(ready, outcome);
        assert_eq!(it.state(), state);
    }
    it.told(true, Outcome::Denied);
    assert_eq!((it.state(), it.is_registered()), (State::Lost, false));
    assert_eq!(it.next(now), Act::Rest, "too soon after the first registration");
    for outcome in [Outcome::Denied, Outcome::Failed] {
        now += RETRY;
        assert_eq!(it.next(now), Act::Register);
        assert_eq!(it.state(), State::Registering);
        it.registered(now, outcome);
        assert_eq!((it.state(), it.next(now)), (State::Lost, Act::Rest));
    }
    now += RETRY * 60;
    assert_eq!(it.next(now), Act::Register);
    it.registered(now, Outcome::Taken);
    it.told(true, Outcome::Taken);
    assert_eq!(it.state(), State::Ready);
    it.left();
    assert_eq!((it.state(), it.next(now + RETRY * 60)), (State::Deregistered, Act::Rest));
}

/// A load balancer that does not name a worker is believed the second time.
#[test]
fn sessions_that_somebody_else_ended() {
    let mut it = Registrar::default();
    it.named(false);
    assert!(!it.is_missed(), "it was never registered");
    it.registered(Duration::ZERO, Outcome::Taken);
    for among_them in [true, false, true, false] {
        it.named(among_them);
        assert_eq!((it.is_missed(), it.is_registered()), (!among_them, true));
    }
    it.named(false);
    assert_eq!((it.is_missed(), it.state()), (false, RegistrationState::Lost));
    it.registered(RETRY, Outcome::Taken);
    it.named(false);
    assert!(it.is_missed() && it.is_registered(), "the count begins anew");
}

#[test]
fn states_are_named_as_in_json() {
    use RegistrationState as State;
    let names =
        [State::Registering, State::Ready, State::NotReady, State::Lost, State::Deregistered];
    let names = names.map(|state| state.to_string());
    assert_eq!(names, ["registering", "ready", "not_ready", "lost", "deregistered"]);
}

fn gain() -> impl Strategy<Value = f32> {
    prop_oneof![-1e6..1e6_f32, Just(0.0), Just(f32::MAX), Just(f32::MIN)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Taken), Just(Outcome::Denied), Just(Outcome::Failed)]
}

proptest! {
    #[test]
    fn signals_are_finite_and_within_the_limit(
        gains in (0.0..=1.0_f32, gain(), gain(), gain()),
        steps in prop::collection::vec((any::<f32>(), 0..5_000_u64), 1..200),
    ) {
        let (set_point, kp, ki, kd) = gains;
        let gains = Gains { set_point, kp, ki, kd };
        prop_assert!(gains.are_usable());
        let mut pid = Pid::new(gains, SECOND, Duration::ZERO);
        let mut now = Duration::ZERO;
        for (level, after) in steps {
            now += Duration::from_millis(after);
            let signal = pid.step(fill(level.into(), 1.0), now);
            prop_assert!(signal.is_finite() && signal.abs() <= LIMIT, "{signal}");
        }
    }

    #[test]
    fn fills_can_be_sent(part in any::<f64>(), whole in any::<f64>()) {
        prop_assert!((0.0..=1.0).contains(&fill(part, whole)));
    }

    #[test]
    fn gains_that_are_no_numbers_are_refused(at in 0..4_usize, bad in prop_oneof![
        Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)
    ]) {
        let mut all = [0.0; 4];
        all[at] = bad;
        let [set_point, kp, ki, kd] = all;
        let refused = !Gains { set_point, kp, ki, kd }.are_usable();
        prop_assert!(refused);
    }

    #[test]
    fn periods_begin_at_multiples(
        now in 0..u64::MAX / 4, period in 1..10_000_000_000_u64,
    ) {
        let (at, period) = (Duration::from_nanos(now), Duration::from_nanos(period));
        let next = next_period(at, period);
        prop_assert!(next > at && next - at <= period);
        prop_assert_eq!(next.as_nanos() % period.as_nanos(), 0);
    }

    /// Never two attempts to register within the time between them, never a
    /// state without a session, and always something to do in the end.
    #[test]
    fn whatever_servers_answer(
        steps in prop::collection::vec((outcome(), any::<bool>(), 1..400_u64), 1..300),
    ) {
        let mut it = Registrar::default();
        let (mut now, mut last, mut session) = (Duration::ZERO, None, false);
        for (outcome, ready, after) in steps {
            now += Duration::from_millis(after);
            match it.next(now) {
                Act::Register => {
                    prop_assert!(last.is_none_or(|last| now - last >= RETRY));
                    prop_assert!(!session);
                    last = Some(now);
                    it.registered(now, outcome);
                    session = outcome == Outcome::Taken;
                }
                Act::Tell => {
                    prop_assert!(session);
                    it.told(ready, outcome);
                    session = outcome != Outcome::Denied;
                }
                Act::Rest => prop_assert!(last.is_some_and(|last| now - last < RETRY)),
            }
            prop_assert_eq!(it.is_registered(), session);
        }
    }
}
