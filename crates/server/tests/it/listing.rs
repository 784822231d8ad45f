//! Listings: order, prefixes, delimiters, markers, encodings, and paging that loses nothing.

use crate::client::Response;
use crate::fixture::Fixture;

async fn with_keys(keys: &[&str]) -> Fixture {
    let f = Fixture::new().await;
    for key in keys {
        f.client.request("PUT", &format!("/bkt/{key}")).body("x").expect(200).await;
    }
    f
}

#[tokio::test]
async fn version_two_lists_in_byte_order_with_prefixes() {
    let f = with_keys(&["b", "a/1", "a/2", "a.txt", "c/d/e", "%C3%A4"]).await;
    let list = |query: &str| f.client.request("GET", &format!("/bkt?list-type=2{query}"));
    let all = list("").expect(200).await;
    assert_eq!(all.elements("Key"), ["a.txt", "a/1", "a/2", "b", "c/d/e", "ä"]);
    assert_eq!(all.element("KeyCount").as_deref(), Some("6"));
    assert_eq!(all.element("IsTruncated").as_deref(), Some("false"));
    assert_eq!(all.elements("Size")[0], "1");
    assert!(all.element("Owner").is_none());
    assert!(list("&fetch-owner=true").expect(200).await.element("Owner").is_some());
    let rolled = list("&delimiter=%2F").expect(200).await;
    assert_eq!(rolled.elements("Key"), ["a.txt", "b", "ä"]);
    assert!(
        rolled.text().contains("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"),
        "{}",
        rolled.text()
    );
    assert_eq!(rolled.element("KeyCount").as_deref(), Some("5"));
    assert_eq!(list("&prefix=a%2F").expect(200).await.elements("Key"), ["a/1", "a/2"]);
    assert_eq!(list("&start-after=a%2F1").expect(200).await.elements("Key")[0], "a/2");
    assert!(list("&max-keys=0").expect(200).await.elements("Key").is_empty());
    list("&max-keys=-1").refused(400, "InvalidArgument").await;
    list("&continuation-token=%21").refused(400, "InvalidArgument").await;
    list("&encoding-type=other").refused(400, "InvalidArgument").await;
}

#[tokio::test]
async fn pages_lose_and_repeat_nothing() {
    let keys: Vec<String> = (0..25)
        .map(|n| format!("{}/{n:02}", ["x", "y"][n % 2]))
        .chain(["a".into(), "z".into()])
        .collect();
    let f = with_keys(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut sorted = keys.clone();
    sorted.sort();
    for size in [1, 2, 5, 27, 1000] {
        let (mut token, mut listed) = (String::new(), Vec::new());
        loop {
            let page = f.client.get(&format!("/bkt?list-type=2&max-keys={size}{token}")).await;
            listed.extend(page.elements("Key"));
            let Some(next) = page.element("NextContinuationToken") else { break };
            token = format!("&continuation-token={next}");
        }
        assert_eq!(listed, sorted, "pages of {size}");

        let (mut marker, mut listed) = (String::new(), Vec::new());
        loop {
            let page = f.client.get(&format!("/bkt?max-keys={size}{marker}")).await;
            listed.extend(page.elements("Key"));
            if page.element("IsTruncated").as_deref() == Some("false") {
                break;
            }
            marker = format!("&marker={}", listed.last().unwrap().replace('/', "%2F"));
        }
        assert_eq!(listed, sorted, "version 1, pages of {size}");

        let (mut marker, mut seen) = (String::new(), Vec::new());
        loop {
            let page = f.client.get(&format!("/bkt?delimiter=%2F&max-keys={size}{marker}")).await;
            seen.extend(page.elements("Key"));
            seen.extend(
                page.elements("CommonPrefixes")
                    .iter()
                    .map(|p| p.replace("<Prefix>", "").replace("</Prefix>", "")),
            );
            let Some(next) = page.element("NextMarker") else { break };
            marker = format!("&marker={}", next.replace('/', "%2F"));
        }
        seen.sort();
        assert_eq!(seen, ["a", "x/", "y/", "z"], "rolled up, pages of {size}");
    }
}

/// Regression: a parser reads a raw `\r` as `\n`. A client that listed an upload and then aborted
/// it named another key, and the upload stayed.
#[tokio::test]
async fn control_characters_of_keys_are_references() {
    let f = with_keys(&["a%0Db", "c%01%1Fd", "e%09%0Af"]).await;
    f.client.post("/bkt/a%0Db?uploads", "").await;
    let referred = ["a&#13;b", "c&#x1;&#x1f;d", "e\t\nf"];
    assert_eq!(f.client.get("/bkt?list-type=2").await.elements("Key"), referred);
    assert_eq!(f.client.get("/bkt").await.elements("Key"), referred);
    assert_eq!(f.client.get("/bkt?uploads").await.elements("Key"), referred[..1]);
    assert_eq!(
        f.client.get("/bkt?list-type=2&prefix=a%0D").await.element("Prefix").as_deref(),
        Some("a&#13;")
    );
    let refused = f.client.request("GET", "/bkt/g%0Dh").refused(404, "NoSuchKey").await;
    assert!(!refused.body.contains(&b'\r'), "{}", refused.text());
    // An object's bytes are unchanged, whatever its content type.
    let put = f.client.request("PUT", "/bkt/document").header("content-type", "application/xml");
    put.body("<a>\r\u{1}</a>").expect(200).await;
    assert_eq!(f.client.get("/bkt/document").await.text(), "<a>\r\u{1}</a>");
}

#[tokio::test]
async fn names_are_encoded_when_asked() {
    let f = with_keys(&["a%20b/%2B%25%C3%A4", "plain"]).await;
    let list = f.client.get("/bkt?list-type=2&encoding-type=url&prefix=a%20").await;
    assert_eq!(list.elements("Key"), ["a%20b/%2B%25%C3%A4"]);
    assert_eq!(list.element("Prefix").as_deref(), Some("a%20"));
    assert_eq!(list.element("EncodingType").as_deref(), Some("url"));
    let list = f.client.get("/bkt?encoding-type=url&delimiter=%2F").await;
    assert!(list.text().contains("<Prefix>a%20b/</Prefix>"), "{}", list.text());
    let versions = f.client.get("/bkt?versions&encoding-type=url").await;
    assert_eq!(versions.elements("VersionId"), ["null", "null"]);
    assert_eq!(versions.elements("IsLatest"), ["true", "true"]);
}

/// Returns every character that XML cannot hold or treats specially, as a key in percent-encoding.
fn odd_keys() -> Vec<String> {
    let odd =
        (1..=0x20).chain([0x22, 0x25, 0x26, 0x27, 0x2b, 0x3c, 0x3e, 0x7f, 0x85, 0x9b, 0x2028]);
    let odd = odd.chain([0xd7ff, 0xe000, 0xfffd, 0xfffe, 0xffff, 0x1f600, 0xfffff, 0x10ffff]);
    let odd = odd
        .map(|code| char::from_u32(code).unwrap().to_string())
        .chain(["]]>".into(), "&#1;".into()]);
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let encoded = |text: String| text.bytes().map(one).collect();
    odd.map(encoded).collect()
}

#[track_caller]
fn assert_well_formed(answer: &Response) {
    let parsed = roxmltree::Document::parse(std::str::from_utf8(&answer.body).unwrap()).map(drop);
    assert_eq!(parsed, Ok(()), "{}", answer.text());
}

#[tokio::test]
async fn listings_in_url_encoding_are_well_formed_for_every_key() {
    let f = Fixture::new().await;
    let keys = odd_keys();
    for key in &keys {
        f.client.request("PUT", &format!("/bkt/{key}")).body("x").expect(200).await;
        f.client.request("POST", &format!("/bkt/{key}?uploads")).expect(200).await;
    }
    for what in ["list-type=2", "", "versions", "uploads"] {
        let answer = f.client.get(&format!("/bkt?{what}&encoding-type=url")).await;
        assert_well_formed(&answer);
        let mut listed = answer.elements("Key");
        let decoded = |text: &String| percent_decode(text);
        listed.sort_by_key(decoded);
        let mut expected: Vec<_> = keys.iter().map(decoded).collect();
        expected.sort();
        assert_eq!(listed.iter().map(decoded).collect::<Vec<_>>(), expected, "{what}");
        for key in &keys {
            for query in [
                format!("prefix={key}"),
                format!("delimiter={key}"),
                format!("marker={key}&key-marker={key}&start-after={key}"),
                format!("upload-id-marker={key}"),
                format!("version-id-marker={key}"),
                format!("continuation-token={key}"),
                format!("max-keys={key}&max-uploads={key}"),
            ] {
                assert_well_formed(
                    &f.client.get(&format!("/bkt?{what}&encoding-type=url&{query}")).await,
                );
            }
        }
    }
    // Without the encoding, the characters are written raw, as AWS does, and most parsers refuse
    // them.
    let keys =
        f.client.get("/bkt?list-type=2&start-after=%EF%BF%BC&max-keys=3").await.elements("Key");
    assert_eq!(keys, ["\u{fffd}", "&#xfffe;", "&#xffff;"]);
}

fn percent_decode(text: &String) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

/// Regression: AWS lists whole seconds. A client that compared our milliseconds with
/// `Last-Modified` found every object changed.
#[tokio::test]
async fn times_in_documents_are_whole_seconds() {
    let f = with_keys(&["k"]).await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let part = format!("/bkt/k?partNumber=1&uploadId={id}");
    f.client.put(&part, "x").await;
    let copy = |target: &str| f.client.request("PUT", target).header("x-amz-copy-source", "bkt/k");
    let answers = [
        (f.client.get("/bkt?list-type=2").await, "LastModified"),
        (f.client.get("/bkt").await, "LastModified"),
        (f.client.get("/bkt?versions").await, "LastModified"),
        (f.client.get("/bkt?uploads").await, "Initiated"),
        (f.client.get(&format!("/bkt/k?uploadId={id}")).await, "LastModified"),
        (f.client.get("/").await, "CreationDate"),
        (copy("/bkt/copy").expect(200).await, "LastModified"),
        (copy(&part).expect(200).await, "LastModified"),
    ];
    for (answer, name) in answers {
        let times = answer.elements(name);
        assert!(
            !times.is_empty() && times.iter().all(|time| time.ends_with(".000Z")),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn empty_parameters_of_listings_are_absent() {
    let f = with_keys(&["a/b", "c"]).await;
    let list = f.client.request(
        "GET",
        "/bkt?list-type=2&delimiter=&max-keys=&start-after=&encoding-type=&fetch-owner=",
    );
    let list = list.expect(200).await;
    assert_eq!(list.elements("Key"), ["a/b", "c"]);
    assert_eq!(list.element("MaxKeys").as_deref(), Some("1000"));
    assert_eq!((list.element("Delimiter"), list.element("EncodingType")), (None, None));
    let list = f.client.request("GET", "/bkt?delimiter&max-keys").expect(200).await;
    assert_eq!((list.elements("Key").len(), list.element("Delimiter")), (2, None));
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    f.client.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), "x").await;
    let parts =
        f.client.request("GET", &format!("/bkt/k?uploadId={id}&part-number-marker=&max-parts="));
    let parts = parts.expect(200).await;
    assert_eq!(parts.elements("PartNumber"), ["1"]);
    assert_eq!(parts.element("MaxParts").as_deref(), Some("1000"));
    let uploads = f
        .client
        .request("GET", "/bkt?uploads&max-uploads=&delimiter=&upload-id-marker=&key-marker=");
    assert_eq!(uploads.expect(200).await.elements("Key"), ["k"]);
    f.client.request("GET", "/?max-buckets=").expect(200).await;
}

/// Tools compare the checksum of a version with the one they know; an empty delimiter counts as
/// absent.
#[tokio::test]
async fn versions_carry_checksums_and_an_empty_delimiter_is_none() {
    let f = with_keys(&["plain"]).await;
    let c = &f.client;
    let put = c.request("PUT", "/bkt/summed").header("x-amz-storage-class", "STANDARD_IA");
    let sha1 = haul_parts::Hasher::checksum(haul_parts::ChecksumAlgorithm::Sha1, b"x").to_base64();
    put.header("x-amz-checksum-sha1", &sha1).body("x").expect(200).await;
    let versions = c.get("/bkt?versions&delimiter=").await;
    assert_eq!(versions.elements("ChecksumAlgorithm"), ["CRC64NVME", "SHA1"]);
    assert_eq!(versions.elements("ChecksumType"), ["FULL_OBJECT", "FULL_OBJECT"]);
    assert_eq!(versions.elements("StorageClass"), ["STANDARD", "STANDARD_IA"]);
    for query in
        ["versions&delimiter=", "delimiter=", "list-type=2&delimiter=", "uploads&delimiter="]
    {
        let list = c.request("GET", &format!("/bkt?{query}")).expect(200).await;
        assert!(!list.text().contains("Delimiter"), "{query}: {}", list.text());
    }
}
