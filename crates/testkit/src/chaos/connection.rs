//! Serves one client connection: each request with its counterpart on the store's side, until a
//! peer closes or a fault ends the connection.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, sink};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::exchange::{Damage, End, copy_body};
use super::kind::part_number;
use super::record::Record;
use super::wire::{Framing, Head};
use super::{Fault, Kind, Seen};

const BUFFER_BYTES: usize = 256 * 1024;

struct Side {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Side {
    fn new(stream: TcpStream) -> Self {
        // Without TCP_NODELAY, small messages wait for each other; a failure to set it only costs
        // time.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), writer }
    }
}

/// Whether the connections can carry another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

/// Serves one client until its connection ends. Errors appear to the client as a closed connection.
pub(super) async fn serve(
    client: TcpStream,
    upstream: SocketAddr,
    record: Arc<Record>,
    connection: u64,
) {
    let Ok(store) = TcpStream::connect(upstream).await else { return };
    let (client, store) = (Side::new(client), Side::new(store));
    let mut link = Link { client, store, upstream, record, connection, idle_since: None };
    while let Ok(Next::KeepAlive) = link.exchange().await {}
}

struct Link {
    client: Side,
    store: Side,
    upstream: SocketAddr,
    record: Arc<Record>,
    connection: u64,
    idle_since: Option<Instant>,
}

impl Link {
    async fn exchange(&mut self) -> Result<Next> {
        let request = tokio::select! {
            head = Head::read(&mut self.client.reader) => head?,
            // Between requests, readable data from the store can only mean that it is closing.
            _ = self.store.reader.fill_buf() => None,
        };
        let Some(request) = request else { return Ok(Next::Close) };
        let (index, fault) = self.record.admit(self.note(&request));
        let next = self.carry(&request, index, fault).await;
        self.record.over(index);
        self.idle_since = Some(Instant::now());
        next
    }

    async fn carry(&mut self, request: &Head, index: usize, fault: Option<Fault>) -> Result<Next> {
        let mut damage = Damage::default();
        match fault {
            Some(Fault::Answer { status, headers, body, after }) => {
                self.take_in(request, index).await?;
                tokio::time::sleep(after).await;
                return self.answer(request, index, status, &headers, &body).await;
            }
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Hold) => self.record.released().await,
            Some(Fault::FlipBit { at_byte }) => damage.flip_bit_of = Some(at_byte),
            Some(Fault::CutRequest { after_bytes } | Fault::Stall { after_bytes }) => {
                damage.stop_after = Some(after_bytes);
            }
            Some(Fault::Twice) => return self.forward_twice(request, index).await,
            Some(
                Fault::DropAnswer
                | Fault::CutAnswer { .. }
                | Fault::FlipAnswerBit { .. }
                | Fault::WithDate(_)
                | Fault::KeepAlive { .. },
            )
            | None => {}
        }
        self.forward(request, index, damage, fault.as_ref()).await
    }

    fn note(&self, request: &Head) -> Seen {
        let [method, target, _] = request.first.clone();
        Seen {
            kind: Kind::of(&method, &target, request.header("x-amz-copy-source")),
            part_number: part_number(&target),
            method,
            target,
            headers: request.headers.clone(),
            connection: self.connection,
            at: Instant::now(),
            idle: self.idle_since.map(|since| since.elapsed()),
            in_flight: 0,
            under_way: true,
            body_bytes: 0,
            status: None,
            fault: None,
        }
    }

    /// Reads the body. A client that waits for 100 Continue sends no body and gets the response
    /// instead.
    async fn take_in(&mut self, request: &Head, index: usize) -> Result<()> {
        if waits(request) {
            return Ok(());
        }
        let Self { client, record, .. } = self;
        let count = |bytes| record.count_body(index, bytes);
        let framing = request.request_framing();
        copy_body(&mut client.reader, &mut sink(), framing, Damage::default(), count)
            .await
            .map(drop)
    }

    /// Responds without contacting the store.
    async fn answer(
        &mut self,
        request: &Head,
        index: usize,
        status: u16,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Next> {
        let waits = waits(request);
        let close = if waits { "Connection: close\r\n" } else { "" };
        let is_head = request.first[0] == "HEAD";
        let length = body.len();
        let more: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "HTTP/1.1 {status} Chaos\r\nContent-Type: application/xml\r\nContent-Length: \
             {length}\r\n{more}{close}\r\n"
        );
        self.client.writer.write_all(head.as_bytes()).await?;
        if !is_head {
            self.client.writer.write_all(body.as_bytes()).await?;
        }
        self.record.answered(index, status);
        Ok(if waits || request.closes() { Next::Close } else { Next::KeepAlive })
    }

    async fn forward_twice(&mut self, request: &Head, index: usize) -> Result<Next> {
        let Self { client, store, record, .. } = self;
        let mut bytes = request.bytes.clone();
        let count = |bytes| record.count_body(index, bytes);
        copy_body(
            &mut client.reader,
            &mut bytes,
            request.request_framing(),
            Damage::default(),
            count,
        )
        .await?;
        store.writer.write_all(&bytes).await?;
        let head = Head::read(&mut store.reader).await?.ok_or(ErrorKind::UnexpectedEof)?;
        let framing = head.answer_framing(&request.first[0]);
        copy_body(&mut store.reader, &mut sink(), framing, Damage::default(), |_| {}).await?;
        // Use a separate connection: the store may have closed the first one.
        *store = Side::new(TcpStream::connect(self.upstream).await?);
        store.writer.write_all(&bytes).await?;
        relay(&mut store.reader, &mut client.writer, record, index, request, None).await
    }

    /// Forwards the request and the response at the same time: a store may respond before the body
    /// has ended.
    async fn forward(
        &mut self,
        request: &Head,
        index: usize,
        damage: Damage,
        fault: Option<&Fault>,
    ) -> Result<Next> {
        let Self { client, store, record, .. } = self;
        store.writer.write_all(&request.bytes).await?;
        let framing = request.request_framing();
        let count = |bytes| record.count_body(index, bytes);
        let send = copy_body(&mut client.reader, &mut store.writer, framing, damage, count);
        let relay = relay(&mut store.reader, &mut client.writer, record, index, request, fault);
        tokio::pin!(send, relay);
        tokio::select! {
            biased;
            sent = &mut send => match (sent, fault) {
                (Ok(End::Whole), _) => relay.await,
                (Ok(End::Stopped), Some(Fault::Stall { .. })) => std::future::pending().await,
                (Ok(End::Stopped), _) => Ok(Next::Close),
                // The store closed its side, and may have responded before that.
                (Err(error), _) if error.kind() != ErrorKind::UnexpectedEof => {
                    relay.await.map(|_| Next::Close)
                }
                (Err(error), _) => Err(error),
            },
            // The store answered early: the next request would start with the rest of the body.
            relayed = &mut relay => relayed.map(|_| Next::Close),
        }
    }
}

fn waits(request: &Head) -> bool {
    request.header("expect").is_some()
}

async fn relay(
    store: &mut BufReader<OwnedReadHalf>,
    client: &mut OwnedWriteHalf,
    record: &Record,
    index: usize,
    request: &Head,
    fault: Option<&Fault>,
) -> Result<Next> {
    loop {
        let head = Head::read(store).await?.ok_or(ErrorKind::UnexpectedEof)?;
        let framing = head.answer_framing(&request.first[0]);
        if matches!(fault, Some(Fault::DropAnswer)) && !head.is_interim() {
            // Read the response to its end, so that the store has completed the request.
            copy_body(store, &mut sink(), framing, Damage::default(), |_| {}).await?;
            return Ok(Next::Close);
        }
        if let (Some(Fault::KeepAlive { every, blanks }), 200) = (fault, head.status()) {
            let mut body = Vec::new();
            copy_body(store, &mut body, framing, Damage::default(), |_| {}).await?;
            blanks_then(client, &body, *every, *blanks).await?;
            record.answered(index, 200);
            return Ok(Next::Close);
        }
        match fault {
            Some(Fault::WithDate(date)) => {
                client.write_all(&head.with_header("date", date).bytes).await?;
            }
            _ => client.write_all(&head.bytes).await?,
        }
        if head.is_interim() {
            continue;
        }
        let mut damage = Damage::default();
        match fault {
            Some(Fault::CutAnswer { after_bytes }) => damage.stop_after = Some(*after_bytes),
            Some(Fault::FlipAnswerBit { at_byte }) => damage.flip_bit_of = Some(*at_byte),
            _ => {}
        }
        let end = copy_body(store, client, framing, damage, |_| {}).await?;
        record.answered(index, head.status());
        let over = head.closes()
            || request.closes()
            || framing == Framing::UntilClosed
            || end == End::Stopped;
        return Ok(if over { Next::Close } else { Next::KeepAlive });
    }
}

/// Builds a response that starts with blanks to keep the connection alive. The XML declaration
/// comes first, because after blanks the document would not be well-formed.
async fn blanks_then(
    client: &mut OwnedWriteHalf,
    body: &[u8],
    every: Duration,
    blanks: u32,
) -> Result<()> {
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n\r\n\
        <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    client.write_all(HEAD).await?;
    for _ in 0..blanks {
        tokio::time::sleep(every).await;
        client.write_all(b" ").await?;
    }
    let declared =
        body.starts_with(b"<?xml").then(|| body.windows(2).position(|two| two == b"?>")).flatten();
    client.write_all(&body[declared.map_or(0, |end| end + 2)..]).await
}
