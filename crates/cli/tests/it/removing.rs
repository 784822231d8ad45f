//! `haul rm` reports an object as removed only if it existed.

use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::world::{World, assert_keys, event, finish, make_bucket, succeed};

struct Removing {
    world: World,
    server: haul_testkit::servers::HaulServe,
    bucket: String,
}

impl Removing {
    /// Creates a bucket with these objects.
    fn with(keys: &[&str]) -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        world.sample("file", MIB / 1024);
        let removing = Self { world, server, bucket };
        for key in keys {
            succeed(removing.world.haul(removing.server.store()).args([
                "cp",
                "file",
                &removing.url(key),
            ]));
        }
        removing
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    fn remove(&self, key: &str) -> Finished {
        finish(self.world.haul(self.server.store()).args(["rm", &self.url(key)]))
    }
}

/// `haul rm s3://demo/w/` once printed "removed" and ended with 0 while all seven objects below
/// `w/` stayed.
#[test]
fn a_folder_is_not_reported_as_removed() {
    let removing = Removing::with(&["w/1", "w/2", "w/deep/3", "x"]);
    for folder in ["w/", "w"] {
        let finished = removing.remove(folder);
        assert_eq!(
            (finished.code(), finished.stdout.as_str()),
            (Some(1), ""),
            "{}",
            finished.stderr
        );
        assert!(finished.stderr.contains("there is no object"), "{}", finished.stderr);
        let hint = format!("hint: haul ls -r {} shows what is below it", removing.url("w/"));
        assert!(finished.stderr.contains(&hint), "{}", finished.stderr);
        assert!(finished.stderr.contains("-r"), "{}", finished.stderr);
    }
    assert_keys(removing.server.store(), &removing.bucket, &["w/1", "w/2", "w/deep/3", "x"]);
}

#[test]
fn a_missing_key_ends_with_1() {
    let removing = Removing::with(&["a/there"]);
    let finished = removing.remove("a/gone");
    assert_eq!((finished.code(), finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
    assert!(
        finished.stderr.contains(&format!("hint: look for it: haul ls {}", removing.url("a/")))
    );
    let url = removing.url("a/gone");
    let finished =
        finish(removing.world.haul(removing.server.store()).args(["rm", &url, "--json"]));
    assert_eq!(event(&finished, "failed")["code"], "NoSuchKey");
}

#[test]
fn an_object_that_is_called_like_a_folder_is_removed_alone() {
    let removing = Removing::with(&["w/1"]);
    // Consoles create such objects to show an empty folder.
    let marker = removing.url("w/");
    let put = "s3.put_object(Bucket=args[0], Key='w/', Body=b'')\nanswer(0)\n";
    crate::world::python(removing.server.store(), put, &[&removing.bucket]);
    let finished = removing.remove("w/");
    assert_eq!((finished.code(), finished.stdout), (Some(0), format!("removed {marker}\n")));
    assert_keys(removing.server.store(), &removing.bucket, &["w/1"]);
}

#[test]
fn a_missing_bucket_is_reported_as_missing() {
    let removing = Removing::with(&[]);
    let finished = finish(
        removing.world.haul(removing.server.store()).args(["rm", "s3://no-such-bucket-here/key"]),
    );
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("NoSuchBucket"), "{}", finished.stderr);
}

/// Credentials that may delete but not read get 403 for every HEAD, whether or not the object
/// exists.
#[test]
fn without_the_right_to_look_it_is_removed_unchecked() {
    let answer = |request: &Request| match request.method.as_str() {
        "DELETE" => Reply::of("").status(204),
        _ => Reply::error(403, "AccessDenied", "not for you"),
    };
    let server = ScriptedServer::start(answer);
    let world = World::new();
    let finished = succeed(world.haul(&server.store()).args(["rm", "s3://bucket/key"]));
    assert_eq!(finished.stdout, "removed s3://bucket/key (existence not checked)\n");
    let finished = succeed(world.haul(&server.store()).args(["rm", "s3://bucket/key", "--json"]));
    assert_eq!(event(&finished, "object-removed")["existence_checked"], false);
    assert_eq!(server.seen().iter().filter(|request| request.method == "DELETE").count(), 2);
}
