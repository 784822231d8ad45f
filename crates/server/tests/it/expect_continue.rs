//! `Expect: 100-continue`, answered like AWS in every framing of the body.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Auth, Request, UNSIGNED};
use crate::fixture::Fixture;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Sends the requests and reads until the last of the expected responses has come, or ten seconds
/// have passed.
async fn heads_of(stream: &mut TcpStream, requests: &[u8], final_answers: usize) -> Vec<String> {
    stream.write_all(requests).await.unwrap();
    let mut text = String::new();
    let read = async {
        let mut bytes = [0; 4096];
        loop {
            let heads = text.matches("HTTP/1.").count() - text.matches(CONTINUE).count();
            if heads == final_answers && (text.ends_with("\r\n\r\n") || text.ends_with("</Error>"))
            {
                break;
            }
            match stream.read(&mut bytes).await.unwrap() {
                0 => break,
                count => text.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await;
    let answers = text.split("HTTP/1.").skip(1);
    answers.map(|answer| answer.lines().next().unwrap_or_default().to_owned()).collect()
}

/// Regression: hyper sends the interim response when a body is first read, and an empty body is
/// never read. botocore up to 1.43 took the final response for an early refusal, and sent its next
/// request on that connection only after 30 seconds.
#[tokio::test]
async fn an_empty_body_gets_100_continue_too() {
    let f = Fixture::new().await;
    let put = |target: &str| f.client.request("PUT", target).header("expect", "100-continue");
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    let cases: [(Request, &str); 6] = [
        (put("/bkt/signed"), "1 200 OK"),
        (put("/bkt/unsigned").payload(UNSIGNED), "1 200 OK"),
        (put("/bkt/presigned").auth(Auth::Presigned { expires: 60 }), "1 200 OK"),
        (f.client.request("POST", "/bkt/k?uploads").header("expect", "100-Continue"), "1 200 OK"),
        // A refusal keeps the connection open, so it needs the interim response too.
        (put("/missing/k"), "1 404 Not Found"),
        (put("/bkt/k").auth(Auth::None), "1 403 Forbidden"),
    ];
    // All requests use one connection, one after the other.
    for (request, status) in cases {
        let head = request.sign().head;
        let mut connection = Vec::new();
        let answers = heads_of(&mut stream, head.as_bytes(), 1).await;
        connection.extend(answers.iter().map(String::as_str));
        assert_eq!(connection, ["1 100 Continue", status], "{head}");
    }
    f.client.request("HEAD", "/bkt/signed").expect(200).await;
    f.client.request("HEAD", "/bkt/unsigned").expect(200).await;
}

/// Each interim response directly precedes its own final response, even if the client sends
/// requests before it has read earlier responses.
#[tokio::test]
async fn pipelined_empty_bodies_get_their_100_in_order() {
    let f = Fixture::new().await;
    let put = |key: usize| f.client.request("PUT", &format!("/bkt/{key}"));
    let requests: String = (0..20)
        .map(|key| put(key).header("expect", "100-continue").sign().head + &put(key).sign().head)
        .collect();
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    let answers = heads_of(&mut stream, requests.as_bytes(), 40).await;
    assert_eq!(answers, ["1 100 Continue", "1 200 OK", "1 200 OK"].repeat(20));
}

/// An HTTP/1.0 client takes the first response for the last one.
#[tokio::test]
async fn http_1_0_gets_no_interim_response() {
    let f = Fixture::new().await;
    let put = f.client.request("PUT", "/bkt/old").header("expect", "100-continue");
    let head = put.sign().head.replace("HTTP/1.1", "HTTP/1.0");
    let mut stream = TcpStream::connect(f.client.address).await.unwrap();
    let answers = heads_of(&mut stream, head.as_bytes(), 1).await;
    assert_eq!(answers, ["0 200 OK"]);
}
