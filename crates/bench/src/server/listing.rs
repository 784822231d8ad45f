//! A listing of 1,000,000 objects: time, CPU and memory of `haul serve`, and of `haul du` that
//! reads it. The objects are copies of one, made in the store itself, because a copy writes only
//! metadata.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use haul_parts::{Bucket, Key};
use haul_store::{CopyOptions, CopySource, DiskStore, PutOptions, StoreOptions, WriteOptions};
use haul_testkit::process::{Finished, run, usage_of};

use super::subject::Subject;
use super::{BUCKET, LIMIT, Place, measure_server};
use crate::client::haul;

const OBJECTS: u64 = 1_000_000;
const PER_FOLDER: u64 = 1000;
/// As many writers as a group commit publishes together.
const WRITERS: u64 = 256;
const MIB: u64 = 1 << 20;

/// Returns the peak memory of `haul serve` in MiB after each listing.
pub(super) fn measure(place: &Place<'_>) -> Result<Vec<u64>> {
    let data = place.folder.join("listing");
    let objects = place.options.objects.unwrap_or(OBJECTS);
    eprintln!("bench: making {objects} objects");
    make_objects(&data, objects)?;
    let subject = Subject::haul(place.options, &data, None)?;
    let idle_mib = usage_of(subject.id)?.peak_memory_bytes / MIB;
    let mut peaks_mib = vec![];
    for _ in 0..place.options.rounds {
        let mut command = haul(&place.options.haul, &subject.store, place.folder);
        command.args(["du", "--json", &format!("s3://{BUCKET}")]);
        let mut client: Option<Finished> = None;
        let (wall, usage) = measure_server(subject.id, || {
            client = Some(run(&mut command, LIMIT)?.success()?);
            Ok(())
        })?;
        let client = client.context("haul du did not run")?;
        ensure!(client.stdout.contains(&objects.to_string()), "haul du found {}", client.stdout);
        peaks_mib.push(usage.peak_memory_bytes / MIB);
        println!(
            "listing of {objects} objects: {:.2} s; haul serve {:.2} CPU-s, peak {} MiB (idle \
             {idle_mib}); haul du {:.2} CPU-s, peak {} MiB",
            wall.as_secs_f64(),
            usage.cpu_seconds(),
            usage.peak_memory_bytes / MIB,
            client.usage.cpu_seconds(),
            client.usage.peak_memory_bytes / MIB,
        );
    }
    Ok(peaks_mib)
}

fn make_objects(data: &Path, objects: u64) -> Result<()> {
    let store = DiskStore::open(data, StoreOptions::default()).context("open the store")?;
    let (bucket, source) = (Bucket::new(BUCKET)?, Key::new("object")?);
    store.create_bucket(&bucket)?;
    let mut writer = store.begin_part(WriteOptions::default())?;
    writer.write(b"one object")?;
    store.put_object(&bucket, &source, writer.finish()?, PutOptions::default())?;
    // The source is one of them.
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        let copy_some = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= objects {
                    return Ok(());
                }
                let folder = number / PER_FOLDER;
                let key = Key::new(format!("{folder:04}/a rather long name {number:07}"))?;
                let from =
                    CopySource { bucket: bucket.clone(), key: source.clone(), version: None };
                store.copy_object(from, &bucket, &key, CopyOptions::default())?;
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(copy_some)).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
    })
}
