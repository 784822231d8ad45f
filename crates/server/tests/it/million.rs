//! Lists a bucket of a million objects to its end through the endpoint: in bounded memory, and with
//! no page slower than the first ones.
//!
//! The objects are empty, so that writing them is quick: a listing reads records and never bytes.
//! The store's own API puts them, each one individually and durably, from enough threads to share
//! commits.

use std::path::Path;
use std::time::{Duration, Instant};

use haul_server::start;
use haul_store::{DiskStore, PutOptions, StoreOptions, WriteOptions};
use tempfile::TempDir;

use crate::client::{Client, Response};
use crate::fixture::options;

/// The number of folders, and of objects in each: `folder-0123/object-0456`.
const FOLDERS: usize = 1_000;
const IN_EACH: usize = 1_000;
const OBJECTS: usize = FOLDERS * IN_EACH;
const WRITERS: usize = 256;

/// The maximum growth of the process while it lists: the cache of the metadata (64 MiB), one page,
/// and some room. All keys of the bucket with their listed values would be more than three times
/// that.
const GROWTH_BYTES: u64 = 96 << 20;

fn key(number: usize) -> String {
    format!("folder-{:04}/object-{:04}", number / IN_EACH, number % IN_EACH)
}

/// Creates the bucket and its objects.
fn fill(store: &DiskStore) {
    let bucket = "bkt".parse().unwrap();
    store.create_bucket(&bucket).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, bucket) = (store.clone(), &bucket);
            scope.spawn(move || {
                for number in (writer..OBJECTS).step_by(WRITERS) {
                    let part = store.begin_part(WriteOptions::default()).unwrap().finish().unwrap();
                    let key = key(number).parse().unwrap();
                    store.put_object(bucket, &key, part, PutOptions::default()).unwrap();
                }
            });
        }
    });
}

/// Returns the resident memory of this process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Reads every page of a listing: passes the responses to `see`, and returns the time of each page.
async fn list(client: &Client, query: &str, mut see: impl FnMut(&Response)) -> Vec<Duration> {
    let (mut token, mut times) = (String::new(), Vec::new());
    loop {
        let begin = Instant::now();
        let page = client.get(&format!("/bkt?list-type=2{query}{token}")).await;
        times.push(begin.elapsed());
        assert_eq!(page.status, 200, "{}", page.text());
        see(&page);
        match page.element("NextContinuationToken") {
            Some(next) => token = format!("&continuation-token={next}"),
            None => return times,
        }
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_objects_are_listed_in_bounded_memory_and_time() {
    // The folder is in memory if the system has such a disk, to save four thousand syncs: this test
    // is not about durability.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let options = options(&dir);
    let begin = Instant::now();
    fill(&DiskStore::open(&options.data_dir, StoreOptions::default()).unwrap());
    println!("{OBJECTS} objects made in {:?}", begin.elapsed());
    let begin = Instant::now();
    let server = start(options).await.unwrap();
    println!("opened in {:?}", begin.elapsed());
    let client = Client::new(&server);
    let before = resident_bytes();
    let mut most = before;

    let mut count = 0;
    let begin = Instant::now();
    let times = list(&client, "", |page| {
        for listed in page.elements("Key") {
            assert_eq!(listed, key(count));
            count += 1;
        }
        most = most.max(resident_bytes());
    })
    .await;
    println!("{} pages in {:?}, {} MiB more", times.len(), begin.elapsed(), (most - before) >> 20);
    assert_eq!((count, times.len()), (OBJECTS, OBJECTS / 1000));
    // The cost of a page depends only on its own entries: the last hundred pages take no longer
    // than the first hundred, apart from noise.
    let (first, last) = (median(&times[..100]), median(&times[times.len() - 100..]));
    println!("a page among the first: {first:?}, among the last: {last:?}");
    assert!(last < first * 3, "{first:?} a page at first, {last:?} in the end");

    // With a delimiter, a page of folders costs one step per folder, whatever the folder contains:
    // a thousand times a thousand keys are skipped.
    let mut folders = 0;
    let rolled = list(&client, "&delimiter=%2F&max-keys=100", |page| {
        folders += page.elements("Prefix").iter().filter(|prefix| !prefix.is_empty()).count();
        most = most.max(resident_bytes());
    })
    .await;
    assert_eq!(folders, FOLDERS);
    let (first, last) = (median(&rolled[..5]), median(&rolled[rolled.len() - 5..]));
    println!("a page of 100 folders among the first: {first:?}, among the last: {last:?}");
    assert!(last < first * 3, "{first:?} a page of folders at first, {last:?} in the end");
    let plain = median(&times);
    assert!(
        median(&rolled) < plain * 3,
        "{rolled:?} for pages of folders, {plain:?} for one of keys"
    );

    let growth = most - before;
    assert!(growth < GROWTH_BYTES, "listing took {} MiB of memory", growth >> 20);
}
