//! What is known of the kinds of stores, as data: where they differ in how an upload may be sent.
//!
//! A store is recognised by its endpoint (AWS) or by what its answers show of it
//! ([`StoreKind::of_server`]); answers refine what the table says, never the other way round. Proof
//! does not rest on it: every answer is judged by itself ([`crate::proof`]). Each row was seen at
//! the release that its comment names.

use haul_parts::Limits;

/// A kind of store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreKind {
    /// AWS S3.
    Aws,
    /// `haul serve`.
    HaulServe,
    /// The gateway of Ceph.
    CephRgw,
    /// Garage.
    Garage,
    /// LocalStack.
    LocalStack,
    /// Everything else: the least that all stores have in common.
    #[default]
    Generic,
}

/// What to expect of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreProfile {
    /// Which row this is.
    pub kind: StoreKind,
    /// Verifies, and echoes, the checksum in an unsigned trailer
    /// (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`).
    pub verifies_trailers: bool,
    /// Verifies, and echoes, the checksum in a header.
    pub verifies_checksums: bool,
    /// Takes uploads only if all parts but the last are of one size.
    pub equal_parts: bool,
    /// Sizes and counts of parts.
    pub limits: Limits,
}

const GENERIC: StoreProfile = StoreProfile {
    kind: StoreKind::Generic,
    verifies_trailers: false,
    verifies_checksums: false,
    equal_parts: false,
    limits: Limits::AWS,
};

impl StoreKind {
    /// The kind that a `Server` header names.
    pub fn of_server(header: &str) -> Option<Self> {
        [
            ("Haul", Self::HaulServe),
            // From 17.2 on; 16.2 does not say what it is.
            ("Ceph Object Gateway", Self::CephRgw),
            ("Garage", Self::Garage),
        ]
        .into_iter()
        .find(|(name, _)| header.starts_with(name))
        .map(|(_, kind)| kind)
    }

    /// What is known of it.
    pub fn profile(self) -> StoreProfile {
        let known = StoreProfile { kind: self, ..GENERIC };
        match self {
            Self::Aws | Self::HaulServe => {
                StoreProfile { verifies_trailers: true, verifies_checksums: true, ..known }
            }
            // 2.5.0 and 4.14.0 take trailers too. Whether what they take they have verified was not
            // tried.
            Self::Garage | Self::LocalStack => StoreProfile { verifies_checksums: true, ..known },
            // 16.2.15: 400 to a trailer, and 200 to a wrong checksum in a header.
            Self::CephRgw | Self::Generic => known,
        }
    }
}

impl Default for StoreProfile {
    fn default() -> Self {
        GENERIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_known_by_their_server_header() {
        for (header, kind) in [
            ("Haul", Some(StoreKind::HaulServe)),
            ("Ceph Object Gateway (reef)", Some(StoreKind::CephRgw)),
            ("MinIO", None),
            ("AmazonS3", None), // anybody's: AWS is known by its host
        ] {
            assert_eq!(StoreKind::of_server(header), kind, "{header}");
        }
    }

    #[test]
    fn trailers_are_sent_only_where_they_are_verified() {
        use StoreKind::{Aws, CephRgw, Garage, Generic, HaulServe, LocalStack};
        for (kind, trailers, checksums) in [
            (Aws, true, true),
            (HaulServe, true, true),
            (Garage, false, true),
            (LocalStack, false, true),
            (CephRgw, false, false),
            (Generic, false, false),
        ] {
            let profile = kind.profile();
            assert_eq!(profile.kind, kind);
            assert_eq!(
                (profile.verifies_trailers, profile.verifies_checksums),
                (trailers, checksums),
                "{kind:?}"
            );
        }
    }
}
