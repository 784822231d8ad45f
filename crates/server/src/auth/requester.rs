//! The requester: the key pair that is charged for the shared resources that a request uses.

use std::sync::{Arc, OnceLock};

use crate::auth::request_slots::{RequestSlot, RequestSlots};

/// The access key id of a requester; empty for a request without a signature.
pub(crate) type AccessKeyId = Arc<str>;

/// The key pair that signed a request, known once the signature is verified, and its slot. All
/// clones belong to one request; dropping the last one releases the slot.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    slots: RequestSlots,
    known: Arc<OnceLock<(AccessKeyId, Option<RequestSlot>)>>,
}

impl Requester {
    /// Creates the requester of an unverified request.
    pub(crate) fn new(slots: &RequestSlots) -> Self {
        Self { slots: slots.clone(), known: Arc::default() }
    }

    /// Records the key pair, and takes a slot for it if one is available. Later calls have no
    /// effect.
    pub(crate) fn identify(&self, access_key_id: &str) {
        self.known.get_or_init(|| {
            let access_key_id: AccessKeyId = access_key_id.into();
            let slot = self.slots.take(&access_key_id);
            (access_key_id, slot)
        });
    }

    /// Returns whether the request has a slot; true while the key pair is unknown.
    pub(crate) fn has_slot(&self) -> bool {
        self.known.get().is_none_or(|(_, slot)| slot.is_some())
    }

    /// Returns the key pair, or the empty id that all requests without a signature share.
    pub(crate) fn access_key_id(&self) -> AccessKeyId {
        self.known.get().map(|(access_key_id, _)| Arc::clone(access_key_id)).unwrap_or_default()
    }
}
