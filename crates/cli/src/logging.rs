//! The log: stderr, off unless asked for by `-v` or `HAUL_LOG`; with `--json` each line is an object.
//!
//! Secrets never reach it. Our own crates keep them in types without `Display`; the HTTP and signing layers below
//! print whole requests at their finest levels, so those levels stay closed whatever `HAUL_LOG` says.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::output::Mode;

/// Layers whose finest levels print headers and canonical requests.
const TALKATIVE: [&str; 6] =
    ["aws_sigv4", "aws_runtime", "aws_smithy_runtime", "aws_smithy_http_client", "hyper", "s3s"];

/// Starts the log. `verbosity` counts the `-v`.
///
/// # Errors
/// Says what is wrong with `HAUL_LOG`.
pub(crate) fn start(verbosity: u8, mode: Mode) -> Result<(), String> {
    let text = match std::env::var("HAUL_LOG") {
        Ok(text) if !text.is_empty() => text,
        _ => default_filter(verbosity).to_owned(),
    };
    let wanted = EnvFilter::builder()
        .with_default_directive(LevelFilter::OFF.into())
        .parse(&text)
        .map_err(|error| format!("HAUL_LOG={text:?}: {error}"))?;
    let filter =
        wanted.and(filter_fn(|metadata: &Metadata<'_>| may_speak(metadata.target(), *metadata.level())));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(crate::output::paint("log") != "log");
    let layer = match mode {
        Mode::Json => layer.json().with_filter(filter).boxed(),
        _ => layer.with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(layer).init();
    Ok(())
}

fn default_filter(verbosity: u8) -> &'static str {
    match verbosity {
        0 => "off",
        1 => "warn,haul=info,haul_server=info,haul_store=info",
        2 => "info,haul=debug,haul_server=debug,haul_store=debug",
        _ => "debug,haul=trace,haul_server=trace,haul_store=trace",
    }
}

fn may_speak(target: &str, level: Level) -> bool {
    level <= Level::INFO || !TALKATIVE.iter().any(|layer| target.starts_with(layer))
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
    }

    #[test]
    fn every_default_filter_can_be_read() {
        for verbosity in 0..5 {
            EnvFilter::builder().parse(default_filter(verbosity)).unwrap();
        }
    }
}
