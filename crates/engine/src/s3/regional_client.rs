//! Keeps the clients for the regions of buckets: the configured client, and one for each bucket
//! that is in another region.
//!
//! A bucket of another region answers with a redirect or with the region to sign for. The first
//! such answer is recorded, whichever command it answers, and all later requests go to that region
//! at once. Only the region is used: the SDK derives AWS's host from it, and a configured endpoint
//! stays. No request goes to a host that an answer names, because the answer may be forged.

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

/// All known clients.
#[derive(Debug)]
pub(super) struct RegionalClients {
    home: Arc<RegionalClient>,
    elsewhere: Mutex<HashMap<Bucket, Arc<RegionalClient>>>,
}

impl RegionalClients {
    pub(super) fn new(client: aws_sdk_s3::Client, region: String) -> Self {
        Self { home: Arc::new(RegionalClient { client, region }), elsewhere: Mutex::default() }
    }

    /// Returns the configured client.
    pub(super) fn home(&self) -> Arc<RegionalClient> {
        Arc::clone(&self.home)
    }

    /// Returns the client for this bucket: the configured one if no other region is recorded.
    pub(super) fn of(&self, bucket: &Bucket) -> Arc<RegionalClient> {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(bucket).map_or_else(|| self.home(), Arc::clone)
    }

    /// Records that the bucket is in `region`.
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
