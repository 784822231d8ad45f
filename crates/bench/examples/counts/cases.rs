//! The cases: what a transfer of many parts does most often, and the largest document of the
//! endpoint. Each is long enough that a change of a few instructions around it does not show.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use haul::Proof;
use haul::journal::{JournalFolder, PartRecord, Record};
use haul::pace::{FailedAttempt, Retries, RetryBudget, RetryPolicy};
use haul::parts::limits::{MIB, OBJECT_SIZE_MAX_BYTES};
use haul::parts::{
    Bucket, Checksum, ChecksumAlgorithm, ETag, GrowingPlan, Hasher, Key, Limits, MultiHasher,
    PartNumber, PartPlan,
};
use haul::testing::counting::{PartToSign, framed};
use haul::transfer::lifecycle::{Action, Input, Lifecycle, Outcome};
use haul::transfer::pieces::Pieces;
use haul::{Advice, StoreErrorKind};
use haul_store::{DiskStore, ListObjects, ObjectPage, PutOptions, StoreOptions, WriteOptions};

type Failure = Box<dyn Error + Send + Sync>;

/// One thing to count.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut()>,
}

/// A slice as the data path reads it.
const SLICE_BYTES: usize = 256 * 1024;

/// Returns all cases; files of theirs are created in `folder`.
pub(crate) fn all(folder: &Path) -> Result<Vec<Case>, Failure> {
    let case = |name, run: Box<dyn FnMut()>| Case { name, run };
    Ok(vec![
        case("plan of 10,000 parts", Box::new(plan)),
        case("plan of a stream of 10,000 parts", Box::new(growing_plan)),
        case("schedule of 10,000 parts", Box::new(schedule)),
        case("CRC64NVME of 16 slices", Box::new(hash(&[ChecksumAlgorithm::Crc64Nvme]))),
        case(
            "CRC64NVME and MD5 of 16 slices",
            Box::new(hash(&[ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5])),
        ),
        case("SHA-256 of 16 slices", Box::new(hash(&[ChecksumAlgorithm::Sha256]))),
        case("journal of 1,000 parts", Box::new(journal(folder)?)),
        case("signatures of 100 parts", Box::new(sign())),
        case("trailers of 1,000 parts", Box::new(frame())),
        case("listing of 1,000 objects", Box::new(listing(folder)?)),
    ])
}

fn plan() {
    let plan = PartPlan::new(black_box(OBJECT_SIZE_MAX_BYTES), &Limits::AWS, None);
    let plan = plan.expect("the largest object has a plan");
    let bytes: u64 = plan.parts().map(|part| black_box(part).size_bytes).sum();
    assert_eq!(bytes, OBJECT_SIZE_MAX_BYTES);
}

fn growing_plan() {
    let plan = GrowingPlan::new(black_box(&Limits::AWS), None, None).expect("a stream has a plan");
    assert_eq!(plan.parts().map(black_box).count(), 10_000);
}

/// Drives the lifecycle of an upload from Create to Complete with 16 parts in flight, of which
/// every hundredth fails once.
fn schedule() {
    let policy = RetryPolicy::default();
    let retries = Retries::new(policy.clone(), RetryBudget::new(&policy, 16), 1);
    let mut lifecycle = Lifecycle::new(Pieces::new(10_000, 16), retries);
    let failure = FailedAttempt {
        advice: Advice::Retry { after: Some(Duration::from_secs(1)) },
        throttled: true,
        reused_connection: false,
        outcome_unknown: false,
        kind: StoreErrorKind::Throttled,
    };
    let mut inputs = VecDeque::from([Input::Start]);
    while let Some(input) = inputs.pop_front() {
        let mut actions = lifecycle.on(black_box(input));
        while lifecycle.wants_pass() {
            actions.extend(lifecycle.on(Input::Admitted));
        }
        inputs.extend(actions.into_iter().filter_map(|action| match action {
            Action::Create => Some(Input::Created),
            Action::SendPart(number, 1) if number.get() % 100 == 0 => {
                Some(Input::PartFailed(number, failure))
            }
            Action::SendPart(number, _) => Some(Input::PartSent(number)),
            Action::Wait(waiting, ..) => Some(Input::Woke(waiting)),
            Action::Complete => Some(Input::Completed),
            Action::Finish(outcome) => {
                assert_eq!(outcome, Outcome::Done);
                None
            }
            other => unreachable!("{other:?} in an upload without trouble"),
        }));
    }
}

fn hash(algorithms: &[ChecksumAlgorithm]) -> impl FnMut() + use<> {
    let words = (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes());
    let slice: Vec<u8> = words.flatten().take(SLICE_BYTES).collect();
    let algorithms = algorithms.to_vec();
    move || {
        let mut hasher = MultiHasher::new(algorithms.iter().copied());
        for _ in 0..16 {
            hasher.update(black_box(&slice));
        }
        black_box(hasher.finish());
    }
}

fn journal(folder: &Path) -> Result<impl FnMut() + use<>, Failure> {
    let mut journal = JournalFolder::new(folder.join("journals")).open("counted")?.journal;
    let records = (1..=1000).map(|number| {
        let number = PartNumber::new(number)?;
        Ok(Record::Part(PartRecord {
            number,
            size_bytes: 8 * MIB,
            etag: ETag::new(format!("\"{:032x}\"", number.get())),
            checksum: Some(checksum_of(number)),
            proof: Proof::Checksum,
        }))
    });
    let records = records.collect::<Result<Vec<_>, Failure>>()?;
    Ok(move || {
        for record in &records {
            journal.append(black_box(record)).expect("a temporary folder takes it");
        }
    })
}

fn checksum_of(number: PartNumber) -> Checksum {
    Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &number.get().to_le_bytes())
}

fn sign() -> impl FnMut() {
    let part = PartToSign::new();
    move || {
        for number in 1..=100 {
            black_box(part.sign(PartNumber::new(number).expect("a number of a part")));
        }
    }
}

fn frame() -> impl FnMut() {
    let checksum = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"a part");
    move || {
        for number in 1..=1000 {
            black_box(framed(8 * MIB + number, black_box(&checksum)));
        }
    }
}

/// The XML of a full page. Its entries are those of one real object under other keys.
fn listing(folder: &Path) -> Result<impl FnMut() + use<>, Failure> {
    let store = DiskStore::open(folder.join("store"), StoreOptions::default())?;
    let (bucket, key) = (Bucket::new("bucket")?, Key::new("key")?);
    store.create_bucket(&bucket)?;
    let object = store.begin_part(WriteOptions::default())?.finish()?;
    store.put_object(&bucket, &key, object, PutOptions::default())?;
    let listed = store.list_objects(&bucket, ListObjects::default())?;
    let sample = listed.objects.first().ok_or("the object is not listed")?;
    let keys = (0..1000).map(|number| Key::new(format!("photos/2026/image {number:06}.jpg")));
    let objects = keys.map(|key| {
        let mut object = sample.clone();
        object.key = key?;
        object.last_modified = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Ok(object)
    });
    let objects = objects.collect::<Result<Vec<_>, Failure>>()?;
    Ok(move || {
        let page = ObjectPage { objects: objects.clone(), ..ObjectPage::default() };
        black_box(haul_server::counting::listing_document(page));
    })
}
