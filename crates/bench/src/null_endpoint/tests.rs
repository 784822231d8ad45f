//! Tests over a socket: ranges of generated objects, the delay and the refusals.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::{Conditions, NullEndpoint};

/// Sends one request over a connection of its own, and returns the response.
fn exchange(endpoint: &NullEndpoint, request: &str) -> String {
    let mut socket = TcpStream::connect(endpoint.address()).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut response = Vec::new();
    socket.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

#[test]
fn a_ranged_get_receives_the_bytes_of_its_range() {
    let endpoint = NullEndpoint::plain(Conditions::default()).unwrap();
    let get = |range| format!("GET /b/generated-1000000 HTTP/1.1\r\n{range}\r\n");
    let response = exchange(&endpoint, &get("Range: bytes=10-19\r\n"));
    assert!(response.starts_with("HTTP/1.1 206 "), "{response}");
    assert!(response.contains("content-range: bytes 10-19/1000000\r\n"), "{response}");
    assert!(response.contains("content-length: 10\r\n"), "{response}");
    let response = exchange(&endpoint, &get("Range: bytes=1000000-\r\n"));
    assert!(response.starts_with("HTTP/1.1 416 "), "{response}");
}

#[test]
fn every_nth_request_is_answered_with_slow_down() {
    let refuse_every = NonZeroU64::new(3);
    let conditions = Conditions { refuse_every, ..Conditions::default() };
    let endpoint = NullEndpoint::plain(conditions).unwrap();
    let put = "PUT /b/k HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    let refused: Vec<bool> = (0..6)
        .map(|_| {
            let response = exchange(&endpoint, put);
            assert_eq!(response.contains("503"), response.contains("<Code>SlowDown</Code>"));
            response.starts_with("HTTP/1.1 503 ")
        })
        .collect();
    assert_eq!(refused, [false, false, true, false, false, true]);
    for _ in 0..2 {
        exchange(&endpoint, put);
    }
    let head = exchange(&endpoint, "HEAD /b/k HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 503 ") && head.ends_with("\r\n\r\n"), "no body: {head}");
}

#[test]
fn each_response_is_delayed() {
    let delay = Duration::from_millis(30);
    let conditions = Conditions { delay, ..Conditions::default() };
    let endpoint = NullEndpoint::plain(conditions).unwrap();
    let begin = Instant::now();
    let response = exchange(&endpoint, "HEAD /b/generated-7 HTTP/1.1\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(begin.elapsed() >= delay, "{:?}", begin.elapsed());
}
