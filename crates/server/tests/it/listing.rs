//! Listings: order, prefixes, delimiters, markers, encodings, paging that loses nothing.

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
    let keys: Vec<String> =
        (0..25).map(|n| format!("{}/{n:02}", ["x", "y"][n % 2])).chain(["a".into(), "z".into()]).collect();
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

/// A parser reads a raw `\r` as `\n`: what a client listed and then aborted was another key, and never went.
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
    // And an object is its bytes, whatever it says it is.
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
