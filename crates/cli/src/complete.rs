//! Completes names that only the running command knows: buckets, keys, and the ids of transfers.
//!
//! The shell runs `COMPLETE=bash haul` once to get its script and then, for every completion, this
//! binary with the words so far. A completion prints only candidates, requests one page from a
//! store, and gives up after [`PATIENCE`], because a key press must not hang.

mod bash;
mod zsh;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::time::Duration;

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::ValueCompleter as _;
use clap_complete::env::{Elvish, Fish, Powershell, Shells};
use clap_complete::{ArgValueCompleter, CompleteEnv, CompletionCandidate, PathCompleter};
use haul::remote::ListingEntry;

use crate::args::{Cli, StoreArgs};
use crate::config;
use crate::output::{Mode, is_unsafe};
use crate::state_dir::journal_folder;
use crate::store;
use crate::target::{Address, Scheme};

/// The time limit for opening the store and receiving its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers a completion request and returns true; returns false if this is not one.
pub(crate) fn answered() -> bool {
    let shells = Shells(&[&bash::Bash, &Elvish, &Fish, &Powershell, &zsh::Zsh]);
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .shells(shells)
        .try_complete(std::env::args_os(), here.as_deref())
        // A variable COMPLETE with another meaning must not prevent the command from running.
        .unwrap_or(false)
}

/// Writes the script of a shell. BIN, VAR and COMPLETER in it stand for the name of the command,
/// the variable that requests a completion, and the program that answers.
fn register(
    script: &str,
    var: &str,
    bin: &str,
    completer: &str,
    buf: &mut dyn Write,
) -> io::Result<()> {
    let quoted = shlex::try_quote(completer).map_err(io::Error::other)?;
    let script = script.replace("BIN", bin).replace("COMPLETER", &quoted).replace("VAR", var);
    buf.write_all(script.as_bytes())
}

/// Returns the command line with a completer for every argument whose value name has one.
fn command() -> Command {
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |below| below.mut_args(completed));
    }
    command
}

fn completed(argument: Arg) -> Arg {
    let name = argument.get_value_names().and_then(|names| names.first());
    match name.map(clap::builder::Str::as_str) {
        Some("OBJECT" | "ADDRESS" | "BUCKET") => argument.add(ArgValueCompleter::new(addresses)),
        Some("SOURCE" | "TARGET") => argument.add(ArgValueCompleter::new(addresses_and_files)),
        // The id of an upload at a store is not the id of a transfer of this machine.
        Some("ID") if argument.get_id() != "upload_id" => argument.add(ArgValueCompleter::new(ids)),
        Some("ID|ADDRESS") => argument.add(ArgValueCompleter::new(ids_and_addresses)),
        _ => argument,
    }
}

fn addresses_and_files(current: &OsStr) -> Vec<CompletionCandidate> {
    let addresses = addresses(current);
    if current.to_str().is_some_and(|text| text.contains("://")) {
        return addresses;
    }
    PathCompleter::any().complete(current).into_iter().chain(addresses).collect()
}

fn ids_and_addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    ids(current).into_iter().chain(addresses(current)).collect()
}

/// Completes ids of transfers of this machine.
fn ids(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(begun), Ok(folder)) = (current.to_str(), journal_folder()) else { return vec![] };
    let uploads = folder
        .list()
        .unwrap_or_default()
        .into_iter()
        .map(|upload| (upload.id, upload.beginning.source.name()));
    let downloads = folder
        .list_downloads()
        .unwrap_or_default()
        .into_iter()
        .map(|download| (download.id, download.beginning.object.to_string()));
    uploads
        .chain(downloads)
        .filter(|(id, _)| id.starts_with(begun))
        .map(|(id, what)| CompletionCandidate::new(id).help(Some(plain(&what).into())))
        .collect()
}

/// Completes schemes, then buckets, then keys up to the next `/`.
fn addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = current.to_str() else { return vec![] };
    let schemes = [Scheme::S3, Scheme::Local];
    let Some(scheme) = schemes.iter().find(|scheme| begun.starts_with(scheme.prefix())) else {
        let fitting = schemes.iter().filter(|scheme| scheme.prefix().starts_with(begun));
        return fitting.map(|scheme| CompletionCandidate::new(scheme.prefix())).collect();
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return vec![];
    };
    let names = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, names(*scheme, begun)).await.ok().flatten()
    });
    // Requests that are still waiting are dropped.
    runtime.shutdown_background();
    let names = names.unwrap_or_default().into_iter();
    names.filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}

/// Returns addresses that begin with the text, from one request.
async fn names(scheme: Scheme, begun: &str) -> Option<Vec<String>> {
    let opened = store::open(scheme, &store_args(), Mode::Quiet).await.ok()?;
    let behind = &begun[scheme.prefix().len()..];
    let found = if behind.contains('/') {
        let address = Address::parse(begun).ok()?;
        let (bucket, prefix) = (&address.bucket, address.key.as_str());
        let page = opened.store.list_objects(bucket, prefix, Some("/"), None).await.ok()?;
        let keys = page.entries.iter().map(ListingEntry::name);
        keys.map(|key| format!("{scheme}{bucket}/{key}")).collect()
    } else {
        let buckets = opened.store.list_buckets().await.ok()?;
        buckets.into_iter().map(|bucket| format!("{scheme}{}/", bucket.name)).collect::<Vec<_>>()
    };
    opened.close().await;
    // Exclude names with line breaks or escapes, which would reach the terminal through the shell.
    Some(found.into_iter().filter(|name: &String| !name.contains(is_unsafe)).collect())
}

/// Returns the store flags among the words so far.
fn store_args() -> StoreArgs {
    const WITH_VALUE: [&str; 8] = [
        "--endpoint",
        "--endpoint-url",
        "--region",
        "--profile",
        "--store-profile",
        "--ca-bundle",
        "--remote",
        "--data",
    ];
    const WITHOUT: [&str; 3] = ["--path-style", "--virtual-host-style", "--no-verify-ssl"];
    let mut line = vec![OsString::from("haul"), OsString::from("transfers")];
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(1).peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let is_assigned = text
            .split_once('=')
            .is_some_and(|(flag, value)| WITH_VALUE.contains(&flag) && !value.is_empty());
        if is_assigned || WITHOUT.contains(&text.as_ref()) {
            line.push(word);
        } else if WITH_VALUE.contains(&text.as_ref())
            && let Some(value) = words.next()
        {
            line.extend([word, value]);
        }
    }
    let bare = vec![OsString::from("haul"), OsString::from("transfers")];
    let parsed = config::parse(line).or_else(|_| config::parse(bare));
    parsed.map(|cli| cli.store).unwrap_or_default()
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !is_unsafe(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_takes_an_address_completes_it() {
        let command = command();
        command.clone().debug_assert();
        for (name, argument) in [
            ("rm", "objects"),
            ("ls", "address"),
            ("rb", "bucket"),
            ("forget", "ids"),
            ("abort", "what"),
        ] {
            let of_name = command.find_subcommand(name).unwrap();
            let found = of_name.get_arguments().find(|it| it.get_id() == argument).unwrap();
            assert!(found.get::<ArgValueCompleter>().is_some(), "{name} {argument}");
        }
    }

    #[test]
    fn schemes_are_completed_without_a_store() {
        let of = |text: &str| -> Vec<_> {
            let found = addresses(OsStr::new(text));
            found.iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(of("s"), ["s3://"]);
        assert_eq!(of("local:"), ["local://"]);
        assert_eq!(of(""), ["s3://", "local://"]);
        assert!(of("x").is_empty());
    }
}
