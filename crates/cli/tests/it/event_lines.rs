//! Provokes lines of `--json` that no other test reads: each row of `event_table` that names a test
//! here.

use std::fs;
use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::{Finished, Running, Signal};
use haul_testkit::servers::HaulServe;
use serde_json::Value;

use crate::event_table::provokes;
use crate::resume_watch::started_until;
use crate::scene::{KEY, PARTS, Scene};
use crate::world::{LIMIT, World, events, finish, haul_binary, succeed};

/// Runs `haul` with these words and `--json` at the store of a scene.
fn haul(scene: &Scene, words: &[&str]) -> Finished {
    finish(scene.world.haul(&scene.store).args(words).arg("--json"))
}

/// Returns the id of the only transfer of this machine.
fn id(listed: &Finished) -> String {
    events(listed)[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_upload_with_trouble_reports_each_step() {
    let scene = Scene::at_haul_serve();
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
    scene.proxy.add(Rule::on(Kind::CompleteMultipartUpload, Fault::DropAnswer));
    scene.proxy.add(Rule::on(Kind::HeadObject, Fault::slow_down()));
    let mut lines = events(&succeed(&mut scene.command()));
    let refused = Fault::error(403, "AccessDenied");
    scene.proxy.add(Rule::on(Kind::UploadPart, refused).part(3).always());
    let failed = finish(scene.command().arg("--no-journal"));
    assert_eq!(failed.code(), Some(1), "{}", failed.stderr);
    lines.extend(events(&failed));
    provokes("event_lines::an_upload_with_trouble_reports_each_step", &lines);
}

#[test]
fn a_paused_upload_is_listed_resumed_and_forgotten() {
    let scene = Scene::at_haul_serve();
    let pause = |file: &str, url: &str| {
        scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(PARTS));
        let words = ["cp", file, url, "--part-size", "5MiB", "--max-attempts", "1"];
        let paused = haul(&scene, &words);
        assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
        events(&paused)
    };
    let mut lines = pause(KEY, &scene.url());
    let listed = haul(&scene, &["transfers"]);
    lines.extend(events(&listed));
    let first = id(&listed);

    // While one process holds it, another one skips it.
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Hold).part(PARTS).always());
    let mut resume = scene.world.haul(&scene.store);
    let running = Running::start(resume.args(["resume", &first, "--json"])).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.fault == Some(Fault::Hold)));
    lines.extend(events(&haul(&scene, &["resume", "--all"])));
    scene.proxy.release();
    lines.extend(events(&running.finish(LIMIT).unwrap()));

    // An upload of another file to the same key names the first one.
    let other = format!("s3://{}/other", scene.bucket);
    pause(KEY, &other);
    scene.world.sample("second", scene.sample_bytes());
    lines.extend(pause("second", &other));
    let listed = events(&haul(&scene, &["transfers"]));
    let ids: Vec<&str> = listed.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{listed:?}");

    scene.proxy.add(Rule::on_any(Fault::slow_down()).times(1));
    let output = scene.world.path("output");
    let mut watch = scene.world.haul(&scene.store);
    watch.args(["resume", "--watch", ids[0], "--json", "--max-attempts", "1"]);
    let watching = started_until(&mut watch, &output, "waiting-to-resume");
    watching.signal_until_it_ends(Signal::TERM, LIMIT).unwrap();
    let printed = fs::read_to_string(output).unwrap();
    lines.extend(printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));

    let late = Fault::Delay(Duration::from_millis(4000));
    scene.proxy.add(Rule::on(Kind::AbortMultipartUpload, late));
    lines.extend(events(&haul(&scene, &["abort", ids[0]])));
    lines.extend(events(&haul(&scene, &["forget", "--force", ids[1]])));
    provokes("event_lines::a_paused_upload_is_listed_resumed_and_forgotten", &lines);
}

#[test]
fn a_damaged_journal_is_listed_and_moved_aside() {
    let scene = Scene::at_haul_serve();
    scene.kill_before_the_last_part();
    let folder = scene.world.path(".local/state/haul/uploads");
    let journals = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_journal = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "journal");
    fs::write(journals.into_iter().find(is_journal).unwrap(), vec![0; 4096]).unwrap();
    let mut lines = events(&haul(&scene, &["transfers"]));
    lines.extend(events(&succeed(&mut scene.command())));
    provokes("event_lines::a_damaged_journal_is_listed_and_moved_aside", &lines);
}

#[test]
fn a_stream_is_spooled_and_resumed() {
    let scene = Scene::at_haul_serve();
    let url = format!("s3://{}/stream", scene.bucket);
    let stream = |attempts: &str| {
        let mut command = scene.world.haul(&scene.store);
        command.args(["cp", "--from-command", &url, "--resume", "--json", "--part-size", "5MiB"]);
        // A part larger than a quarter of the memory is spooled.
        command.args(["--memory", "16MiB", "--max-attempts", attempts, "--", "cat", KEY]);
        finish(&mut command)
    };
    scene.proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(3));
    let stopped = stream("1");
    assert_eq!(stopped.code(), Some(3), "{}", stopped.stderr);
    let mut lines = events(&stopped);
    let resumed = stream("4");
    assert_eq!(resumed.code(), Some(0), "{}", resumed.stderr);
    lines.extend(events(&resumed));
    provokes("event_lines::a_stream_is_spooled_and_resumed", &lines);
}

#[test]
fn a_tree_reports_what_fails_and_what_it_removes() {
    let scene = Scene::at_haul_serve();
    fs::create_dir(scene.world.path("tree")).unwrap();
    for name in ["tree/a", "tree/b", "tree/c"] {
        fs::write(scene.world.path(name), name).unwrap();
    }
    let url = format!("s3://{}/tree/", scene.bucket);
    scene.proxy.add(Rule::on(Kind::PutObject, Fault::error(403, "AccessDenied")));
    let late = Fault::Delay(Duration::from_millis(2500));
    scene.proxy.add(Rule::on(Kind::PutObject, late).after(1));
    let failed = haul(&scene, &["cp", "-r", "tree", &url]);
    assert_eq!(failed.code(), Some(1), "{}", failed.stderr);
    let mut lines = events(&failed);
    let listed = haul(&scene, &["transfers"]);
    lines.extend(events(&listed));
    lines.extend(events(&haul(&scene, &["forget", &id(&listed)])));
    lines.extend(events(&haul(&scene, &["sync", "tree", &url])));
    fs::remove_file(scene.world.path("tree/b")).unwrap();
    lines.extend(events(&haul(&scene, &["sync", "tree", &url, "--delete"])));
    provokes("event_lines::a_tree_reports_what_fails_and_what_it_removes", &lines);
}

#[test]
fn paused_downloads_and_copies_are_listed() {
    let scene = Scene::at_haul_serve();
    succeed(&mut scene.command());
    let (url, copy) = (scene.url(), format!("s3://{}/copy", scene.bucket));
    let once = ["--part-size", "5MiB", "--max-attempts", "1"];
    scene.proxy.add(Rule::on(Kind::GetObject, Fault::slow_down()).after(2));
    let paused = haul(&scene, &[&["cp", &url, "back"], &once[..]].concat());
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    let listed = haul(&scene, &["transfers"]);
    let mut lines = events(&listed);
    lines.extend(events(&haul(&scene, &["abort", &id(&listed)])));
    scene.proxy.add(Rule::on(Kind::UploadPartCopy, Fault::slow_down()).after(2));
    let paused = haul(&scene, &[&["cp", &url, &copy], &once[..]].concat());
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    lines.extend(events(&haul(&scene, &["transfers"])));
    provokes("event_lines::paused_downloads_and_copies_are_listed", &lines);
}

#[test]
fn unfinished_uploads_are_listed_and_swept() {
    let scene = Scene::at_haul_serve();
    scene.python(
        "u = s3.create_multipart_upload(Bucket=args[0], Key=args[1])['UploadId']\n\
         s3.upload_part(Bucket=args[0], Key=args[1], UploadId=u, PartNumber=1, Body=b'1')\n\
         answer(0)",
    );
    let url = format!("s3://{}/", scene.bucket);
    let mut lines = events(&haul(&scene, &["uploads", &url]));
    lines.extend(events(&haul(&scene, &["du", &url, "--uploads"])));
    lines.extend(events(&haul(&scene, &["sweep", &url, "--older-than", "0s", "--yes"])));
    provokes("event_lines::unfinished_uploads_are_listed_and_swept", &lines);
}

#[test]
fn the_endpoint_reports_its_address_and_its_keys() {
    let world = World::new();
    let file = world.path("keys.toml");
    let keys = "[[keys]]\naccess_key_id = \"WRITER\"\nsecret_access_key = \"a-secret-of-twenty\"\n\
                access = \"read-write\"\nscopes = [\"photos\"]\n";
    fs::write(&file, keys).unwrap();
    let arguments = ["--keys", file.to_str().unwrap()];
    let mut server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    let mut lines = vec![server.event("listening", LIMIT).unwrap()];
    server.signal(Signal::HUP).unwrap();
    lines.push(server.event("keys-replaced", LIMIT).unwrap());
    fs::write(&file, "[[keys]").unwrap();
    server.signal(Signal::HUP).unwrap();
    lines.push(server.event("keys-kept", LIMIT).unwrap());
    let config = "[remotes.own]\nendpoint = \"http://127.0.0.1:1\"\n";
    fs::create_dir_all(world.path(".config/haul")).unwrap();
    fs::write(world.path(".config/haul/haul.toml"), config).unwrap();
    lines.extend(events(&succeed(world.haul_without_store().args(["config", "--json"]))));
    provokes("event_lines::the_endpoint_reports_its_address_and_its_keys", &lines);
}
