//! The settings of a bucket: when unfinished uploads are removed, CORS rules, ownership, tags.
//!
//! The store executes the lifecycle itself; it only stores the other settings for the server.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The lifecycle rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleConfiguration {
    /// The rules, at most 1,000 on AWS.
    pub rules: Vec<LifecycleRule>,
}

/// One rule of a lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// The id of the rule, at most 255 characters.
    pub id: String,
    /// Whether the rule is enabled.
    pub status: RuleStatus,
    /// The prefix of the keys that the rule applies to; empty for all.
    pub prefix: String,
    /// AbortIncompleteMultipartUpload: abort uploads this many days after Create.
    pub abort_incomplete_after_days: Option<u32>,
}

/// The status of a lifecycle rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleStatus {
    /// The rule applies.
    #[default]
    Enabled,
    /// The rule is kept and ignored.
    Disabled,
}

/// The CORS rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsConfiguration {
    /// The rules, at most 100 on AWS; the first match applies.
    pub rules: Vec<CorsRule>,
}

/// One CORS rule, as the client sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// The id of the rule.
    pub id: Option<String>,
    /// The origins that it allows, with at most one `*` each.
    pub allowed_origins: Vec<String>,
    /// The methods that it allows.
    pub allowed_methods: Vec<String>,
    /// The request headers that it allows, with at most one `*` each.
    pub allowed_headers: Vec<String>,
    /// The response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may cache the preflight response, in seconds.
    pub max_age_seconds: Option<u32>,
}

/// The owner of objects that other accounts write into a bucket. This store has only one owner, so
/// the setting is only stored and returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner; access control lists are off. The default of new buckets.
    #[default]
    BucketOwnerEnforced,
    /// The bucket's owner if the writer agrees.
    BucketOwnerPreferred,
    /// The account that wrote the object.
    ObjectWriter,
}

/// The public access that a bucket blocks. Only stored and returned; objects are public only in
/// buckets that the operator of the server names.
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

/// The default of a new bucket: everything is blocked.
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

/// Options for creating a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketOptions {
    /// The object ownership of the bucket.
    pub ownership: ObjectOwnership,
    /// The tags of the bucket.
    pub tags: BTreeMap<String, String>,
}

impl LifecycleConfiguration {
    /// Returns when an upload of this key is aborted and by which rule: of the rules that apply,
    /// the one with the earliest time. As on AWS, days count from Create and are rounded up to the
    /// next midnight UTC.
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

    /// Tests a time far beyond any calendar, which must not overflow.
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
