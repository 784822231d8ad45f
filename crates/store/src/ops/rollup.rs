//! Groups keys into common prefixes. Pure; used by listings of objects and of uploads.

/// The rules of a listing, in UTF-8 byte order of keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rollup<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
}

impl<'a> Rollup<'a> {
    pub(super) fn new(prefix: &'a str, delimiter: Option<&'a str>) -> Self {
        Self { prefix, delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()) }
    }

    /// Returns whether the key is listed. If it is not, no later key is either, provided that the
    /// listing started at the prefix.
    pub(super) fn covers(&self, key: &str) -> bool {
        key.starts_with(self.prefix)
    }

    /// Returns the common prefix that replaces the key.
    pub(super) fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let rest = key.strip_prefix(self.prefix)?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    /// Returns the start position that lists nothing up to the marker again, not even the common
    /// prefix that contains it; `None` if nothing can follow.
    pub(super) fn begin(&self, marker: Option<&str>) -> Option<Begin> {
        match marker {
            Some(marker) if marker >= self.prefix => match self.common_prefix(marker) {
                Some(common) => past_prefix(common).map(Begin::At),
                None => Some(Begin::After(marker.to_owned())),
            },
            _ => Some(Begin::At(self.prefix.to_owned())),
        }
    }
}

/// The position to seek to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// The first key that is not below this one.
    At(String),
    /// The first key above this one.
    After(String),
}

/// Returns the least string above all that begin with `prefix`: its last character raised by one,
/// in the order of UTF-8 bytes, which is that of code points. `None` if there is no such string.
pub(super) fn past_prefix(prefix: &str) -> Option<String> {
    let mut past = prefix.to_owned();
    while let Some(last) = past.pop() {
        // The range skips the surrogates, which no string contains.
        let mut above = last..=char::MAX;
        above.next();
        if let Some(raised) = above.next() {
            past.push(raised);
            return Some(past);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn past_a_prefix_is_above_all_that_begin_with_it(
            prefix in "\\PC{1,4}",
            rest in "\\PC{0,4}",
            other in "\\PC{0,4}",
        ) {
            let past = past_prefix(&prefix).unwrap();
            let inside = format!("{prefix}{rest}");
            prop_assert!(inside < past);
            // No string lies between: every string below the bound and not before the prefix begins
            // with the prefix.
            if other < past && other >= prefix {
                prop_assert!(other.starts_with(&prefix));
            }
        }
    }

    #[test]
    fn past_the_last_character_there_is_nothing() {
        assert_eq!(past_prefix("\u{10ffff}"), None);
        assert_eq!(past_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(past_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(past_prefix(""), None);
    }

    #[test]
    fn a_marker_inside_a_common_prefix_skips_it() {
        let rollup = Rollup::new("a/", Some("/"));
        assert_eq!(rollup.begin(Some("a/b/")), Some(Begin::At("a/b0".to_owned())));
        assert_eq!(rollup.begin(Some("a/b")), Some(Begin::After("a/b".to_owned())));
        assert_eq!(rollup.begin(Some("a")), Some(Begin::At("a/".to_owned())));
        assert_eq!(rollup.begin(None), Some(Begin::At("a/".to_owned())));
    }
}
