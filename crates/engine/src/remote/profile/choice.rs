//! The reason why a store has its profile.

use std::fmt;

/// How the profile of a store was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileChoice {
    /// The caller named it.
    Name,
    /// The endpoint belongs to that store.
    Endpoint,
    /// An earlier probe of this store found it.
    Findings,
    /// An answer of the store named it.
    Answers,
    /// Nothing names another one (so far).
    #[default]
    Default,
}

impl fmt::Display for ProfileChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "chosen by its name",
            Self::Endpoint => "chosen by the endpoint",
            Self::Findings => "chosen by an earlier probe",
            Self::Answers => "chosen by an answer of the store",
            Self::Default => "until an answer names another one",
        })
    }
}
