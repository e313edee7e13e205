//! How to disturb a server.

use std::time::Duration;

/// What happens to a call instead of an answer, or before it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer comes so much later.
    Delay(Duration),
    /// No answer ever comes.
    Silence,
    /// The call has its effect, and no answer ever comes.
    Unanswered,
    /// The call is broken off.
    Reset,
    /// The answer has no field set.
    Empty,
    /// The answer is this, whatever was asked: a message's bytes.
    Reply(Vec<u8>),
    /// This code of gRPC's, with words that quote what the caller sent.
    Refusal(i32),
}

/// Faults to come: for which call, which one, how often.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(String, Fault, usize)>);

impl Faults {
    pub(crate) fn add(&mut self, rpc: &str, fault: Fault, times: usize) {
        self.0.push((rpc.to_owned(), fault, times));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The one that this call meets.
    pub(crate) fn next(&mut self, rpc: &str) -> Option<Fault> {
        let (_, fault, times) =
            self.0.iter_mut().find(|(of, _, times)| (of == rpc || of == "*") && *times > 0)?;
        *times -= 1;
        Some(fault.clone())
    }
}
