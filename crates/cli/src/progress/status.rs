//! Status lines at the bottom of a terminal: drawn, drawn over, and removed without a trace.
//!
//! A terminal that is made narrower breaks a long line into several rows, so what was drawn is
//! measured again in the present width before it is erased. Knows nothing of transfers; `line.rs`
//! decides what stands in a line.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthStr;

use crate::output::shown;

/// Where the terminal does not say how wide it is.
const COLUMNS_DEFAULT: usize = 80;

/// Lines that stand on stderr now, the cursor behind the last one.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Columns of each line.
    drawn: Vec<usize>,
}

impl Status {
    /// Columns that a line may have: the last column stays free, because a full line makes some
    /// terminals wrap.
    pub(crate) fn columns() -> usize {
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        if columns < 2 { COLUMNS_DEFAULT - 1 } else { columns - 1 }
    }

    /// Draws these lines in place of the former ones.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        // The bar has names and error texts of the store in it.
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

    /// What erases the lines on a terminal of this many columns.
    fn erasing(&self, columns: usize) -> String {
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        match rows {
            0 => String::new(),
            1 => "\r\x1b[J".to_owned(),
            rows => format!("\r\x1b[{}A\x1b[J", rows - 1),
        }
    }
}

/// In one piece, so that a terminal never shows half of it. A stderr that is gone is no reason to
/// stop.
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
