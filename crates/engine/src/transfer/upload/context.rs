//! What every step of one upload needs.

use std::sync::Arc;

use super::{PartMaker, UploadOptions};
use crate::event::EventSender;
use crate::pace::Resources;
use crate::remote::{ObjectRef, Store};
use crate::source::Source;
use crate::transfer::Progress;

/// One upload: what is sent, where to, and what it shares with others.
pub(crate) struct Context {
    pub(crate) resources: Resources,
    pub(crate) source: Arc<dyn Source>,
    /// What makes the parts, if they are not simply sent from the source.
    pub(crate) maker: Option<Arc<dyn PartMaker>>,
    pub(crate) object: ObjectRef,
    pub(crate) options: UploadOptions,
    pub(crate) events: EventSender,
    pub(crate) progress: Progress,
}

impl Context {
    /// Whether a part that is not proven is an error: not of a copy, which is held against its
    /// source as a whole, by whoever made its parts.
    pub(super) fn demands_proof(&self) -> bool {
        self.options.require_proof && self.maker.is_none()
    }

    /// Whether the object is made of parts.
    pub(super) fn in_parts(&self) -> bool {
        let require_proof = self.demands_proof();
        let options = UploadOptions { require_proof, ..self.options.clone() };
        options.in_parts(self.source.size_bytes())
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.resources.store
    }
}
