//! `haul resume ID` and `haul abort ID` use the store that the journal records: from any shell and
//! any folder, and after the file was moved; at `haul serve` and at other stores.

use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::sha256;
use haul_testkit::network::HttpProxy;
use haul_testkit::process::{Finished, Running};
use serde_json::{Value, json};

use crate::scene::{KEY, PART_BYTES, PARTS, Scene};
use crate::world::{LIMIT, assert_no_upload_left, copy, event, events, finish, read_back, succeed};

/// An address where nothing answers.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Runs a test at `haul serve` and at a store by other authors.
fn at_both(test: fn(&Scene)) {
    test(&Scene::at_haul_serve());
    test(&Scene::at("RGW"));
}

/// Returns a `haul` command with this store's keys and without its address.
fn haul(scene: &Scene, words: &[&str]) -> Command {
    let mut command = scene.world.haul_without_store();
    command.envs(scene.store.client_variables()).env_remove("AWS_REGION").args(words);
    command
}

fn uploads(scene: &Scene) -> Vec<Value> {
    events(&succeed(&mut haul(scene, &["uploads", "--json"])))
}

fn id(scene: &Scene) -> String {
    uploads(scene)[0]["id"].as_str().unwrap().to_owned()
}

fn creates(scene: &Scene) -> usize {
    scene.proxy.count(Kind::CreateMultipartUpload)
}

/// Asserts that the command is refused as wrong usage, names the flag, and sends no request.
fn assert_refused(scene: &Scene, finished: &Finished, flag: &str, seen_before: usize) {
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("{flag} contradicts upload")), "{}", finished.stderr);
    assert_eq!(scene.proxy.seen().len(), seen_before, "nothing was asked");
}

/// An upload that was begun with a region, a condition and attributes was once resumed from cron
/// with the wrong result: the run began a second upload, sent every part again, dropped the
/// attributes and the condition, and ended with 0, while the first upload stayed unfinished.
fn resume_needs_nothing_of_the_first_shell(scene: &Scene) {
    let mut first = scene.command();
    first.env("AWS_REGION", "eu-central-1").args(["--if-none-match", "--metadata", "owner=me"]);
    first.args(["--content-type", "application/x-mine"]);
    scene.kill_command_without_part(&mut first, PARTS);
    let before = scene.body_bytes();
    let mut cron = haul(scene, &["resume", &id(scene), "--json"]);
    cron.env("AWS_ENDPOINT_URL", NOWHERE).env("AWS_REGION", "us-west-2").current_dir("/");
    let resumed = event(&succeed(&mut cron), "resumed");
    assert_eq!(resumed["arrived_parts"], json!(PARTS - 1));
    assert_eq!(creates(scene), 1);
    assert_eq!(scene.body_bytes() - before, 12_345, "only the last part is sent");
    let signed = |text: &str| {
        scene
            .proxy
            .seen()
            .iter()
            .filter(|it| it.header("authorization").unwrap_or_default().contains(text))
            .count()
    };
    assert_eq!(signed("/us-west-2/"), 0, "today's region is not the upload's");
    let head = "h = s3.head_object(Bucket=args[0], Key=args[1])\nanswer([h['ContentType'], \
        h['Metadata']['owner']])";
    assert_eq!(scene.python(head), json!(["application/x-mine", "me"]));
    scene.assert_arrived();
}

#[test]
fn resume_needs_nothing_of_the_shell_that_began() {
    at_both(resume_needs_nothing_of_the_first_shell);
}

/// The condition that the first run recorded applies to the last run, which does not repeat it.
#[test]
fn a_recorded_condition_protects_the_object() {
    let scene = Scene::at_haul_serve();
    scene.kill_command_without_part(scene.command().arg("--if-none-match"), PARTS);
    scene.python("s3.put_object(Bucket=args[0], Key=args[1], Body=b'precious')\nanswer(1)");
    let refused = finish(&mut haul(&scene, &["resume", &id(&scene)]));
    assert_eq!(refused.code(), Some(8), "{}", refused.stderr);
    let body = "answer(s3.get_object(Bucket=args[0], Key=args[1])['Body'].read().decode())";
    assert_eq!(scene.python(body), json!("precious"));
    assert_eq!(creates(&scene), 1);
}

/// A second upload once began when the address was spelled differently (`http://localhost:P`
/// instead of `http://127.0.0.1:P`) or another region was given.
fn contradictions_are_refused(scene: &Scene) {
    scene.kill_before_the_last_part();
    let (id, seen) = (id(scene), scene.proxy.seen().len());
    let port = scene.store.endpoint.rsplit(':').next().unwrap();
    let localhost = format!("http://localhost:{port}");
    for command in ["resume", "abort"] {
        for (flag, value) in [("--endpoint", localhost.as_str()), ("--region", "eu-west-3")] {
            let refused = finish(&mut haul(scene, &[flag, value, command, &id]));
            assert_refused(scene, &refused, flag, seen);
        }
    }
    assert_eq!(uploads(scene).len(), 1, "nothing is forgotten");
    // Another spelling of the same store is no contradiction.
    let same = format!("{}/", scene.store.endpoint);
    succeed(&mut haul(scene, &["--endpoint", &same, "--path-style", "resume", &id]));
    assert_eq!(creates(scene), 1);
    scene.assert_arrived();
}

#[test]
fn a_flag_that_contradicts_the_journal_is_refused() {
    at_both(contradictions_are_refused);
}

/// `haul --endpoint OTHER abort ID` once reported "nothing of it is left at the store" and deleted
/// the journal, while 256 MiB stayed at the recorded store.
fn abort_asks_the_recorded_store(scene: &Scene) {
    scene.kill_before_the_last_part();
    let id = id(scene);
    let mut dead = haul(scene, &["--endpoint", NOWHERE, "abort", &id]);
    assert_refused(scene, &finish(&mut dead), "--endpoint", scene.proxy.seen().len());
    let mut elsewhere = haul(scene, &["abort", &id]);
    let aborted = succeed(elsewhere.env("AWS_ENDPOINT_URL", NOWHERE));
    assert!(aborted.stdout.contains("nothing of it is left at the store"), "{}", aborted.stdout);
    assert!(scene.proxy.count(Kind::ListParts) > 0, "the store said so");
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert_eq!(uploads(scene), Vec::<Value>::new());
}

#[test]
fn abort_asks_the_store_of_the_journal() {
    at_both(abort_asks_the_recorded_store);
}

/// After a kill within a round trip of Create, `haul abort ID` once reported after 0.03 s that
/// nothing was at the store, without sending a request.
fn an_unheard_create_is_looked_for(scene: &Scene) {
    let blanks = Fault::KeepAlive { every: Duration::from_millis(500), blanks: 1000 };
    scene.proxy.add(Rule::on(Kind::CreateMultipartUpload, blanks));
    let running = Running::start(&mut scene.command()).unwrap();
    // The store has created the upload, and the client has not received the answer.
    scene.wait_for(|seen| seen.iter().any(|it| it.kind == Kind::CreateMultipartUpload));
    let open = "answer(len(s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])))";
    let waited = (0..100).any(|_| scene.python(open) == 1);
    assert!(waited, "Create never reached the store");
    running.kill(LIMIT).unwrap();

    let listed = uploads(scene);
    assert_eq!(listed[0]["upload_id"], Value::Null);
    let aborted = succeed(&mut haul(scene, &["abort", listed[0]["id"].as_str().unwrap()]));
    assert!(aborted.stdout.contains("nothing of it is left at the store"), "{}", aborted.stdout);
    assert_no_upload_left(&scene.real, &scene.bucket);
    assert_eq!(uploads(scene), Vec::<Value>::new());
}

#[test]
fn abort_finds_what_an_unheard_create_left() {
    at_both(an_unheard_create_is_looked_for);
}

/// The journal once dropped endpoints that contain `.amazonaws.com`, and the resumed upload used
/// the public endpoint.
fn a_private_endpoint_is_asked_again(scene: fn() -> Scene) {
    for (endpoint, word) in [
        ("http://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", "resume"),
        ("http://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", "abort"),
        ("http://s3-fips.dualstack.us-east-1.amazonaws.com", "resume"),
        ("http://s3-fips.dualstack.us-east-1.amazonaws.com", "abort"),
    ] {
        let scene = scene();
        // No such host is contacted: the proxy sends every request to the store of the test.
        let address = scene.store.endpoint.trim_start_matches("http://").parse().unwrap();
        let proxy = HttpProxy::start(address).unwrap();
        let http_proxy = format!("http://{}", proxy.address());
        let mut first = scene.command();
        first.env_remove("AWS_ENDPOINT_URL").env("HTTP_PROXY", &http_proxy);
        scene
            .kill_command_without_part(first.args(["--endpoint", endpoint, "--path-style"]), PARTS);
        let id = id(&scene);
        succeed(haul(&scene, &[word, &id]).env("HTTP_PROXY", &http_proxy));
        let heads = proxy.heads();
        let url = format!("{endpoint}/{}", scene.bucket);
        let there =
            |head: &String| head.split(' ').nth(1).is_some_and(|target| target.starts_with(&url));
        assert!(heads.len() > PARTS as usize && heads.iter().all(there), "{heads:?}");
        match word {
            "resume" => scene.assert_arrived(),
            _ => assert_no_upload_left(&scene.real, &scene.bucket),
        }
        assert_eq!(uploads(&scene), Vec::<Value>::new());
    }
}

#[test]
fn a_private_endpoint_of_aws_is_kept_at_haul_serve() {
    a_private_endpoint_is_asked_again(Scene::at_haul_serve);
}

#[test]
fn a_private_endpoint_of_aws_is_kept_at_ceph_rgw() {
    a_private_endpoint_is_asked_again(|| Scene::at("RGW"));
}

/// After a file was moved, `haul resume ID` once said only "check the path", and the original
/// command with the new path sent the whole file again.
fn a_moved_file_is_resumed(scene: &Scene) {
    scene.kill_before_the_last_part();
    let id = id(scene);
    // A copy, as a move to another disk makes it: another inode and another time.
    let moved = scene.world.path("moved here.iso");
    fs::copy(&scene.sample.path, &moved).unwrap();
    fs::remove_file(&scene.sample.path).unwrap();
    let lost = finish(&mut haul(scene, &["resume", &id]));
    assert!(lost.stderr.contains(&format!("haul resume {id} --source")), "{}", lost.stderr);

    let before = scene.body_bytes();
    let resumed =
        succeed(&mut haul(scene, &["resume", &id, "--source", "moved here.iso", "--json"]));
    assert_eq!(event(&resumed, "resumed")["arrived_parts"], json!(PARTS - 1));
    assert_eq!((creates(scene), scene.body_bytes() - before), (1, 12_345));
    scene.assert_arrived();
}

#[test]
fn a_moved_file_is_resumed_from_its_new_place() {
    at_both(a_moved_file_is_resumed);
}

/// A renamed file continues its upload. A copy of the file begins a second upload, and the report
/// names the command that resumes the first one.
fn a_renamed_file_is_found(scene: &Scene) {
    scene.kill_before_the_last_part();
    let copied = scene.world.path("copied");
    fs::copy(&scene.sample.path, &copied).unwrap();
    let renamed = scene.world.path("renamed");
    fs::rename(&scene.sample.path, &renamed).unwrap();

    let second = finish(&mut copy(&scene.world, &scene.store, &copied, &scene.url()));
    let offer = format!("haul resume {} --source {}", id(scene), copied.display());
    assert!(second.stderr.contains(&offer), "{}", second.stderr);

    let before = creates(scene);
    let mut command = copy(&scene.world, &scene.store, &renamed, &scene.url());
    let finished = succeed(command.arg("--json"));
    assert_eq!(event(&finished, "resumed")["arrived_parts"], json!(PARTS - 1));
    assert_eq!(creates(scene), before);
    scene.assert_arrived();
}

#[test]
fn a_renamed_file_finds_its_upload() {
    at_both(a_renamed_file_is_found);
}

/// The file is rewritten between two runs with its length and time restored, as VeraCrypt does by
/// default.
fn a_hidden_rewrite_is_compared(scene: &Scene) {
    scene.kill_before_the_last_part();
    let file = OpenOptions::new().write(true).open(&scene.sample.path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"another version", PART_BYTES + 17).unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    let finished = succeed(&mut scene.command());
    assert_eq!(event(&finished, "resumed")["differing_parts"], json!([2]));
    let expected = sha256(&scene.sample.path).unwrap();
    assert_eq!(read_back(&scene.real, &scene.bucket, KEY).sha256, expected);
    assert_no_upload_left(&scene.real, &scene.bucket);
}

#[test]
fn a_rewrite_with_its_time_restored_is_compared() {
    at_both(a_hidden_rewrite_is_compared);
}

/// A file whose name is not UTF-8 once had no journal, and no message reported that.
#[test]
fn a_name_that_is_no_text_has_a_journal() {
    let scene = Scene::at_haul_serve();
    let name = PathBuf::from(std::ffi::OsStr::from_bytes(b"caf\xe9.iso"));
    fs::rename(&scene.sample.path, scene.world.path("").join(&name)).unwrap();
    let command = || {
        let mut command = copy(&scene.world, &scene.store, &name, &scene.url());
        command.args(["--part-size", "5MiB", "--concurrency", "3", "--json"]);
        command
    };
    scene.kill_command_without_part(&mut command(), PARTS);
    assert!(uploads(&scene)[0]["source"].as_str().unwrap().ends_with("caf\u{fffd}.iso"));
    let resumed = event(&succeed(&mut command()), "resumed");
    assert_eq!(resumed["arrived_parts"], json!(PARTS - 1));
    scene.assert_arrived();
}

fn journal_folder(scene: &Scene) -> PathBuf {
    scene.world.path(".local/state/haul/uploads")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Journals were once readable by everybody, and `resume --all` of root followed the journal of
/// another user.
#[test]
fn a_journal_of_another_user_is_reported_and_not_followed() {
    let scene = Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let (folder, id) = (journal_folder(&scene), id(&scene));
    let journal = folder.join(format!("{id}.journal"));
    assert_eq!((mode(&journal), mode(&folder)), (0o600, 0o700));

    let seen = scene.proxy.seen().len();
    let assert_not_followed = |reason: &str| {
        let listed = uploads(&scene);
        assert_eq!(listed[0]["event"], "unreadable-journal");
        assert!(listed[0]["reason"].as_str().unwrap().contains(reason), "{listed:?}");
        for words in [&["resume", "--all"][..], &["resume", &id], &["abort", &id]] {
            let refused = finish(&mut haul(&scene, words));
            assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
            assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        }
        assert_eq!(scene.proxy.seen().len(), seen, "nothing was followed");
    };
    let elsewhere = scene.world.path("elsewhere");
    fs::rename(&journal, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &journal).unwrap();
    assert_not_followed("it is a symbolic link");
    fs::rename(&elsewhere, &journal).unwrap();
    // Only root can change the owner of a file.
    if std::os::unix::fs::chown(&journal, Some(4242), None).is_ok() {
        assert_not_followed("it belongs to user 4242");
    }
}
