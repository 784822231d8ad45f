//! Downloads from stores that are broken, hostile, or merely unlike AWS: a download saves either
//! the exact object or nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use haul_testkit::files::random_hex;
use haul_testkit::process::Finished;
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::world::{World, finish};

/// Content of the object at every store here. None of these stores returns its MD5.
const CONTENT: &[u8] = b"what was stored";
const THEN: &str = "Mon, 23 Nov 2026 04:30:14 GMT";
const LATER: &str = "Mon, 23 Nov 2026 04:30:15 GMT";

struct Downloaded {
    finished: Finished,
    world: World,
    server: ScriptedServer,
}

impl Downloaded {
    fn file(&self) -> Option<Vec<u8>> {
        std::fs::read(self.world.path("back")).ok()
    }

    fn requests(&self, method: &str) -> Vec<Request> {
        self.server.seen().into_iter().filter(|request| request.method == method).collect()
    }

    fn assert_saved(&self) {
        assert_eq!(self.finished.code(), Some(0), "{}", self.finished.stderr);
        assert_eq!(self.file().as_deref(), Some(CONTENT));
    }

    /// Asserts that the exit code is `code`, that stderr contains `words`, and that no file exists,
    /// not even a temporary one.
    fn assert_failed(&self, code: i32, words: &str) {
        assert_eq!(self.finished.code(), Some(code), "{}", self.finished.stderr);
        assert!(self.finished.stderr.contains(words), "no {words:?} in: {}", self.finished.stderr);
        let left: Vec<_> = std::fs::read_dir(self.world.path("")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        for flag in ["--if-match", "--if-none-match"] {
            assert!(
                !self.finished.stderr.contains(flag),
                "{flag} was not given: {}",
                self.finished.stderr
            );
        }
    }
}

/// Runs `haul cp s3://bucket/key back` against a store that replies with `answer`.
fn download(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Downloaded {
    download_with(&[], answer)
}

fn download_with(
    more: &[&str],
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Downloaded {
    let server = ScriptedServer::start(answer);
    let world = World::new();
    let url = format!("s3://bucket/{}", random_hex(4).unwrap());
    let mut command = world.haul(&server.store());
    let finished = finish(command.args(["cp", &url, "back"]).args(more));
    Downloaded { finished, world, server }
}

/// Answers with the object from the requested offset.
fn object(request: &Request) -> Reply {
    let offset = request.header("range").map(|range| {
        range
            .strip_prefix("bytes=")
            .and_then(|range| range.strip_suffix('-'))
            .unwrap()
            .parse()
            .unwrap()
    });
    let whole = CONTENT.len();
    let reply = match offset {
        None => Reply::of(CONTENT),
        Some(offset) => Reply::of(&CONTENT[offset..])
            .status(206)
            .with("Content-Range", &format!("bytes {offset}-{}/{whole}", whole - 1)),
    };
    reply.with("x-amz-request-id", "1")
}

/// Answers with a first body that breaks off after six bytes; later bodies are complete.
fn breaking(request: &Request) -> Reply {
    if request.method == "HEAD" || request.header("range").is_some() {
        return object(request);
    }
    Reply::of(&CONTENT[..6]).announcing(CONTENT.len() as u64).with("x-amz-request-id", "1")
}

/// Every download from some stores once ended in 412, exit code 8 and a hint about flags that were
/// not given. A compressing proxy makes ETags weak (`W/"…"`), and the client sent them back as
/// `If-Match`, which a weak ETag never satisfies.
#[test]
fn a_weak_etag_is_not_sent_back_as_if_match() {
    for etag in [Some("W/\"abc\""), Some("\"\""), None] {
        let with_etag = move |request: &Request| {
            if request.header("if-match").is_some() {
                return Reply::error(412, "PreconditionFailed", "a weak tag never matches");
            }
            let reply = breaking(request).with("Last-Modified", THEN);
            etag.map_or(reply.clone(), |etag| reply.with("ETag", etag))
        };
        let downloaded = download(with_etag);
        downloaded.assert_saved();
        assert_eq!(
            downloaded.requests("GET").len(),
            2,
            "{etag:?}: and after a break it was continued"
        );
    }
}

/// Without a strong ETag the store cannot detect that a continued download would mix two versions.
#[test]
fn without_a_strong_etag_times_tell_versions_apart() {
    for etag in ["W/\"abc\"", ""] {
        let changes = move |request: &Request| {
            let time = if request.header("range").is_some() { LATER } else { THEN };
            breaking(request).with("Last-Modified", time).with("ETag", etag)
        };
        download(changes).assert_failed(6, "changed at the store while it was read");
    }
    // The new version is shorter than the bytes that have already arrived.
    let heads = AtomicU32::new(0);
    let shrinks = move |request: &Request| {
        let later = request.method == "HEAD" && heads.fetch_add(1, Ordering::Relaxed) > 0;
        match request.header("range") {
            Some(_) => Reply::error(416, "InvalidRange", "not satisfiable"),
            None if later => Reply::of("short").with("x-amz-request-id", "1"),
            None => breaking(request),
        }
    };
    download(shrinks).assert_failed(6, "it has 5 bytes instead of 15");
}

#[test]
fn an_object_that_is_replaced_during_its_download_is_not_mixed() {
    let replaced = |request: &Request| {
        if request.header("range").is_some() {
            return Reply::error(412, "PreconditionFailed", "it is another one now");
        }
        breaking(request).with("ETag", "\"one\"")
    };
    // The second HEAD names another version.
    let heads = AtomicU32::new(0);
    let downloaded = download(move |request| {
        let first = request.method != "HEAD" || heads.fetch_add(1, Ordering::Relaxed) == 0;
        if first { replaced(request) } else { object(request).with("ETag", "\"two\"") }
    });
    downloaded.assert_failed(6, "its ETag is \"two\" instead of \"one\"");
    assert!(downloaded.finished.stderr.contains("hint: run the same command again"));
}

/// If a proxy weakens ETags only in answers to GET, even a strong `If-Match` fails.
#[test]
fn if_match_that_fails_for_the_same_version_is_left_out() {
    let downloaded = download(|request| match request.header("if-match") {
        Some(_) => Reply::error(412, "PreconditionFailed", "W/ is not equal"),
        None => object(request).with("ETag", "\"abc\""),
    });
    downloaded.assert_saved();
    assert_eq!(downloaded.requests("GET").len(), 2);
}

#[test]
fn the_answer_to_get_must_be_of_the_version_that_head_named() {
    let other_etag = |request: &Request| {
        object(request).with("ETag", if request.method == "HEAD" { "\"one\"" } else { "\"two\"" })
    };
    download(other_etag).assert_failed(6, "its ETag is \"two\" instead of \"one\"");
    let longer = |request: &Request| match request.method.as_str() {
        "HEAD" => object(request),
        _ => Reply::of("what was stored, and more").with("x-amz-request-id", "1"),
    };
    download(longer).assert_failed(6, "it has 25 bytes instead of 15");
}

/// The web console of a store answers every path with 200 and a page; such a page was once saved
/// under the object's name, with exit code 0.
#[test]
fn a_page_is_not_taken_for_an_object() {
    const PAGE: &str = "<!doctype html><title>Console</title>";
    let page = |_: &Request| Reply::of(PAGE).with("Content-Type", "text/html; charset=utf-8");
    download(page)
        .assert_failed(1, "a page (text/html; charset=utf-8) without ETag and Last-Modified");
    download(move |request| page(request).with("Last-Modified", THEN)).assert_failed(1, "a page");
    let of_a_web_server = move |request: &Request| {
        page(request).with("Last-Modified", THEN).with("ETag", "\"6561a2b6-25\"")
    };
    download(of_a_web_server).assert_failed(1, "a page");
    // The user's session at a proxy ends between the two requests, and the proxy answers GET with
    // its login form.
    let later = move |request: &Request| match request.method.as_str() {
        "HEAD" => object(request).with("ETag", "\"one\""),
        _ => page(request),
    };
    let downloaded = download(later);
    downloaded.assert_failed(1, "a page");
    assert!(downloaded.finished.stderr.contains("hint: is the endpoint the S3 port"));
}

/// An HTML page that is stored as an object is saved like any object.
#[test]
fn a_page_that_is_an_object_is_saved() {
    download(|request| object(request).with("Content-Type", "text/html")).assert_saved();
}

#[test]
fn an_answer_without_a_length_is_not_an_empty_object() {
    let downloaded = download(|request| {
        let reply = object(request);
        if request.method == "HEAD" { reply.in_chunks(1) } else { reply }
    });
    downloaded.assert_failed(1, "announces no length");
}

/// A body that ended cleanly with zero bytes was once requested again immediately, thousands of
/// times a second.
#[test]
fn an_empty_but_clean_body_counts_as_an_attempt() {
    let downloaded = download_with(&["--max-attempts", "3"], |request| {
        if request.method == "HEAD" { object(request) } else { object(request).in_chunks(0) }
    });
    downloaded.assert_failed(1, "the body ended after 0 of 15 bytes");
    assert_eq!(downloaded.requests("GET").len(), 3);
    assert!(
        downloaded.finished.stderr.contains("after 3 attempts"),
        "{}",
        downloaded.finished.stderr
    );
}

/// A download once accepted 1,000,000,000 bytes where the store had announced 1,000.
#[test]
fn a_download_stops_at_the_announced_size() {
    let endless = |request: &Request| match request.method.as_str() {
        "HEAD" => object(request),
        _ => Reply::of(vec![b'x'; 1 << 20]).in_chunks(u64::MAX).with("x-amz-request-id", "1"),
    };
    download(endless).assert_failed(7, "more arrives than the 15 bytes that the store announced");
    // The store sends the announced bytes first, and then more.
    let appended = |request: &Request| match request.method.as_str() {
        "HEAD" => object(request),
        _ => object(request).in_chunks(2),
    };
    download(appended).assert_failed(7, "more arrives than the 15 bytes that the store announced");
}

#[test]
fn a_store_that_ignores_range_is_continued_at_the_right_byte() {
    let downloaded = download(|request| {
        let whole = || Reply::of(CONTENT).with("x-amz-request-id", "1");
        if request.header("range").is_some() { whole() } else { breaking(request) }
    });
    downloaded.assert_saved();
    assert_eq!(downloaded.requests("GET").len(), 2);
}
