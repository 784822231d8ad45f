//! The flags that name the store of a source.

use clap::Args;

use crate::failure::Usage;

/// The store of a source that is not in that of the target.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Source (copies between two stores)")]
pub(crate) struct SourceStoreArgs {
    /// URL of the source's store, if it is not that of the target
    #[arg(long, value_name = "URL")]
    pub(crate) source_endpoint: Option<String>,
    /// Profile for the source's store [default: --profile]
    #[arg(long, value_name = "NAME")]
    pub(crate) source_profile: Option<String>,
    /// A store from haul.toml for the source
    #[arg(long, value_name = "NAME")]
    #[allow(dead_code)]
    // `config/remotes.rs` replaces this flag with the two above before clap reads the line.
    pub(crate) source_remote: Option<String>,
}

impl SourceStoreArgs {
    /// Refuses these flags except for a copy from store to store.
    pub(crate) fn refuse_unless_copied(&self) -> Result<(), Usage> {
        let given = [
            (self.source_endpoint.is_some(), "--source-endpoint"),
            (self.source_profile.is_some(), "--source-profile"),
        ];
        match given.iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(Usage::new(
                format!("{name} is for copies from store to store"),
                "leave it out, or write the object that is to be copied: s3://BUCKET/KEY",
            )),
            None => Ok(()),
        }
    }
}
