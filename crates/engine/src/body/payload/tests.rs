//! Tests the bytes that payloads send in each of the three ways, and how fast.

use std::sync::atomic::{AtomicUsize, Ordering};

use haul_parts::Hasher;
use http_body_util::BodyExt;

use super::*;
use crate::body::SLICE_BYTES;
use crate::source::{BytesSource, Change, Source};

fn range(size: usize) -> (Vec<u8>, Range) {
    let bytes: Vec<u8> = (0..size).map(|index| (index * 31 % 251).to_le_bytes()[0]).collect();
    let source = Arc::new(BytesSource::new(bytes.clone()));
    let from = 7.min(size);
    (
        bytes[from..].to_vec(),
        Range { source, offset_bytes: from as u64, size_bytes: (size - from) as u64 },
    )
}

#[tokio::test(start_paused = true)]
async fn a_limited_body_has_the_same_bytes_and_takes_its_time() {
    let (expected, range) = range(8 * SLICE_BYTES);
    let pool = BufferPool::new(64 * SLICE_BYTES as u64);
    let (held, _) = Payload::read(range.clone(), &pool, &[ChecksumAlgorithm::Md5]).await.unwrap();
    let streamed = Payload::streamed(range, &pool, ChecksumAlgorithm::Crc64Nvme).await;
    for payload in [held, streamed] {
        let bandwidth = super::super::Bandwidth::default();
        bandwidth.set(Some(expected.len() as u64 / 20));
        let wire = Meter::limited(bandwidth);
        let began = tokio::time::Instant::now();
        let sent = payload.counted_body(wire.clone()).collect().await.unwrap().to_bytes();
        let took = began.elapsed().as_secs_f64();
        assert!((19.0..20.5).contains(&took), "20 s of bytes took {took} s");
        assert_eq!(wire.sent_bytes(), expected.len() as u64);
        // A streamed body has framing around its bytes.
        if payload.trailer().is_none() {
            assert_eq!(sent, expected);
        } else {
            assert_eq!(sent.len() as u64, payload.wire_bytes());
        }
    }
}

#[tokio::test]
async fn held_and_reread_payloads_send_the_same_bytes() {
    let (expected, range) = range(3 * SLICE_BYTES + 4321);
    let algorithms = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5];
    let large = BufferPool::new(64 * SLICE_BYTES as u64);
    let small = BufferPool::new(2 * SLICE_BYTES as u64);
    let (held, of_held) = Payload::read(range.clone(), &large, &algorithms).await.unwrap();
    let (reread, of_reread) = Payload::read(range, &small, &algorithms).await.unwrap();
    assert!(
        matches!(held.origin, PayloadOrigin::Held(_))
            && matches!(reread.origin, PayloadOrigin::Reread(_))
    );
    assert_eq!(of_held, of_reread);
    for payload in [&held, &reread] {
        assert_eq!(payload.body().size_hint().exact(), Some(expected.len() as u64));
        // Twice: a second attempt sends from the beginning.
        for _ in 0..2 {
            assert_eq!(payload.body().collect().await.unwrap().to_bytes(), expected);
        }
        assert_eq!(payload.digest(ChecksumAlgorithm::Md5).await.unwrap(), of_held[1]);
    }
}

#[tokio::test]
async fn a_streamed_payload_is_framed_and_hashed_while_it_is_sent() {
    let (expected, range) = range(3 * SLICE_BYTES + 4321);
    let pool = BufferPool::new(64 * SLICE_BYTES as u64);
    let payload = Payload::streamed(range, &pool, ChecksumAlgorithm::Crc64Nvme).await;
    assert_eq!(
        (payload.trailer(), payload.sent_checksum()),
        (Some(ChecksumAlgorithm::Crc64Nvme), None)
    );
    let checksum = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &expected);
    let trailer = format!("\r\n0\r\nx-amz-checksum-crc64nvme:{}\r\n\r\n", checksum.to_base64());
    let framed =
        [format!("{:x}\r\n", expected.len()).as_bytes(), &expected, trailer.as_bytes()].concat();
    assert_eq!(payload.body().size_hint().exact(), Some(framed.len() as u64));
    for _ in 0..2 {
        let wire = Meter::default();
        assert_eq!(payload.counted_body(wire.clone()).collect().await.unwrap().to_bytes(), framed);
        assert_eq!(payload.sent_checksum(), Some(checksum));
        assert_eq!(wire.sent_bytes(), expected.len() as u64, "framing is no progress");
    }
}

/// The checksum of a part made of two versions would match, so the store must never receive it.
#[tokio::test]
async fn a_source_that_changes_while_it_is_streamed_gets_no_trailer() {
    for cached in [true, false] {
        let source = Arc::new(Changing { cached, reads: AtomicUsize::new(0) });
        let range = Range { source, offset_bytes: 0, size_bytes: 3 * SLICE_BYTES as u64 };
        let pool = BufferPool::new(64 * SLICE_BYTES as u64);
        let payload = Payload::streamed(range, &pool, ChecksumAlgorithm::Crc64Nvme).await;
        let failed = payload.body().collect().await.unwrap_err();
        assert!(matches!(failed, BodyError::Source(_)), "{failed:?}");
        assert_eq!(payload.sent_checksum(), None);
    }
}

/// A source that is written to while its second slice is read.
struct Changing {
    cached: bool,
    reads: AtomicUsize,
}

impl Source for Changing {
    fn size_bytes(&self) -> u64 {
        3 * SLICE_BYTES as u64
    }

    fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_cached_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.cached {
            return Ok(0);
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(buffer.len())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        if self.reads.load(Ordering::Relaxed) < 2 { Ok(()) } else { Err(Change::Modified) }
    }

    fn name(&self) -> String {
        "changing".into()
    }
}

#[tokio::test]
async fn a_truncated_source_is_an_error_and_not_a_short_body() {
    let (_, mut range) = range(1000);
    range.size_bytes += 1;
    let pool = BufferPool::new(64 * SLICE_BYTES as u64);
    let error = Payload::read(range, &pool, &[]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
