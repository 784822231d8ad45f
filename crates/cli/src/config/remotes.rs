//! Replaces `--remote NAME` and `--source-remote NAME` with their flags.

use std::ffi::OsString;

use super::file::{ConfigFile, Remote};

/// Replaces the names of remotes with flags. A flag on the command line takes precedence.
pub(super) fn expand(
    words: Vec<OsString>,
    file: Option<&ConfigFile>,
) -> Result<Vec<OsString>, String> {
    let mut expanded = Vec::with_capacity(words.len());
    let written: Vec<String> =
        words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let is_written = |flag: &str| {
        let options = written.iter().take_while(|word| *word != "--");
        options.into_iter().any(|word| {
            word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            expanded.push(word);
            expanded.extend(rest);
            break;
        }
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        if !matches!(flag, "--remote" | "--source-remote") {
            expanded.push(word);
            continue;
        }
        let name = value
            .or_else(|| rest.next().map(|next| next.to_string_lossy().into_owned()))
            .ok_or_else(|| format!("{flag} needs the name of a remote"))?;
        let remote = find(&name, file)?;
        let flags = if flag == "--remote" { flags(remote) } else { source_flags(&name, remote)? };
        expanded.extend(flags.into_iter().filter(|(flag, _)| !is_written(flag)).map(
            |(flag, value)| {
                value.map_or_else(|| flag.into(), |value| format!("{flag}={value}").into())
            },
        ));
    }
    Ok(expanded)
}

fn find<'a>(name: &str, file: Option<&'a ConfigFile>) -> Result<&'a Remote, String> {
    let remotes = file.map(ConfigFile::remotes);
    remotes.and_then(|remotes| remotes.get(name)).ok_or_else(|| {
        let known: Vec<&str> =
            remotes.into_iter().flat_map(|remotes| remotes.keys()).map(String::as_str).collect();
        if known.is_empty() {
            format!("there is no remote {name}: haul.toml has none; see haul config")
        } else {
            format!("there is no remote {name} in haul.toml; known are {}", known.join(", "))
        }
    })
}

type Flags = Vec<(&'static str, Option<String>)>;

fn flags(remote: &Remote) -> Flags {
    let mut flags: Flags = Vec::new();
    let values = [
        ("--endpoint", &remote.endpoint),
        ("--region", &remote.region),
        ("--profile", &remote.profile),
        ("--store-profile", &remote.store_profile),
        ("--ca-bundle", &remote.ca_bundle),
    ];
    flags.extend(values.into_iter().filter_map(|(flag, value)| Some((flag, Some(value.clone()?)))));
    flags.extend(remote.path_style.then_some(("--path-style", None)));
    flags.extend(remote.virtual_host_style.then_some(("--virtual-host-style", None)));
    flags
}

fn source_flags(name: &str, remote: &Remote) -> Result<Flags, String> {
    if remote.endpoint.is_none() && remote.profile.is_none() {
        return Err(format!("remote {name} has neither an endpoint nor a profile"));
    }
    let values = [("--source-endpoint", &remote.endpoint), ("--source-profile", &remote.profile)];
    Ok(values.into_iter().filter_map(|(flag, value)| Some((flag, Some(value.clone()?)))).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn expanded(line: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haul.toml");
        let text = "[remotes.lab]\nendpoint = \"http://nas:9000\"\nprofile = \"lab\"\n\
            path-style = true\n";
        std::fs::write(&path, text).unwrap();
        let file = ConfigFile::read(Path::new(&path), true).unwrap();
        let words = line.split_whitespace().map(OsString::from).collect();
        let words = expand(words, file.as_ref())?;
        Ok(words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_remote_becomes_the_flags_it_stands_for() {
        let lab = "--endpoint=http://nas:9000 --profile=lab --path-style";
        assert_eq!(expanded("haul --remote lab ls").unwrap(), format!("haul {lab} ls"));
        assert_eq!(
            expanded("haul ls --remote=lab s3://b").unwrap(),
            format!("haul ls {lab} s3://b")
        );
        assert_eq!(
            expanded("haul cp s3://a/k s3://b/k --source-remote lab").unwrap(),
            "haul cp s3://a/k s3://b/k --source-endpoint=http://nas:9000 --source-profile=lab"
        );
    }

    #[test]
    fn a_flag_that_is_written_wins_over_the_remote() {
        let line = "haul --remote lab --endpoint http://other ls";
        assert_eq!(
            expanded(line).unwrap(),
            "haul --profile=lab --path-style --endpoint http://other ls"
        );
    }

    #[test]
    fn words_of_a_producer_are_left_alone() {
        let line = "haul cp --from-command s3://b/k -- dump --remote lab";
        assert_eq!(expanded(line).unwrap(), line);
    }

    #[test]
    fn the_store_profile_of_a_remote_is_its_flag() {
        let remote = Remote {
            endpoint: Some("http://nas:9000".into()),
            store_profile: Some("minio".into()),
            ..Remote::default()
        };
        let expected = [("--endpoint", "http://nas:9000"), ("--store-profile", "minio")];
        assert_eq!(flags(&remote), expected.map(|(flag, value)| (flag, Some(value.to_owned()))));
    }

    #[test]
    fn an_unknown_remote_is_refused_with_those_that_are_known() {
        let problem = expanded("haul --remote leb ls").unwrap_err();
        assert_eq!(problem, "there is no remote leb in haul.toml; known are lab");
    }
}
