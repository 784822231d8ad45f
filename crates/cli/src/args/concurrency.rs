//! The value of `--concurrency`: a number, or `auto`.

use haul::Concurrency;

/// The maximum that a user can set.
const MAX: u32 = 1024;

/// A parsed `--concurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConcurrencyArg {
    /// As many requests as the link is worth.
    Auto,
    /// This many.
    Fixed(u32),
}

impl ConcurrencyArg {
    /// Parses a number from 1 to 1024, or `auto`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        match text.parse() {
            Ok(count) if (1..=MAX).contains(&count) => Ok(Self::Fixed(count)),
            _ => Err(format!("{text:?} is neither a number from 1 to {MAX} nor auto")),
        }
    }

    /// Returns the number, or `auto`.
    pub(crate) fn or(self, auto: Concurrency) -> Concurrency {
        match self {
            Self::Auto => auto,
            Self::Fixed(count) => Concurrency::Fixed(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_auto_is_a_concurrency() {
        assert_eq!(ConcurrencyArg::parse("auto"), Ok(ConcurrencyArg::Auto));
        assert_eq!(ConcurrencyArg::parse("1024"), Ok(ConcurrencyArg::Fixed(1024)));
        for wrong in ["0", "1025", "-1", "", "many", "4.5"] {
            assert!(ConcurrencyArg::parse(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
