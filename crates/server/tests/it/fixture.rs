//! A server with a folder of its own, and a client for it.

use haul_server::{RunningServer, ServerOptions, start};
use haul_testkit::random::Random;
use tempfile::TempDir;

use crate::client::Client;

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) server: RunningServer,
    pub(crate) client: Client,
}

impl Fixture {
    /// Creates a server with the bucket `bkt`.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let fixture = Self::without_bucket(change).await;
        fixture.client.request("PUT", "/bkt").expect(200).await;
        fixture
    }

    /// Creates a server that may listen with TLS, which its client does not speak by itself.
    pub(crate) async fn without_bucket(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&dir);
        change(&mut options);
        let server = start(options).await.unwrap();
        let client = Client::new(&server);
        Self { dir, server, client }
    }
}

pub(crate) fn options(dir: &TempDir) -> ServerOptions {
    ServerOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: dir.path().join("store"),
        ..ServerOptions::default()
    }
}

/// Returns bytes that do not repeat soon.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    Random::new(1).bytes(length)
}
