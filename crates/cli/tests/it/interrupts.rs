//! Ctrl-C in the middle of an upload makes the command abort the upload at the store.

use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::process::{Running, Signal};

use crate::world::{LIMIT, PART, World, assert_keys, assert_no_upload_left, copy, make_bucket};

#[test]
fn abort_on_interrupt_leaves_nothing_and_exits_with_3() {
    for signal in [Signal::INT, Signal::TERM] {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(5).always());
        let sample = world.sample("file", 8 * PART);
        let store = server.store().at(proxy.endpoint());
        let url = format!("s3://{bucket}/file");
        let running = Running::start(copy(&world, &store, &sample.path, &url).args([
            "--part-size",
            "8MiB",
            "--abort-on-interrupt",
        ]))
        .unwrap();
        assert!(
            proxy.wait_until(LIMIT, |seen| seen
                .iter()
                .any(|request| request.part_number == Some(5)))
        );
        running.signal(signal).unwrap();

        let finished = running.finish(LIMIT).unwrap();
        assert_eq!(finished.code(), Some(3), "{}", finished.stderr);
        assert!(proxy.count(Kind::AbortMultipartUpload) >= 1);
        assert_keys(server.store(), &bucket, &[]);
        assert_no_upload_left(server.store(), &bucket);
    }
}
