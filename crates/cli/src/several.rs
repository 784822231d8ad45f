//! The outcome of a command that does several things: the failure of the only one is the command's,
//! of several each is reported when it happens, and the worst decides the exit code.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Mode, paint};

/// Collects outcomes.
#[derive(Debug)]
pub(crate) struct Several {
    mode: Mode,
    count: usize,
    only: Option<anyhow::Error>,
    worst: Exit,
}

impl Several {
    /// Of so many things.
    pub(crate) fn of(count: usize, mode: Mode) -> Self {
        Self { mode, count, only: None, worst: Exit::Done }
    }

    /// Takes the outcome of one.
    pub(crate) fn take(&mut self, outcome: anyhow::Result<Exit>) {
        match outcome {
            Ok(exit) => self.worst = self.worst.worse(exit),
            Err(error) => {
                let failure = Failure::of(&error);
                self.worst = self.worst.worse(failure.exit);
                if self.count == 1 {
                    self.only = Some(error);
                } else {
                    self.mode.event(&failure);
                    failure.lines(paint).complain();
                }
            }
        }
    }

    /// Whether one of them was interrupted: the rest is not begun.
    pub(crate) fn interrupted(&self) -> bool {
        self.worst == Exit::Interrupted
    }

    /// How the command ends.
    pub(crate) fn end(self) -> anyhow::Result<Exit> {
        self.only.map_or(Ok(self.worst), Err)
    }
}
