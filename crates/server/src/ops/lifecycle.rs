//! Handles the part of a bucket's lifecycle that is executed: AbortIncompleteMultipartUpload with a
//! prefix.
//!
//! A rule with any other action is refused, because accepting it without executing it would
//! silently break a promise. The store executes the rules; the `x-amz-abort-date` of Create and
//! ListParts announces the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haul_store::{LifecycleConfiguration, LifecycleRule as StoredRule, RuleStatus, UploadInfo};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;

/// The maximum number of rules of one bucket, and of characters of a rule's name, by AWS's rule.
const RULES: usize = 1000;
const ID_CHARS: usize = 255;

/// The end of the year 9999, the last date that a response can contain; converting a later one
/// panics. A rule with more days is accepted and executed, but not announced.
const LAST_DATE_SECONDS: u64 = 253_402_300_799;

/// The time when an upload will be aborted, and the rule that applies.
pub(super) struct AbortRule {
    pub(super) date: SystemTime,
    pub(super) rule_id: String,
}

impl Endpoint {
    /// Returns the rule of the bucket that will abort this upload first. An error during the search
    /// is ignored, because it must not fail the request.
    pub(super) async fn abort_rule(&self, upload: &UploadInfo) -> Option<AbortRule> {
        let bucket = upload.upload.object.bucket.clone();
        let lifecycle = self.on_store(move |store| store.bucket_lifecycle(&bucket)).await.ok()?;
        let due = lifecycle.abort_due(upload.upload.object.key.as_str(), upload.initiated);
        let (date, rule) =
            due.filter(|(date, _)| *date <= UNIX_EPOCH + Duration::from_secs(LAST_DATE_SECONDS))?;
        Some(AbortRule { date, rule_id: rule.id.clone() })
    }

    pub(crate) async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answered<GetBucketLifecycleConfigurationOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let lifecycle = self.on_store(move |store| store.bucket_lifecycle(&bucket)).await?;
        let rules = lifecycle.rules.into_iter().map(shown).collect();
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(rules),
            ..Default::default()
        }))
    }

    pub(crate) async fn put_bucket_lifecycle_configuration(
        &self,
        req: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answered<PutBucketLifecycleConfigurationOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let rules =
            req.input.lifecycle_configuration.map(|lifecycle| lifecycle.rules).unwrap_or_default();
        if rules.is_empty() || rules.len() > RULES {
            return Err(Refusal::new(S3ErrorCode::MalformedXML));
        }
        let rules = rules.into_iter().map(read_rule).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::with(
                S3ErrorCode::InvalidArgument,
                "Rule ID must be unique. Found same ID for more than one rule",
            ));
        }
        let lifecycle = LifecycleConfiguration { rules };
        self.on_store(move |store| store.set_bucket_lifecycle(&bucket, Some(lifecycle))).await?;
        self.expiry_wanted.notify_one();
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
    }

    pub(crate) async fn delete_bucket_lifecycle(
        &self,
        req: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answered<DeleteBucketLifecycleOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.set_bucket_lifecycle(&bucket, None)).await?;
        Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
    }
}

pub(crate) fn read_rule(rule: LifecycleRule) -> Result<StoredRule, Refusal> {
    let other_action = rule.expiration.is_some()
        || rule.transitions.is_some_and(|t| !t.is_empty())
        || rule.noncurrent_version_expiration.is_some()
        || rule.noncurrent_version_transitions.is_some_and(|t| !t.is_empty());
    let Some(abort) = rule.abort_incomplete_multipart_upload else {
        return Err(if other_action { only_abort() } else { no_action() });
    };
    if other_action {
        return Err(only_abort());
    }
    let days = abort
        .days_after_initiation
        .and_then(|days| u32::try_from(days).ok())
        .filter(|days| *days > 0);
    let days = days.ok_or_else(|| {
        Refusal::with(
            S3ErrorCode::InvalidArgument,
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive \
             integer",
        )
    })?;
    let id = rule
        .id
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    if id.chars().count() > ID_CHARS {
        return Err(Refusal::with(
            S3ErrorCode::InvalidArgument,
            "ID length should not exceed allowed limit of 255",
        ));
    }
    Ok(StoredRule {
        id,
        status: match rule.status.as_str() {
            ExpirationStatus::ENABLED => RuleStatus::Enabled,
            ExpirationStatus::DISABLED => RuleStatus::Disabled,
            _ => return Err(Refusal::new(S3ErrorCode::MalformedXML)),
        },
        prefix: rule_prefix(rule.filter, rule.prefix)?,
        abort_incomplete_after_days: Some(days),
    })
}

fn rule_prefix(
    filter: Option<LifecycleRuleFilter>,
    old_style: Option<String>,
) -> Result<String, Refusal> {
    let filter = match (filter, old_style) {
        (Some(filter), None) => filter,
        (None, Some(prefix)) => return Ok(prefix),
        // Exactly one of the two must specify the keys of the rule.
        (Some(_), Some(_)) | (None, None) => return Err(Refusal::new(S3ErrorCode::MalformedXML)),
    };
    if filter.tag.is_some() || filter.and.is_some() {
        return Err(Refusal::invalid_request(
            "AbortIncompleteMultipartUpload cannot be specified with Tags.",
        ));
    }
    if filter.object_size_greater_than.is_some() || filter.object_size_less_than.is_some() {
        return Err(Refusal::invalid_request(
            "AbortIncompleteMultipartUpload cannot be specified with Object Size.",
        ));
    }
    Ok(filter.prefix.unwrap_or_default())
}

fn only_abort() -> Refusal {
    Refusal::with(
        S3ErrorCode::NotImplemented,
        "Of the lifecycle actions only AbortIncompleteMultipartUpload is implemented.",
    )
}

fn no_action() -> Refusal {
    Refusal::invalid_request("At least one action needs to be specified in a rule.")
}

pub(crate) fn shown(rule: StoredRule) -> LifecycleRule {
    let days = rule.abort_incomplete_after_days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
    LifecycleRule {
        abort_incomplete_multipart_upload: Some(AbortIncompleteMultipartUpload {
            days_after_initiation: days,
        }),
        expiration: None,
        filter: Some(LifecycleRuleFilter { prefix: Some(rule.prefix), ..Default::default() }),
        id: Some(rule.id),
        noncurrent_version_expiration: None,
        noncurrent_version_transitions: None,
        prefix: None,
        status: ExpirationStatus::from_static(match rule.status {
            RuleStatus::Enabled => ExpirationStatus::ENABLED,
            RuleStatus::Disabled => ExpirationStatus::DISABLED,
        }),
        transitions: None,
    }
}
