//! What clients can make the server hold or wait for has an end.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Response, UNSIGNED};
use crate::fixture::{Fixture, bytes};

#[tokio::test]
async fn a_sender_that_stops_is_dropped_and_leaves_nothing() {
    let f = Fixture::with(|options| options.limits.stall_timeout = Duration::from_millis(300)).await;
    let request = f.client.request("PUT", "/bkt/k").payload(UNSIGNED).content_length(1_000_000);
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(request.sign().head.as_bytes()).await.unwrap();
    stream.write_all(&bytes(1000)).await.unwrap();
    let started = Instant::now();
    let answer = Response::read(&mut stream, false).await.expect("an answer");
    assert_eq!((answer.status, answer.element("Code").as_deref()), (400, Some("RequestTimeout")));
    assert!(started.elapsed() < Duration::from_secs(10));
    f.client.request("HEAD", "/bkt/k").expect(404).await;
}

#[tokio::test]
async fn a_sender_that_drips_is_dropped() {
    let f = Fixture::with(|options| options.limits.stall_timeout = Duration::from_millis(300)).await;
    let request = f.client.request("PUT", "/bkt/k").payload(UNSIGNED).content_length(1_000_000);
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(request.sign().head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let drip = tokio::spawn(async move {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        loop {
            interval.tick().await;
            if writing.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), reading.read_buf(&mut answer)).await;
    assert!(read.unwrap().unwrap() > 0);
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 400"));
    drop(reading);
    drip.abort();
}

#[tokio::test]
async fn a_reader_that_stops_is_dropped() {
    let f = Fixture::with(|options| {
        options.limits.stall_timeout = Duration::from_millis(300);
        options.limits.connections = 2;
    })
    .await;
    f.client.request("PUT", "/bkt/k").body(bytes(30_000_000)).expect(200).await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        stream.write_all(f.client.request("GET", "/bkt/k").sign().head.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    // Both connections are taken by readers that do not read: this one comes through once they are dropped.
    let waiting = tokio::time::timeout(Duration::from_secs(20), f.client.request("HEAD", "/bkt/k").send());
    assert_eq!(waiting.await.expect("not for ever").status, 200);
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_their_turn() {
    let f = Fixture::with(|options| options.limits.connections = 2).await;
    // Both are open and kept, as every client keeps some.
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        stream.write_all(f.client.request("GET", "/bkt").sign().head.as_bytes()).await.unwrap();
        assert_eq!(Response::read(&mut stream, false).await.unwrap().status, 200);
        kept.push(stream);
    }
    let mut third = TcpStream::connect(f.client.address).await.unwrap();
    third.write_all(f.client.request("GET", "/bkt").sign().head.as_bytes()).await.unwrap();
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(300), third.peek(&mut byte)).await;
    assert!(waited.is_err(), "a third connection was answered while two were open");
    kept.pop();
    let answer = tokio::time::timeout(Duration::from_secs(10), Response::read(&mut third, false)).await;
    assert_eq!(answer.expect("its turn has come").unwrap().status, 200);
}

#[tokio::test]
async fn headers_that_do_not_come_or_do_not_end_are_refused() {
    let f = Fixture::with(|options| options.limits.header_timeout = Duration::from_millis(300)).await;
    let mut idle = TcpStream::connect(f.client.address).await.unwrap();
    idle.write_all(b"GET / HTT").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection was kept");

    let long = "x".repeat(40_000);
    let request = f.client.request("GET", "/bkt").header("x-amz-meta-long", &long);
    request.refused(400, "RequestHeaderSectionTooLarge").await;
}

#[tokio::test]
async fn documents_and_signed_chunks_have_a_size() {
    let f = Fixture::with(|options| {
        options.limits.xml_bytes = 10_000;
        options.limits.signed_chunk_bytes = 10_000;
    })
    .await;
    let document = format!("<Delete>{}</Delete>", "<Object><Key>x</Key></Object>".repeat(900));
    f.client.request("POST", "/bkt?delete").body(document).refused(400, "MaxMessageLengthExceeded").await;
    let request = f
        .client
        .request("PUT", "/bkt/k")
        .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("x-amz-decoded-content-length", "20000");
    let chunk = format!("4e20;chunk-signature={}\r\n{}\r\n", "0".repeat(64), "x".repeat(20_000));
    let refused = request.body(chunk).refused(400, "InvalidRequest").await;
    assert!(refused.element("Message").unwrap().contains("larger than the server holds"));
}

#[tokio::test]
async fn a_refused_body_is_read_on_and_the_connection_kept() {
    let f = Fixture::new().await;
    let body = bytes(8_000_000);
    let put = f.client.request("PUT", "/missing/k").payload(UNSIGNED).body(body.clone());
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(put.sign().head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    assert_eq!(Response::read(&mut stream, false).await.unwrap().status, 404);
    stream.write_all(f.client.request("GET", "/bkt").sign().head.as_bytes()).await.unwrap();
    assert_eq!(Response::read(&mut stream, false).await.unwrap().status, 200);
}
