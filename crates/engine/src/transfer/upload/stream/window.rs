//! Holds the parts of a stream that were read and are not acknowledged yet: the only data that can
//! be sent again.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use haul_parts::{ChecksumAlgorithm, PlannedPart};

use super::spool::SpoolFile;
use super::stored_parts::StoredParts;
use crate::remote::Meter;
use crate::source::{Change, Source, SourceRecord, StreamRecord};
use crate::transfer::mover::{PartFailure, SentPart};
use crate::transfer::upload::hedged::RepeatableSender;
use crate::transfer::upload::part::{self, PartSender, ReadBytes};

/// A stream in the form of a source; only the parts that it holds can be read.
pub(crate) struct Window {
    name: String,
    checksum: Option<ChecksumAlgorithm>,
    /// The parts by their offset.
    parts: Mutex<BTreeMap<u64, (u64, Kept)>>,
    read_bytes: AtomicU64,
    /// Whether parts are also hashed with MD5 while they are read.
    md5_wanted: AtomicBool,
    /// The record by which a later run finds its journal.
    record: Option<StreamRecord>,
    /// The parts that an earlier run left at the store.
    stored: Option<StoredParts>,
}

/// The place of a part's bytes.
#[derive(Clone)]
pub(super) enum Kept {
    /// In memory, with their digests.
    Held(ReadBytes),
    /// In a spool file.
    Spooled(Arc<SpoolFile>),
}

impl Window {
    pub(super) fn new(name: String, checksum: Option<ChecksumAlgorithm>) -> Self {
        Self {
            record: None,
            stored: None,
            name,
            checksum,
            parts: Mutex::default(),
            read_bytes: AtomicU64::new(0),
            // A stream sent as one PutObject needs the MD5.
            md5_wanted: AtomicBool::new(true),
        }
    }

    /// Adds the record for a journal, and the parts that an earlier run left.
    pub(super) fn of_journal(self, record: StreamRecord, stored: Option<StoredParts>) -> Self {
        Self { record: Some(record), stored, ..self }
    }

    pub(super) fn stored(&self) -> Option<&StoredParts> {
        self.stored.as_ref()
    }

    pub(super) fn checksum(&self) -> Option<ChecksumAlgorithm> {
        self.checksum
    }

    /// Returns the algorithms that the next part is hashed with.
    pub(super) fn algorithms(&self) -> Vec<ChecksumAlgorithm> {
        let md5 = self.md5_wanted.load(Ordering::Relaxed).then_some(ChecksumAlgorithm::Md5);
        self.checksum.into_iter().chain(md5).collect()
    }

    pub(super) fn keep(&self, part: PlannedPart, kept: Kept) {
        self.read_bytes.store(part.offset_bytes + part.size_bytes, Ordering::Relaxed);
        self.parts().insert(part.offset_bytes, (part.size_bytes, kept));
    }

    /// Returns the number of parts in memory.
    pub(super) fn held_parts(&self) -> usize {
        self.parts().values().filter(|(_, kept)| matches!(kept, Kept::Held(_))).count()
    }

    /// Drops a part that the store has acknowledged.
    pub(super) fn forget(&self, part: PlannedPart) {
        self.parts().remove(&part.offset_bytes);
    }

    /// Returns the only part that was read, if it is in memory.
    pub(super) fn only(&self) -> Option<ReadBytes> {
        let parts = self.parts();
        match parts.values().next() {
            Some((_, Kept::Held(bytes))) if parts.len() == 1 => Some(bytes.clone()),
            _ => None,
        }
    }

    fn held(&self, part: PlannedPart) -> Option<ReadBytes> {
        match self.parts().get(&part.offset_bytes) {
            Some((_, Kept::Held(bytes))) => Some(bytes.clone()),
            _ => None,
        }
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<u64, (u64, Kept)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Window {
    fn size_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    fn read_exact_at(&self, mut offset_bytes: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let found = self
                .parts()
                .range(..=offset_bytes)
                .next_back()
                .map(|(offset, kept)| (*offset, kept.clone()));
            let (begins_at, (size_bytes, kept)) = found.ok_or(io::ErrorKind::UnexpectedEof)?;
            let within = offset_bytes - begins_at;
            let left_bytes = size_bytes.saturating_sub(within);
            let count = usize::try_from(left_bytes).unwrap_or(usize::MAX).min(buffer.len());
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (space, rest) = buffer.split_at_mut(count);
            match kept {
                Kept::Held(bytes) => bytes.payload.copy_held(within, space)?,
                Kept::Spooled(file) => file.read_exact_at(within, space)?,
            }
            offset_bytes += count as u64;
            buffer = rest;
        }
        Ok(())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn identity(&self) -> Option<SourceRecord> {
        self.record.clone().map(SourceRecord::Stream)
    }
}

/// Sends parts of a stream: those in memory directly, those in the spool like parts of a file.
pub(crate) struct StreamSender {
    sender: PartSender,
    window: Arc<Window>,
}

impl StreamSender {
    pub(crate) fn new(sender: PartSender, window: Arc<Window>) -> Self {
        window.md5_wanted.store(sender.md5.wanted(), Ordering::Relaxed);
        Self { sender, window }
    }
}

#[async_trait]
impl RepeatableSender for StreamSender {
    async fn send_once(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<SentPart, PartFailure> {
        let held = self.window.held(part);
        if let Some(stored) = self.window.stored().filter(|stored| stored.may_have(part)) {
            let read = match &held {
                Some(bytes) => bytes.clone(),
                None => {
                    let PartSender { pool, checksum, .. } = &self.sender;
                    let read = part::read(self.sender.range(part), pool, *checksum, false).await;
                    read.map_err(PartFailure::Source)?
                }
            };
            if let Some(same) = stored.same(part, &read).await {
                return Ok(same);
            }
        }
        let sent = match held {
            Some(bytes) => self.sender.send(part, attempt, &bytes, wire).await,
            None => self.sender.send_from_source(part, attempt, wire).await,
        };
        self.window.md5_wanted.store(self.sender.md5.wanted(), Ordering::Relaxed);
        sent
    }

    /// A part in memory is sent from there: it needs no more memory.
    async fn send_again(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<(SentPart, [u8; 16]), PartFailure> {
        let bytes = match self.window.held(part) {
            Some(bytes) => bytes,
            None => self.sender.read_with_md5(part).await?,
        };
        let md5 = bytes.md5_bytes().await?;
        Ok((self.sender.send(part, attempt, &bytes, wire).await?, md5))
    }

    fn sender(&self) -> &PartSender {
        &self.sender
    }
}
