//! Runs the conformance suite of the engine's store interface against real stores, over our own
//! connections and the SDK. The in-memory store of the engine passes the same suite. `Expectations`
//! lists the known deviations of a store; everything else must hold.

use std::sync::Arc;

use haul::s3::StaticCredentials;
use haul::testing::conformance::{self, Expectations};
use haul::{S3Options, S3Store};
use haul_parts::Bucket;
use haul_testkit::TestStore;

use crate::world::{World, make_bucket};

fn conforms(world: &World, store: &TestStore, expectations: &Expectations) {
    let bucket = Bucket::new(make_bucket(world, store)).unwrap();
    let options = S3Options {
        endpoint_url: Some(store.endpoint.clone()),
        region: Some(store.region.clone()),
        credentials: Some(StaticCredentials {
            access_key_id: store.access_key.clone(),
            secret_access_key: store.secret_key.clone(),
        }),
        ..S3Options::default()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let s3 = S3Store::connect(options).await.unwrap();
        conformance::run(Arc::new(s3), &bucket, expectations).await.unwrap();
    });
}

#[test]
fn haul_serve_conforms() {
    let world = World::new();
    let server = world.serve();
    conforms(&world, server.store(), &Expectations::AWS);
}

#[test]
fn ceph_rgw_conforms() {
    conforms(&World::new(), &TestStore::shared("RGW"), &Expectations::CEPH_RGW_16);
}

#[test]
fn localstack_conforms() {
    conforms(&World::new(), &TestStore::shared("LOCALSTACK"), &Expectations::AWS);
}

#[test]
fn garage_conforms() {
    conforms(&World::new(), &TestStore::shared("GARAGE"), &Expectations::GARAGE_2);
}
