//! Parses the command line, and reports a wrong one: on stderr for people, and with `--json` as the
//! one event that a program waits for.
//!
//! The text is clap's, without its guesses: `tip: to pass '--dryly' as a value, use '-- --dryly'`
//! is rarely what was meant, and a suggestion helps only if it differs from the input by a typing
//! mistake.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::args::Cli;
use crate::config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Mode;

/// The maximum number of characters by which a suggestion may differ from the input.
const SLIP_MAX: usize = 2;

/// Parses the command line, or returns the exit code after printing help, a version or an error.
pub(crate) fn parse() -> Result<Cli, Exit> {
    config::parse(std::env::args_os().collect()).map_err(|mut error| {
        if !error.use_stderr() {
            // Ignore write errors: help and version were requested, and a reader may close the pipe
            // early.
            let _ = error.print();
            return Exit::Done;
        }
        without_guesses(&mut error);
        if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && json_is_wanted() {
            Mode::Json.event(&Failure::usage(complaint(&error)));
        }
        let _ = error.print();
        Exit::Usage
    })
}

/// Returns whether the arguments contain `--json`; after a failure, clap does not report it.
fn json_is_wanted() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

fn without_guesses(error: &mut Error) {
    error.remove(ContextKind::Suggested);
    let kinds = [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ];
    for (typed, suggested) in kinds {
        let Some(typed) = words(error.get(typed)).into_iter().next() else { continue };
        let close = |word: &String| strsim::damerau_levenshtein(&typed, word) <= SLIP_MAX;
        let suggestions = words(error.get(suggested));
        if suggestions.iter().any(|word| !close(word)) {
            error.remove(suggested);
            let close: Vec<String> = suggestions.into_iter().filter(close).collect();
            if !close.is_empty() {
                error.insert(suggested, ContextValue::Strings(close));
            }
        }
    }
}

fn words(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}

/// Formats an error such as `unexpected argument '--dryly' found`, on one line with the arguments
/// that it lists.
pub(crate) fn complaint(error: &Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> =
        text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn rendered(line: &str) -> String {
        let mut error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
        without_guesses(&mut error);
        error.render().to_string()
    }

    #[test]
    fn only_suggestions_one_slip_away_are_shown() {
        let far = rendered("haul cp a s3://bucket/k --dryly");
        assert!(far.contains("unexpected argument '--dryly' found"), "{far}");
        assert!(!far.contains("tip") && !far.contains("similar"), "{far}");
        let content = rendered("haul cp a s3://bucket/k --content text/plain");
        assert!(!content.contains("--content-type") || content.contains("Usage"), "{content}");
        assert!(!content.contains("tip"), "{content}");
        let slip = rendered("haul cp a s3://bucket/k --part-sise 8M");
        assert!(slip.contains("--part-size"), "{slip}");
    }

    #[test]
    fn a_complaint_is_one_line_with_what_it_lists() {
        let error = Cli::try_parse_from(["haul", "fly"]).unwrap_err();
        assert_eq!(complaint(&error), "unrecognized subcommand 'fly'");
        let error = Cli::try_parse_from(["haul", "cp"]).unwrap_err();
        let missing = "the following required arguments were not provided: <SOURCE> <TARGET>";
        assert_eq!(complaint(&error), missing);
    }
}
