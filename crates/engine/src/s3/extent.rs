//! Determines which bytes of an object the body of a GetObject contains.

/// The range of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The length of the whole object; `None` if the answer does not state it.
    pub(super) object_bytes: Option<u64>,
    /// The number of bytes to skip at the beginning of the body, if the store ignored `Range` and
    /// sends the whole object.
    pub(super) skipped_bytes: u64,
}

impl Extent {
    /// Checks the answer to a request for bytes from `offset_bytes` on. `Err` describes the
    /// problem.
    pub(super) fn of(
        offset_bytes: u64,
        to_the_end: bool,
        content_range: Option<&str>,
        content_length: Option<u64>,
    ) -> Result<Self, String> {
        let Some(range) = content_range else {
            return Ok(Self { object_bytes: content_length, skipped_bytes: offset_bytes });
        };
        let wrong =
            || format!("bytes from {offset_bytes} on were asked for, and the answer has {range:?}");
        let (first, object_bytes) = parse(range).ok_or_else(wrong)?;
        if first != offset_bytes {
            return Err(wrong());
        }
        let by_length =
            content_length.filter(|_| to_the_end).map(|length| length.saturating_add(offset_bytes));
        Ok(Self { object_bytes: object_bytes.or(by_length), skipped_bytes: 0 })
    }
}

/// Parses `bytes 7-99/100`, or `bytes 7-99/*`, into the first byte and the length of the object.
fn parse(range: &str) -> Option<(u64, Option<u64>)> {
    let (bytes, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = bytes.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    Some((first.parse().ok()?, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_was_asked_for_or_the_whole_object() {
        let extent = |object_bytes, skipped_bytes| Ok(Extent { object_bytes, skipped_bytes });
        assert_eq!(Extent::of(0, true, None, Some(100)), extent(Some(100), 0));
        assert_eq!(Extent::of(0, true, None, None), extent(None, 0));
        assert_eq!(Extent::of(7, true, Some("bytes 7-99/100"), Some(93)), extent(Some(100), 0));
        assert_eq!(Extent::of(7, true, Some("bytes 7-99/*"), Some(93)), extent(Some(100), 0));
        assert_eq!(Extent::of(7, true, None, Some(100)), extent(Some(100), 7), "Range was ignored");
        assert_eq!(Extent::of(7, false, Some("bytes 7-9/*"), Some(3)), extent(None, 0));
        assert_eq!(Extent::of(7, false, Some("bytes 7-9/100"), Some(3)), extent(Some(100), 0));
    }

    #[test]
    fn a_body_of_other_bytes_is_refused() {
        for range in ["bytes 0-99/100", "bytes 8-99/100", "bytes */100", "pages 7-9/10", ""] {
            assert!(Extent::of(7, true, Some(range), Some(93)).is_err(), "{range}");
        }
    }
}
