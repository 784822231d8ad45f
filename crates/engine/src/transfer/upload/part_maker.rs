//! The interface for uploads whose parts are not simply read from a file: for copies.

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

    /// Decides whether a part that an earlier run left at the store is used; a part with another
    /// length never is. `recorded` is its entry in the journal, if that agrees with the store.
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
    /// The part is used if its content is the source's; in case of doubt the source is read.
    Read,
    /// The part is used: if its content is not the source's, [`PartMaker::check`] detects it.
    Keep,
    /// The part is made again.
    Discard,
}
