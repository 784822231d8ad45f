//! The largest possible upload: 10,000 parts.

use std::sync::Arc;
use std::time::Instant;

use haul_store::{CompleteOptions, DiskStore, PartInfo, ReadRange, UploadRef, WriteCondition};

use crate::fixture::{
    PART_MIN_BYTES, bucket, key, listed, options, part_number, pattern, read, try_put_part,
};
use crate::sim_disk::SimDisk;

const PARTS: u32 = 10_000;
const SENDERS: u32 = 32;

/// Uploads 10,000 small parts from several senders.
fn upload_parts(store: &DiskStore, upload: &UploadRef) -> Vec<PartInfo> {
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (store, upload) = (store.clone(), upload.clone());
            std::thread::spawn(move || {
                (1..=PARTS)
                    .filter(|number| number % SENDERS == sender)
                    .map(|number| {
                        try_put_part(&store, &upload, number, &part_bytes(number)).unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut parts: Vec<PartInfo> =
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    parts.sort_by_key(|part| part.part_number);
    parts
}

fn part_bytes(number: u32) -> Vec<u8> {
    pattern(u64::from(number), usize::try_from(PART_MIN_BYTES).unwrap())
}

#[test]
fn ten_thousand_parts_complete_without_writing_data() {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("scale");
    store.create_bucket(&bucket).unwrap();
    let upload =
        store.create_multipart_upload(&bucket, &key("large"), Default::default()).unwrap().upload;
    let begin = Instant::now();
    let parts = upload_parts(&store, &upload);
    let (uploading, steps) = (begin.elapsed(), disk.steps());
    let files = disk.data_files();
    assert_eq!(files.len(), 10_000);

    let list = listed(&parts);
    let begin = Instant::now();
    let object =
        store.complete_multipart_upload(&upload, list, CompleteOptions::default()).unwrap();
    let took = begin.elapsed();
    println!("Complete of {PARTS} parts: {took:?}");
    // The promise is 100 ms in a release build. This build is less optimised and shares two cores
    // with other tests, so compare with the upload, and with the work on the disk.
    assert!(took < uploading / 5, "Complete took {took:?}, the upload {uploading:?}");
    assert!(
        disk.steps() - steps < 1000,
        "Complete took {} steps on the disk",
        disk.steps() - steps
    );
    assert_eq!(object.part_count, Some(10_000));
    assert_eq!(disk.data_files(), files, "no data file was made, moved or removed");

    let begin = Instant::now();
    let middle = read(&store, &bucket, "large", ReadRange::Part(part_number(5_000)));
    println!("a read in the middle: {:?}", begin.elapsed());
    assert_eq!(middle, part_bytes(5_000));
    let page = store.object_parts(&bucket, &key("large"), Some(part_number(9_000)), None).unwrap();
    assert_eq!((page.parts.len(), page.next), (1_000, None));

    let begin = Instant::now();
    store.delete_object(&bucket, &key("large"), WriteCondition::Always).unwrap();
    println!("Delete: {:?}", begin.elapsed());
    store.settle();
    assert!(disk.data_files().is_empty());
}
