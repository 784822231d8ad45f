//! `haul rm` of many objects and `haul rb --force` remove exactly the objects that the command
//! names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use haul_testkit::TestStore;
use haul_testkit::process::{Finished, Running, Signal};
use haul_testkit::scripted::{Reply, Request, ScriptedServer};
use haul_testkit::servers::HaulServe;

use crate::event_table::provokes;
use crate::world::{
    LIMIT, World, assert_keys, assert_no_upload_left, event, events, finish, make_bucket, python,
    succeed,
};

/// Creates one object for each given key; the content of each object is its key.
const PUT: &str = "for key in args[1:]:\n    s3.put_object(Bucket=args[0], Key=key, \
                   Body=key.encode())\nanswer(len(args) - 1)\n";

struct Bucket {
    world: World,
    store: TestStore,
    /// Keeps `haul serve` running for this bucket; `None` for a shared store.
    _server: Option<HaulServe>,
    name: String,
}

impl Bucket {
    fn at_haul_serve(keys: &[&str]) -> Self {
        let world = World::new();
        let server = world.serve();
        let store = server.store().clone();
        Self::at(world, store, Some(server), keys)
    }

    fn at_rgw(keys: &[&str]) -> Self {
        Self::at(World::new(), TestStore::shared("RGW"), None, keys)
    }

    fn at(world: World, store: TestStore, server: Option<HaulServe>, keys: &[&str]) -> Self {
        let name = make_bucket(&world, &store);
        let bucket = Self { world, store, _server: server, name };
        bucket.put(keys);
        bucket
    }

    fn put(&self, keys: &[&str]) {
        let arguments = std::iter::once(self.name.as_str()).chain(keys.iter().copied());
        python(&self.store, PUT, &arguments.collect::<Vec<_>>());
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Runs `haul rm` with these words; a word that begins with `/` becomes the URL of a key of the
    /// bucket.
    fn rm(&self, words: &str) -> Finished {
        let words = words.split_whitespace().map(|word| match word.strip_prefix('/') {
            Some(key) => self.url(key),
            None => word.to_owned(),
        });
        finish(self.world.haul(&self.store).arg("rm").args(words))
    }

    fn assert_keys(&self, keys: &[&str]) {
        assert_keys(&self.store, &self.name, keys);
    }
}

const TREE: [&str; 8] =
    ["pre", "pre-old/x", "pre/a.jpg", "pre/a.txt", "pre/b/c.jpg", "pre/b/keep.jpg", "prefix", "z"];

/// `aws s3 rm --recursive s3://b/pre` removes everything below `pre/`, but not `pre-old/x`; so does
/// `haul rm`.
#[test]
fn a_folder_is_removed_and_nothing_beside_it() {
    for bucket in [Bucket::at_haul_serve(&TREE), Bucket::at_rgw(&TREE)] {
        let finished = bucket.rm("-r /pre");
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        let mut lines: Vec<_> = finished.stdout.lines().collect();
        assert_eq!(lines.pop(), Some("removed 4 objects"));
        lines.sort_unstable();
        let wanted = TREE[2..6].iter().map(|key| format!("removed {}", bucket.url(key)));
        assert_eq!(lines, wanted.collect::<Vec<_>>());
        bucket.assert_keys(&["pre", "pre-old/x", "prefix", "z"]);
    }
}

#[test]
fn the_last_filter_that_matches_decides() {
    let bucket = Bucket::at_haul_serve(&TREE);
    let filters = "--exclude * --include *.jpg --exclude */keep.jpg";
    let dry = bucket.rm(&format!("-r /pre/ {filters} --dryrun"));
    let wanted =
        ["pre/a.jpg", "pre/b/c.jpg"].map(|key| format!("would remove {}", bucket.url(key)));
    let mut lines: Vec<_> = dry.stdout.lines().collect();
    assert_eq!(lines.pop(), Some("would remove 2 objects, 20 B"), "{}", dry.stderr);
    assert_eq!(lines, wanted);
    bucket.assert_keys(&TREE);
    let finished = bucket.rm(&format!("--recursive /pre/ {filters}"));
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    bucket.assert_keys(&["pre", "pre-old/x", "pre/a.txt", "pre/b/keep.jpg", "prefix", "z"]);
    // Removing nothing is a success if the filters exclude every object.
    let nothing = bucket.rm("-r /pre/ --exclude *");
    assert_eq!((nothing.code(), nothing.stdout.as_str()), (Some(0), "removed 0 objects\n"));
}

#[test]
fn wildcards_name_keys_and_raw_takes_them_as_they_are() {
    let keys =
        ["logs/1.gz", "logs/2.gz", "logs/a/3.gz", "logs/4.gz.tmp", "logs/[x].gz", "other.gz"];
    let bucket = Bucket::at_haul_serve(&keys);
    let finished = bucket.rm("/logs/[12].gz");
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    bucket.assert_keys(&["logs/4.gz.tmp", "logs/[x].gz", "logs/a/3.gz", "other.gz"]);
    let missing = bucket.rm("/logs/[x].gz");
    assert_eq!(missing.code(), Some(1));
    assert!(missing.stderr.contains("nothing matches"), "{}", missing.stderr);
    let finished = bucket.rm("--raw /logs/[x].gz");
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    // A `*` also matches slashes.
    let finished = bucket.rm("/logs/*.gz --json");
    assert_eq!(event(&finished, "object-removed")["key"], "logs/a/3.gz");
    assert_eq!(event(&finished, "removal-summary")["objects"], 1);
    bucket.assert_keys(&["logs/4.gz.tmp", "other.gz"]);
    assert_eq!(bucket.rm("-r /logs/*").code(), Some(2));
}

#[test]
fn of_several_keys_each_is_reported() {
    let bucket = Bucket::at_haul_serve(&["a", "b", "c", "dir/1"]);
    let finished = bucket.rm("/a /gone /b -q");
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains(&format!("there is no object {}", bucket.url("gone"))));
    bucket.assert_keys(&["c", "dir/1"]);
    let dry = bucket.rm("/c --dry-run --json");
    assert_eq!(event(&dry, "object-would-be-removed")["key"], "c");
    bucket.assert_keys(&["c", "dir/1"]);
}

#[test]
fn a_whole_bucket_needs_r_and_filters_need_a_folder() {
    let bucket = Bucket::at_haul_serve(&["a", "b/c"]);
    let refused = bucket.rm("/");
    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr.contains("hint: haul rm -r s3://"), "{}", refused.stderr);
    let refused = bucket.rm("/a --exclude x");
    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr.contains("--exclude is for -r"), "{}", refused.stderr);
    bucket.assert_keys(&["a", "b/c"]);
    let finished = bucket.rm("-r /");
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    bucket.assert_keys(&[]);
}

#[test]
fn nothing_below_a_folder_ends_with_1() {
    let bucket = Bucket::at_haul_serve(&["dir"]);
    for words in ["-r /dir", "-r /nothing/ --dry-run"] {
        let finished = bucket.rm(words);
        assert_eq!(finished.code(), Some(1), "{words}");
        assert!(finished.stderr.contains("nothing is below"), "{}", finished.stderr);
    }
    bucket.assert_keys(&["dir"]);
}

/// The listing has two pages, and some keys contain characters with a meaning in URLs, XML or
/// shells.
#[test]
fn more_than_a_page_of_odd_keys_is_removed() {
    let plain = (0..1200).map(|n| format!("many/{n:04}"));
    let odd = ["a b", "a+b", "ü/日本語", "<x>&\"'", "%2F", "a//b", "..", "line\nbreak", " lead"];
    let odd = odd.iter().map(|name| format!("many/{name}"));
    let keys: Vec<String> = plain.chain(odd).collect();
    let bucket = Bucket::at_haul_serve(&["beside"]);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    bucket.put(&keys);
    let finished = bucket.rm("-r /many/ --json");
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    assert_eq!(event(&finished, "removal-summary")["objects"], keys.len());
    bucket.assert_keys(&["beside"]);
}

/// In a bucket that keeps every version, `haul rm` creates only delete markers, and reports that.
#[test]
fn versions_are_kept_and_reported() {
    let bucket = Bucket::at_rgw(&[]);
    let versions = "s3.put_bucket_versioning(Bucket=args[0], \
                    VersioningConfiguration={'Status': 'Enabled'})\nanswer(0)\n";
    python(&bucket.store, versions, &[&bucket.name]);
    bucket.put(&["v/a", "v/b"]);
    let finished = bucket.rm("-r /v/");
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
    let last = finished.stdout.lines().last();
    assert_eq!(last, Some("removed 2 objects; the bucket keeps their versions"));
    let count = "answer(len(s3.list_object_versions(Bucket=args[0])['Versions']))\n";
    assert_eq!(python(&bucket.store, count, &[&bucket.name]), 2);
    let forced = finish(
        bucket
            .world
            .haul(&bucket.store)
            .args(["rb", "--force"])
            .arg(format!("s3://{}", bucket.name)),
    );
    assert_eq!(forced.code(), Some(1), "{}", forced.stdout);
    assert!(forced.stderr.contains("haul removes no versions"), "{}", forced.stderr);
}

/// If a policy protects one key, that key is reported, the others are removed, and the exit code is
/// 1.
#[test]
fn a_key_that_is_refused_is_reported_and_the_rest_removed() {
    let server = ScriptedServer::start(|request: &Request| match request.method.as_str() {
        "GET" => Reply::of(
            "<ListBucketResult><IsTruncated>false</IsTruncated>\
             <Contents><Key>d/a</Key><Size>1</Size></Contents>\
             <Contents><Key>d/b</Key><Size>1</Size></Contents></ListBucketResult>",
        ),
        _ => Reply::of(
            "<DeleteResult><Deleted><Key>d/a</Key></Deleted><Error><Key>d/b</Key>\
             <Code>AccessDenied</Code><Message>protected</Message></Error></DeleteResult>",
        ),
    });
    let world = World::new();
    let finished =
        finish(world.haul(&server.store()).args(["rm", "-r", "s3://bucket/d/", "--json"]));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    let test = "removing_many::a_key_that_is_refused_is_reported_and_the_rest_removed";
    provokes(test, &events(&finished));
    assert_eq!(event(&finished, "object-removed")["key"], "d/a");
    let refused = event(&finished, "object-not-removed");
    assert_eq!((&refused["key"], &refused["code"]), (&"d/b".into(), &"AccessDenied".into()));
    let summary = event(&finished, "removal-summary");
    assert_eq!((&summary["objects"], &summary["failed"]), (&1.into(), &1.into()));
    assert!(finished.stderr.contains("cannot remove s3://bucket/d/b"), "{}", finished.stderr);
    assert_eq!(events(&finished).last().unwrap()["code"], "SomeNotRemoved");
}

/// After Ctrl-C no further request is sent, and the removed objects are reported. The listing here
/// is endless, so only the signal can end the command.
#[test]
fn a_signal_ends_a_removal_between_two_requests() {
    const PAGE: u64 = 2;
    let listed = Arc::new(AtomicU64::new(0));
    let (third, removals) = mpsc::channel();
    let (third, seen) = (Mutex::new(third), Arc::clone(&listed));
    let server = ScriptedServer::start(move |request: &Request| {
        if request.method == "GET" {
            let first = listed.fetch_add(PAGE, Ordering::SeqCst);
            let keys = (first..first + PAGE)
                .map(|n| format!("<Contents><Key>d/{n:09}</Key><Size>1</Size></Contents>"));
            let keys = keys.collect::<String>();
            return Reply::of(format!(
                "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>\
                 {first}</NextContinuationToken>{keys}</ListBucketResult>"
            ));
        }
        let _ = third.lock().unwrap().send(());
        // The answer lists every key so far. Keys that this request did not name do no harm.
        let all = (0..listed.load(Ordering::SeqCst))
            .map(|n| format!("<Deleted><Key>d/{n:09}</Key></Deleted>"));
        Reply::of(format!("<DeleteResult>{}</DeleteResult>", all.collect::<String>()))
    });
    let world = World::new();
    let mut command = world.haul(&server.store());
    let running = Running::start(command.args(["rm", "-r", "s3://bucket/d/", "--json"])).unwrap();
    for _ in 0..3 {
        removals.recv_timeout(LIMIT).unwrap();
    }
    running.signal(Signal::INT).unwrap();
    let finished = running.finish(LIMIT).unwrap();
    assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
    let summary = event(&finished, "removal-summary");
    let removed = events(&finished).iter().filter(|it| it["event"] == "object-removed").count();
    assert_eq!((&summary["objects"], &summary["failed"]), (&removed.into(), &0.into()));
    assert!(removed >= 6 && removed as u64 <= seen.load(Ordering::SeqCst), "{removed}");
    assert!(finished.stderr.contains("the rest stays"), "{}", finished.stderr);
}

#[test]
fn rb_force_removes_objects_and_unfinished_uploads() {
    for bucket in [Bucket::at_haul_serve(&["a", "b/c"]), Bucket::at_rgw(&["a", "b/c"])] {
        let begin = "answer(s3.create_multipart_upload(Bucket=args[0], Key='u')['UploadId'])\n";
        python(&bucket.store, begin, &[&bucket.name]);
        let url = format!("s3://{}", bucket.name);
        let refused = finish(bucket.world.haul(&bucket.store).args(["rb", &url]));
        assert_eq!(refused.code(), Some(1));
        assert!(refused.stderr.contains(&format!("haul rb --force {url}")), "{}", refused.stderr);
        bucket.assert_keys(&["a", "b/c"]);
        let finished = succeed(bucket.world.haul(&bucket.store).args(["rb", "--force", &url]));
        assert!(finished.stdout.contains("removed 1 unfinished upload"), "{}", finished.stdout);
        assert!(finished.stdout.ends_with(&format!("removed {url}\n")), "{}", finished.stdout);
        // A new bucket of the same name is empty: no object of the old bucket reappears.
        succeed(bucket.world.haul(&bucket.store).args(["mb", &url]));
        bucket.assert_keys(&[]);
        assert_no_upload_left(&bucket.store, &bucket.name);
    }
}
