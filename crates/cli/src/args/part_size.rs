//! The value of `--part-size`: a size, or `auto`.

use crate::size::parse_size_above_zero;

/// A parsed `--part-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartSizeArg {
    /// By the length, and larger on links with long round trips.
    Auto,
    /// This many bytes.
    Bytes(u64),
}

impl PartSizeArg {
    /// Parses a size above zero, or `auto`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        parse_size_above_zero(text).map(Self::Bytes)
    }

    /// Returns the size in bytes, if one was given.
    pub(crate) fn bytes(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_or_auto_is_a_part_size() {
        assert_eq!(PartSizeArg::parse("AUTO").unwrap().bytes(), None);
        assert_eq!(PartSizeArg::parse("64MiB").unwrap().bytes(), Some(64 << 20));
        for wrong in ["0", "", "automatic", "-1"] {
            PartSizeArg::parse(wrong).unwrap_err();
        }
    }
}
