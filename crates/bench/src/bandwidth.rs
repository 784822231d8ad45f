//! The accuracy of `--bandwidth`: uploads and downloads at `haul serve`, in parts and as many
//! files, each long enough for 30 seconds at 20 MiB/s.
//!
//! A limit far below what the machine can do holds on a busy machine too, so that the deviation is
//! the limit's own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::TestStore;
use haul_testkit::process::run;
use haul_testkit::servers::HaulServe;

use crate::client::haul;
use crate::options::Options;

const LIMIT: Duration = Duration::from_secs(300);
const MIB: usize = 1 << 20;
const RATE_MIB_PER_S: usize = 20;
const SECONDS: usize = 30;
const TOTAL_MIB: usize = RATE_MIB_PER_S * SECONDS;
/// The number of files of the tree, each below the threshold of uploads in parts.
const FILES: usize = 200;
const DEVIATION_MAX: f64 = 0.05;

pub(crate) fn bench(options: &Options) -> Result<()> {
    let scratch = tempfile::tempdir().context("create a folder")?;
    let home = scratch.path();
    write(&home.join("file"), TOTAL_MIB)?;
    fs::create_dir(home.join("tree"))?;
    for number in 0..FILES {
        write(&home.join(format!("tree/{number:03}")), TOTAL_MIB / FILES)?;
    }
    let server = HaulServe::start(&options.haul, &home.join("store"))?;
    let store = server.store();
    run(haul(&options.haul, store, home).args(["mb", "-q", "s3://bench"]), LIMIT)?.success()?;
    let path = |name: &str| home.join(name).display().to_string();
    println!(
        "{TOTAL_MIB} MiB at {RATE_MIB_PER_S} MiB/s\n\n| | wall s | MiB/s | deviation |\n\
         | --- | ---: | ---: | ---: |"
    );
    let mut worst = 0.0_f64;
    for (name, from, to, recursive) in [
        ("up, 16 parts at once", path("file"), "s3://bench/file".to_owned(), false),
        ("down, 16 ranges at once", "s3://bench/file".to_owned(), path("back"), false),
        ("up, 200 files", path("tree/"), "s3://bench/tree/".to_owned(), true),
        ("down, 200 files", "s3://bench/tree/".to_owned(), path("files/"), true),
    ] {
        let mut command = copy(&options.haul, store, home);
        if recursive {
            command.arg("-r");
        } else {
            command.args(["--part-size", "8MiB", "--concurrency", "16"]);
        }
        let wall = run(command.args([&from, &to]), LIMIT)?.success()?.wall.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
        let (expected, rate) = (SECONDS as f64, TOTAL_MIB as f64 / wall);
        let deviation = wall / expected - 1.0;
        worst = worst.max(deviation.abs());
        println!("| {name} | {wall:.2} | {rate:.2} | {:+.1} % |", 100.0 * deviation);
    }
    ensure!(worst <= DEVIATION_MAX, "the rate deviates by {:.1} %", 100.0 * worst);
    Ok(())
}

fn copy(binary: &Path, store: &TestStore, home: &Path) -> Command {
    let mut command = haul(binary, store, home);
    command.args(["cp", "-q", "--bandwidth", &format!("{RATE_MIB_PER_S}MiB/s")]);
    command
}

/// Writes a file of this length, whose blocks differ.
fn write(path: &Path, mib: usize) -> Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; MIB];
    for number in 0..mib {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block)?;
    }
    Ok(())
}
