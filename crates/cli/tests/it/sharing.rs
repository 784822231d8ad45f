//! `haul cat` and `haul presign`.

use haul_testkit::TestStore;
use haul_testkit::files::MIB;

use crate::world::{World, assert_keys, event, finish, make_bucket, python, succeed};

/// Requests a URL with Python's standard HTTP client, which does not sign requests.
const FETCH: &str = "import urllib.request, urllib.error, hashlib\n\
    try:\n    \
        request = urllib.request.Request(args[0], method=args[1], \
            data=args[2].encode() if args[1] == 'PUT' else None)\n    \
        body = urllib.request.urlopen(request).read()\n    \
        answer([200, hashlib.sha256(body).hexdigest()])\n\
    except urllib.error.HTTPError as error:\n    \
        answer([error.code, ''])\n";

fn stores(world: &World) -> (haul_testkit::servers::HaulServe, [TestStore; 2]) {
    let server = world.serve();
    let stores = [server.store().clone(), TestStore::shared("RGW")];
    (server, stores)
}

#[test]
fn a_presigned_url_reads_or_writes_and_does_nothing_else() {
    let world = World::new();
    let (_server, stores) = stores(&world);
    for store in stores {
        let bucket = make_bucket(&world, &store);
        let sample = world.sample("file", MIB / 1024);
        let url = format!("s3://{bucket}/dir/a key+ü.bin");
        succeed(world.haul(&store).arg("cp").arg(&sample.path).arg(&url));
        let fetch = |url: &str, method: &str| python(&store, FETCH, &[url, method, "new"]);

        let get = succeed(world.haul(&store).args(["presign", &url])).stdout;
        let get = get.trim();
        assert_eq!(fetch(get, "GET"), serde_json::json!([200, sample.sha256]));
        assert_eq!(fetch(get, "PUT")[0], 403, "a URL for GET does not write");
        assert_eq!(fetch(&get.replace("dir/", "other/"), "GET")[0], 403);

        let new = format!("s3://{bucket}/new");
        let put = succeed(world.haul(&store).args([
            "presign",
            &new,
            "--method",
            "put",
            "--expires",
            "7d",
            "--json",
        ]));
        let put = event(&put, "presigned");
        assert_eq!(put["method"], "PUT");
        assert_eq!(fetch(put["url"].as_str().unwrap(), "PUT")[0], 200);
        assert_keys(&store, &bucket, &["dir/a key+ü.bin", "new"]);
    }
}

#[test]
fn a_presigned_url_expires() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let sample = world.sample("file", 1000);
    let url = format!("s3://{bucket}/k");
    succeed(world.haul(store).arg("cp").arg(&sample.path).arg(&url));
    // Signed two hours ago, for one hour.
    let mut signing = world.haul(store);
    signing.args(["presign", &url, "--expires", "1h"]);
    let old = succeed(&mut crate::world::at_another_time(&signing, "-2h")).stdout;
    let answer = python(store, FETCH, &[old.trim(), "GET", ""]);
    assert_eq!(answer[0], 403);
}

#[test]
fn what_cannot_be_presigned_is_refused_in_words() {
    let world = World::new();
    let refused = |words: &str| {
        let finished = finish(world.haul_without_store().args(words.split(' ')));
        assert_eq!(finished.code(), Some(2), "{words}: {}", finished.stdout);
        finished.stderr
    };
    let local = refused("presign local://demo/k");
    assert!(local.contains("no lasting endpoint") && local.contains("haul serve"), "{local}");
    let long = refused("presign s3://demo/k --expires 8d");
    assert!(long.contains("7 days at most"), "{long}");
    refused("presign s3://demo");
    refused("presign s3://demo/k --method DELETE");
}

#[test]
fn cat_writes_objects_one_after_the_other() {
    let world = World::new();
    let (_server, stores) = stores(&world);
    for store in stores {
        let bucket = make_bucket(&world, &store);
        let mut wanted = String::new();
        for (name, lines) in [("one", 100), ("two", 0), ("three", 10_000)] {
            let text = format!("line of {name}\n").repeat(lines);
            std::fs::write(world.path(name), &text).unwrap();
            let url = format!("s3://{bucket}/{name}");
            succeed(world.haul(&store).args(["cp", name, &url]));
            wanted += &text;
        }
        let urls = ["one", "two", "three"].map(|name| format!("s3://{bucket}/{name}"));
        let finished = succeed(world.haul(&store).arg("cat").args(&urls));
        assert!(finished.stdout == wanted, "{} bytes came", finished.stdout.len());
        // `cat` stops at a missing object, because later objects would be at the wrong offset.
        let gone = [urls[0].clone(), format!("s3://{bucket}/gone"), urls[2].clone()];
        let finished = finish(world.haul(&store).arg("cat").args(&gone));
        assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
        assert_eq!(finished.stdout, "line of one\n".repeat(100));
    }
    let json = finish(world.haul_without_store().args(["cat", "s3://bucket/k", "--json"]));
    assert_eq!(json.code(), Some(2));
}
