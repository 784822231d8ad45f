//! The log on stderr, enabled by `-v` or `HAUL_LOG`; with `--json` each line is an object. `-v`
//! logs one line per request, `-vv` also retries and decisions, `-vvv` also the bytes on the wire.
//! Without `-v`, `haul serve` logs problems that need its operator (a full disk, a store that
//! rejects writes); the other commands report failures themselves.
//!
//! Secrets never reach the log. Our own crates keep them in types without `Display`. The HTTP and
//! signing layers below print whole requests at their finest levels, and `s3s` prints an invalid
//! document in full at any level, so these stay disabled whatever `HAUL_LOG` contains;
//! `haul-server` logs the result of every request itself.

mod escaping;

use std::io::stderr;

use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::Mode;
use escaping::Escaping;

/// Layers whose finest levels print headers and canonical requests.
const TALKATIVE: [&str; 5] =
    ["aws_sigv4", "aws_runtime", "aws_smithy_runtime", "aws_smithy_http_client", "hyper"];
/// A layer that prints what clients send, even at `ERROR`.
const CARELESS: &str = "s3s";

/// The log level without `-v` and `HAUL_LOG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// No log.
    Nothing,
    /// Problems that need the operator.
    Warnings,
    /// Only problems at level `ERROR`.
    Errors,
}

/// Starts the log. `verbosity` counts the `-v`.
///
/// # Errors
/// Describes the problem with `HAUL_LOG`.
pub(crate) fn start(verbosity: u8, unasked: Unasked, mode: Mode) -> Result<(), String> {
    let text = match std::env::var("HAUL_LOG") {
        Ok(text) if !text.is_empty() => text,
        _ => default_filter(verbosity, unasked).to_owned(),
    };
    let wanted: Targets = text.parse().map_err(|error| format!("HAUL_LOG={text:?}: {error}"))?;
    let filter = wanted
        .and(filter_fn(|metadata: &Metadata<'_>| may_speak(metadata.target(), *metadata.level())));
    let ansi = crate::output::paint("log") != "log";
    let layer = tracing_subscriber::fmt::layer()
        // With stderr closed, the layer's report of its own write error must not panic.
        .log_internal_errors(false)
        .with_ansi(ansi);
    let layer = match mode {
        Mode::Json => {
            layer.json().with_writer(|| Escaping::json(stderr())).with_filter(filter).boxed()
        }
        _ => layer.with_writer(|| Escaping::text(stderr())).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(layer).init();
    Ok(())
}

fn default_filter(verbosity: u8, unasked: Unasked) -> &'static str {
    match verbosity {
        0 if unasked == Unasked::Nothing => "off",
        0 if unasked == Unasked::Errors => "off,haul=error,haul_server=error,haul_store=error",
        0 => "off,haul=warn,haul_server=warn,haul_store=warn",
        1 => "warn,haul=info,haul_server=info,haul_store=info",
        2 => "info,haul=debug,haul_server=debug,haul_store=debug",
        _ => "debug,haul=trace,haul_server=trace,haul_store=trace",
    }
}

fn may_speak(target: &str, level: Level) -> bool {
    let talkative = TALKATIVE.iter().any(|layer| target.starts_with(layer));
    !target.starts_with(CARELESS) && (level <= Level::INFO || !talkative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_levels_of_the_http_layers_stay_closed() {
        assert!(!may_speak("aws_sigv4::http_request::canonical_request", Level::TRACE));
        assert!(!may_speak("hyper::proto::h1", Level::DEBUG));
        assert!(may_speak("aws_smithy_runtime", Level::WARN));
        assert!(may_speak("aws_config::profile", Level::DEBUG));
        assert!(may_speak("haul::upload", Level::TRACE));
        assert!(!may_speak("s3s::http::de", Level::ERROR));
        assert!(may_speak("haul_server::front", Level::TRACE));
    }

    #[test]
    fn a_filter_without_a_level_for_all_leaves_others_silent() {
        let wanted: Targets = "haul=debug,haul_store=warn".parse().unwrap();
        assert!(wanted.would_enable("haul::upload", &Level::DEBUG));
        assert!(!wanted.would_enable("haul_store", &Level::INFO));
        assert!(!wanted.would_enable("aws_config", &Level::ERROR));
        assert!("haul=loud".parse::<Targets>().is_err());
    }

    #[test]
    fn every_default_filter_can_be_read() {
        for verbosity in 0..5 {
            for unasked in [Unasked::Nothing, Unasked::Warnings, Unasked::Errors] {
                default_filter(verbosity, unasked).parse::<Targets>().unwrap();
            }
        }
    }
}
