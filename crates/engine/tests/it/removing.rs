//! Removing many objects at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use haul::pace::RetryPolicy;
use haul::parts::{Key, ObjectRef};
use haul::remote::{Meter, Operation as O, PutRequest, Store, StoreErrorKind as K};
use haul::removal::{RemovalOptions, Remover, remove_below};
use haul::testing::memory::{Fault, Faults, MemoryStore, Quirks, Refusal};

use crate::harness::bucket;

/// The outcome of each key: `None` if it was removed, otherwise the kind of the error.
type Outcomes = BTreeMap<String, Option<K>>;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn object(text: &str) -> ObjectRef {
    ObjectRef { bucket: bucket(), key: key(text) }
}

async fn holding(quirks: Quirks, keys: impl IntoIterator<Item = impl AsRef<str>>) -> MemoryStore {
    let store = MemoryStore::new(quirks).with_bucket(&bucket());
    for key in keys {
        let request = PutRequest {
            payload: haul::body::Payload::from_bytes("x".into()),
            attributes: haul::ObjectAttributes::default(),
            checksum: None,
            md5: None,
            if_none_match: false,
            if_match: None,
            fresh_connection: false,
            wire: Meter::default(),
        };
        store.put_object(&object(key.as_ref()), request).await.unwrap();
    }
    store
}

fn remover(store: &MemoryStore) -> Remover {
    Remover::new(Arc::new(store.clone()), RetryPolicy::default())
}

async fn remove(store: &MemoryStore, keys: &[&str]) -> Outcomes {
    let keys = keys.iter().map(|text| key(text)).collect();
    let removed = remover(store).remove(&bucket(), keys).await.unwrap();
    removed.into_iter().map(|one| (one.key, one.result.err().map(|error| error.kind))).collect()
}

async fn removed_below(store: &MemoryStore, prefix: &str) -> (Outcomes, Option<K>) {
    let mut outcomes = Outcomes::new();
    let options = RemovalOptions {
        bucket: &bucket(),
        prefix,
        admits: &|key: &str| !key.ends_with(".keep"),
        stop: &AtomicBool::new(false),
    };
    let remover = remover(store);
    let done = remove_below(&remover, options, |one| {
        outcomes.insert(one.key, one.result.err().map(|error| error.kind));
    });
    let done = done.await;
    (outcomes, done.err().map(|error| error.kind))
}

#[tokio::test(start_paused = true)]
async fn a_thousand_keys_go_in_one_request() {
    let keys: Vec<_> = (0..1001).map(|n| format!("k{n:04}")).collect();
    let store = holding(Quirks::AWS, &keys).await;
    let names: Vec<_> = keys.iter().map(String::as_str).collect();
    let outcomes = remove(&store, &names).await;
    assert!(outcomes.len() == 1001 && outcomes.values().all(Option::is_none));
    assert_eq!((store.calls(O::DeleteObjects), store.calls(O::DeleteObject)), (2, 0));
    assert!(store.object(&object("k0000")).is_none() && store.object(&object("k1000")).is_none());
}

/// XML 1.0 has no U+0001, and its parsers read CR as LF: such a key in DeleteObjects could remove
/// another object.
#[tokio::test(start_paused = true)]
async fn keys_that_xml_would_change_are_removed_one_by_one() {
    let odd = ["a\r", "a\u{1}", " a", "a "];
    let store = holding(Quirks::AWS, odd.iter().chain(&["b", "c"])).await;
    let outcomes = remove(&store, &["a\r", "a\u{1}", " a", "a ", "b", "c"]).await;
    assert!(outcomes.values().all(Option::is_none), "{outcomes:?}");
    assert_eq!((store.calls(O::DeleteObjects), store.calls(O::DeleteObject)), (1, 4));
    assert!(odd.iter().all(|key| store.object(&object(key)).is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_store_without_delete_objects_is_asked_for_it_once() {
    let quirks = Quirks { deletes_many: false, page_max: 3, ..Quirks::AWS };
    let store = holding(quirks, (0..20).map(|n| format!("k{n}"))).await;
    let (outcomes, error) = removed_below(&store, "").await;
    assert!(error.is_none() && outcomes.len() == 20 && outcomes.values().all(Option::is_none));
    assert_eq!(store.calls(O::DeleteObject), 20);
    assert!(store.calls(O::DeleteObjects) <= 4, "once for each batch in flight at most");
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_result() {
    let store = holding(Quirks::AWS, ["a", "b", "c"]).await;
    store.forbid_deletion(key("b"));
    let outcomes = remove(&store, &["a", "b", "c"]).await;
    let wanted = [("a", None), ("b", Some(K::AccessDenied)), ("c", None)];
    assert_eq!(outcomes, wanted.map(|(key, kind)| (key.to_owned(), kind)).into());
    assert!(store.object(&object("b")).is_some() && store.object(&object("c")).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_retried() {
    let store = holding(Quirks::AWS, ["a", "b"]).await;
    store.set_faults(Faults::none().on(O::DeleteObjects, 1, Fault::Answer(Refusal::SLOW_DOWN)).on(
        O::DeleteObjects,
        2,
        Fault::LoseAnswer,
    ));
    let outcomes = remove(&store, &["a", "b"]).await;
    assert!(outcomes.values().all(Option::is_none), "{outcomes:?}");
    assert_eq!(store.calls(O::DeleteObjects), 3);
}

/// Pages have three entries here, and the listing continues while objects of earlier pages are
/// removed.
#[tokio::test(start_paused = true)]
async fn what_the_filter_leaves_out_or_stands_beside_stays() {
    let quirks = Quirks { page_max: 3, ..Quirks::AWS };
    let inside = (0..20).map(|n| format!("logs/{n:02}"));
    let beside = ["logs", "logs-old/1", "logs/a.keep", "logs/b.keep", "other"];
    let store = holding(quirks, inside.chain(beside.map(str::to_owned))).await;
    let (outcomes, error) = removed_below(&store, "logs/").await;
    assert_eq!((outcomes.len(), error), (20, None));
    assert!(outcomes.values().all(Option::is_none));
    for key in beside {
        assert!(store.object(&object(key)).is_some(), "{key} was removed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_ends_the_removal() {
    let quirks = Quirks { page_max: 3, ..Quirks::AWS };
    let store = holding(quirks, (0..100).map(|n| format!("k{n:02}"))).await;
    let denied = || Fault::Answer(Refusal::ACCESS_DENIED);
    store.set_faults(
        (2..100).fold(Faults::none(), |faults, n| faults.on(O::DeleteObjects, n, denied())),
    );
    let (outcomes, error) = removed_below(&store, "").await;
    assert_eq!((outcomes.len(), error), (3, Some(K::AccessDenied)));
    assert!(store.calls(O::DeleteObjects) <= 5, "{}", store.calls(O::DeleteObjects));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_removal_sends_nothing_more() {
    let store = holding(Quirks { page_max: 3, ..Quirks::AWS }, ["a", "b", "c", "d"]).await;
    let options = RemovalOptions {
        bucket: &bucket(),
        prefix: "",
        admits: &|_: &str| true,
        stop: &AtomicBool::new(true),
    };
    remove_below(&remover(&store), options, |_| panic!("nothing was sent")).await.unwrap();
    assert_eq!(store.calls(O::DeleteObjects), 0);
}
