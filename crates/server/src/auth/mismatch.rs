//! Creates the response to a signature mismatch. Like AWS, it shows what the server would have
//! signed, so that a client can find the difference. Everything in it came with the request; it
//! reveals neither the secret key nor the correct signature.

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use s3s::S3ErrorCode;
use sha2::{Digest, Sha256};

use crate::answer::refusal::Refusal;
use crate::request::query::Query;
use crate::request::signature::Signature;

/// The characters that version 4 does not escape in a canonical query.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The characters that version 4 does not escape in a canonical path.
const PATH: AsciiSet = QUERY.remove(b'/');

/// The values computed for a request, and the signature that it contains.
pub(crate) struct Computed<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) string_to_sign: &'a [u8],
    /// The signature in the request.
    pub(crate) provided: &'a str,
    /// The canonical request, for version 4 only.
    pub(crate) canonical_request: Option<&'a str>,
}

/// Creates the refusal with its elements in AWS's order.
pub(crate) fn refusal(computed: &Computed<'_>) -> Refusal {
    let refusal = Refusal::new(S3ErrorCode::SignatureDoesNotMatch)
        .field("AWSAccessKeyId", computed.access_key_id)
        .field("StringToSign", String::from_utf8_lossy(computed.string_to_sign))
        .field("SignatureProvided", computed.provided)
        .field("StringToSignBytes", bytes(computed.string_to_sign));
    match computed.canonical_request {
        Some(request) => refusal
            .field("CanonicalRequest", request)
            .field("CanonicalRequestBytes", bytes(request.as_bytes())),
        None => refusal,
    }
}

/// Creates the refusal for a version 4 signature that `s3s` rejected; `None` if the request has no
/// version 4 signature.
pub(crate) fn of_version_4(request: &Parts) -> Option<Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or(""));
    let claim = SignatureClaim::of(request, &query)?;
    let canonical_request = canonical_request(request, &query, &claim);
    let (access_key_id, scope) = claim.credential.split_once('/')?;
    let hash = hex::encode(Sha256::digest(canonical_request.as_bytes()));
    let string_to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", claim.date);
    Some(refusal(&Computed {
        access_key_id,
        string_to_sign: string_to_sign.as_bytes(),
        provided: claim.signature,
        canonical_request: Some(&canonical_request),
    }))
}

/// The signature that the request contains, in the header or in the query.
struct SignatureClaim<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    date: &'a str,
    payload: &'a str,
}

impl<'a> SignatureClaim<'a> {
    fn of(request: &'a Parts, query: &'a Query) -> Option<Self> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        match Signature::of(request, query).ok()? {
            Signature::Query { signed_headers } => Some(Self {
                credential: query.get("X-Amz-Credential")?,
                signed_headers,
                signature: query.get("X-Amz-Signature")?,
                date: query.get("X-Amz-Date")?,
                payload: "UNSIGNED-PAYLOAD",
            }),
            Signature::Header { signed_headers } => {
                let (head, signature) = header("authorization")?.rsplit_once("Signature=")?;
                let (_, rest) = head.split_once("Credential=")?;
                let (credential, _) =
                    rest.rsplit_once(",").and_then(|(rest, _)| rest.rsplit_once(','))?;
                Some(Self {
                    credential: credential.trim(),
                    signed_headers,
                    signature: signature.trim(),
                    date: header("x-amz-date")?,
                    payload: header("x-amz-content-sha256")?,
                })
            }
            Signature::None | Signature::OldQuery => None,
        }
    }
}

fn canonical_request(request: &Parts, query: &Query, claim: &SignatureClaim<'_>) -> String {
    let path: Vec<u8> = percent_decode_str(request.uri.path()).collect();
    let encoded = |text: &str| percent_encode(text.as_bytes(), &QUERY).to_string();
    let pairs = query.pairs().iter().filter(|(name, _)| name != "X-Amz-Signature");
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut names: Vec<&str> = claim.signed_headers.split(';').collect();
    names.sort_unstable();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", header_value(&request.headers, name)))
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        percent_encode(&path, &PATH),
        pairs.join("&"),
        names.join(";"),
        claim.payload
    )
}

/// Returns the values of a header, with each run of blanks collapsed into one.
fn header_value(headers: &HeaderMap, name: &str) -> String {
    let one = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    headers.get_all(name).iter().map(one).collect::<Vec<_>>().join(",")
}

/// Formats bytes as AWS does: `41 57 53`.
fn bytes(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
