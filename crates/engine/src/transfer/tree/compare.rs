//! Decides whether an entry of the source is already present at its target. No I/O.
//!
//! A listing shows size and LastModified. HeadObject settles the cases that these leave open,
//! because it also returns the modification time of the uploaded file ([`crate::transfer::mtime`]).
//! `docs/folders.md` has the rules as a table, beside those of `aws s3 sync` and rclone.

use super::entry::{Entry, Place};
use crate::remote::ObjectHead;
use crate::transfer::mtime;

/// The condition for copying an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareBy {
    /// Copies every entry.
    #[default]
    Nothing,
    /// Copies if the target does not exist.
    Absence,
    /// Copies if the target does not exist or is older.
    Age,
    /// Copies if the lengths differ.
    Size,
    /// Copies if the lengths or the times differ.
    SizeAndTime,
    /// Copies if the lengths or the contents differ.
    Content,
}

/// The direction of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
    Between,
}

/// The result of comparing two listed entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Differs,
    /// The listing does not suffice: send HeadObject, or compare the content.
    Look,
}

/// Compares the listed properties of both sides.
pub(super) fn listed(
    by: CompareBy,
    direction: Direction,
    source: &Entry,
    target: &Entry,
) -> Verdict {
    let same_size = source.size_bytes == target.size_bytes;
    let of = |same: bool| if same { Verdict::Same } else { Verdict::Differs };
    let (from, to) = (source.modified_ns, target.modified_ns);
    match (by, direction) {
        (CompareBy::Nothing, _) => Verdict::Differs,
        (CompareBy::Absence, _) => Verdict::Same,
        (CompareBy::Size, _) => of(same_size),
        (CompareBy::SizeAndTime | CompareBy::Content, _) if !same_size => Verdict::Differs,
        (CompareBy::Content | CompareBy::SizeAndTime, Direction::Between)
            if same_etag(source, target) =>
        {
            Verdict::Same
        }
        (CompareBy::Content, _) => Verdict::Look,
        (CompareBy::SizeAndTime, Direction::Between) => of(to >= from),
        (CompareBy::Age, Direction::Between) => of(from <= to),
        // The object was written after the last write to the file.
        (CompareBy::SizeAndTime | CompareBy::Age, Direction::Up) if from <= to => Verdict::Same,
        (CompareBy::Age, Direction::Down) if from <= to => Verdict::Same,
        (CompareBy::SizeAndTime, Direction::Down) if same_time(from, to) => Verdict::Same,
        (CompareBy::SizeAndTime | CompareBy::Age, _) => Verdict::Look,
    }
}

/// Compares a file with the object that it is uploaded to or downloaded from.
pub(super) fn looked(
    by: CompareBy,
    direction: Direction,
    file: &Entry,
    object: &ObjectHead,
) -> bool {
    if by != CompareBy::Age && file.size_bytes != object.size_bytes {
        return false;
    }
    let stored = mtime::stored(object).and_then(mtime::nanoseconds);
    let written =
        object.last_modified.map(std::time::SystemTime::from).and_then(mtime::nanoseconds);
    let file_time = file.modified_ns;
    match (by, direction) {
        (CompareBy::Nothing, _) => false,
        (CompareBy::Absence | CompareBy::Size, _) => true,
        (CompareBy::Age, Direction::Down) => stored.or(written) <= file_time,
        (CompareBy::Age, _) => match stored {
            Some(stored) => file_time <= Some(stored),
            None => second(file_time) <= second(written),
        },
        (_, Direction::Down) => same_time(stored.or(written), file_time),
        (_, _) => match stored {
            Some(stored) => same_time(Some(stored), file_time),
            // Compared in whole seconds, as `aws s3 sync` does.
            None => second(file_time) <= second(written),
        },
    }
}

fn second(nanoseconds: Option<i64>) -> Option<i64> {
    nanoseconds.map(|time| time.div_euclid(1_000_000_000))
}

/// Returns whether both times are equal; compares whole seconds if one of them has no fraction.
pub(super) fn same_time(one: Option<i64>, other: Option<i64>) -> bool {
    let (Some(one_ns), Some(other_ns)) = (one, other) else { return false };
    let whole = |time: i64| time.rem_euclid(1_000_000_000) == 0;
    one_ns == other_ns || (whole(one_ns) || whole(other_ns)) && second(one) == second(other)
}

/// Returns whether both objects have the same, known ETag.
fn same_etag(source: &Entry, target: &Entry) -> bool {
    match (&source.place, &target.place) {
        (Place::Object { etag: Some(one), .. }, Place::Object { etag: Some(other), .. }) => {
            one.is_strong() && !one.is_empty() && one == other
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::{ETag, Key};
    use jiff::Timestamp;

    use super::*;
    use crate::remote::ObjectAttributes;

    const SECOND: i64 = 1_000_000_000;

    fn entry(size_bytes: u64, modified_ns: i64) -> Entry {
        Entry { size_bytes, modified_ns: Some(modified_ns), ..Entry::default() }
    }

    fn object(etag: &str, second: i64) -> Entry {
        let place = Place::Object { key: Key::new("k").unwrap(), etag: Some(ETag::new(etag)) };
        Entry { place, ..entry(1, second * SECOND) }
    }

    fn head(size_bytes: u64, written: i64, stored: Option<&str>) -> ObjectHead {
        let mut attributes = ObjectAttributes::default();
        if let Some(stored) = stored {
            attributes.metadata.insert("mtime".into(), stored.into());
        }
        ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes,
            etag: ETag::new("\"e\""),
            checksum: None,
            composite: None,
            last_modified: Some(Timestamp::from_second(written).unwrap()),
            attributes,
        }
    }

    #[test]
    fn without_a_comparison_everything_is_copied() {
        let verdict = listed(CompareBy::Nothing, Direction::Up, &entry(1, 1), &entry(1, 1));
        assert_eq!(verdict, Verdict::Differs);
        assert!(!looked(CompareBy::Nothing, Direction::Up, &entry(1, 1), &head(1, 1, None)));
        let absent = listed(CompareBy::Absence, Direction::Up, &entry(1, 9), &entry(2, 1));
        assert_eq!(absent, Verdict::Same, "something is there");
    }

    #[test]
    fn up_an_older_file_of_the_same_size_needs_no_head() {
        let up = |file: i64, object: i64| {
            listed(CompareBy::SizeAndTime, Direction::Up, &entry(1, file), &entry(1, object))
        };
        assert_eq!(up(5, 5), Verdict::Same);
        assert_eq!(up(4, 5), Verdict::Same);
        assert_eq!(up(6, 5), Verdict::Look);
        let sizes = listed(CompareBy::SizeAndTime, Direction::Up, &entry(1, 1), &entry(2, 9));
        assert_eq!(sizes, Verdict::Differs);
    }

    #[test]
    fn up_the_stored_time_decides_and_without_one_the_second() {
        let same = |file: i64, written, stored| {
            looked(
                CompareBy::SizeAndTime,
                Direction::Up,
                &entry(1, file),
                &head(1, written, stored),
            )
        };
        assert!(same(9 * SECOND + 5, 3, Some("9.000000005")));
        assert!(same(9 * SECOND + 5, 3, Some("9")), "a tool that keeps seconds only");
        assert!(!same(9 * SECOND + 5, 3, Some("9.000000006")));
        assert!(same(9 * SECOND + 5, 9, None));
        assert!(!same(9 * SECOND + 5, 8, None));
    }

    #[test]
    fn down_the_time_must_be_that_of_the_object() {
        let down = |object: i64, file: i64| {
            listed(CompareBy::SizeAndTime, Direction::Down, &entry(1, object), &entry(1, file))
        };
        assert_eq!(down(7 * SECOND, 7 * SECOND), Verdict::Same);
        assert_eq!(down(7 * SECOND, 7 * SECOND + 3), Verdict::Same);
        assert_eq!(down(7 * SECOND, 8 * SECOND), Verdict::Look);
        assert_eq!(down(7 * SECOND, 6 * SECOND), Verdict::Look);
        let same = |file: i64, stored| {
            looked(CompareBy::SizeAndTime, Direction::Down, &entry(1, file), &head(1, 7, stored))
        };
        assert!(same(3 * SECOND + 1, Some("3.000000001")));
        assert!(!same(3 * SECOND + 2, Some("3.000000001")));
        assert!(!same(7 * SECOND, Some("3.000000001")), "written over by another tool");
        assert!(!same(8 * SECOND, None));
    }

    #[test]
    fn between_stores_the_same_etag_is_the_same_object() {
        let between =
            |by, source: &Entry, target: &Entry| listed(by, Direction::Between, source, target);
        let time = CompareBy::SizeAndTime;
        assert_eq!(between(time, &object("\"a\"", 9), &object("\"a\"", 1)), Verdict::Same);
        assert_eq!(between(time, &object("\"a\"", 9), &object("\"b\"", 1)), Verdict::Differs);
        assert_eq!(between(time, &object("\"a\"", 1), &object("\"b\"", 1)), Verdict::Same);
        assert_eq!(
            between(CompareBy::Content, &object("\"a\"", 1), &object("\"b\"", 1)),
            Verdict::Look
        );
    }

    #[test]
    fn the_newer_side_wins_an_update() {
        let by = CompareBy::Age;
        assert_eq!(listed(by, Direction::Up, &entry(1, 5), &entry(9, 5)), Verdict::Same);
        assert_eq!(listed(by, Direction::Up, &entry(1, 6), &entry(1, 5)), Verdict::Look);
        assert!(looked(by, Direction::Up, &entry(2, 6), &head(1, 5, Some("6"))) || SECOND > 6);
        assert!(!looked(by, Direction::Up, &entry(2, 6 * SECOND), &head(1, 5, None)));
        assert!(looked(by, Direction::Down, &entry(2, 6 * SECOND), &head(1, 9, Some("6"))));
        assert!(!looked(by, Direction::Down, &entry(2, 6 * SECOND), &head(1, 9, None)));
        assert_eq!(listed(by, Direction::Between, &entry(1, 6), &entry(1, 5)), Verdict::Differs);
    }
}
