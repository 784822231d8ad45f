//! Bad weather that an upload must survive: overloaded stores, cut connections, lost answers, damaged bytes.

use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::servers::HaulServe;
use haul_testkit::{Store, process::Finished};

use crate::world::{
    PART, Sample, World, assert_no_upload_left, events, expected_etag, make_bucket, read_back, succeed,
    upload,
};

const FILE_BYTES: u64 = 5 * PART + 12_345;
const PARTS: usize = 6;

struct Scene {
    world: World,
    // Held, not used: the server ends with it.
    _server: HaulServe,
    proxy: ChaosProxy,
    store: Store,
    bucket: String,
    sample: Sample,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let store = server.store().at(proxy.endpoint());
        let sample = world.sample("file", FILE_BYTES);
        Self { world, _server: server, proxy, store, bucket, sample }
    }

    /// Uploads through the proxy, and whatever the weather the object must be right and nothing be left.
    fn assert_survives(&self, rule: Rule) -> Finished {
        self.proxy.add(rule);
        let url = format!("s3://{}/file", self.bucket);
        let mut command = self.world.haul(&self.store);
        let finished = succeed(command.args(["cp", "file", &url, "--part-size", "8MiB", "--json"]));
        let found = read_back(&self.store, &self.bucket, "file");
        assert_eq!(found.sha256, self.sample.sha256);
        assert_eq!(found.etag, expected_etag(&self.store, &self.sample.path, PART));
        assert_no_upload_left(&self.store, &self.bucket);
        finished
    }

    fn struck(&self) -> usize {
        self.proxy.seen().iter().filter(|request| request.fault.is_some()).count()
    }
}

fn retries_of(finished: &Finished) -> usize {
    events(finished).iter().filter(|event| event["event"] == "retrying").count()
}

#[test]
fn a_part_is_answered_503_twice_and_then_200() {
    let scene = Scene::new();
    let finished = scene.assert_survives(Rule::on(Kind::UploadPart, Fault::slow_down()).part(3).times(2));
    assert_eq!((scene.struck(), retries_of(&finished)), (2, 2));
    assert_eq!(scene.proxy.count(Kind::UploadPart), PARTS + 2);
}

#[test]
fn a_connection_is_cut_in_the_middle_of_a_part() {
    let scene = Scene::new();
    let cut = Fault::CutRequest { after_bytes: 3 * MIB };
    let finished = scene.assert_survives(Rule::on(Kind::UploadPart, cut).part(2));
    assert_eq!((scene.struck(), retries_of(&finished)), (1, 1));
    assert_eq!(scene.proxy.count(Kind::UploadPart), PARTS + 1, "only the part that was cut is sent again");
}

#[test]
fn a_part_whose_answer_is_lost_is_sent_again() {
    let scene = Scene::new();
    scene.assert_survives(Rule::on(Kind::UploadPart, Fault::DropAnswer).part(6));
    assert_eq!((scene.struck(), scene.proxy.count(Kind::UploadPart)), (1, PARTS + 1));
}

#[test]
fn a_flipped_bit_is_noticed_and_the_part_sent_again() {
    let scene = Scene::new();
    scene.assert_survives(Rule::on(Kind::UploadPart, Fault::FlipBit { at_byte: 4_000_000 }).part(4));
    assert_eq!((scene.struck(), scene.proxy.count(Kind::UploadPart)), (1, PARTS + 1));
}

#[test]
fn a_lost_answer_to_complete_is_settled_without_sending_anything_again() {
    let scene = Scene::new();
    scene.assert_survives(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
    assert_eq!((scene.struck(), scene.proxy.count(Kind::UploadPart)), (1, PARTS));
    assert_eq!(
        scene.proxy.count(Kind::AbortMultipartUpload),
        0,
        "never an abort while the outcome is in doubt"
    );
}

#[test]
fn complete_answers_200_with_an_error_inside_and_is_repeated() {
    let scene = Scene::new();
    let inside = Fault::error(200, "InternalError");
    scene.assert_survives(Rule::on(Kind::CompleteMultipartUpload, inside));
    assert_eq!((scene.struck(), scene.proxy.count(Kind::CompleteMultipartUpload)), (1, 2));
}

#[test]
fn create_and_complete_are_answered_503() {
    let scene = Scene::new();
    scene.proxy.add(Rule::on(Kind::CreateMultipartUpload, Fault::slow_down()));
    scene.assert_survives(Rule::on(Kind::CompleteMultipartUpload, Fault::slow_down()));
    assert_eq!((scene.struck(), scene.proxy.count(Kind::UploadPart)), (2, PARTS));
}

#[test]
fn a_stalled_part_is_given_up_for_lack_of_progress() {
    let scene = Scene::new();
    let finished =
        scene.assert_survives(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: MIB }).part(1));
    assert_eq!((scene.struck(), retries_of(&finished)), (1, 1));
}

#[test]
fn ceph_rgw_without_checksums_a_flipped_bit_is_noticed_by_md5() {
    let (world, rgw) = (World::new(), Store::shared("RGW"));
    let bucket = make_bucket(&world, &rgw);
    let proxy = ChaosProxy::start(&rgw.endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::FlipBit { at_byte: 77 }).part(2));
    let sample = world.sample("file", FILE_BYTES);
    upload(&world, &rgw.at(proxy.endpoint()), &sample.path, &format!("s3://{bucket}/file"));
    assert_eq!(read_back(&rgw, &bucket, "file").sha256, sample.sha256);
    assert!(proxy.count(Kind::UploadPart) > PARTS, "the damaged part was sent again");
    assert_no_upload_left(&rgw, &bucket);
}
