//! The endpoint that operations work on: a store, a region, and what to do about missing buckets.
//! Each operation of [`ops`](crate::ops) is a method of it; no other module adds any.

use std::sync::Arc;

use haul_parts::Bucket;
use haul_store::Store;
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

/// What an operation answers.
pub(crate) type Answered<T> = Result<S3Response<T>, Refusal>;

/// One endpoint; cheap to clone.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) store: Store,
    pub(crate) region: Arc<str>,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) auto_create: AutoCreateBuckets,
    /// What the operator says of the volume below the store.
    pub(crate) volume: Volume,
    /// Told when a bucket gets a lifecycle: the uploads it is about may be old already.
    pub(crate) expiry_wanted: Arc<Notify>,
    /// Whose buckets a list shows.
    pub(crate) keys: KeyRing,
    /// For bodies on their way to the disk.
    pub(crate) blocks: BlockRoom,
    /// For objects on their way out.
    pub(crate) sends: SendRoom,
}

impl Endpoint {
    /// Calls the store on a thread that may block.
    pub(crate) async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> haul_store::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.store.clone();
        store_call(move || work(&store)).await
    }

    /// A bucket that is about to be written to: made if it is missing and that is wanted, else
    /// `NoSuchBucket` before any byte of the body is taken.
    pub(crate) async fn bucket_for_writing(&self, name: &str) -> Result<Bucket, Refusal> {
        let bucket = names::bucket(name)?;
        let wanted = bucket.clone();
        let auto_create = self.auto_create;
        self.on_store(move |store| match (store.head_bucket(&wanted), auto_create) {
            (Err(haul_store::Error::NoSuchBucket { .. }), AutoCreateBuckets::OnFirstWrite) => {
                match store.create_bucket(&wanted) {
                    // Somebody else was quicker.
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
    /// Over this store, of an owner whom nobody knows, with next to no memory.
    pub(crate) fn for_test(store: haul_store::Store) -> Self {
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
