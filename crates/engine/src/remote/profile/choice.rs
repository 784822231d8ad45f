//! The reason why a store has its profile.

use std::fmt;

/// How the profile of a store was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileChoice {
    /// The caller named it.
    ByName,
    /// The endpoint belongs to that store.
    ByEndpoint,
    /// An earlier probe of this store found it.
    ByFindings,
    /// An answer of the store named it.
    ByAnswers,
    /// Nothing names another one (so far).
    #[default]
    ByDefault,
}

impl fmt::Display for ProfileChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByName => "chosen by its name",
            Self::ByEndpoint => "chosen by the endpoint",
            Self::ByFindings => "chosen by an earlier probe",
            Self::ByAnswers => "chosen by an answer of the store",
            Self::ByDefault => "until an answer names another one",
        })
    }
}
