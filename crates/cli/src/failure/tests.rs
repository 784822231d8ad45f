//! Tests the failure reports for people and programs.

use anyhow::Context;
use haul::ObjectRef;
use haul::parts::UploadId;
use haul::remote::Operation;

use super::*;

fn at(address: &str) -> ObjectRef {
    address.parse().unwrap()
}

fn told(error: EngineError, address: &str) -> String {
    let address = Address::parse(address).unwrap();
    let context = FailureContext::at(format!("cannot upload video.mov to {address}"), &address);
    let failed = Err::<(), _>(error).context(context).unwrap_err();
    let failure = Failure::of(&failed);
    format!("{}\nexit {}, {}", failure.lines(str::to_owned), failure.exit_code, failure.code)
}

fn refused(status: u16, code: &str, message: &str) -> EngineError {
    EngineError::Store {
        subject: at("s3://bucket/video.mov").into(),
        part: Some("7".parse().unwrap()),
        attempts: 3,
        source: Box::new(StoreError::answered(Operation::UploadPart, status, Some(code), message)),
    }
}

/// Compares a report line by line.
fn assert_lines(report: &str, expected: &[&str]) {
    assert_eq!(report.trim_end().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_refusal_says_what_where_why_and_what_next() {
    assert_lines(
        &told(refused(403, "AccessDenied", "no"), "s3://bucket/video.mov"),
        &[
            "error: cannot upload video.mov to s3://bucket/video.mov",
            "  caused by: s3://bucket/video.mov, part 7, after 3 attempts",
            "  caused by: UploadPart: the store answered 403 AccessDenied: no",
            "hint: the keys in use may not do this here; check the bucket policy, or choose others \
             with --profile",
            "exit 1, AccessDenied",
        ],
    );
}

#[test]
fn of_the_causes_below_the_store_only_the_root_is_shown() {
    let root = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let layers = anyhow::Error::from(root).context("io error").context("dispatch failure");
    let error = StoreError::local(
        Operation::UploadPart,
        StoreErrorKind::Connection,
        "the connection broke",
    )
    .with_source(layers);
    insta::assert_snapshot!(
        told(EngineError::of_store(at("s3://bucket/a"), error), "s3://bucket/a"),
        @r"
    error: cannot upload video.mov to s3://bucket/a
      caused by: UploadPart: the connection broke
      caused by: connection reset
    hint: is the endpoint right and reachable? see --endpoint and AWS_ENDPOINT_URL
    exit 1, Connection
    "
    );
}

#[test]
fn what_a_person_asked_for_is_no_error() {
    let paused = EngineError::Paused {
        object: "s3://demo/a".parse().unwrap(),
        id: "0e50c57f2f7a".into(),
        arrived_bytes: 293_601_280,
        size_bytes: 3 << 30,
        source: None,
    };
    assert_lines(
        &told(paused, "local://demo/a"),
        &[
            "paused: local://demo/a at 280.0 MiB of 3.0 GiB",
            "hint: run the same command again, or haul resume 0e50c57f2f7a; haul abort \
             0e50c57f2f7a removes what is there",
            "exit 3, Paused",
        ],
    );
    let cancelled = EngineError::Cancelled { object: at("s3://demo/a") };
    insta::assert_snapshot!(told(cancelled, "s3://demo/a"), @r"
    interrupted: s3://demo/a: the upload stopped; nothing of it is left at the store
    exit 3, Cancelled
    ");
}

#[test]
fn hints_name_the_persons_own_bucket() {
    let missing = StoreError::answered(Operation::PutObject, 404, Some("NoSuchBucket"), "");
    insta::assert_snapshot!(
        told(EngineError::of_store(at("s3://demo/a"), missing), "local://demo/a"),
        @r"
    error: cannot upload video.mov to local://demo/a
      caused by: PutObject: the store answered 404 NoSuchBucket
    hint: create it first: haul mb local://demo; or check its name and --endpoint
    exit 1, NoSuchBucket
    "
    );
}

/// Both the upload and the removal of its parts failed.
#[test]
fn leftovers_are_reported_with_causes_and_the_removal_command() {
    let denied = StoreError::answered(
        haul::remote::Operation::AbortMultipartUpload,
        403,
        Some("AccessDenied"),
        "no",
    );
    let error = EngineError::LeftBehind {
        object: "s3://bucket/a".parse().unwrap(),
        upload_id: UploadId::new("u").unwrap(),
        cleanup: Box::new(denied),
        source: Box::new(refused(500, "InternalError", "later")),
    };
    let address = Address::parse("s3://bucket/a").unwrap();
    let context = FailureContext::at("cannot copy a to s3://bucket/a", &address);
    let context = context.found_by(UploadLocator::Journal("0e50c57f2f7a".into()));
    let failed = Err::<(), _>(error).context(context).unwrap_err();
    assert_lines(
        &Failure::of(&failed).lines(str::to_owned).to_string(),
        &[
            "error: cannot copy a to s3://bucket/a",
            "  caused by: s3://bucket/a: parts of upload u could not be removed: \
             AbortMultipartUpload: the store answered 403 AccessDenied: no",
            "  caused by: s3://bucket/video.mov, part 7, after 3 attempts",
            "  caused by: UploadPart: the store answered 500 InternalError: later",
            "hint: abort it with keys that may do so: haul abort 0e50c57f2f7a",
        ],
    );
}

#[test]
fn every_ending_that_a_script_must_tell_apart_has_its_code() {
    let object: haul::ObjectRef = "s3://bucket/key".parse().unwrap();
    let upload_id = UploadId::new("u").unwrap();
    let gone =
        || Box::new(StoreError::local(Operation::HeadObject, StoreErrorKind::Connection, "gone"));
    let check = |error: EngineError, expect: Exit| {
        let error = anyhow::Error::from(error).context(FailureContext::of("failed"));
        assert_eq!(Failure::of(&error).exit, expect, "{error:?}");
    };
    let cancelled = || EngineError::Cancelled { object: object.clone() };
    check(cancelled(), Exit::Interrupted);
    check(
        EngineError::InDoubt {
            object: object.clone(),
            upload_id: upload_id.clone(),
            source: gone(),
        },
        Exit::InDoubt,
    );
    check(EngineError::PutInDoubt { object: object.clone(), source: gone() }, Exit::InDoubt);
    check(
        EngineError::LeftBehind {
            object: object.clone(),
            upload_id,
            cleanup: gone(),
            source: Box::new(cancelled()),
        },
        Exit::LeftBehind,
    );
    check(EngineError::Corrupt { object: object.clone(), detail: "CRC".into() }, Exit::NotProven);
    check(EngineError::CorruptObject { object, detail: "CRC".into() }, Exit::NotProven);
    check(refused(412, "PreconditionFailed", ""), Exit::Precondition);
    let missing = StoreError::answered(Operation::PutObject, 404, Some("NoSuchKey"), "");
    check(EngineError::of_store(at("s3://bucket/key"), missing), Exit::Precondition);
    let missing = StoreError::answered(Operation::GetObject, 404, Some("NoSuchKey"), "");
    check(EngineError::of_store(at("s3://bucket/key"), missing), Exit::Failed);
    check(refused(409, "ConditionalRequestConflict", ""), Exit::Precondition);
    check(refused(500, "InternalError", ""), Exit::Failed);
    check(EngineError::Configuration("no region".into()), Exit::Usage);
    assert_eq!(Failure::of(&Usage::new("no", "yes").into()).exit, Exit::Usage);
}

/// A damaged download and a damaged upload need different actions.
#[test]
fn damage_is_reported_for_the_right_side() {
    let object: haul::ObjectRef = "s3://bucket/a".parse().unwrap();
    let detail = "its checksum is not that of its parts".to_owned();
    let corrupt = EngineError::CorruptObject { object: object.clone(), detail };
    assert_lines(
        &told(corrupt, "s3://bucket/a"),
        &[
            "error: cannot upload video.mov to s3://bucket/a",
            "  caused by: s3://bucket/a: the object at the store is not what was sent: its \
             checksum is not that of its parts",
            "hint: do not use that object; run the same command again to replace it; if it fails \
             again, the store is damaged",
            "exit 7, Corrupt",
        ],
    );
    let detail = "its ETag is not the MD5 of what arrived".to_owned();
    assert_lines(
        &told(EngineError::Corrupt { object, detail }, "s3://bucket/a"),
        &[
            "error: cannot upload video.mov to s3://bucket/a",
            "  caused by: s3://bucket/a: what arrived is not what was stored: its ETag is not the \
             MD5 of what arrived",
            "hint: run the same command again; if it fails again, the stored object is damaged",
            "exit 7, Corrupt",
        ],
    );
}

#[test]
fn programs_get_the_same_facts() {
    let error = anyhow::Error::from(refused(503, "SlowDown", "later"))
        .context(FailureContext::of("cannot upload"));
    insta::assert_snapshot!(
        serde_json::to_string(&Failure::of(&error)).unwrap(),
        @"\
            {\"event\":\"failed\",\"code\":\"SlowDown\",\"advice\":\"retry\",\"exit_code\":1,\
            \"message\":\"cannot upload\",\"causes\":[\"s3://bucket/video.mov, part 7, after 3 \
            attempts\",\"UploadPart: the store answered 503 SlowDown: later\"],\"hint\":\"the \
            store asks for less; lower --concurrency\"}"
    );
}

/// Regression: the `<Message>` of an error document could clear the terminal, and a line break in
/// it could forge a second error.
#[test]
fn a_store_cannot_command_the_terminal_by_its_error() {
    let hostile = refused(403, "Denied\u{9b}2J", "no\u{1b}[2J\u{202e}\nerror: all is lost\r");
    let address = Address::parse("s3://bucket/video.mov").unwrap();
    let failed =
        Err::<(), _>(hostile).context(FailureContext::at("cannot upload", &address)).unwrap_err();
    assert_lines(
        &Failure::of(&failed).lines(str::to_owned).to_string(),
        &[
            "error: cannot upload",
            "  caused by: s3://bucket/video.mov, part 7, after 3 attempts",
            r"  caused by: UploadPart: the store answered 403 Denied\u{9b}2J: no\u{1b}[2J\u{202e}",
            r"             error: all is lost\r",
            "hint: the keys in use may not do this here; check the bucket policy, or choose others \
             with --profile",
        ],
    );
}

#[test]
fn a_message_without_end_is_cut_off() {
    let long = told(refused(403, "AccessDenied", &"x".repeat(1 << 20)), "s3://bucket/video.mov");
    assert!(long.len() < 3000 && long.contains("xxx…"), "{} bytes", long.len());
}
