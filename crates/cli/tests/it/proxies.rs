//! Requests through the proxy that the environment names, to a host that only the proxy can
//! resolve.

use std::net::SocketAddr;

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::network::{HttpProxy, self_signed};
use haul_testkit::servers::HaulServe;

use crate::world::{World, copy, finish, haul_binary, make_bucket, read_back, succeed};

/// `alice:secret` as Basic authorization.
const AUTHORIZATION: &str = "Basic YWxpY2U6c2VjcmV0";

fn address(store: &TestStore) -> SocketAddr {
    store.endpoint.rsplit_once('/').unwrap().1.parse().unwrap()
}

/// `HTTP_PROXY` and its siblings were once ignored, and nothing worked behind a company's proxy.
#[test]
fn plain_requests_of_both_planes_go_through_the_proxy() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = HttpProxy::start_with_password(address(server.store()), AUTHORIZATION).unwrap();
    let store = server.store().at("http://store.test:9000");
    let sample = world.sample("file", 20 * MIB);

    let url = format!("http://alice:secret@{}", proxy.address());
    let finished = succeed(
        copy(&world, &store, &sample.path, &format!("s3://{bucket}/file"))
            .args(["-vvv"])
            .env("http_proxy", &url),
    );

    let heads = proxy.heads();
    let parts = heads.iter().filter(|head| head.starts_with("PUT http://store.test:9000/")).count();
    assert_eq!(parts, 3, "{heads:?}");
    assert!(heads.iter().any(|head| head.starts_with("POST http://store.test:9000/")), "{heads:?}");
    assert!(!finished.stderr.contains("secret"), "a log with a password:\n{}", finished.stderr);
}

#[test]
fn https_goes_through_a_tunnel() {
    let world = World::new();
    let san = ["-addext", "subjectAltName=DNS:store.test,IP:127.0.0.1"];
    let certificate = self_signed(&world.path(""), "store.test", &san).unwrap();
    let [pem, key] =
        [&certificate.certificate, &certificate.key].map(|path| path.to_str().unwrap());
    let more = ["--tls-cert", pem, "--tls-key", key];
    let server = HaulServe::start_with(haul_binary(), &world.path("data"), &more).unwrap();
    succeed(world.haul(server.store()).args(["mb", "s3://bucket", "--ca-bundle", pem]));
    let proxy = HttpProxy::start_with_password(address(server.store()), AUTHORIZATION).unwrap();
    let store = server.store().at("https://store.test");
    let sample = world.sample("file", 20 * MIB);

    let url = format!("http://alice:secret@{}", proxy.address());
    let upload = || {
        let mut upload = copy(&world, &store, &sample.path, "s3://bucket/file");
        upload.args(["--ca-bundle", pem]);
        upload
    };
    succeed(upload().env("HTTPS_PROXY", &url));
    let heads = proxy.heads();
    assert!(heads.len() >= 2, "each plane has connections of its own: {heads:?}");
    assert!(
        heads.iter().all(|head| head.starts_with("CONNECT store.test:443 HTTP/1.1\r\n")),
        "{heads:?}"
    );

    let without_password = finish(upload().env("ALL_PROXY", proxy.address().to_string()));
    assert_eq!(without_password.code(), Some(1), "{}", without_password.stderr);
    for said in ["it wants another user or password (407)", "hint: check HTTPS_PROXY"] {
        assert!(without_password.stderr.contains(said), "{}", without_password.stderr);
    }
}

#[test]
fn hosts_of_no_proxy_and_local_stores_are_reached_directly() {
    let world = World::new();
    let server = world.serve();
    let nowhere = "http://127.0.0.1:9";
    for direct in ["127.0.0.1", "127.0.0.0/8", "*"] {
        succeed(
            world.haul(server.store()).arg("ls").env("HTTP_PROXY", nowhere).env("NO_PROXY", direct),
        );
    }
    succeed(world.haul_without_store().args(["ls", "local://"]).env("HTTP_PROXY", nowhere));
    let refused =
        finish(world.haul(server.store()).args(["ls"]).env("HTTP_PROXY", "socks5://u:secret@x"));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("HTTP_PROXY cannot be used"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
}

/// Every ARN of an access point was once refused, even those that the SDK can resolve.
#[test]
fn an_access_point_is_reached_at_the_host_the_sdk_resolves() {
    let world = World::new();
    let server = world.serve();
    let proxy = HttpProxy::start(address(server.store())).unwrap();
    let sample = world.sample("file", 1000);
    let run = |arguments: &[&str]| {
        let mut command = world.haul_without_store();
        command.envs([("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "SK")]);
        command
            .env("AWS_REGION", "us-west-2")
            .env("HTTPS_PROXY", format!("http://{}", proxy.address()));
        finish(command.args(arguments))
    };
    let file = sample.path.to_str().unwrap();
    let to = "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap/2026/a.mov";
    let elsewhere = "s3://arn:aws:s3:eu-west-3:123456789012:accesspoint:my-ap/2026/a.mov";

    // Neither plane reaches AWS: the server behind the proxy has no TLS.
    for (arguments, region) in [
        (["cp", file, to], "us-west-2"),
        (["cp", to, "back"], "us-west-2"),
        (["cp", file, elsewhere], "eu-west-3"),
    ] {
        let before = proxy.heads().len();
        assert_eq!(run(&arguments).code(), Some(1), "{arguments:?}");
        let host = format!("my-ap-123456789012.s3-accesspoint.{region}.amazonaws.com:443");
        let heads = proxy.heads().split_off(before);
        let connect = format!("CONNECT {host} HTTP/1.1\r\n");
        assert!(
            !heads.is_empty() && heads.iter().all(|head| head.starts_with(&connect)),
            "{heads:?}"
        );
    }

    let before = proxy.heads().len();
    let china = "s3://arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-ap/2026/a.mov";
    for (arguments, reason, region) in [
        (vec!["cp", file, to, "--path-style"], "Path-style addressing cannot be used", "us-west-2"),
        (
            vec!["cp", to, "back", "--path-style"],
            "Path-style addressing cannot be used",
            "us-west-2",
        ),
        (vec!["cp", file, china], "Client was configured for partition `aws`", "cn-north-1"),
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
        let hint = format!(
            "hint: write the alias as the bucket: aws s3control get-access-point \
             --account-id 123456789012 --name my-ap --region {region} --query Alias"
        );
        for said in [reason, &hint] {
            assert!(refused.stderr.contains(said), "{said}:\n{}", refused.stderr);
        }
    }
    assert_eq!(proxy.heads().len(), before, "nothing is sent");
}

/// An access point also works through a custom endpoint, with every request of an upload in parts.
/// `haul serve` behind the proxy takes the host for its own name, so the first folder of the key is
/// the bucket there.
#[test]
fn an_access_point_behind_an_endpoint_takes_an_upload_in_parts() {
    let world = World::new();
    let server = world.serve();
    let proxy = HttpProxy::start(address(server.store())).unwrap();
    succeed(world.haul(server.store()).args(["mb", "s3://2026"]));
    let sample = world.sample("file", 18 * MIB);
    let to = "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/my-ap/2026/a.mov";
    let upload = |more: &[&str]| {
        let mut command = copy(&world, server.store(), &sample.path, to);
        command
            .env_remove("AWS_ENDPOINT_URL")
            .env("HTTP_PROXY", format!("http://{}", proxy.address()));
        command.args(["--endpoint", "http://gw.example", "--part-size", "5MiB"]).args(more);
        finish(&mut command)
    };
    // Custom endpoints have the bucket in the path, which the SDK does not support for access
    // points.
    let refused = upload(&[]);
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("Path-style addressing cannot be used"), "{}", refused.stderr);
    assert_eq!(proxy.heads(), Vec::<String>::new(), "nothing is sent");

    upload(&["--virtual-host-style"]).success().unwrap();
    assert_eq!(read_back(server.store(), "2026", "a.mov").sha256, sample.sha256);
    let heads = proxy.heads();
    let host = "http://my-ap-123456789012.gw.example/";
    let at_the_host =
        |head: &String| head.split(' ').nth(1).is_some_and(|target| target.starts_with(host));
    assert!(heads.iter().all(at_the_host), "{heads:?}");
    let parts =
        heads.iter().filter(|head| head.starts_with("PUT ") && head.contains("partNumber="));
    assert_eq!(parts.count(), 4);
}
