//! The configuration file `haul.toml`: values below the environment and flags, and named remotes.
//!
//! A value of the file becomes the default of its flag, so every command reads it in one way. A
//! remote becomes flags: what a person names on the command line is never redirected by the
//! environment.

mod file;
mod remotes;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use etcetera::BaseStrategy;

pub(crate) use self::file::{ConfigFile, Remote};
use crate::args::{Cli, Command};

/// A key of the file: also the name of its flag, without the dashes.
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    /// Variables that win over the file; the first that is set counts.
    pub(crate) variables: &'static [&'static str],
    /// Names a store: transfers that were begun keep the one that they recorded.
    pub(crate) is_of_store: bool,
}

const fn key(
    name: &'static str,
    variables: &'static [&'static str],
    is_of_store: bool,
) -> ConfigKey {
    ConfigKey { name, variables, is_of_store }
}

/// Every key, in the order in which `haul config` shows them.
pub(crate) const KEYS: &[ConfigKey] = &[
    key("endpoint", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], true),
    key("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], true),
    key("profile", &["AWS_PROFILE"], true),
    key("path-style", &[], true),
    key("virtual-host-style", &[], true),
    key("ca-bundle", &["AWS_CA_BUNDLE"], true),
    key("data", &["HAUL_DATA_DIR"], true),
    key("concurrency", &[], false),
    key("memory", &[], false),
    key("max-attempts", &[], false),
    key("bandwidth", &[], false),
    key("spool-dir", &[], false),
];

impl ConfigKey {
    /// The variable that is set, if one is, and its value.
    pub(crate) fn from_environment(&self) -> Option<(&'static str, String)> {
        self.variables.iter().find_map(|variable| {
            let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
            Some((*variable, value.to_string_lossy().into_owned()))
        })
    }
}

/// `HAUL_CONFIG`, or `haul/haul.toml` in the user's configuration folder. The flag says whether the
/// file was named, and so must exist.
pub(crate) fn path() -> Option<(PathBuf, bool)> {
    if let Some(named) = std::env::var_os("HAUL_CONFIG") {
        // Empty: no file at all.
        return if named.is_empty() { None } else { Some((named.into(), true)) };
    }
    let folders = etcetera::choose_base_strategy().ok()?;
    Some((folders.config_dir().join("haul/haul.toml"), false))
}

/// Reads the command line over the configuration file.
///
/// # Errors
/// Of clap; a file that is not understood is a `ValueValidation` error.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let refuse =
        |problem: String| Cli::command().error(clap::error::ErrorKind::ValueValidation, problem);
    let file = match path() {
        Some((path, is_named)) => ConfigFile::read(&path, is_named).map_err(refuse)?,
        None => None,
    };
    let words = remotes::expand(words, file.as_ref()).map_err(refuse)?;
    let cli = Cli::try_parse_from(&words)?;
    let Some(file) = file.filter(|_| !matches!(cli.command, Command::Config)) else {
        return Ok(cli);
    };
    // These follow what their journal recorded; a default is no wish to contradict it.
    let keeps_its_store =
        matches!(cli.command, Command::Resume(_) | Command::Abort(_) | Command::Transfers);
    let mut command = Cli::command();
    for key in KEYS.iter().filter(|key| !(key.is_of_store && keeps_its_store)) {
        if let Some(value) = file.value(key).filter(|_| key.from_environment().is_none()) {
            command = with_default(command, &key.name.replace('-', "_"), &value);
        }
    }
    Cli::from_arg_matches(&command.try_get_matches_from(&words)?)
}

/// Gives an argument a default, wherever it stands.
fn with_default(mut command: clap::Command, id: &str, value: &str) -> clap::Command {
    if command.get_arguments().any(|argument| argument.get_id() == id) {
        command = command.mut_arg(id, |argument| argument.default_value(value.to_owned()));
    }
    let below: Vec<String> =
        command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in below {
        command = command.mut_subcommand(name, |below| with_default(below, id, value));
    }
    command
}
