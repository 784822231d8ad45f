//! Stores names on disk for later use: the names that a sync removes when everything else has
//! succeeded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;

/// Creates a file without a name, which disappears with the process.
pub(super) fn unlinked() -> io::Result<File> {
    let folder = folder();
    for _ in 0..100 {
        let path = folder.join(format!(".haul-tree-{:016x}", rand::random::<u64>()));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Returns the system's folder on disk for large temporary files.
fn folder() -> PathBuf {
    let large = PathBuf::from(crate::transfer::upload::stream::DEFAULT_SPOOL_DIR);
    if large.is_dir() { large } else { PathBuf::from("/tmp") }
}

/// A file of names that are written and read in sequence.
#[derive(Debug, Default)]
pub(super) struct Spool {
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Spool {
    pub(super) fn add(&mut self, name: &str) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(BufWriter::new(unlinked()?));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        self.count += 1;
        // No path contains NUL, and in a key it is escaped.
        file.write_all(name.replace('\\', "\\\\").replace('\0', "\\0").as_bytes())?;
        file.write_all(b"\0")
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Reads the names from the beginning.
    pub(super) fn read(self) -> io::Result<impl Iterator<Item = io::Result<String>> + Send> {
        let reader: Box<dyn Read + Send> = match self.file {
            None => Box::new(io::empty()),
            Some(file) => {
                let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.rewind()?;
                Box::new(file)
            }
        };
        Ok(BufReader::new(reader).split(0).map(|name| {
            let name = String::from_utf8(name?).map_err(io::Error::other)?;
            Ok(unescaped(&name))
        }))
    }
}

fn unescaped(text: &str) -> String {
    let mut letters = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next().map(|escaped| match escaped {
                '0' => '\0',
                other => other,
            })),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_given() {
        let names = ["a/b", "c\\0d", "e\0f", "ü\\", "g\n"];
        let mut spool = Spool::default();
        names.iter().for_each(|name| spool.add(name).unwrap());
        assert_eq!(spool.count(), 5);
        let back: Vec<String> = spool.read().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, names);
        assert_eq!(Spool::default().read().unwrap().count(), 0);
    }
}
