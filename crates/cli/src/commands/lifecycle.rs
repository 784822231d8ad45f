//! `haul lifecycle s3://bucket`: shows the rules of a bucket in words, and installs or removes the
//! rule that aborts unfinished uploads.

use anyhow::Context;
use haul::bucket_lifecycle::{self, LifecycleError, LifecycleRule};
use haul::{Store, StoreErrorKind};
use serde::Serialize;

use super::summary::counted;
use crate::args::{LifecycleArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::store;
use crate::waiting::noted;

/// A rule, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "lifecycle-rule")]
struct RuleLine<'a> {
    id: &'a str,
    enabled: bool,
    scope: &'a str,
    actions: &'a [String],
    abort_days: Option<u32>,
    ours: bool,
}

/// A change, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Changed<'a> {
    LifecycleInstalled { bucket: &'a str, prefix: &'a str, abort_days: u32 },
    LifecycleRemoved { bucket: &'a str, rules: usize },
}

/// Shows or changes the rules.
pub(crate) async fn run(
    args: &StoreArgs,
    what: &LifecycleArgs,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let opened = store::open(what.bucket.scheme, args, mode).await?;
    let done = noted(mode, change(opened.store.as_ref(), what, mode)).await;
    let endpoint = opened.store.endpoint();
    opened.close().await;
    match done {
        Ok(exit) => Ok(exit),
        Err(error) => Err(failed(error, what, &endpoint)),
    }
}

async fn change(
    store: &dyn Store,
    what: &LifecycleArgs,
    mode: Mode,
) -> Result<Exit, anyhow::Error> {
    let (bucket, shown) = (&what.bucket.bucket, what.bucket.to_string());
    let prefix = what.prefix.as_deref().unwrap_or_default();
    let scope =
        if prefix.is_empty() { shown.clone() } else { format!("{shown}/{}", visible(prefix)) };
    if let Some(abort_days) = what.abort_after {
        bucket_lifecycle::install(store, bucket, prefix, abort_days).await?;
        mode.event(&Changed::LifecycleInstalled { bucket: bucket.as_str(), prefix, abort_days });
        mode.result(&format!(
            "{scope}: uploads that are not finished after {} are aborted",
            counted(abort_days, "day")
        ));
        return Ok(Exit::Done);
    }
    if what.remove {
        let rules = bucket_lifecycle::uninstall(store, bucket, what.prefix.as_deref()).await?;
        mode.event(&Changed::LifecycleRemoved { bucket: bucket.as_str(), rules });
        mode.result(&match rules {
            0 => format!("{scope}: no rule of haul was there"),
            some => format!("{scope}: removed {}", counted(some, "rule")),
        });
        return Ok(Exit::Done);
    }
    let rules = bucket_lifecycle::rules(store, bucket).await?;
    for rule in &rules {
        mode.record(&line(rule))?;
        mode.row(&row(rule))?;
    }
    if rules.is_empty() {
        mode.row(&format!(
            "{shown} has no lifecycle rules: unfinished uploads stay until someone aborts them"
        ))?;
    } else if !rules.iter().any(|rule| rule.enabled && rule.abort_days.is_some())
        && !store.profile().lifecycle_abort.is_missing()
    {
        mode.row(&format!(
            "none of them aborts unfinished uploads; add one: haul lifecycle {shown} --abort-after \
             7d"
        ))?;
    }
    Ok(Exit::Done)
}

fn line(rule: &LifecycleRule) -> RuleLine<'_> {
    RuleLine {
        id: &rule.id,
        enabled: rule.enabled,
        scope: &rule.scope,
        actions: &rule.actions,
        abort_days: rule.abort_days,
        ours: rule.is_ours(),
    }
}

/// Formats `haul-abort-incomplete  everything: aborts unfinished uploads after 7 days`.
fn row(rule: &LifecycleRule) -> String {
    let id = if rule.id.is_empty() { "(no id)" } else { &rule.id };
    let off = if rule.enabled { "" } else { "  (disabled)" };
    format!("{}  {}: {}{off}", visible(id), visible(&rule.scope), visible(&rule.actions.join("; ")))
}

/// Returns the failure with its hint: "not supported", "not allowed" and "not kept" need different
/// actions.
fn failed(error: anyhow::Error, what: &LifecycleArgs, endpoint: &str) -> anyhow::Error {
    let shown = what.bucket.to_string();
    let context =
        FailureContext::at(format!("cannot manage the lifecycle rules of {shown}"), &what.bucket)
            .through(endpoint);
    let lifecycle = match error.downcast::<LifecycleError>() {
        Ok(lifecycle) => lifecycle,
        Err(other) => return other,
    };
    match lifecycle {
        LifecycleError::Unsupported(kind) => Ended {
            exit: Exit::Failed,
            code: "NotImplemented",
            message: format!(
                "the store of {shown} has no rule that aborts unfinished uploads, by its store \
                 profile {kind}"
            ),
            hint: Some(format!(
                "remove unfinished uploads yourself: haul sweep {shown} --older-than 7d; or send \
                 the rule all the same: --store-profile generic"
            )),
        }
        .into(),
        LifecycleError::Store(error) if error.kind == StoreErrorKind::NotImplemented => Ended {
            exit: Exit::Failed,
            code: "NotImplemented",
            message: format!(
                "the store of {shown} does not support these lifecycle rules: {}",
                visible(&error.to_string())
            ),
            hint: Some(format!(
                "remove unfinished uploads yourself: haul sweep {shown} --older-than 7d"
            )),
        }
        .into(),
        LifecycleError::Store(error) => {
            let denied = error.kind == StoreErrorKind::AccessDenied;
            let failed = Err::<(), _>(haul::Error::of_store(what.bucket.subject(), error));
            let context = if denied {
                context.hinting(
                    "the keys need s3:GetLifecycleConfiguration and \
                    s3:PutLifecycleConfiguration on the bucket",
                )
            } else {
                context
            };
            match failed.context(context) {
                Ok(()) => anyhow::anyhow!("unreachable"),
                Err(error) => error,
            }
        }
        LifecycleError::Dropped { rules } => Ended {
            exit: Exit::Failed,
            code: "RulesDropped",
            message: format!(
                "{shown}: the store took the rules and does not keep {}",
                visible(&rules.join(", "))
            ),
            hint: Some(format!("look at what is there now: haul lifecycle {shown}")),
        }
        .into(),
        other => anyhow::Error::new(other).context(context),
    }
}
