//! Draws, redraws and erases status lines at the bottom of a terminal.
//!
//! A terminal that becomes narrower breaks a long line into several rows, so the drawn lines are
//! measured again in the current width before they are erased. Knows nothing of transfers;
//! `line.rs` formats the text of a line.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthStr;

use crate::output::shown;

/// The width of a terminal that does not report one.
const COLUMNS_DEFAULT: usize = 80;

/// Lines on stderr, with the cursor after the last one.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// The columns of each line.
    drawn: Vec<usize>,
}

impl Status {
    /// Returns the columns for a line: the last column stays free, because a full line makes some
    /// terminals wrap.
    pub(crate) fn columns() -> usize {
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        if columns < 2 { COLUMNS_DEFAULT - 1 } else { columns - 1 }
    }

    /// Draws these lines in place of the previous ones.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        // Escape the lines: they contain names and error texts of the store.
        let lines: Vec<_> = lines.iter().map(|line| shown(line)).collect();
        let text = self.erasing(Self::columns() + 1) + &lines.join("\n");
        self.drawn = lines.iter().map(|line| line.width()).collect();
        write(&text);
    }

    /// Removes the lines.
    pub(crate) fn clear(&mut self) {
        let text = self.erasing(Self::columns() + 1);
        self.drawn.clear();
        write(&text);
    }

    /// Returns the sequence that erases the lines on a terminal of this many columns.
    fn erasing(&self, columns: usize) -> String {
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        match rows {
            0 => String::new(),
            1 => "\r\x1b[J".to_owned(),
            rows => format!("\r\x1b[{}A\x1b[J", rows - 1),
        }
    }
}

/// Writes the text at once, so that a terminal never shows half of it. Ignores a closed stderr.
fn write(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_narrower_window_has_broken_are_erased_whole() {
        let status = Status { drawn: vec![79, 30] };
        assert_eq!(status.erasing(80), "\r\x1b[1A\x1b[J");
        assert_eq!(status.erasing(40), "\r\x1b[2A\x1b[J");
        assert_eq!(status.erasing(20), "\r\x1b[5A\x1b[J");
        assert_eq!(Status::default().erasing(80), "");
        assert_eq!(Status { drawn: vec![0] }.erasing(80), "\r\x1b[J");
    }
}
