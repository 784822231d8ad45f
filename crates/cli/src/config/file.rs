//! Parses `haul.toml`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{ConfigKey, KEYS};

/// The parsed file.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    values: Table,
    remotes: BTreeMap<String, Remote>,
}

/// A named store.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Remote {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) store_profile: Option<String>,
    #[serde(default)]
    pub(crate) path_style: bool,
    #[serde(default)]
    pub(crate) virtual_host_style: bool,
    pub(crate) ca_bundle: Option<String>,
}

impl ConfigFile {
    /// Reads the file; `None` if it does not exist and was not given explicitly.
    ///
    /// # Errors
    /// One line with the file and its problem.
    pub(crate) fn read(path: &Path, is_named: bool) -> Result<Option<Self>, String> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !is_named => return Ok(None),
            Err(error) => return Err(format!("cannot read {shown}: {error}")),
        };
        Self::parse(path, &text).map(Some).map_err(|problem| format!("{shown}: {problem}"))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let mut values: Table =
            text.parse().map_err(|error: toml::de::Error| one_line(&error.to_string()))?;
        let remotes = match values.remove("remotes") {
            Some(remotes) => remotes.try_into().map_err(|error: toml::de::Error| {
                format!("remotes: {}", one_line(error.message()))
            })?,
            None => BTreeMap::new(),
        };
        for (name, value) in &values {
            if !KEYS.iter().any(|key| key.name == name) {
                let known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
                return Err(format!("{name} is not a key; known are {}", known.join(", ")));
            }
            if !matches!(value, Value::String(_) | Value::Integer(_) | Value::Boolean(_)) {
                return Err(format!("{name} must be a text, a number or true"));
            }
        }
        Ok(Self { path: path.to_owned(), values, remotes })
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a value in the form that its flag accepts; `None` also for a switch that is off.
    pub(crate) fn value(&self, key: &ConfigKey) -> Option<String> {
        let value = match self.values.get(key.name)? {
            Value::Boolean(false) => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Refer to the file instead of the value: the file is read again when the limit changes
        // during a transfer.
        Some(if key.name == "bandwidth" { format!("@{}", self.path.display()) } else { value })
    }

    /// Returns a value as written in the file.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Returns the remotes by name.
    pub(crate) fn remotes(&self) -> &BTreeMap<String, Remote> {
        &self.remotes
    }
}

/// Joins the parser's message into one line.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match (lines.first(), lines.last()) {
        (Some(first), Some(last)) if first != last => format!("{first}: {last}"),
        (Some(only), _) => (*only).to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(Path::new("/etc/haul.toml"), text)
    }

    #[test]
    fn values_and_remotes_are_read() {
        let text = "concurrency = 32\nmemory = \"256MiB\"\npath-style = true\n\
            bandwidth = \"20MiB/s\"\n[remotes.lab]\nendpoint = \"http://nas:9000\"\npath-style = \
                true\n";
        let file = parse(text).unwrap();
        let value = |name: &str| file.value(KEYS.iter().find(|key| key.name == name).unwrap());
        assert_eq!(value("concurrency").unwrap(), "32");
        assert_eq!(value("memory").unwrap(), "256MiB");
        assert_eq!(value("path-style").unwrap(), "true");
        assert_eq!(value("bandwidth").unwrap(), "@/etc/haul.toml");
        assert_eq!(value("endpoint"), None);
        assert_eq!(file.remotes()["lab"].endpoint.as_deref(), Some("http://nas:9000"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let problem = |text: &str| parse(text).unwrap_err();
        assert!(
            problem("concurency = 3").starts_with("concurency is not a key; known are endpoint")
        );
        assert!(problem("memory = [1]").contains("memory must be"));
        assert!(problem("[remotes.lab]\npassword = \"x\"").contains("password"));
        assert!(problem("memory = ").contains("line 1"), "{}", problem("memory = "));
    }
}
