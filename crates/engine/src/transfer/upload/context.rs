//! What every step of one upload needs.

use std::sync::Arc;

use super::UploadOptions;
use crate::event::EventSender;
use crate::pace::Resources;
use crate::remote::{ObjectRef, Store};
use crate::source::Source;
use crate::transfer::Progress;

/// One upload: what is sent, where to, and what it shares with others.
pub(super) struct Context {
    pub(super) resources: Resources,
    pub(super) source: Arc<dyn Source>,
    pub(super) object: ObjectRef,
    pub(super) options: UploadOptions,
    pub(super) events: EventSender,
    pub(super) progress: Progress,
}

impl Context {
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.resources.store
    }
}
