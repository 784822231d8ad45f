//! How to find a store again in a later run: written into the journal, without anything secret.

use std::path::PathBuf;

use haul::journal::Beginning;
use serde::{Deserialize, Serialize};

use crate::args::StoreArgs;
use crate::data_dir::data_dir;
use crate::failure::Ended;
use crate::target::{Address, Scheme};

/// The flags that chose the store, and the scheme of the address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    #[serde(default)]
    local: bool,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    path_style: bool,
    #[serde(default)]
    virtual_host_style: bool,
    #[serde(default)]
    data: Option<PathBuf>,
}

impl Connection {
    /// As this run connects. What the environment or the profile said is said again by them; only the endpoint
    /// that it came to is written down, so that a later run cannot send the rest elsewhere.
    pub(crate) fn of(scheme: Scheme, args: &StoreArgs, endpoint: &str) -> Result<Self, Ended> {
        let local = scheme == Scheme::Local;
        Ok(Self {
            local,
            endpoint: (!local).then(|| endpoint.to_owned()),
            region: args.region.clone(),
            profile: args.profile.clone(),
            path_style: args.path_style,
            virtual_host_style: args.virtual_host_style,
            data: if local { Some(data_dir(args.data.clone())?) } else { None },
        })
    }

    /// A name of the store that stays the same from run to run: the endpoint of `local://` has another port each time.
    pub(crate) fn store_name(&self) -> Option<String> {
        self.data.as_ref().map(|data| format!("local:{}", data.display()))
    }

    /// Of a journal; one that cannot be read counts as the plain defaults.
    pub(crate) fn remembered(beginning: &Beginning) -> Self {
        serde_json::from_value(beginning.connection.clone()).unwrap_or_default()
    }

    /// The address that was written on the command line.
    pub(crate) fn address(&self, beginning: &Beginning) -> Address {
        Address {
            scheme: if self.local { Scheme::Local } else { Scheme::S3 },
            bucket: beginning.object.bucket.clone(),
            key: beginning.object.key.as_str().to_owned(),
        }
    }

    /// The flags of the first run, as far as this one gives no others: keys may have moved to another profile.
    pub(crate) fn store_args(&self, given: &StoreArgs) -> StoreArgs {
        let aws = self.endpoint.as_deref().is_some_and(is_aws);
        StoreArgs {
            endpoint: given.endpoint.clone().or_else(|| self.endpoint.clone().filter(|_| !aws)),
            region: given.region.clone().or_else(|| self.region.clone()),
            profile: given.profile.clone().or_else(|| self.profile.clone()),
            path_style: given.path_style || self.path_style,
            virtual_host_style: given.virtual_host_style || self.virtual_host_style,
            data: given.data.clone().or_else(|| self.data.clone()),
        }
    }
}

/// AWS's endpoints have the bucket in their name: the SDK makes them up from region and bucket.
pub(crate) fn is_aws(endpoint: &str) -> bool {
    endpoint.contains(".amazonaws.com")
}
