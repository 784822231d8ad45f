//! The S3 protocol over haul-store.
