//! Formats numbers for people: `10,001`, `5,242,880 bytes (5 MiB)`. For error texts only; never
//! parsed.

use std::fmt;

use crate::limits::{GIB, MIB, TIB};

/// An integer written with a comma every three digits.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A byte count, exact, followed by the largest binary unit: `(5 MiB)`, or `(about 48.8 TiB)` if
/// that is rounded.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.0 == 1 { "byte" } else { "bytes" };
        write!(f, "{} {word}", Grouped(self.0))?;
        let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")];
        match units.into_iter().find(|&(unit, _)| self.0 >= unit) {
            Some((unit, name)) if self.0.is_multiple_of(unit) => {
                write!(f, " ({} {name})", self.0 / unit)
            }
            Some((unit, name)) => write!(f, " (about {:.1} {name})", self.0 as f64 / unit as f64),
            None => Ok(()),
        }
    }
}
