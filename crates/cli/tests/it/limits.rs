//! Uploads that exceed the limits of the protocol are refused before anything is sent.

use std::fs::File;

use haul_testkit::chaos::ChaosProxy;
use haul_testkit::files::MIB;

use crate::world::{World, copy, finish, make_bucket};

/// The part size would result in 10,001 parts. The file is sparse: a refusal must not read it.
#[test]
fn too_many_parts_are_refused_before_anything_is_sent() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let store = server.store().at(proxy.endpoint());
    File::create(world.path("huge")).unwrap().set_len(10_000 * 5 * MIB + 1).unwrap();

    let url = format!("s3://{bucket}/huge");
    let finished = finish(copy(&world, &store, "huge", &url).args(["--part-size", "5MiB"]));

    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    for word in ["error: ", "10001", "10000", "6 MiB"] {
        let text = finished.stderr.replace(',', "");
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    assert!(proxy.seen().is_empty(), "something was sent: {:?}", proxy.seen());
}

#[test]
fn parts_below_five_mib_are_refused_before_anything_is_sent() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    let store = server.store().at(proxy.endpoint());
    let sample = world.sample("file", 20 * MIB);

    let url = format!("s3://{bucket}/file");
    let finished = finish(copy(&world, &store, &sample.path, &url).args(["--part-size", "1MiB"]));

    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("5 MiB") || finished.stderr.contains("5.0 MiB"),
        "{}",
        finished.stderr
    );
    assert!(proxy.seen().is_empty(), "something was sent: {:?}", proxy.seen());
}
