//! Repeated `kill -9` of a server under load: every acknowledged write is present, and no write is
//! partial.
//!
//! The store's own tests simulate power cuts; this test kills the whole server, as a real process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haul_server::running_endpoint;
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::fixture::bytes;

const ROUNDS: usize = 30;
const WRITERS: usize = 4;

/// A server process; dropping it kills it, as `kill -9` does.
struct Victim(Child);

impl Victim {
    async fn start(folder: &Path) -> (Self, Client) {
        let victim = Self(
            Command::new(env!("CARGO_BIN_EXE_serve-until-killed"))
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..3000 {
            looks.tick().await;
            if let Some(found) = running_endpoint(folder).unwrap() {
                return (victim, Client { address: found.address, credentials: found.credentials });
            }
        }
        panic!("the server did not start");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().expect("it runs until it is killed");
        self.0.wait().expect("it was killed");
    }
}

/// The requests of one round, and which of them were acknowledged.
struct Sent {
    /// One permit for each response, so that the killer can count them.
    answers: Arc<Semaphore>,
    objects: Vec<(String, bool)>,
    /// Key, upload id, and whether the part and the Complete were acknowledged.
    uploads: Vec<(String, String, bool, Option<bool>)>,
}

impl Sent {
    fn object(&mut self, key: String, acknowledged: bool) {
        self.objects.push((key, acknowledged));
        self.answers.add_permits(1);
    }

    fn upload(&mut self, key: String, id: String, part: bool, complete: Option<bool>) {
        self.uploads.push((key, id, part, complete));
        self.answers.add_permits(1);
    }
}

/// Returns the bytes of a key; their length and content differ from those of any other key.
fn content(key: &str) -> Vec<u8> {
    let seed = key.bytes().fold(7_usize, |seed, byte| (seed * 31 + usize::from(byte)) % 200_003);
    let mut content = bytes(1 + seed * 3);
    content.extend_from_slice(key.as_bytes());
    content
}

async fn put_objects(client: Client, name: String, sent: Arc<Mutex<Sent>>) {
    for count in 0.. {
        let key = format!("{name}-{count}");
        let answer =
            client.request("PUT", &format!("/bkt/{key}")).body(content(&key)).try_send().await;
        let acknowledged = answer.as_ref().is_some_and(|answer| answer.status == 200);
        sent.lock().unwrap().object(key, acknowledged);
        if answer.is_none() {
            return;
        }
    }
}

async fn upload_parts(client: Client, name: String, sent: Arc<Mutex<Sent>>) {
    for count in 0.. {
        let key = format!("{name}-{count}");
        let Some(created) = client.request("POST", &format!("/bkt/{key}?uploads")).try_send().await
        else {
            return;
        };
        let id = created.element("UploadId").unwrap();
        let part = client
            .request("PUT", &format!("/bkt/{key}?partNumber=1&uploadId={id}"))
            .body(content(&key));
        let Some(part) = part.try_send().await else {
            sent.lock().unwrap().upload(key, id, false, None);
            return;
        };
        let etag = part.etag();
        if count % 2 == 0 {
            sent.lock().unwrap().upload(key, id, true, None);
            continue;
        }
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
                </CompleteMultipartUpload>"
        );
        let complete = client
            .request("POST", &format!("/bkt/{key}?uploadId={id}"))
            .body(list)
            .try_send()
            .await;
        let completed = complete.as_ref().is_some_and(|answer| answer.status == 200);
        sent.lock().unwrap().upload(key, id, true, Some(completed));
        if complete.is_none() {
            return;
        }
    }
}

async fn check(client: &Client, sent: &Sent) -> usize {
    let mut acknowledged = 0;
    for (key, was_acknowledged) in &sent.objects {
        let get = client.get(&format!("/bkt/{key}")).await;
        match get.status {
            200 => assert!(get.body == content(key), "{key} is damaged"),
            404 => assert!(!was_acknowledged, "{key} was acknowledged and is gone"),
            other => panic!("{key}: {other} {}", get.text()),
        }
        acknowledged += usize::from(*was_acknowledged);
    }
    for (key, id, part, complete) in &sent.uploads {
        let get = client.get(&format!("/bkt/{key}")).await;
        if get.status == 200 {
            assert!(
                complete.is_some() && get.body == content(key),
                "{key} appeared, or is damaged"
            );
        } else {
            assert_eq!(
                (get.status, complete == &Some(true)),
                (404, false),
                "{key}: {}",
                get.text()
            );
            let list = client.get(&format!("/bkt/{key}?uploadId={id}")).await;
            assert_eq!(list.status, 200, "upload of {key}: {}", list.text());
            assert!(
                !part || list.elements("PartNumber") == ["1"],
                "the part of {key} was acknowledged and is gone"
            );
        }
        acknowledged += usize::from(*part);
    }
    acknowledged
}

#[tokio::test]
async fn a_killed_server_has_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("store");
    let (mut victim, mut client) = Victim::start(&folder).await;
    client.request("PUT", "/bkt").expect(200).await;
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let answers = Arc::new(Semaphore::new(0));
        let sent = Sent { answers: Arc::clone(&answers), objects: Vec::new(), uploads: Vec::new() };
        let sent = Arc::new(Mutex::new(sent));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let name = format!("{round}-{writer}");
            let (client, sent) = (client.clone(), Arc::clone(&sent));
            writers.push(match writer % 2 {
                0 => tokio::spawn(put_objects(client, name, sent)),
                _ => tokio::spawn(upload_parts(client, name, sent)),
            });
        }
        // The kill comes after a few responses, while the other writers are at any point of their
        // work.
        let enough = u32::try_from(1 + round % 9).unwrap();
        answers.acquire_many(enough).await.unwrap().forget();
        drop(victim);
        for writer in writers {
            writer.await.unwrap();
        }
        (victim, client) = Victim::start(&folder).await;
        let sent = Arc::into_inner(sent).unwrap().into_inner().unwrap();
        acknowledged += check(&client, &sent).await;
    }
    drop(victim);
    assert!(
        acknowledged >= ROUNDS,
        "only {acknowledged} writes were acknowledged in {ROUNDS} rounds"
    );
}
