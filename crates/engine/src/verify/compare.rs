//! Decides which value of an object is compared with local bytes, and what the result proves.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use haul_parts::{
    Checksum, ChecksumAlgorithm, CompositeChecksum, ETag, ObjectChecksum, ObjectRef, PartChecksums,
    PartLayout, layouts_of_count,
};

use super::HashOptions;
use super::digest::digest;
use super::layout::LayoutQuery;
use super::verdict::{Difference, Evidence, LayoutSource, Unproven, Verdict};
use crate::error::Error;
use crate::pace::RetryPolicy;
use crate::remote::{
    Encryption, ListingEntry, ObjectAttributes, ObjectDescription, ObjectHead, Store,
    StoreErrorKind, Support,
};
use crate::source::Source;

/// Compares local sources with the objects of one store.
#[derive(Clone)]
pub struct Verifier {
    store: Arc<dyn Store>,
    retry: RetryPolicy,
    hashing: HashOptions,
    /// Shared with [`LayoutQuery::without_attributes`].
    without_attributes: Arc<AtomicBool>,
}

/// A finished comparison.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The store's description of the object.
    pub description: ObjectDescription,
    /// The result of the comparison.
    pub verdict: Verdict,
}

impl Verifier {
    /// Creates a verifier for objects in `store`.
    pub fn new(store: Arc<dyn Store>, retry: RetryPolicy, hashing: HashOptions) -> Self {
        let refused = store.profile().get_object_attributes == Support::No;
        Self { store, retry, hashing, without_attributes: Arc::new(refused.into()) }
    }

    /// Compares `source` with `object`. The source is read once; it is read a second time only if
    /// the parts of the object differ from what its first, second and last part suggest. Nothing is
    /// downloaded.
    ///
    /// # Errors
    /// If the store does not answer, if the object is missing or changes meanwhile, or if the
    /// source cannot be read or changes meanwhile. A difference in the bytes is a verdict, not an
    /// error.
    pub async fn verify(
        &self,
        source: Arc<dyn Source>,
        object: &ObjectRef,
    ) -> Result<Verification, Error> {
        let description = self.describe(object).await?;
        let verdict = self.compare(source, object, &description).await?;
        Ok(Verification { description, verdict })
    }

    /// Returns the store's description of the object, which has the values to compare.
    pub(crate) async fn describe(&self, object: &ObjectRef) -> Result<ObjectDescription, Error> {
        let describe = || self.store.describe_object(object);
        match self.retry.run(describe).await {
            Ok(description) => Ok(description),
            // S3 refuses HeadObject so if the object is encrypted with the customer's key and the
            // request lacks it.
            Err(error) if error.status == Some(400) && error.kind == StoreErrorKind::Rejected => {
                let listed = self.listed(object).await;
                listed.ok_or_else(|| Error::of_store(object, error))
            }
            Err(error) => Err(Error::of_store(object, error)),
        }
    }

    /// Compares `source` with an object that [`Verifier::describe`] described.
    pub(crate) async fn compare(
        &self,
        source: Arc<dyn Source>,
        object: &ObjectRef,
        description: &ObjectDescription,
    ) -> Result<Verdict, Error> {
        let trusted = self.trusted(description);
        Comparison { verifier: self, source, object, description: &trusted }.verdict().await
    }
}

impl Verifier {
    /// Returns the description without a checksum that proves nothing, because the store is known
    /// to keep wrong ones too.
    fn trusted(&self, description: &ObjectDescription) -> ObjectDescription {
        let profile = self.store.profile();
        let checksum = description.checksum.filter(|checksum| profile.trusts(checksum.algorithm()));
        ObjectDescription { checksum, ..description.clone() }
    }

    /// Returns the object's description from the listing, on the assumption that the object is
    /// encrypted with the customer's key. `None` if it is not listed: then the error has another
    /// cause.
    async fn listed(&self, object: &ObjectRef) -> Option<ObjectDescription> {
        let key = object.key.as_str();
        let list = || self.store.list_objects(&object.bucket, key, None, None);
        let page = self.retry.run(list).await.ok()?;
        let found = page.entries.into_iter().find(|entry| entry.name() == key)?;
        let ListingEntry::Object { size_bytes, last_modified, etag, .. } = found else {
            return None;
        };
        let head = ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes,
            etag: etag.unwrap_or_else(|| ETag::new("")),
            checksum: None,
            composite: None,
            last_modified,
            attributes: ObjectAttributes::default(),
        };
        let customer_algorithm = Some("SSE-C".to_owned());
        let encryption = Encryption { customer_algorithm, ..Encryption::default() };
        Some(ObjectDescription { encryption, ..ObjectDescription::from(head) })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("store", &self.store.endpoint()).finish_non_exhaustive()
    }
}

/// A value that a store keeps of an object, with which local bytes can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A checksum of all bytes.
    FullObject(Checksum),
    /// The ETag of an object put in one request, which is the MD5 of all bytes.
    Md5([u8; 16]),
    /// Values over the parts: a composite checksum, an ETag, or both.
    Parts { composite: Option<CompositeChecksum>, etag: Option<ETag>, part_count: u16 },
    /// No value that could be recomputed.
    Nothing,
}

impl Claim {
    /// Returns the best value: a checksum is preferred to an ETag, which may not be a hash of the
    /// bytes.
    pub(super) fn of(description: &ObjectDescription) -> Self {
        let etag = &description.head.etag;
        let multipart = is_multipart(etag).then(|| etag.clone());
        match description.checksum {
            Some(ObjectChecksum::FullObject(checksum)) => Self::FullObject(checksum),
            Some(ObjectChecksum::Composite(composite)) => Self::Parts {
                part_count: composite.part_count(),
                composite: Some(composite),
                etag: multipart,
            },
            None => match (etag.as_md5(), etag.part_count(), multipart) {
                (Some(md5), ..) => Self::Md5(md5),
                (None, Some(part_count), Some(etag)) => {
                    Self::Parts { composite: None, etag: Some(etag), part_count }
                }
                _ => Self::Nothing,
            },
        }
    }
}

/// Returns true for `md5-N`: 32 hex digits and a number of parts.
fn is_multipart(etag: &ETag) -> bool {
    let hash = etag.unquoted().rsplit_once('-').map(|(hash, _)| ETag::new(hash));
    etag.part_count().is_some() && hash.is_some_and(|hash| hash.as_md5().is_some())
}

/// Returns the reason why an ETag that looks like an MD5 may be another value.
pub(super) fn opaque_etag(object: &ObjectRef, description: &ObjectDescription) -> Option<Unproven> {
    // S3 API reference, "Directory buckets - ... the ETag is not the MD5 digest of the object".
    if object.bucket.as_str().ends_with("--x-s3") {
        return Some(Unproven::OpaqueETag { encryption: None });
    }
    let encryption = &description.encryption;
    encryption.makes_etag_opaque().then(|| {
        let customer = encryption.customer_algorithm.as_ref().map(|_| "SSE-C".to_owned());
        Unproven::OpaqueETag { encryption: customer.or_else(|| encryption.algorithm.clone()) }
    })
}

/// A value over parts that can be recomputed from the checksums of the parts.
#[derive(Clone, Debug)]
enum OverParts {
    Composite(CompositeChecksum),
    ETag(ETag),
}

impl OverParts {
    fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Composite(composite) => composite.checksum().algorithm(),
            Self::ETag(_) => ChecksumAlgorithm::Md5,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Composite(composite) => composite.to_string(),
            Self::ETag(etag) => etag.unquoted().to_owned(),
        }
    }

    /// Computes the same kind of value from these parts.
    fn of(&self, parts: &PartChecksums) -> String {
        match self {
            Self::Composite(_) => {
                parts.composite().map_or_else(|error| error.to_string(), |value| value.to_string())
            }
            Self::ETag(_) => {
                parts.etag().map_or_else(String::new, |etag| etag.unquoted().to_owned())
            }
        }
    }

    fn evidence(&self, layout: PartLayout, source: LayoutSource) -> Evidence {
        match self {
            Self::Composite(_) => {
                Evidence::CompositeChecksum { algorithm: self.algorithm(), layout, source }
            }
            Self::ETag(_) => Evidence::MultipartETag { layout, source },
        }
    }
}

struct Comparison<'a> {
    verifier: &'a Verifier,
    source: Arc<dyn Source>,
    object: &'a ObjectRef,
    description: &'a ObjectDescription,
}

impl Comparison<'_> {
    async fn verdict(&self) -> Result<Verdict, Error> {
        let (local_bytes, object_bytes) =
            (self.source.size_bytes(), self.description.head.size_bytes);
        if local_bytes != object_bytes {
            return Ok(Verdict::Different(Difference::Size { local_bytes, object_bytes }));
        }
        match Claim::of(self.description) {
            Claim::FullObject(expected) => {
                let compared = Evidence::FullObjectChecksum(expected.algorithm());
                self.whole(expected, compared, None).await
            }
            Claim::Md5(expected) => {
                self.whole(Checksum::from_md5(expected), Evidence::Md5, self.opaque()).await
            }
            Claim::Parts { composite, etag, part_count } => {
                self.in_parts(composite, etag, part_count).await
            }
            Claim::Nothing => Ok(Verdict::Unproven(Unproven::NothingToCompare)),
        }
    }

    /// Compares a value of all bytes. `doubt` is the reason why a mismatch would prove nothing.
    async fn whole(
        &self,
        expected: Checksum,
        compared: Evidence,
        doubt: Option<Unproven>,
    ) -> Result<Verdict, Error> {
        let layout = PartLayout::one_part(self.source.size_bytes());
        let found = self.digest(vec![(layout, expected.algorithm())]).await?;
        let found = found.first().and_then(|parts| parts.checksums.first().copied());
        if found == Some(expected) {
            return Ok(Verdict::Same(compared));
        }
        let text = |checksum: Checksum| match checksum.as_md5() {
            Some(md5) => ETag::from_md5(md5).unquoted().to_owned(),
            None => checksum.to_base64(),
        };
        Ok(match doubt {
            Some(why) => Verdict::Unproven(why),
            None => Verdict::Different(Difference::Value {
                compared,
                local: found.map_or_else(String::new, text),
                object: text(expected),
            }),
        })
    }

    async fn in_parts(
        &self,
        composite: Option<CompositeChecksum>,
        etag: Option<ETag>,
        part_count: u16,
    ) -> Result<Verdict, Error> {
        let query = LayoutQuery {
            store: self.verifier.store.as_ref(),
            retry: &self.verifier.retry,
            object: self.object,
            head: &self.description.head,
            without_attributes: &self.verifier.without_attributes,
        };
        // A mismatch of a checksum proves a difference; a mismatch of an ETag does not if the
        // object may be encrypted.
        let by_checksum = composite.map(OverParts::Composite);
        let by_etag = etag.map(OverParts::ETag);
        let Some(expected) = by_checksum.clone().or(by_etag.clone()) else {
            return Ok(Verdict::Unproven(Unproven::NothingToCompare));
        };
        let told = query.equal_parts().await?;
        if let Some(told) = &told
            && let Some(layout) = &told.layout
        {
            let verdict = self.over(&expected, layout, LayoutSource::PartHeads).await?;
            if told.is_complete || matches!(verdict, Verdict::Same(_)) {
                return Ok(verdict);
            }
        }
        let part_count_told = told.as_ref().map(|told| told.part_count);
        match query.all_parts(part_count_told).await? {
            Some((layout, source)) => self.over(&expected, &layout, source).await,
            None => {
                let unless_opaque = by_etag.filter(|_| self.opaque().is_none());
                self.guessed(&unless_opaque.unwrap_or(expected), part_count).await
            }
        }
    }

    /// Compares a value over parts whose layout is known.
    async fn over(
        &self,
        expected: &OverParts,
        layout: &PartLayout,
        source: LayoutSource,
    ) -> Result<Verdict, Error> {
        let found = self.digest(vec![(layout.clone(), expected.algorithm())]).await?;
        let local = found.first().map(|parts| expected.of(parts)).unwrap_or_default();
        let (object, compared) = (expected.text(), expected.evidence(layout.clone(), source));
        if local == object {
            return Ok(Verdict::Same(compared));
        }
        let doubt = self.opaque().filter(|_| matches!(expected, OverParts::ETag(_)));
        Ok(match doubt {
            Some(why) => Verdict::Unproven(why),
            None => Verdict::Different(Difference::Value { compared, local, object }),
        })
    }

    /// Tries the layouts that common tools use, all in one pass. Only a match is proof.
    async fn guessed(&self, expected: &OverParts, part_count: u16) -> Result<Verdict, Error> {
        let layouts = layouts_of_count(self.source.size_bytes(), part_count);
        let tried = layouts.len();
        let wanted = layouts.into_iter().map(|layout| (layout, expected.algorithm()));
        let found = self.digest(wanted.collect()).await?;
        let same = found.into_iter().find(|parts| expected.of(parts) == expected.text());
        Ok(match (same, self.opaque()) {
            (Some(parts), _) => Verdict::Same(expected.evidence(parts.layout, LayoutSource::Guess)),
            (None, Some(why)) => Verdict::Unproven(why),
            (None, None) => Verdict::Unproven(Unproven::UnknownLayout { part_count, tried }),
        })
    }

    fn opaque(&self) -> Option<Unproven> {
        opaque_etag(self.object, self.description)
    }

    async fn digest(
        &self,
        wanted: Vec<(PartLayout, ChecksumAlgorithm)>,
    ) -> Result<Vec<PartChecksums>, Error> {
        digest(Arc::clone(&self.source), wanted, self.verifier.hashing.clone()).await
    }
}
