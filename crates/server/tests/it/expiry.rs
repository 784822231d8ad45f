//! Uploads that are due are aborted without a request: by the lifecycle of their bucket, or by the
//! age in the options.

use std::time::{Duration, SystemTime};

use haul_server::{ServerOptions, start};
use haul_store::{Clock, DiskStore, StoreOptions};
use tempfile::TempDir;

use crate::client::Client;
use crate::fixture::{Fixture, options};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Creates uploads of these keys that are three days old, in a store whose clock was set back.
fn old_uploads(options: &ServerOptions, keys: &[&str]) -> Vec<String> {
    let clock = Clock::new(|| SystemTime::now() - 3 * DAY);
    let store =
        DiskStore::open(&options.data_dir, StoreOptions { clock, ..StoreOptions::default() })
            .unwrap();
    let bucket = "bkt".parse().unwrap();
    store.create_bucket(&bucket).unwrap();
    let create = |key: &&str| {
        let key = key.parse().unwrap();
        let upload =
            store.create_multipart_upload(&bucket, &key, Default::default()).unwrap().upload;
        format!("/bkt/{key}?uploadId={}", upload.upload_id)
    };
    keys.iter().map(create).collect()
}

async fn until_gone(client: &Client, upload: &str) {
    let gone = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while client.get(upload).await.status != 404 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the upload is still there");
}

fn rule(prefix: &str, days: u32) -> String {
    format!(
        "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>{prefix}</Prefix></Filter>\
            <Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>\
            {days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
            </LifecycleConfiguration>"
    )
}

#[tokio::test]
async fn a_lifecycle_runs_when_it_is_set_and_at_every_start() {
    let dir = TempDir::new().unwrap();
    let uploads = old_uploads(&options(&dir), &["tmp/a", "tmp/b", "kept"]);
    let server = start(options(&dir)).await.unwrap();
    let client = Client::new(&server);
    // This upload is too young for the same rule.
    let young = client
        .request("POST", "/bkt/tmp/young?uploads")
        .expect(200)
        .await
        .element("UploadId")
        .unwrap();
    let young = format!("/bkt/tmp/young?uploadId={young}");
    for upload in &uploads {
        client.request("GET", upload).expect(200).await;
    }
    client.request("PUT", "/bkt?lifecycle").body(rule("tmp/", 1)).expect(200).await;
    until_gone(&client, &uploads[0]).await;
    until_gone(&client, &uploads[1]).await;
    client.request("GET", &uploads[2]).expect(200).await;
    client.request("GET", &young).expect(200).await;
    server.stop().await;

    // The uploads become due while no server runs.
    let store = DiskStore::open(&options(&dir).data_dir, StoreOptions::default()).unwrap();
    let lifecycle = store.bucket_lifecycle(&"bkt".parse().unwrap()).unwrap();
    let everywhere = lifecycle
        .rules
        .into_iter()
        .map(|rule| haul_store::LifecycleRule { prefix: String::new(), ..rule });
    let lifecycle = haul_store::LifecycleConfiguration { rules: everywhere.collect() };
    store.set_bucket_lifecycle(&"bkt".parse().unwrap(), Some(lifecycle)).unwrap();
    drop(store);
    let server = start(options(&dir)).await.unwrap();
    let client = Client::new(&server);
    until_gone(&client, &uploads[2]).await;
    client.request("GET", &young).expect(200).await;
}

#[tokio::test]
async fn uploads_above_an_age_go_again_and_again() {
    let f = Fixture::with(|options| {
        options.expire_uploads = Some(Duration::from_millis(1));
        options.expiry_interval = Duration::from_millis(20);
    })
    .await;
    // The second one is created after the first run.
    for key in ["a", "b"] {
        let created = f.client.request("POST", &format!("/bkt/{key}?uploads")).expect(200).await;
        let id = created.element("UploadId").unwrap();
        until_gone(&f.client, &format!("/bkt/{key}?uploadId={id}")).await;
    }
}
