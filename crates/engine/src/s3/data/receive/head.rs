//! Writes the head of a request and parses the head of an answer (RFC 9112).

use std::fmt::Write;

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};

use super::framing::Framing;

/// The maximum length of a head in bytes. AWS allows 8 KB of headers, of which 2 KB are metadata.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The maximum number of headers.
const HEADERS_MAX: usize = 256;

/// The head of an answer, and what it states about the body and the connection.
#[derive(Debug)]
pub(in crate::s3::data) struct ReceivedHead {
    pub(in crate::s3::data) parts: Parts,
    pub(in crate::s3::data) framing: Framing,
    /// Whether the connection can be used again after the body.
    pub(super) keeps_alive: bool,
}

/// Returns the request line and the headers of a request without a body.
pub(super) fn request_head<B>(request: &Request<B>) -> Vec<u8> {
    let mut head = String::new();
    // Writing into a string cannot fail.
    let _ = write!(head, "{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let mut head = head.into_bytes();
    for (name, value) in request.headers() {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Takes the head of an answer from the beginning of `bytes`. `None`: it is not complete yet.
///
/// # Errors
/// What is wrong with the head.
pub(super) fn take_head(bytes: &mut BytesMut) -> Result<Option<ReceivedHead>, String> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
            Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
            Ok(_) => return Err(format!("a head of more than {HEAD_BYTES_MAX} bytes")),
            Err(error) => return Err(format!("an answer that is not HTTP: {error}")),
        };
        let parts = parts(&head)?;
        bytes.advance(length);
        // Answers before the final one, such as `103 Early Hints`.
        if !parts.status.is_informational() {
            let framing = framing(&parts)?;
            let keeps_alive = keeps_alive(&parts) && framing != Framing::UntilClose;
            return Ok(Some(ReceivedHead { parts, framing, keeps_alive }));
        }
    }
}

fn parts(head: &httparse::Response<'_, '_>) -> Result<Parts, String> {
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(());
    *response.status_mut() = status.ok_or("an answer without a status")?;
    *response.version_mut() =
        if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(format!("an answer with an invalid header {:?}", header.name));
        };
        response.headers_mut().append(name, value);
    }
    Ok(response.into_parts().0)
}

/// Determines where the body ends (RFC 9112, 6.3).
fn framing(parts: &Parts) -> Result<Framing, String> {
    if matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    let encodings = tokens(&parts.headers, &TRANSFER_ENCODING);
    if let Some(last) = encodings.last() {
        return match last.as_str() {
            "chunked" if encodings.len() == 1 => Ok(Framing::chunked()),
            _ => Err(format!("an answer with the unknown transfer encoding {last:?}")),
        };
    }
    let mut lengths = tokens(&parts.headers, &CONTENT_LENGTH).into_iter();
    let Some(length) = lengths.next() else { return Ok(Framing::UntilClose) };
    let is_number = length.bytes().all(|digit| digit.is_ascii_digit());
    let parsed = length.parse().ok().filter(|_| is_number);
    match parsed {
        Some(bytes) if lengths.all(|other| other == length) => Ok(Framing::Length(bytes)),
        _ => Err("an answer with an invalid Content-Length".into()),
    }
}

fn keeps_alive(parts: &Parts) -> bool {
    let options = tokens(&parts.headers, &CONNECTION);
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    !has("close") && (parts.version != Version::HTTP_10 || has("keep-alive"))
}

/// Returns the elements of a header that is a list, in lower case.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let text = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    text.flat_map(|list| list.split(',').map(|token| token.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(text: &str) -> Result<Option<ReceivedHead>, String> {
        take_head(&mut BytesMut::from(text))
    }

    fn framed(text: &str) -> Framing {
        taken(text).unwrap().unwrap().framing
    }

    #[test]
    fn the_head_states_where_the_body_ends() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Framing::Length(7)),
            ("HTTP/1.1 206 Partial Content\r\ncontent-length: 7, 7\r\n\r\n", Framing::Length(7)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", Framing::chunked()),
            // The transfer encoding overrides the length.
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ntransfer-encoding: chunked\r\n\r\n",
                Framing::chunked(),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::UntilClose),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", Framing::Length(0)),
            (
                "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                Framing::Length(0),
            ),
        ] {
            assert_eq!(framed(head), expected, "{head:?}");
        }
        for wrong in [
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ncontent-length: 8\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -7\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +7\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert!(taken(wrong).is_err(), "{wrong:?}");
        }
        assert!(taken("HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert!(taken(&endless).is_err());
    }

    #[test]
    fn a_connection_is_used_again_only_if_the_store_keeps_it() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
        ] {
            assert_eq!(taken(head).unwrap().unwrap().keeps_alive, expected, "{head:?}");
        }
    }

    #[test]
    fn bytes_behind_the_head_stay() {
        let mut bytes = BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody");
        take_head(&mut bytes).unwrap().unwrap();
        assert_eq!(&bytes[..], b"body");
    }

    #[test]
    fn a_request_is_written_as_it_was_signed() {
        let request = Request::get("/bucket/a%20key?versionId=1")
            .header("host", "store.test")
            .header("range", "bytes=0-9")
            .body(())
            .unwrap();
        let expected = "GET /bucket/a%20key?versionId=1 HTTP/1.1\r\nhost: store.test\r\n\
                        range: bytes=0-9\r\n\r\n";
        assert_eq!(String::from_utf8(request_head(&request)).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_a_head_or_an_error(
            line in "(HTTP/1.[01] [0-9]{0,4} .{0,9}\r\n)?",
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = BytesMut::from(line.as_bytes());
            bytes.extend_from_slice(&rest);
            let _ = take_head(&mut bytes);
        }
    }
}
