//! Differences between stores that affect uploads, as data.
//!
//! A store is identified by its endpoint (AWS) or by its answers ([`StoreKind::of_server`]);
//! answers refine the table, never the reverse. Proof does not depend on it: every answer is
//! verified by itself ([`crate::proof`]). Each row was observed at the release that its comment
//! names.

use haul_parts::Limits;

/// The known kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreKind {
    /// Amazon S3.
    Aws,
    /// The endpoint `haul serve`.
    HaulServe,
    /// The Ceph Object Gateway (RGW).
    CephRgw,
    /// The Garage object store.
    Garage,
    /// The LocalStack emulator.
    LocalStack,
    /// Any other store: the features that all stores have in common.
    #[default]
    Generic,
}

/// The properties of a kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreProfile {
    /// The kind that the properties belong to.
    pub kind: StoreKind,
    /// Verifies and echoes the checksum in an unsigned trailer
    /// (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`).
    pub verifies_trailers: bool,
    /// Verifies and echoes the checksum in a header.
    pub verifies_checksums: bool,
    /// Accepts uploads only if all parts but the last have the same size.
    pub equal_parts: bool,
    /// Limits on the sizes and the number of parts.
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
    /// Returns the kind that a `Server` header names.
    pub fn of_server(header: &str) -> Option<Self> {
        [
            ("Haul", Self::HaulServe),
            // From 17.2 on; 16.2 does not identify itself.
            ("Ceph Object Gateway", Self::CephRgw),
            ("Garage", Self::Garage),
        ]
        .into_iter()
        .find(|(name, _)| header.starts_with(name))
        .map(|(_, kind)| kind)
    }

    /// Returns the properties of this kind.
    pub fn profile(self) -> StoreProfile {
        let known = StoreProfile { kind: self, ..GENERIC };
        match self {
            Self::Aws | Self::HaulServe => {
                StoreProfile { verifies_trailers: true, verifies_checksums: true, ..known }
            }
            // 2.5.0 and 4.14.0 accept trailers too. Whether they verify them is untested.
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
