//! Requests whose bytes do not match the declared checksum, hash or length are refused and store
//! nothing; responses to all others confirm the checksum.

use haul_parts::{ChecksumAlgorithm, Hasher};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Auth, Request, Response, UNSIGNED, hmac};
use crate::fixture::{Fixture, bytes};

/// MD5 too: its header of 2026, beside the older `Content-MD5`.
const ALGORITHMS: [ChecksumAlgorithm; 10] = ChecksumAlgorithm::ALL;

fn value(algorithm: ChecksumAlgorithm, data: &[u8]) -> String {
    Hasher::checksum(algorithm, data).to_base64()
}

#[tokio::test]
async fn every_checksum_in_a_header_is_verified_and_echoed() {
    let f = Fixture::new().await;
    let data = bytes(100_000);
    for algorithm in ALGORITHMS {
        let header = algorithm.kept_header_name();
        let put = |value: &str| {
            f.client
                .request("PUT", "/bkt/k")
                .payload(UNSIGNED)
                .header(header, value)
                .body(data.clone())
        };
        let right = value(algorithm, &data);
        let answer = put(&right)
            .header("x-amz-sdk-checksum-algorithm", algorithm.s3_name())
            .expect(200)
            .await;
        assert_eq!(answer.header(header), Some(right.as_str()));
        assert_eq!(answer.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
        f.client.request("DELETE", "/bkt/k").expect(204).await;
        let refused = put(&value(algorithm, b"other")).refused(400, "BadDigest").await;
        // A wrong MD5 is answered in the words of Content-MD5.
        if algorithm != ChecksumAlgorithm::Md5 {
            assert_eq!(refused.element("ExpectedDigest"), Some(value(algorithm, b"other")));
            assert_eq!(refused.element("CalculatedDigest"), Some(right.clone()));
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                algorithm.s3_name()
            );
            assert_eq!(refused.element("Message"), Some(message));
        }
        let refused = put("short").refused(400, "InvalidRequest").await;
        assert_eq!(
            refused.element("Message"),
            Some(format!("Value for {header} header is invalid."))
        );
        f.client.request("HEAD", "/bkt/k").expect(404).await;
    }
}

#[tokio::test]
async fn a_wrong_part_checksum_leaves_no_part() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let target = format!("/bkt/k?partNumber=1&uploadId={id}");
    let part = |header: &str, value: &str| {
        f.client.request("PUT", &target).payload(UNSIGNED).header(header, value).body("bytes")
    };
    for algorithm in ALGORITHMS {
        part(algorithm.kept_header_name(), &value(algorithm, b"other"))
            .refused(400, "BadDigest")
            .await;
    }
    part("content-md5", &value(ChecksumAlgorithm::Md5, b"other")).refused(400, "BadDigest").await;
    let list = f.client.get(&format!("/bkt/k?uploadId={id}")).await;
    assert!(list.elements("PartNumber").is_empty());
    let right = value(ChecksumAlgorithm::Crc64Nvme, b"bytes");
    let answer = part("x-amz-checksum-crc64nvme", &right).expect(200).await;
    assert_eq!(answer.header("x-amz-checksum-crc64nvme"), Some(right.as_str()));
}

#[tokio::test]
async fn content_md5_is_verified() {
    let f = Fixture::new().await;
    let put =
        |md5: &str| f.client.request("PUT", "/bkt/k").header("content-md5", md5).body("bytes");
    let refused = put(&value(ChecksumAlgorithm::Md5, b"other")).refused(400, "BadDigest").await;
    // AWS writes the expected digest in hexadecimal digits and the calculated one in base64.
    let expected = hex::encode(Hasher::checksum(ChecksumAlgorithm::Md5, b"other").bytes());
    assert_eq!(refused.element("ExpectedDigest"), Some(expected));
    assert_eq!(refused.element("CalculatedDigest"), Some(value(ChecksumAlgorithm::Md5, b"bytes")));
    put("not base64").refused(400, "InvalidDigest").await;
    put("AAAA").refused(400, "InvalidDigest").await;
    f.client.request("HEAD", "/bkt/k").expect(404).await;
    put(&value(ChecksumAlgorithm::Md5, b"bytes")).expect(200).await;
}

#[tokio::test]
async fn a_payload_hash_of_other_bytes_is_refused() {
    let f = Fixture::new().await;
    let claimed = hex::encode(Sha256::digest(b"other"));
    let put = f.client.request("PUT", "/bkt/k").payload(&claimed).body("bytes");
    let refused = put.refused(400, "XAmzContentSHA256Mismatch").await;
    assert_eq!(refused.element("ClientComputedContentSHA256"), Some(claimed.clone()));
    f.client.request("HEAD", "/bkt/k").expect(404).await;
    f.client
        .request("PUT", "/bkt/k")
        .payload(&claimed)
        .refused(400, "XAmzContentSHA256Mismatch")
        .await;
}

#[tokio::test]
async fn a_payload_hash_of_another_document_is_refused() {
    let f = Fixture::new().await;
    let other = hex::encode(Sha256::digest(b"other"));
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let part = f.client.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), "bytes").await;
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
            </CompleteMultipartUpload>",
        part.etag()
    );
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let complete =
        || f.client.request("POST", &format!("/bkt/k?uploadId={id}")).body(list.as_str());
    let delete = || {
        let body = "<Delete><Object><Key>k</Key></Object></Delete>";
        f.client.request("POST", "/bkt?delete").body(body)
    };
    let tag = || f.client.request("PUT", "/bkt/k?tagging").body(tags);
    let bucket = || f.client.request("PUT", "/bkt2");
    bucket().payload(&other).refused(400, "XAmzContentSHA256Mismatch").await;
    f.client.request("HEAD", "/bkt2").expect(404).await;
    bucket().expect(200).await;
    let refused = complete().payload(&other).refused(400, "XAmzContentSHA256Mismatch").await;
    assert_eq!(refused.element("ClientComputedContentSHA256"), Some(other.clone()));
    assert_eq!(
        refused.element("S3ComputedContentSHA256"),
        Some(hex::encode(Sha256::digest(&list)))
    );
    complete().expect(200).await;
    tag().payload(&other).refused(400, "XAmzContentSHA256Mismatch").await;
    delete().payload(&other).refused(400, "XAmzContentSHA256Mismatch").await;
    f.client.request("HEAD", "/bkt/k").expect(200).await;
    delete().expect(200).await;
    f.client.request("HEAD", "/bkt/k").expect(404).await;
}

#[tokio::test]
async fn however_a_payload_hash_comes_other_bytes_are_refused() {
    let f = Fixture::new().await;
    let (right, other) =
        (hex::encode(Sha256::digest(b"bytes")), hex::encode(Sha256::digest(b"other")));
    let put = || f.client.request("PUT", "/bkt/k").body("bytes");
    let presigned = |hash: &str| {
        put().auth(Auth::Presigned { expires: 60 }).unsigned_header("x-amz-content-sha256", hash)
    };
    presigned(&other).refused(400, "XAmzContentSHA256Mismatch").await;
    // AWS rejects these forms. A server may accept one only if it compares the hash with the bytes.
    let upper = other.to_uppercase();
    for request in [
        put().payload(&upper),
        put().payload(&right).unsigned_header("x-amz-content-sha256", &other),
        put().payload(&other).unsigned_header("x-amz-content-sha256", &right),
        put().payload(&other).unsigned_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ] {
        let answer = request.send().await;
        assert!((400..500).contains(&answer.status), "{}", answer.text());
    }
    f.client.request("HEAD", "/bkt/k").expect(404).await;
    presigned(&right).expect(200).await;
}

/// Several parts are in flight at the same time; each is compared with its own hash.
#[tokio::test]
async fn of_signed_parts_sent_together_the_wrong_one_is_refused() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let parts: Vec<Vec<u8>> = (1..=7).map(|part| bytes(3_000_000 + 100_003 * part)).collect();
    let send = |(index, part): (usize, &Vec<u8>)| {
        let mut body = part.clone();
        let hash = hex::encode(Sha256::digest(part));
        if index == 4 {
            body[2_222_222] ^= 1;
        }
        let uri = format!("/bkt/k?partNumber={}&uploadId={id}", index + 1);
        f.client.request("PUT", &uri).payload(&hash).body(body).send()
    };
    let answers = futures_util::future::join_all(parts.iter().enumerate().map(send)).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 400, 200, 200]);
    let list = f.client.get(&format!("/bkt/k?uploadId={id}")).await;
    assert_eq!(list.elements("PartNumber"), ["1", "2", "3", "4", "6", "7"]);
    let md5 =
        |index: usize| Hasher::checksum(ChecksumAlgorithm::Md5, &parts[index]).as_md5().unwrap();
    let etags = [0, 1, 2, 3, 5, 6].map(|index| format!("\"{}\"", hex::encode(md5(index))));
    assert_eq!(list.elements("ETag"), etags);
}

#[tokio::test]
async fn claims_that_contradict_each_other_are_refused() {
    let f = Fixture::new().await;
    let crc = value(ChecksumAlgorithm::Crc32, b"bytes");
    let put =
        || f.client.request("PUT", "/bkt/k").body("bytes").header("x-amz-checksum-crc32", &crc);
    put().header("x-amz-checksum-crc32c", "AAAAAA==").refused(400, "InvalidRequest").await;
    put().header("x-amz-trailer", "x-amz-checksum-crc32").refused(400, "InvalidRequest").await;
    put().header("x-amz-sdk-checksum-algorithm", "SHA1").refused(400, "InvalidRequest").await;
    let bare = f
        .client
        .request("PUT", "/bkt/k")
        .body("bytes")
        .header("x-amz-sdk-checksum-algorithm", "CRC32");
    bare.refused(400, "InvalidRequest").await;
}

/// Returns a body in aws-chunked framing without signatures.
fn chunked(data: &[u8], chunk: usize, trailers: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in data.chunks(chunk) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    body
}

fn unsigned_trailer(
    f: &Fixture,
    data: &[u8],
    algorithm: ChecksumAlgorithm,
    trailers: &str,
) -> Request {
    f.client
        .request("PUT", "/bkt/k")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", &data.len().to_string())
        .header("x-amz-trailer", algorithm.kept_header_name())
        .body(chunked(data, 64 * 1024, trailers))
}

#[tokio::test]
async fn every_checksum_in_a_trailer_is_verified_and_echoed() {
    let f = Fixture::new().await;
    let data = bytes(200_000);
    for algorithm in ALGORITHMS {
        let header = algorithm.kept_header_name();
        let right = value(algorithm, &data);
        let answer = unsigned_trailer(&f, &data, algorithm, &format!("{header}:{right}\r\n"))
            .expect(200)
            .await;
        assert_eq!(answer.header(header), Some(right.as_str()));
        let get = f.client.request("GET", "/bkt/k").expect(200).await;
        assert!(get.body == data);
        assert_eq!(get.header("content-encoding"), None);
        f.client.request("DELETE", "/bkt/k").expect(204).await;
        let wrong = value(algorithm, b"other");
        unsigned_trailer(&f, &data, algorithm, &format!("{header}:{wrong}\r\n"))
            .refused(400, "BadDigest")
            .await;
        unsigned_trailer(&f, &data, algorithm, &format!("{header}:short\r\n"))
            .refused(400, "InvalidRequest")
            .await;
        unsigned_trailer(&f, &data, algorithm, "").refused(400, "MalformedTrailerError").await;
        f.client.request("HEAD", "/bkt/k").expect(404).await;
    }
}

#[tokio::test]
async fn one_huge_unsigned_chunk_is_taken() {
    let f = Fixture::new().await;
    let data = bytes(20 * 1024 * 1024);
    let right = value(ChecksumAlgorithm::Crc32, &data);
    let request = unsigned_trailer(&f, &data, ChecksumAlgorithm::Crc32, "");
    let body = chunked(&data, data.len(), &format!("x-amz-checksum-crc32:{right}\r\n"));
    request.body(body).expect(200).await;
    assert!(f.client.get("/bkt/k").await.body == data);
}

#[tokio::test]
async fn a_decoded_length_that_is_wrong_is_refused() {
    let f = Fixture::new().await;
    for (said, had) in [("10", "12345"), ("3", "12345")] {
        let crc = value(ChecksumAlgorithm::Crc32, had.as_bytes());
        let request = unsigned_trailer(
            &f,
            had.as_bytes(),
            ChecksumAlgorithm::Crc32,
            &format!("x-amz-checksum-crc32:{crc}\r\n"),
        );
        request.header("x-amz-decoded-content-length", said).refused(400, "IncompleteBody").await;
    }
    let request = unsigned_trailer(&f, b"12345", ChecksumAlgorithm::Crc32, "");
    request.body("5\r\n12345XX0\r\n\r\n").refused(400, "InvalidRequest").await;
    f.client.request("HEAD", "/bkt/k").expect(404).await;
}

/// Sends a body in signed chunks. `spoil` may change the chunk signatures before the body is
/// assembled.
pub(crate) async fn signed_chunks(
    f: &Fixture,
    data: &[u8],
    trailer: Option<(&str, &str)>,
    spoil: impl FnOnce(&mut Vec<String>),
) -> Response {
    send_signed_chunks(f, data, trailer, spoil, |_| {}).await
}

/// Sends a body in signed chunks without a trailer. `change` may change the assembled body; the
/// request declares the changed length.
async fn signed_body(f: &Fixture, data: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Response {
    send_signed_chunks(f, data, None, |_| {}, change).await
}

async fn send_signed_chunks(
    f: &Fixture,
    data: &[u8],
    trailer: Option<(&str, &str)>,
    spoil: impl FnOnce(&mut Vec<String>),
    change: impl FnOnce(&mut Vec<u8>),
) -> Response {
    let kind = match trailer {
        Some(_) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        None => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    };
    let mut request = f
        .client
        .request("PUT", "/bkt/k")
        .payload(kind)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", &data.len().to_string());
    if let Some((name, _)) = trailer {
        request = request.header("x-amz-trailer", name);
    }
    // The length is not signed, so the head can be signed before the body is known.
    let signed = request.clone().sign();
    let empty = hex::encode(Sha256::digest(b""));
    let mut previous = signed.signature.clone();
    let mut signatures = Vec::new();
    let chunks: Vec<&[u8]> = data.chunks(64 * 1024).chain([&b""[..]]).collect();
    for chunk in &chunks {
        let hash = hex::encode(Sha256::digest(chunk));
        let (timestamp, scope) = (&signed.timestamp, &signed.scope);
        let to_sign =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{empty}\n{hash}");
        previous = hex::encode(hmac(&signed.signing_key, to_sign.as_bytes()));
        signatures.push(previous.clone());
    }
    spoil(&mut signatures);
    let mut body = Vec::new();
    for (chunk, signature) in chunks.iter().zip(&signatures) {
        body.extend_from_slice(
            format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes(),
        );
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if let Some((name, value)) = trailer {
        let hash = hex::encode(Sha256::digest(format!("{name}:{value}\n").as_bytes()));
        let (timestamp, scope) = (&signed.timestamp, &signed.scope);
        let to_sign = format!("AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n{previous}\n{hash}");
        let signature = hex::encode(hmac(&signed.signing_key, to_sign.as_bytes()));
        body.extend_from_slice(
            format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(b"\r\n");
    change(&mut body);
    let head = signed.head.replace("content-length: 0", &format!("content-length: {}", body.len()));
    f.client.raw(&[head.into_bytes(), body].concat()).await
}

#[tokio::test]
async fn signed_chunks_are_verified_one_by_one() {
    let f = Fixture::new().await;
    let data = bytes(150_000);
    let answer = signed_chunks(&f, &data, None, |_| {}).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(f.client.get("/bkt/k").await.body == data);
    f.client.request("DELETE", "/bkt/k").expect(204).await;
    for wrong in 0..4 {
        let answer =
            signed_chunks(&f, &data, None, |signatures| signatures[wrong] = "0".repeat(64)).await;
        assert_eq!(
            (answer.status, answer.element("Code").as_deref()),
            (403, Some("SignatureDoesNotMatch"))
        );
        f.client.request("HEAD", "/bkt/k").expect(404).await;
    }
}

/// Regression: a stream that was cut between two chunks was accepted as whole if its declared
/// length matched. Every chunk was verified, but only the final one proves that none is missing.
#[tokio::test]
async fn a_stream_without_its_final_chunk_is_not_whole() {
    let f = Fixture::new().await;
    let data = bytes(150_000);
    let final_chunk =
        |body: &[u8]| body.windows(5).rposition(|part| part == b"\r\n0;c").map(|at| at + 2);
    for cut in [Some(0), Some(2), None] {
        let answer = signed_body(&f, &data, |body| {
            if let (Some(kept), Some(at)) = (cut, final_chunk(body)) {
                body.truncate(at + kept);
            }
        })
        .await;
        let expected =
            if cut.is_some() { (400, Some("IncompleteBody".to_owned())) } else { (200, None) };
        assert_eq!((answer.status, answer.element("Code")), expected, "{cut:?}");
        f.client.request("HEAD", "/bkt/k").expect(if cut.is_some() { 404 } else { 200 }).await;
    }
    f.client.request("DELETE", "/bkt/k").expect(204).await;
    let whole = chunked(&data, 64 * 1024, "");
    let without = whole[..whole.len() - b"0\r\n\r\n".len()].to_vec();
    let algorithm = ChecksumAlgorithm::Crc32;
    unsigned_trailer(&f, &data, algorithm, "").body(without).refused(400, "IncompleteBody").await;
    unsigned_trailer(&f, &[], algorithm, "").body("").refused(400, "IncompleteBody").await;
    f.client.request("HEAD", "/bkt/k").expect(404).await;
}

/// `x-amz-checksum-md5` is refused like the newer algorithms, both in a header and in a trailer.
#[tokio::test]
async fn checksums_of_other_algorithms_are_not_implemented() {
    let f = Fixture::new().await;
    for name in ["md4", "crc16", "blake3"] {
        let header = format!("x-amz-checksum-{name}");
        f.client
            .request("PUT", "/bkt/k")
            .header(&header, "AAAA")
            .body("x")
            .refused(501, "NotImplemented")
            .await;
        let md5 = value(ChecksumAlgorithm::Md5, b"x");
        for announced in [Some(name.to_uppercase()), None] {
            let mut put = unsigned_trailer(
                &f,
                b"x",
                ChecksumAlgorithm::Crc32,
                &format!("{header}:{md5}\r\n"),
            );
            put = put.header("x-amz-trailer", &header);
            if let Some(announced) = &announced {
                put = put.header("x-amz-sdk-checksum-algorithm", announced);
            }
            put.refused(501, "NotImplemented").await;
        }
    }
    f.client.request("HEAD", "/bkt/k").expect(404).await;
}

#[tokio::test]
async fn signed_chunks_with_a_trailer_are_verified() {
    let f = Fixture::new().await;
    let data = bytes(100_000);
    let right = value(ChecksumAlgorithm::Sha256, &data);
    let answer = signed_chunks(&f, &data, Some(("x-amz-checksum-sha256", &right)), |_| {}).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-amz-checksum-sha256"), Some(right.as_str()));
    let wrong = value(ChecksumAlgorithm::Sha256, b"other");
    let answer = signed_chunks(&f, &data, Some(("x-amz-checksum-sha256", &wrong)), |_| {}).await;
    assert_eq!(answer.element("Code").as_deref(), Some("BadDigest"));
}

#[tokio::test]
async fn a_body_cut_short_leaves_nothing() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    for target in ["/bkt/k".to_owned(), format!("/bkt/k?partNumber=1&uploadId={id}")] {
        let request = f.client.request("PUT", &target).payload(UNSIGNED).content_length(1_000_000);
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        stream.write_all(request.sign().head.as_bytes()).await.unwrap();
        stream.write_all(&bytes(400_000)).await.unwrap();
        stream.shutdown().await.unwrap();
        // The half-closed connection may lose the response. If a response arrives, it contains the
        // reason.
        if let Some(answer) = Response::read(&mut stream, false).await {
            assert_eq!(
                (answer.status, answer.element("Code").as_deref()),
                (400, Some("IncompleteBody"))
            );
        }
    }
    f.client.request("HEAD", "/bkt/k").expect(404).await;
    assert!(f.client.get(&format!("/bkt/k?uploadId={id}")).await.elements("PartNumber").is_empty());
}

#[tokio::test]
async fn a_body_without_a_length_is_refused() {
    let f = Fixture::new().await;
    let request =
        f.client.request("PUT", "/bkt/k").payload(UNSIGNED).header("transfer-encoding", "chunked");
    request.body("5\r\nbytes\r\n0\r\n\r\n").refused(411, "MissingContentLength").await;
}

#[tokio::test]
async fn a_part_above_the_limit_is_refused_by_its_headers() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let request =
        f.client.request("PUT", &format!("/bkt/k?partNumber=1&uploadId={id}")).payload(UNSIGNED);
    let request =
        request.header("expect", "100-continue").content_length(5 * 1024 * 1024 * 1024 + 1);
    request.refused(400, "EntityTooLarge").await;
}

#[tokio::test]
async fn expect_100_continue_is_answered_or_refused_before_the_body() {
    let f = Fixture::new().await;
    let put = |target: &str| {
        f.client
            .request("PUT", target)
            .payload(UNSIGNED)
            .header("expect", "100-continue")
            .content_length(5)
    };
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(put("/bkt/k").sign().head.as_bytes()).await.unwrap();
    let go_on = Response::read(&mut stream, false).await.unwrap();
    assert_eq!(go_on.status, 100);
    stream.write_all(b"bytes").await.unwrap();
    assert_eq!(Response::read(&mut stream, false).await.unwrap().status, 200);

    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(put("/missing/k").sign().head.as_bytes()).await.unwrap();
    let refused = Response::read(&mut stream, false).await.unwrap();
    assert_eq!(refused.status, 404);
    // The body was never sent, so the server cannot read another request from this connection.
    // Without `Connection: close` the client would send its next request into a closed connection.
    assert_eq!(refused.header("connection"), Some("close"));
}
