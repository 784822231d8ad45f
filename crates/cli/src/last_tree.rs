//! The record of the last tree command (`cp` of many files, `sync`, `mv`) that is not finished, for
//! `haul resume --last`.
//!
//! The journal of a tree records files; this record has the command itself: its words, its working
//! folder, and the variables that choose the store. It contains no secrets: access keys come from
//! the environment of the command that resumes. The record of a newer tree replaces it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::output::Mode;
use crate::private::shell_quoted;
use crate::session;
use crate::state_dir::journal_folder;

/// The format of the record.
const VERSION: u32 = 1;

/// The variables that choose a store and its credentials, without those that contain secrets.
const VARIABLES: [&str; 12] = [
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HAUL_CONFIG",
    "HAUL_DATA_DIR",
    "HAUL_STATE_DIR",
    "HAUL_STORE_PROFILE",
];

/// A tree command that can be run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastTree {
    version: u32,
    /// The arguments, without `haul`.
    words: Vec<String>,
    folder: PathBuf,
    /// The variables that were set; the others of [`VARIABLES`] were not.
    variables: BTreeMap<String, String>,
    process: u32,
    /// Seconds since 1970, when the command ended; `None` while it runs, and if it was killed.
    ended_at: Option<i64>,
}

/// The record of the command that this process runs.
#[derive(Debug)]
pub(crate) struct Recording(LastTree);

impl Recording {
    /// Records the command line of this process. `None` if it cannot be run again: a line of `haul
    /// run`, words or a folder that are not UTF-8, or a state folder that cannot be written.
    pub(crate) fn begin() -> Option<Self> {
        if session::current().is_some() {
            return None;
        }
        let words = std::env::args_os().skip(1).map(|word| word.into_string().ok());
        let variable = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
        let tree = LastTree {
            version: VERSION,
            words: words.collect::<Option<_>>()?,
            folder: std::env::current_dir().ok()?,
            variables: VARIABLES.iter().filter_map(variable).collect(),
            process: std::process::id(),
            ended_at: None,
        };
        tree.write().then_some(Self(tree))
    }

    /// Records the end of the command: nothing is left to be done, or the rest can be resumed.
    pub(crate) fn end(self, finished: bool) {
        let is_ours = LastTree::read().is_some_and(|found| found == self.0);
        if is_ours && finished {
            if let Some(path) = path() {
                let _ = fs::remove_file(path);
            }
        } else if is_ours {
            let ended_at = Some(jiff::Timestamp::now().as_second());
            LastTree { ended_at, ..self.0 }.write();
        }
    }
}

impl LastTree {
    /// Reads the record; `None` if there is none, or if another version of Haul wrote it.
    pub(crate) fn read() -> Option<Self> {
        let text = fs::read(path()?).ok()?;
        serde_json::from_slice(&text).ok().filter(|tree: &Self| tree.version == VERSION)
    }

    /// Returns whether a transfer that began at this time began after the end of this command.
    pub(crate) fn is_older_than(&self, begun_at: i64) -> bool {
        self.ended_at.is_some_and(|ended_at| ended_at < begun_at)
    }

    /// Returns the command line, quoted for a shell.
    pub(crate) fn shown(&self) -> String {
        let words = self.words.iter().map(|word| shell_quoted(word));
        std::iter::once("haul".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Returns the command, in its folder and with its variables. Its output has the mode of this
    /// process.
    pub(crate) fn command(&self, mode: Mode) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let given = |flag: &str| self.words.iter().any(|word| word == flag);
        match mode {
            Mode::Json if !given("--json") => drop(command.arg("--json")),
            Mode::Quiet if !given("--quiet") && !given("-q") => drop(command.arg("--quiet")),
            _ => {}
        }
        command.args(&self.words).current_dir(&self.folder);
        for name in VARIABLES {
            match self.variables.get(name) {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(command)
    }

    fn write(&self) -> bool {
        let Some(path) = path() else { return false };
        let written = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let new = path.with_extension(format!("{}.new", self.process));
            let mut options = fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            fs::rename(new, &path)
        };
        written().is_ok()
    }
}

/// Returns the path of the record, beside the folder of the journals.
fn path() -> Option<PathBuf> {
    let journals = journal_folder().ok()?;
    Some(journals.path().parent()?.join("last-tree.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_words_folder_and_variables() {
        let tree = LastTree {
            version: VERSION,
            words: ["cp", "-r", "my photos", "s3://b/"].map(str::to_owned).to_vec(),
            folder: "/tmp".into(),
            variables: [("AWS_REGION".to_owned(), "eu-1".to_owned())].into(),
            process: 7,
            ended_at: Some(10),
        };
        assert_eq!(tree.shown(), "haul cp -r 'my photos' s3://b/");
        let command = tree.command(Mode::Json).unwrap();
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(words, ["--json", "cp", "-r", "my photos", "s3://b/"]);
        let set: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).collect();
        assert_eq!(set, [("AWS_REGION".as_ref(), Some("eu-1".as_ref()))]);
        assert_eq!(command.get_envs().count(), VARIABLES.len(), "the others are unset");
        assert!(tree.is_older_than(11) && !tree.is_older_than(10));
        assert!(!LastTree { ended_at: None, ..tree }.is_older_than(11), "killed: it comes first");
    }

    #[test]
    fn no_variable_with_a_secret_is_recorded() {
        let secret = |name: &&str| name.contains("KEY") || name.contains("TOKEN");
        assert_eq!(VARIABLES.iter().find(|name| secret(name)), None);
    }
}
