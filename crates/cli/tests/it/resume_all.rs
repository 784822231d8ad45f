//! `haul resume --all`: a failed upload does not stop the others, but Ctrl-C does; uploads that
//! another process holds are reported and left alone.

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::files::sha256;
use haul_testkit::process::{Running, Signal};
use haul_testkit::servers::HaulServe;

use crate::world::{
    LIMIT, PART, World, at_another_time, copy, event, events, finish, make_bucket, read_back,
    succeed,
};

/// Several files with uploads to one bucket.
struct Files {
    world: World,
    server: HaulServe,
    bucket: String,
}

impl Files {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        Self { world, server, bucket }
    }

    fn proxy(&self) -> ChaosProxy {
        ChaosProxy::start(&self.server.store().endpoint).unwrap()
    }

    fn through(&self, proxy: &ChaosProxy) -> TestStore {
        self.server.store().at(proxy.endpoint())
    }

    /// Interrupts an upload through an outage of the store; `offset` shifts its start time, which
    /// is the order of `--all`.
    fn stopped(&self, name: &str, proxy: &ChaosProxy, offset: &str) {
        proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
        let sample = self.world.sample(name, 3 * PART);
        let url = format!("s3://{}/{name}", self.bucket);
        let mut command = copy(&self.world, &self.through(proxy), &sample.path, &url);
        command.args(["--part-size", "8MiB", "--max-attempts", "1"]);
        let stopped = finish(&mut at_another_time(&command, offset));
        assert_eq!(stopped.code(), Some(3), "{}", stopped.stderr);
    }

    fn unfinished(&self) -> Vec<String> {
        let listed = succeed(self.world.haul(self.server.store()).args(["uploads", "--json"]));
        let keys =
            events(&listed).into_iter().map(|upload| upload["target"].as_str().unwrap().to_owned());
        keys.map(|target| target.rsplit_once('/').unwrap().1.to_owned()).collect()
    }
}

/// `haul resume --all` once mistook a pause after an outage for Ctrl-C, and stopped at the first
/// upload.
#[test]
fn a_store_that_fails_does_not_keep_the_others_from_arriving() {
    let files = Files::new();
    let (dead, failing, healthy) = (files.proxy(), files.proxy(), files.proxy());
    files.stopped("dead", &dead, "-9m");
    files.stopped("failing", &failing, "-6m");
    files.stopped("healthy", &healthy, "-3m");
    assert_eq!(files.unfinished(), ["dead", "failing", "healthy"]);
    drop(dead);
    failing.add(Rule::on(Kind::UploadPart, Fault::slow_down()).always());

    let mut all = files.world.haul_without_store();
    all.envs(files.server.store().client_variables());
    let finished = finish(all.args(["resume", "--all", "--max-attempts", "2", "--json"]));
    assert_eq!(
        finished.code(),
        Some(3),
        "the exit code of the last that failed: {}",
        finished.stderr
    );
    let failed: Vec<_> =
        events(&finished).into_iter().filter(|event| event["event"] == "failed").collect();
    let codes: Vec<_> = failed.iter().map(|failed| failed["exit_code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [3, 3], "{}", finished.stdout);
    assert_eq!(files.unfinished(), ["dead", "failing"]);
    let expected = sha256(&files.world.path("healthy")).unwrap();
    assert_eq!(read_back(files.server.store(), &files.bucket, "healthy").sha256, expected);
}

/// The store fails at the same moment, so that the upload pauses with a cause of its own; Ctrl-C
/// still ends all uploads.
#[test]
fn ctrl_c_ends_all_of_them() {
    let files = Files::new();
    let proxy = files.proxy();
    files.stopped("first", &proxy, "-6m");
    files.stopped("second", &proxy, "-3m");
    proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).always());
    let before = proxy.seen().len();

    let store = files.through(&proxy);
    let running = Running::start(files.world.haul(&store).args([
        "resume",
        "--all",
        "--max-attempts",
        "1000",
    ]))
    .unwrap();
    let refused = |seen: &[Seen]| {
        seen.iter().skip(before).any(|it| it.kind == Kind::UploadPart && it.status == Some(503))
    };
    assert!(proxy.wait_until(LIMIT, refused), "{:?}", proxy.seen().last());
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    assert!(finished.stderr.contains("1 upload not begun"), "{}", finished.stderr);
    let asked =
        proxy.seen().into_iter().skip(before).filter(|it| it.kind == Kind::ListParts).count();
    assert_eq!(asked, 1, "only the first was taken up");
    assert_eq!(files.unfinished(), ["first", "second"]);
}

/// If another process held the uploads, the command once printed nothing at all and ended with 0.
#[test]
fn uploads_held_by_another_process_are_reported() {
    let files = Files::new();
    let proxy = files.proxy();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(2).always());
    let sample = files.world.sample("file", 3 * PART);
    let url = format!("s3://{}/file", files.bucket);
    let mut command = copy(&files.world, &files.through(&proxy), &sample.path, &url);
    let running = Running::start(command.args(["--part-size", "8MiB"])).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| seen.iter().any(|it| it.part_number == Some(2))));

    let all = || {
        let mut command = files.world.haul(files.server.store());
        command.args(["resume", "--all"]);
        command
    };
    let told = succeed(&mut all());
    assert!(
        told.stdout.contains(&format!("process {} is working on it", running.id())),
        "{}",
        told.stdout
    );
    let skipped = event(&succeed(all().arg("--json")), "upload-skipped");
    assert_eq!(skipped["running_pid"], running.id());
    proxy.release();
    running.finish(LIMIT).unwrap().success().unwrap();
}
