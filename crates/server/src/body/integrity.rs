//! Reads the integrity values of a request: `Content-MD5`, and `x-amz-checksum-*` in a header or
//! announced for the trailer.
//!
//! Headers are checked before the first byte of the body, so that a contradictory request costs
//! nothing. The store compares the values with the bytes while it writes them; for
//! `x-amz-content-sha256` see [`payload_hash`](crate::body::payload_hash). The wording of errors is
//! that of AWS (`docs/s3-compatibility.md` names the tests).

use haul_parts::{Checksum, ChecksumAlgorithm, CompositeChecksum};
use http::HeaderMap;
use s3s::{S3ErrorCode, TrailingHeaders};

use crate::answer::refusal::Refusal;

/// The prefix of headers that carry a checksum, and of [`NOT_VALUES`].
const CHECKSUM_PREFIX: &str = "x-amz-checksum-";
/// The three headers with that prefix that carry no checksum.
const NOT_VALUES: [&str; 3] = ["algorithm", "type", "mode"];

/// The integrity values of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Integrity {
    /// The value of `Content-MD5`.
    pub(crate) content_md5: Option<Checksum>,
    claim: Claim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    None,
    Header(Checksum),
    Trailer(ChecksumAlgorithm),
}

impl Integrity {
    /// Reads and checks the headers.
    ///
    /// # Errors
    /// `InvalidDigest` for an impossible Content-MD5, `InvalidRequest` for every other
    /// contradiction.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        let claim = claim(headers)?;
        check_announced(headers, claim)?;
        Ok(Self { content_md5: content_md5(headers)?, claim })
    }

    /// Returns the algorithm of the checksum that a header contains or the trailer will contain.
    pub(crate) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self.claim {
            Claim::None => None,
            Claim::Header(checksum) => Some(checksum.algorithm()),
            Claim::Trailer(algorithm) => Some(algorithm),
        }
    }

    /// Returns the checksum, once the body has been read to its end.
    pub(crate) fn checksum(
        &self,
        trailers: Option<&TrailingHeaders>,
    ) -> Result<Option<Checksum>, Refusal> {
        let algorithm = match self.claim {
            Claim::None => return Ok(None),
            Claim::Header(checksum) => return Ok(Some(checksum)),
            Claim::Trailer(algorithm) => algorithm,
        };
        let text = trailers.and_then(|trailers| {
            trailers
                .read(|map| {
                    map.get(algorithm.kept_header_name()).map(|value| value.as_bytes().to_vec())
                })
                .flatten()
        });
        match text {
            Some(text) => parse(algorithm, &text).map(Some),
            None => Err(Refusal::custom(
                "MalformedTrailerError",
                http::StatusCode::BAD_REQUEST,
                "The request contained trailing data that was not well-formed or did not conform \
                 to our published schema.",
            )),
        }
    }
}

/// Returns the checksum of a whole object from Complete: at most one header, never a trailer. A
/// composite value may include the number of parts, as in responses: `value-N`.
pub(crate) fn object_checksum(headers: &HeaderMap) -> Result<Option<ObjectClaim>, Refusal> {
    match claimed(headers)? {
        Claimed::Header(algorithm, text) => object_claim(algorithm, text).map(Some),
        Claimed::None | Claimed::Trailer(_) => Ok(None),
    }
}

/// The checksum that Complete claims for the whole object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectClaim {
    pub(crate) checksum: Checksum,
    /// The `N` of `value-N`, if present.
    pub(crate) part_count: Option<u16>,
}

fn object_claim(algorithm: ChecksumAlgorithm, text: &[u8]) -> Result<ObjectClaim, Refusal> {
    let counted = std::str::from_utf8(text).ok();
    match counted.and_then(|text| CompositeChecksum::parse(algorithm, text).ok()) {
        Some(composite) => Ok(ObjectClaim {
            checksum: composite.checksum(),
            part_count: Some(composite.part_count()),
        }),
        None => Ok(ObjectClaim { checksum: parse(algorithm, text)?, part_count: None }),
    }
}

/// Parses a value from a header, a trailer or an XML element.
pub(crate) fn parse(algorithm: ChecksumAlgorithm, text: &[u8]) -> Result<Checksum, Refusal> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| Checksum::from_base64(algorithm, text).ok())
        .ok_or_else(|| {
            Refusal::invalid_request(format!(
                "Value for {} header is invalid.",
                algorithm.kept_header_name()
            ))
        })
}

fn content_md5(headers: &HeaderMap) -> Result<Option<Checksum>, Refusal> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let md5 = value
        .to_str()
        .ok()
        .and_then(|text| Checksum::from_base64(ChecksumAlgorithm::Md5, text).ok());
    match md5 {
        Some(md5) => Ok(Some(md5)),
        None => Err(Refusal::with(
            S3ErrorCode::InvalidDigest,
            "The Content-MD5 you specified was invalid.",
        )
        .field("Content-MD5", String::from_utf8_lossy(value.as_bytes()))),
    }
}

fn claim(headers: &HeaderMap) -> Result<Claim, Refusal> {
    Ok(match claimed(headers)? {
        Claimed::None => Claim::None,
        Claimed::Header(algorithm, text) => Claim::Header(parse(algorithm, text)?),
        Claimed::Trailer(algorithm) => Claim::Trailer(algorithm),
    })
}

/// The only checksum that a request claims, with its value as sent.
enum Claimed<'h> {
    None,
    Header(ChecksumAlgorithm, &'h [u8]),
    Trailer(ChecksumAlgorithm),
}

fn claimed(headers: &HeaderMap) -> Result<Claimed<'_>, Refusal> {
    let values: Vec<(&str, &http::HeaderValue)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(CHECKSUM_PREFIX)?, value)))
        .filter(|(name, _)| !NOT_VALUES.contains(name))
        .collect();
    let trailer = trailer_algorithm(headers)?;
    match (values.as_slice(), trailer) {
        ([], None) => Ok(Claimed::None),
        ([], Some(algorithm)) => Ok(Claimed::Trailer(algorithm)),
        ([(name, value)], None) => Ok(Claimed::Header(algorithm_of(name)?, value.as_bytes())),
        _ => Err(Refusal::invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )),
    }
}

fn algorithm_of(name: &str) -> Result<ChecksumAlgorithm, Refusal> {
    ChecksumAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.kept_header_name().strip_prefix(CHECKSUM_PREFIX) == Some(name))
        .ok_or_else(|| {
            Refusal::with(
                S3ErrorCode::NotImplemented,
                "This checksum algorithm is not implemented.",
            )
            .field("Header", format!("{CHECKSUM_PREFIX}{name}"))
        })
}

/// Returns the checksum that `x-amz-trailer` announces.
fn trailer_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, Refusal> {
    let Some(value) = headers.get("x-amz-trailer") else { return Ok(None) };
    let names = value.to_str().unwrap_or("").to_ascii_lowercase();
    let Some(name) = names.trim().strip_prefix(CHECKSUM_PREFIX) else {
        return Err(Refusal::invalid_request(
            "The value specified in the x-amz-trailer header is not supported",
        ));
    };
    algorithm_of(name).map(Some)
}

/// Checks that the checksum announced by `x-amz-sdk-checksum-algorithm` is present.
fn check_announced(headers: &HeaderMap, claim: Claim) -> Result<(), Refusal> {
    let Some(value) = headers.get("x-amz-sdk-checksum-algorithm") else { return Ok(()) };
    let announced = value.to_str().ok().and_then(|text| text.parse::<ChecksumAlgorithm>().ok());
    let given = match claim {
        // SDKs also announce MD5 if they send the checksum only as Content-MD5.
        Claim::None if announced == Some(ChecksumAlgorithm::Md5) => return Ok(()),
        Claim::None => {
            return Err(Refusal::invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
                 x-amz-trailer headers were found.",
            ));
        }
        Claim::Header(checksum) => checksum.algorithm(),
        Claim::Trailer(algorithm) => algorithm,
    };
    if announced == Some(given) {
        return Ok(());
    }
    Err(Refusal::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<Integrity, (String, Option<String>)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Integrity::from_headers(&map)
            .map_err(|r| (r.code().to_owned(), r.message().map(str::to_owned)))
    }

    #[test]
    fn one_claim_is_read_and_contradictions_are_refused() {
        use ChecksumAlgorithm::{Crc32, Crc64Nvme};
        let crc32 = ("x-amz-checksum-crc32", "AAAAAA==");
        assert_eq!(read(&[]).unwrap().algorithm(), None);
        assert_eq!(read(&[crc32]).unwrap().algorithm(), Some(Crc32));
        assert_eq!(
            read(&[crc32, ("x-amz-sdk-checksum-algorithm", "crc32")]).unwrap().algorithm(),
            Some(Crc32)
        );
        assert_eq!(
            read(&[("x-amz-trailer", "x-amz-checksum-crc64nvme")]).unwrap().algorithm(),
            Some(Crc64Nvme)
        );
        assert_eq!(read(&[("x-amz-checksum-type", "FULL_OBJECT")]).unwrap().algorithm(), None);

        let refused: [(&[(&'static str, &str)], &str); 8] = [
            (
                &[("x-amz-checksum-crc32", "AAAA")],
                "Value for x-amz-checksum-crc32 header is invalid.",
            ),
            (&[("x-amz-checksum-crc32", "?")], "Value for x-amz-checksum-crc32 header is invalid."),
            (
                &[crc32, ("x-amz-checksum-crc32c", "AAAAAA==")],
                "Expecting a single x-amz-checksum- header.",
            ),
            (
                &[crc32, ("x-amz-trailer", "x-amz-checksum-crc32")],
                "Expecting a single x-amz-checksum- header.",
            ),
            (&[("x-amz-trailer", "x-other")], "The value specified in the x-amz-trailer"),
            (
                &[("x-amz-sdk-checksum-algorithm", "CRC32")],
                "x-amz-sdk-checksum-algorithm specified, but",
            ),
            (
                &[crc32, ("x-amz-sdk-checksum-algorithm", "SHA1")],
                "Value for x-amz-sdk-checksum-algorithm",
            ),
            (&[("x-amz-checksum-crc16", "AAAA")], "This checksum algorithm is not implemented."),
        ];
        for (headers, message) in refused {
            let (_, said) = read(headers).unwrap_err();
            assert!(said.as_deref().unwrap_or("").starts_with(message), "{headers:?}: {said:?}");
        }
        assert_eq!(read(&[("content-md5", "AAAA")]).unwrap_err().0, "InvalidDigest");
    }
}
