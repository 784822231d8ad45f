//! Sets the tags and the lock that a store dropped from its request.
//!
//! Ceph RGW 16.2 answers 200 to a CreateMultipartUpload with tags, a retention or a legal hold, and
//! gives its object none of them. HeadObject after Complete, which is sent in any case, shows what
//! the object has. What is missing is set by a request of its own; if that fails, the run warns. A
//! store that is known to keep what Create says is not checked: HeadObject of AWS shows tags and
//! lock only to a key pair that may read them.

use haul_parts::ObjectAttributes;
use jiff::Timestamp;

use super::context::Context;
use crate::error_text::in_one_line;
use crate::event::Event;
use crate::remote::{ObjectHead, StoreError, Support};

/// The attributes of a request that its object does not show.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dropped {
    tags: bool,
    retention: bool,
    legal_hold: bool,
}

impl Dropped {
    /// Compares the requested attributes with the object; without an answer nothing is shown.
    fn of(asked: &ObjectAttributes, shown: Option<&ObjectHead>) -> Self {
        let tag_count = shown.and_then(|head| head.tag_count).unwrap_or_default();
        let lock = shown.map(|head| &head.lock);
        let protection = &asked.protection;
        let holds = protection.legal_hold.as_deref() == Some("ON");
        Self {
            tags: !asked.tags.is_empty() && tag_count == 0,
            retention: protection.lock_mode.is_some()
                && lock.is_none_or(|lock| lock.mode.is_none()),
            legal_hold: holds && lock.is_none_or(|lock| lock.legal_hold.is_none()),
        }
    }
}

/// Sets the tags and the lock of this upload that the new object lacks. `head`: HeadObject of the
/// object, if the store answered it.
pub(super) async fn restore(context: &Context, head: Option<&ObjectHead>) {
    let asked = &context.options.attributes;
    if context.store().profile().upload_attributes.is_yes() {
        return;
    }
    let dropped = Dropped::of(asked, head);
    let (store, object, retry) = (context.store(), &context.object, &context.resources.retry);
    if dropped.tags {
        let set = retry.run(|| store.put_object_tagging(object, &asked.tags)).await;
        report(context, "tags", set);
    }
    let until = asked.protection.lock_retain_until.as_ref();
    if dropped.retention
        && let (Some(mode), Some(until)) = (&asked.protection.lock_mode, until)
        && let Ok(until) = until.parse::<Timestamp>()
    {
        let set = retry.run(|| store.put_object_retention(object, mode, until)).await;
        report(context, "retention", set);
    }
    if dropped.legal_hold {
        let set = retry.run(|| store.put_object_legal_hold(object, "ON")).await;
        report(context, "legal hold", set);
    }
}

/// Does the same after PutObject, which no HeadObject follows: it is sent only if there are tags or
/// a lock to look for, at a store of which nothing is known. (Ceph RGW 16.2 keeps those of
/// PutObject.)
pub(super) async fn restore_after_put(context: &Context) {
    let is_unknown = context.store().profile().upload_attributes == Support::Unknown;
    if !is_unknown || Dropped::of(&context.options.attributes, None) == Dropped::default() {
        return;
    }
    let (store, object, retry) = (context.store(), &context.object, &context.resources.retry);
    match retry.run(|| store.head_object(object)).await {
        Ok(head) => restore(context, Some(&head)).await,
        Err(error) => report(context, "tags or lock", Err(error)),
    }
}

fn report(context: &Context, what: &str, set: Result<(), StoreError>) {
    let object = &context.object;
    match set {
        Ok(()) => tracing::info!("the store had dropped the {what} of {object}: set afterwards"),
        Err(error) => {
            let message = format!(
                "the store shows no {what} on {object}, and setting it afterwards failed: {}",
                in_one_line(&error)
            );
            context.events.send(Event::Warning { message });
        }
    }
}
