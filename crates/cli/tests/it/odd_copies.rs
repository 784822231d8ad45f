//! Copies at stores that answer unlike AWS: with an error inside a 200, without a copy, or with an
//! ETag that no condition can name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use haul_testkit::process::Finished;
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::world::{World, event, finish};

const CONTENT: &[u8] = b"abc";
const ETAG: &str = "\"900150983cd24fb0d6963f7d28e17f72\"";
const COPIED: &str =
    "<CopyObjectResult><ETag>\"900150983cd24fb0d6963f7d28e17f72\"</ETag></CopyObjectResult>";

fn object(etag: &str) -> Reply {
    Reply::of(CONTENT)
        .with("ETag", etag)
        .with("Last-Modified", "Mon, 23 Nov 2026 04:30:14 GMT")
        .with("x-amz-request-id", "1")
}

fn is_copy(request: &Request) -> bool {
    request.header("x-amz-copy-source").is_some()
}

struct Copied {
    finished: Finished,
    server: ScriptedServer,
}

impl Copied {
    fn requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.server.seen().into_iter().filter(wanted).collect()
    }
}

/// Runs `haul cp s3://bucket/source s3://bucket/copy` at a store that answers the n-th CopyObject
/// with `copied(n)` and the n-th HEAD of the source with `source(n)`, both counted from 1.
fn copy(
    copied: impl Fn(u32) -> Reply + Send + Sync + 'static,
    source: impl Fn(u32) -> Reply + Send + Sync + 'static,
) -> Copied {
    let (copies, heads) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
    let server = ScriptedServer::start(move |request: &Request| {
        let is_source = request.path == "/bucket/source";
        match request.method.as_str() {
            "PUT" if is_copy(request) => copied(copies.fetch_add(1, Ordering::SeqCst) + 1),
            "PUT" => Reply::of("").with("ETag", ETAG),
            "GET" if request.parameter("tagging").is_some() => {
                Reply::error(501, "NotImplemented", "")
            }
            "HEAD" if is_source => source(heads.fetch_add(1, Ordering::SeqCst) + 1),
            "GET" if is_source => object(ETAG),
            _ => Reply::error(404, "NoSuchKey", ""),
        }
    });
    let world = World::new();
    let mut command = world.haul(&server.store());
    let finished = finish(command.args(["cp", "--json", "s3://bucket/source", "s3://bucket/copy"]));
    Copied { finished, server }
}

/// Trap 1: the store sends the status before it copies, and reports a failure in the document.
#[test]
fn an_error_inside_of_a_200_is_an_error() {
    let first_fails = |nth| match nth {
        1 => Reply::error(200, "InternalError", "We encountered an internal error."),
        _ => Reply::xml(COPIED),
    };
    let copied = copy(first_fails, |_| object(ETAG));
    assert_eq!(copied.finished.code(), Some(0), "{}", copied.finished.stderr);
    assert_eq!(copied.requests(is_copy).len(), 2);
    assert_eq!(event(&copied.finished, "copied")["proof"], "e-tag");
}

/// A store that does not know `x-amz-copy-source` treats the request as a PutObject of no bytes.
#[test]
fn a_store_that_does_not_copy_is_streamed() {
    let answers: [fn() -> Reply; 3] = [
        || Reply::of("").with("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\""),
        || Reply::error(405, "MethodNotAllowed", ""),
        || Reply::error(501, "NotImplemented", ""),
    ];
    for answer in answers {
        let copied = copy(move |_| answer(), |_| object(ETAG));
        assert_eq!(copied.finished.code(), Some(0), "{}", copied.finished.stderr);
        let report = event(&copied.finished, "copied");
        assert_eq!((&report["method"], &report["proof"]), (&"streamed".into(), &"e-tag".into()));
        assert_eq!(copied.requests(is_copy).len(), 1);
    }
}

#[test]
fn a_weak_etag_is_compared_after_the_copy() {
    let weak = "W/\"900150983cd24fb0d6963f7d28e17f72\"";
    let same = copy(|_| Reply::xml(COPIED), move |_| object(weak));
    assert_eq!(same.finished.code(), Some(0), "{}", same.finished.stderr);
    let sent = same.requests(is_copy);
    assert_eq!(sent[0].header("x-amz-copy-source-if-match"), None, "it would never hold");

    let changed =
        copy(|_| Reply::xml(COPIED), move |nth| object(if nth == 1 { weak } else { "W/\"2\"" }));
    assert_eq!(changed.finished.code(), Some(6), "{}", changed.finished.stdout);
    assert!(
        changed.finished.stdout.contains("W/"),
        "both versions are named: {}",
        changed.finished.stdout
    );
}
