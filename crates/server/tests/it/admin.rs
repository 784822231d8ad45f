//! `/health`, `/metrics`, and TLS: everything that is not the S3 protocol itself.

use haul_server::{Secret, TlsPem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Auth, Client};
use crate::fixture::{Fixture, options};
use crate::secure::{self, CA, CERTIFICATE, KEY};

#[tokio::test]
async fn health_and_metrics_have_an_address_of_their_own() {
    let f =
        Fixture::with(|options| options.admin_listen = Some("127.0.0.1:0".parse().unwrap())).await;
    f.client.put("/bkt/k", vec![7; 1000]).await;
    f.client.request("GET", "/bkt/absent").expect(404).await;
    let admin = Client { address: f.server.admin_address().unwrap(), ..f.client.clone() };
    let ask = |method: &str, path: &str| admin.request(method, path).auth(Auth::None);
    assert!(ask("GET", "/health").expect(200).await.text().contains("ok"));
    let metrics = ask("GET", "/metrics").expect(200).await.text();
    for line in [
        "haul_requests_total{method=\"PUT\",status=\"2xx\"} 2",
        "haul_requests_total{method=\"GET\",status=\"4xx\"} 1",
        "haul_received_bytes_total 1000",
        "haul_request_duration_seconds_count{method=\"PUT\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    ask("GET", "/bkt/k").expect(404).await;
    ask("PUT", "/health").expect(405).await;
    // The endpoint itself refuses this path without a signature.
    f.client.request("GET", "/metrics").auth(Auth::None).refused(403, "AccessDenied").await;
}

#[tokio::test]
async fn with_a_certificate_the_endpoint_speaks_tls() {
    let dir = tempfile::tempdir().unwrap();
    let mut tls = options(&dir);
    tls.tls = Some(secure::pem());
    let server = haul_server::start(tls).await.unwrap();
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    let client = Client::new(&server);

    for (request, expected) in [
        (client.request("PUT", "/bkt"), "HTTP/1.1 200"),
        (client.request("PUT", "/bkt/k").body(""), "HTTP/1.1 200"),
        (client.request("GET", "/bkt/absent"), "HTTP/1.1 404"),
    ] {
        let socket = TcpStream::connect(server.address()).await.unwrap();
        let mut stream = secure::connect(socket).await;
        stream.write_all(request.sign().head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        assert!(String::from_utf8_lossy(&answer).starts_with(expected));
    }
    // A plain HTTP request is no TLS handshake: the connection ends without a response.
    let mut plain = TcpStream::connect(server.address()).await.unwrap();
    plain.write_all(client.request("GET", "/bkt").sign().head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"));
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_start() {
    let bad = [(CERTIFICATE, "no key"), ("no certificate", KEY), (CA, KEY)];
    for (certificates, private_key) in bad {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&dir);
        options.tls = Some(TlsPem {
            certificates: certificates.to_owned(),
            private_key: Secret::new(private_key),
        });
        let error = haul_server::start(options).await.unwrap_err();
        assert!(error.to_string().starts_with("TLS: "), "{error}");
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
}
