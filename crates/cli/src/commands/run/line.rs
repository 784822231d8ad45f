//! Parses one line of `haul run` into a command.
//!
//! Quotes, backslashes and `#` mean the same as in a shell; `*`, `~` and variables are not
//! expanded.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use crate::args::{Cli, Command, StoreArgs};
use crate::config;
use crate::failure::Usage;

/// Flags that apply to the whole of `haul run` and are refused in a line.
const OF_THE_RUN: [(&str, &str); 8] = [
    ("json", "--json"),
    ("quiet", "--quiet"),
    ("verbose", "--verbose"),
    ("no_progress", "--no-progress"),
    ("concurrency", "--concurrency"),
    ("memory", "--memory"),
    ("max_attempts", "--max-attempts"),
    ("bandwidth", "--bandwidth"),
];

/// Splits a line into words; returns no words for a blank line or a comment.
pub(super) fn words(line: &[u8]) -> Result<Vec<OsString>, Usage> {
    let words = shlex::bytes::split(line).ok_or_else(|| {
        Usage::new("a quote is not closed, or a backslash ends the line", "quote as in a shell")
    })?;
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

/// Parses the words as a command, and adds the store flags of the run where the line has none of
/// its own.
pub(super) fn command(words: &[OsString], run: &StoreArgs) -> Result<Cli, Usage> {
    let words = words.strip_prefix(&[OsString::from("haul")]).unwrap_or(words);
    if words.iter().take_while(|word| *word != "--").any(|word| word == "-") {
        return Err(Usage::new(
            "standard input and output are not a line's own",
            "name a file instead of -",
        ));
    }
    let line = std::iter::once(OsString::from("haul")).chain(words.iter().cloned());
    let line = config::expand(line.collect())
        .map_err(|problem| Usage::new(problem, "haul config shows the remotes"))?;
    let matches = config::command_of_line()
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .try_get_matches_from(line)
        .map_err(|error| {
            Usage::new(crate::usage::complaint(&error), "haul help COMMAND shows its flags")
        })?;
    if let Some((_, flag)) = OF_THE_RUN.iter().find(|(id, _)| is_given(&matches, id)) {
        return Err(Usage::new(
            format!("{flag} is of the whole run, and not of a line"),
            format!("give it to haul run: haul run FILE {flag} …"),
        ));
    }
    let mut cli = Cli::from_arg_matches(&matches)
        .map_err(|error| Usage::new(error.to_string(), "haul help COMMAND shows its flags"))?;
    if let Some(name) = not_for_lines(&cli.command) {
        return Err(Usage::new(
            format!("haul {name} cannot be a line of haul run"),
            "run it by itself",
        ));
    }
    cli.store = with_defaults(cli.store, run);
    Ok(cli)
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    let here = matches.try_contains_id(id).is_ok_and(|contains| contains)
        && matches.value_source(id) == Some(ValueSource::CommandLine);
    here || matches.subcommand().is_some_and(|(_, below)| is_given(below, id))
}

/// Returns the name of a command that cannot run in a line: one that serves, writes to standard
/// output, or runs other commands.
fn not_for_lines(command: &Command) -> Option<&'static str> {
    match command {
        Command::Run(_) => Some("run"),
        Command::Serve(_) => Some("serve"),
        Command::Store(_) => Some("store"),
        Command::Cat(_) => Some("cat"),
        Command::Completions(_) => Some("completions"),
        Command::Man(_) => Some("man"),
        _ => None,
    }
}

fn with_defaults(line: StoreArgs, run: &StoreArgs) -> StoreArgs {
    let styled = line.path_style || line.virtual_host_style;
    let trusts = line.ca_bundle.is_some() || line.no_verify_ssl;
    StoreArgs {
        path_style: if styled { line.path_style } else { run.path_style },
        virtual_host_style: if styled { line.virtual_host_style } else { run.virtual_host_style },
        no_verify_ssl: if trusts { line.no_verify_ssl } else { run.no_verify_ssl },
        ca_bundle: if trusts { line.ca_bundle } else { run.ca_bundle.clone() },
        endpoint: line.endpoint.or_else(|| run.endpoint.clone()),
        region: line.region.or_else(|| run.region.clone()),
        profile: line.profile.or_else(|| run.profile.clone()),
        store_profile: line.store_profile.or(run.store_profile),
        data: line.data.or_else(|| run.data.clone()),
        requests: line.requests.or(&run.requests),
        // `--remote` was replaced by flags before the words were parsed.
        remote: None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn run_args(flags: &str) -> StoreArgs {
        Cli::try_parse_from(format!("haul transfers {flags}").split_whitespace()).unwrap().store
    }

    fn read(line: &str) -> Result<Cli, String> {
        let words = words(line.as_bytes()).map_err(|error| error.to_string())?;
        command(&words, &run_args("--endpoint http://h:1 --path-style"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_split_as_a_shell_does() {
        let split = |line: &str| words(line.as_bytes()).unwrap();
        assert!(split("").is_empty() && split("  # a comment").is_empty());
        assert_eq!(split(r#"cp 'a b' "c\"d" e\ f # rest"#), ["cp", "a b", "c\"d", "e f"]);
        assert_eq!(split("rm s3://b/*.gz ~"), ["rm", "s3://b/*.gz", "~"], "nothing is expanded");
        assert!(words(b"cp 'a").is_err());
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(words(b"cp \xff s3://b/k").unwrap()[1].as_bytes(), b"\xff");
    }

    #[test]
    fn flags_of_a_line_win_over_those_of_the_run() {
        let cli = read("ls s3://bucket").unwrap();
        assert_eq!(cli.store.endpoint.as_deref(), Some("http://h:1"));
        assert!(cli.store.path_style);
        let cli = read("haul ls s3://bucket --endpoint http://h:2 --virtual-host-style").unwrap();
        assert_eq!(cli.store.endpoint.as_deref(), Some("http://h:2"));
        assert!(cli.store.virtual_host_style && !cli.store.path_style);
    }

    #[test]
    fn what_no_line_can_do_is_refused() {
        let refused = |line: &str| read(line).unwrap_err();
        for line in ["serve", "run x", "cat s3://bucket/k", "completions bash", "store check"] {
            assert!(refused(line).contains("cannot be a line"), "{line}");
        }
        assert!(refused("cp - s3://bucket/k").contains("standard input"));
        assert!(refused("cp a s3://bucket/k --concurrency 4").contains("--concurrency is of the"));
        assert!(refused("ls --json").contains("--json is of the whole run"));
        assert!(refused("fly").contains("unrecognized subcommand 'fly'"));
        assert!(refused("cp --help").contains("--help"));
    }
}
