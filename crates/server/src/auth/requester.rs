//! Whose request it is, for everything that is shared among key pairs.

use std::sync::{Arc, OnceLock};

use crate::auth::request_slots::{RequestSlot, RequestSlots};

/// Access key id of a requester; empty for one without a signature.
pub(crate) type AccessKeyId = Arc<str>;

/// Key pair that signed a request, known once the signature is verified, and its slot. All clones
/// are of one request; the slot is given back with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    slots: RequestSlots,
    known: Arc<OnceLock<(AccessKeyId, Option<RequestSlot>)>>,
}

impl Requester {
    /// Of a request that is yet to be verified.
    pub(crate) fn new(slots: &RequestSlots) -> Self {
        Self { slots: slots.clone(), known: Arc::default() }
    }

    /// Records whose request it is, and takes a slot for it if there is one. The first call
    /// counts.
    pub(crate) fn identify(&self, access_key_id: &str) {
        self.known.get_or_init(|| {
            let access_key_id: AccessKeyId = access_key_id.into();
            let slot = self.slots.take(&access_key_id);
            (access_key_id, slot)
        });
    }

    /// Whether it has a slot, as every request has whose key pair is not known.
    pub(crate) fn has_slot(&self) -> bool {
        self.known.get().is_none_or(|(_, slot)| slot.is_some())
    }

    /// The key pair, or the one that all without a signature share.
    pub(crate) fn access_key_id(&self) -> AccessKeyId {
        self.known.get().map(|(access_key_id, _)| Arc::clone(access_key_id)).unwrap_or_default()
    }
}
