//! Entry points for fuzzers and tests with arbitrary input: journals, answers of stores,
//! and their certificates.
//!
//! This is not part of the API. The functions are here because they call private code.

use crate::journal::format::{MAGIC, decode, encode, frame};
use crate::verify::receipt::{Receipt, sealed};

/// Decodes a journal. The first byte selects the format of the rest: 0 for a raw file, otherwise
/// payloads, one per line, which get their frames here, because no fuzzer guesses a CRC. Decoded
/// records must survive their own encoding. Returns whether there was a valid record.
pub fn journal(input: &[u8]) -> bool {
    let Some((kind, rest)) = input.split_first() else { return false };
    let file = if *kind == 0 { rest.to_vec() } else { framed(rest) };
    let Ok(decoded) = decode(&file) else { return false };
    assert!(decoded.good_bytes <= file.len());
    let mut again = MAGIC.to_vec();
    for record in &decoded.records {
        // A text that is longer in our encoding may exceed the limit.
        let Some(bytes) = encode(record) else { return false };
        again.extend(bytes);
    }
    let second = decode(&again).expect("what is written here is read here");
    assert_eq!(second.records, decoded.records);
    assert_eq!(second.good_bytes, again.len());
    !decoded.records.is_empty()
}

fn framed(payloads: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for payload in payloads.split(|byte| *byte == b'\n') {
        file.extend(frame(payload));
    }
    file
}

/// Parses a receipt. The first byte selects the format of the rest: 0 for a raw file, otherwise a
/// receipt without its checksum, which is added here. A parsed receipt must survive its own text.
/// Returns whether there was a valid receipt.
pub fn receipt(input: &[u8]) -> bool {
    let Some((kind, rest)) = input.split_first() else { return false };
    let text = if *kind == 0 { String::from_utf8(rest.to_vec()).ok() } else { sealed(rest) };
    let Some(receipt) = text.and_then(|text| Receipt::parse(&text).ok()) else { return false };
    let again = Receipt::parse(&receipt.to_json()).expect("what is written here is read here");
    assert_eq!(again, receipt);
    true
}

/// Parses the answer to a part: a status, lines of headers, an empty line, a document. Returns
/// whether it is a valid answer.
pub fn answer(input: &[u8]) -> bool {
    let Some((head, body)) = split_head(input) else { return false };
    let mut lines = head.lines();
    let Some(status) = lines.next().and_then(|status| status.parse::<u16>().ok()) else {
        return false;
    };
    let mut response = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    let Ok(response) = response.body(()) else { return false };
    crate::s3::check_answer(response.into_parts().0, body.to_vec().into());
    true
}

/// Reads the facts of a certificate. Returns whether its expiry could be read.
pub fn certificate(input: &[u8]) -> bool {
    crate::s3::read_certificate(input).expires.is_some()
}

fn split_head(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.windows(2).position(|bytes| bytes == b"\n\n")?;
    Some((std::str::from_utf8(&input[..end]).ok()?, &input[end + 2..]))
}
