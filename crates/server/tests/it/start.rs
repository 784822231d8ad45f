//! Starting, stopping, and finding a running server.

use haul_server::{running_endpoint, start};

use crate::client::Client;
use crate::fixture::{Fixture, options};

#[tokio::test]
async fn keys_and_data_stay_from_one_start_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(options(&dir)).await.unwrap();
    let first = Client::new(&server);
    first.request("PUT", "/bkt").expect(200).await;
    first.request("PUT", "/bkt/k").body("kept").expect(200).await;
    server.stop().await;
    let server = start(options(&dir)).await.unwrap();
    let second = Client::new(&server);
    assert_eq!(first.credentials, second.credentials);
    assert_eq!(second.get("/bkt/k").await.text(), "kept");
    server.stop().await;
}

#[tokio::test]
async fn files_with_keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new().await;
    for name in ["keys.json", "endpoint.json"] {
        let metadata = std::fs::metadata(f.dir.path().join("store").join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_folder_has_one_server_and_says_where() {
    let f = Fixture::new().await;
    let folder = f.dir.path().join("store");
    let second = start(options(&f.dir)).await.unwrap_err();
    assert!(second.is_locked(), "{second}");
    let found = running_endpoint(&folder).unwrap().expect("a running server");
    assert_eq!(found.address, f.server.address());
    assert_eq!(found.endpoint(), f.server.endpoint());
    assert_eq!(&found.credentials, f.server.credentials());
    let left = std::fs::read(folder.join("endpoint.json")).unwrap();
    f.server.stop().await;
    assert!(running_endpoint(&folder).unwrap().is_none());
    // The file that a killed server leaves is recognised as stale.
    std::fs::write(folder.join("endpoint.json"), left).unwrap();
    assert!(running_endpoint(&folder).unwrap().is_none());
}

#[tokio::test]
async fn stopping_lets_a_request_end() {
    let f = Fixture::new().await;
    let client = f.client.clone();
    let request = tokio::spawn(async move {
        client.request("PUT", "/bkt/k").body(vec![7; 20_000_000]).send().await
    });
    while f.client.get("/bkt").await.status != 200 {}
    let put = request.await.unwrap();
    f.server.stop().await;
    assert_eq!(put.status, 200);
    assert!(tokio::net::TcpStream::connect(f.client.address).await.is_err());
}

#[tokio::test]
async fn a_taken_address_is_an_error_with_a_hint() {
    let f = Fixture::new().await;
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir);
    options.listen = f.server.address();
    let error = start(options).await.unwrap_err();
    assert!(error.hint().unwrap().contains("another program"), "{error}");
}
