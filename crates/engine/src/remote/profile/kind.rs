//! The known kinds of stores and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{StoreProfile, clouds, servers};

/// The known kinds of stores.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StoreKind {
    /// Amazon S3.
    Aws,
    /// Backblaze B2.
    B2,
    /// The Ceph Object Gateway (RGW).
    CephRgw,
    /// DigitalOcean Spaces.
    #[serde(rename = "digitalocean")]
    DigitalOcean,
    /// The Garage object store.
    Garage,
    /// Google Cloud Storage by its S3-compatible XML API.
    Gcs,
    /// The endpoint `haul serve`.
    HaulServe,
    /// The LocalStack emulator.
    #[serde(rename = "localstack")]
    LocalStack,
    /// MinIO and AIStor.
    #[serde(rename = "minio")]
    MinIo,
    /// OVHcloud Object Storage.
    Ovh,
    /// Cloudflare R2.
    R2,
    /// Scaleway Object Storage.
    Scaleway,
    /// Storj by its hosted gateway.
    Storj,
    /// Wasabi.
    Wasabi,
    /// Any other store: the limits of AWS, and the features that its answers show.
    #[default]
    Generic,
}

/// A name that belongs to no kind of store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a store profile; known are {}", known_names())]
pub struct UnknownStoreKind {
    /// The name as given.
    pub name: String,
}

impl StoreKind {
    /// All kinds, in the order of their names; the generic one is last.
    pub const ALL: [Self; 15] = [
        Self::Aws,
        Self::B2,
        Self::CephRgw,
        Self::DigitalOcean,
        Self::Garage,
        Self::Gcs,
        Self::HaulServe,
        Self::LocalStack,
        Self::MinIo,
        Self::Ovh,
        Self::R2,
        Self::Scaleway,
        Self::Storj,
        Self::Wasabi,
        Self::Generic,
    ];

    /// Returns the name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::B2 => "b2",
            Self::CephRgw => "ceph-rgw",
            Self::DigitalOcean => "digitalocean",
            Self::Garage => "garage",
            Self::Gcs => "gcs",
            Self::HaulServe => "haul-serve",
            Self::LocalStack => "localstack",
            Self::MinIo => "minio",
            Self::Ovh => "ovh",
            Self::R2 => "r2",
            Self::Scaleway => "scaleway",
            Self::Storj => "storj",
            Self::Wasabi => "wasabi",
            Self::Generic => "generic",
        }
    }

    /// Returns the properties of this kind.
    pub fn profile(self) -> StoreProfile {
        match self {
            Self::Aws => clouds::aws(),
            Self::B2 => clouds::b2(),
            Self::CephRgw => servers::ceph_rgw(),
            Self::DigitalOcean => clouds::digitalocean(),
            Self::Garage => servers::garage(),
            Self::Gcs => clouds::gcs(),
            Self::HaulServe => servers::haul_serve(),
            Self::LocalStack => servers::localstack(),
            Self::MinIo => servers::minio(),
            Self::Ovh => clouds::ovh(),
            Self::R2 => clouds::r2(),
            Self::Scaleway => clouds::scaleway(),
            Self::Storj => clouds::storj(),
            Self::Wasabi => clouds::wasabi(),
            Self::Generic => StoreProfile::unknown(self),
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StoreKind {
    type Err = UnknownStoreKind;

    fn from_str(name: &str) -> Result<Self, UnknownStoreKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownStoreKind { name: name.to_owned() })
    }
}

fn known_names() -> String {
    StoreKind::ALL.map(StoreKind::name).join(", ")
}
