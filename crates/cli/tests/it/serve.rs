//! `haul serve` as a program: its signals, its keys file, its log, and a disk that is full.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::process::{Signal, usage_of};
use haul_testkit::python::{Talk, Venv};
use haul_testkit::servers::HaulServe;
use serde_json::{Value, json};

use crate::world::{
    LIMIT, World, copy, finish, haul_binary, make_bucket, python, read_back, succeed,
};

fn keys(pairs: &[(&str, &str, &str)]) -> String {
    let pair = |(id, access, scope): &(&str, &str, &str)| {
        format!(
            "[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"secret-of-{id}\"\naccess = \
             \"{access}\"\nscopes = [{scope:?}]\n"
        )
    };
    pairs.iter().map(pair).collect()
}

/// Returns the same store with another access key.
fn known_as(store: &TestStore, id: &str) -> TestStore {
    TestStore { access_key: id.to_owned(), secret_key: format!("secret-of-{id}"), ..store.clone() }
}

#[test]
fn sighup_rereads_the_keys_and_a_mistake_keeps_the_old_ones() {
    let world = World::new();
    let file = world.path("keys.toml");
    fs::write(&file, keys(&[("READER", "read-only", "photos")])).unwrap();
    let arguments = ["--keys", file.to_str().unwrap()];
    let mut server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    let owner = server.store().clone();
    succeed(world.haul(&owner).args(["mb", "s3://photos"]));
    let sample = world.sample("file", MIB);
    succeed(&mut copy(&world, &owner, &sample.path, "s3://photos/2026/a"));
    let may_write = |id: &str, to: &str| {
        let finished = finish(&mut copy(&world, &known_as(&owner, id), &sample.path, to));
        if finished.code() != Some(0) {
            assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
            assert!(finished.stderr.contains(" 403 "), "{}", finished.stderr);
        }
        finished.code() == Some(0)
    };

    succeed(world.haul(&known_as(&owner, "READER")).args(["cp", "s3://photos/2026/a", "back"]));
    assert!(!may_write("READER", "s3://photos/2026/b"), "a read-only key wrote");
    assert!(!may_write("WRITER", "s3://photos/2026/b"), "an unknown key wrote");

    // The new file replaces the old keys; each of its keys is valid only below its prefix.
    fs::write(
        &file,
        keys(&[("WRITER", "read-write", "photos/2026/"), ("OTHER", "read-write", "x-y-z")]),
    )
    .unwrap();
    server.signal(Signal::HUP).unwrap();
    assert_eq!(server.event("keys-replaced", LIMIT).unwrap()["key_pairs"], 2);
    assert!(may_write("WRITER", "s3://photos/2026/b"));
    assert!(!may_write("WRITER", "s3://photos/2025/b"), "a key wrote outside its prefix");
    assert!(!may_write("OTHER", "s3://photos/2026/b"), "a key wrote outside its bucket");
    let gone = finish(world.haul(&known_as(&owner, "READER")).args(["ls", "s3://photos"]));
    assert!(gone.stderr.contains("InvalidAccessKeyId"), "{}", gone.stderr);

    fs::write(&file, "[[keys]]\naccess_key_id = \"secret-of-no-key\nscopes").unwrap();
    server.signal(Signal::HUP).unwrap();
    let kept = server.event("keys-kept", LIMIT).unwrap();
    let reason = kept["reason"].as_str().unwrap();
    assert!(
        reason.contains("keys.toml") && reason.contains("at line ") && !reason.contains("secret"),
        "{reason}"
    );
    assert!(may_write("WRITER", "s3://photos/2026/c"));
    assert!(!server.said().contains("secret-of-WRITER"));
}

/// Under `nohup`, SIGHUP was once ignored, and a revoked key stayed valid.
#[test]
fn sighup_reads_the_keys_again_under_nohup_too() {
    let world = World::new();
    let file = world.path("keys.toml");
    fs::write(&file, keys(&[("LEAVER", "read-write", "photos")])).unwrap();
    let arguments = ["--keys", file.to_str().unwrap()];
    let mut server =
        HaulServe::start_under_nohup(haul_binary(), &world.path("data"), &arguments).unwrap();
    let ignored = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1, 0, "SIGHUP is still ignored");
    let owner = server.store().clone();
    succeed(world.haul(&owner).args(["mb", "s3://photos"]));
    let list = || finish(world.haul(&known_as(&owner, "LEAVER")).args(["ls", "s3://photos"]));
    assert_eq!(list().code(), Some(0));

    fs::write(&file, keys(&[("OTHER", "read-write", "photos")])).unwrap();
    server.signal(Signal::HUP).unwrap();
    assert_eq!(server.event("keys-replaced", LIMIT).unwrap()["key_pairs"], 1);
    let gone = list();
    assert!(gone.stderr.contains("InvalidAccessKeyId"), "{}", gone.stderr);
}

/// When the keys file named the owner's own key, that key was once counted among the replaced ones
/// and kept its rights.
#[test]
fn a_keys_file_with_the_owners_key_is_refused() {
    let world = World::new();
    let file = world.path("keys.toml");
    fs::write(&file, keys(&[("WRITER", "read-write", "photos")])).unwrap();
    let arguments = ["--keys", file.to_str().unwrap()];
    let mut server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    let owner = server.store().clone();
    fs::write(&file, keys(&[(&owner.access_key, "read-only", "photos")])).unwrap();
    server.signal(Signal::HUP).unwrap();
    let kept = server.event("keys-kept", LIMIT).unwrap();
    assert!(kept["reason"].as_str().unwrap().contains("is the owner's own"), "{kept}");
    succeed(world.haul(&owner).args(["mb", "s3://photos"]));
    succeed(world.haul(&known_as(&owner, "WRITER")).args(["ls", "s3://photos"]));
    drop(server);
    let mut serve = world.haul_without_store();
    let refused =
        finish(serve.args(["serve", "--data", "data", "--listen", "127.0.0.1:0"]).args(arguments));
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("is the owner's own"), "{}", refused.stderr);
}

#[test]
fn sigterm_lets_a_running_upload_end_and_takes_no_new_one() {
    let world = World::new();
    let mut server = world.serve();
    let store = server.store().clone();
    let bucket = make_bucket(&world, &store);
    let mut upload =
        Talk::start(&Venv::shared(), include_str!("py/slow_upload.py"), &store, &[&bucket])
            .unwrap();
    assert_eq!(upload.line().unwrap(), "half");
    server.signal(Signal::TERM).unwrap();
    let address: SocketAddr = store.endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let end = Instant::now() + LIMIT;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
        assert!(Instant::now() < end, "new connections are still taken");
    }
    upload.say("go on").unwrap();
    assert_eq!(upload.line().unwrap(), "200");
    server.ended(LIMIT).unwrap();

    let server = world.serve();
    assert!(read_back(&server.store().clone(), &bucket, "slow").etag.len() > 30);
    let checked = finish(world.haul_without_store().args(["store", "check", "data"]));
    assert!(checked.stderr.contains("in use"), "{}", checked.stderr);
}

#[test]
fn every_request_has_a_line_in_the_log_with_its_id() {
    let world = World::new();
    let arguments = ["-v"];
    let server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    let bucket = make_bucket(&world, server.store());
    let script = r#"
ids = {"put": s3.put_object(Bucket=args[0], Key="key", Body=b"x", Metadata={"private": "hush"})}
try:
    s3.get_object(Bucket=args[0], Key="absent")
except botocore.exceptions.ClientError as error:
    ids["get"] = error.response
answer({name: answer["ResponseMetadata"]["RequestId"] for name, answer in ids.items()})
"#;
    let ids = python(server.store(), script, &[&bucket]);
    // The server writes a log line before it sends the answer.
    let said = server.said();
    let lines: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line_of = |id: &Value| {
        let of =
            |line: &&Value| line["span"]["id"] == *id && line["fields"]["message"] == "answered";
        lines.iter().find(of).unwrap_or_else(|| panic!("{id} is not in:\n{said}"))
    };
    for (name, method, path, status) in [("put", "PUT", "key", 200), ("get", "GET", "absent", 404)]
    {
        let fields = &line_of(&ids[name])["fields"];
        assert_eq!(
            (&fields["method"], &fields["status"]),
            (&json!(method), &json!(status)),
            "{fields}"
        );
        assert_eq!(fields["path"], json!(format!("/{bucket}/{path}")));
    }
    // hyper accepts bytes above ASCII, and terminals interpret some of them as commands.
    let address = server.store().endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /bkt/\xc2\x9b31m\xc3\xa4 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let said = server.said();
    assert!(!said.contains('\u{9b}') && said.contains(r#""path":"/bkt/\\u{9b}31mä""#), "{said}");
    // The log contains neither the secret nor any text that clients sent as object content.
    assert!(!said.contains(&server.store().secret_key), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

/// An unreadable document was once logged as a whole, with everything its sender had put into it.
#[test]
fn no_document_reaches_the_log() {
    let world = World::new();
    let server = HaulServe::start_with(haul_binary(), &world.path("data"), &["-vvv"]).unwrap();
    let bucket = make_bucket(&world, server.store());
    let script = r#"
import urllib.error, urllib.request
signing = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                       config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
upload = s3.create_multipart_upload(Bucket=args[0], Key="key")["UploadId"]
def is_malformed(method, operation, **params):
    url = signing.generate_presigned_url(operation, Params=dict(Bucket=args[0], **params))
    try:
        urllib.request.urlopen(urllib.request.Request(url, b"<Document><hush-hush", method=method))
    except urllib.error.HTTPError as error:
        return "<Code>MalformedXML</Code>" in error.read().decode()
answer([is_malformed("POST", "complete_multipart_upload", Key="key", UploadId=upload),
        is_malformed("PUT", "put_bucket_lifecycle_configuration")])
"#;
    assert_eq!(python(server.store(), script, &[&bucket]), json!([true, true]));
    let said = server.said();
    assert!(said.contains("\"status\":400"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn a_full_disk_is_answered_507_and_spares_what_is_there() {
    let world = World::new();
    let data = world.path("small");
    let server = HaulServe::start_on_small_disk(haul_binary(), &data, 64 * MIB).unwrap();
    let bucket = make_bucket(&world, server.store());
    // The disk is mounted only for the server; other processes see it through the server's root.
    let disk = format!("/proc/{}/root{}", server.id(), data.display());
    let told = python(server.store(), include_str!("py/full_disk.py"), &[&bucket, &disk]);
    assert_eq!(
        (&told["status"], &told["code"]),
        (&json!(507), &json!("InsufficientStorage")),
        "{told}"
    );
    assert!(told["taken"].as_u64().unwrap() >= 3, "{told}");
    for name in ["listed_are_taken", "before_is_intact", "after_is_intact"] {
        assert_eq!(told[name], true, "{name}: {told}");
    }
    // The space of the refused part is free again, except for a page or two of metadata.
    assert!(told["lost_bytes"].as_i64().unwrap() < 1 << 20, "{told}");
    assert_eq!(told["again"], 507, "{told}");
    // The operator must act, so the server prints the message even without a log.
    let said = server.said();
    assert!(said.contains("the disk of the store is full"), "{said}");
    assert!(!said.contains("answered"), "{said}");
}

#[test]
fn boto3_comes_in_by_https_and_metrics_are_elsewhere() {
    let world = World::new();
    let tls = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/it/tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let (certificate, key) = (file("server.pem"), file("server-test-only.key"));
    let arguments =
        ["--admin-listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
    let mut server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    let store = server.store().clone();
    assert!(store.endpoint.starts_with("https://127.0.0.1:"), "{}", store.endpoint);
    let script = r#"
import urllib.request
https = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"], verify=args[0],
                     config=Config(s3={"addressing_style": "path"}))
https.create_bucket(Bucket="secured")
# Over https boto3 sends a trailer instead of a header, which it does not over http.
https.put_object(Bucket="secured", Key="key", Body=b"sent", ChecksumAlgorithm="SHA256")
ask = lambda path: urllib.request.urlopen(args[1] + path).read().decode()
read = https.get_object(Bucket="secured", Key="key", ChecksumMode="ENABLED")
answer({"read": read["Body"].read().decode(), "health": ask("/health"), "metrics": ask("/metrics")})
"#;
    let admin = server.event("listening", LIMIT).unwrap();
    let told =
        python(&store, script, &[&file("ca.pem"), admin["admin_endpoint"].as_str().unwrap()]);
    assert_eq!(told["read"], "sent");
    assert!(told["health"].as_str().unwrap().contains("ok"), "{told}");
    let metrics = told["metrics"].as_str().unwrap();
    assert!(
        metrics.contains("haul_requests_total{method=\"PUT\",status=\"2xx\"} 2\n"),
        "{metrics}"
    );
}

/// A server that held whole parts in memory would need 768 MiB for three parts at once.
#[test]
fn memory_stays_small_whatever_the_size_of_parts() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    // The file is sparse: it takes no disk space, and the server cannot detect that.
    fs::File::create(world.path("file")).unwrap().set_len(768 * MIB).unwrap();
    for (part_size, concurrency) in [("256MiB", "3"), ("8MiB", "16")] {
        let to = format!("s3://{bucket}/{part_size}");
        let mut command = copy(&world, server.store(), world.path("file"), &to);
        succeed(command.args([
            "--part-size",
            part_size,
            "--concurrency",
            concurrency,
            "--memory",
            "1GiB",
        ]));
        succeed(world.haul(server.store()).args(["cp", &to, "back"]));
        fs::remove_file(world.path("back")).unwrap();
        succeed(world.haul(server.store()).args(["rm", &to]));
    }
    let peak_mib = usage_of(server.id()).unwrap().peak_memory_bytes / MIB;
    println!("peak memory: {peak_mib} MiB");
    assert!(peak_mib < 200, "{peak_mib} MiB");
}
