//! Decodes the query of a request: `+` is a space, invalid UTF-8 is replaced.
//!
//! The decoded form is only read; `s3s` computes version 4 signatures from the original text.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use crate::answer::refusal::Refusal;

/// The decoded query of a request.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Refuses a repeated parameter. Readers disagree about repeated ones, some using the first and
    /// some none: appending `&tagging&tagging` could turn a presigned URL into another operation.
    /// Names of the `x-amz-` family replace headers, so their case is ignored.
    pub(crate) fn check_repeats(&self) -> Result<(), Refusal> {
        let folded = |name: &str| {
            let of_amz = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
            if of_amz { name.to_ascii_lowercase() } else { name.to_owned() }
        };
        let mut names = BTreeSet::new();
        match self.0.iter().find(|(name, _)| !names.insert(folded(name))) {
            Some((name, value)) => Err(Refusal::invalid_argument(
                "parameter",
                format!("{name}={value}"),
                format!("The parameter {name} is given more than once"),
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
