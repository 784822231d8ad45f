//! Carries the checksums that `s3s` 0.14.1 has no elements for through its documents.
//!
//! Its documents have five `Checksum…` elements, and its reader refuses others. S3 has ten since
//! 2026. A value of the other five travels through `s3s` in the element of SHA-256, behind the name
//! of its algorithm: `<ChecksumSHA256>XXHASH3:eK9flIkvOVA=</ChecksumSHA256>`. Requests get this
//! form before `s3s` reads them, and answers lose it after `s3s` has written them. Base64 has no
//! colon, so no SHA-256 is mistaken for such a value, and no key: text in a document has no `<`.

use haul_parts::ChecksumAlgorithm;

/// The algorithms without an element in `s3s`.
const NEWER: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Sha512,
    ChecksumAlgorithm::Xxhash3,
    ChecksumAlgorithm::Xxhash64,
    ChecksumAlgorithm::Xxhash128,
    ChecksumAlgorithm::Md5,
];

/// The element that carries them.
pub(super) const CARRIER: &str = "ChecksumSHA256";

/// Returns the algorithm whose element has this name, if `s3s` does not know it.
pub(super) fn newer_algorithm(element: &str) -> Option<ChecksumAlgorithm> {
    let name = element.strip_prefix("Checksum")?;
    NEWER.into_iter().find(|algorithm| algorithm.s3_name() == name)
}

/// Returns the text by which a value is carried.
pub(crate) fn carried(algorithm: ChecksumAlgorithm, value: &str) -> String {
    format!("{algorithm}:{value}")
}

/// Splits the text of the carrier into the algorithm and its value. A text in the form of a carried
/// value that the client itself sent as SHA-256 is no base64, and stays a SHA-256.
pub(crate) fn uncarried(text: String) -> (ChecksumAlgorithm, Option<String>) {
    let newer = text.split_once(':').and_then(|(name, value)| {
        let algorithm = NEWER.into_iter().find(|algorithm| algorithm.s3_name() == name)?;
        Some((algorithm, Some(value.to_owned())))
    });
    newer.unwrap_or((ChecksumAlgorithm::Sha256, Some(text)))
}

/// Rewrites the carriers of a document that `s3s` wrote into the elements of S3; `None` if it has
/// none.
pub(crate) fn restored(document: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(document).ok()?;
    let (start, end) = (format!("<{CARRIER}>"), format!("</{CARRIER}>"));
    let mut restored = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some((before, after)) = rest.split_once(&start) {
        restored.push_str(before);
        let (content, behind) = after.split_once(&end)?;
        match uncarried(content.to_owned()) {
            (ChecksumAlgorithm::Sha256, _) => {
                restored.push_str(&format!("{start}{content}{end}"));
            }
            (algorithm, value) => {
                let (name, value) = (algorithm.s3_name(), value.unwrap_or_default());
                restored.push_str(&format!("<Checksum{name}>{value}</Checksum{name}>"));
                found = true;
            }
        }
        rest = behind;
    }
    restored.push_str(rest);
    found.then(|| restored.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_values_come_back_under_their_own_name() {
        let document = "<P><ChecksumSHA256>XXHASH3:AA==</ChecksumSHA256></P>\
                        <P><ChecksumSHA256>BB==</ChecksumSHA256></P>";
        let restored = restored(document.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(restored).unwrap(),
            "<P><ChecksumXXHASH3>AA==</ChecksumXXHASH3></P>\
             <P><ChecksumSHA256>BB==</ChecksumSHA256></P>"
        );
        assert_eq!(super::restored(b"<P><ChecksumSHA256>BB==</ChecksumSHA256></P>"), None);
        assert_eq!(super::restored(b"<Key>&lt;ChecksumSHA256&gt;MD5:</Key>"), None);
    }

    #[test]
    fn only_elements_that_s3s_lacks_are_carried() {
        assert_eq!(newer_algorithm("ChecksumSHA512"), Some(ChecksumAlgorithm::Sha512));
        for known in ["ChecksumSHA256", "ChecksumCRC32", "ChecksumType", "SHA512"] {
            assert_eq!(newer_algorithm(known), None, "{known}");
        }
    }
}
