//! The client: `haul cp` and s5cmd send the same file to the same `haul serve`, in alternating order.
//!
//! Fails when haul, at default settings, needs more than half of s5cmd's CPU per GiB or more than 256 MiB.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use haul_testkit::Store;
use haul_testkit::files::write_random;
use haul_testkit::process::run;
use haul_testkit::python::Venv;
use haul_testkit::servers::HaulServe;

use crate::options::Options;
use crate::table::{Row, best, peak_mib};

const CPU_RATIO_MAX: f64 = 0.5;
const PEAK_MIB_MAX: f64 = 256.0;
const UPLOAD_LIMIT: Duration = Duration::from_secs(600);
const BUCKET: &str = "bench";

pub(crate) fn bench(options: &Options) -> Result<()> {
    let bytes = options.gib.unwrap_or(2) << 30;
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("file");
    eprintln!("bench: writing {} GiB of random bytes", bytes >> 30);
    write_random(&file, bytes, 1)?;
    let server = HaulServe::start(&options.haul, &folder.path().join("data"))?;
    let store = server.store();
    run(haul(&options.haul, store, folder.path()).args(["mb", &format!("s3://{BUCKET}")]), UPLOAD_LIMIT)?
        .success()?;

    println!("{}", Row::head());
    let mut rows = Vec::new();
    for round in 0..options.rounds {
        let mut sides = [Side::Haul, Side::S5cmd];
        if round % 2 == 1 {
            sides.reverse();
        }
        for side in sides {
            let row = side.upload(options, store, &file, bytes)?;
            println!("{}", row.line());
            rows.push(row);
            // Or the disk fills up, and the second round measures that.
            let mut remove = haul(&options.haul, store, folder.path());
            run(remove.args(["rm", &format!("s3://{BUCKET}/file")]), UPLOAD_LIMIT)?.success()?;
        }
    }
    judge(&rows)
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Haul,
    S5cmd,
}

impl Side {
    fn upload(self, options: &Options, store: &Store, file: &Path, bytes: u64) -> Result<Row> {
        let url = format!("s3://{BUCKET}/file");
        let (who, mut command) = match self {
            Self::Haul => {
                let mut command =
                    haul(&options.haul, store, file.parent().context("the file is in a folder")?);
                command.args(["cp", "--quiet"]).arg(file).arg(url);
                ("haul", command)
            }
            Self::S5cmd => {
                let mut command = Venv::at(&options.venv).s5cmd(store)?;
                command.args(["--endpoint-url", &store.endpoint, "cp"]).arg(file).arg(url);
                ("s5cmd", command)
            }
        };
        let finished = run(&mut command, UPLOAD_LIMIT)?.success().with_context(|| who.to_owned())?;
        Ok(Row { who, bytes, wall: finished.wall, usage: finished.usage })
    }
}

/// `haul` with the keys of the store and nothing of this user's.
pub(crate) fn haul(binary: &Path, store: &Store, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().envs(store.client_variables());
    command.env("AWS_ENDPOINT_URL", &store.endpoint).env("HOME", home);
    command
}

fn judge(rows: &[Row]) -> Result<()> {
    let (haul, s5cmd) = best(rows, "haul").zip(best(rows, "s5cmd")).context("nothing was measured")?;
    let ratio = haul.cpu_per_gib() / s5cmd.cpu_per_gib();
    let peak = peak_mib(rows, "haul");
    println!(
        "\nhaul needs {ratio:.2} of s5cmd's CPU per GiB (at most {CPU_RATIO_MAX}), and {peak:.0} MiB at its peak (at most {PEAK_MIB_MAX})"
    );
    ensure!(
        ratio <= CPU_RATIO_MAX,
        "haul uses {ratio:.2} of s5cmd's CPU per GiB; it may use {CPU_RATIO_MAX}"
    );
    if peak > PEAK_MIB_MAX {
        bail!("haul took {peak:.0} MiB; it may take {PEAK_MIB_MAX}");
    }
    Ok(())
}
