//! A contestant in a process of its own, and how the two sides talk.
//!
//! ```text
//!  parent                      child
//!    │ ◀────────────── Mark ──── it is open
//!    │ ── mark ────────────────▶
//!    │ ◀────────────── Mark ──── so far
//!    │ ── stop ────────────────▶ finishes its event, or takes in what is left
//!    │ ◀────────────── Mark ──── final; exits
//! ```
//!
//! A mark is a line of JSON. What a child has to complain about stands in its
//! standard error, which the parent quotes.

use std::{
    fmt::Display,
    fs::File,
    io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    panic::resume_unwind,
    process::{self, ChildStdin, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use xdpsar_bench::cpu;
use xdpsar_tests::Host;

use crate::role::{Counts, Opened};

/// No answer takes this long, unless none comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a child is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// By the system's monotonic clock.
    ns: u64,
    /// Its threads' CPU time, the kernel's included.
    pub(crate) cpu_s: f64,
    pub(crate) rss_mib: f64,
    pub(crate) counts: Counts,
}

impl Mark {
    fn take(counts: Counts) -> anyhow::Result<Self> {
        let now = clock_gettime(ClockId::Monotonic);
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<f64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        Ok(Self {
            ns: now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64,
            cpu_s: cpu::process().as_secs_f64(),
            rss_mib: kib.context("no VmRSS in /proc/self/status")? / 1024.0,
            counts,
        })
    }

    /// Seconds since an earlier one.
    pub(crate) fn seconds_since(&self, earlier: &Self) -> f64 {
        (self.ns - earlier.ns) as f64 * 1e-9
    }

    fn say(counts: Counts) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        serde_json::to_writer(&mut stdout, &Self::take(counts)?)?;
        stdout.write_all(b"\n")?;
        Ok(stdout.flush()?)
    }
}

/// What a child does: all of it on `core`.
///
/// # Errors
/// The contestant's, or that it ended without being asked to.
pub(crate) fn serve(
    core: usize,
    open: impl FnOnce() -> anyhow::Result<Opened>,
) -> anyhow::Result<()> {
    // Threads inherit it.
    xdpsar_dataplane::pin::pin_current_thread(core)?;
    let Opened { run, counts } = open()?;
    let stop = Arc::new(AtomicBool::new(false));
    Mark::say(counts())?;
    let flag = Arc::clone(&stop);
    let runner = thread::Builder::new().name("contestant".into()).spawn(move || run(&flag))?;
    let mut asked = false;
    for line in std::io::stdin().lines() {
        if runner.is_finished() {
            break;
        }
        match line?.as_str() {
            "mark" => Mark::say(counts())?,
            "stop" => {
                asked = true;
                break;
            }
            other => bail!("asked for {other:?}: there are mark and stop"),
        }
    }
    // Also when the parent is gone.
    stop.store(true, Ordering::Relaxed);
    runner.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    if !asked {
        bail!("it ended before it was asked to");
    }
    Mark::say(counts())
}

/// A child, as its parent sees it. Ended when dropped.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: File,
}

impl Child {
    /// Starts this program again in `host`, and waits until it is open.
    pub(crate) fn start(host: &Host, arguments: &[String]) -> anyhow::Result<(Self, Mark)> {
        let program = std::env::current_exe().context("the path of this program")?;
        let name = arguments.join(" ");
        let stderr = tempfile::tempfile().context("a file for a child's standard error")?;
        let mut process = host
            .command(program)
            .args(arguments)
            // What went wrong, and not where in our code.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("a pipe")?;
        let (said, lines) = channel();
        // A thread, so that waiting for a line can end. It ends with the child.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    break;
                }
            }
        });
        let mut child = Self { name, process, stdin, lines, stderr };
        let open = child.answer()?;
        Ok((child, open))
    }

    /// How far it is.
    pub(crate) fn mark(&mut self) -> anyhow::Result<Mark> {
        self.ask("mark")?;
        self.answer()
    }

    /// Ends it; its final counts.
    pub(crate) fn stop(mut self) -> anyhow::Result<Mark> {
        self.ask("stop")?;
        let last = self.answer()?;
        let status = self.process.wait()?;
        if !status.success() {
            return Err(self.complaint(&status));
        }
        Ok(last)
    }

    fn ask(&mut self, what: &str) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("a pipe")?;
        // If it is gone, the missing answer says so, and why.
        let _ = writeln!(stdin, "{what}");
        Ok(())
    }

    fn answer(&mut self) -> anyhow::Result<Mark> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line)
                .with_context(|| format!("{}: it says {line:?}, which is no mark", self.name)),
            Err(Timeout) => Err(self.complaint(&format_args!("no answer for {PATIENCE:?}"))),
            Err(Disconnected) => {
                let status = self.process.wait()?;
                Err(self.complaint(&status))
            }
        }
    }

    /// Its name, what is wrong, and all it said.
    fn complaint(&mut self, what: &dyn Display) -> anyhow::Error {
        let mut said = String::new();
        let read = self.stderr.seek(SeekFrom::Start(0));
        if let Err(error) = read.and_then(|_| self.stderr.read_to_string(&mut said)) {
            said = format!("(what it said is lost: {error})");
        }
        anyhow!("{}: {what}\n{}", self.name, said.trim_end())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already; then both fail, and nothing is left to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
