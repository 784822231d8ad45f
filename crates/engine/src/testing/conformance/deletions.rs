//! Conformance of DeleteObjects.

use haul_parts::{Bucket, Key};

use super::objects::ODD_KEYS;
use super::{OrFail, Suite, ensure, fails, pattern, same};
use crate::remote::{DeleteEntry, ObjectRef, StoreErrorKind};

/// Existing and missing keys: both are gone afterwards, and no other.
pub(super) async fn many(suite: &Suite) -> Result<(), String> {
    let names = ["many/a", "many/b", "many/b/c", "many/d e"];
    let beside = suite.object("many/beside")?;
    let objects = objects(suite, &names)?;
    for object in objects.iter().chain([&beside]) {
        suite.put(object, &pattern(10, 61)).await.or_fail("PutObject")?;
    }
    let mut entries: Vec<_> =
        objects.iter().map(|object| DeleteEntry::current(object.key.clone())).collect();
    entries.push(DeleteEntry::current(suite.object("many/never there")?.key));
    delete(suite, &entries).await?;
    for object in &objects {
        let head = suite.store.head_object(object).await;
        fails(&format!("HEAD of {object}"), head, StoreErrorKind::NoSuchKey)?;
    }
    suite.store.head_object(&beside).await.or_fail("HEAD of the object beside them")?;
    suite.delete(&beside).await?;

    let missing = Bucket::new(format!("{:.50}-missing", suite.bucket.as_str()));
    let missing = missing.map_err(|error| error.to_string())?;
    let answer = suite.store.delete_objects(&missing, &entries).await;
    fails("DeleteObjects in a missing bucket", answer, StoreErrorKind::NoSuchBucket)
}

/// Each key survives XML in both directions: exactly this key is removed, and the answer names it.
pub(super) async fn odd_keys(suite: &Suite) -> Result<(), String> {
    let refused = suite.expectations.refused_keys;
    let names: Vec<_> = ODD_KEYS.into_iter().filter(|name| !refused.contains(name)).collect();
    let objects = objects(suite, &names)?;
    for object in &objects {
        suite.put(object, &pattern(10, 62)).await.or_fail("PutObject")?;
    }
    let entries: Vec<_> =
        objects.iter().map(|object| DeleteEntry::current(object.key.clone())).collect();
    delete(suite, &entries).await?;
    for object in &objects {
        let head = suite.store.head_object(object).await;
        fails(&format!("HEAD of {object}"), head, StoreErrorKind::NoSuchKey)?;
    }
    Ok(())
}

fn objects(suite: &Suite, names: &[&str]) -> Result<Vec<ObjectRef>, String> {
    names.iter().map(|name| suite.object(name)).collect()
}

async fn delete(suite: &Suite, entries: &[DeleteEntry]) -> Result<(), String> {
    let results = suite.store.delete_objects(&suite.bucket, entries).await;
    let results = results.or_fail("DeleteObjects")?;
    same("the number of results", &results.len(), &entries.len())?;
    for (entry, result) in entries.iter().zip(results) {
        let key: &Key = &entry.key;
        let deleted = result.or_fail(&format!("the deletion of {key}"))?;
        ensure(!deleted.delete_marker, || format!("{key} got a delete marker"))?;
    }
    Ok(())
}
