//! Gives a document the digest that every store accepts: `Content-MD5`, in place of the SDK's newer
//! checksum, which Ceph RGW 16.2, for example, does not know for documents.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use haul_parts::{ChecksumAlgorithm, Hasher};

/// Replaces the checksum of the body of a request that is about to be signed.
pub(super) fn replace_checksum(request: &mut HttpRequest) {
    let Some(body) = request.body().bytes() else { return };
    let md5 = Hasher::checksum(ChecksumAlgorithm::Md5, body).to_base64();
    let headers = request.headers_mut();
    let checksums: Vec<String> =
        headers.iter().map(|(name, _)| name.to_owned()).filter(|name| is_checksum(name)).collect();
    for name in checksums {
        headers.remove(name.as_str());
    }
    headers.insert("content-md5", md5);
}

/// Returns whether a header has a checksum that the SDK computed.
fn is_checksum(name: &str) -> bool {
    name.starts_with("x-amz-checksum-")
        || name == "x-amz-sdk-checksum-algorithm"
        || name == "x-amz-trailer"
}
