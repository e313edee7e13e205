//! What is told, and to whom: people or programs.
//!
//! | module | holds |
//! |---|---|
//! | [`record`] | what `recv` has to tell, and errors; its JSON form |
//! | [`human`] | its form for people |
//! | [`sending`] | what `send` has to tell, in both forms |
//! | [`lb`] | what `lb` has to tell, in both forms |
//! | [`table`] | columns for people |
//! | [`screen`] | a terminal on which each text replaces the one before |

mod human;
pub(crate) mod lb;
mod record;
pub(crate) mod screen;
mod sending;
pub(crate) mod table;

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use record::{Arrived, Failed, Lost, Mismatched, Ready, RecvSummary, Tick, Verified};
pub(crate) use sending::{SendReady, SendSummary, Sending, Skipped};

/// Something to tell: JSON by `Serialize`, for people by this.
pub(crate) trait Report: serde::Serialize {
    /// Whole lines, or nothing if people need not know.
    fn human(&self) -> Option<String>;
}

/// Where reports go, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// JSON lines on standard output.
    Json,
    /// Text on standard output.
    Text,
    /// Text on standard error: standard output carries events.
    TextAside,
}

impl Output {
    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self == Self::Json
    }

    /// Tells it, at once.
    ///
    /// # Errors
    /// What writing returns: `BrokenPipe` when nobody listens any more.
    pub(crate) fn tell(self, report: &impl Report) -> io::Result<()> {
        match self {
            Self::Json => {
                let mut line = serde_json::to_vec(report)?;
                line.push(b'\n');
                // Whole lines: a reader of the pipe never sees half an object.
                let mut out = io::stdout().lock();
                out.write_all(&line)?;
                out.flush()
            }
            Self::Text | Self::TextAside => report.human().map_or(Ok(()), |text| self.text(&text)),
        }
    }

    /// Text as it is: whole lines, without the last one's end.
    ///
    /// # Errors
    /// As of [`tell`](Self::tell).
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        if self == Self::TextAside {
            return writeln!(io::stderr(), "{text}");
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// A progress bar on standard error if a person sits there, `total` steps
    /// long (endless if unknown). It replaces the periodic reports.
    pub(crate) fn progress(self, quiet: bool, total: Option<u64>) -> Option<ProgressBar> {
        if self == Self::Json || quiet || !io::stderr().is_terminal() {
            return None;
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:30} {pos}/{len} events  {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {pos} events  {msg}"),
        };
        // A template that cannot be read would be our mistake: the default
        // one still shows progress.
        Some(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }
}
