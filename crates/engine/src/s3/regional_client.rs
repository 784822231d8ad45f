//! Where buckets live: the client of the configuration, and one for each bucket that turned out to
//! be elsewhere.
//!
//! A bucket of another region answers with a redirect or with the region to sign for. What it says
//! is learnt with the first request, whatever command that was, and all later ones go there at
//! once. Only the region is taken over: the SDK makes AWS's host from it, and a store behind an
//! endpoint of its own keeps its endpoint. A host that an answer names is never asked: the answer
//! may be anybody's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::Region;
use haul_parts::Bucket;

/// A client, and the region that it signs for.
#[derive(Clone, Debug)]
pub(super) struct RegionalClient {
    pub(super) client: aws_sdk_s3::Client,
    pub(super) region: String,
}

/// All places that are known.
#[derive(Debug)]
pub(super) struct RegionalClients {
    home: Arc<RegionalClient>,
    elsewhere: Mutex<HashMap<Bucket, Arc<RegionalClient>>>,
}

impl RegionalClients {
    pub(super) fn new(client: aws_sdk_s3::Client, region: String) -> Self {
        Self { home: Arc::new(RegionalClient { client, region }), elsewhere: Mutex::default() }
    }

    /// As configured.
    pub(super) fn home(&self) -> Arc<RegionalClient> {
        Arc::clone(&self.home)
    }

    /// Where this bucket is, as far as is known.
    pub(super) fn of(&self, bucket: &Bucket) -> Arc<RegionalClient> {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(bucket).map_or_else(|| self.home(), Arc::clone)
    }

    /// The bucket is in `region`.
    pub(super) fn learn(&self, bucket: &Bucket, region: &str) -> Arc<RegionalClient> {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = elsewhere.get(bucket).filter(|known| known.region == region) {
            return Arc::clone(known);
        }
        let config =
            self.home.client.config().to_builder().region(Region::new(region.to_owned())).build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let place = Arc::new(RegionalClient { client, region: region.to_owned() });
        elsewhere.insert(bucket.clone(), Arc::clone(&place));
        place
    }
}
