//! The cases of `bench client`: a job, a connection, and the conditions at the endpoint.

use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::null_endpoint::Conditions;

/// The task of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Uploads the file to the endpoint.
    Upload,
    /// Downloads a generated object into a file, which is synced.
    Download,
    /// Uploads a folder of many short files to the endpoint.
    Files,
    /// Uploads the file from standard input to the endpoint.
    Stdin,
    /// Copies a generated object to another key within the endpoint.
    Copy,
}

/// The part size and the concurrency of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// Those that the program chooses.
    Defaults,
    /// [`PART_BYTES`] and [`CONCURRENCY`] for every program that can be told both.
    Same,
}

/// The part size of the floor programs, and of all others with [`Settings::Same`].
pub(crate) const PART_BYTES: u64 = 8 << 20;
/// The parts in flight with [`Settings::Same`], and the connections of the second floor program.
pub(crate) const CONCURRENCY: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) job: Job,
    pub(crate) tls: bool,
    delayed: bool,
    refused: bool,
}

/// All cases, in the order of the table.
pub(crate) const ALL: [Case; 13] = [
    case("upload-plain", Job::Upload),
    case("upload-tls", Job::Upload).over_tls(),
    case("upload-plain-delay", Job::Upload).delayed(),
    case("upload-tls-delay", Job::Upload).over_tls().delayed(),
    case("download-plain", Job::Download),
    case("download-tls", Job::Download).over_tls(),
    case("download-plain-delay", Job::Download).delayed(),
    case("download-tls-delay", Job::Download).over_tls().delayed(),
    case("files", Job::Files),
    case("stdin", Job::Stdin),
    case("503-upload", Job::Upload).refused(),
    case("503-files", Job::Files).refused(),
    case("copy", Job::Copy),
];

const fn case(name: &'static str, job: Job) -> Case {
    Case { name, job, tls: false, delayed: false, refused: false }
}

impl Case {
    const fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    const fn delayed(self) -> Self {
        Self { delayed: true, ..self }
    }

    const fn refused(self) -> Self {
        Self { refused: true, ..self }
    }

    /// Returns the conditions at the endpoint, with the delay and the refusals of the options.
    pub(crate) fn conditions(self, delay: Duration, refuse_every: NonZeroU64) -> Conditions {
        Conditions {
            delay: if self.delayed { delay } else { Duration::ZERO },
            refuse_every: self.refused.then_some(refuse_every),
            requests_per_second: None,
        }
    }

    /// Returns whether the goals for CPU and memory apply: they are those of a fast, willing store.
    pub(crate) fn is_undisturbed(self) -> bool {
        !self.delayed && !self.refused
    }

    pub(crate) fn is_refused(self) -> bool {
        self.refused
    }

    /// Returns whether part size and concurrency of the job can be set.
    pub(crate) fn has_settings(self) -> bool {
        matches!(self.job, Job::Upload | Job::Download | Job::Stdin)
    }
}

/// Returns the cases that these words select, separated by commas: the name of one, or the
/// beginning of several, such as `upload` or `download-tls`. Without words, all.
pub(crate) fn select(words: Option<&str>) -> Result<Vec<Case>> {
    let Some(words) = words else { return Ok(ALL.into()) };
    let words: Vec<&str> = words.split(',').collect();
    for word in &words {
        let names = ALL.map(|case| case.name).join(", ");
        ensure!(ALL.iter().any(|case| matches(*case, word)), "no case is named {word}: {names}");
    }
    Ok(ALL.into_iter().filter(|case| words.iter().any(|word| matches(*case, word))).collect())
}

fn matches(case: Case, word: &str) -> bool {
    if ALL.iter().any(|case| case.name == word) {
        return case.name == word;
    }
    case.name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &str) -> Vec<&'static str> {
        select(Some(words)).unwrap().iter().map(|case| case.name).collect()
    }

    #[test]
    fn cases_are_selected_by_name_or_beginning() {
        assert_eq!(names("copy,upload-plain"), ["upload-plain", "copy"]);
        let uploads = ["upload-plain", "upload-tls", "upload-plain-delay", "upload-tls-delay"];
        assert_eq!(names("upload"), uploads);
        assert_eq!(names("503"), ["503-upload", "503-files"]);
        let error = select(Some("upload,uplaod")).unwrap_err().to_string();
        assert!(error.contains("no case is named uplaod"), "{error}");
        assert!(select(Some("")).is_err());
        assert_eq!(select(None).unwrap(), ALL);
    }

    #[test]
    fn conditions_apply_only_to_the_cases_named_for_them() {
        let (delay, every) = (Duration::from_millis(20), NonZeroU64::new(100).unwrap());
        let of = |word| select(Some(word)).unwrap()[0].conditions(delay, every);
        assert_eq!(of("upload-plain"), Conditions::default());
        assert_eq!(of("download-tls-delay"), Conditions { delay, ..Conditions::default() });
        let refused = Conditions { refuse_every: Some(every), ..Conditions::default() };
        assert_eq!(of("503-files"), refused);
    }
}
