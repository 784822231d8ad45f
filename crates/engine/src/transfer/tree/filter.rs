//! Selects entries of a tree by name, size and age. No I/O.
//!
//! Names are relative to the source, with `/` between their components.

use haul_parts::NameFilter;
use jiff::Timestamp;

use super::entry::Entry;

/// The selection of entries; by default all of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The rules for names.
    pub names: NameFilter,
    /// Minimum size in bytes.
    pub size_min_bytes: Option<u64>,
    /// Maximum size in bytes.
    pub size_max_bytes: Option<u64>,
    /// Selects entries modified after this time.
    pub newer_than: Option<Timestamp>,
    /// Selects entries modified before this time.
    pub older_than: Option<Timestamp>,
    /// Maximum number of name components; 1 is the content of the folder itself.
    pub depth_max: Option<u32>,
}

impl Filter {
    /// Returns whether a name is selected; size and age are not considered.
    pub fn takes_name(&self, name: &str) -> bool {
        let depth = name.split('/').count();
        self.depth_max.is_none_or(|most| depth <= most as usize) && self.names.admits(name)
    }

    /// Returns whether an entry of the source is selected.
    pub(super) fn takes(&self, entry: &Entry) -> bool {
        let size_bytes = entry.size_bytes;
        self.size_min_bytes.is_none_or(|least| size_bytes >= least)
            && self.size_max_bytes.is_none_or(|most| size_bytes <= most)
            && self.takes_time(entry.modified_ns)
            && self.takes_name(&entry.name)
    }

    fn takes_time(&self, modified_ns: Option<i64>) -> bool {
        let of = |time: Timestamp| time.as_nanosecond();
        let Some(modified) = modified_ns.map(i128::from) else {
            return self.newer_than.is_none() && self.older_than.is_none();
        };
        self.newer_than.is_none_or(|time| modified > of(time))
            && self.older_than.is_none_or(|time| modified < of(time))
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::FilterRule;

    use super::*;

    #[test]
    fn sizes_ages_and_depth_are_limits_of_their_own() {
        let entry = |name: &str, size_bytes, second: i64| Entry {
            name: name.into(),
            size_bytes,
            modified_ns: Some(second * 1_000_000_000),
            ..Entry::default()
        };
        let filter = Filter {
            size_min_bytes: Some(2),
            size_max_bytes: Some(4),
            newer_than: Some(Timestamp::from_second(10).unwrap()),
            older_than: Some(Timestamp::from_second(20).unwrap()),
            depth_max: Some(2),
            names: NameFilter::new([(FilterRule::Exclude, "x*")]),
        };
        assert!(filter.takes(&entry("a/b", 2, 11)) && filter.takes(&entry("b", 4, 19)));
        assert!(!filter.takes(&entry("b", 1, 11)) && !filter.takes(&entry("b", 5, 11)));
        assert!(!filter.takes(&entry("b", 3, 10)) && !filter.takes(&entry("b", 3, 20)));
        assert!(!filter.takes(&entry("a/b/c", 3, 11)) && !filter.takes(&entry("x", 3, 11)));
    }
}
