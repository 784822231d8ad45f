//! The same command again goes on: after Ctrl-C, after a pause of the store, with another version of the file, with
//! nothing but a journal, and side by side with itself.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use haul_testkit::Store;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running, Signal};
use serde_json::Value;

use crate::world::{
    LIMIT, PART, World, assert_keys, assert_no_upload_left, copy, event, events, finish, make_bucket, python,
    read_back, succeed,
};

const PARTS: u64 = 8;

/// An upload of eight parts that stops with some of them at the store, because part 5 never moves.
struct Stopped {
    world: World,
    store: Store,
    bucket: String,
    proxy: ChaosProxy,
    _server: haul_testkit::servers::HaulServe,
}

impl Stopped {
    fn by(signal: Signal) -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5));
        world.sample("file", PARTS * PART);
        let store = server.store().at(proxy.endpoint());
        let stopped = Self { world, store, bucket, proxy, _server: server };
        let running = Running::start(&mut stopped.command()).unwrap();
        let arrived = |seen: &[haul_testkit::chaos::Seen]| {
            let ok = |part: u32| seen.iter().any(|it| it.part_number == Some(part) && it.status == Some(200));
            ok(1) && ok(2) && ok(3) && ok(4) && seen.iter().any(|it| it.part_number == Some(5))
        };
        assert!(stopped.proxy.wait_until(LIMIT, arrived));
        running.signal(signal).unwrap();
        let finished = running.finish(LIMIT).unwrap();
        if signal == Signal::INT {
            assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
            assert!(finished.stderr.contains("haul resume"), "it says how to go on: {}", finished.stderr);
        }
        stopped
    }

    fn url(&self) -> String {
        format!("s3://{}/file", self.bucket)
    }

    fn command(&self) -> std::process::Command {
        let mut command = copy(&self.world, &self.store, self.world.path("file"), &self.url());
        command.args(["--part-size", "8MiB", "--concurrency", "4", "--json"]);
        command
    }

    fn haul(&self, arguments: &[&str]) -> Finished {
        succeed(self.world.haul(&self.store).args(arguments).arg("--json"))
    }

    fn listed(&self) -> Vec<Value> {
        events(&self.haul(&["uploads"]))
    }

    fn parts_sent(&self) -> usize {
        self.proxy.count(Kind::UploadPart)
    }

    fn assert_arrived(&self) {
        let expected = haul_testkit::files::sha256(&self.world.path("file")).unwrap();
        assert_eq!(read_back(&self.store, &self.bucket, "file").sha256, expected);
        assert_no_upload_left(&self.store, &self.bucket);
        assert_eq!(self.listed(), Vec::<Value>::new(), "the journal is gone");
    }
}

/// P2: only what is missing is sent, and the report says how much was there.
#[test]
fn the_same_command_again_sends_only_the_rest() {
    for signal in [Signal::INT, Signal::KILL] {
        let stopped = Stopped::by(signal);
        let listed = stopped.listed();
        assert_eq!(listed.len(), 1);
        // A part whose record the kill prevented is not in the journal; ListParts knows it.
        assert!(listed[0]["arrived_bytes"].as_u64().unwrap() >= PART, "{listed:?}");
        let before = stopped.parts_sent();
        let finished = succeed(&mut stopped.command());
        let resumed = event(&finished, "resumed");
        let there = resumed["arrived_parts"].as_u64().unwrap();
        assert!((4..PARTS).contains(&there), "{resumed}");
        assert_eq!((stopped.parts_sent() - before) as u64, PARTS - there);
        assert_eq!(stopped.proxy.count(Kind::CreateMultipartUpload), 1);
        stopped.assert_arrived();
    }
}

#[test]
fn haul_resume_goes_on_without_the_command() {
    let stopped = Stopped::by(Signal::KILL);
    let id = stopped.listed()[0]["id"].as_str().unwrap().to_owned();
    // Another folder, other defaults: everything that binds the upload comes from the journal.
    let resumed = stopped.haul(&["resume", &id[..6]]);
    event(&resumed, "resumed");
    stopped.assert_arrived();
}

#[test]
fn haul_abort_removes_it_at_the_store_and_forgets_it() {
    let stopped = Stopped::by(Signal::KILL);
    let id = stopped.listed()[0]["id"].as_str().unwrap().to_owned();
    let aborted = stopped.haul(&["abort", &id]);
    assert_eq!(event(&aborted, "upload-aborted")["was_complete"], false);
    assert_no_upload_left(&stopped.store, &stopped.bucket);
    assert_keys(&stopped.store, &stopped.bucket, &[]);
    assert_eq!(stopped.listed(), Vec::<Value>::new());
    let again = finish(stopped.world.haul(&stopped.store).args(["abort", &id]));
    assert_eq!(again.code(), Some(2), "{}", again.stderr);
}

/// P4: of a file that changed in one place, only the part with that place is sent again.
#[test]
fn a_source_that_changed_is_compared_and_only_what_differs_is_sent_again() {
    let stopped = Stopped::by(Signal::KILL);
    let mut file = std::fs::File::options().write(true).open(stopped.world.path("file")).unwrap();
    file.seek(SeekFrom::Start(2 * PART + 17)).unwrap();
    file.write_all(b"another version").unwrap();
    drop(file);

    let mut strict = stopped.command();
    let refused = finish(strict.args(["--on-change", "fail"]));
    assert_eq!(refused.code(), Some(6), "{}", refused.stderr);
    assert!(refused.stdout.contains("changed since the upload was begun"), "{}", refused.stdout);

    let finished = succeed(&mut stopped.command());
    assert_eq!(event(&finished, "resumed")["differing_parts"], serde_json::json!([3]));
    stopped.assert_arrived();
}

/// The upload was aborted by somebody else, or expired: said, and begun anew.
#[test]
fn an_upload_that_is_gone_is_begun_anew_and_said() {
    let stopped = Stopped::by(Signal::KILL);
    let script = "uploads = s3.list_multipart_uploads(Bucket=args[0])['Uploads']\n\
        answer([s3.abort_multipart_upload(Bucket=args[0], Key=u['Key'], UploadId=u['UploadId'])\n\
        ['ResponseMetadata']['HTTPStatusCode'] for u in uploads])\n";
    python(&stopped.store, script, &[&stopped.bucket]);
    let finished = succeed(&mut stopped.command());
    event(&finished, "restarting");
    assert_eq!(stopped.proxy.count(Kind::CreateMultipartUpload), 2);
    stopped.assert_arrived();
}

/// A journal that was damaged costs parts, never the object.
#[test]
fn a_damaged_journal_never_makes_a_wrong_object() {
    for place in [3, 7, 20, 300, 700] {
        let stopped = Stopped::by(Signal::KILL);
        let folder = stopped.world.path(".local/state/haul/uploads");
        let journal = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        flip(&journal, place);
        let finished = finish(&mut stopped.command());
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        let expected = haul_testkit::files::sha256(&stopped.world.path("file")).unwrap();
        assert_eq!(read_back(&stopped.store, &stopped.bucket, "file").sha256, expected);
    }
}

fn flip(path: &Path, place: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[place] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// Two processes never work on one upload.
#[test]
fn a_second_process_is_told_who_has_it() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(2));
    let sample = world.sample("file", 3 * PART);
    let store = server.store().at(proxy.endpoint());
    let url = format!("s3://{bucket}/file");
    let first =
        Running::start(copy(&world, &store, &sample.path, &url).args(["--part-size", "8MiB"])).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| seen.iter().any(|request| request.part_number == Some(2))));
    let second = finish(copy(&world, &store, &sample.path, &url).args(["--part-size", "8MiB"]));
    assert_eq!(second.code(), Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    first.signal(Signal::KILL).unwrap();
    first.finish(LIMIT).unwrap();
    succeed(copy(&world, &store, &sample.path, &url).args(["--part-size", "8MiB"]));
    assert_eq!(read_back(&store, &bucket, "file").sha256, sample.sha256);
    assert_no_upload_left(&store, &bucket);
}

/// `--no-journal`: as before there were journals, what is interrupted is removed.
#[test]
fn without_a_journal_what_is_interrupted_is_removed() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(2));
    let sample = world.sample("file", 3 * PART);
    let store = server.store().at(proxy.endpoint());
    let url = format!("s3://{bucket}/file");
    let mut command = copy(&world, &store, &sample.path, &url);
    let running = Running::start(command.args(["--part-size", "8MiB", "--no-journal"])).unwrap();
    assert!(proxy.wait_until(LIMIT, |seen| seen.iter().any(|request| request.part_number == Some(2))));
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.finish(LIMIT).unwrap().code(), Some(3));
    assert_no_upload_left(server.store(), &bucket);
    assert!(!world.path(".local/state/haul/uploads").exists());
}
