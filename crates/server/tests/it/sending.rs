//! Bodies of responses, over plain connections and over TLS: ranges, kept connections, slow
//! readers, and readers that leave.

use rustix::fs::Advice;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Request, Response};
use crate::fixture::{Fixture, bytes};
use crate::secure;

const MIB: usize = 1 << 20;
const SPAN_BYTES: usize = 64 << 10;
/// Several blocks, and an end that is not the end of a span.
const OBJECT_BYTES: usize = 3 * MIB + 12_345;

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

const TRANSPORTS: [Transport; 2] = [Transport::Plain, Transport::Tls];

/// Creates a server with an object; its limits allow this many bytes in flight.
async fn fixture(transport: Transport, in_flight_bytes: usize) -> (Fixture, Vec<u8>) {
    let f = Fixture::without_bucket(|options| {
        options.tls = (transport == Transport::Tls).then(secure::pem);
        options.limits.in_flight_bytes = in_flight_bytes;
    })
    .await;
    let body = bytes(OBJECT_BYTES);
    let mut stream = connect(&f, transport).await;
    let bucket = f.client.request("PUT", "/bkt").send_on(&mut stream).await;
    assert_eq!(bucket.status, 200, "{}", bucket.text());
    let put = f.client.request("PUT", "/bkt/k").body(body.clone()).send_on(&mut stream).await;
    assert_eq!(put.status, 200, "{}", put.text());
    (f, body)
}

async fn connect(f: &Fixture, transport: Transport) -> Box<dyn Stream> {
    secured(TcpStream::connect(f.client.address).await.unwrap(), transport).await
}

async fn secured(socket: TcpStream, transport: Transport) -> Box<dyn Stream> {
    match transport {
        Transport::Plain => Box::new(socket),
        Transport::Tls => Box::new(secure::connect(socket).await),
    }
}

/// Makes the next reads of the object come from the disk, where the file system can do that.
fn evict(f: &Fixture) {
    let file = f.dir.path().join("store/data/000/000/0000000000000000");
    let file = std::fs::File::open(file).unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

fn range(f: &Fixture, first: usize, last: usize) -> Request {
    f.client.request("GET", "/bkt/k").header("range", &format!("bytes={first}-{last}"))
}

#[tokio::test]
async fn every_range_arrives_on_one_connection() {
    for transport in TRANSPORTS {
        // With 64 KiB in flight there is no room for blocks, only the small block of each request.
        for in_flight_bytes in [64 << 20, 64 << 10] {
            let (f, body) = fixture(transport, in_flight_bytes).await;
            let mut stream = connect(&f, transport).await;
            for (first, last) in [
                (0, OBJECT_BYTES - 1),
                (0, 0),
                (1, OBJECT_BYTES - 2),
                (SPAN_BYTES, 9 * SPAN_BYTES - 1),
                (SPAN_BYTES - 1, 5 * SPAN_BYTES),
                (OBJECT_BYTES - 1, OBJECT_BYTES - 1),
            ] {
                let what = format!("{transport:?}, {in_flight_bytes}: {first} to {last}");
                let get = range(&f, first, last).send_on(&mut stream).await;
                assert_eq!(get.status, 206, "{what}");
                assert!(get.body == body[first..=last], "{what}");
                let head = f.client.request("HEAD", "/bkt/k").send_on(&mut stream).await;
                assert_eq!(head.header("content-length"), Some(&*OBJECT_BYTES.to_string()));
                evict(&f);
            }
            let whole = f.client.request("GET", "/bkt/k").send_on(&mut stream).await;
            assert!(whole.body == body);
        }
    }
}

#[tokio::test]
async fn parts_of_odd_lengths_arrive_as_one_object() {
    for transport in TRANSPORTS {
        let (f, _) = fixture(transport, 64 << 20).await;
        let mut stream = connect(&f, transport).await;
        let create = f.client.request("POST", "/bkt/parts?uploads").send_on(&mut stream).await;
        let id = create.element("UploadId").unwrap();
        let body = bytes(2 * (5 * MIB + 4097) + 99);
        let mut list = String::new();
        for (number, part) in (1..).zip(body.chunks(5 * MIB + 4097)) {
            let target = format!("/bkt/parts?partNumber={number}&uploadId={id}");
            let put = f.client.request("PUT", &target).body(part).send_on(&mut stream).await;
            let etag = put.header("etag").unwrap();
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let complete = f.client.request("POST", &format!("/bkt/parts?uploadId={id}")).body(list);
        assert_eq!(complete.send_on(&mut stream).await.status, 200);
        for first in [0, 1, 5 * MIB, 5 * MIB + 4097] {
            let get = f.client.request("GET", "/bkt/parts");
            let get = get.header("range", &format!("bytes={first}-")).send_on(&mut stream).await;
            assert!(get.body == body[first..], "{transport:?}, from {first}");
        }
    }
}

/// Sends a request on a connection whose receive buffer is small, so that the server has to wait.
async fn ask_slowly(f: &Fixture, transport: Transport) -> Box<dyn Stream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = secured(socket.connect(f.client.address).await.unwrap(), transport).await;
    let head = f.client.request("GET", "/bkt/k").sign().head;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

#[tokio::test]
async fn slow_readers_get_every_byte() {
    for transport in TRANSPORTS {
        for in_flight_bytes in [64 << 20, 64 << 10] {
            let (f, body) = fixture(transport, in_flight_bytes).await;
            let mut readers = Vec::new();
            for _ in 0..6 {
                readers.push((ask_slowly(&f, transport).await, Vec::new()));
            }
            // Take turns, so that every connection waits for its reader again and again.
            let mut piece = vec![0; 30_000];
            while readers.iter().any(|(_, got)| !got.ends_with(&body[OBJECT_BYTES - 1000..])) {
                for (stream, got) in &mut readers {
                    if !got.ends_with(&body[OBJECT_BYTES - 1000..]) {
                        let count = stream.read(&mut piece).await.unwrap();
                        assert!(count > 0, "{transport:?}: {} bytes came", got.len());
                        got.extend_from_slice(&piece[..count]);
                    }
                }
            }
            for (_, got) in readers {
                assert!(got.ends_with(&body), "{transport:?}");
            }
        }
    }
}

#[tokio::test]
async fn readers_that_leave_take_no_room_with_them() {
    for transport in TRANSPORTS {
        let (f, body) = fixture(transport, 4 << 20).await;
        for round in 0..40 {
            let mut stream = ask_slowly(&f, transport).await;
            let mut some = vec![0; 1 + 5000 * round];
            stream.read_exact(&mut some).await.unwrap();
        }
        let mut stream = connect(&f, transport).await;
        let get: Response = f.client.request("GET", "/bkt/k").send_on(&mut stream).await;
        assert!(get.body == body);
    }
}
