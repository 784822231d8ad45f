//! Conformance of listings: their order, their pages, and their end.

use futures_util::{StreamExt, TryStreamExt, stream};
use haul_parts::{Bucket, PartNumber};

use super::{OrFail, Suite, ensure, part_number, pattern, same};
use crate::remote::{ListingEntry, UploadSummary};

/// Requests in flight while a listing is filled.
const AT_ONCE: usize = 8;

/// Listings of uploads are filled beyond one page only if pages are at most this large, because
/// each upload costs two requests.
const UPLOADS_PAGE_MAX: u16 = 50;

pub(super) async fn parts(suite: &Suite) -> Result<(), String> {
    let upload = suite.create(&suite.object("parts")?).await?;
    let count = u32::from(suite.expectations.page_max) + 2;
    let bytes = pattern(1, 40);
    // Every other number, in descending order.
    let numbers: Vec<_> =
        (1..=count).rev().map(|index| part_number(2 * index)).collect::<Result<_, _>>()?;
    stream::iter(&numbers)
        .map(|number| suite.send(&upload, *number, &bytes))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
        .or_fail("UploadPart")?;

    let (mut seen, mut after, mut pages) = (Vec::<PartNumber>::new(), None, 0);
    loop {
        let page = suite.store.list_parts(&upload, after).await.or_fail("ListParts")?;
        seen.extend(page.parts.iter().map(|part| part.number));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
        ensure(pages <= count, || "the pages do not end".into())?;
    }
    let wanted: Vec<_> = numbers.into_iter().rev().collect();
    ensure(seen == wanted, || {
        format!(
            "{pages} pages show {} parts instead of {}, or not in order",
            seen.len(),
            wanted.len()
        )
    })?;
    ensure(pages >= 2, || format!("{count} parts came on one page"))?;
    suite.store.abort_multipart_upload(&upload).await.or_fail("Abort")
}

pub(super) async fn uploads(suite: &Suite) -> Result<(), String> {
    let paged = suite.expectations.page_max <= UPLOADS_PAGE_MAX;
    let more = if paged { usize::from(suite.expectations.page_max) } else { 0 };
    // Two uploads of one key and others below the prefix, and one upload beside it.
    let mut names = vec!["uploads/b".to_owned(), "uploads/a".into(), "uploads/b".into()];
    names.extend((0..more).map(|index| format!("uploads/c{index:04}")));
    let beside = suite.create(&suite.object("uploads-beside")?).await?;
    let mut made = vec![];
    for name in &names {
        made.push(suite.create(&suite.object(name)?).await?);
    }

    let seen = listed_uploads(suite, "conformance/uploads/").await?;
    let keys: Vec<_> = seen.iter().map(|summary| summary.key.clone()).collect();
    let mut wanted: Vec<_> =
        made.iter().map(|upload| upload.object.key.as_str().to_owned()).collect();
    wanted.sort();
    same("the keys of the uploads", &keys, &wanted)?;
    for upload in &made {
        ensure(seen.iter().any(|summary| summary.upload_id == upload.upload_id), || {
            format!("upload {} of {} is not listed", upload.upload_id, upload.object)
        })?;
    }
    for upload in made.iter().chain([&beside]) {
        suite.store.abort_multipart_upload(upload).await.or_fail("Abort")?;
    }
    let left = listed_uploads(suite, "conformance/uploads").await?;
    ensure(left.is_empty(), || format!("aborted uploads are listed: {left:?}"))
}

async fn listed_uploads(suite: &Suite, prefix: &str) -> Result<Vec<UploadSummary>, String> {
    let (mut seen, mut after) = (vec![], None);
    loop {
        let page = suite.store.list_multipart_uploads(&suite.bucket, prefix, after.as_ref()).await;
        let page = page.or_fail("ListMultipartUploads")?;
        let empty = page.uploads.is_empty();
        seen.extend(page.uploads);
        after = page.next;
        if after.is_none() {
            return Ok(seen);
        }
        ensure(!empty, || "a page without uploads is not the last one".into())?;
    }
}

pub(super) async fn objects(suite: &Suite) -> Result<(), String> {
    let names = ["tree/a", "tree/b/1", "tree/b/2", "tree/b/c/3", "tree/d", "tree-beside"];
    for name in names {
        suite.put(&suite.object(name)?, &pattern(name.len(), 41)).await.or_fail("PutObject")?;
    }
    let prefix = "conformance/tree/";
    let flat = listed(suite, prefix, None).await?;
    let wanted: Vec<_> = names[..5].iter().map(|name| format!("conformance/{name}")).collect();
    same("the keys below a prefix", &flat, &wanted)?;
    let rolled = listed(suite, prefix, Some("/")).await?;
    let wanted = ["conformance/tree/a", "conformance/tree/b/ …", "conformance/tree/d"];
    same("the keys rolled up", &rolled, &wanted.map(str::to_owned).to_vec())?;
    for name in names {
        suite.delete(&suite.object(name)?).await?;
    }
    Ok(())
}

pub(super) async fn object_pages(suite: &Suite) -> Result<(), String> {
    let count = usize::from(suite.expectations.page_max) + 2;
    let objects: Vec<_> = (0..count)
        .map(|index| suite.object(&format!("pages/{index:05}")))
        .collect::<Result<_, _>>()?;
    let bytes = pattern(1, 42);
    stream::iter(&objects)
        .map(|object| suite.put(object, &bytes))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
        .or_fail("PutObject")?;
    let seen = listed(suite, "conformance/pages/", None).await?;
    let wanted: Vec<_> = objects.iter().map(|object| object.key.as_str().to_owned()).collect();
    ensure(seen == wanted, || {
        format!("the pages show {} keys instead of {count}, or not in order", seen.len())
    })?;
    stream::iter(&objects)
        .map(|object| suite.store.delete_object(object))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
        .or_fail("DeleteObject")
}

/// Returns all pages as text: keys, and common prefixes followed by ` …`.
async fn listed(
    suite: &Suite,
    prefix: &str,
    delimiter: Option<&str>,
) -> Result<Vec<String>, String> {
    let (mut seen, mut continuation) = (vec![], None::<String>);
    loop {
        let page = suite
            .store
            .list_objects(&suite.bucket, prefix, delimiter, continuation.as_deref())
            .await;
        let page = page.or_fail("ListObjectsV2")?;
        let empty = page.entries.is_empty();
        seen.extend(page.entries.into_iter().map(|entry| match entry {
            ListingEntry::Object { key, .. } => key,
            ListingEntry::CommonPrefix(prefix) => format!("{prefix} …"),
        }));
        continuation = page.next;
        if continuation.is_none() {
            return Ok(seen);
        }
        ensure(!empty, || "a page without entries is not the last one".into())?;
    }
}

pub(super) async fn buckets(suite: &Suite) -> Result<(), String> {
    let names = |suite: &Suite| {
        let store = std::sync::Arc::clone(&suite.store);
        async move {
            let buckets = store.list_buckets().await.or_fail("ListBuckets")?;
            Ok::<_, String>(buckets.into_iter().map(|bucket| bucket.name).collect::<Vec<_>>())
        }
    };
    let before = names(suite).await?;
    ensure(before.iter().any(|name| name == suite.bucket.as_str()), || {
        format!("they are {before:?}")
    })?;
    if !suite.expectations.makes_buckets {
        return Ok(());
    }
    let second = Bucket::new(format!("{:.50}-second", suite.bucket.as_str()));
    let second = second.map_err(|error| error.to_string())?;
    suite.store.create_bucket(&second).await.or_fail("CreateBucket")?;
    let with_second = names(suite).await?;
    ensure(with_second.iter().any(|name| name == second.as_str()), || format!("{with_second:?}"))?;
    suite.store.delete_bucket(&second).await.or_fail("DeleteBucket")?;
    let after = names(suite).await?;
    ensure(!after.iter().any(|name| name == second.as_str()), || {
        format!("{after:?} after DeleteBucket")
    })
}

pub(super) async fn nothing_left(suite: &Suite) -> Result<(), String> {
    let objects = listed(suite, "conformance/", None).await?;
    ensure(objects.is_empty(), || format!("objects are left: {objects:?}"))?;
    let uploads = listed_uploads(suite, "conformance/").await?;
    ensure(uploads.is_empty(), || format!("uploads are left: {uploads:?}"))
}
