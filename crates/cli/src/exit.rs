//! The exit codes: the only enum behind `docs/exit-codes.md`, which a test compares with it.
//!
//! A script must be able to distinguish "run it again" from "check first", so a clean interruption,
//! an unknown outcome and leftover parts have their own codes. The meaning of a code never changes.

use std::process::ExitCode;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything requested was done.
    Done = 0,
    /// The command failed; nothing is left at the store.
    Failed = 1,
    /// The command line is wrong, or requests something that Haul does not do; nothing was sent.
    Usage = 2,
    /// Interrupted by a signal; nothing is left, or what is left can be resumed.
    Interrupted = 3,
    /// The outcome of Complete is unknown because its answer was lost: check before sending again.
    InDoubt = 4,
    /// Parts of an upload could not be removed and may be billed.
    LeftBehind = 5,
    /// The source changed while it was read.
    SourceChanged = 6,
    /// The transferred or stored bytes are wrong, or could not be proven where proof was required.
    NotProven = 7,
    /// `--if-none-match` or `--if-match` did not hold: the object is unchanged.
    Precondition = 8,
    /// `haul verify`: it can be proven neither that two sides are equal nor that they differ.
    CannotBeProven = 9,
}

impl Exit {
    /// All codes.
    pub(crate) const ALL: [Exit; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Interrupted,
        Self::InDoubt,
        Self::LeftBehind,
        Self::SourceChanged,
        Self::NotProven,
        Self::Precondition,
        Self::CannotBeProven,
    ];

    /// Returns the outcome that the caller needs to know: the higher code, except that every more
    /// specific code outranks an interruption and a plain failure.
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.code() >= other.code() { self } else { other }
    }

    /// Returns the code of a process of ours that ended; `None` if a signal ended it, or for a
    /// number that is not in the table.
    pub(crate) fn of_code(code: Option<i32>) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| Some(i32::from(exit.code())) == code)
    }

    /// Returns the number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_one_row_for_every_code_and_no_other() {
        let document = include_str!("../../../docs/exit-codes.md");
        let rows: Vec<u8> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok())
            .collect();
        assert_eq!(rows, Exit::ALL.map(Exit::code));
    }
}
