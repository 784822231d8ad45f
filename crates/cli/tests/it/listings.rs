//! `haul ls` at stores whose lists are odd, broken, or endless.

use std::sync::atomic::{AtomicU64, Ordering};

use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::world::{World, events, finish, make_bucket, succeed};

fn list(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static, words: &[&str]) -> Finished {
    let server = ScriptedServer::start(answer);
    let world = World::new();
    finish(world.haul(&server.store()).arg("ls").args(words))
}

fn page(keys: &[&str], rest: &str) -> Reply {
    let object = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
    let objects: String = keys.iter().map(object).collect();
    Reply::xml(format!("<ListBucketResult><Name>bucket</Name>{objects}{rest}</ListBucketResult>"))
}

fn keys(finished: &Finished) -> Vec<String> {
    let key = |event: serde_json::Value| {
        event.get("key").or(event.get("prefix")).unwrap().as_str().unwrap().to_owned()
    };
    events(finished).into_iter().map(key).collect()
}

/// One key with U+FFFE once hid all others of its page: XML cannot hold that character, and the
/// only message was "the store answered 200".
#[test]
fn keys_that_xml_cannot_hold_are_listed() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    world.sample("file", MIB / 1024);
    let mut wanted = [
        "odd/\u{fffe}",
        "odd/\u{ffff}x",
        "odd/\u{1}\u{1b}[2J",
        "odd/a+b",
        "odd/a b",
        "odd/100%25",
        "odd/%2B",
        "odd/line\nbreak",
        "odd/<&>\"'",
        "odd/ü/deep",
    ];
    wanted.sort_unstable();
    for key in wanted {
        succeed(world.haul(server.store()).args(["cp", "file", &format!("s3://{bucket}/{key}")]));
    }
    let all =
        succeed(world.haul(server.store()).args(["ls", "-r", "--json", &format!("s3://{bucket}")]));
    assert_eq!(keys(&all), wanted);
    let below =
        succeed(world.haul(server.store()).args(["ls", "--json", &format!("s3://{bucket}/odd/")]));
    assert!(keys(&below).contains(&"odd/ü/".to_owned()), "{}", below.stdout);
    assert!(keys(&below).contains(&"odd/\u{fffe}".to_owned()), "{}", below.stdout);
}

/// One upload whose key contains U+FFFE once hid all others of its bucket: uploads were listed
/// without `encoding-type`, because two stores answer it wrongly.
#[test]
fn uploads_of_keys_that_xml_cannot_hold_are_listed() {
    let upload = |key: &str, id: u8| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>id{id}</UploadId>\
             <Initiated>2026-11-01T00:00:00.000Z</Initiated></Upload>"
        )
    };
    let uploads = move |keys: [&str; 2], rest: &str| {
        let [first, second] = [upload(keys[0], 1), upload(keys[1], 2)];
        let bucket = "<Bucket>bucket</Bucket><IsTruncated>false</IsTruncated>";
        Reply::xml(format!(
            "<ListMultipartUploadsResult>{bucket}{rest}{first}{second}</ListMultipartUploadsResult>"
        ))
    };
    let answer = move |request: &Request| {
        if request.parameter("uploads").is_none() {
            return Reply::xml(
                "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>",
            );
        }
        match request.parameter("encoding-type") {
            Some("url") => uploads(["a+b", "odd%EF%BF%BE"], "<EncodingType>url</EncodingType>"),
            _ => uploads(["a b", "odd\u{fffe}"], ""),
        }
    };
    let server = ScriptedServer::start(answer);
    let world = World::new();
    let listed = succeed(world.haul(&server.store()).args(["uploads", "--json", "s3://bucket"]));
    let found = events(&listed)
        .into_iter()
        .filter_map(|event| Some(event.get("key")?.as_str()?.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), ["a b", "odd\u{fffe}"], "{}", listed.stdout);
    let asked: Vec<_> =
        server.seen().into_iter().filter(|it| it.parameter("uploads").is_some()).collect();
    assert_eq!(asked.len(), 2, "plain, then encoded");
    assert_eq!(asked[0].parameter("encoding-type"), None);
}

/// If a page is not a list, the second request with `encoding-type` does not help either; the error
/// reports the first answer.
#[test]
fn a_page_in_place_of_a_list_of_uploads_is_reported() {
    let server = ScriptedServer::start(|request| match request.parameter("encoding-type") {
        None => Reply::of("<html><body>first</body></html>").with("Content-Type", "text/html"),
        Some(_) => Reply::error(400, "InvalidArgument", "second"),
    });
    let world = World::new();
    let listed = finish(world.haul(&server.store()).args(["uploads", "s3://bucket"]));
    assert_eq!(listed.code(), Some(1), "{}", listed.stderr);
    assert!(listed.stderr.contains("it is a web page"), "{}", listed.stderr);
}

#[test]
fn a_store_that_does_not_encode_keys_is_read_as_it_writes() {
    let listed = list(|_| page(&["a+b", "c%20d"], ""), &["-r", "--json", "s3://bucket"]);
    assert_eq!(keys(&listed), ["a+b", "c%20d"]);
    let encoded = "<EncodingType>url</EncodingType>";
    let listed =
        list(move |_| page(&["a+b", "c%20d%2Be"], encoded), &["-r", "--json", "s3://bucket"]);
    assert_eq!(keys(&listed), ["a b", "c d+e"]);
}

/// Listings of a store that ignores `list-type=2` were once cut off at 1,000 entries with exit code
/// 0: such a store answers as ListObjects does, without a continuation token.
#[test]
fn a_store_that_knows_only_version_1_is_listed_whole() {
    const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    for with_next_marker in [true, false] {
        let version_1 = move |request: &Request| {
            let marker = request.parameter("marker").unwrap_or_default();
            let rest: Vec<_> = KEYS.into_iter().filter(|key| *key > marker).collect();
            let shown = &rest[..rest.len().min(2)];
            let truncated = rest.len() > 2;
            let next = match shown.last() {
                Some(last) if with_next_marker && truncated => {
                    format!("<NextMarker>{last}</NextMarker>")
                }
                _ => String::new(),
            };
            page(shown, &format!("<IsTruncated>{truncated}</IsTruncated>{next}"))
        };
        let listed = list(version_1, &["-r", "--json", "s3://bucket"]);
        assert_eq!(listed.code(), Some(0), "{}", listed.stderr);
        assert_eq!(keys(&listed), KEYS);
    }
}

fn assert_gives_up(listed: &Finished, words: &str) {
    assert_eq!(listed.code(), Some(1), "{}", listed.stdout);
    assert!(listed.stderr.contains(words), "no {words:?} in: {}", listed.stderr);
    assert!(!listed.stderr.contains("answered 200"), "{}", listed.stderr);
}

/// A listing whose pages form a cycle was once followed for ever.
#[test]
fn a_list_without_an_end_is_given_up() {
    let truncated = |token: &str| {
        format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        )
    };
    let fresh = |pages: &AtomicU64| pages.fetch_add(1, Ordering::Relaxed).to_string();

    assert_gives_up(
        &list(move |_| page(&["a"], &truncated("t")), &["s3://bucket"]),
        "does not advance",
    );
    let pages = AtomicU64::new(0);
    let circle = move |_: &Request| {
        let number = pages.fetch_add(1, Ordering::Relaxed);
        page(&[&format!("key-{number}")], &truncated(&format!("token-{}", number % 5)))
    };
    assert_gives_up(&list(circle, &["s3://bucket"]), "continued where it was continued before");
    let pages = AtomicU64::new(0);
    let same_page = move |_: &Request| page(&["a", "b"], &truncated(&fresh(&pages)));
    assert_gives_up(&list(same_page, &["s3://bucket"]), "the same page came before");
    let pages = AtomicU64::new(0);
    let empty_pages = move |_: &Request| page(&[], &truncated(&fresh(&pages)));
    assert_gives_up(&list(empty_pages, &["s3://bucket"]), "its pages have no entries");
    // The store answers with version 1 and ignores `marker`.
    let ignores = |_: &Request| page(&["a", "b"], "<IsTruncated>true</IsTruncated>");
    assert_gives_up(&list(ignores, &["s3://bucket"]), "does not advance");
}

/// For each of these answers, `haul ls` once reported only "the store answered 200".
#[test]
fn a_list_that_cannot_be_read_says_what_is_wrong_with_it() {
    let cases: [(&str, &str); 5] = [
        ("<!DOCTYPE html><html><body>Console</body></html>", "it is a web page"),
        ("", "it is empty"),
        ("{\"error\": true}", "it is no XML and begins with \"{"),
        ("<Other><Key>a</Key></Other>", "Other"),
        (
            "<ListBucketResult><Contents><Key>\u{fffe}</Key></Contents></ListBucketResult>",
            "non-XML",
        ),
    ];
    for (body, words) in cases {
        let listed = list(move |_| Reply::xml(body), &["s3://bucket"]);
        assert_gives_up(&listed, words);
    }
}

/// A listing that a proxy had cut off was once taken for a complete, shorter one, with exit code 0.
#[test]
fn a_list_that_is_cut_off_is_asked_for_again() {
    let pages = AtomicU64::new(0);
    let broken_once = move |_: &Request| match pages.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::xml(
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Cont",
        ),
        _ => page(&["a", "b"], ""),
    };
    let listed = list(broken_once, &["-r", "--json", "s3://bucket"]);
    assert_eq!(listed.code(), Some(0), "{}", listed.stderr);
    assert_eq!(keys(&listed), ["a", "b"]);
}
