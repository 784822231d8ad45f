//! The keys of the file against the flags of the command line, from clap's definitions.

use std::collections::BTreeMap;

use super::*;

/// Flags that set a limit or name a store, and cannot be in the file, each with the reason.
const NOT_IN_THE_FILE: [(&str, &str); 11] = [
    ("no-verify-ssl", "accepting every certificate is a decision for one command"),
    ("remote", "it names a table of the file"),
    ("request-payer", "agreeing to pay is a decision for one command"),
    ("expected-bucket-owner", "it belongs to one bucket, not to a store"),
    ("expected-source-bucket-owner", "it belongs to one bucket, not to a store"),
    ("sse-c-key-file", "it belongs to objects, and other objects of the store have other keys"),
    ("copy-source-sse-c-key-file", "as sse-c-key-file"),
    ("sse-c", "the spelling of the AWS CLI for one command"),
    ("sse-c-key", "the spelling of the AWS CLI for one command"),
    ("sse-c-copy-source", "the spelling of the AWS CLI for one command"),
    ("sse-c-copy-source-key", "the spelling of the AWS CLI for one command"),
];

/// Returns all flags by their long names, with the commands that have them.
fn flags() -> BTreeMap<String, Vec<String>> {
    fn of(command: &clap::Command, path: &str, found: &mut BTreeMap<String, Vec<String>>) {
        let path = format!("{path} {}", command.get_name());
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                found.entry(long.to_owned()).or_default().push(path.clone());
            }
        }
        command.get_subcommands().for_each(|below| of(below, &path, found));
    }
    let mut found = BTreeMap::new();
    of(&Cli::command(), "", &mut found);
    found
}

/// Returns the long names of the flags that these arguments have.
fn flags_of<Arguments: clap::Args>() -> Vec<String> {
    let command = Arguments::augment_args(clap::Command::new("test"));
    command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
}

/// A flag that names a store or limits a run can be in the file, or the test has the reason why it
/// cannot.
#[test]
fn every_flag_of_the_store_and_of_the_limits_is_a_key() {
    let expected = flags_of::<StoreArgs>().into_iter().chain(flags_of::<crate::args::EffortArgs>());
    for flag in expected {
        let is_key = KEYS.iter().any(|key| key.name == flag);
        let is_excepted = NOT_IN_THE_FILE.iter().any(|(name, _)| *name == flag);
        assert!(is_key != is_excepted, "--{flag}: key {is_key}, excepted {is_excepted}");
    }
}

/// `haul config` shows a value by its key; a key without a flag could never be overridden.
#[test]
fn every_key_is_a_flag_and_its_value_reaches_every_command_that_has_it() {
    let flags = flags();
    for key in KEYS {
        let commands = flags.get(key.name).unwrap_or_else(|| panic!("no --{}", key.name));
        if key.is_of_store {
            continue;
        }
        let value = match key.name {
            "memory" => "64MiB",
            "bandwidth" => "1MiB/s",
            "spool-dir" => "/var/tmp",
            _ => "7",
        };
        let command = with_default(Cli::command(), &key.name.replace('-', "_"), value);
        for path in commands {
            let mut at = &command;
            for name in path.split_whitespace().skip(1) {
                at = at.find_subcommand(name).unwrap();
            }
            let argument = at.get_arguments().find(|it| it.get_long() == Some(key.name)).unwrap();
            assert_eq!(argument.get_default_values(), [value], "{path} --{}", key.name);
        }
    }
}

/// The document has a row for every key.
#[test]
fn every_key_is_documented() {
    let document = include_str!("../../../../docs/cli.md");
    for key in KEYS {
        let name = format!("`{}`", key.name);
        let rows = document.lines().filter(|line| line.starts_with("| `"));
        assert!(rows.into_iter().any(|row| row.contains(&name)), "{name}");
    }
}
