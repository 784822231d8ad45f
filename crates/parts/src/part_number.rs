//! The number of a part: 1 to 10,000, as S3 counts.
//!
//! Source: S3 API Reference, UploadPart ("any number from 1 to 10,000, inclusive"). A value of this
//! type is always in range, so no caller has to check again. Does not know how many parts a plan or
//! a store allows; that is [`Limits`](crate::Limits).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::PART_COUNT_MAX;

/// A part number that S3 accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u16")]
pub struct PartNumber(u16);

/// The reason why a number is not a part number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PartNumberError {
    /// The number is below 1 or above 10,000.
    #[error(
        "part number {given} is out of range: it must be an integer between 1 and 10000, inclusive"
    )]
    OutOfRange {
        /// The number as it was given.
        given: String,
    },
    /// The text is not a decimal number.
    #[error(
        "part number {given:?} is not a number: it must be an integer between 1 and 10000, \
         inclusive"
    )]
    NotANumber {
        /// The text as it was given.
        given: String,
    },
}

impl PartNumber {
    /// The first part number, 1.
    pub const MIN: PartNumber = PartNumber(1);
    /// The last part number, 10,000.
    pub const MAX: PartNumber = PartNumber(PART_COUNT_MAX);

    /// Checks a part number as S3 counts, from 1.
    ///
    /// # Errors
    /// [`PartNumberError::OutOfRange`] unless `1 <= number <= 10,000`.
    pub fn new(number: u32) -> Result<Self, PartNumberError> {
        match u16::try_from(number) {
            Ok(small) if (Self::MIN.0..=Self::MAX.0).contains(&small) => Ok(Self(small)),
            _ => Err(PartNumberError::OutOfRange { given: number.to_string() }),
        }
    }

    /// Returns the part number at a 0-based position: index 0 is part 1.
    ///
    /// # Errors
    /// [`PartNumberError::OutOfRange`] from index 10,000 on.
    pub fn from_index(index: usize) -> Result<Self, PartNumberError> {
        let out_of_range =
            || PartNumberError::OutOfRange { given: format!("{}", index as u128 + 1) };
        let number =
            u32::try_from(index).ok().and_then(|i| i.checked_add(1)).ok_or_else(out_of_range)?;
        Self::new(number)
    }

    /// Returns the number as S3 counts, 1 to 10,000.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the 0-based position: part 1 has index 0.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Returns the next number; `None` after 10,000.
    pub fn next(self) -> Option<Self> {
        Self::new(u32::from(self.0) + 1).ok()
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Accepts ASCII decimal digits only: no sign, no space, no digits of other scripts.
impl FromStr for PartNumber {
    type Err = PartNumberError;

    fn from_str(text: &str) -> Result<Self, PartNumberError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PartNumberError::NotANumber { given: text.to_owned() });
        }
        // Only overflow can fail here, which is an error of range.
        let number: u32 =
            text.parse().map_err(|_| PartNumberError::OutOfRange { given: text.to_owned() })?;
        Self::new(number)
    }
}

impl TryFrom<u32> for PartNumber {
    type Error = PartNumberError;

    fn try_from(number: u32) -> Result<Self, PartNumberError> {
        Self::new(number)
    }
}

/// Converts from `i32`, in which the AWS SDK and s3s carry part numbers.
impl TryFrom<i32> for PartNumber {
    type Error = PartNumberError;

    fn try_from(number: i32) -> Result<Self, PartNumberError> {
        u32::try_from(number)
            .map_err(|_| PartNumberError::OutOfRange { given: number.to_string() })
            .and_then(Self::new)
    }
}

impl From<PartNumber> for u16 {
    fn from(number: PartNumber) -> u16 {
        number.0
    }
}

impl From<PartNumber> for u32 {
    fn from(number: PartNumber) -> u32 {
        u32::from(number.0)
    }
}

impl From<PartNumber> for i32 {
    fn from(number: PartNumber) -> i32 {
        i32::from(number.0)
    }
}
