//! Locates a failed upload for commands in the shell: by the id of its journal or, without a
//! journal, by its key and its upload id at the store.

use std::path::PathBuf;

use haul::parts::UploadId;
use haul::source::Change;
use haul::{Advice, Error as EngineError, ObjectRef, StoreError, StoreErrorKind};

use crate::output::is_unsafe;

/// The location of one upload.
#[derive(Clone, Debug)]
pub(crate) enum UploadLocator {
    /// A journal, for `haul resume ID` and `haul abort ID`.
    Journal(String),
    /// The journal of a stream: `haul abort ID` removes the upload, and the same command resumes
    /// it.
    Stream(String),
    /// Only the store knows the upload.
    Store {
        /// The object of the upload.
        object: ObjectRef,
        /// How to reach the store.
        endpoint: Reach,
        /// The profile, if `--profile` named one.
        profile: Option<String>,
    },
}

/// How a later command reaches a store.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// AWS, by the bucket alone.
    Aws,
    /// A store at this URL.
    Url(String),
    /// The endpoint inside this command, over this folder.
    Inside(PathBuf),
}

impl UploadLocator {
    /// Returns the command that resumes the upload, if there is one.
    pub(crate) fn resume(&self) -> Option<String> {
        match self {
            Self::Journal(id) => Some(format!("haul resume {id}")),
            Self::Stream(_) | Self::Store { .. } => None,
        }
    }

    /// Describes in words how to resume the upload.
    pub(crate) fn again(&self) -> Option<String> {
        match self {
            Self::Journal(id) => Some(format!("run the same command again, or haul resume {id}")),
            Self::Stream(_) => Some("run the same command again".to_owned()),
            Self::Store { .. } => None,
        }
    }

    /// Returns the command that removes the upload.
    pub(crate) fn abort(&self, upload_id: &UploadId) -> String {
        let (object, endpoint, profile) = match self {
            Self::Journal(id) | Self::Stream(id) => return format!("haul abort {id}"),
            Self::Store { object, endpoint, profile } => (object, endpoint, profile),
        };
        let scheme = if matches!(endpoint, Reach::Inside(_)) { "local" } else { "s3" };
        let address = format!("{scheme}://{}/{}", object.bucket, object.key);
        let folder = match endpoint {
            Reach::Inside(folder) => Some(folder.to_string_lossy()),
            Reach::Aws | Reach::Url(_) => None,
        };
        let url = if let Reach::Url(url) = endpoint { Some(url.as_str()) } else { None };
        let words = [
            ("--upload-id", Some(upload_id.as_str())),
            ("--endpoint", url),
            ("--profile", profile.as_deref()),
            ("--data", folder.as_deref()),
        ];
        let mut line = format!("haul abort {}", quoted(&address));
        for (name, value) in words {
            if let Some(value) = value {
                line += &format!(" {name} {}", quoted(value));
            }
        }
        line
    }

    /// Returns the hint for an error of the engine that needs the location.
    pub(crate) fn hint(&self, error: &EngineError) -> Option<String> {
        Some(match error {
            EngineError::Paused { id, .. } if matches!(self, Self::Stream(_)) => {
                format!("run the same command again; haul abort {id} removes what is there")
            }
            EngineError::InDoubt { upload_id, .. } => match self.again() {
                Some(again) => format!("{again}: it finds out and continues"),
                None => format!(
                    "no journal has this upload: look at the object before sending it \
                     again; if it is not \
                     there, remove what was sent: {}",
                    self.abort(upload_id)
                ),
            },
            EngineError::LeftBehind { upload_id, cleanup, .. } => {
                format!("{}: {}", when(cleanup), self.abort(upload_id))
            }
            EngineError::SourceChangedSince { change: Change::Version(_), .. } => match self {
                Self::Journal(id) => format!(
                    "leave out --on-change fail to copy it from the beginning, or remove what was \
                     copied: haul abort {id}"
                ),
                Self::Stream(_) | Self::Store { .. } => return None,
            },
            EngineError::SourceChangedSince { .. } => match self {
                Self::Journal(id) => format!(
                    "leave out --on-change fail to send only the parts that differ, or remove what \
                     was sent: haul abort {id}"
                ),
                Self::Stream(_) | Self::Store { .. } => return None,
            },
            _ => return None,
        })
    }
}

/// Returns what must be resolved before an abort can succeed.
fn when(cleanup: &StoreError) -> &'static str {
    match (cleanup.kind, cleanup.advice()) {
        (StoreErrorKind::AccessDenied | StoreErrorKind::BadCredentials, _) => {
            "abort it with keys that may do so"
        }
        (_, Advice::GiveUp) => "abort it",
        _ => "abort it when the store answers again",
    }
}

/// Quotes a word for a shell. Uses `$'…'`, which dash does not support, only for terminal controls.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.contains(is_unsafe) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => word.extend(['\\', c]),
            _ if is_unsafe(c) => {
                let bytes = c
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .map(|byte| format!("\\{byte:03o}"))
                    .collect::<String>();
                word += &bytes;
            }
            _ => word.push(c),
        }
    }
    word + "'"
}

#[cfg(test)]
mod tests {
    use haul::remote::Operation;

    use super::*;

    fn left_behind(status: u16, code: &str) -> EngineError {
        EngineError::LeftBehind {
            object: "s3://bucket/key".parse().unwrap(),
            upload_id: UploadId::new("u").unwrap(),
            cleanup: Box::new(StoreError::answered(
                Operation::AbortMultipartUpload,
                status,
                Some(code),
                "",
            )),
            source: Box::new(EngineError::Cancelled { object: "s3://bucket/key".parse().unwrap() }),
        }
    }

    fn at_store(key: &str, endpoint: Reach) -> UploadLocator {
        let object = format!("s3://bucket/{key}").parse().unwrap();
        UploadLocator::Store { object, endpoint, profile: None }
    }

    #[test]
    fn an_upload_with_a_journal_is_found_by_its_id() {
        let locator = UploadLocator::Journal("0e50c57f2f7a".into());
        let hint = |error| locator.hint(&error).unwrap();
        insta::assert_snapshot!(hint(left_behind(503, "SlowDown")), @"abort it when the store \
            answers again: haul abort 0e50c57f2f7a");
        insta::assert_snapshot!(hint(left_behind(403, "AccessDenied")), @"abort it with keys that \
            may do so: haul abort 0e50c57f2f7a");
        assert_eq!(locator.resume().as_deref(), Some("haul resume 0e50c57f2f7a"));
    }

    /// Regression: a key with a line break was printed with a backslash and an n, which is another
    /// key.
    #[test]
    fn a_pasted_word_is_the_same_word() {
        let words = [
            "plain",
            "",
            "two words",
            "it's",
            r"back\slash",
            "line\nbreak",
            "\u{1b}[2J'\\",
            "\u{9b}ü\u{fffe}",
        ];
        for word in words {
            let script = format!("printf %s {}", quoted(word));
            let printed =
                std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word, "{script}");
            assert!(!script.contains(is_unsafe), "{script:?}");
        }
    }

    #[test]
    fn an_upload_without_a_journal_is_named_like_at_the_store() {
        let upload_id = UploadId::new("2~a b").unwrap();
        let url = || Reach::Url("http://127.0.0.1:9000".into());
        insta::assert_snapshot!(at_store("it's here", url()).abort(&upload_id), @"haul abort \
            's3://bucket/it'\\''s here' --upload-id '2~a b' --endpoint http://127.0.0.1:9000");
        insta::assert_snapshot!(at_store("key", Reach::Aws).abort(&upload_id), @"haul abort \
            s3://bucket/key --upload-id '2~a b'");
        let inside = at_store("key", Reach::Inside("/srv/data".into()));
        insta::assert_snapshot!(inside.abort(&upload_id), @"haul abort \
            local://bucket/key --upload-id '2~a b' --data /srv/data");
    }
}
