//! What the driver asks of an upload whose parts are not simply those of a file: of a copy.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::{StoredPart, UploadRef};
use crate::transfer::mover::{Mover, SentPart};

/// Makes the parts of one upload, and judges them together.
#[async_trait]
pub(crate) trait PartMaker: Send + Sync + 'static {
    /// What makes the parts of `upload`; `None`: they are sent from its source.
    fn mover(&self, upload: &UploadRef) -> Option<Arc<dyn Mover>>;

    /// Judges a part that an earlier run left at the store; one of another length never counts. `recorded`: what
    /// the journal says of it, where that agrees with the store.
    fn earlier(&self, stored: &StoredPart, recorded: Option<&PartRecord>) -> EarlierPart;

    /// The last look before Complete makes an object of all parts. An error ends the upload, and
    /// nothing appears.
    async fn check(&self, parts: &[SentPart]) -> Result<(), Error>;

    /// How that look has proven the parts, if it says so for all of them.
    fn proof(&self) -> Option<Proof>;
}

/// What becomes of a part that an earlier run left at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlierPart {
    /// It counts if it is the source's, which is read where that is in doubt.
    Read,
    /// It counts: [`PartMaker::check`] finds out if it is not the source's.
    Keep,
    /// It is made again.
    Discard,
}
