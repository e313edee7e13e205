//! A load balancer live.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use xdpsar::load_balancer::{Error, Status as LbStatus};

use super::Caller;
use crate::{
    args::lb::watch::Monitor,
    output::{
        Report,
        lb::monitor::{Memory, Missed, Watched},
        screen::Screen,
    },
    signals::StopFlag,
    status::{Failure, Status},
};

/// Longest sleep: how late a signal is noticed.
const SLICE: Duration = Duration::from_millis(50);

/// Id, name and state of a load balancer.
type Sample = Vec<(String, String, LbStatus)>;

impl Caller {
    pub(super) fn monitor(&self, args: &Monitor) -> Result<Status, Failure> {
        let stop = StopFlag::install().map_err(|error| {
            Failure::system("handling SIGINT and SIGTERM", error, "report this")
        })?;
        let mut view = View {
            caller: self,
            screen: if self.output.is_json() { None } else { Screen::open() },
            memory: Memory::default(),
        };
        let mut next = Instant::now();
        for taken in 1_u64.. {
            let last = args.count == Some(taken);
            match self.sample(&stop) {
                None => return Ok(Status::Good),
                Some(Ok(sample)) => view.show(&sample)?,
                // What never worked, or was refused, will not work later.
                Some(Err(error)) if last || taken == 1 || !error.is_retryable() => {
                    return Err(error.into());
                }
                Some(Err(error)) => view.missed(&error)?,
            }
            if last {
                break;
            }
            // A sample that took long is followed by the next one, not by
            // all that were missed.
            next = (next + args.interval).max(Instant::now());
            while !stop.asked() && Instant::now() < next {
                thread::sleep(SLICE.min(next.saturating_duration_since(Instant::now())));
            }
            if stop.asked() {
                break;
            }
        }
        Ok(Status::Good)
    }

    /// Asks in a thread of its own, because a signal does not wait for a
    /// server that is silent. `None`: somebody wants the end.
    fn sample(&self, stop: &StopFlag) -> Option<Result<Sample, Error>> {
        let (lb, (answer, answered)) = (self.lb.clone(), mpsc::channel());
        let ask = move || {
            let lb_id = lb.uri().lb_id().to_owned();
            if !lb_id.is_empty() {
                return Ok(vec![(lb_id, String::new(), lb.status(None)?)]);
            }
            let all = lb.overview()?.into_iter();
            Ok(all.map(|one| (one.reserved.lb_id, one.name, one.status)).collect())
        };
        // Nobody may be there any more to hear it.
        thread::spawn(move || drop(answer.send(ask())));
        loop {
            match answered.recv_timeout(SLICE) {
                _ if stop.asked() => return None,
                Ok(sample) => return Some(sample),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

struct View<'a> {
    caller: &'a Caller,
    /// None: each sample follows the one before.
    screen: Option<Screen>,
    memory: Memory,
}

impl View<'_> {
    fn show(&mut self, sample: &Sample) -> Result<(), Failure> {
        let rates: Vec<_> =
            sample.iter().map(|(id, _, status)| self.memory.rates(id, status)).collect();
        let reports = sample.iter().zip(&rates);
        let reports: Vec<Watched<'_>> = reports
            .map(|((id, name, status), rates)| Watched::new(id, name, status, rates))
            .collect();
        if self.caller.output.is_json() {
            return reports.iter().try_for_each(|report| self.caller.tell(report));
        }
        let texts: Vec<String> = reports.iter().filter_map(Report::human).collect();
        let text = if texts.is_empty() {
            "no reservations that this token may see".into()
        } else {
            texts.join("\n\n")
        };
        self.text(&text)
    }

    fn missed(&mut self, error: &Error) -> Result<(), Failure> {
        let Error { asked, found, remedy, .. } = error;
        let missed = Missed { asked, found, remedy };
        match missed.human().filter(|_| !self.caller.output.is_json()) {
            Some(text) => self.text(&text),
            None => self.caller.tell(&missed),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.screen {
            Some(screen) => screen.show(text).map_err(Failure::telling),
            None => self.caller.text(text),
        }
    }
}
