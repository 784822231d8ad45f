//! Downloads over a real network from real stores: damaged on the way, cut short, and verified by
//! the hashes that another client has left at the store.

use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::servers::HaulServe;

use crate::world::{Sample, World, finish, make_bucket, python, upload};

const RANGES: u64 = 5;
const SIZE_BYTES: u64 = (RANGES - 1) * 8 * MIB + 12_345;

struct Scene {
    world: World,
    proxy: ChaosProxy,
    real: TestStore,
    bucket: String,
    sample: Sample,
    _server: Option<HaulServe>,
}

impl Scene {
    fn at(store: TestStore, server: Option<HaulServe>, world: World) -> Self {
        let bucket = make_bucket(&world, &store);
        let sample = world.sample("sent", SIZE_BYTES);
        let proxy = ChaosProxy::start(&store.endpoint).unwrap();
        Self { world, proxy, real: store, bucket, sample, _server: server }
    }

    fn at_haul_serve() -> Self {
        let world = World::new();
        let server = world.serve();
        Self::at(server.store().clone(), Some(server), world)
    }

    fn at_shared(name: &str) -> Self {
        Self::at(TestStore::shared(name), None, World::new())
    }

    fn url(&self) -> String {
        format!("s3://{}/object", self.bucket)
    }

    fn command(&self, target: &str) -> Command {
        let mut command = self.world.haul(&self.real.at(self.proxy.endpoint()));
        command.args(["cp", &self.url(), target]);
        command
    }

    /// Runs a shell script that has the words of `haul cp OBJECT -` in `$@`.
    fn piped(&self, script: &str) -> Finished {
        let haul = self.command("-");
        let mut shell = Command::new("sh");
        shell.env_clear().envs(haul.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.world.path("."));
        shell.args(["-c", script, "sh"]).arg(haul.get_program()).args(haul.get_args());
        finish(&mut shell)
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(&self.sample.path).unwrap()
    }

    fn assert_saved(&self, name: &str) {
        assert!(std::fs::read(self.world.path(name)).unwrap() == self.content(), "{name}");
    }

    fn damage_an_answer(&self) {
        self.proxy.add(Rule::on(Kind::GetObject, Fault::FlipAnswerBit { at_byte: 4711 }).after(2));
    }

    /// Asserts that the command ended because a hash of the store disagrees with the bytes.
    fn assert_not_proven(&self, finished: &Finished) {
        assert_eq!(finished.code(), Some(7), "{}", finished.stderr);
    }
}

/// A proxy closes every connection once in the middle of the answer; the download must be complete.
#[test]
fn ranges_that_are_all_cut_short_once_end_whole() {
    for (shared, target) in [(None, "file"), (None, "pipe"), (Some("RGW"), "file")] {
        let scene = shared.map_or_else(Scene::at_haul_serve, Scene::at_shared);
        upload(&scene.world, &scene.real, &scene.sample.path, &scene.url());
        let cut = Fault::CutAnswer { after_bytes: 3 * MIB + 1 };
        // The last range is shorter than this.
        scene.proxy.add(Rule::on(Kind::GetObject, cut).times(RANGES));
        let ended = match target {
            "file" => finish(&mut scene.command("back")),
            _ => scene.piped("\"$@\" > back"),
        };
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        scene.assert_saved("back");
        assert!(scene.proxy.count(Kind::GetObject) as u64 >= 2 * RANGES - 1);
    }
}

#[test]
fn a_damaged_object_does_not_end_on_standard_output() {
    let scene = Scene::at_haul_serve();
    upload(&scene.world, &scene.real, &scene.sample.path, &scene.url());
    scene.damage_an_answer();
    let ended = scene.piped("\"$@\" > back");
    scene.assert_not_proven(&ended);
    assert!(ended.stderr.contains("bytes are in standard output already"), "{}", ended.stderr);
    let length = std::fs::metadata(scene.world.path("back")).unwrap().len();
    assert!(length < SIZE_BYTES, "{length} bytes");
}

#[test]
fn a_named_pipe_gets_ranges_and_may_lose_its_reader() {
    let scene = Scene::at_haul_serve();
    upload(&scene.world, &scene.real, &scene.sample.path, &scene.url());
    let pipe = scene.world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reads = |script: &str| {
        let mut reader = Command::new("sh");
        reader.current_dir(scene.world.path("."));
        reader.args(["-c", script]);
        let mut reader = reader.spawn().unwrap();
        let ended = finish(&mut scene.command("pipe"));
        assert!(reader.wait().unwrap().success());
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    };
    reads("cat pipe > back");
    scene.assert_saved("back");
    assert_eq!(scene.proxy.count(Kind::GetObject) as u64, RANGES);
    reads("head -c 10 pipe > first");
    assert!(std::fs::read(scene.world.path("first")).unwrap() == scene.content()[..10]);
}

/// Downloads objects that boto3 uploaded in parts with each checksum algorithm, and asserts that
/// the composite checksum is compared.
fn composite_checksums_are_compared(scene: &Scene, algorithms: &[&str]) {
    for algorithm in algorithms {
        let path = scene.sample.path.to_str().unwrap();
        let script = include_str!("py/upload_with_checksum.py");
        let said = python(&scene.real, script, &[&scene.bucket, "object", path, algorithm]);
        let parts = said.as_str().unwrap().rsplit_once('-').expect("a composite checksum").1;
        let ended = finish(&mut scene.command("back"));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let expected = format!("verified by the {algorithm} of its {parts} parts");
        assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
        scene.assert_saved("back");
        std::fs::remove_file(scene.world.path("back")).unwrap();

        scene.damage_an_answer();
        scene.assert_not_proven(&finish(&mut scene.command("back")));
        assert!(!scene.world.path("back").exists(), "{algorithm}: a damaged file has its name");
        let ended = scene.piped("\"$@\" > piped");
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        scene.assert_saved("piped");
        scene.damage_an_answer();
        scene.assert_not_proven(&scene.piped("\"$@\" > piped"));
    }
}

#[test]
fn composite_checksums_of_boto3_are_compared() {
    let scene = Scene::at_haul_serve();
    composite_checksums_are_compared(&scene, &["SHA256", "SHA1"]);
}

#[test]
fn localstack_composite_checksums_of_boto3_are_compared() {
    composite_checksums_are_compared(&Scene::at_shared("LOCALSTACK"), &["SHA256"]);
}
