//! The arguments of `haul cat` and `haul presign`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use haul::remote::PresignMethod;

use super::{EffortArgs, parse_age};
use crate::target::Address;

#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// s3://BUCKET/KEY or local://BUCKET/KEY; several are written one after the other
    #[arg(value_name = "OBJECT", required = true, value_parser = Address::parse_object)]
    pub(crate) objects: Vec<Address>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PresignArgs {
    /// s3://BUCKET/KEY
    #[arg(value_name = "OBJECT", value_parser = Address::parse_object)]
    pub(crate) object: Address,
    /// Validity of the URL: 15m, 1h, 7d at most
    #[arg(long, value_name = "AGE", value_parser = parse_age, default_value = "1h")]
    #[arg(alias = "expires-in")]
    pub(crate) expires: Duration,
    /// Request that the URL allows
    #[arg(long, value_name = "METHOD", value_enum, ignore_case = true, default_value = "GET")]
    pub(crate) method: MethodChoice,
}

/// The request of a presigned URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodChoice {
    /// Download the object
    #[value(name = "GET")]
    Get,
    /// Upload the object
    #[value(name = "PUT")]
    Put,
}

impl From<MethodChoice> for PresignMethod {
    fn from(choice: MethodChoice) -> Self {
        match choice {
            MethodChoice::Get => Self::Get,
            MethodChoice::Put => Self::Put,
        }
    }
}
