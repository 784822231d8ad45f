//! The endpoint on which operations run: a store, a region, and the policy for missing buckets.
//! Each operation of [`ops`](crate::ops) is a method of it; no other module adds any.

use std::sync::Arc;

use haul_parts::Bucket;
use haul_store::DiskStore;
use s3s::S3Response;
use tokio::sync::Notify;

use crate::answer::refusal::Refusal;
use crate::auth::access::KeyRing;
use crate::body::gather::BlockRoom;
use crate::ops::encryption::Volume;
use crate::ops::names;
use crate::ops::object_stream::SendRoom;
use crate::options::AutoCreateBuckets;
use crate::store_call::store_call;

/// The result of an operation.
pub(crate) type Answered<T> = Result<S3Response<T>, Refusal>;

/// One endpoint; cheap to clone.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) store: DiskStore,
    pub(crate) region: Arc<str>,
    /// The URL scheme, `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) auto_create: AutoCreateBuckets,
    /// The operator's declaration about the volume below the store.
    pub(crate) volume: Volume,
    /// Notified when a bucket gets a lifecycle, because its uploads may be due already.
    pub(crate) expiry_wanted: Arc<Notify>,
    /// The keys, which decide which buckets a list shows.
    pub(crate) keys: KeyRing,
    /// The memory for bodies that are written to the store.
    pub(crate) blocks: BlockRoom,
    /// The memory for objects that are sent to clients.
    pub(crate) sends: SendRoom,
}

impl Endpoint {
    /// Calls the store on a thread that may block.
    pub(crate) async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiskStore) -> haul_store::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.store.clone();
        store_call(move || work(&store)).await
    }

    /// Returns a bucket for a write. Creates a missing one if that is configured; otherwise fails
    /// with `NoSuchBucket` before any byte of the body is read.
    pub(crate) async fn bucket_for_writing(&self, name: &str) -> Result<Bucket, Refusal> {
        let bucket = names::bucket(name)?;
        let wanted = bucket.clone();
        let auto_create = self.auto_create;
        self.on_store(move |store| match (store.head_bucket(&wanted), auto_create) {
            (Err(haul_store::Error::NoSuchBucket { .. }), AutoCreateBuckets::OnFirstWrite) => {
                match store.create_bucket(&wanted) {
                    // A concurrent request created it.
                    Err(haul_store::Error::BucketAlreadyExists { .. }) => Ok(()),
                    created => created.map(drop),
                }
            }
            (found, _) => found.map(drop),
        })
        .await?;
        Ok(bucket)
    }
}

#[cfg(test)]
impl Endpoint {
    /// Creates an endpoint over this store for tests, with a random owner and little memory.
    pub(crate) fn for_test(store: haul_store::DiskStore) -> Self {
        use crate::auth::grants::Grant;
        use crate::auth::keys::Credentials;

        let owner = Grant::owner(Credentials::random().expect("the system has randomness"));
        Self {
            store,
            region: "us-east-1".into(),
            scheme: "http",
            auto_create: AutoCreateBuckets::Never,
            volume: Volume::Unknown,
            expiry_wanted: Arc::default(),
            keys: KeyRing::new(owner, Vec::new(), Vec::new()),
            blocks: BlockRoom::new(2 * haul_store::BLOCK_BYTES),
            sends: SendRoom::new(0),
        }
    }
}
