//! Parts that are hashed while they are sent, with their checksum in a trailer: which parts are
//! sent this way, how they are proven, and what happens if a trailer fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use haul::s3::StaticCredentials;
use haul::source::Change;
use haul::{Error, S3Options, S3Store, Source, UploadOptions};
use haul_testkit::TestStore;
use haul_testkit::chaos::{Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;

use crate::scene::{KEY, PART_BYTES, PARTS, Scene};
use crate::world::{assert_no_upload_left, events, read_back, succeed};

/// Entry in `SignedHeaders` of every request that announces a trailer, and of no other.
const SIGNED_TRAILER: &str = "x-amz-trailer";

/// Runs the upload, which must succeed, and returns the events of its parts.
fn parts_sent(scene: &Scene) -> Vec<serde_json::Value> {
    let finished = succeed(&mut scene.command());
    assert_eq!(read_back(&scene.real, &scene.bucket, KEY).sha256, scene.sample.sha256);
    assert_no_upload_left(&scene.real, &scene.bucket);
    events(&finished).into_iter().filter(|event| event["event"] == "part-sent").collect()
}

fn is_streamed(request: &Seen) -> bool {
    request.header("x-amz-trailer").is_some()
}

fn sent_parts(scene: &Scene) -> Vec<Seen> {
    scene.proxy.seen().into_iter().filter(|request| request.kind == Kind::UploadPart).collect()
}

#[test]
fn haul_serve_proves_a_streamed_part_by_its_trailer() {
    let scene = Scene::at_haul_serve();
    let parts = parts_sent(&scene);
    assert!(
        parts.len() == PARTS as usize && parts.iter().all(|part| part["proof"] == "checksum"),
        "{parts:?}"
    );
    for request in sent_parts(&scene) {
        assert_eq!(request.header("x-amz-trailer"), Some("x-amz-checksum-crc64nvme"));
        assert_eq!(
            request.header("x-amz-content-sha256"),
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        );
        assert_eq!(request.header("content-encoding"), Some("aws-chunked"));
    }
}

#[test]
fn a_damaged_streamed_part_is_refused_and_streamed_again() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::FlipBit { at_byte: 1_000_000 }).part(2));
    parts_sent(&scene);
    let of_two: Vec<_> =
        sent_parts(&scene).into_iter().filter(|it| it.part_number == Some(2)).collect();
    let statuses: Vec<_> = of_two.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(400), Some(200)]);
    assert!(of_two.iter().all(is_streamed), "damage on the way says nothing about trailers");
}

/// Ceph RGW 16.2 answers 400 to a trailer, so the client must not send one.
#[test]
fn ceph_rgw_is_never_sent_a_trailer() {
    let scene = Scene::at("RGW");
    parts_sent(&scene);
    assert!(
        sent_parts(&scene)
            .iter()
            .all(|request| !is_streamed(request) && request.status == Some(200))
    );
}

#[test]
fn a_store_that_refuses_trailers_is_sent_headers_instead() {
    for refusal in [Fault::error(501, "NotImplemented"), Fault::error(400, "InvalidRequest")] {
        let scene = Scene::at_haul_serve();
        scene.proxy.add(Rule::on(Kind::UploadPart, refusal).signed_with(SIGNED_TRAILER).always());
        let parts = parts_sent(&scene);
        assert!(
            parts.iter().all(|part| part["proof"] == "checksum" && part["attempt"] == 1),
            "{parts:?}"
        );
        let (refused, taken): (Vec<_>, Vec<_>) =
            sent_parts(&scene).into_iter().partition(|request| request.status != Some(200));
        assert!(!refused.is_empty() && refused.iter().all(is_streamed));
        assert!(taken.last().is_some_and(|request| !is_streamed(request)), "it has learnt");
    }
}

/// A streamed part was once reported unproven when the store did not echo its trailer and its ETag
/// was no MD5, because neither of them proves the part.
#[test]
fn a_streamed_part_without_an_echo_is_sent_again_with_a_header() {
    let scene = Scene::at_haul_serve();
    let unechoed = Fault::error(200, "None").with_header("ETag", "\"opaque\"");
    scene.proxy.add(Rule::on(Kind::UploadPart, unechoed).signed_with(SIGNED_TRAILER).always());
    let parts = parts_sent(&scene);
    assert!(
        parts.iter().all(|part| part["proof"] == "checksum" && part["attempt"] == 1),
        "{parts:?}"
    );
    assert!(
        sent_parts(&scene).last().is_some_and(|request| !is_streamed(request)),
        "it has learnt"
    );
}

/// P4: the store would accept a part of mixed content, because the checksum is computed from the
/// bytes sent. Such a part must not be completed.
#[test]
fn a_source_that_changes_while_it_is_streamed_completes_no_part() {
    let scene = Scene::at_haul_serve();
    let options = S3Options {
        endpoint_url: Some(scene.store.endpoint.clone()),
        region: Some(scene.store.region.clone()),
        credentials: Some(credentials(&scene.store)),
        ..S3Options::default()
    };
    let object = scene.url().parse().unwrap();
    let upload = async {
        let store = Arc::new(S3Store::connect(options).await.unwrap());
        let (reads, options) = (
            AtomicUsize::new(0),
            UploadOptions { concurrency: Some(1), ..UploadOptions::default() },
        );
        haul::upload(store, Changing { reads }, object, options).await.unwrap_err()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let error = runtime.block_on(upload);
    assert!(matches!(error, Error::SourceChanged { .. }), "{error:?}");
    let parts = sent_parts(&scene);
    assert!(parts.iter().all(is_streamed), "{parts:?}");
    assert!(parts.iter().all(|part| part.status != Some(200)), "{parts:?}");
    assert_no_upload_left(&scene.real, &scene.bucket);
}

/// A source of 32 MiB that changes while its third slice is read.
struct Changing {
    reads: AtomicUsize,
}

impl Source for Changing {
    fn size_bytes(&self) -> u64 {
        32 * MIB
    }

    fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        if self.reads.load(Ordering::Relaxed) < 3 { Ok(()) } else { Err(Change::Modified) }
    }

    fn name(&self) -> String {
        "changing".into()
    }
}

fn credentials(store: &TestStore) -> StaticCredentials {
    StaticCredentials {
        access_key_id: store.access_key.clone(),
        secret_access_key: store.secret_key.clone(),
    }
}

/// Parts held in memory once filled the budget of 128 MiB, even if the store could verify
/// checksums.
#[test]
fn memory_stays_small_while_parts_are_streamed() {
    let scene = Scene::of_file(64 * PART_BYTES);
    let url = scene.url();
    // The upload runs with default options and without the proxy, so that only the network slows it
    // down.
    let finished = succeed(scene.world.haul(&scene.real).args(["cp", KEY, &url, "--quiet"]));
    let peak_mib = finished.usage.peak_memory_bytes / MIB;
    assert!(peak_mib <= 64, "{peak_mib} MiB");
}
