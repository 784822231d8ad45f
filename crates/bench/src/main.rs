//! Benchmarks of haul against its peers, in one run on one machine; started by `cargo xtask bench`.
//!
//! Figures of different runs are never compared: this machine tomorrow is another machine. The
//! promise is a ratio between two programs that did the same work minutes apart, in alternating
//! order.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers: it talks to them"
)]

mod authority;
mod bandwidth;
mod case;
mod chart;
mod client;
mod contestant;
mod floor;
mod goals;
mod links;
mod measured;
mod null_endpoint;
mod options;
mod report;
mod server;
mod table;
mod tree;

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Result, bail};

use null_endpoint::{Conditions, NullEndpoint};
use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((what, rest)) if what == "client" => client::bench(&Options::parse(rest, 3)?),
        Some((what, rest)) if what == "server" => server::bench(&Options::parse(rest, 2)?),
        Some((what, rest)) if what == "tree" => tree::bench(&Options::parse(rest, 1)?),
        Some((what, rest)) if what == "bandwidth" => bandwidth::bench(&Options::parse(rest, 1)?),
        Some((what, rest)) if what == "links" => links::bench(&Options::parse(rest, 1)?),
        Some((what, rest)) if what == "counter" => links::counter::serve(rest),
        Some((what, rest)) if what == "floor" => floor::run(rest),
        Some((what, rest)) if what == "endpoint" => endpoint(&Options::parse(rest, 1)?),
        _ => bail!("{}", options::USAGE),
    }
}

/// Starts the endpoint of `client` alone, for measurements by hand, until the end of input.
fn endpoint(options: &Options) -> Result<()> {
    let delay = options.delay.unwrap_or_default();
    let refuse_every = options.refuse_every;
    let conditions = Conditions { delay, refuse_every, ..Conditions::default() };
    println!("{}", NullEndpoint::plain(conditions)?.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
