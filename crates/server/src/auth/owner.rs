//! The one account that owns every bucket and object of this endpoint.

/// Its canonical user id: 64 hexadecimal digits, as clients expect.
pub(crate) const OWNER_ID: &str =
    "6861756c6861756c6861756c6861756c6861756c6861756c6861756c6861756c";
/// Its display name.
pub(crate) const OWNER_NAME: &str = "haul";
