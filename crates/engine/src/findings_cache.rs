//! Keeps what a probe found about a store, so that later runs choose their profile by it.
//!
//! One JSON file per store (docs/formats.md), mode 0600 in a folder of 0700; a file of another
//! user, or of another version, is not used. A lost file costs nothing but the refinement. It is
//! written under a temporary name and renamed, so a reader sees the old findings or the new ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use haul_parts::{ChecksumAlgorithm, Hasher};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{JournalError, private};
use crate::remote::StoreFindings;

/// The version of the format that this Haul reads and writes.
const VERSION: u32 = 1;

/// The folder of the findings: `$XDG_STATE_HOME/haul/stores`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingsCache(PathBuf);

/// The findings about one store, with their date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFindings {
    /// The name of the store: [`Location::store_name`](crate::s3::Location::store_name).
    pub store: String,
    /// The time of the probe.
    #[serde(with = "time_text")]
    pub found_at: Timestamp,
    /// What it found.
    pub findings: StoreFindings,
}

/// The reason why recorded findings are not used, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the findings {} {problem}", path.display())]
pub struct FindingsError {
    /// The path of the file or of the folder.
    pub path: PathBuf,
    /// The problem, as the end of a sentence.
    pub problem: String,
}

/// The file: the version is read before anything else.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(flatten)]
    recorded: serde_json::Map<String, serde_json::Value>,
}

impl FindingsCache {
    /// Creates the value for a folder, which is created with the first findings.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Returns the findings about the store with this name, if there are any.
    ///
    /// # Errors
    /// The file belongs to another user, is damaged, or has another version.
    pub fn read(&self, store: &str) -> Result<Option<RecordedFindings>, FindingsError> {
        let path = self.file_of(store);
        let failed = |problem: String| FindingsError { path: path.clone(), problem };
        if !private::check_folder(&self.0).map_err(|error| failed(problem(error)))? {
            return Ok(None);
        }
        let bytes = match private::read(&path) {
            Ok(bytes) => bytes,
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(failed(problem(error))),
        };
        let damaged = |error: serde_json::Error| failed(format!("are damaged: {error}"));
        let document: Document = serde_json::from_slice(&bytes).map_err(damaged)?;
        if document.version != VERSION {
            return Err(failed(format!("have version {} instead of {VERSION}", document.version)));
        }
        let recorded: RecordedFindings =
            serde_json::from_value(document.recorded.into()).map_err(damaged)?;
        // Another store whose name has the same hash.
        Ok(Some(recorded).filter(|recorded| recorded.store == store))
    }

    /// Writes findings in place of earlier ones about the same store, and syncs them. Returns the
    /// path of the file.
    ///
    /// # Errors
    /// The folder belongs to another user, or the disk is full or broken.
    pub fn write(&self, recorded: &RecordedFindings) -> Result<PathBuf, FindingsError> {
        let path = self.file_of(&recorded.store);
        let failed = |problem: String| FindingsError { path: path.clone(), problem };
        private::make_folder(&self.0).map_err(|error| failed(problem(error)))?;
        let unwritten =
            |error: &dyn std::fmt::Display| failed(format!("cannot be written: {error}"));
        let value = serde_json::to_value(recorded).map_err(|error| unwritten(&error))?;
        let serde_json::Value::Object(fields) = value else {
            return Err(unwritten(&"they are no object"));
        };
        let document = Document { version: VERSION, recorded: fields };
        let text = serde_json::to_vec_pretty(&document).map_err(|error| unwritten(&error))?;
        let temporary =
            self.0.join(format!(".{}-{}.part", std::process::id(), id_of(&recorded.store)));
        let written = replace(&temporary, &path, &text);
        if written.is_err() {
            drop(fs::remove_file(&temporary));
        }
        written.map_err(|error| unwritten(&error))?;
        Ok(path)
    }

    fn file_of(&self, store: &str) -> PathBuf {
        self.0.join(format!("{}.json", id_of(store)))
    }
}

/// Returns the name of a store's file: the first 6 bytes of the SHA-256 of its name.
fn id_of(store: &str) -> String {
    let hash = Hasher::checksum(ChecksumAlgorithm::Sha256, store.as_bytes());
    hash.bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn replace(temporary: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let folder = path.parent().map(File::open).transpose()?;
    folder.map_or(Ok(()), |folder| folder.sync_all())
}

/// Words the errors that the checks of permissions share with the journals.
fn problem(error: JournalError) -> String {
    match error {
        JournalError::Io { what, source, .. } => format!("cannot be {what}: {source}"),
        JournalError::NotPrivate { reason, .. } => format!("are not used: {reason}"),
        other => format!("are not used: {other}"),
    }
}

/// A time as text, RFC 3339.
mod time_text {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::remote::{Conditions, StoreKind, Support};

    const STORE: &str = "http://gateway:7480";

    fn recorded() -> RecordedFindings {
        RecordedFindings {
            store: STORE.to_owned(),
            found_at: "2026-11-26T23:00:00Z".parse().unwrap(),
            findings: StoreFindings {
                kind: StoreKind::CephRgw,
                equal_parts: Some(false),
                checksums: [(ChecksumAlgorithm::Crc64Nvme, Support::Ignored)].into(),
                on_complete: Conditions::both(Support::Ignored),
                ..StoreFindings::default()
            },
        }
    }

    #[test]
    fn findings_are_read_back_for_their_store_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FindingsCache::new(folder.path().join("haul/stores"));
        assert_eq!(cache.read(STORE).unwrap(), None);
        cache.write(&recorded()).unwrap();
        let later =
            RecordedFindings { found_at: "2026-12-01T00:00:00Z".parse().unwrap(), ..recorded() };
        cache.write(&later).unwrap();
        assert_eq!(cache.read(STORE).unwrap(), Some(later));
        assert_eq!(cache.read("http://gateway:7481").unwrap(), None);
        assert_eq!(fs::read_dir(&cache.0).unwrap().count(), 1, "nothing else is left");
    }

    /// The names of fields and values are a format: docs/formats.md.
    #[test]
    fn the_file_is_the_documented_document() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FindingsCache::new(folder.path());
        let text = fs::read_to_string(cache.write(&recorded()).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], 1);
        assert_eq!(
            (&value["store"], &value["found_at"]),
            (&STORE.into(), &"2026-11-26T23:00:00Z".into())
        );
        let found = &value["findings"];
        assert_eq!((&found["kind"], &found["equal_parts"]), (&"ceph-rgw".into(), &false.into()));
        assert_eq!(found["checksums"]["CRC64NVME"], "ignored");
        assert_eq!(found["on_complete"]["if_none_match"], "ignored");
        assert_eq!(found["upload_part_copy"], "unknown");
    }

    #[test]
    fn the_file_and_its_folder_are_their_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FindingsCache::new(folder.path().join("stores"));
        let path = cache.write(&recorded()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(&cache.0)), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        cache.read(STORE).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(cache.read(STORE).unwrap_err().to_string().contains("symbolic link"));
    }

    #[test]
    fn damaged_files_and_other_versions_are_named_and_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FindingsCache::new(folder.path());
        let path = cache.write(&recorded()).unwrap();
        let problem = |text: &str| {
            fs::write(&path, text).unwrap();
            cache.read(STORE).unwrap_err().to_string()
        };
        let whole = fs::read_to_string(&path).unwrap();
        for damaged in ["", "{", &whole[..whole.len() / 2], r#"{"version": 1}"#] {
            assert!(problem(damaged).contains("damaged"), "{damaged}");
        }
        let newer = whole.replace(r#""version": 1"#, r#""version": 2"#);
        assert!(problem(&newer).contains("version 2 instead of 1"));
    }
}
