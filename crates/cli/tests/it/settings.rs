//! Settings with common mistakes: empty, incomplete, with a password, with a newline.

use haul_testkit::files::MIB;
use haul_testkit::network::CannedServer;
use haul_testkit::process::Finished;

use crate::world::{World, copy, finish, make_bucket, read_back, succeed};

fn assert_refused(finished: &Finished, said: &[&str]) {
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr);
    for said in said {
        assert!(finished.stderr.contains(said), "{said} is missing in:\n{}", finished.stderr);
    }
}

/// `haul` once panicked and ended with 101 when the keys ended in a newline, as Kubernetes secrets
/// do that were created with `echo`.
#[test]
fn keys_that_end_in_a_newline_upload_like_others() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 20 * MIB);
    let mut upload = copy(&world, server.store(), &sample.path, &format!("s3://{bucket}/file"));
    upload.env("AWS_ACCESS_KEY_ID", format!("{}\n", server.store().access_key));
    upload.env("AWS_SECRET_ACCESS_KEY", format!("{}\r\n", server.store().secret_key));
    succeed(&mut upload);
    assert_eq!(read_back(server.store(), &bucket, "file").sha256, sample.sha256);
}

#[test]
fn a_key_id_that_no_header_takes_is_refused_in_words() {
    let world = World::new();
    let server = world.serve();
    let finished = finish(world.haul(server.store()).arg("ls").env("AWS_ACCESS_KEY_ID", "A\nK"));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("the access key id has a blank, a line break"),
        "{}",
        finished.stderr
    );
}

/// A password in the endpoint once appeared in `Host:`, in the journal, in `haul uploads --json`
/// and in hints.
#[test]
fn a_password_in_the_endpoint_is_refused_without_repeating_it() {
    let world = World::new();
    let server = CannedServer::always("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").unwrap();
    let url = format!("http://user:hunter2@{}", server.address());
    let mut by_flag = world.haul_without_store();
    by_flag.args(["--endpoint", &url, "ls"]);
    let mut by_variable = world.haul_without_store();
    by_variable.args(["--json", "ls"]).env("AWS_ENDPOINT_URL", &url);
    for mut command in [by_flag, by_variable] {
        let finished = finish(&mut command);
        assert_refused(&finished, &["has a user name or a password in its URL"]);
        assert!(!format!("{}{}", finished.stdout, finished.stderr).contains("hunter2"));
    }
    assert_eq!(server.heads(), Vec::<String>::new(), "something was sent");
}

#[test]
fn an_endpoint_without_scheme_is_refused_from_each_place() {
    let world = World::new();
    let config = world.path("config");
    std::fs::write(&config, "[default]\nendpoint_url = localhost:9000\n").unwrap();
    let said = [
        "localhost:9000 does not begin with http:// or https://",
        "hint: write it with its scheme",
    ];
    assert_refused(
        &finish(world.haul_without_store().args(["--endpoint", "localhost:9000", "ls"])),
        &said,
    );
    let mut by_variable = world.haul_without_store();
    assert_refused(&finish(by_variable.arg("ls").env("AWS_ENDPOINT_URL", "localhost:9000")), &said);
    let mut by_profile = world.haul_without_store();
    assert_refused(&finish(by_profile.arg("ls").env("AWS_CONFIG_FILE", &config)), &said);
}

#[test]
fn empty_variables_count_as_unset() {
    let world = World::new();
    let server = world.serve();
    let mut list = world.haul(server.store());
    for name in [
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_SESSION_TOKEN",
        "AWS_CA_BUNDLE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONFIG_FILE",
        "HTTP_PROXY",
    ] {
        list.env(name, "");
    }
    succeed(list.arg("ls"));
    let mut by_flag = world.haul(server.store());
    by_flag.env("AWS_ENDPOINT_URL", "").args(["--endpoint", &server.store().endpoint, "ls"]);
    succeed(&mut by_flag);
}

#[test]
fn a_config_file_that_cannot_be_parsed_is_named_with_its_line() {
    let world = World::new();
    let server = world.serve();
    let config = world.path("config");
    std::fs::write(&config, "[default]\nregion = us-east-1\n[profile broken\n").unwrap();
    let finished = finish(world.haul(server.store()).arg("ls").env("AWS_CONFIG_FILE", &config));
    assert_refused(
        &finished,
        &[&format!("{} on line 3", config.display()), "hint: correct that line"],
    );
    // For local:// no profile is read.
    succeed(world.haul_without_store().args(["ls", "local://"]).env("AWS_CONFIG_FILE", &config));
}

#[test]
fn a_key_id_without_its_secret_is_reported_as_that() {
    let world = World::new();
    let server = world.serve();
    let finished = finish(world.haul(server.store()).arg("ls").env_remove("AWS_SECRET_ACCESS_KEY"));
    assert_refused(&finished, &["has AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY"]);
}

/// Every command with keys and without a region once waited three seconds for a metadata service
/// that only machines of AWS have.
#[test]
fn keys_without_a_region_ask_no_metadata_service() {
    let world = World::new();
    let metadata =
        CannedServer::always("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let proxy = CannedServer::always(refusal).unwrap();
    let mut list = world.haul_without_store();
    list.envs([("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "SK")]);
    list.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url());
    // Without an endpoint, as for AWS; the proxy has to resolve the name.
    list.env("HTTPS_PROXY", proxy.url());
    let finished = finish(list.arg("ls"));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert_eq!(metadata.heads(), Vec::<String>::new());
    let asked = proxy.heads();
    assert_eq!(asked.len(), 1, "a refusal of the proxy is final: {asked:?}");
    assert!(asked[0].starts_with("CONNECT s3.us-east-1.amazonaws.com:443 "), "{asked:?}");
}
