//! The one account that owns every bucket and object of this endpoint.

/// The canonical user id of the owner: 64 hexadecimal digits, as clients expect.
pub(crate) const OWNER_ID: &str =
    "6861756c6861756c6861756c6861756c6861756c6861756c6861756c6861756c";
/// The display name of the owner.
pub(crate) const OWNER_NAME: &str = "haul";
