//! How a run of an upload begins: anew, or with what an earlier run left.

use haul_parts::{ChecksumAlgorithm, ChecksumType, PartPlan};
use rand::Rng;

use super::Job;
use super::complete::TOKEN_METADATA;
use super::memory::{Memory, store_name};
use super::part::SentPart;
use super::resume::Resumed;
use crate::error::Error;
use crate::journal::Beginning;
use crate::store::{CreateRequest, UploadRef};

/// What the driver begins with.
pub(super) struct Start {
    pub(super) plan: PartPlan,
    pub(super) token: String,
    pub(super) earlier: Option<Earlier>,
}

/// What an earlier run left.
pub(super) struct Earlier {
    pub(super) upload: UploadRef,
    pub(super) declared: bool,
    pub(super) sent: Vec<Option<SentPart>>,
    pub(super) completion_possible: bool,
}

impl Start {
    pub(super) fn anew(plan: PartPlan) -> Self {
        Self { plan, token: format!("{:032x}", rand::rng().random::<u128>()), earlier: None }
    }

    pub(super) fn resumed(resumed: Resumed) -> Self {
        let Resumed { plan, upload, declared, token, sent, completion_possible } = resumed;
        Self { plan, token, earlier: Some(Earlier { upload, declared, sent, completion_possible }) }
    }

    /// Writes the journal's first record; one that goes on is written already.
    pub(super) fn remember(&self, job: &Job, memory: &mut Memory) -> Result<(), Error> {
        let (None, Some(source)) = (&self.earlier, job.source.identity()) else { return Ok(()) };
        let connection = job.options.journal.as_ref().map(|journal| journal.connection.clone());
        memory.begin(Beginning {
            source,
            object: job.object.clone(),
            store: store_name(job),
            plan: self.plan,
            checksum: job.options.checksum,
            attributes: job.options.attributes.clone(),
            if_none_match: job.options.if_none_match,
            if_match: job.options.if_match.clone(),
            token: self.token.clone(),
            connection: connection.unwrap_or_default(),
            begun_at: jiff::Timestamp::now().as_second(),
        })
    }
}

/// CreateMultipartUpload, with our token in the object's metadata.
pub(super) fn create_request(job: &Job, token: &str) -> CreateRequest {
    let options = &job.options;
    let mut attributes = options.attributes.clone();
    attributes.metadata.insert(TOKEN_METADATA.into(), token.to_owned());
    // Content-MD5 is not declared: it belongs to single requests, not to the object.
    let declarable = options.checksum.filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5);
    let checksum = declarable.map(|algorithm| {
        let kind = if algorithm.combines() { ChecksumType::FullObject } else { ChecksumType::Composite };
        (algorithm, kind)
    });
    CreateRequest { attributes, checksum }
}
