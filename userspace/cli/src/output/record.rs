//! Everything there is to tell, as one JSON object per line with a `type`.
//! Names are stable: programs read them.

use serde::Serialize;
use xdpsar::{
    BackendInfo, Error, Event, LossCause, LostEvent, RegistrationStatus, SetupError, Stats,
    UriError,
};

use crate::{payload::Mismatch, secret::redacted, sink::Restored};

/// `ready`: sockets are bound, datagrams that arrive are received.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "ready")]
pub(crate) struct Ready<'a> {
    /// `xdp` or `socket`.
    pub(crate) backend: xdpsar::BackendKind,
    pub(crate) reason: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) warnings: &'a [String],
    pub(crate) listen: String,
    pub(crate) ports: u16,
    pub(crate) workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<RegistrationStatus>,
}

impl<'a> Ready<'a> {
    pub(crate) fn new(backend: &'a BackendInfo, listen: String, ports: u16) -> Self {
        Self {
            backend: backend.kind,
            reason: &backend.reason,
            detail: &backend.detail,
            warnings: &backend.warnings,
            listen,
            ports,
            workers: 1,
            registration: None,
        }
    }
}

/// `stats`: totals so far, and rates since the last one.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "stats")]
pub(crate) struct Tick<'a> {
    pub(crate) delivered: u64,
    pub(crate) gbps: f64,
    pub(crate) events_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<RegistrationStatus>,
    #[serde(flatten)]
    pub(crate) stats: &'a Stats,
}

/// `event`: one event came, whole.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "event")]
pub(crate) struct Arrived {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) bytes: usize,
    pub(crate) fragments: u32,
    pub(crate) lane: u16,
    pub(crate) worker: u16,
    pub(crate) tick: Option<u64>,
    pub(crate) entropy: Option<u16>,
}

impl From<&Event> for Arrived {
    fn from(event: &Event) -> Self {
        Self {
            event_number: event.event_number(),
            data_id: event.data_id(),
            bytes: event.len(),
            fragments: event.fragments(),
            lane: event.lane(),
            worker: event.worker(),
            tick: event.tick(),
            entropy: event.entropy(),
        }
    }
}

/// `lost`: one event will not come whole.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "lost")]
pub(crate) struct Lost {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    /// Bytes it should have.
    pub(crate) length: u32,
    /// Fragments that came.
    pub(crate) fragments: u32,
    /// Bytes that came.
    pub(crate) bytes: u64,
    pub(crate) cause: String,
}

impl From<LostEvent> for Lost {
    fn from(lost: LostEvent) -> Self {
        Self {
            event_number: lost.event_number,
            data_id: lost.data_id,
            length: lost.length,
            fragments: lost.fragments,
            bytes: lost.bytes,
            cause: loss_cause(lost.cause),
        }
    }
}

fn loss_cause(cause: LossCause) -> String {
    snake_case(&format!("{cause:?}"))
}

/// `mismatch`: a byte that did not verify, the first of its event.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "mismatch")]
pub(crate) struct Mismatched {
    pub(crate) event_number: u64,
    pub(crate) data_id: u16,
    pub(crate) bytes: usize,
    pub(crate) offset: usize,
    pub(crate) expected: u8,
    pub(crate) found: u8,
}

impl Mismatched {
    pub(crate) fn new(event: &Event, mismatch: Mismatch) -> Self {
        let Mismatch { offset, expected, found } = mismatch;
        Self {
            event_number: event.event_number(),
            data_id: event.data_id(),
            bytes: event.len(),
            offset,
            expected,
            found,
        }
    }
}

/// What `--verify` found.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Verified {
    /// Events whose every byte was right.
    pub(crate) events: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Events with a wrong byte.
    pub(crate) mismatched: u64,
}

/// `summary` of `recv`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub(crate) struct RecvSummary<'a> {
    /// Exit status.
    pub(crate) status: u8,
    /// Events that went to the output.
    pub(crate) delivered: u64,
    /// Their bytes.
    pub(crate) delivered_bytes: u64,
    /// Whole events that came after `--events` had been reached, or after the
    /// output had failed.
    pub(crate) not_delivered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<Verified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restored: Option<Restored>,
    /// From the first to the last delivered event.
    pub(crate) active_s: f64,
    /// Delivered bits over that time.
    pub(crate) gbps: f64,
    pub(crate) cpu_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<RegistrationStatus>,
    #[serde(flatten)]
    pub(crate) stats: &'a Stats,
}

/// `error`: why the command failed.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "error")]
pub(crate) struct Failed {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// gRPC's, if a load balancer refused: `PERMISSION_DENIED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// What lies behind it, outermost first.
    pub(crate) causes: Vec<String>,
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes.push(redacted(&cause.to_string()));
            source = cause.source();
        }
        let (kind, code, parts) = match error {
            Error::Setup(SetupError { kind, asked, found, remedy, .. }) => {
                (snake_case(&format!("{kind:?}")), None, Some([asked, found, remedy]))
            }
            Error::Uri(UriError { kind, asked, found, remedy }) => {
                (format!("uri_{}", kind.as_str()), None, Some([asked, found, remedy]))
            }
            Error::ControlPlane(error) => {
                let kind = snake_case(&format!("{:?}", error.kind));
                let code = error.code.map(|code| code.to_string());
                (kind, code, Some([&error.asked, &error.found, &error.remedy]))
            }
            _ => ("failure".into(), None, None),
        };
        let [asked, found, remedy] =
            parts.map_or([const { None }; 3], |parts| parts.map(|part| Some(redacted(part))));
        Self { kind, message: redacted(&error.to_string()), code, asked, found, remedy, causes }
    }
}

/// `HookTaken` as `hook_taken`.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
