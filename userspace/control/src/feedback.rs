//! From how full a worker's queue is to what its load balancer is told
//! (`control-plane.md` §9.4, §9.6): pure, without a clock.

use std::{collections::VecDeque, time::Duration};

/// Control signals stay within ± this. A load balancer adds them to weights
/// that are 1000 on average, and divides by the weights' sum: as long as no
/// signal reaches −1000, that sum stays above 0.
pub const LIMIT: f32 = 900.0;

/// Of a controller (PID) that turns a queue's fill, 0 to 1, into a control
/// signal: by how much the worker's weight is to change each second, on a
/// scale of 1000 for an average worker.
///
/// By default a worker's weight is left alone while its queue is empty, and
/// falls by half of an average one each second while its queue is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// The fill to aim for.
    pub set_point: f32,
    /// For each unit that the fill is below it. Hundreds, to matter.
    pub kp: f32,
    /// For each unit and second that it was.
    pub ki: f32,
    /// For each unit per second that it falls.
    pub kd: f32,
}

impl Default for Gains {
    fn default() -> Self {
        Self { set_point: 0.0, kp: 500.0, ki: 0.0, kd: 0.0 }
    }
}

impl Gains {
    /// None: E2SAR's default. The weight stays what it was.
    pub const NONE: Self = Self { set_point: 0.0, kp: 0.0, ki: 0.0, kd: 0.0 };

    /// Whether they are numbers, and the fill one that there is.
    pub fn are_usable(&self) -> bool {
        let Self { set_point, kp, ki, kd } = *self;
        (0.0..=1.0).contains(&set_point) && [kp, ki, kd].iter().all(|gain| gain.is_finite())
    }
}

/// A queue's fill as it may be sent: 0 to 1, and 1 if it cannot be told.
pub const fn fill(part: f64, whole: f64) -> f32 {
    let fill = part / whole;
    if fill.is_nan() { 1.0 } else { fill.clamp(0.0, 1.0) as f32 }
}

/// A controller. Time counts from where the caller likes.
///
/// The integral grows by each sample's own interval, of one horizon at most,
/// and not while the signal is at its limit and would be driven further. The derivative is over the
/// horizon, so that one sample's noise counts little.
#[derive(Clone, Debug)]
pub struct Pid {
    gains: Gains,
    horizon: Duration,
    /// Times and errors, the oldest first; never empty.
    history: VecDeque<(Duration, f64)>,
    integral: f64,
}

impl Pid {
    /// One that has seen a queue at its set point until now.
    pub fn new(gains: Gains, horizon: Duration, now: Duration) -> Self {
        Self { gains, horizon, history: VecDeque::from([(now, 0.0)]), integral: 0.0 }
    }

    /// The signal for this fill, within ± [`LIMIT`].
    pub fn step(&mut self, fill: f32, now: Duration) -> f32 {
        let Gains { set_point, kp, ki, kd } = self.gains;
        let [set_point, kp, ki, kd] = [set_point, kp, ki, kd].map(f64::from);
        let error = set_point - f64::from(fill);
        let newest = self.history.back().map_or(now, |(at, _)| *at);
        self.forget(now);
        let (oldest, before) = self.history.front().copied().unwrap_or((now, error));
        let derivative = match now.saturating_sub(oldest).as_secs_f64() {
            0.0 => 0.0,
            seconds => (error - before) / seconds,
        };
        let since = now.saturating_sub(newest).min(self.horizon);
        let integral = self.integral + error * since.as_secs_f64();
        let signal = |integral: f64| kp * error + ki * integral + kd * derivative;
        let wanted = signal(integral);
        let winds_up = wanted.abs() > f64::from(LIMIT) && wanted.signum() == (ki * error).signum();
        if !winds_up {
            self.integral = integral;
        }
        self.history.push_back((now, error));
        let limit = f64::from(LIMIT);
        let signal = signal(self.integral);
        // Not a number only if a gain is none.
        if signal.is_nan() { 0.0 } else { signal.clamp(-limit, limit) as f32 }
    }

    /// Keeps what is within the horizon, and one sample in any case.
    fn forget(&mut self, now: Duration) {
        let past = |(at, _): &(Duration, f64)| now.saturating_sub(*at) > self.horizon;
        while self.history.len() > 1 && self.history.front().is_some_and(past) {
            self.history.pop_front();
        }
    }
}

/// Whether a worker is to get events: not while its queue is fuller than the
/// high-water mark, and then not until it is a quarter below that.
#[derive(Clone, Copy, Debug)]
pub struct HighWater {
    mark: f32,
    ready: bool,
}

impl HighWater {
    /// Below this mark; at 1 always.
    pub const fn new(mark: f32) -> Self {
        Self { mark, ready: true }
    }

    /// With this fill.
    pub fn is_ready(&mut self, fill: f32) -> bool {
        let limit = if self.ready { self.mark } else { 0.75 * self.mark };
        self.ready = fill <= limit;
        self.ready
    }
}
