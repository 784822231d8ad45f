//! A source that changes during the upload is detected (P4), and a source that cannot be read is
//! reported.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use haul::source::Change;
use haul::testing::memory::{Faults, MemoryStore, Quirks};
use haul::{Engine, Error, Source, UploadOptions};

use crate::harness::{aws, bytes, chain, engine, nothing_left, object, options, store};

/// The trouble that a source has from a given read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The source was overwritten: reads return other bytes, and its modification time has changed.
    Modified,
    /// The source is shorter: reads fail, and its size has changed.
    Truncated,
    /// Reads fail, but size and modification time are unchanged.
    Broken,
    /// Reads panic, as from a bug in a caller's source.
    Panics,
}

struct TroubledSource {
    bytes: Vec<u8>,
    event: Event,
    at_read: u32,
    reads: AtomicU32,
}

impl TroubledSource {
    fn has_happened(&self) -> bool {
        self.reads.load(Ordering::SeqCst) >= self.at_read
    }
}

impl Source for TroubledSource {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let offset = usize::try_from(offset_bytes).unwrap();
        buffer.copy_from_slice(&self.bytes[offset..offset + buffer.len()]);
        if self.has_happened() {
            match self.event {
                Event::Modified => buffer.iter_mut().for_each(|byte| *byte = !*byte),
                Event::Truncated => return Err(io::ErrorKind::UnexpectedEof.into()),
                Event::Broken => return Err(io::Error::other("the disk is broken")),
                Event::Panics => panic!("a bug in a source"),
            }
        }
        Ok(())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        match self.event {
            _ if !self.has_happened() => Ok(()),
            Event::Modified => Err(Change::Modified),
            Event::Truncated => Err(Change::Size { before_bytes: self.size_bytes(), now_bytes: 1 }),
            Event::Broken | Event::Panics => Ok(()),
        }
    }

    fn name(&self) -> String {
        "troubled.bin".into()
    }
}

async fn fails(
    store: &MemoryStore,
    event: Event,
    at_read: u32,
    options: UploadOptions,
    size: usize,
) -> Error {
    fails_on(&engine(store, 128 << 20), store, event, at_read, options, size).await
}

async fn fails_on(
    engine: &Engine,
    store: &MemoryStore,
    event: Event,
    at_read: u32,
    options: UploadOptions,
    size: usize,
) -> Error {
    let source = TroubledSource { bytes: bytes(size), event, at_read, reads: AtomicU32::new(0) };
    let error = engine.upload(source, object(), options).await.unwrap_err();
    assert_eq!(store.object(&object()), None, "{event:?} at read {at_read}: an object appeared");
    nothing_left(store);
    error
}

#[tokio::test(start_paused = true)]
async fn a_source_change_at_any_read_is_detected_and_leaves_nothing() {
    for event in [Event::Modified, Event::Truncated] {
        for at_read in 1..=11 {
            let error = fails(&aws(Faults::none()), event, at_read, options(), 10_500).await;
            assert!(matches!(error, Error::SourceChanged { .. }), "{}", chain(&error));
            assert!(chain(&error).contains("troubled.bin"), "{}", chain(&error));
        }
    }
}

/// Most parts here are read twice, once to hash and once to send. A change between both reads is
/// detected too.
#[tokio::test(start_paused = true)]
async fn a_source_that_changes_between_hashing_and_sending_is_noticed() {
    let reread = || UploadOptions { part_size_bytes: Some(600_000), ..options() };
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16, Quirks::GARAGE_2] {
        for event in [Event::Modified, Event::Truncated] {
            // Three parts of three slices, each read twice, and one part that is held and read
            // once.
            for at_read in 1..=19 {
                let store = store(quirks.clone(), Faults::none());
                let error =
                    fails_on(&engine(&store, 1 << 20), &store, event, at_read, reread(), 1_900_000)
                        .await;
                assert!(matches!(error, Error::SourceChanged { .. }), "{}", chain(&error));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_source_is_reported() {
    for at_read in [1, 5, 11] {
        let error = fails(&aws(Faults::none()), Event::Broken, at_read, options(), 10_500).await;
        assert!(matches!(error, Error::SourceUnreadable { .. }), "{}", chain(&error));
        assert!(chain(&error).contains("the disk is broken"), "{}", chain(&error));
    }
}

/// The upload is removed at the store although the caller's source panics.
#[tokio::test(start_paused = true)]
async fn a_source_that_panics_leaves_nothing() {
    fails(&aws(Faults::none()), Event::Panics, 5, options(), 10_500).await;
}

#[tokio::test(start_paused = true)]
async fn a_small_source_that_changes_is_noticed() {
    for event in [Event::Modified, Event::Truncated, Event::Broken] {
        let single = UploadOptions {
            part_size_bytes: None,
            multipart_threshold_bytes: 1 << 20,
            ..options()
        };
        fails(&aws(Faults::none()), event, 1, single, 500).await;
    }
}
