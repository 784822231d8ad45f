//! Tests that a panic anywhere behind the front becomes a response.

use async_trait::async_trait;
use haul_store::{DiskStore, StoreOptions};
use s3s::dto::{ListBucketsInput, ListBucketsOutput};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::socket::connections::{self, ServeConfig};
use crate::socket::tls::Transport;

/// Operations that all panic.
struct Panicking;

#[async_trait]
impl S3 for Panicking {
    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        panic!("an unexpected panic")
    }
}

fn front(store: DiskStore, limits: &Limits, metrics: &Arc<Metrics>) -> Front {
    let endpoint = Endpoint::for_test(store);
    Front {
        verifier: S3ServiceBuilder::new(Panicking).build(),
        operations: Operations(S3ServiceBuilder::new(Panicking).build()),
        endpoint,
        domains: Domains::new(&[]),
        limits: limits.clone(),
        slots: RequestSlots::new(8),
        held_room: HeldRoom::new(1),
        metrics: Arc::clone(metrics),
    }
}

/// Regression: dates after the year 9999 caused a panic in the middle of a response, and the client
/// saw a closed connection.
#[tokio::test]
async fn a_panic_is_answered_500_and_counted_and_the_connection_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = DiskStore::open(dir.path().join("store"), StoreOptions::default()).unwrap();
    let (limits, metrics) = (Limits::default(), Arc::new(Metrics::default()));
    let front = Arc::new(front(store, &limits, &metrics));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slots = RequestSlots::new(8);
    let config =
        ServeConfig { transport: Transport::Plain, slots, metrics: Arc::clone(&metrics), limits };
    let (_stop, stopped) = watch::channel(());
    tokio::spawn(connections::serve(listener, front, config, stopped));

    let mut stream = TcpStream::connect(address).await.unwrap();
    for count in 1..=2 {
        let head = format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("</Error>") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the connection ended after {answer:?}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(
            answer.contains("<Code>InternalError</Code>") && answer.contains("<RequestId>"),
            "{answer}"
        );
        assert!(!answer.contains("an unexpected panic"), "{answer}");
        let counted = format!("haul_requests_total{{method=\"GET\",status=\"5xx\"}} {count}\n");
        assert!(metrics.text().contains(&counted), "{}", metrics.text());
    }
}
