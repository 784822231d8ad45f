//! The benchmark of many small files: Haul and its peers upload the same tree to `haul serve`, sync
//! it again, download it, and remove it, each as a whole process with its own defaults.
//!
//! The server runs on the same cores, so wall times include it; CPU times are those of the client,
//! and the server's are printed beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::TestStore;
use haul_testkit::process::{Finished, run, usage_of};
use haul_testkit::python::Venv;
use haul_testkit::servers::HaulServe;

use crate::client::haul;
use crate::options::Options;

const LIMIT: Duration = Duration::from_secs(1800);
/// Number of files in a folder.
const PER_FOLDER: u64 = 250;
const CPU_RATIO_MAX: f64 = 0.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Haul,
    S5cmd,
    Rclone,
    AwsCli,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Up,
    Again,
    Down,
    Delete,
}

struct Row {
    who: Who,
    step: Step,
    files: u64,
    finished: Finished,
    server_cpu_seconds: f64,
}

struct Course<'a> {
    options: &'a Options,
    store: &'a TestStore,
    folder: &'a Path,
    home: &'a Path,
    back: PathBuf,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let files = options.files.unwrap_or(10_000);
    let scratch = tempfile::tempdir().context("create a folder")?;
    let folder = scratch.path().join("tree");
    eprintln!("bench: writing {files} files");
    let bytes = write_tree(&folder, files, options.file_bytes)?;
    run(&mut Command::new("sync"), LIMIT)?.success()?;
    let server = HaulServe::start(&options.haul, &scratch.path().join("store"))?;
    let mut rows = vec![];
    for round in 0..options.rounds {
        let mut all = Who::measured(options);
        if round % 2 == 1 {
            all.reverse();
        }
        for who in all {
            let bucket = format!("bench-{}-{round}", who.name());
            make_bucket(options, server.store(), scratch.path(), &bucket)?;
            let back = scratch.path().join(format!("back-{}-{round}", who.name()));
            let (store, home) = (server.store(), scratch.path());
            let course = Course { options, store, folder: &folder, home, back };
            for step in [Step::Up, Step::Again, Step::Down, Step::Delete] {
                let before = usage_of(server.id())?.cpu_seconds();
                let finished = run(&mut course.command(who, step, &bucket)?, LIMIT)?;
                let finished = finished.success().with_context(|| format!("{who:?} {step:?}"))?;
                let server_cpu_seconds = usage_of(server.id())?.cpu_seconds() - before;
                let row = Row { who, step, files, finished, server_cpu_seconds };
                eprintln!("{}", row.line());
                rows.push(row);
                if step == Step::Down {
                    let fetched = count(&course.back)?;
                    ensure!(fetched == files, "{who:?} fetched {fetched} of {files} files");
                }
            }
            fs::remove_dir_all(&course.back).context("remove the download")?;
        }
    }
    println!("\n{files} files, {} MiB\n\n{}", bytes >> 20, Row::head());
    for step in [Step::Up, Step::Again, Step::Down, Step::Delete] {
        for who in Who::measured(options) {
            println!("{}", best(&rows, who, step).context("nothing was measured")?.line());
        }
    }
    if options.leaves_out(Who::S5cmd.name()) {
        return Ok(());
    }
    let of = |who| best(&rows, who, Step::Up).context("nothing was measured");
    let (ours, theirs) = (of(Who::Haul)?, of(Who::S5cmd)?);
    let ratio = ours.cpu_per_thousand() / theirs.cpu_per_thousand();
    let faster = theirs.finished.wall.as_secs_f64() / ours.finished.wall.as_secs_f64();
    println!(
        "\nup, haul needs {ratio:.2} of s5cmd's CPU per file (at most {CPU_RATIO_MAX}) and sends \
         {faster:.2} times its files per second (at least 1)"
    );
    ensure!(ratio <= CPU_RATIO_MAX, "haul needs {ratio:.2} of s5cmd's CPU per file");
    ensure!(faster >= 1.0, "haul sends {faster:.2} times s5cmd's files per second");
    Ok(())
}

impl Who {
    fn measured(options: &Options) -> Vec<Self> {
        let mut all = vec![Self::Haul, Self::S5cmd, Self::Rclone, Self::AwsCli];
        all.retain(|who| !options.leaves_out(who.name()));
        all
    }

    fn name(self) -> &'static str {
        match self {
            Self::Haul => "haul",
            Self::S5cmd => "s5cmd",
            Self::Rclone => "rclone",
            Self::AwsCli => "aws-cli",
        }
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Again => "again",
            Self::Down => "down",
            Self::Delete => "delete",
        }
    }
}

impl Course<'_> {
    fn command(&self, who: Who, step: Step, bucket: &str) -> Result<Command> {
        let url = format!("s3://{bucket}/tree/");
        let venv = Venv::at(&self.options.venv);
        let endpoint = self.store.endpoint.as_str();
        let from = format!("{}/", self.folder.display());
        let to = format!("{}/", self.back.display());
        let command = match who {
            Who::Haul => {
                let mut command = haul(&self.options.haul, self.store, self.home);
                match step {
                    Step::Up => command.args(["cp", "-q", "-r", &from, &url]),
                    Step::Again => command.args(["sync", "-q", &from, &url]),
                    Step::Down => command.args(["cp", "-q", "-r", &url, &to]),
                    Step::Delete => command.args(["rm", "-q", "-r", &url]),
                };
                command
            }
            Who::S5cmd => {
                let mut command = venv.s5cmd(self.store)?;
                command.args(["--endpoint-url", endpoint, "--log", "error"]);
                let all = format!("{url}*");
                match step {
                    Step::Up => command.args(["cp", &from, &url]),
                    Step::Again => command.args(["sync", &from, &url]),
                    Step::Down => command.args(["cp", &all, &to]),
                    Step::Delete => command.args(["rm", &all]),
                };
                command
            }
            Who::Rclone => {
                let mut command = venv.command("rclone", self.store);
                command
                    .env("RCLONE_CONFIG_NULL_TYPE", "s3")
                    .env("RCLONE_CONFIG_NULL_PROVIDER", "Other")
                    .env("RCLONE_CONFIG_NULL_ENV_AUTH", "true")
                    .env("RCLONE_CONFIG_NULL_ENDPOINT", endpoint);
                command.args(["--config", "/dev/null", "--s3-no-check-bucket"]);
                let remote = format!("null:{bucket}/tree");
                match step {
                    Step::Up => command.args(["copy", &from, &remote]),
                    Step::Again => command.args(["sync", &from, &remote]),
                    Step::Down => command.args(["copy", &remote, &to]),
                    Step::Delete => command.args(["delete", &remote]),
                };
                command
            }
            Who::AwsCli => {
                let mut command = venv.command("aws", self.store);
                command.args(["--endpoint-url", endpoint, "s3"]);
                match step {
                    Step::Up => command.args(["cp", "--recursive", "--quiet", &from, &url]),
                    Step::Again => command.args(["sync", "--quiet", &from, &url]),
                    Step::Down => command.args(["cp", "--recursive", "--quiet", &url, &to]),
                    Step::Delete => command.args(["rm", "--recursive", "--quiet", &url]),
                };
                command
            }
        };
        Ok(command)
    }
}

impl Row {
    fn head() -> String {
        "| step | | files/s | wall s | CPU-s per 1,000 files | of the server | peak MiB |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: |"
            .to_owned()
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    fn thousands(&self) -> f64 {
        self.files as f64 / 1000.0
    }

    fn cpu_per_thousand(&self) -> f64 {
        self.finished.usage.cpu_seconds() / self.thousands()
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    fn line(&self) -> String {
        let wall = self.finished.wall.as_secs_f64();
        let peak_mib = self.finished.usage.peak_memory_bytes as f64 / (1_u64 << 20) as f64;
        format!(
            "| {} | {} | {:.0} | {wall:.2} | {:.3} | {:.3} | {peak_mib:.0} |",
            self.step.name(),
            self.who.name(),
            self.thousands() * 1000.0 / wall,
            self.cpu_per_thousand(),
            self.server_cpu_seconds / self.thousands(),
        )
    }
}

/// Returns the row with the least CPU time: noise only ever adds.
fn best(rows: &[Row], who: Who, step: Step) -> Option<&Row> {
    rows.iter()
        .filter(|row| row.who == who && row.step == step)
        .min_by(|a, b| a.cpu_per_thousand().total_cmp(&b.cpu_per_thousand()))
}

/// Writes files of 4 to 16 KiB, or of this length, with different content; returns their total
/// length.
pub(crate) fn write_tree(folder: &Path, files: u64, file_bytes: Option<usize>) -> Result<u64> {
    let (mut state, mut total) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    let mut content = vec![0; file_bytes.unwrap_or(0).next_multiple_of(8).max(16 << 10)];
    for number in 0..files {
        for bytes in content.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
        let length = match file_bytes {
            Some(bytes) => bytes,
            None => 4096 + usize::try_from(state % 12_289)?,
        };
        let path = folder.join(format!("{:04}/{number:07}.bin", number / PER_FOLDER));
        if number.is_multiple_of(PER_FOLDER) {
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        }
        fs::write(&path, &content[..length])?;
        total += length as u64;
    }
    Ok(total)
}

fn make_bucket(options: &Options, store: &TestStore, home: &Path, bucket: &str) -> Result<()> {
    let mut command = haul(&options.haul, store, home);
    command.args(["mb", "-q", &format!("s3://{bucket}")]);
    run(&mut command, LIMIT)?.success().map(drop)
}

fn count(folder: &Path) -> Result<u64> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}
