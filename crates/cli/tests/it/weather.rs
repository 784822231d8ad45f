//! Failures that an upload must survive: overloaded stores, cut connections, lost answers, damaged
//! bytes.

use std::sync::Arc;
use std::time::Duration;

use haul::s3::StaticCredentials;
use haul::{Event, FileSource, S3Options, S3Store, UploadOptions};
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::{TestStore, process::Finished};

use crate::scene::Scene;
use crate::world::{
    PART, World, assert_no_upload_left, events, expected_etag, make_bucket, read_back, succeed,
    upload,
};

const FILE_BYTES: u64 = 5 * PART + 12_345;
const PARTS: usize = 6;

/// Uploads through the proxy and asserts that the object is correct and nothing is left.
fn assert_survives(scene: &Scene, rule: Rule) -> Finished {
    scene.proxy.add(rule);
    let mut command = scene.world.haul(&scene.store);
    let finished =
        succeed(command.args(["cp", "file", &scene.url(), "--part-size", "8MiB", "--json"]));
    let found = read_back(&scene.store, &scene.bucket, "file");
    assert_eq!(found.sha256, scene.sample.sha256);
    assert_eq!(found.etag, expected_etag(&scene.store, &scene.sample.path, PART));
    assert_no_upload_left(&scene.store, &scene.bucket);
    finished
}

fn struck(scene: &Scene) -> usize {
    scene.proxy.seen().iter().filter(|request| request.fault.is_some()).count()
}

fn retries_of(finished: &Finished) -> usize {
    events(finished).iter().filter(|event| event["event"] == "retrying").count()
}

#[test]
fn a_part_is_answered_503_twice_and_then_200() {
    let scene = Scene::of_file(FILE_BYTES);
    let finished =
        assert_survives(&scene, Rule::on(Kind::UploadPart, Fault::slow_down()).part(3).times(2));
    assert_eq!((struck(&scene), retries_of(&finished)), (2, 2));
    assert_eq!(scene.proxy.count(Kind::UploadPart), PARTS + 2);
}

#[test]
fn a_connection_is_cut_in_the_middle_of_a_part() {
    let scene = Scene::of_file(FILE_BYTES);
    let cut = Fault::CutRequest { after_bytes: 3 * MIB };
    let finished = assert_survives(&scene, Rule::on(Kind::UploadPart, cut).part(2));
    assert_eq!((struck(&scene), retries_of(&finished)), (1, 1));
    assert_eq!(
        scene.proxy.count(Kind::UploadPart),
        PARTS + 1,
        "only the part that was cut is sent again"
    );
}

#[test]
fn a_part_whose_answer_is_lost_is_sent_again() {
    let scene = Scene::of_file(FILE_BYTES);
    assert_survives(&scene, Rule::on(Kind::UploadPart, Fault::DropAnswer).part(6));
    assert_eq!((struck(&scene), scene.proxy.count(Kind::UploadPart)), (1, PARTS + 1));
}

#[test]
fn a_flipped_bit_is_noticed_and_the_part_sent_again() {
    let scene = Scene::of_file(FILE_BYTES);
    assert_survives(
        &scene,
        Rule::on(Kind::UploadPart, Fault::FlipBit { at_byte: 4_000_000 }).part(4),
    );
    assert_eq!((struck(&scene), scene.proxy.count(Kind::UploadPart)), (1, PARTS + 1));
}

#[test]
fn a_lost_answer_to_complete_is_settled_without_resending() {
    let scene = Scene::of_file(FILE_BYTES);
    assert_survives(&scene, Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
    assert_eq!((struck(&scene), scene.proxy.count(Kind::UploadPart)), (1, PARTS));
    assert_eq!(
        scene.proxy.count(Kind::AbortMultipartUpload),
        0,
        "never an abort while the outcome is in doubt"
    );
}

#[test]
fn complete_answers_200_with_an_error_inside_and_is_repeated() {
    let scene = Scene::of_file(FILE_BYTES);
    let inside = Fault::error(200, "InternalError");
    assert_survives(&scene, Rule::on(Kind::CompleteMultipartUpload, inside));
    assert_eq!((struck(&scene), scene.proxy.count(Kind::CompleteMultipartUpload)), (1, 2));
}

#[test]
fn create_and_complete_are_answered_503() {
    let scene = Scene::of_file(FILE_BYTES);
    scene.proxy.add(Rule::on(Kind::CreateMultipartUpload, Fault::slow_down()));
    assert_survives(&scene, Rule::on(Kind::CompleteMultipartUpload, Fault::slow_down()));
    assert_eq!((struck(&scene), scene.proxy.count(Kind::UploadPart)), (2, PARTS));
}

#[test]
fn a_stalled_part_is_given_up_for_lack_of_progress() {
    let scene = Scene::of_file(FILE_BYTES);
    let finished = assert_survives(
        &scene,
        Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: MIB }).part(1),
    );
    assert_eq!((struck(&scene), retries_of(&finished)), (1, 1));
}

#[test]
fn ceph_rgw_without_checksums_a_flipped_bit_is_noticed_by_md5() {
    let (world, rgw) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &rgw);
    let proxy = ChaosProxy::start(&rgw.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::FlipBit { at_byte: 77 }).part(2));
    let sample = world.sample("file", FILE_BYTES);
    upload(&world, &rgw.at(proxy.endpoint()), &sample.path, &format!("s3://{bucket}/file"));
    assert_eq!(read_back(&rgw, &bucket, "file").sha256, sample.sha256);
    assert!(proxy.count(Kind::UploadPart) > PARTS, "the damaged part was sent again");
    assert_no_upload_left(&rgw, &bucket);
}

/// `Retry-After` is the minimum wait on both planes: the SDK sends Create, and our own connections
/// send parts.
#[test]
fn retry_after_is_waited_for() {
    let scene = Scene::of_file(FILE_BYTES);
    let wait = Duration::from_secs(3);
    let busy = Fault::slow_down().with_header("Retry-After", "3");
    scene.proxy.add(Rule::on(Kind::CreateMultipartUpload, busy.clone()));
    assert_survives(&scene, Rule::on(Kind::UploadPart, busy).part(2));
    assert_eq!(struck(&scene), 2);
    let seen = scene.proxy.seen();
    for (kind, part) in [(Kind::CreateMultipartUpload, None), (Kind::UploadPart, Some(2))] {
        let tries: Vec<_> = seen
            .iter()
            .filter(|it| it.kind == kind && it.part_number == part)
            .map(|it| it.at)
            .collect();
        let [first, second] = tries[..] else { panic!("{} tries", tries.len()) };
        assert!(second - first >= wait, "{kind:?} again after {:?}", second - first);
    }
}

/// Eight parts at once overload the store: the client then sends four at once, and does not return
/// to eight immediately.
#[test]
fn throttling_lowers_the_parts_in_flight() {
    let scene = Scene::of_file(FILE_BYTES);
    let many = scene.world.sample("many", 32 * 5 * MIB);
    let busy = Fault::slow_down().kept_back(Duration::from_secs(2));
    // The fault starts after the slow start.
    scene.proxy.add(Rule::on(Kind::UploadPart, busy).after(8).times(8));
    // The delay is long enough for the other parts to arrive meanwhile.
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Delay(Duration::from_millis(300))).always());
    let url = format!("s3://{}/many", scene.bucket);
    let mut command = scene.world.haul(&scene.store);
    succeed(command.args(["cp", "many", &url, "--part-size", "5MiB", "--concurrency", "8"]));
    let parts: Vec<_> = scene
        .proxy
        .seen()
        .into_iter()
        .filter(|it| it.kind == Kind::UploadPart)
        .map(|it| it.in_flight)
        .collect();
    let (throttled, after) = parts[8..].split_at(8);
    assert!(throttled.iter().max() >= Some(&7), "there was nothing to lower: {throttled:?}");
    // Three refusals are isolated, and other parts take the places of theirs. After eight successes
    // the client tries one more part at once.
    assert!(after[3..11].iter().all(|in_flight| *in_flight <= 4), "{after:?}");
    assert!(after.iter().max() >= Some(&3), "and not one by one: {after:?}");
    assert_eq!(read_back(&scene.store, &scene.bucket, "many").sha256, many.sha256);
}

/// AWS closes idle connections after about five seconds, and a firewall drops them silently. The
/// client sends nothing on a connection that has been idle for that long; above all, it does not
/// send Complete on the connection of Create.
#[test]
fn a_connection_that_was_idle_for_seconds_is_not_trusted() {
    let scene = Scene::of_file(FILE_BYTES);
    let pause = Fault::Delay(Duration::from_secs(6));
    scene.proxy.add(
        Rule::on(Kind::UploadPart, Fault::slow_down().with_header("Retry-After", "6")).part(6),
    );
    assert_survives(&scene, Rule::on(Kind::UploadPart, pause).part(5));
    let seen = scene.proxy.seen();
    let at = |kind| seen.iter().find(|it| it.kind == kind).unwrap().at;
    assert!(
        at(Kind::CompleteMultipartUpload) - at(Kind::CreateMultipartUpload)
            >= Duration::from_secs(6)
    );
    for request in &seen {
        assert!(request.idle.is_none_or(|idle| idle < Duration::from_secs(5)), "{request:?}");
    }
}

/// S3 sends blanks while it completes, for minutes if necessary. The client must take them neither
/// for an answer nor for silence.
#[test]
fn complete_that_keeps_the_connection_alive_is_waited_for() {
    let scene = Scene::of_file(FILE_BYTES);
    let alive = Fault::KeepAlive { every: Duration::from_millis(200), blanks: 15 };
    assert_survives(&scene, Rule::on(Kind::CompleteMultipartUpload, alive));
    assert_eq!((struck(&scene), scene.proxy.count(Kind::CompleteMultipartUpload)), (1, 1));
}

/// Complete has its own time-out: a delay that is too long for any other answer is not too long for
/// Complete.
#[test]
fn complete_has_a_long_time_out_of_its_own() {
    for (complete_timeout, doubts) in [(Duration::from_secs(60), 0), (Duration::from_secs(1), 1)] {
        let scene = Scene::of_file(FILE_BYTES);
        let alive = Fault::KeepAlive { every: Duration::from_millis(500), blanks: 6 };
        scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, alive));
        let options = S3Options {
            endpoint_url: Some(scene.store.endpoint.clone()),
            region: Some(scene.store.region.clone()),
            credentials: Some(StaticCredentials {
                access_key_id: scene.store.access_key.clone(),
                secret_access_key: scene.store.secret_key.clone(),
            }),
            answer_timeout: Duration::from_secs(1),
            complete_timeout,
            ..S3Options::default()
        };
        let object = format!("s3://{}/file", scene.bucket).parse().unwrap();
        let upload = async {
            let store = Arc::new(S3Store::connect(options).await.unwrap());
            let source = FileSource::open(&scene.sample.path).unwrap();
            let mut upload = haul::upload(store, source, object, UploadOptions::default());
            let mut events = upload.take_events().unwrap();
            let report = upload.await.unwrap();
            let mut doubts = 0;
            while let Some(event) = events.next().await {
                doubts += usize::from(matches!(event, Event::InDoubt { .. }));
            }
            (report, doubts)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (report, seen) = runtime.block_on(upload);
        assert_eq!(report.size_bytes, FILE_BYTES);
        // If the client gives up on Complete too soon, it looks for the object and finds it; it
        // does not send Complete again.
        assert_eq!(seen, doubts, "{complete_timeout:?}");
        assert_eq!(scene.proxy.count(Kind::CompleteMultipartUpload), 1);
        assert_eq!(read_back(&scene.store, &scene.bucket, "file").sha256, scene.sample.sha256);
        assert_no_upload_left(&scene.store, &scene.bucket);
    }
}
