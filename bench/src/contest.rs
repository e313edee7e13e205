//! Who competes at what, and one run of one contestant.

use std::{
    fmt,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;
use xdpsar_tests::{
    Lab, binary,
    tool::{Signal, send_signal},
};

/// Bytes of each event.
const EVENT: u64 = 100_000;
/// IPv4 and UDP headers: what the MTU has beyond the UDP payload.
const IP_UDP: u64 = 28;

/// A receive path at one datagram size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Contestant {
    /// Receive path.
    pub(crate) backend: &'static str,
    /// UDP payload of a full datagram in bytes.
    pub(crate) datagram: u64,
}

impl Contestant {
    pub(crate) const ALL: [Self; 4] = [
        Self { backend: "xdp", datagram: 1400 },
        Self { backend: "socket", datagram: 1400 },
        Self { backend: "xdp", datagram: 8900 },
        Self { backend: "socket", datagram: 8900 },
    ];
}

/// What one run measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) contestant: Contestant,
    /// Whole events received per second of sending.
    pub(crate) events_per_s: f64,
    /// Their bytes, in 10⁹ bits per second.
    pub(crate) gbps: f64,
    /// Share of the events sent that did not arrive whole.
    pub(crate) loss: f64,
    /// CPU time of the receiving process per 10⁹ bytes of events received.
    pub(crate) receiver_cpu_s_per_gb: f64,
    /// CPU time of the sending process per 10⁹ bytes of events sent.
    pub(crate) sender_cpu_s_per_gb: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} {} B: {:.2} Gb/s, {:.0} events/s, {:.2} % lost",
            self.contestant.backend,
            self.contestant.datagram,
            self.gbps,
            self.events_per_s,
            100.0 * self.loss
        )
    }
}

/// The course: two hosts, and how much is sent between them.
pub(crate) struct Contest<'a> {
    lab: &'a Lab,
    events: u64,
    binary: PathBuf,
}

impl<'a> Contest<'a> {
    pub(crate) fn new(lab: &'a Lab, bytes: u64) -> anyhow::Result<Self> {
        ensure!(bytes >= EVENT, "{bytes} bytes are less than one event of {EVENT}");
        Ok(Self { lab, events: bytes / EVENT, binary: binary() })
    }

    pub(crate) fn run(&self, contestant: Contestant) -> anyhow::Result<Run> {
        let Contestant { backend, datagram } = contestant;
        let listen = format!("{}:19522", self.lab.receiver.v4);
        let mut receiver = self
            .lab
            .receiver
            .command(&self.binary)
            .args(["recv", "--json", "--listen", &listen, "--backend", backend])
            .args(["--cores", "1", "--out", "null", "--memory", "256MiB", "--quiet"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the receiver")?;
        let mut lines = BufReader::new(receiver.stdout.take().context("a pipe")?);
        object(&mut lines, "ready").context("waiting for the receiver")?;
        let sender = self
            .lab
            .sender
            .command("taskset")
            .args(["-c", "0"])
            .arg(&self.binary)
            .args(["send", "--json", "--to", &listen, "--quiet"])
            .args(["--events", &self.events.to_string(), "--size", &EVENT.to_string()])
            .args(["--mtu", &(datagram + IP_UDP).to_string()])
            .stderr(Stdio::inherit())
            .output()
            .context("running the sender")?;
        send_signal(&receiver, Signal::SIGTERM).context("stopping the receiver")?;
        let received = object(&mut lines, "summary").context("the receiver's summary")?;
        receiver.wait()?;
        let sent = object(&mut BufReader::new(&sender.stdout[..]), "summary")
            .context("the sender's summary")?;
        let seconds = number(&sent, "elapsed_s")?;
        let events = number(&received, "events_ok")?;
        let bytes = number(&received, "event_bytes")?;
        Ok(Run {
            contestant,
            events_per_s: events / seconds,
            gbps: bytes * 8.0 / seconds / 1e9,
            loss: 1.0 - events / self.events as f64,
            receiver_cpu_s_per_gb: number(&received, "cpu_s")? / (bytes / 1e9),
            sender_cpu_s_per_gb: number(&sent, "cpu_s")? / ((self.events * EVENT) as f64 / 1e9),
        })
    }
}

/// The next JSON line of that type.
fn object(lines: &mut impl BufRead, wanted: &str) -> anyhow::Result<Value> {
    for line in lines.lines() {
        let value: Value = serde_json::from_str(&line?)?;
        if value["type"] == wanted {
            return Ok(value);
        }
    }
    anyhow::bail!("the output ended before a line of type {wanted:?}")
}

fn number(value: &Value, name: &str) -> anyhow::Result<f64> {
    value[name].as_f64().with_context(|| format!("no number {name:?} in {value}"))
}
