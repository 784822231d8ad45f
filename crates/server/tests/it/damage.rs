//! Damaged data files: no wrong byte leaves the server, and the damage is reported to its operator.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::client::{Auth, Client, Response};
use crate::fixture::{Fixture, bytes};

const SPAN_BYTES: usize = 64 << 10;
const OBJECT_BYTES: usize = 1 << 20;

async fn fixture() -> Fixture {
    Fixture::with(|options| options.admin_listen = Some("127.0.0.1:0".parse().unwrap())).await
}

fn data_file(f: &Fixture, number: u64) -> PathBuf {
    f.dir.path().join(format!("store/data/000/000/{number:016x}"))
}

fn flip_a_bit(f: &Fixture, number: u64, offset: u64) {
    let file = File::options().read(true).write(true).open(data_file(f, number)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

async fn damaged_reads(f: &Fixture) -> u64 {
    let admin = Client { address: f.server.admin_address().unwrap(), ..f.client.clone() };
    let metrics = admin.request("GET", "/metrics").auth(Auth::None).expect(200).await.text();
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("haul_damaged_reads_total ")).unwrap();
    line.parse().unwrap()
}

/// Asserts that a response ends early, and that everything before the end is right.
fn assert_cut(answer: &Response, expected: &[u8], at_most: usize) {
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, expected.len());
    assert!(answer.body.len() <= at_most, "{} bytes came, {at_most} are good", answer.body.len());
    assert!(answer.body == expected[..answer.body.len()], "a wrong byte came");
}

/// Regression: an object with a flipped bit was returned with status 200 and wrong bytes, whole and
/// in ranges.
#[tokio::test]
async fn a_flipped_bit_is_never_answered() {
    let f = fixture().await;
    let body = bytes(OBJECT_BYTES);
    f.client.put("/bkt/k", body.clone()).await;
    assert_eq!(damaged_reads(&f).await, 0);
    let bad = 9 * SPAN_BYTES;
    flip_a_bit(&f, 0, bad as u64 + 10);

    let whole = f.client.request("GET", "/bkt/k").expect(200).await;
    assert_cut(&whole, &body, bad);
    assert_eq!(damaged_reads(&f).await, 1);
    // The range begins in the damaged span, so no header has been sent yet and the response is an
    // error document.
    let range = |first: usize, last: usize| {
        f.client.request("GET", "/bkt/k").header("range", &format!("bytes={first}-{last}"))
    };
    range(bad + 100, bad + 200).refused(500, "InternalError").await;
    assert_cut(&range(100, OBJECT_BYTES - 1).expect(206).await, &body[100..], bad - 100);
    for (first, last) in [(0, bad - 1), (bad - 5, bad - 1), (bad + SPAN_BYTES, OBJECT_BYTES - 1)] {
        assert!(
            range(first, last).expect(206).await.body == body[first..=last],
            "{first} to {last}"
        );
    }
    assert_eq!(damaged_reads(&f).await, 3);
    f.client.request("HEAD", "/bkt/k").expect(200).await;
}

#[tokio::test]
async fn swapped_data_files_are_never_answered() {
    let f = fixture().await;
    let (one, other) = (bytes(200_000), bytes(200_001)[1..].to_vec());
    f.client.put("/bkt/one", one).await;
    f.client.put("/bkt/other", other).await;
    let aside = f.dir.path().join("aside");
    std::fs::rename(data_file(&f, 0), &aside).unwrap();
    std::fs::rename(data_file(&f, 1), data_file(&f, 0)).unwrap();
    std::fs::rename(&aside, data_file(&f, 1)).unwrap();
    for key in ["/bkt/one", "/bkt/other"] {
        f.client.request("GET", key).refused(500, "InternalError").await;
    }
}

/// CopyObject reads no bytes: the copy shares the file of its source, and reads of the copy are
/// verified too. A part made from a range is read to compute its hashes.
#[tokio::test]
async fn copies_of_damaged_objects_are_never_answered() {
    let f = fixture().await;
    let body = bytes(OBJECT_BYTES);
    f.client.put("/bkt/k", body.clone()).await;
    flip_a_bit(&f, 0, 3 * SPAN_BYTES as u64);
    let copy = f.client.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/k");
    copy.expect(200).await;
    let answer = f.client.request("GET", "/bkt/copy").send().await;
    assert_eq!(answer.status, 500, "the first block is damaged");

    let id = f.client.post("/bkt/parts?uploads", "").await.element("UploadId").unwrap();
    let part = |number: u32, range: &str| {
        let uri = format!("/bkt/parts?partNumber={number}&uploadId={id}");
        f.client
            .request("PUT", &uri)
            .header("x-amz-copy-source", "/bkt/k")
            .header("x-amz-copy-source-range", &format!("bytes={range}"))
    };
    let refused = part(1, "100-1000000").send().await;
    assert!(refused.text().contains("<Code>InternalError</Code>"), "{}", refused.text());
    part(2, "700000-1000000").expect(200).await;
    let list = f.client.get(&format!("/bkt/parts?uploadId={id}")).await;
    assert_eq!(list.elements("PartNumber"), ["2"]);
}
