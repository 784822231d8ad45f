//! Limits on everything that clients can make the server hold or wait for.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use haul_testkit::files::MIB;
use haul_testkit::process::usage_of;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Request, Response, UNSIGNED};
use crate::fixture::{Fixture, bytes};

#[tokio::test]
async fn a_sender_that_stops_is_dropped_and_leaves_nothing() {
    let f =
        Fixture::with(|options| options.limits.stall_timeout = Duration::from_millis(300)).await;
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
    let f =
        Fixture::with(|options| options.limits.stall_timeout = Duration::from_millis(300)).await;
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
    // Clients that do not read their responses hold both connections: this request is answered once
    // the server has dropped them.
    let waiting =
        tokio::time::timeout(Duration::from_secs(20), f.client.request("HEAD", "/bkt/k").send());
    assert_eq!(waiting.await.expect("not for ever").status, 200);
}

/// Regression: idle connections held their slots for as long as their clients liked.
#[tokio::test]
async fn connections_above_the_limit_wait_for_their_turn() {
    let f = Fixture::with(|options| options.limits.connections = 2).await;
    let put = |key: &str| f.client.request("PUT", key).payload(UNSIGNED).content_length(5);
    let mut busy = Vec::new();
    for key in ["/bkt/1", "/bkt/2"] {
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        stream
            .write_all(put(key).header("expect", "100-continue").sign().head.as_bytes())
            .await
            .unwrap();
        assert_eq!(Response::read(&mut stream, false).await.unwrap().status, 100);
        busy.push(stream);
    }
    let mut third = TcpStream::connect(f.client.address).await.unwrap();
    third.write_all(f.client.request("GET", "/bkt").sign().head.as_bytes()).await.unwrap();
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(300), third.peek(&mut byte)).await;
    assert!(waited.is_err(), "a third connection was answered while two were busy");
    // The client would keep this connection open, but others wait for it.
    busy[0].write_all(b"bytes").await.unwrap();
    let answer = Response::read(&mut busy[0], false).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    let answer =
        tokio::time::timeout(Duration::from_secs(10), Response::read(&mut third, false)).await;
    assert_eq!(answer.expect("its turn has come").unwrap().status, 200);
}

/// Regression: the listen queue held 128 connections. When 200 clients connected at once, the
/// kernel fell back to SYN cookies, and some clients were reset before they had sent a byte.
#[tokio::test]
async fn a_burst_of_connections_waits_in_the_queue() {
    let f = Fixture::with(|options| options.limits.connections = 1).await;
    let put = f.client.request("PUT", "/bkt/k").payload(UNSIGNED).content_length(5);
    let mut busy = TcpStream::connect(f.client.address).await.unwrap();
    let head = put.header("expect", "100-continue").sign().head;
    busy.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Response::read(&mut busy, false).await.unwrap().status, 100);
    // Linux has 4,096 since 5.4; a lower setting limits every queue.
    let longest = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let clients = longest.trim().parse::<usize>().unwrap().min(400);
    // The only connection is in use, so that none of these is accepted.
    let burst = join_all((0..clients).map(|_| TcpStream::connect(f.client.address)));
    let queued = tokio::time::timeout(Duration::from_secs(20), burst).await;
    let queued = queued.expect("the queue has room for all").into_iter();
    assert_eq!(queued.collect::<Result<Vec<_>, _>>().unwrap().len(), clients);
}

#[tokio::test]
async fn headers_that_do_not_come_or_do_not_end_are_refused() {
    let f =
        Fixture::with(|options| options.limits.header_timeout = Duration::from_millis(300)).await;
    let mut idle = TcpStream::connect(f.client.address).await.unwrap();
    idle.write_all(b"GET / HTT").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection was kept");

    let long = "x".repeat(40_000);
    let request = f.client.request("GET", "/bkt").header("x-amz-meta-long", &long);
    request.refused(400, "RequestHeaderSectionTooLarge").await;
}

/// Beyond the read limit, hyper responds by itself, with a status only.
#[tokio::test]
async fn heads_beyond_the_read_limit_get_431_without_a_document() {
    let f = Fixture::new().await;
    let lines: String = (0..300).map(|n| format!("x-{n}: a\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(400_000));
    for headers in [lines, long] {
        let head = format!("GET /bkt HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", f.client.address);
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        // The server may respond and close the connection before everything is written; the
        // operating system may then discard the response.
        let written = stream.write_all(head.as_bytes()).await;
        match Response::read(&mut stream, false).await {
            Some(answer) => assert_eq!((answer.status, answer.body.len()), (431, 0)),
            None => assert!(head.len() > 64 << 10, "no answer, {written:?}"),
        }
    }
    f.client.request("GET", "/bkt").expect(200).await;
}

#[tokio::test]
async fn documents_and_signed_chunks_have_a_size() {
    let f = Fixture::with(|options| {
        options.limits.xml_bytes = 10_000;
        options.limits.signed_chunk_bytes = 10_000;
    })
    .await;
    let document = format!("<Delete>{}</Delete>", "<Object><Key>x</Key></Object>".repeat(900));
    f.client
        .request("POST", "/bkt?delete")
        .body(document)
        .refused(400, "MaxMessageLengthExceeded")
        .await;
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

/// Sends a request without the end of its body, and returns the server's response.
async fn hold_back(f: &Fixture, request: Request, body: &[u8]) -> Response {
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    stream.write_all(request.sign().head.as_bytes()).await.unwrap();
    // The server may refuse and close the connection before everything is written.
    let _ = stream.write_all(body).await;
    Response::read(&mut stream, false).await.expect("an answer")
}

/// Regression: 24 connections, each with all but the end of a signed chunk of 15 MiB, took 375 MB;
/// documents of 6 MiB took 165 MB.
#[tokio::test]
async fn what_has_to_be_held_whole_is_held_within_the_limit() {
    const SENDERS: usize = 12;
    let f = Fixture::with(|options| {
        options.limits.stall_timeout = Duration::from_millis(300);
        options.limits.in_flight_bytes = 48 << 20; // a third of it
    })
    .await;
    let peak = || usage_of(std::process::id()).unwrap().peak_memory_bytes / MIB;
    let chunk = format!("f00000;chunk-signature={}\r\n{}", "0".repeat(64), "x".repeat(15_700_000))
        .into_bytes();
    let document = vec![b' '; 6_200_000];
    // The buffers of the server and of its connections hold this much anyway.
    f.client.put("/bkt/k", chunk.clone()).await;
    let before = peak();

    let put = f.client.request("PUT", "/bkt/k").payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let put = put.header("x-amz-decoded-content-length", "15728640").content_length(15_729_000);
    let answers = join_all((0..SENDERS).map(|_| hold_back(&f, put.clone(), &chunk))).await;
    for answer in answers {
        assert_eq!(answer.element("Code").as_deref(), Some("InvalidRequest"), "{}", answer.text());
    }
    let post = f.client.request("POST", "/bkt?delete").payload(UNSIGNED).content_length(6_200_001);
    let answers = join_all((0..SENDERS).map(|_| hold_back(&f, post.clone(), &document))).await;
    for answer in answers {
        // Some requests wait for room that others hold, until one of those is displaced.
        let code = answer.element("Code").unwrap_or_default();
        assert!(["RequestTimeout", "SlowDown"].contains(&code.as_str()), "{}", answer.text());
    }
    let grown = peak() - before;
    assert!(grown < 48, "{grown} MiB");
}
