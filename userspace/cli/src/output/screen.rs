//! A terminal on which each text replaces the one before.

use std::io::{self, IsTerminal, Stdout, Write};

use rustix::termios::tcgetwinsize;

/// Standard output, if somebody sits there.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Stdout,
    /// Lines of the text that stands there.
    lines: usize,
}

impl Screen {
    /// None if standard output is no terminal.
    pub(crate) fn open() -> Option<Self> {
        let out = io::stdout();
        out.is_terminal().then_some(Self { out, lines: 0 })
    }

    /// Shows the text instead of the one before, as far as it fits.
    ///
    /// # Errors
    /// What writing returns.
    pub(crate) fn show(&mut self, text: &str) -> io::Result<()> {
        // One that does not know its size gets the text as it is.
        let size = tcgetwinsize(&self.out).ok().filter(|size| size.ws_col > 0 && size.ws_row > 1);
        let (width, height) = size.map_or((usize::MAX, usize::MAX), |size| {
            (usize::from(size.ws_col), usize::from(size.ws_row) - 1)
        });
        let lines = fit(text, width, height);
        let mut all = String::new();
        if self.lines > 0 {
            // Up to where the text before began.
            all += &format!("\x1b[{}A", self.lines);
        }
        for line in &lines {
            // And nothing of the longer line that stood there.
            all += &format!("\r{line}\x1b[K\n");
        }
        all += "\x1b[J";
        self.lines = lines.len();
        let mut out = self.out.lock();
        out.write_all(all.as_bytes())?;
        out.flush()
    }
}

/// Lines that none of them is cut by the terminal, or scrolled away.
fn fit(text: &str, width: usize, height: usize) -> Vec<String> {
    let total = text.lines().count();
    let shown = if total > height { height.saturating_sub(1) } else { total };
    let mut lines: Vec<String> =
        text.lines().take(shown).map(|line| line.chars().take(width).collect()).collect();
    if total > shown {
        lines.push(format!("... and {} more lines", total - shown).chars().take(width).collect());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit() {
        assert_eq!(fit("ab\ncd", 80, 24), ["ab", "cd"]);
        assert_eq!(fit("abc\nd", 2, 24), ["ab", "d"]);
        assert_eq!(fit("a\nb\nc", 80, 2), ["a", "... and 2 more lines"]);
        assert_eq!(fit("a\nb\nc", 80, 3), ["a", "b", "c"]);
        assert_eq!(fit("a\nb", 80, 1), ["... and 2 more lines"]);
    }
}
