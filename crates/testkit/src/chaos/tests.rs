//! Tests the proxy between a plain HTTP client and a plain HTTP server, both made of sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::kind::part_number;
use super::{ChaosProxy, Fault, Kind, Rule, Seen};

const PART: &str = "/bucket/key?partNumber=3&uploadId=x";

/// Starts a server that accepts requests with a Content-Length, responds `200 stored`, and returns
/// the bodies.
fn server() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (bodies, received) = channel();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let bodies = bodies.clone();
            thread::spawn(move || {
                let mut client = client;
                while let Some(body) = read_request(&mut client) {
                    bodies.send(body).unwrap();
                    client
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstored")
                        .unwrap();
                }
            });
        }
    });
    (endpoint, received)
}

fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    client.read_exact(&mut body).ok()?;
    Some(body)
}

/// Sends a PUT on a new connection and returns the whole response.
fn put(proxy: &ChaosProxy, target: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    write!(
        stream,
        "PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    // Some tests make the proxy cut the connection; these writes and reads then fail.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_without_a_rule_passes_unchanged_and_is_counted() {
    let (endpoint, received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    assert!(put(&proxy, PART, b"hello").ends_with("stored"));
    assert_eq!(received.recv().unwrap(), b"hello");
    let seen = proxy.seen();
    assert_eq!((seen[0].kind, seen[0].part_number), (Kind::UploadPart, Some(3)));
    assert_eq!((seen[0].body_bytes, seen[0].status), (5, Some(200)));
    assert_eq!((proxy.count(Kind::UploadPart), proxy.body_bytes(Kind::UploadPart)), (1, 5));
}

#[test]
fn a_rule_strikes_as_often_as_it_says_and_then_no_more() {
    let (endpoint, received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(3).after(1).times(2));
    let answers: Vec<bool> =
        (0..4).map(|_| put(&proxy, PART, b"body").contains("SlowDown")).collect();
    assert_eq!(answers, [false, true, true, false]);
    assert_eq!(received.try_iter().count(), 2);
    assert!(!put(&proxy, "/bucket/key?partNumber=4&uploadId=x", b"body").contains("SlowDown"));
}

#[test]
fn a_bit_is_flipped_where_it_should_be() {
    let (endpoint, received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::PutObject, Fault::FlipBit { at_byte: 300_001 }));
    let body = vec![6; 400_000];
    assert!(put(&proxy, "/bucket/key", &body).ends_with("stored"));
    let stored = received.recv().unwrap();
    let changed: Vec<usize> = (0..body.len()).filter(|at| stored[*at] != body[*at]).collect();
    assert_eq!((changed, stored[300_001]), (vec![300_001], 7));
}

#[test]
fn a_cut_request_never_reaches_the_store_whole() {
    let (endpoint, received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::CutRequest { after_bytes: 1000 }));
    assert_eq!(put(&proxy, PART, &vec![1; 2_000_000]), "");
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
    assert_eq!(proxy.seen()[0].status, None);
}

#[test]
fn a_dropped_answer_was_given_by_the_store() {
    let (endpoint, received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::DropAnswer));
    assert_eq!(put(&proxy, PART, b"body"), "");
    assert_eq!(received.recv().unwrap(), b"body");
}

#[test]
fn an_answer_is_cut() {
    let (endpoint, _received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::CutAnswer { after_bytes: 3 }));
    assert!(put(&proxy, PART, b"body").ends_with("\r\n\r\nsto"));
}

#[test]
fn what_passes_can_be_waited_for() {
    let (endpoint, _received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 10 }));
    let endpoint = proxy.endpoint();
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    write!(stream, "PUT {PART} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{:100}", "").unwrap();
    assert!(proxy.wait_until(Duration::from_secs(10), |seen| {
        seen.iter().any(|request| request.body_bytes == 10)
    }));
    assert!(!proxy.wait_until(Duration::from_millis(50), |seen| {
        seen.iter().any(|request| request.body_bytes > 10)
    }));
}

#[test]
fn a_request_without_a_body_stalls_too() {
    let (endpoint, _received) = server();
    let proxy = ChaosProxy::start(&endpoint).unwrap();
    proxy.add(Rule::on(Kind::HeadObject, Fault::Stall { after_bytes: 0 }));
    let endpoint = proxy.endpoint();
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    write!(stream, "HEAD /b/k HTTP/1.1\r\n\r\n").unwrap();
    let answered = |seen: &[Seen]| seen.iter().any(|request| request.status.is_some());
    assert!(proxy.wait_until(Duration::from_secs(10), |seen| seen.len() == 1));
    assert!(!proxy.wait_until(Duration::from_millis(50), answered));
}

#[test]
fn kinds_are_told_apart() {
    let cases = [
        ("POST", "/b/k?uploads=", Kind::CreateMultipartUpload),
        ("POST", "/b/k?uploadId=u", Kind::CompleteMultipartUpload),
        ("PUT", "/b/k?partNumber=1&uploadId=u&x-id=UploadPart", Kind::UploadPart),
        ("DELETE", "/b/k?uploadId=u&x-id=AbortMultipartUpload", Kind::AbortMultipartUpload),
        ("GET", "/b/k?uploadId=u", Kind::ListParts),
        ("GET", "/b/?uploads=&max-uploads=10", Kind::ListMultipartUploads),
        ("PUT", "/b/k", Kind::PutObject),
        ("GET", "/b/k?x-id=GetObject", Kind::GetObject),
        ("HEAD", "/b/k", Kind::HeadObject),
        ("DELETE", "/b/k", Kind::DeleteObject),
        ("PUT", "/b", Kind::Other),
        ("GET", "/b/?list-type=2", Kind::Other),
    ];
    for (method, target, kind) in cases {
        assert_eq!(Kind::of(method, target, None), kind, "{method} {target}");
    }
    assert_eq!(
        Kind::of("PUT", "/b/k?partNumber=1&uploadId=u", Some("/b/other")),
        Kind::UploadPartCopy
    );
    assert_eq!(part_number("/b/k?partNumber=12&uploadId=u"), Some(12));
}
