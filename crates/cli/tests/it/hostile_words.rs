//! Text from a store reaches the terminal only as escaped text: in every command, and in JSON too.

use haul_testkit::process::Finished;
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::world::{World, events, finish};

/// Clears the screen, with the 7-bit and with the 8-bit sequence, and reverses the direction of the
/// text that follows.
const HOSTILE: &str = "\u{1b}[2J\u{9b}2J\u{202e}\u{85}\u{7f}";
/// The same text in XML, which cannot hold an unescaped ESC.
const IN_XML: &str = "&#27;[2J\u{9b}2J\u{202e}\u{85}\u{7f}";

fn assert_harmless(said: &str, what: &str) {
    let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!said.contains(harmful), "{what}: {said:?}");
}

/// Runs the command with plain output, with a log, and with JSON, and asserts that each output is
/// harmless.
fn run_in_every_mode(
    words: &[&str],
    answer: impl Fn(&Request) -> Reply + Send + Sync + Clone + 'static,
) -> Finished {
    let mut first = None;
    for mode in [&[][..], &["-v", "-v", "-v"], &["--json"]] {
        let server = ScriptedServer::start(answer.clone());
        let world = World::new();
        world.sample("file", 12 << 20);
        let finished = finish(world.haul(&server.store()).args(words).args(mode));
        assert_harmless(&finished.stdout, "stdout");
        assert_harmless(&finished.stderr, "stderr");
        if mode == ["--json"] {
            assert_eq!(
                events(&finished).is_empty(),
                finished.stdout.is_empty(),
                "each line is JSON"
            );
        }
        first.get_or_insert(finished);
    }
    first.unwrap()
}

/// `<Message>&#27;[2J</Message>` once cleared the terminal; C1 controls, which need no ESC, did the
/// same, in names too.
#[test]
fn nothing_that_a_store_says_commands_the_terminal() {
    let refused = |_: &Request| {
        let rest = format!(
            "{IN_XML}</Message><RequestId>{IN_XML}</RequestId><Region>{IN_XML}</Region><Message>"
        );
        Reply::error(403, IN_XML, &rest)
    };
    let upload =
        ["cp", "file", "s3://bucket/key", "--part-size", "5MiB", "--multipart-threshold", "5MiB"];
    for words in [&["ls", "s3://bucket"][..], &["ls"], &["rb", "s3://bucket"], &upload] {
        let finished = run_in_every_mode(words, refused);
        assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
        assert!(
            finished.stderr.contains(r"\u{9b}2J"),
            "it is escaped and not left out: {}",
            finished.stderr
        );
    }
}

#[test]
fn names_ids_and_etags_of_a_listing_are_text() {
    let listing = |_: &Request| {
        Reply::xml(format!(
            "<ListBucketResult><Contents><Key>{IN_XML}</Key><ETag>{IN_XML}</ETag><Size>1</Size>\
             </Contents><CommonPrefixes><Prefix>{IN_XML}/</Prefix></CommonPrefixes>\
             </ListBucketResult>"
        ))
    };
    let finished = run_in_every_mode(&["ls", "s3://bucket"], listing);
    assert!(finished.stdout.contains(r"\u{9b}2J"), "{}", finished.stdout);
    let buckets = |_: &Request| {
        Reply::xml(format!(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>{IN_XML}</Name></Bucket></Buckets>\
                </ListAllMyBucketsResult>"
        ))
    };
    assert_eq!(run_in_every_mode(&["ls"], buckets).code(), Some(0));
    // JSON contains the exact name.
    let server = ScriptedServer::start(listing);
    let world = World::new();
    let finished = finish(world.haul(&server.store()).args(["ls", "-r", "--json", "s3://bucket"]));
    let names: Vec<_> =
        events(&finished).into_iter().filter_map(|event| event.get("key").cloned()).collect();
    assert_eq!(names, [HOSTILE]);
}

/// An UploadId appears in events, in errors, and in the hint that the user pastes.
#[test]
fn an_upload_id_is_text_and_can_be_pasted() {
    let answer = |request: &Request| match request.method.as_str() {
        "POST" => Reply::xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{IN_XML}</UploadId>\
                </InitiateMultipartUploadResult>"
        )),
        "HEAD" => Reply::of("").status(404),
        _ => Reply::error(403, "AccessDenied", "no"),
    };
    let upload =
        ["cp", "file", "s3://bucket/key", "--part-size", "5MiB", "--multipart-threshold", "5MiB"];
    let mut words = upload.to_vec();
    words.push("--no-journal");
    let finished = run_in_every_mode(&words, answer);
    assert_ne!(finished.code(), Some(0));
}
