//! Whether the bucket keeps versions, and how to remove an object of which no version is left.
//!
//! A caller may be allowed to write without being allowed to ask for versions. Such a bucket is not
//! treated as one without versions: a plain removal there would add a delete marker and remove
//! nothing. Its objects are removed by the VersionId that PutObject, CompleteMultipartUpload,
//! HeadObject and DeleteObject return.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::{of_bucket, request, shown};
use super::versions::text_of;
use super::{Doctor, Group, Verdict};
use crate::s3::ProbeAnswer;

/// The name of the check.
const NAME: &str = "versions";

/// Maximum number of versions of one key that are removed one after the other. A run writes fewer.
const VERSIONS_MAX: u32 = 32;

/// Whether the bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// It never did.
    None,
    /// It does, or did before they were suspended.
    Kept,
    /// The store does not tell.
    Unknown,
}

impl Doctor<'_> {
    /// Asks whether the bucket keeps versions, and whether they can be listed.
    pub(super) async fn check_versions(&mut self) {
        let group = Group::Permissions;
        let prefix = utf8_percent_encode(&self.scratch.all(), NON_ALPHANUMERIC).to_string();
        let key = self.scratch.key("marker");
        let listed = self.send_to(&key, &of_bucket(&format!("versions&prefix={prefix}"))).await;
        self.permission("ListObjectVersions", &listed);
        let versioning = self.send_to(&key, &of_bucket("versioning")).await;
        self.permission("GetBucketVersioning", &versioning);
        let (versions, verdict, detail) = match &versioning {
            Ok(answer) if answer.is_success() => match text_of(&answer.body, "Status") {
                Some(status) => {
                    (Versions::Kept, Verdict::Ok, format!("the bucket keeps them ({status})"))
                }
                None => (Versions::None, Verdict::Ok, "the bucket keeps none".to_owned()),
            },
            Ok(answer) if [405, 501].contains(&answer.status) => {
                (Versions::None, Verdict::No, format!("the store has none ({})", shown(answer)))
            }
            _ if self.options.assume_no_versions => {
                let detail = "the bucket keeps none, by --assume-no-versions".to_owned();
                (Versions::None, Verdict::NotTested, detail)
            }
            _ => {
                let detail = "unknown whether the bucket keeps them: the scratch is removed by \
                              the VersionId in each answer";
                (Versions::Unknown, Verdict::NotTested, detail.to_owned())
            }
        };
        self.versions = versions;
        self.note(group, NAME, verdict, detail);
    }

    /// Corrects the check after the answers to writes, which have a VersionId in a bucket with
    /// versions.
    pub(super) fn conclude_versions(&mut self) {
        let has_version = self.created.iter().any(|(_, version)| version.is_some());
        let has_version = has_version || self.versions == Versions::Kept;
        let is_empty = self.created.is_empty();
        let Some(check) = self.report.checks.iter_mut().find(|check| check.name == NAME) else {
            return;
        };
        if check.verdict != Verdict::NotTested || is_empty {
            return;
        }
        if has_version {
            self.versions = Versions::Kept;
            check.detail = "the store does not tell, but its answers have a VersionId: the \
                            scratch is removed by these"
                .to_owned();
        } else if self.versions == Versions::Unknown {
            check.detail = "unknown whether the bucket keeps them; no answer has a VersionId, as \
                            in a bucket without versions"
                .to_owned();
        }
    }

    /// Removes a version.
    pub(super) async fn remove_version(&self, key: &str, version: &str) -> Result<(), String> {
        let query = format!("versionId={}", utf8_percent_encode(version, NON_ALPHANUMERIC));
        match self.send_to(key, &request(Method::DELETE, &query)).await {
            Ok(answer) if answer.is_success() || answer.status == 404 => Ok(()),
            Ok(answer) => Err(format!("{key}: {}", shown(&answer))),
            Err(no_answer) => Err(format!("{key}: {}", no_answer.reason())),
        }
    }

    /// Removes a key of a bucket without versions.
    pub(super) async fn remove_plainly(&self, key: &str) -> Result<Option<String>, String> {
        match self.send_to(key, &request(Method::DELETE, "")).await {
            Ok(answer) if answer.is_success() => Ok(version_of(&answer)),
            Ok(answer) if answer.status == 404 => Ok(None),
            Ok(answer) => Err(format!("{key}: {}", shown(&answer))),
            Err(no_answer) => Err(format!("{key}: {}", no_answer.reason())),
        }
    }

    /// Removes the versions of a key one after the other, without a listing: HeadObject names the
    /// current one.
    pub(super) async fn remove_each_version(&self, key: &str) -> Result<(), String> {
        for _ in 0..VERSIONS_MAX {
            let current = self.send_to(key, &request(Method::HEAD, "")).await;
            let current = current.map_err(|no_answer| format!("{key}: {}", no_answer.reason()))?;
            match version_of(&current) {
                // Of an object, or of a delete marker, which is answered with 404.
                Some(version) => self.remove_version(key, &version).await?,
                None if current.status == 404 => return Ok(()),
                // A bucket without versions, one whose versions are suspended, or no permission to
                // read: the removal adds a delete marker at most, and names it.
                None => {
                    if let Some(marker) = self.remove_plainly(key).await? {
                        self.remove_version(key, &marker).await?;
                    }
                    return Ok(());
                }
            }
        }
        Err(format!("{key}: more than {VERSIONS_MAX} versions"))
    }
}

/// Returns the VersionId of an answer.
pub(super) fn version_of(answer: &ProbeAnswer) -> Option<String> {
    answer.header("x-amz-version-id").filter(|id| !id.is_empty()).map(str::to_owned)
}
