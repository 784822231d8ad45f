//! The permissions of key pairs: read-only or read-write, in which buckets and under which
//! prefixes.
//!
//! Makes pure decisions on names, without requests, clock or files. Parses the text of a keys file,
//! which the embedder reads. A grant without scopes covers everything; the owner's grant has none,
//! and is in no file.

use haul_parts::Bucket;
use serde::Deserialize;

use crate::auth::keys::{Credentials, Secret};
use crate::error::GrantsError;

/// Whether a key pair may change objects and settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLevel {
    /// Reading and listing only.
    ReadOnly,
    /// All operations inside its scopes.
    #[default]
    ReadWrite,
}

/// A bucket, or the keys of a bucket that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The bucket of the scope.
    pub bucket: Bucket,
    /// The prefix of the keys; empty means all keys.
    pub prefix: String,
}

/// A key pair and its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The key pair of the grant.
    pub credentials: Credentials,
    /// Read-only or read-write.
    pub access: AccessLevel,
    /// The buckets and prefixes; empty means everywhere.
    pub scopes: Vec<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    access_key_id: String,
    secret_access_key: Secret,
    #[serde(default)]
    access: AccessLevel,
    #[serde(default)]
    scopes: Vec<String>,
}

impl Grant {
    /// Parses the grants of a keys file:
    ///
    /// ```toml
    /// [[keys]]
    /// access_key_id = "BACKUP"
    /// secret_access_key = "…"
    /// access = "read-write"                  # or "read-only"
    /// scopes = ["photos", "logs/2026/"]      # none: everything
    /// ```
    ///
    /// # Errors
    /// [`GrantsError`], which quotes no secret.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, GrantsError> {
        let file: File = toml::from_str(text).map_err(|error| GrantsError::Shape {
            line: error.span().map(|span| {
                text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
            }),
        })?;
        let mut grants: Vec<Self> = Vec::new();
        for entry in file.keys {
            let twice =
                grants.iter().any(|grant| grant.credentials.access_key_id == entry.access_key_id);
            if twice
                || entry.access_key_id.is_empty()
                || entry.secret_access_key.expose().is_empty()
            {
                return Err(GrantsError::Key { access_key_id: entry.access_key_id });
            }
            let scopes = entry.scopes.iter().map(|scope| {
                let (bucket, prefix) = scope.split_once('/').unwrap_or((scope, ""));
                let bucket = Bucket::new(bucket).map_err(|_| GrantsError::Scope {
                    access_key_id: entry.access_key_id.clone(),
                    scope: scope.clone(),
                })?;
                Ok(Scope { bucket, prefix: prefix.to_owned() })
            });
            let scopes = scopes.collect::<Result<_, _>>()?;
            let credentials = Credentials {
                access_key_id: entry.access_key_id,
                secret_access_key: entry.secret_access_key,
            };
            grants.push(Self { credentials, access: entry.access, scopes });
        }
        Ok(grants)
    }

    /// Rejects grants for the owner's id: the server would ignore them, although their author
    /// relies on them.
    pub(crate) fn check_owner_is_not_among(
        grants: &[Self],
        owner: &Credentials,
    ) -> Result<(), GrantsError> {
        match grants.iter().find(|grant| grant.credentials.access_key_id == owner.access_key_id) {
            Some(_) => Err(GrantsError::OwnersKey { access_key_id: owner.access_key_id.clone() }),
            None => Ok(()),
        }
    }

    /// Creates the owner's grant for everything.
    pub(crate) fn owner(credentials: Credentials) -> Self {
        Self { credentials, access: AccessLevel::ReadWrite, scopes: Vec::new() }
    }

    /// Returns whether the grant covers anything in the bucket.
    pub(crate) fn sees_bucket(&self, bucket: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope.bucket.as_str() == bucket)
    }

    /// Returns whether the grant covers every key of the bucket with this prefix.
    pub(crate) fn covers(&self, bucket: &str, prefix: &str) -> bool {
        let covers =
            |scope: &Scope| scope.bucket.as_str() == bucket && prefix.starts_with(&scope.prefix);
        self.scopes.is_empty() || self.scopes.iter().any(covers)
    }

    /// Returns whether the grant allows changes.
    pub(crate) fn writes(&self) -> bool {
        self.access == AccessLevel::ReadWrite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[keys]]
        access_key_id = "A"
        secret_access_key = "hidden"
        [[keys]]
        access_key_id = "B"
        secret_access_key = "hidden"
        access = "read-only"
        scopes = ["photos", "logs/2026/"]
    "#;

    #[test]
    fn a_scope_covers_its_bucket_or_prefix_and_nothing_beside() {
        let grants = Grant::parse_file(FILE).unwrap();
        let [all, some] = &grants[..] else { panic!("two keys") };
        assert!(all.writes() && all.covers("any", "") && all.sees_bucket("any"));
        assert!(!some.writes());
        for (bucket, prefix, expected) in [
            ("photos", "", true),
            ("photos", "x", true),
            ("logs", "2026/x", true),
            ("logs", "2026/", true),
            ("logs", "2026", false),
            ("logs", "", false),
            ("photos2", "", false),
        ] {
            assert_eq!(some.covers(bucket, prefix), expected, "{bucket}/{prefix}");
        }
        assert!(some.sees_bucket("logs") && !some.sees_bucket("other"));
    }

    #[test]
    fn a_bad_file_is_refused_without_quoting_it() {
        let cases = [
            FILE.replace("read-only", "hidden"),
            FILE.replace("access_key_id = \"B\"", "access_key_id = \"A\""),
            FILE.replace("\"photos\"", "\"Not a bucket\""),
            FILE.replace("[[keys]]", "[[hidden]]"),
            FILE.replace("secret_access_key = \"hidden\"", "secret_access_key = hidden"),
        ];
        for text in cases {
            let error = Grant::parse_file(&text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        }
    }
}
