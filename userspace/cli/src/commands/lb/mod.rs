//! `xdpsar lb`: what a load balancer's control plane can be asked.
//!
//! | module | holds |
//! |---|---|
//! | [`reservation`] | reserve, get, extend, reset, free; senders; what there is |
//! | [`worker`] | register, state, deregister; slots |
//! | [`tokens`] | tokens |
//! | [`series`] | counters over time |
//! | [`chain`] | load balancers behind load balancers |
//! | [`monitor`] | a load balancer live |

mod chain;
mod monitor;
mod reservation;
mod series;
mod tokens;
mod worker;

use xdpsar::{EjfatUri, LoadBalancer, TokenKind};

use crate::{
    args::lb::{Command, LbArgs},
    output::{Output, Report, lb::export},
    status::{Failure, Status},
};

/// Who asks, and how the answer is told.
struct Caller {
    lb: LoadBalancer,
    output: Output,
    show_token: bool,
}

/// Asks.
///
/// # Errors
/// There is no URI, the server refused or could not be asked, nobody takes
/// the answer.
pub(crate) fn run(args: &LbArgs) -> Result<Status, Failure> {
    let access = &args.access;
    let lb = LoadBalancer::new(access.uri()?, &access.options()?)?;
    let output = if args.json { Output::Json } else { Output::Text };
    let caller = Caller { lb, output, show_token: args.show_token };
    match &args.command {
        Command::Reserve(args) => caller.reserve(args)?,
        Command::Get(args) => caller.get(args.export.export)?,
        Command::Extend(args) => caller.extend(args)?,
        Command::Reset(args) => caller.reset(args)?,
        Command::Free => caller.free()?,
        Command::Status => caller.status()?,
        Command::Overview => caller.overview()?,
        Command::Version => caller.version()?,
        Command::Senders(which) => caller.senders(which)?,
        Command::Register(args) => caller.register(args)?,
        Command::State(args) => caller.state(args)?,
        Command::Deregister => caller.deregister()?,
        Command::Slots(which) => caller.slots(which)?,
        Command::Token(which) => caller.token(which)?,
        Command::Timeseries(args) => caller.timeseries(args)?,
        Command::Chain(which) => caller.chain(which)?,
        Command::Monitor(args) => return caller.monitor(args),
    }
    Ok(Status::Good)
}

impl Caller {
    fn tell(&self, report: &impl Report) -> Result<(), Failure> {
        self.output.tell(report).map_err(Failure::telling)
    }

    fn text(&self, text: &str) -> Result<(), Failure> {
        self.output.text(text).map_err(Failure::telling)
    }

    /// The one line for a shell.
    fn export(&self, uri: &EjfatUri, kind: TokenKind) -> Result<(), Failure> {
        self.text(&export(uri, kind))
    }

    /// The load balancer that all calls concern. There is one, after a call
    /// that concerned one.
    fn lb_id(&self) -> String {
        self.lb.uri().lb_id().to_owned()
    }

    /// Sees to it that the URI has a data address.
    fn locate(&self) -> Result<EjfatUri, Failure> {
        if self.lb.uri().data().is_none() {
            self.lb.get(None)?;
        }
        Ok(self.lb.uri())
    }
}
