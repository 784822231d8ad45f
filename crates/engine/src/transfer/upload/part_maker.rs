//! What the driver asks of an upload whose parts are not simply those of a file: of a copy.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::proof::Proof;
use crate::remote::UploadRef;
use crate::transfer::mover::{Mover, SentPart};

/// Makes the parts of one upload, and judges them together.
#[async_trait]
pub(crate) trait PartMaker: Send + Sync + 'static {
    /// What makes the parts of `upload`; `None`: they are sent from its source.
    fn mover(&self, upload: &UploadRef) -> Option<Arc<dyn Mover>>;

    /// The last look before Complete makes an object of all parts. An error ends the upload, and
    /// nothing appears.
    async fn check(&self, parts: &[SentPart]) -> Result<(), Error>;

    /// How that look has proven the parts, if it says so for all of them.
    fn proof(&self) -> Option<Proof>;
}
