//! `haul stat`: every attribute of an object, compared with what another client reads.

use haul_testkit::TestStore;
use haul_testkit::files::random_hex;
use haul_testkit::python::Venv;
use serde_json::Value;

use crate::world::{World, copy, event, python, succeed};

/// The flags of every attribute that LocalStack and Ceph RGW keep.
const FLAGS: [&str; 24] = [
    "--content-type",
    "text/x-test",
    "--content-language",
    "de",
    "--content-disposition",
    "attachment",
    "--content-encoding",
    "identity",
    "--cache-control",
    "no-cache",
    "--expires",
    "2999-01-31T12:00:00Z",
    "--metadata",
    "owner=me",
    "--tag",
    "team=a b",
    "--acl",
    "public-read",
    "--object-lock-mode",
    "governance",
    "--object-lock-retain-until",
    "2035-01-31",
    "--legal-hold",
    "on",
];

struct Written {
    world: World,
    bucket: String,
}

fn write(store: &TestStore, more: &[&str]) -> Written {
    let world = World::new();
    let bucket = format!("it-{}", random_hex(8).unwrap());
    let make = "s3.create_bucket(Bucket=args[0], ObjectLockEnabledForBucket=True)\nanswer(1)\n";
    python(store, make, &[&bucket]);
    let sample = world.sample("file", (11 << 20) + 1);
    let url = format!("s3://{bucket}/file");
    let mut command = copy(&world, store, &sample.path, &url);
    succeed(command.args(FLAGS).args(more).args(["--require-proof", "--part-size", "5MiB"]));
    Written { world, bucket }
}

/// Replaces the values that differ from run to run.
fn stable(shown: &str, bucket: &str) -> String {
    let line = |line: &str| {
        let (name, value) = line.split_at_checked(23).unwrap_or((line, ""));
        let varies = ["ETag", "Checksum", "Version", "Last modified", "Owner"];
        let text = if varies.contains(&name.trim()) {
            format!("{name}(varies)")
        } else if let Some(of) =
            ["haul-upload=", "mtime="].into_iter().find(|of| value.starts_with(of))
        {
            format!("{name}{of}(varies)")
        } else if name.trim() == "Grant" && !value.contains("http") {
            let permission = value.split(' ').next().unwrap_or_default();
            format!("{name}{permission} (owner)")
        } else {
            line.to_owned()
        };
        format!("{}\n", text.replace(bucket, "BUCKET"))
    };
    shown.lines().map(line).collect()
}

fn shown(store: &TestStore, written: &Written) -> String {
    let url = format!("s3://{}/file", written.bucket);
    stable(&succeed(written.world.haul(store).args(["stat", &url])).stdout, &written.bucket)
}

/// Compares `haul stat --json` with `aws s3api head-object`, field by field.
fn agrees_with_the_aws_command_line(store: &TestStore, written: &Written) {
    let url = format!("s3://{}/file", written.bucket);
    let ours = event(&succeed(written.world.haul(store).args(["stat", &url, "--json"])), "object");
    let mut aws = Venv::shared().command("aws", store);
    aws.args(["--endpoint-url", &store.endpoint]);
    aws.args(["s3api", "head-object", "--bucket", &written.bucket, "--key", "file"]);
    aws.args(["--checksum-mode", "ENABLED", "--output", "json"]);
    let theirs: Value = serde_json::from_str(&succeed(&mut aws).stdout).unwrap();
    let fields = [
        ("ContentLength", "/size_bytes"),
        ("ContentType", "/content_type"),
        ("ContentLanguage", "/content_language"),
        ("ContentDisposition", "/content_disposition"),
        ("ContentEncoding", "/content_encoding"),
        ("CacheControl", "/cache_control"),
        ("WebsiteRedirectLocation", "/website_redirect_location"),
        ("StorageClass", "/storage_class"),
        ("VersionId", "/version_id"),
        ("Metadata", "/metadata"),
        ("ServerSideEncryption", "/encryption/algorithm"),
        ("ObjectLockMode", "/lock/mode"),
        ("ObjectLockLegalHoldStatus", "/lock/legal_hold"),
    ];
    let absent = Value::Null;
    for (field, pointer) in fields {
        let (theirs, ours) = (theirs.get(field).unwrap_or(&absent), ours.pointer(pointer));
        assert_eq!(Some(theirs), ours, "{field}");
    }
    let etag = theirs["ETag"].as_str().unwrap().trim_matches('"');
    assert_eq!(ours["etag"], etag);
    let until = theirs["ObjectLockRetainUntilDate"].as_str().unwrap();
    assert!(until.starts_with("2035-01-31T00:00:00"), "{until}");
    assert_eq!(ours["lock"]["retain_until"], "2035-01-31T00:00:00Z");
    if let Some(checksum) = theirs.get("ChecksumCRC64NVME") {
        assert_eq!(&ours["checksum"]["value"], checksum);
    }
}

#[test]
fn localstack_stat_shows_every_attribute() {
    let store = TestStore::shared("LOCALSTACK");
    let more = ["--storage-class", "STANDARD_IA", "--sse", "AES256", "--website-redirect", "/x"];
    let written = write(&store, &more);
    agrees_with_the_aws_command_line(&store, &written);
    insta::assert_snapshot!(shown(&store, &written), @r"
    s3://BUCKET/file
      Size                 11534337 bytes (11.0 MiB)
      ETag                 (varies)
      Version              (varies)
      Last modified        (varies)
      Storage class        STANDARD_IA
      Parts                3
      Checksum             (varies)
      Content-Type         text/x-test
      Content-Encoding     identity
      Content-Disposition  attachment
      Content-Language     de
      Cache-Control        no-cache
      Expires              Thu, 31 Jan 2999 12:00:00 GMT
      Redirect             /x
      Metadata             haul-upload=(varies)
      Metadata             mtime=(varies)
      Metadata             owner=me
      Tag                  team=a b
      Owner                (varies)
      Grant                FULL_CONTROL (owner)
      Grant                READ http://acs.amazonaws.com/groups/global/AllUsers
      Encryption           AES256
      Lock                 GOVERNANCE
      Retained until       2035-01-31T00:00:00Z
      Legal hold           ON
    ");
}

#[test]
fn ceph_rgw_stat_shows_every_attribute() {
    let store = TestStore::shared("RGW");
    let written = write(&store, &[]);
    agrees_with_the_aws_command_line(&store, &written);
    insta::assert_snapshot!(shown(&store, &written), @r"
    s3://BUCKET/file
      Size                 11534337 bytes (11.0 MiB)
      ETag                 (varies)
      Version              (varies)
      Last modified        (varies)
      Parts                3
      Content-Type         text/x-test
      Content-Encoding     identity
      Content-Disposition  attachment
      Content-Language     de
      Cache-Control        no-cache
      Expires              Thu, 31 Jan 2999 12:00:00 GMT
      Metadata             haul-upload=(varies)
      Metadata             mtime=(varies)
      Metadata             owner=me
      Tag                  team=a b
      Owner                (varies)
      Grant                READ http://acs.amazonaws.com/groups/global/AllUsers
      Grant                FULL_CONTROL (owner)
      Lock                 GOVERNANCE
      Retained until       2035-01-31T00:00:00Z
      Legal hold           ON
    ");
}
