//! How the process ends: the one enum behind `docs/exit-codes.md`, which a test holds against it.
//!
//! A script needs to tell "run it again" from "look first": what was interrupted cleanly, what is
//! in doubt and what was left behind each have a code of their own. Codes are never given another
//! meaning.

use std::process::ExitCode;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// It failed; nothing is left at the store.
    Failed = 1,
    /// The command line is wrong, or asks for what Haul does not do; nothing was sent.
    Usage = 2,
    /// Interrupted by a signal; nothing is left, or what is left can be resumed.
    Interrupted = 3,
    /// The answer to Complete was lost and could not be settled: look before sending again.
    InDoubt = 4,
    /// Parts of an upload could not be removed and may be billed.
    LeftBehind = 5,
    /// The source changed while it was read.
    SourceChanged = 6,
    /// What arrived (or is kept) is wrong, or could not be proven where proof was required.
    NotProven = 7,
    /// `--if-none-match` or `--if-match` did not hold: the object stays as it was.
    Precondition = 8,
    /// `haul verify`: it can be proven neither that two sides are equal nor that they differ.
    CannotBeProven = 9,
}

impl Exit {
    /// All of them, for the document's test.
    #[cfg(test)]
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

    /// Of two outcomes of one command, the one that its caller has to know: the higher code, but an
    /// interruption and a plain failure give way to everything more particular.
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.code() >= other.code() { self } else { other }
    }

    /// The number.
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
