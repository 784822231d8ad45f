//! Lists of parts and uploads from stores that cut them short, repeat them, or encode keys
//! differently.

use haul::remote::{Store, UploadMarker, UploadRef, UploadsPage};
use haul::s3::StaticCredentials;
use haul::{S3Options, S3Store, StoreErrorKind};
use haul_testkit::scripted::{Reply, Request, ScriptedServer};

use crate::harness::object;

pub(crate) async fn store_that_answers(
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> S3Store {
    let store = ScriptedServer::start(answer).store();
    let options = S3Options {
        endpoint_url: Some(store.endpoint),
        region: Some(store.region),
        credentials: Some(StaticCredentials {
            access_key_id: store.access_key,
            secret_access_key: store.secret_key,
        }),
        ..S3Options::default()
    };
    S3Store::connect(options).await.unwrap()
}

fn upload() -> UploadRef {
    UploadRef { object: object(), upload_id: "one".parse().unwrap() }
}

fn parts(numbers: &[u16], rest: &str) -> Reply {
    let part = |number| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>e</ETag><Size>1</Size></Part>")
    };
    let parts: String = numbers.iter().map(part).collect();
    Reply::xml(format!("<ListPartsResult>{parts}{rest}</ListPartsResult>"))
}

fn uploads(uploads: &[(&str, &str)], rest: &str) -> Reply {
    let upload = |(key, id)| format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>");
    let uploads: String = uploads.iter().copied().map(upload).collect();
    Reply::xml(format!("<ListMultipartUploadsResult>{uploads}{rest}</ListMultipartUploadsResult>"))
}

const TRUNCATED: &str = "<IsTruncated>true</IsTruncated>";

#[tokio::test]
async fn parts_without_a_marker_are_continued_behind_the_last() {
    let store = store_that_answers(|_| parts(&[1, 2], TRUNCATED)).await;
    let page = store.list_parts(&upload(), None).await.unwrap();
    assert_eq!(page.next, Some("2".parse().unwrap()));
}

/// Regression: a list that started again from the beginning, or that never ended, was taken for
/// complete.
#[tokio::test]
async fn parts_that_do_not_advance_are_an_error() {
    let store = store_that_answers(|_| parts(&[1, 2], TRUNCATED)).await;
    let again = store.list_parts(&upload(), Some("2".parse().unwrap())).await.unwrap_err();
    assert_eq!(again.kind, StoreErrorKind::Malformed, "{again}");
    assert!(again.to_string().contains("does not advance"), "{again}");
    let store = store_that_answers(|_| parts(&[], TRUNCATED)).await;
    let cut_off = store.list_parts(&upload(), None).await.unwrap_err();
    assert!(cut_off.to_string().contains("does not say where it is continued"), "{cut_off}");
}

async fn list_uploads(
    answer: Reply,
    after: Option<&UploadMarker>,
) -> Result<UploadsPage, haul::StoreError> {
    let store = store_that_answers(move |_| answer.clone()).await;
    store.list_multipart_uploads(&object().bucket, "", after).await
}

#[tokio::test]
async fn uploads_without_a_marker_are_continued_behind_the_last() {
    let page = list_uploads(uploads(&[("a", "1"), ("b", "2")], TRUNCATED), None).await.unwrap();
    let last = UploadMarker { key: "b".into(), upload_id: Some("2".parse().unwrap()) };
    assert_eq!(page.next.as_ref(), Some(&last));
    let again =
        list_uploads(uploads(&[("a", "1"), ("b", "2")], TRUNCATED), Some(&last)).await.unwrap_err();
    assert!(again.to_string().contains("does not advance"), "{again}");
    let cut_off = list_uploads(uploads(&[], TRUNCATED), None).await.unwrap_err();
    assert!(cut_off.to_string().contains("does not say where it is continued"), "{cut_off}");
}

#[tokio::test]
async fn keys_of_uploads_are_decoded_where_the_store_encoded_them() {
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>c+d%25</NextKeyMarker>";
    let encoded = format!("{more}<EncodingType>url</EncodingType>");
    let page = list_uploads(uploads(&[("a+b%EF%BF%BE", "1")], &encoded), None).await.unwrap();
    assert_eq!(page.uploads[0].key, "a b\u{fffe}");
    assert_eq!(page.next.unwrap().key, "c d%");
    let plain = list_uploads(uploads(&[("a+b%20", "1")], more), None).await.unwrap();
    assert_eq!(plain.uploads[0].key, "a+b%20");
    assert_eq!(plain.next.unwrap().key, "c+d%25");
}

/// Regression: a store that returned the same continuation token again and again kept `haul ls`
/// busy forever.
#[tokio::test]
async fn buckets_that_never_end_are_an_error() {
    let store = store_that_answers(|_| {
        Reply::xml(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name></Bucket></Buckets>\
             <ContinuationToken>more</ContinuationToken></ListAllMyBucketsResult>",
        )
    })
    .await;
    let endless = store.list_buckets().await.unwrap_err();
    assert_eq!(endless.kind, StoreErrorKind::Malformed, "{endless}");
}
