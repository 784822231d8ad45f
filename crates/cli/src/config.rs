//! The configuration file `haul.toml`: defaults below the environment and flags, and named remotes.
//!
//! A value for a run becomes the default of its flag. A value that names a store applies only where
//! `s3://` is opened: `local://`, `haul serve` and transfers with a recorded store ignore it. A
//! remote is replaced by flags, because the environment must never redirect a store that the user
//! names on the command line.
//! names on the command line.

mod file;
mod remotes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches};
use etcetera::BaseStrategy;

pub(crate) use self::file::{ConfigFile, Remote};
use crate::args::{Cli, StoreArgs};

/// The configuration file of this process.
static READ: OnceLock<ConfigFile> = OnceLock::new();

/// A key of the file, which is also the name of its flag without the dashes.
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    /// Environment variables that override the file; the first that is set takes precedence.
    pub(crate) variables: &'static [&'static str],
    /// True for a key that names a store or its folder, and is not the default of a flag.
    pub(crate) is_of_store: bool,
}

const fn key(
    name: &'static str,
    variables: &'static [&'static str],
    is_of_store: bool,
) -> ConfigKey {
    ConfigKey { name, variables, is_of_store }
}

/// All keys, in the order in which `haul config` shows them.
pub(crate) const KEYS: &[ConfigKey] = &[
    key("endpoint", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], true),
    key("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], true),
    // Access keys in the environment also override a profile in the file.
    key("profile", &["AWS_PROFILE", "AWS_ACCESS_KEY_ID"], true),
    key("store-profile", &["HAUL_STORE_PROFILE"], true),
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
    /// Returns the variable that is set, and its value.
    pub(crate) fn variable_set(&self) -> Option<(&'static str, String)> {
        self.variables.iter().find_map(|variable| {
            let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
            Some((*variable, value.to_string_lossy().into_owned()))
        })
    }
}

/// Returns the path from `HAUL_CONFIG`, or `haul/haul.toml` in the user's configuration folder, and
/// whether the path was given explicitly, so that the file must exist.
pub(crate) fn path() -> Option<(PathBuf, bool)> {
    if let Some(named) = std::env::var_os("HAUL_CONFIG") {
        // An empty value means no file at all.
        return if named.is_empty() { None } else { Some((named.into(), true)) };
    }
    let folders = etcetera::choose_base_strategy().ok()?;
    Some((folders.config_dir().join("haul/haul.toml"), false))
}

/// Parses the command line, with defaults from the configuration file.
///
/// # Errors
/// The errors of clap; an invalid file is a `ValueValidation` error.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let refuse =
        |problem: String| Cli::command().error(clap::error::ErrorKind::ValueValidation, problem);
    let file = match path() {
        Some((path, is_named)) => ConfigFile::read(&path, is_named).map_err(refuse)?,
        None => None,
    };
    let words = remotes::expand(words, file.as_ref()).map_err(refuse)?;
    let mut command = Cli::command();
    if let Some(file) = file {
        for key in KEYS.iter().filter(|key| !key.is_of_store) {
            if let Some(value) = file.value(key) {
                command = with_default(command, &key.name.replace('-', "_"), &value);
            }
        }
        // The command line is parsed once per process; a second time would find the same file.
        let _ = READ.set(file);
    }
    Cli::from_arg_matches(&command.try_get_matches_from(&words)?)
}

/// Replaces the names of remotes in a command line with their flags.
pub(crate) fn expand(words: Vec<OsString>) -> Result<Vec<OsString>, String> {
    remotes::expand(words, READ.get())
}

/// Returns the parser for a line of `haul run`: limits of the engine have no defaults there,
/// because they belong to the whole run.
pub(crate) fn command_of_line() -> clap::Command {
    const OF_A_LINE: &str = "spool-dir";
    let key = KEYS.iter().find(|key| key.name == OF_A_LINE);
    match key.and_then(|key| READ.get()?.value(key)) {
        Some(value) => with_default(Cli::command(), &OF_A_LINE.replace('-', "_"), &value),
        None => Cli::command(),
    }
}

/// Returns a value of the file that names a store, unless the environment has one.
fn of_store(name: &str) -> Option<String> {
    let key = KEYS.iter().find(|key| key.name == name)?;
    READ.get()?.value(key).filter(|_| key.variable_set().is_none())
}

/// Returns the folder of `local://` and `haul serve`, if the file names one.
pub(crate) fn data() -> Option<PathBuf> {
    of_store("data").map(PathBuf::from)
}

/// Returns the name of the store's profile from the environment, otherwise from the file, with its
/// origin. The one in the file belongs to the store of the file or the environment, not to another
/// one on the command line.
pub(crate) fn store_profile(args: &StoreArgs) -> Option<(String, String)> {
    const NAME: &str = "store-profile";
    let key = KEYS.iter().find(|key| key.name == NAME)?;
    if let Some((variable, name)) = key.variable_set() {
        return Some((variable.to_owned(), name));
    }
    let name = of_store(NAME).filter(|_| args.endpoint.is_none())?;
    let file = READ.get().map(|file| file.path().display().to_string()).unwrap_or_default();
    Some((format!("{NAME} in {file}"), name))
}

/// Adds the file's values for an `s3://` store where flags and environment set none.
pub(crate) fn filled_in(args: &StoreArgs) -> StoreArgs {
    let style_is_open = !args.path_style && !args.virtual_host_style;
    StoreArgs {
        endpoint: args.endpoint.clone().or_else(|| of_store("endpoint")),
        region: args.region.clone().or_else(|| of_store("region")),
        profile: args.profile.clone().or_else(|| of_store("profile")),
        path_style: args.path_style || style_is_open && of_store("path-style").is_some(),
        virtual_host_style: args.virtual_host_style
            || style_is_open && of_store("virtual-host-style").is_some(),
        ca_bundle: args.ca_bundle.clone().or_else(|| of_store("ca-bundle").map(PathBuf::from)),
        ..args.clone()
    }
}

/// Sets the default of an argument in all commands.
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

#[cfg(test)]
mod tests;
