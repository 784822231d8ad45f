//! Problems between the command and the store: addresses that do not answer, untrusted
//! certificates, the wrong scheme, limits of a proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use haul_testkit::TestStore;
use haul_testkit::files::MIB;
use haul_testkit::network::{BlackHole, CannedServer, Certificate, self_signed};
use haul_testkit::process::Finished;
use haul_testkit::servers::HaulServe;

use crate::world::{World, copy, finish, haul_binary, make_bucket, succeed};

/// The time within which a command without retries ends, even on a busy machine: much less than
/// eight attempts with their pauses take.
const AT_ONCE: Duration = Duration::from_secs(10);

const SAN: [&str; 2] = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];

/// Returns the same command, run in a mount namespace with `hosts` as its `/etc/hosts`.
pub(crate) fn with_hosts(command: &Command, hosts: &Path) -> Command {
    let mut inside = Command::new("unshare");
    let script = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
    inside.args(["--mount", "--", "sh", "-c", script, "sh"]).arg(hosts);
    inside.arg(command.get_program()).args(command.get_args());
    inside.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside
}

fn port(store: &TestStore) -> u16 {
    store.endpoint.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn assert_refused_at_once(finished: &Finished, said: &[&str]) {
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    for said in said {
        assert!(finished.stderr.contains(said), "{said} is missing in:\n{}", finished.stderr);
    }
    assert!(finished.wall < AT_ONCE, "it took {:?}", finished.wall);
}

/// Regression: with two A records, one of which led to an address that dropped SYNs, `haul cp`
/// failed after 101 s where the AWS CLI succeeded.
#[test]
fn an_address_that_drops_packets_does_not_cost_the_upload() {
    uploads_past_a_dead_address(Ipv4Addr::new(127, 0, 0, 2).into());
}

/// Regression: with a `::1` that dropped all packets and a good IPv4 address, an upload took 31.8 s
/// instead of 0.3 s.
#[test]
fn a_broken_ipv6_does_not_cost_the_upload() {
    uploads_past_a_dead_address(Ipv6Addr::LOCALHOST.into());
}

fn uploads_past_a_dead_address(dead: IpAddr) {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let dead = SocketAddr::from((dead, port(server.store())));
    let _hole = BlackHole::dig(dead).unwrap();
    let hosts = world.path("hosts");
    std::fs::write(&hosts, format!("{} two.test\n127.0.0.1 two.test\n", dead.ip())).unwrap();
    let store = server.store().at(format!("http://two.test:{}", dead.port()));
    let sample = world.sample("file", 40 * MIB);

    let upload = copy(&world, &store, &sample.path, &format!("s3://{bucket}/file"));
    let finished = succeed(&mut with_hosts(&upload, &hosts));

    assert!(finished.wall < AT_ONCE, "it took {:?}", finished.wall);
}

fn serve_tls(world: &World, certificate: &Certificate) -> HaulServe {
    let [certificate, key] =
        [&certificate.certificate, &certificate.key].map(|path| path.to_str().unwrap());
    let more = ["--tls-cert", certificate, "--tls-key", key];
    HaulServe::start_with(haul_binary(), &world.path("data"), &more).unwrap()
}

/// Regression: `https://` to a port that speaks plain HTTP, and `http://` to a TLS port, were
/// retried for 16 to 22 seconds, and the hint asked only whether the endpoint was right and
/// reachable.
#[test]
fn a_wrong_scheme_is_named_at_once_with_the_right_one() {
    let world = World::new();
    let plain = world.serve();
    let certificate = self_signed(&world.path(""), "store.test", &SAN).unwrap();
    let tls_world = World::new();
    let tls = serve_tls(&tls_world, &certificate);
    let sample = world.sample("file", 1000);
    let switched = |store: &TestStore| match store.endpoint.strip_prefix("https") {
        Some(rest) => store.at(format!("http{rest}")),
        None => store.at(store.endpoint.replacen("http", "https", 1)),
    };
    for (right, speaks) in [(plain.store(), "plain HTTP"), (tls.store(), "TLS")] {
        let hint = format!("hint: this endpoint speaks {speaks}: try {}\n", right.endpoint);
        let wrong = switched(right);
        // `ls` uses the control plane, `cp` the data plane.
        assert_refused_at_once(&finish(world.haul(&wrong).args(["ls"])), &[&hint]);
        assert_refused_at_once(
            &finish(&mut copy(&world, &wrong, &sample.path, "s3://bucket/file")),
            &[&hint],
        );
    }
}

/// OpenSSL closes the connection after a plain HTTP request, without an answer.
#[test]
fn a_tls_port_that_closes_without_a_word_is_recognised() {
    let world = World::new();
    let certificate = self_signed(&world.path(""), "store.test", &SAN).unwrap();
    let port = haul_testkit::servers::free_port().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    openssl.arg("-cert").arg(&certificate.certificate).arg("-key").arg(&certificate.key);
    let mut daemon =
        haul_testkit::servers::Daemon::start(&openssl, &world.path("openssl.log")).unwrap();
    let listens = || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
    daemon.wait_until(AT_ONCE, listens).unwrap();
    let store = keys_for(format!("http://127.0.0.1:{port}"));
    let hint = format!("hint: this endpoint speaks TLS: try https://127.0.0.1:{port}\n");
    let sample = world.sample("file", 1000);
    assert_refused_at_once(&finish(world.haul(&store).args(["ls"])), &[&hint]);
    assert_refused_at_once(
        &finish(&mut copy(&world, &store, &sample.path, "s3://bucket/file")),
        &[&hint],
    );
}

fn keys_for(endpoint: String) -> TestStore {
    TestStore {
        endpoint,
        region: "us-east-1".into(),
        access_key: "AK".into(),
        secret_key: "SK".into(),
    }
}

/// Regression: a self-signed certificate made by plain `openssl req -x509` was refused although it
/// was itself in the bundle of trusted certificates, and `AWS_CA_BUNDLE`, `ca_bundle` and the flags
/// of the AWS CLI were ignored.
#[test]
fn a_self_signed_certificate_is_trusted_in_each_way() {
    let world = World::new();
    let certificate = self_signed(&world.path(""), "store.test", &SAN).unwrap();
    let server = serve_tls(&world, &certificate);
    let bundle = certificate.certificate.to_str().unwrap();
    let sample = world.sample("file", 20 * MIB);
    let config = world.path("config");
    std::fs::write(&config, format!("[default]\nca_bundle = {bundle}\n")).unwrap();

    succeed(world.haul(server.store()).args(["mb", "s3://bucket", "--ca-bundle", bundle]));
    let upload =
        |name: &str| copy(&world, server.store(), &sample.path, &format!("s3://bucket/{name}"));
    succeed(upload("flag").args(["--ca-bundle", bundle]));
    succeed(upload("variable").env("AWS_CA_BUNDLE", bundle));
    succeed(upload("profile").env("AWS_CONFIG_FILE", &config));
    let finished = succeed(upload("none").arg("--no-verify-ssl"));
    assert!(
        finished.stderr.contains("warning: certificates are not verified"),
        "{}",
        finished.stderr
    );

    let said = ["its certificate is not trusted here", "hint: name a bundle of trusted CAs"];
    assert_refused_at_once(&finish(&mut upload("untrusted")), &said);
    assert_refused_at_once(&finish(world.haul(server.store()).args(["ls"])), &said);
    let empty = finish(upload("empty").env("AWS_CA_BUNDLE", ""));
    assert_refused_at_once(&empty, &said);
}

/// Certificates made by plain `openssl req -x509` also lack a subjectAltName.
#[test]
fn a_certificate_without_a_name_gets_a_hint() {
    let world = World::new();
    let certificate = self_signed(&world.path(""), "store.test", &[]).unwrap();
    let server = serve_tls(&world, &certificate);
    let mut list = world.haul(server.store());
    list.args(["ls", "--ca-bundle"]).arg(&certificate.certificate);
    assert_refused_at_once(
        &finish(&mut list),
        &["has no subjectAltName", "openssl req -x509 ", " -addext subjectAltName=IP:127.0.0.1\n"],
    );
}

#[test]
fn a_redirect_to_https_is_about_the_scheme_and_not_the_region() {
    let world = World::new();
    let sample = world.sample("file", 1000);
    let answer = "HTTP/1.1 301 Moved Permanently\r\nLocation: \
        https://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n";
    let server = CannedServer::always(answer).unwrap();
    let store = keys_for(server.url());
    let said = [
        "redirects to https://127.0.0.1\n",
        "hint: this endpoint speaks TLS: try https://127.0.0.1\n",
    ];
    assert_refused_at_once(&finish(world.haul(&store).args(["ls"])), &said);
    assert_refused_at_once(
        &finish(&mut copy(&world, &store, &sample.path, "s3://bucket/file")),
        &said,
    );
}

/// Servers in Go, such as MinIO, answer a plain HTTP request to a TLS port in plain text.
#[test]
fn a_complaint_about_plain_http_names_the_right_scheme() {
    let world = World::new();
    let sample = world.sample("file", 1000);
    let text = "Client sent an HTTP request to an HTTPS server.\n";
    let answer =
        format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    let server = CannedServer::always(answer).unwrap();
    let store = keys_for(server.url());
    let hint = format!("hint: this endpoint speaks TLS: try https://{}\n", server.address());
    assert_refused_at_once(&finish(world.haul(&store).args(["ls"])), &[&hint]);
    assert_refused_at_once(
        &finish(&mut copy(&world, &store, &sample.path, "s3://bucket/file")),
        &[&hint],
    );
}

#[test]
fn a_request_too_large_for_a_proxy_hints_at_its_limit() {
    let world = World::new();
    let sample = world.sample("file", 1000);
    let page = "<html><body>413 Request Entity Too Large</body></html>";
    let answer = format!(
        "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/html\r\nContent-Length: \
         {}\r\n\r\n{page}",
        page.len()
    );
    let server = CannedServer::always(answer).unwrap();
    let store = keys_for(server.url());
    let finished = finish(&mut copy(&world, &store, &sample.path, "s3://bucket/file"));
    assert_refused_at_once(&finished, &["413", "--part-size", "client_max_body_size"]);
}
