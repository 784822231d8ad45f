//! Escapes characters that XML 1.0 cannot contain in response documents as AWS does: `&#13;`,
//! `&#x1;`, `&#xffff;`.
//!
//! Keys may contain any character. `s3s` writes them raw, but a parser must read a raw `\r` as
//! `\n`, and the client would then abort or delete another key. The other characters are invalid in
//! XML 1.0, raw or as references; lenient parsers accept the references, and strict clients use
//! `encoding-type=url`. The bytes of objects are not changed.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use s3s::Body;

const STRIDE_BYTES: usize = 64;

/// Writes control characters of a document as references. Distinguishes documents, which are one
/// buffer in memory, from objects, which are streams.
pub(crate) fn refer(mut response: Response<Body>) -> Response<Body> {
    let document = response.body().bytes();
    if let Some(written) = document.and_then(|document| referred(&document)) {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(Bytes::from(written));
    }
    response
}

/// Returns the document with references, or `None` if it needs none, which is the usual case.
fn referred(document: &[u8]) -> Option<Vec<u8>> {
    // Check a stride without an early exit, so that the compiler vectorises the loop: a listing has
    // 300 KB.
    let plain = |stride: &&[u8]| {
        !stride.iter().fold(false, |found, byte| found | may_need_reference(*byte))
    };
    let first = document.chunks(STRIDE_BYTES).take_while(plain).count() * STRIDE_BYTES;
    if first >= document.len() {
        return None;
    }
    let mut written = Vec::with_capacity(document.len() + 64);
    written.extend_from_slice(&document[..first]);
    for byte in &document[first..] {
        match byte {
            b'\r' => written.extend_from_slice(b"&#13;"),
            // U+FFFE and U+FFFF are EF BF BE and EF BF BF: the first two bytes are written already.
            0xbe | 0xbf if written.ends_with(&[0xef, 0xbf]) => {
                written.truncate(written.len() - 2);
                written.extend_from_slice(format!("&#xff{:x};", byte | 0x40).as_bytes());
            }
            byte if needs_reference(*byte) => {
                written.extend_from_slice(format!("&#x{byte:x};").as_bytes());
            }
            byte => written.push(*byte),
        }
    }
    Some(written)
}

/// Returns whether a character is written as a reference. In UTF-8, bytes below the blank never
/// occur inside other characters.
fn needs_reference(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' && byte != b'\n'
}

/// Returns whether a byte may belong to such a character: a control character, or one of U+F000 to
/// U+FFFF.
fn may_need_reference(byte: u8) -> bool {
    needs_reference(byte) || byte == 0xef
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_references() {
        let document = "<Key>a\rb\u{1}\u{1f}\t\nä</Key>";
        let written = referred(document.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "<Key>a&#13;b&#x1;&#x1f;\t\nä</Key>");
        let document = "\u{fffd}\u{fffe}\u{ffff}\u{ffbf}！\u{f000}\u{10ffff}";
        let written = referred(document.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "\u{fffd}&#xfffe;&#xffff;\u{ffbf}！\u{f000}\u{10ffff}"
        );
        for length in [0, 1, 63, 64, 65, 200] {
            let plain = "ä\t\nx".repeat(length);
            assert_eq!(referred(plain.as_bytes()), None, "{length}");
            let written = referred(format!("{plain}\r{plain}").as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), format!("{plain}&#13;{plain}"));
        }
    }
}
