//! `haul doctor` reports what the lifecycle rules of a bucket mean for unfinished uploads, and how
//! to add the missing one.

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use serde_json::Value;

use crate::doctor::{check, report};
use crate::world::{World, make_bucket, succeed};

fn lifecycle(world: &World, store: &TestStore, url: &str) -> Value {
    let mut command = world.haul(store);
    command.args(["doctor", url, "--no-throughput", "--json"]);
    check(&report(&succeed(&mut command)), "lifecycle").clone()
}

fn assert_detail(check: &Value, verdict: &str, words: &str) {
    assert_eq!(check["verdict"], verdict, "{check}");
    assert!(check["detail"].as_str().unwrap().contains(words), "{words}: {check}");
}

/// Follows the hint of the table, and examines the bucket again.
fn the_hint_installs_the_missing_rule(world: &World, store: &TestStore) {
    let bucket = make_bucket(world, store);
    let url = format!("s3://{bucket}/photos/2026");
    let none = lifecycle(world, store, &url);
    assert_detail(&none, "warning", "the bucket has no rules");
    assert_eq!(none["remedy"], "add-abort-rule");
    let mut table = world.haul(store);
    let shown = succeed(table.args(["doctor", &url, "--no-throughput"])).stdout;
    let hint =
        format!("hint: haul lifecycle s3://{bucket} --prefix photos/2026 --abort-after 7d\n");
    assert!(shown.contains(&hint), "{shown}");

    let command = hint.trim().strip_prefix("hint: haul ").unwrap();
    succeed(world.haul(store).args(command.split(' ')));
    let covered = lifecycle(world, store, &url);
    let words = "aborted 7 days after it began (rule haul-abort-incomplete/photos/2026)";
    assert_detail(&covered, "ok", words);
    assert_eq!(covered["measured"]["value"], 7.0);
    let above = lifecycle(world, store, &format!("s3://{bucket}/photos"));
    assert_detail(&above, "warning", "only unfinished uploads below photos/2026");
    let elsewhere = lifecycle(world, store, &format!("s3://{bucket}/videos"));
    assert_detail(&elsewhere, "warning", "its only rule does not abort them");
}

#[test]
fn the_missing_rule_is_installed_by_the_hint_at_haul_serve() {
    let world = World::new();
    let server = world.serve();
    the_hint_installs_the_missing_rule(&world, server.store());
}

#[test]
fn the_missing_rule_is_installed_by_the_hint_at_ceph_rgw() {
    the_hint_installs_the_missing_rule(&World::new(), &TestStore::shared("RGW"));
}

#[test]
fn the_missing_rule_is_installed_by_the_hint_at_localstack() {
    the_hint_installs_the_missing_rule(&World::new(), &TestStore::shared("LOCALSTACK"));
}

/// A store without lifecycle rules needs `haul sweep`; a denied question says nothing about rules.
#[test]
fn a_store_without_rules_gets_the_hint_to_sweep() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let url = format!("s3://{bucket}/photos");
    for (status, code, verdict, words) in [
        (501, "NotImplemented", "no", "the store has no lifecycle rules"),
        (403, "AccessDenied", "not-tested", "unknown whether a rule"),
    ] {
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let fault = Fault::error(status, code);
        proxy.add(Rule::on(Kind::GetBucketLifecycleConfiguration, fault).always());
        let found = lifecycle(&world, &server.store().at(proxy.endpoint()), &url);
        assert_detail(&found, verdict, words);
        let remedy = if status == 501 { Value::from("sweep") } else { Value::Null };
        assert_eq!(found["remedy"], remedy);
    }
}
