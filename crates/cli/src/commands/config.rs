//! `haul config`: shows the origin of every value.

use serde::Serialize;

use crate::args::StoreArgs;
use crate::config::{self, ConfigFile, KEYS, Remote};
use crate::exit::Exit;
use crate::failure::Usage;
use crate::output::{Mode, visible};

/// One configuration value, for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Value {
        key: &'a str,
        value: Option<&'a str>,
        from: &'a str,
    },
    Remote {
        name: &'a str,
        endpoint: Option<&'a str>,
        profile: Option<&'a str>,
        store_profile: Option<&'a str>,
    },
}

/// Prints the configuration file's path, each key with its value and origin, and the remotes.
pub(crate) fn run(store: &StoreArgs, mode: Mode) -> anyhow::Result<Exit> {
    let path = config::path();
    let file = match &path {
        Some((path, is_named)) => ConfigFile::read(path, *is_named).map_err(|problem| {
            Usage::new(problem, "correct the file, or name another one with HAUL_CONFIG")
        })?,
        None => None,
    };
    match &path {
        Some((path, _)) => {
            let state = if file.is_some() { "" } else { " (not there)" };
            mode.row(&format!("# {}{state}", visible(&path.display().to_string())))?;
        }
        None => mode.row("# no configuration file")?,
    }
    for key in KEYS {
        let flag = of_flags(store, key.name);
        let (value, from) = match (flag, key.variable_set(), file.as_ref()) {
            (Some(value), ..) => (Some(value), "flag"),
            (None, Some((variable, value)), _) => (Some(value), variable),
            (None, None, Some(file)) => match file.text(key.name) {
                Some(value) => (Some(value), "file"),
                None => (None, "default"),
            },
            (None, None, None) => (None, "default"),
        };
        mode.record(&Line::Value { key: key.name, value: value.as_deref(), from })?;
        let shown = value.as_deref().map_or("-".into(), visible);
        mode.row(&format!("{:<20} {shown:<32} {from}", key.name))?;
    }
    for (name, remote) in file.iter().flat_map(ConfigFile::remotes) {
        let Remote { endpoint, profile, store_profile, .. } = remote;
        let (endpoint, profile) = (endpoint.as_deref(), profile.as_deref());
        let store_profile = store_profile.as_deref();
        mode.record(&Line::Remote { name, endpoint, profile, store_profile })?;
        let shown: Vec<&str> =
            [endpoint.or(Some("AWS")), profile, store_profile].into_iter().flatten().collect();
        let shown = shown.join(" ");
        mode.row(&format!("{:<20} {}", format!("--remote {name}"), visible(shown.trim())))?;
    }
    Ok(Exit::Done)
}

/// Returns the value that a flag of this command line sets.
fn of_flags(store: &StoreArgs, key: &str) -> Option<String> {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    match key {
        "endpoint" => store.endpoint.clone(),
        "region" => store.region.clone(),
        "profile" => store.profile.clone(),
        "store-profile" => store.store_profile.map(|kind| kind.name().to_owned()),
        "path-style" => store.path_style.then(|| "true".to_owned()),
        "virtual-host-style" => store.virtual_host_style.then(|| "true".to_owned()),
        "ca-bundle" => path(&store.ca_bundle),
        "data" => path(&store.data),
        _ => None,
    }
}
