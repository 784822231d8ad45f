//! The settings of a bucket: when unfinished uploads are removed, what browsers may do, and what
//! clients say about it.
//!
//! The store acts on the lifecycle by itself; everything else it only keeps for the server.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// When to remove what, per bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleConfiguration {
    /// At most 1,000 on AWS.
    pub rules: Vec<LifecycleRule>,
}

/// One rule of a lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// Its name, at most 255 characters.
    pub id: String,
    /// Whether it is in force.
    pub status: RuleStatus,
    /// For which keys; the empty prefix is all.
    pub prefix: String,
    /// AbortIncompleteMultipartUpload: remove uploads so many days after they were created.
    pub abort_incomplete_after_days: Option<u32>,
}

/// Whether a rule is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleStatus {
    /// It is.
    #[default]
    Enabled,
    /// It is not.
    Disabled,
}

/// What browsers may do, per bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsConfiguration {
    /// At most 100 on AWS; the first that fits counts.
    pub rules: Vec<CorsRule>,
}

/// One rule of CORS, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// Its name.
    pub id: Option<String>,
    /// Which origins, with at most one `*` each.
    pub allowed_origins: Vec<String>,
    /// Which methods.
    pub allowed_methods: Vec<String>,
    /// Which request headers, with at most one `*` each.
    pub allowed_headers: Vec<String>,
    /// Which response headers scripts may see.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer.
    pub max_age_seconds: Option<u32>,
}

/// Who owns objects that others write into a bucket. Everything here has one owner, so it is kept
/// and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner; access control lists are off. New buckets have this.
    #[default]
    BucketOwnerEnforced,
    /// The bucket's owner, where the writer agrees.
    BucketOwnerPreferred,
    /// The writer.
    ObjectWriter,
}

/// What a bucket refuses of public access. Kept and shown; nothing here is public but what the
/// operator names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicAccessBlock {
    /// The `BlockPublicAcls` setting of S3.
    pub block_public_acls: bool,
    /// The `IgnorePublicAcls` setting of S3.
    pub ignore_public_acls: bool,
    /// The `BlockPublicPolicy` setting of S3.
    pub block_public_policy: bool,
    /// The `RestrictPublicBuckets` setting of S3.
    pub restrict_public_buckets: bool,
}

/// That of a new bucket: everything is blocked.
impl Default for PublicAccessBlock {
    fn default() -> Self {
        Self {
            block_public_acls: true,
            ignore_public_acls: true,
            block_public_policy: true,
            restrict_public_buckets: true,
        }
    }
}

/// What a bucket is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketOptions {
    /// Its object ownership.
    pub ownership: ObjectOwnership,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl LifecycleConfiguration {
    /// When an upload of this key is aborted, and by which rule: the earliest of those that fit. As
    /// on AWS, the days are counted from Create and rounded up to the next midnight UTC.
    pub fn abort_due(
        &self,
        key: &str,
        initiated: SystemTime,
    ) -> Option<(SystemTime, &LifecycleRule)> {
        self.rules
            .iter()
            .filter(|rule| rule.status == RuleStatus::Enabled && key.starts_with(&rule.prefix))
            .filter_map(|rule| {
                Some((midnight_after(initiated, rule.abort_incomplete_after_days?)?, rule))
            })
            .min_by_key(|(due, _)| *due)
    }
}

fn midnight_after(initiated: SystemTime, days: u32) -> Option<SystemTime> {
    let since = initiated.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let due = (since + u64::from(days) * DAY_SECONDS).div_ceil(DAY_SECONDS) * DAY_SECONDS;
    UNIX_EPOCH.checked_add(Duration::from_secs(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, status: RuleStatus, prefix: &str, days: u32) -> LifecycleRule {
        let abort_incomplete_after_days = Some(days);
        LifecycleRule {
            id: id.to_owned(),
            status,
            prefix: prefix.to_owned(),
            abort_incomplete_after_days,
        }
    }

    #[test]
    fn the_earliest_rule_that_fits_decides() {
        let lifecycle = LifecycleConfiguration {
            rules: vec![
                rule("all", RuleStatus::Enabled, "", 7),
                rule("off", RuleStatus::Disabled, "tmp/", 1),
                rule("tmp", RuleStatus::Enabled, "tmp/", 2),
            ],
        };
        let noon = UNIX_EPOCH + Duration::from_secs(10 * DAY_SECONDS + DAY_SECONDS / 2);
        let midnight = |day: u64| UNIX_EPOCH + Duration::from_secs(day * DAY_SECONDS);
        let due = |key| lifecycle.abort_due(key, noon).map(|(due, rule)| (due, rule.id.as_str()));
        assert_eq!(due("tmp/x"), Some((midnight(13), "tmp")));
        assert_eq!(due("x"), Some((midnight(18), "all")));
    }

    /// Far beyond what any calendar shows, and no trouble.
    #[test]
    fn so_many_days_overflow_nothing() {
        for days in [i32::MAX as u32, u32::MAX] {
            let lifecycle =
                LifecycleConfiguration { rules: vec![rule("far", RuleStatus::Enabled, "", days)] };
            for initiated in [UNIX_EPOCH, crate::clock::time(u64::MAX)] {
                let due = lifecycle.abort_due("x", initiated).map(|(due, _)| due);
                assert!(due.is_none_or(|due| due > SystemTime::now()), "{days}: {due:?}");
            }
        }
    }
}
