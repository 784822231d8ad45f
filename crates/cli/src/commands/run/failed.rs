//! The file of `haul run --failed-to`: the lines that failed, as they were read, so that `haul run`
//! of that file repeats them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::failure::Usage;
use crate::output::{Mode, visible};

/// Writes the failed lines; without a file it does nothing.
pub(super) struct FailedLines(Option<(PathBuf, BufWriter<File>)>);

impl FailedLines {
    /// Creates the file. `input` is the file of the lines, which must be another one.
    pub(super) fn create(path: Option<&Path>, input: &Path) -> Result<Self, Usage> {
        let Some(path) = path else { return Ok(Self(None)) };
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        if path == input || real(path).is_some_and(|real_path| real(input) == Some(real_path)) {
            return Err(Usage::new(
                "--failed-to would overwrite the lines that haul run reads",
                "write the failed lines into another file",
            ));
        }
        match File::create(path) {
            Ok(file) => Ok(Self(Some((path.to_owned(), BufWriter::new(file))))),
            Err(error) => Err(Usage::new(
                format!("cannot write {}: {error}", visible(&path.display().to_string())),
                "name a file that can be written for --failed-to",
            )),
        }
    }

    /// Adds a line. A failure is reported once: the lines themselves continue.
    pub(super) fn add(&mut self, line: &[u8], mode: Mode) {
        let write = |file: &mut BufWriter<File>| {
            file.write_all(line)?;
            file.write_all(b"\n")
        };
        self.then(write, mode);
    }

    /// Writes what is still in memory.
    pub(super) fn end(mut self, mode: Mode) {
        self.then(Write::flush, mode);
    }

    fn then(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
        mode: Mode,
    ) {
        let Some((path, file)) = &mut self.0 else { return };
        if let Err(error) = write(file) {
            let path = visible(&path.display().to_string());
            mode.warn(
                &format!("the failed lines cannot be written to {path}: {error}"),
                "the summary names the first of them",
            );
            self.0 = None;
        }
    }
}
