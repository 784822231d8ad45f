//! `cargo xtask hunt --seeds N [--from SEED]`: runs the simulations of the engine with other seeds
//! than a test run.
//!
//! A seed that fails prints its scenario; repeat it with `--from SEED --seeds 1`. It then becomes a
//! named test.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, succeed};

/// The seeds to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    from: u64,
    seeds: u64,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        // Seeds that no run has used before.
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let mut options = Self { from: now.as_secs() * 1_000_000, seeds: 10_000 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let number = || -> Result<u64> {
                let text =
                    words.clone().next().with_context(|| format!("{word} wants a number"))?;
                text.parse().with_context(|| format!("{word} {text}"))
            };
            match *word {
                "--seeds" => options.seeds = number()?,
                "--from" => options.from = number()?,
                other => bail!("unknown option {other}; hunt takes --seeds N and --from SEED"),
            }
            words.next();
        }
        Ok(options)
    }
}

pub(crate) fn hunt(options: Options) -> Result<()> {
    let range = format!("{}..{}", options.from, options.from.saturating_add(options.seeds));
    crate::say(&format!("seeds {range}"));
    // Not nextest: it ends slow tests, and a hunt may be slow.
    succeed(
        cargo()
            .args([
                "test",
                "--locked",
                "--package",
                "haul",
                "--test",
                "it",
                "--",
                "simulation::",
                "crashes::",
            ])
            .env("HAUL_SIMULATION_SEEDS", range),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let options = Options::parse(&["--from", "7", "--seeds", "3"]).unwrap();
        assert_eq!(options, Options { from: 7, seeds: 3 });
        assert_eq!(Options::parse(&["--seeds", "3", "--from", "7"]).unwrap(), options);
        assert!(Options::parse(&["--seeds"]).is_err());
        assert!(Options::parse(&["--seeds", "many"]).is_err());
        assert!(Options::parse(&["seeds"]).is_err());
    }
}
