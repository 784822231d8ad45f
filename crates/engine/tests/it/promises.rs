//! P1 to P6 of `docs/semantics.md`, one test for each: the shortest scenario that shows the
//! promise. The other modules and the simulations contain further cases.

use std::time::Duration;

use haul::parts::{ChecksumAlgorithm, Hasher, PartNumber};
use haul::remote::Operation as O;
use haul::testing::memory::{Fault, Faults, Refusal};
use haul::{Error, WholeProof};

use crate::harness::{
    PART_BYTES, arrives, arrives_on, aws, bytes, chain, differing_parts, engine, fails, heard,
    nothing_left, object, options,
};
use crate::machine::{Machine, SIZE};

/// P1: no object is visible before every part is proven, and the visible object has the bytes that
/// were read.
#[tokio::test(start_paused = true)]
async fn p1_whole_or_nothing() {
    // A bit flips in transit; a request fails.
    let faults = Faults::none().on(O::UploadPart, 2, Fault::FlipInTransit).on(
        O::UploadPart,
        5,
        Fault::Answer(Refusal::INTERNAL_ERROR),
    );
    let store = aws(faults);
    let report = arrives(&store).await;
    assert_eq!((report.proof.checksum, report.proof.unproven), (11, 0));
    assert_eq!(report.whole, WholeProof::Checksum);
    let right = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &bytes(SIZE));
    assert_eq!(report.checksum, Some(right));
    assert_eq!(store.published(&object()), [right], "nothing else was ever visible");
}

/// P2: a part that the store acknowledged before the process died is not sent again.
#[tokio::test(start_paused = true)]
async fn p2_never_twice() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let before = store.bytes_received();
    let report = machine.start(&store).await.unwrap();
    assert_eq!((report.resumed_bytes, store.bytes_received() - before), (5 * PART_BYTES, 5500));
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
    nothing_left(&store);
}

/// P3: an upload is completed, aborted, or resumable and listed.
#[tokio::test(start_paused = true)]
async fn p3_nothing_left_behind() {
    let store = aws(Faults::none());
    arrives(&store).await;
    assert_eq!(store.open_uploads(), vec![], "completed");

    let store = aws(Faults::none().on(O::UploadPart, 5, Fault::Answer(Refusal::ACCESS_DENIED)));
    fails(&store).await;
    assert_eq!(store.open_uploads(), vec![], "aborted");

    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let listed = machine.journals().list().unwrap();
    let open = store.open_uploads();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        open.iter().map(|upload| Some(&upload.upload_id)).collect::<Vec<_>>(),
        [listed[0].upload_id.as_ref()]
    );
}

/// P4: if the file changed between two runs, the object is its new version and nothing else; only
/// parts that differ are sent.
#[tokio::test(start_paused = true)]
async fn p4_never_mixed() {
    let (machine, store) = (Machine::new(), aws(Faults::none()));
    machine.stops_after(&store, 5).await;
    let mut changed = bytes(SIZE);
    changed[2500] ^= 1;
    std::fs::write(machine.file(), &changed).unwrap();
    let before = store.bytes_received();
    let (ended, said) = heard(machine.start(&store)).await;
    ended.unwrap();
    assert_eq!(store.object(&object()).unwrap(), changed);
    assert_eq!(
        store.bytes_received() - before,
        5500 + PART_BYTES,
        "the part that differs, and the rest"
    );
    assert_eq!(differing_parts(&said), [PartNumber::new(3).unwrap()]);
}

/// P5: the parts in flight and the bytes in memory stay within the limits.
#[tokio::test(start_paused = true)]
async fn p5_bounded() {
    let store = aws(Faults::none().on_every(O::UploadPart, Fault::Delay(Duration::from_secs(1))));
    arrives_on(&engine(&store, 3 * PART_BYTES), &store, options()).await;
    assert!(store.parts_in_flight_most() <= 3, "{}", store.parts_in_flight_most());
}

/// P6: a lost answer to Complete is settled; if that is impossible, the doubt is reported and
/// nothing is aborted.
#[tokio::test(start_paused = true)]
async fn p6_no_doubt() {
    let lost = || Faults::none().on(O::CompleteMultipartUpload, 1, Fault::LoseAnswer);
    let store = aws(lost());
    arrives(&store).await;
    assert_eq!(store.calls(O::CompleteMultipartUpload), 1);

    let (machine, store) = (Machine::new(), aws(Faults::none()));
    store.set_faults(lost().on_every(O::HeadObject, Fault::Answer(Refusal::BAD_GATEWAY)));
    let error = machine.start(&store).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { .. }), "{}", chain(&error));
    assert_eq!(store.calls(O::AbortMultipartUpload), 0);
    // The same command again settles it, and sends nothing.
    store.set_faults(Faults::none());
    let sent = store.bytes_received();
    machine.start(&store).await.unwrap();
    assert_eq!(store.bytes_received(), sent);
    assert_eq!(store.object(&object()).unwrap(), bytes(SIZE));
}
