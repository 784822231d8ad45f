//! Sends DeleteObjects through the SDK: many keys in one request, whose answer is matched to the
//! keys.
//!
//! The request asks for a full answer, not the quiet form: a key counts as removed only if the
//! store lists it as removed. The request has `Content-MD5`, which every store accepts, in place of
//! the SDK's checksum, which Ceph RGW 16.2 does not know.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types as sdk;
use haul_parts::Bucket;

use super::content_md5::replace_checksum;
use super::sdk_error::convert as failed;
use crate::remote::{
    DeleteEntry, DeleteResults, DeletedObject, Operation, StoreError, StoreErrorKind,
};

const OPERATION: Operation = Operation::DeleteObjects;

pub(super) async fn delete_objects(
    client: &Client,
    bucket: &Bucket,
    entries: &[DeleteEntry],
) -> Result<DeleteResults, StoreError> {
    let unusable = |error: aws_sdk_s3::error::BuildError| {
        StoreError::local(OPERATION, StoreErrorKind::Rejected, error.to_string())
    };
    let mut objects = Vec::with_capacity(entries.len());
    for entry in entries {
        let object = sdk::ObjectIdentifier::builder()
            .key(entry.key.as_str())
            .set_version_id(entry.version_id.clone());
        objects.push(object.build().map_err(unusable)?);
    }
    let delete = sdk::Delete::builder().set_objects(Some(objects)).build().map_err(unusable)?;
    let answer = client
        .delete_objects()
        .bucket(bucket.as_str())
        .delete(delete)
        .customize()
        .mutate_request(replace_checksum)
        .send()
        .await
        .map_err(|error| failed(OPERATION, error))?;
    let mut answered = Answered::to(entries);
    for deleted in answer.deleted() {
        let marker = deleted.delete_marker().unwrap_or_default();
        answered.add(deleted.key(), deleted.version_id(), Ok(marker));
    }
    for error in answer.errors() {
        let refusal = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        answered.add(error.key(), error.version_id(), Err(refusal));
    }
    Ok(entries.iter().map(|entry| answered.result(entry)).collect())
}

/// A store's result for one key: whether it created a delete marker, or the code and message of its
/// refusal.
type Word<'a> = Result<bool, (&'a str, &'a str)>;

/// The answer to each entry, by key and version: a request may name several versions of a key.
struct Answered<'a>(HashMap<(&'a str, Option<&'a str>), Option<Word<'a>>>);

impl<'a> Answered<'a> {
    /// Creates a record without results for these entries.
    fn to(entries: &'a [DeleteEntry]) -> Self {
        let named = |entry: &'a DeleteEntry| (entry.key.as_str(), entry.version_id.as_deref());
        Self(entries.iter().map(|entry| (named(entry), None)).collect())
    }

    fn add(&mut self, key: Option<&'a str>, version: Option<&'a str>, word: Word<'a>) {
        let Some(key) = key else { return };
        // Garage names the version that it removed, which the request did not.
        let asked = [(key, version), (key, None)].into_iter().find(|it| self.0.contains_key(it));
        let Some(known) = asked.and_then(|asked| self.0.get_mut(&asked)) else { return };
        // A refusal takes precedence over a success: a store that reports both may not have removed
        // the object.
        if known.is_none() || word.is_err() {
            *known = Some(word);
        }
    }

    fn result(&self, entry: &DeleteEntry) -> Result<DeletedObject, StoreError> {
        let (key, version) = (entry.key.as_str(), entry.version_id.as_deref());
        match self.0.get(&(key, version)).copied().flatten() {
            Some(Ok(delete_marker)) => Ok(DeletedObject { delete_marker }),
            // The object does not exist, which is the requested state.
            Some(Err(("NoSuchKey" | "NoSuchVersion", _))) => Ok(DeletedObject::default()),
            Some(Err((code, message))) => Err(StoreError::of_entry(OPERATION, code, message)),
            None => {
                let message = "the answer does not say whether the object was removed";
                let error = StoreError::local(OPERATION, StoreErrorKind::Malformed, message);
                Err(StoreError { outcome_unknown: true, ..error })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::Key;

    use super::*;

    fn entry(key: &str) -> DeleteEntry {
        DeleteEntry::current(Key::new(key).unwrap())
    }

    fn entries(keys: &[&str]) -> Vec<DeleteEntry> {
        keys.iter().map(|key| entry(key)).collect()
    }

    #[test]
    fn an_entry_is_removed_only_if_the_answer_says_so() {
        let entries = entries(&["a", "marked", "kept", "both", "gone", "silent"]);
        let mut answered = Answered::to(&entries);
        answered.add(Some("a"), None, Ok(false));
        answered.add(Some("marked"), Some(""), Ok(true));
        answered.add(Some("kept"), None, Err(("AccessDenied", "no")));
        answered.add(Some("both"), None, Err(("InternalError", "")));
        answered.add(Some("both"), None, Ok(false));
        answered.add(Some("gone"), None, Err(("NoSuchKey", "")));
        answered.add(Some("another"), None, Ok(false));
        let result = |key| answered.result(&entry(key));
        assert_eq!(result("a").unwrap(), DeletedObject { delete_marker: false });
        assert_eq!(result("marked").unwrap(), DeletedObject { delete_marker: true });
        assert_eq!(result("gone").unwrap(), DeletedObject::default());
        let kept = result("kept").unwrap_err();
        assert_eq!(kept.kind, StoreErrorKind::AccessDenied);
        assert_eq!(kept.to_string(), "DeleteObjects: AccessDenied: no");
        assert_eq!(result("both").unwrap_err().kind, StoreErrorKind::Server);
        let silent = result("silent").unwrap_err();
        assert!(silent.outcome_unknown && silent.kind == StoreErrorKind::Malformed);
    }

    /// Garage 2.5.0 names the version that it removed; each object counted as not removed.
    #[test]
    fn a_version_that_was_not_asked_for_answers_the_key() {
        let version = |name: &str| DeleteEntry { version_id: Some(name.to_owned()), ..entry("v") };
        let entries = [entry("a"), version("1"), version("2")];
        let mut answered = Answered::to(&entries);
        answered.add(Some("a"), Some("72ba"), Ok(false));
        answered.add(Some("v"), Some("1"), Ok(false));
        answered.add(Some("v"), Some("3"), Ok(false));
        assert!(answered.result(&entries[0]).is_ok());
        assert!(answered.result(&entries[1]).is_ok());
        assert!(answered.result(&entries[2]).is_err(), "a version of its own needs its answer");
    }
}
