//! Whose request it is, for everything that is shared among key pairs.

use std::sync::{Arc, OnceLock};

use crate::auth::places::{Place, Places};

/// Access key id of a requester; empty for one without a signature.
pub(crate) type KeyPair = Arc<str>;

/// Key pair that signed a request, known once the signature is verified, and its place. All clones
/// are of one request; the place is given back with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    places: Places,
    known: Arc<OnceLock<(KeyPair, Option<Place>)>>,
}

impl Requester {
    /// Of a request that is yet to be verified.
    pub(crate) fn new(places: &Places) -> Self {
        Self { places: places.clone(), known: Arc::default() }
    }

    /// Records whose request it is, and takes a place for it if there is one. The first call
    /// counts.
    pub(crate) fn identify(&self, access_key_id: &str) {
        self.known.get_or_init(|| {
            let key_pair: KeyPair = access_key_id.into();
            let place = self.places.take(&key_pair);
            (key_pair, place)
        });
    }

    /// Whether it has a place, as every request has whose key pair is not known.
    pub(crate) fn has_place(&self) -> bool {
        self.known.get().is_none_or(|(_, place)| place.is_some())
    }

    /// The key pair, or the one that all without a signature share.
    pub(crate) fn key_pair(&self) -> KeyPair {
        self.known.get().map(|(key_pair, _)| Arc::clone(key_pair)).unwrap_or_default()
    }
}
