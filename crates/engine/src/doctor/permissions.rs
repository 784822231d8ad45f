//! The permissions, one by one, in an order that leaves nothing behind: what only reads first, then
//! whether objects and uploads can be removed, and only then what writes.

use bytes::Bytes;
use haul_parts::UploadId;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::bucket_versions::{Versions, version_of};
use super::request::{Answered, of_bucket, of_upload, put, request, shown};
use super::versions::text_of;
use super::{Doctor, Group, Verdict};
use crate::remote::{Support, UploadRef};
use crate::s3::ProbeAnswer;

/// The operations that need an object or an upload of the scratch.
const WRITING: [&str; 13] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "GetObjectTagging",
    "GetObjectAttributes",
    "CreateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
    "UploadPartCopy",
    "CopyObject",
    "unequal parts",
    "HeadObject partNumber",
];

const GROUPS_OF_WRITING: [(Group, &[&str]); 3] = [
    (Group::Checksums, &["checksums", "trailers"]),
    (Group::Conditions, &["PutObject If-None-Match", "CompleteMultipartUpload If-None-Match"]),
    (Group::Throughput, &super::throughput::NAMES),
];

/// The content of the small objects.
pub(super) const CONTENT: &[u8] = b"written by haul doctor, removed at its end\n";

impl Doctor<'_> {
    /// Checks what only reads, and returns whether the scratch may be written.
    pub(super) async fn check_reading(&mut self) -> bool {
        for (name, query) in
            [("ListObjectsV2", "list-type=2&max-keys=1"), ("GetBucketLocation", "location")]
        {
            let answered = self.ask_bucket(query).await;
            self.permission(name, &answered);
        }
        let answered = self.ask_bucket("lifecycle").await;
        self.permission("GetBucketLifecycleConfiguration", &answered);
        self.note_lifecycle(&answered);
        // The bucket's own uploads are listed, so the prefix of the scratch keeps the answer short.
        let prefix = utf8_percent_encode(&self.scratch.all(), NON_ALPHANUMERIC).to_string();
        let answered = self.ask_bucket(&format!("uploads&prefix={prefix}")).await;
        self.permission("ListMultipartUploads", &answered);
        let lock = self.ask_bucket("object-lock").await;
        self.permission("GetObjectLockConfiguration", &lock);
        let why = match self.reason_against_writing(&lock) {
            Some(why) => Some(why),
            None => self.check_removing().await,
        };
        let Some(why) = why else { return true };
        self.not_tested(Group::Permissions, &WRITING, &why);
        for (group, names) in GROUPS_OF_WRITING {
            self.not_tested(group, names, &why);
        }
        false
    }

    /// Returns the reason why an object of this bucket might not be removable. Without versions
    /// there is no object lock.
    fn reason_against_writing(&self, lock: &Answered) -> Option<String> {
        let answer = match lock {
            Ok(answer) => answer,
            Err(no_answer) => return Some(no_answer.reason()),
        };
        if answer.is_success() {
            let mode = text_of(&answer.body, "Mode")?;
            let term = ["Days", "Years"].into_iter().find_map(|unit| {
                Some(format!("{} {}", text_of(&answer.body, unit)?, unit.to_lowercase()))
            });
            let term = term.unwrap_or_else(|| "a time".to_owned());
            return Some(format!(
                "the bucket keeps every new object for {term} ({mode}): nothing was written"
            ));
        }
        let is_denied = [401, 403].contains(&answer.status) && self.versions != Versions::None;
        (is_denied && !self.options.assume_no_retention).then(|| {
            "the store does not tell whether the bucket has a default retention: nothing was \
             written (--assume-no-retention)"
                .to_owned()
        })
    }

    /// Checks that objects, versions and uploads of the scratch can be removed; returns the reason
    /// if they cannot. None of these requests creates an object.
    async fn check_removing(&mut self) -> Option<String> {
        let name = "DeleteObjectVersion";
        let mut of_version = None;
        if self.versions != Versions::None {
            let absent = self.send("absent", request(Method::DELETE, "versionId=null")).await;
            if denied(&absent) {
                self.permission(name, &absent);
                return Some(self.versions_stay("removing versions is denied"));
            }
            of_version = Some(absent);
        }
        let removed = self.send("absent", request(Method::DELETE, "")).await;
        if self.permission("DeleteObject", &removed) != Verdict::Ok {
            return Some("objects cannot be removed: nothing was written".to_owned());
        }
        // In a bucket with versions, this has added a delete marker.
        if let Some(marker) = removed.as_ref().ok().and_then(version_of) {
            let query = format!("versionId={}", utf8_percent_encode(&marker, NON_ALPHANUMERIC));
            let answered = self.send("absent", request(Method::DELETE, &query)).await;
            self.versions = Versions::Kept;
            if answered.as_ref().is_ok_and(ProbeAnswer::is_success) {
                self.created.retain(|(_, version)| version.as_ref() != Some(&marker));
            }
            of_version = Some(answered);
        }
        if let Some(answered) = of_version {
            match &answered {
                Ok(answer) if answer.status == 404 => {
                    self.note(Group::Permissions, name, Verdict::Ok, "allowed");
                }
                // A store may refuse to remove a version that does not exist.
                Ok(answer) if !answer.is_success() && !denied(&answered) => {
                    let why = format!("unknown: could not be tested ({})", shown(answer));
                    self.note(Group::Permissions, name, Verdict::NotTested, why);
                }
                _ => drop(self.permission(name, &answered)),
            }
            let is_removable = self.report.verdict(name) == Some(Verdict::Ok);
            if self.versions == Versions::Kept && !is_removable {
                return Some(self.versions_stay("it is not known that versions can be removed"));
            }
        }
        let Ok(upload_id) = UploadId::new("haul-doctor-no-such-upload") else { return None };
        let object = self.object(&self.scratch.key("parts")).ok()?;
        let unknown = UploadRef { object, upload_id };
        let answered =
            self.send("parts", request(Method::DELETE, &of_upload(&unknown, None))).await;
        if denied(&answered) {
            self.permission("AbortMultipartUpload", &answered);
            return Some("uploads cannot be aborted: nothing was written".to_owned());
        }
        None
    }

    fn versions_stay(&self, why: &str) -> String {
        match self.versions {
            Versions::Unknown => format!(
                "{why}, and the store does not tell whether the bucket keeps any: nothing was \
                 written (--assume-no-versions)"
            ),
            _ => format!("{why}: nothing was written"),
        }
    }

    /// Checks the operations on one object and on one upload.
    pub(super) async fn check_writing(&mut self) {
        let content = Bytes::from_static(CONTENT);
        let answered = self.send("marker", put("", &content)).await;
        self.permission("PutObject", &answered);
        let answered = self.send("marker", request(Method::GET, "")).await;
        match &answered {
            Ok(answer) if answer.is_success() && answer.body != content => {
                let why = "the object has other bytes than were sent";
                self.note(Group::Permissions, "GetObject", Verdict::No, why);
            }
            _ => drop(self.permission("GetObject", &answered)),
        }
        let answered = self.send("marker", request(Method::HEAD, "")).await;
        self.permission("HeadObject", &answered);
        let answered = self.send("marker", request(Method::GET, "tagging")).await;
        self.permission("GetObjectTagging", &answered);
        let asked = request(Method::GET, "attributes")
            .with("x-amz-object-attributes", "ETag,ObjectSize,Checksum");
        let answered = self.send("marker", asked).await;
        let verdict = self.permission("GetObjectAttributes", &answered);
        let is_attributes = |answered: &Answered| {
            answered.as_ref().is_ok_and(|answer| text_of(&answer.body, "ObjectSize").is_some())
        };
        self.findings.get_object_attributes = match verdict {
            // A store that does not know the sub-resource returns the object itself.
            Verdict::Ok if !is_attributes(&answered) => Support::Ignored,
            _ => support(&answered),
        };
        if let Some(check) = self.report.checks.last_mut()
            && self.findings.get_object_attributes == Support::Ignored
        {
            check.verdict = Verdict::No;
            check.detail = "ignored: returns the object itself".to_owned();
        }
    }

    async fn ask_bucket(&mut self, query: &str) -> Answered {
        let key = self.scratch.key("marker");
        self.send_to(&key, &of_bucket(query)).await
    }
}

/// Returns whether the answer refuses the caller.
pub(super) fn denied(answered: &Answered) -> bool {
    answered.as_ref().is_ok_and(|answer| [401, 403].contains(&answer.status))
}

/// Returns whether the store has an operation; a denial says nothing about the store.
pub(super) fn support(answered: &Answered) -> Support {
    match answered {
        Ok(answer) if answer.is_success() => Support::Yes,
        Ok(answer) if [400, 405, 501].contains(&answer.status) => Support::No,
        _ => Support::Unknown,
    }
}
