//! The interface of an upload whose parts are not simply those of a file: of a copy.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::{StoredPart, UploadRef};
use crate::transfer::mover::{Mover, SentPart};

/// Makes the parts of one upload, and verifies them together.
#[async_trait]
pub(crate) trait PartMaker: Send + Sync + 'static {
    /// Returns the mover that makes the parts of `upload`; `None`: they are sent from its source.
    fn mover(&self, upload: &UploadRef) -> Option<Arc<dyn Mover>>;

    /// Decides about a part that an earlier run left at the store; one of another length never
    /// counts. `recorded`: its entry in the journal, if that agrees with the store.
    fn earlier(&self, stored: &StoredPart, recorded: Option<&PartRecord>) -> EarlierPart;

    /// Runs the last check before Complete makes an object of all parts. An error ends the upload,
    /// and no object appears.
    async fn check(&self, parts: &[SentPart]) -> Result<(), Error>;

    /// Returns the proof of that check, if it covers all parts.
    fn proof(&self) -> Option<Proof>;
}

/// The decision about a part that an earlier run left at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlierPart {
    /// The part counts if its content is the source's, which is read in case of doubt.
    Read,
    /// The part counts: [`PartMaker::check`] detects it if it is not the source's.
    Keep,
    /// The part is made again.
    Discard,
}
