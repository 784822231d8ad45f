//! The objects of one address: those below a folder, those with a prefix, or those that match a
//! pattern.
//!
//! Wildcards work as in `aws s3` and s5cmd: `*` matches any text, including `/`. The store filters
//! by the part before the first wildcard; this file matches the rest, key by key.

use haul::parts::{Bucket, Glob, NameFilter};

use crate::target::Address;

/// A listing, and the filter of its keys.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The bucket of the listing.
    pub(crate) bucket: Bucket,
    /// The prefix of the listing.
    pub(crate) prefix: String,
    glob: Option<Glob>,
    filter: NameFilter,
    /// The length in bytes of the part of a key that the filter does not see.
    root: usize,
}

impl Selection {
    /// Selects everything below a folder: appends a `/` to the key unless it ends in one. An empty
    /// key selects the whole bucket.
    pub(crate) fn below(address: &Address) -> Self {
        Self::beginning_with(address, &folder(&address.key))
    }

    /// Selects everything with the key as prefix.
    pub(crate) fn prefix(address: &Address) -> Self {
        Self::beginning_with(address, &address.key)
    }

    fn beginning_with(address: &Address, prefix: &str) -> Self {
        Self {
            bucket: address.bucket.clone(),
            prefix: prefix.to_owned(),
            glob: None,
            filter: NameFilter::default(),
            root: prefix.rfind('/').map_or(0, |slash| slash + 1),
        }
    }

    /// Selects the matches of a key with wildcards; `None` if the key has none.
    pub(crate) fn pattern(address: &Address) -> Option<Self> {
        if !Glob::is_pattern(&address.key) {
            return None;
        }
        let glob = Glob::new(&address.key);
        let literal = glob.literal_prefix();
        Some(Self { glob: Some(glob), ..Self::beginning_with(address, &literal) })
    }

    /// Restricts the selection to names below the folder that pass the filter.
    pub(crate) fn filtered(self, filter: NameFilter) -> Self {
        Self { filter, ..self }
    }

    /// Returns whether the address has wildcards.
    pub(crate) fn is_pattern(&self) -> bool {
        self.glob.is_some()
    }

    /// Returns whether a key matches, ignoring the filter.
    pub(crate) fn names(&self, key: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.matches(key),
            // A store may return keys without the requested prefix: they are not selected.
            None => key.starts_with(&self.prefix),
        }
    }

    /// Returns whether `haul ls` shows a key or a common prefix. All entries of the store are
    /// shown, because listing changes nothing.
    pub(crate) fn lists(&self, name: &str) -> bool {
        self.glob.as_ref().is_none_or(|glob| glob.matches(name))
    }

    /// Returns whether a key is selected.
    pub(crate) fn admits(&self, key: &str) -> bool {
        self.names(key) && self.filter.admits(key.get(self.root..).unwrap_or(key))
    }
}

/// Returns the key with a trailing `/`, unless it is empty.
pub(crate) fn folder(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

#[cfg(test)]
mod tests {
    use haul::parts::FilterRule;

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// `aws s3 rm --recursive s3://b/pre` removes `pre/a` and neither `pre-old/x` nor `pre` itself.
    #[test]
    fn a_folder_without_its_slash_is_not_a_prefix() {
        for text in ["s3://bucket/pre", "s3://bucket/pre/"] {
            let below = Selection::below(&address(text));
            assert_eq!(below.prefix, "pre/");
            assert!(below.admits("pre/a") && !below.admits("pre-old/x") && !below.admits("pre"));
        }
        let whole = Selection::below(&address("s3://bucket"));
        assert!(whole.prefix.is_empty() && whole.admits("a"));
    }

    #[test]
    fn wildcards_match_whole_keys() {
        let gz = Selection::pattern(&address("s3://bucket/logs/2026-*/x.gz")).unwrap();
        assert_eq!(gz.prefix, "logs/2026-");
        assert!(gz.admits("logs/2026-01/x.gz") && gz.admits("logs/2026-01/a/x.gz"));
        assert!(!gz.admits("logs/2026-01/x.gz.tmp") && !gz.admits("old/logs/2026-01/x.gz"));
        assert!(Selection::pattern(&address("s3://bucket/plain[1")).is_none());
    }

    #[test]
    fn filters_see_the_name_below_the_folder() {
        let filter = || NameFilter::new([(FilterRule::Exclude, "b/*")]);
        let below = Selection::below(&address("s3://bucket/a")).filtered(filter());
        assert!(!below.admits("a/b/c") && below.admits("a/c/b/d"));
        let pattern = Selection::pattern(&address("s3://bucket/a/*")).unwrap().filtered(filter());
        assert!(!pattern.admits("a/b/c") && pattern.admits("a/c"));
    }
}
