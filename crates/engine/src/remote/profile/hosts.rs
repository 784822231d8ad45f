//! The endpoints of hosted stores.
//!
//! A host belongs to a store if its last labels are the store's domain, label by label: anybody can
//! own `r2.cloudflarestorage.com.example.org` or `evil-r2.cloudflarestorage.com`. AWS is not in
//! this table: its own rule is in `s3/aws.rs`.

use super::StoreKind;

/// The last labels of a host; `*` stands for exactly one label. A bucket may be in front.
const HOSTS: [(&str, StoreKind); 16] = [
    // Cloudflare R2, "S3 API compatibility": ACCOUNT.r2.cloudflarestorage.com; the jurisdictions
    // are ACCOUNT.eu.r2.… and ACCOUNT.fedramp.r2.….
    ("*.r2.cloudflarestorage.com", StoreKind::R2),
    // Backblaze, "Call the S3-Compatible API": s3.us-west-004.backblazeb2.com.
    ("s3.*.backblazeb2.com", StoreKind::B2),
    // Google, "Simple migration from Amazon S3": storage.googleapis.com, and mTLS.
    ("storage.googleapis.com", StoreKind::Gcs),
    ("storage.mtls.googleapis.com", StoreKind::Gcs),
    // Google, "Request endpoints": regional endpoints.
    ("storage.*.rep.googleapis.com", StoreKind::Gcs),
    // Wasabi, "Service URLs for Wasabi's Storage Regions".
    ("s3.wasabisys.com", StoreKind::Wasabi),
    ("s3.*.wasabisys.com", StoreKind::Wasabi),
    // Scaleway, "Object Storage concepts": s3.fr-par.scw.cloud.
    ("s3.*.scw.cloud", StoreKind::Scaleway),
    // Storj, "S3 compatible gateway": the global and the former regional ones.
    ("gateway.storjshare.io", StoreKind::Storj),
    ("gateway.*.storjshare.io", StoreKind::Storj),
    // DigitalOcean, "Spaces API": nyc3.digitaloceanspaces.com.
    ("*.digitaloceanspaces.com", StoreKind::DigitalOcean),
    // OVHcloud, "Endpoints and Object Storage geoavailability".
    ("s3.*.io.cloud.ovh.net", StoreKind::Ovh),
    ("s3.*.perf.cloud.ovh.net", StoreKind::Ovh),
    ("s3.*.io.cloud.ovh.us", StoreKind::Ovh),
    ("s3.*.perf.cloud.ovh.us", StoreKind::Ovh),
    // LocalStack, "Accessing endpoint URLs": a name that resolves to 127.0.0.1.
    ("localhost.localstack.cloud", StoreKind::LocalStack),
];

impl StoreKind {
    /// Returns the kind of the hosted store that the host of an endpoint belongs to, with or
    /// without a bucket in front; `None` for AWS and for every other host.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        HOSTS.iter().find(|(pattern, _)| ends_with_labels(&host, pattern)).map(|(_, kind)| *kind)
    }
}

/// Returns whether the last labels of the host are those of the pattern.
fn ends_with_labels(host: &str, pattern: &str) -> bool {
    let mut labels = host.rsplit('.');
    pattern.rsplit('.').all(|wanted| {
        labels.next().is_some_and(|label| !label.is_empty() && (wanted == "*" || wanted == label))
    })
}
