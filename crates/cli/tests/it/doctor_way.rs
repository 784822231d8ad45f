//! The way to the store as `haul doctor` reports it: TLS, the certificate and the clocks, in the
//! table and in the document.

use std::path::Path;
use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Rule};
use haul_testkit::network::self_signed;
use haul_testkit::servers::HaulServe;
use serde_json::Value;

use crate::doctor::{check, report};
use crate::world::{World, at_another_time, finish, haul_binary, make_bucket, succeed};

fn doctor(world: &World, store: &TestStore, bucket: &str) -> Command {
    let mut command = world.haul(store);
    command.args(["doctor", &format!("s3://{bucket}"), "--no-throughput", "--json"]);
    command
}

/// Starts `haul serve` with TLS and a certificate of `more` arguments for openssl.
fn serve_tls(world: &World, more: &[&str]) -> (HaulServe, String) {
    let made = self_signed(&world.path(""), "store.test", more).unwrap();
    let [certificate, key] = [&made.certificate, &made.key].map(|path| path.to_str().unwrap());
    let arguments = ["--tls-cert", certificate, "--tls-key", key];
    let server = HaulServe::start_with(haul_binary(), &world.path("data"), &arguments).unwrap();
    (server, certificate.to_owned())
}

/// Makes a bucket at a server whose certificate is in `bundle`.
fn make_bucket_over_tls(world: &World, store: &TestStore, bundle: &str) {
    succeed(world.haul(store).args(["mb", "s3://bucket", "--ca-bundle", bundle]));
}

#[test]
fn tls_version_cipher_issuer_names_and_term_are_reported() {
    let world = World::new();
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let (server, bundle) = serve_tls(&world, &["-addext", names, "-days", "400"]);
    make_bucket_over_tls(&world, server.store(), &bundle);
    let mut command = doctor(&world, server.store(), "bucket");
    let finished = succeed(command.args(["--ca-bundle", &bundle]));
    let report = report(&finished);
    let tls = &report["tls"];
    assert_eq!(tls["version"], "TLS 1.3", "{report:#}");
    assert!(tls["cipher"].as_str().unwrap().starts_with("TLS_"), "{tls}");
    assert_eq!(tls["issuer"], "store.test", "{tls}");
    assert_eq!(tls["names"], serde_json::json!(["localhost", "127.0.0.1"]), "{tls}");
    let expires = expiry_by_openssl(Path::new(&bundle));
    assert_eq!(tls["expires"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), expires);
    let certificate = check(&report, "certificate");
    assert_eq!(certificate["verdict"], "ok", "{certificate}");
    let detail = certificate["detail"].as_str().unwrap();
    let day = expires.strftime("%Y-%m-%d %H:%M UTC").to_string();
    for part in ["issued by store.test for localhost, 127.0.0.1", &day, "(399 d)"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(check(&report, "TLS")["verdict"], "ok");
    let mut table = world.haul(server.store());
    table.args(["doctor", "s3://bucket", "--no-throughput", "--ca-bundle", &bundle]);
    let shown = succeed(&mut table).stdout;
    assert!(shown.contains("TLS 1.3, TLS_") && shown.contains(detail), "{shown}");
}

/// Returns the expiry of a certificate as openssl reads it.
fn expiry_by_openssl(certificate: &Path) -> jiff::Timestamp {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"]).arg(certificate);
    let shown = succeed(&mut openssl).stdout;
    let date = shown.trim().strip_prefix("notAfter=").unwrap().replace(' ', "T");
    date.parse().unwrap()
}

#[test]
fn a_certificate_near_its_end_is_a_warning() {
    let world = World::new();
    let (server, bundle) =
        serve_tls(&world, &["-addext", "subjectAltName=IP:127.0.0.1", "-days", "9"]);
    make_bucket_over_tls(&world, server.store(), &bundle);
    let mut command = doctor(&world, server.store(), "bucket");
    command.args(["--ca-bundle", &bundle]);
    let fresh = report(&succeed(&mut command));
    assert_eq!(check(&fresh, "certificate")["verdict"], "ok", "nine days of nine");
    let later = report(&finish(&mut at_another_time(&command, "+7d")));
    assert_eq!(check(&later, "certificate")["verdict"], "warning", "two days of nine");
}

#[test]
fn plain_http_is_named_and_has_no_certificate() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let report = report(&succeed(&mut doctor(&world, server.store(), &bucket)));
    assert_eq!(check(&report, "TLS")["detail"], "plain http: nothing is encrypted");
    assert_eq!(report["tls"], Value::Null);
}

/// Asserts the difference of the clocks within ten seconds, which a slow machine may take.
fn assert_skew(report: &Value, seconds: i64, verdict: &str) -> String {
    let clock = check(report, "clock");
    let found = clock["measured"]["value"].as_f64().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "seconds of a skew are few")]
    let wanted = seconds as f64;
    assert!((found - wanted).abs() < 10.0, "{seconds}: {clock}");
    assert_eq!(clock["verdict"], verdict, "{clock}");
    let detail = clock["detail"].as_str().unwrap().to_owned();
    let direction = if seconds > 0 { "s ahead of" } else { "s behind" };
    assert!(detail.contains(direction), "{seconds}: {detail}");
    detail
}

#[test]
fn a_skewed_clock_is_reported_with_its_direction() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    for (seconds, verdict) in [(60, "ok"), (-60, "ok"), (400, "warning"), (-400, "warning")] {
        let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        proxy.add(Rule::on_any(Fault::WithDate(date)).always());
        let behind = server.store().at(proxy.endpoint());
        let finished = succeed(&mut doctor(&world, &behind, &bucket));
        assert_skew(&report(&finished), seconds, verdict);
    }
}

/// The store refuses the signature of a machine whose clock is 20 minutes off; the run continues
/// with the store's time, and the report says why.
fn assert_refused_skew_is_named(world: &World, store: &TestStore, bucket: &str) {
    for (offset, seconds) in [("+20m", -1200), ("-20m", 1200)] {
        let command = doctor(world, store, bucket);
        let finished = succeed(&mut at_another_time(&command, offset));
        let detail = assert_skew(&report(&finished), seconds, "no");
        assert!(detail.contains("(RequestTimeTooSkewed)"), "{detail}");
        assert_eq!(check(&report(&finished), "clock")["remedy"], "set-clock");
    }
}

#[test]
fn a_signature_refused_for_skew_is_named_at_haul_serve() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    assert_refused_skew_is_named(&world, server.store(), &bucket);
    // The table has a hint.
    let mut table = world.haul(server.store());
    table.args(["doctor", &format!("s3://{bucket}"), "--no-throughput"]);
    let shown = succeed(&mut at_another_time(&table, "+20m")).stdout;
    assert!(shown.contains("hint: set this machine's clock"), "{shown}");
}

#[test]
fn a_signature_refused_for_skew_is_named_at_ceph_rgw() {
    let (world, store) = (World::new(), TestStore::shared("RGW"));
    let bucket = make_bucket(&world, &store);
    assert_refused_skew_is_named(&world, &store, &bucket);
}
