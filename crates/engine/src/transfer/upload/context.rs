//! The state that all steps of one upload share.

use std::sync::Arc;

use super::{PartMaker, UploadOptions};
use crate::event::EventSender;
use crate::pace::Resources;
use crate::remote::{ObjectRef, Store};
use crate::source::Source;
use crate::transfer::Progress;

/// One upload: its source, its target, and the resources that it shares with other transfers.
pub(crate) struct Context {
    pub(crate) resources: Resources,
    pub(crate) source: Arc<dyn Source>,
    /// The maker of the parts, if they are not simply sent from the source.
    pub(crate) maker: Option<Arc<dyn PartMaker>>,
    pub(crate) object: ObjectRef,
    pub(crate) options: UploadOptions,
    pub(crate) events: EventSender,
    pub(crate) progress: Progress,
}

impl Context {
    /// Returns whether an unproven part is an error. For a copy it is not, because the copy is
    /// compared with its source as a whole.
    pub(super) fn demands_proof(&self) -> bool {
        self.options.require_proof && self.maker.is_none()
    }

    /// Returns whether the object is made of parts.
    pub(super) fn in_parts(&self) -> bool {
        let require_proof = self.demands_proof();
        let options = UploadOptions { require_proof, ..self.options.clone() };
        options.in_parts(self.source.size_bytes())
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.resources.store
    }
}
