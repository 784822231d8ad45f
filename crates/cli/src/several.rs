//! Combines the outcomes of a command with several steps: the failure of a single step becomes the
//! command's; with several steps each failure is reported at once, and the worst decides the exit
//! code.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Mode, paint};

/// The outcomes so far.
#[derive(Debug)]
pub(crate) struct Several {
    mode: Mode,
    count: usize,
    only: Option<anyhow::Error>,
    worst: Exit,
}

impl Several {
    /// Creates the collection for `count` steps.
    pub(crate) fn of(count: usize, mode: Mode) -> Self {
        Self { mode, count, only: None, worst: Exit::Done }
    }

    /// Adds the outcome of one step.
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

    /// Returns whether a step was interrupted, so that the remaining ones must not start.
    pub(crate) fn interrupted(&self) -> bool {
        self.worst == Exit::Interrupted
    }

    /// Returns the outcome of the command.
    pub(crate) fn end(self) -> anyhow::Result<Exit> {
        self.only.map_or(Ok(self.worst), Err)
    }
}
