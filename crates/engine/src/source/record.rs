//! The record of a source in a journal: finds the source again, and distinguishes its versions
//! (P4).

use std::path::PathBuf;

use haul_parts::{ETag, ObjectRef};
use serde::{Deserialize, Serialize};

use super::{Change, FileIdentity, path_text};

/// A version of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SourceRecord {
    /// A file of this machine.
    File(FileRecord),
    /// An object, of which a copy is made.
    Object(ObjectRecord),
    /// A stream whose producer can repeat it, byte for byte.
    Stream(StreamRecord),
}

/// The recorded properties of a stream. Never the arguments of a command: they may contain a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The name for messages.
    pub stream: String,
    /// The program whose output it is; `None`: standard input, or another reader of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The length in bytes, if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_bytes: Option<u64>,
}

/// A version of a file at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The absolute path.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The identity of the version.
    pub identity: FileIdentity,
}

/// A version of an object at a store. Contains no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The bucket and key of the object.
    pub object: ObjectRef,
    /// The store: its endpoint, or a name that stays the same if the endpoint does not.
    pub store: String,
    /// The version of the object.
    pub version: ObjectVersion,
    /// The caller's data for connecting to that store, if it is not the target's; opaque to the
    /// engine, without secrets.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub connection: serde_json::Value,
    /// Whether the bytes pass through this machine, because the store does not copy them itself.
    #[serde(default)]
    pub streamed: bool,
}

/// The version of an object: the values that distinguish it from another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// The ETag as the store returned it; may be empty.
    pub etag: ETag,
    /// The bytes of the object.
    pub size_bytes: u64,
    /// The time of `Last-Modified`, in seconds since 1970.
    pub modified_at: Option<i64>,
}

impl ObjectVersion {
    /// Returns the difference to `now`, if there is one. Stricter than within a run: an object that
    /// was written again with the same bytes is another version, because it may have had other
    /// content in between.
    #[must_use]
    pub fn change_to(&self, now: &Self) -> Option<Change> {
        let detail = if self.etag != now.etag {
            format!("its ETag is {} instead of {}", now.etag, self.etag)
        } else if self.size_bytes != now.size_bytes {
            format!("it has {} bytes instead of {}", now.size_bytes, self.size_bytes)
        } else if self.modified_at != now.modified_at {
            "it was written again".to_owned()
        } else {
            return None;
        };
        Some(Change::Version(detail))
    }
}

impl SourceRecord {
    /// Returns whether both are the same source without a write in between, whatever its name.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(ours), Self::File(theirs)) => ours.identity.is_same_file(&theirs.identity),
            (Self::Object(ours), Self::Object(theirs)) => {
                self.is_same_place(other) && ours.version == theirs.version
            }
            _ => false,
        }
    }

    /// Returns whether the same command names both sources, in any version.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(ours), Self::File(theirs)) => ours.path == theirs.path,
            (Self::Object(ours), Self::Object(theirs)) => {
                (&ours.store, &ours.object) == (&theirs.store, &theirs.object)
            }
            // A stream is found by its destination alone, because two streams have nothing else in
            // common.
            (Self::Stream(_), Self::Stream(_)) => true,
            _ => false,
        }
    }

    /// Returns the difference to `now`, if there is one.
    #[must_use]
    pub fn change_to(&self, now: &Self) -> Option<Change> {
        match (self, now) {
            (Self::File(before), Self::File(now)) => before.identity.change_to(&now.identity),
            (Self::Object(before), Self::Object(now)) => before.version.change_to(&now.version),
            // Every part of the stream is compared anyway.
            (Self::Stream(_), Self::Stream(_)) => None,
            _ => Some(Change::Replaced),
        }
    }

    /// Returns the file, if the source is one.
    pub fn file(&self) -> Option<&FileRecord> {
        match self {
            Self::File(file) => Some(file),
            Self::Object(_) | Self::Stream(_) => None,
        }
    }

    /// Returns the name for messages: a path, or `s3://bucket/key`.
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Object(object) => object.object.to_string(),
            Self::Stream(stream) => stream.stream.clone(),
        }
    }

    /// Returns the bytes that the name of the journal is derived from: the same for the same
    /// command.
    pub(crate) fn place_bytes(&self) -> Vec<u8> {
        match self {
            Self::File(file) => file.path.as_os_str().as_encoded_bytes().to_vec(),
            Self::Object(ObjectRecord { object, store, .. }) => {
                format!("object\0{store}\0{}\0{}", object.bucket, object.key).into_bytes()
            }
            Self::Stream(_) => b"stream".to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(etag: &str, modified_at: i64) -> SourceRecord {
        SourceRecord::Object(ObjectRecord {
            object: "s3://bucket/key".parse().unwrap(),
            store: "http://h".into(),
            version: ObjectVersion {
                etag: ETag::new(etag),
                size_bytes: 3,
                modified_at: Some(modified_at),
            },
            connection: serde_json::Value::Null,
            streamed: false,
        })
    }

    #[test]
    fn an_object_written_again_is_another_version_at_the_same_place() {
        let before = object("\"a\"", 1);
        assert!(before.change_to(&object("\"a\"", 1)).is_none());
        for now in [object("\"b\"", 1), object("\"a\"", 2)] {
            assert!(matches!(before.change_to(&now), Some(Change::Version(_))), "{now:?}");
            assert!(before.is_same_place(&now) && !before.is_same_version(&now));
        }
    }

    #[test]
    fn records_of_every_kind_are_read_back() {
        let path = "/a/file".into();
        let identity =
            FileIdentity { place: None, size_bytes: 1, modified_ns: None, changed_ns: None };
        let file = SourceRecord::File(FileRecord { path, identity });
        let stream = SourceRecord::Stream(StreamRecord {
            stream: "the output of tar".into(),
            program: Some("tar".into()),
            promised_bytes: None,
        });
        for record in [file, object("\"a\"", 1), stream] {
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<SourceRecord>(&text).unwrap(), record, "{text}");
        }
    }
}
