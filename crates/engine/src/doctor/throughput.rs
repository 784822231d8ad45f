//! Throughput of one connection and of eight, up and down, in parts of 8 MiB.
//!
//! Bounded in bytes and in time, so that a slow link takes no minutes. Parts that have arrived
//! count, up to the moment when the last of them did; if none has, the bytes that left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::PartNumber;
use haul_parts::limits::MIB;
use rand::RngCore;
use tokio::time::{Instant, timeout};

use super::{Doctor, Group, Measured, Verdict};
use crate::body::{Meter, Payload};
use crate::remote::{GetRequest, ObjectRef, PartRequest, Store, UploadRef};

pub(super) const NAMES: [&str; 4] =
    ["up, 1 connection", "up, 8 connections", "down, 1 connection", "down, 8 connections"];

const PART_BYTES: u64 = 8 * MIB;
/// Parts of a measurement with one connection, and with eight: 32 MiB and 64 MiB.
const PARTS_OF_ONE: u32 = 4;
const PARTS_OF_EIGHT: u32 = 8;
/// The time limit of one measurement.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A part that arrived, and when.
type Arrived = (u32, haul_parts::ETag, Duration);

impl Doctor<'_> {
    pub(super) async fn measure_throughput(&mut self) {
        let upload = match self.create("throughput", &[]).await {
            Ok(Ok(upload)) => upload,
            Ok(Err(answer)) => {
                let why = super::request::shown(&answer);
                return self.not_tested(Group::Throughput, &NAMES, &why);
            }
            Err(no_answer) => {
                return self.not_tested(Group::Throughput, &NAMES, &no_answer.reason());
            }
        };
        let mut bytes = vec![0; usize::try_from(PART_BYTES).unwrap_or_default()];
        rand::rng().fill_bytes(&mut bytes);
        let bytes = Bytes::from(bytes);
        let (store, stop) = (self.store, self.stop.clone());
        let mut next = 1;
        let mut arrived = vec![];
        for (name, lanes, parts) in [(NAMES[0], 1, PARTS_OF_ONE), (NAMES[1], 8, PARTS_OF_EIGHT)] {
            let numbers = next..next + parts;
            next += parts;
            let (etags, wire) = (Arc::new(std::sync::Mutex::new(vec![])), Meter::default());
            let began = Instant::now();
            let work = futures_util::stream::iter(numbers).for_each_concurrent(lanes, |number| {
                let (upload, bytes, wire, etags, stop) = (&upload, &bytes, &wire, &etags, &stop);
                async move {
                    if stop.is_stopped() {
                        return;
                    }
                    if let Some(etag) = send_part(store, upload, number, bytes, wire).await
                        && let Ok(mut etags) = etags.lock()
                    {
                        etags.push((number, etag, began.elapsed()));
                    }
                }
            });
            let _ = timeout(TIME_MAX, work).await;
            let took = began.elapsed();
            let these: Vec<Arrived> = etags.lock().map(|it| it.clone()).unwrap_or_default();
            self.record_speed_up(name, &these, wire.sent_bytes(), took);
            arrived.extend(these);
        }
        arrived.sort_by_key(|(number, ..)| *number);
        self.measure_down(&upload, &arrived).await;
    }

    async fn measure_down(&mut self, upload: &UploadRef, arrived: &[Arrived]) {
        let down = &NAMES[2..];
        if arrived.is_empty() {
            return self.not_tested(Group::Throughput, down, "no part arrived to be fetched");
        }
        let parts = arrived.iter().filter_map(|(number, etag, _)| {
            Some(haul_parts::CompletedPart {
                number: PartNumber::new(*number).ok()?,
                etag: etag.clone(),
                checksum: None,
            })
        });
        let complete =
            crate::remote::CompleteRequest { parts: parts.collect(), ..Default::default() };
        self.created.push((upload.object.key.to_string(), None));
        match self.store.complete_multipart_upload(upload, &complete).await {
            Ok(done) => {
                self.uploads.retain(|(_, id)| *id != upload.upload_id);
                self.created.push((upload.object.key.to_string(), done.version_id));
            }
            Err(error) => return self.not_tested(Group::Throughput, down, &error.to_string()),
        }
        let (store, stop) = (self.store, self.stop.clone());
        let total_bytes = PART_BYTES * arrived.len() as u64;
        for (name, lanes, parts) in [(NAMES[2], 1, PARTS_OF_ONE), (NAMES[3], 8, PARTS_OF_EIGHT)] {
            // Over a slow link few parts have arrived; each connection gets a piece all the same.
            let piece_bytes = PART_BYTES.min(total_bytes / u64::from(parts));
            let received = AtomicU64::new(0);
            let began = Instant::now();
            let work = futures_util::stream::iter(0..parts).for_each_concurrent(lanes, |piece| {
                let (received, stop) = (&received, &stop);
                async move {
                    if !stop.is_stopped() {
                        let request = GetRequest {
                            offset_bytes: u64::from(piece) * piece_bytes,
                            size_bytes: Some(piece_bytes),
                            if_match: None,
                        };
                        receive(store, &upload.object, &request, received).await;
                    }
                }
            });
            let _ = timeout(TIME_MAX, work).await;
            let took = began.elapsed();
            self.record_speed(name, received.load(Ordering::Relaxed), took);
        }
    }

    fn record_speed_up(&mut self, name: &str, parts: &[Arrived], sent: u64, took: Duration) {
        match parts.iter().map(|(.., at)| *at).max() {
            // A part that was under way at the end would distort the result.
            Some(last) => self.record_speed(name, PART_BYTES * parts.len() as u64, last),
            None => {
                self.record_speed(name, sent, took);
                if let Some(check) = self.report.checks.last_mut()
                    && check.verdict == Verdict::Ok
                {
                    check.verdict = Verdict::Warning;
                    check.detail += " left this machine, and no part of 8 MiB arrived";
                }
            }
        }
    }

    fn record_speed(&mut self, name: &str, bytes: u64, took: Duration) {
        if bytes == 0 {
            let why = if self.stop.is_stopped() {
                "the run was stopped".to_owned()
            } else {
                format!("nothing arrived within {} s", took.as_secs())
            };
            return self.note(Group::Throughput, name, Verdict::NotTested, why);
        }
        #[allow(clippy::cast_precision_loss, reason = "a speed is shown with three digits")]
        let value = bytes as f64 / took.as_secs_f64().max(1e-6);
        let detail = match bytes / MIB {
            0 => format!("{} KiB in {:.1} s", bytes / 1024, took.as_secs_f64()),
            mib => format!("{mib} MiB in {:.1} s", took.as_secs_f64()),
        };
        self.measured(Group::Throughput, name, Measured { value, unit: "bytes/s" }, detail);
    }
}

async fn send_part(
    store: &dyn Store,
    upload: &UploadRef,
    number: u32,
    bytes: &Bytes,
    wire: &Meter,
) -> Option<haul_parts::ETag> {
    let part = PartRequest {
        number: PartNumber::new(number).ok()?,
        payload: Payload::from_bytes(bytes.clone()),
        checksum: None,
        fresh_connection: false,
        wire: wire.clone(),
    };
    Some(store.upload_part(upload, part).await.ok()?.etag)
}

async fn receive(
    store: &dyn Store,
    object: &ObjectRef,
    request: &GetRequest,
    received: &AtomicU64,
) {
    let Ok(mut body) = store.get_object(object, request).await else { return };
    while let Some(Ok(bytes)) = body.bytes.next().await {
        received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}
