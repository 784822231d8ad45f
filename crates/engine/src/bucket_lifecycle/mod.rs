//! Installs the lifecycle rule that aborts unfinished uploads, beside existing rules.
//!
//! PutBucketLifecycleConfiguration replaces every rule, so the document is edited as the text that
//! the store returned ([`document`]), and read back afterwards: a store must not silently drop
//! rules.

mod document;

use haul_parts::Bucket;

pub use document::{DocumentError, LifecycleRule, RULE_ID};

use crate::remote::{LifecycleDocument, Store, StoreError, StoreErrorKind, StoreKind, Support};

/// The reason why the rules could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's document cannot be edited safely; nothing was changed.
    #[error("the lifecycle rules of the bucket cannot be read")]
    Document(#[from] DocumentError),
    /// The store is known not to support rules that abort unfinished uploads; nothing was sent.
    #[error("no lifecycle rule of this store aborts unfinished uploads, by its store profile {0}")]
    Unsupported(StoreKind),
    /// The store accepted the document but does not return all of its rules.
    #[error("the store took the rules and does not keep {}", .rules.join(", "))]
    Dropped {
        /// The ids of rules that are missing or different.
        rules: Vec<String>,
    },
}

/// Returns the rules of a bucket, in their order; none if the store has no configuration.
///
/// # Errors
/// [`LifecycleError`].
pub async fn rules(
    store: &dyn Store,
    bucket: &Bucket,
) -> Result<Vec<LifecycleRule>, LifecycleError> {
    match read(store, bucket).await? {
        Some(found) => Ok(document::rules(&found.xml)?),
        None => Ok(Vec::new()),
    }
}

/// Parses the rules of an answer to GetBucketLifecycleConfiguration.
pub(crate) fn rules_of(xml: &str) -> Result<Vec<LifecycleRule>, DocumentError> {
    if xml.trim().is_empty() { Ok(Vec::new()) } else { document::rules(xml) }
}

/// Adds the rule that aborts uploads below `prefix` that are unfinished `days` after they began, or
/// changes its days. Every other rule stays unchanged.
///
/// # Errors
/// [`LifecycleError`].
pub async fn install(
    store: &dyn Store,
    bucket: &Bucket,
    prefix: &str,
    days: u32,
) -> Result<(), LifecycleError> {
    check_support(store)?;
    let before = read(store, bucket).await?;
    // The answer may be the first that names the store.
    check_support(store)?;
    let xml =
        document::with_abort_rule(before.as_ref().map(|found| found.xml.as_str()), prefix, days)?;
    replace(store, bucket, before, xml, &[document::rule_id(prefix)]).await
}

/// Removes the rules that [`install`] added: the one of `prefix`, or all of them. Returns their
/// number.
///
/// # Errors
/// [`LifecycleError`].
pub async fn uninstall(
    store: &dyn Store,
    bucket: &Bucket,
    prefix: Option<&str>,
) -> Result<usize, LifecycleError> {
    let Some(before) = read(store, bucket).await? else { return Ok(0) };
    let ours = |rule: &LifecycleRule| {
        rule.is_ours() && prefix.is_none_or(|prefix| rule.id == document::rule_id(prefix))
    };
    let rules = document::rules(&before.xml)?;
    let count = rules.iter().filter(|rule| ours(rule)).count();
    if count == 0 {
        return Ok(0);
    }
    if count == rules.len() {
        store.delete_bucket_lifecycle(bucket).await?;
        let left = read(store, bucket).await?;
        let left = left.map(|left| document::rules(&left.xml)).transpose()?.unwrap_or_default();
        let kept: Vec<_> = left
            .into_iter()
            .filter(ours)
            .map(|rule| format!("the removal of {}", rule.id))
            .collect();
        return if kept.is_empty() {
            Ok(count)
        } else {
            Err(LifecycleError::Dropped { rules: kept })
        };
    }
    let xml = document::without(&before.xml, ours)?;
    replace(store, bucket, Some(before), xml, &[]).await?;
    Ok(count)
}

/// Fails if the store is known not to have the rule. A store that takes the rule and does not keep
/// it is detected by reading the rules back.
fn check_support(store: &dyn Store) -> Result<(), LifecycleError> {
    let profile = store.profile();
    match profile.lifecycle_abort {
        Support::No => Err(LifecycleError::Unsupported(profile.kind)),
        _ => Ok(()),
    }
}

async fn read(store: &dyn Store, bucket: &Bucket) -> Result<Option<LifecycleDocument>, StoreError> {
    match store.get_bucket_lifecycle(bucket).await {
        Err(error) if error.code.as_deref() == Some("NoSuchLifecycleConfiguration") => Ok(None),
        // `haul serve` and some others return an empty configuration instead of an error.
        Ok(Some(found)) if found.xml.trim().is_empty() => Ok(None),
        answer => answer,
    }
}

/// Puts `xml` and compares it with the stored configuration.
async fn replace(
    store: &dyn Store,
    bucket: &Bucket,
    before: Option<LifecycleDocument>,
    xml: String,
    added: &[String],
) -> Result<(), LifecycleError> {
    let size =
        before.as_ref().and_then(|found| found.transition_default_minimum_object_size.clone());
    let wanted = LifecycleDocument { xml, transition_default_minimum_object_size: size };
    store.put_bucket_lifecycle(bucket, &wanted).await?;
    let after = read(store, bucket).await?.map_or_else(String::new, |found| found.xml);
    let missing = document::missing(&wanted.xml, &after, added)?;
    if missing.is_empty() { Ok(()) } else { Err(LifecycleError::Dropped { rules: missing }) }
}

impl LifecycleError {
    /// Returns the store's error, if a request failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the store has no lifecycle rules at all.
    pub fn is_not_implemented(&self) -> bool {
        self.store_error().is_some_and(|error| error.kind == StoreErrorKind::NotImplemented)
    }
}
