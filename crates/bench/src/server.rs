//! The server benchmark: s5cmd, then haul, send a file in 16 MiB parts with 8 in flight to `haul
//! serve`, to s3s-fs and to Garage, one after the other in one run, and the servers are measured
//! meanwhile. The file is read from memory, and dirty pages are written before each upload, so that
//! each server pays only for itself.
//!
//! s3s-fs is the sample that the same protocol library ships: it never syncs and copies every part
//! again at Complete. Garage runs without fsync, its default, and with it. `haul serve` always
//! syncs everything. boto3 measures the time of Complete around that one request, over parts sent
//! before; that of 10,000 parts only for `haul serve`, where UploadPartCopy creates them and so
//! takes no disk space.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use haul_testkit::TestStore;
use haul_testkit::files::{random_hex, write_random};
use haul_testkit::process::{Usage, run, usage_of};
use haul_testkit::python::Venv;
use haul_testkit::servers::{Daemon, Fsync, Garage, HaulServe, REGION, free_port};

use crate::client::haul;
use crate::options::Options;
use crate::table::Row;

const UPLOAD_LIMIT: Duration = Duration::from_secs(900);
const START_LIMIT: Duration = Duration::from_secs(30);
const BUCKET: &str = "bench";
const COMPLETE_PARTS_BYTES: u64 = 16 << 20;

/// Times one Complete over existing parts with boto3: Create, parts, and the clock around Complete.
const COMPLETE: &str = r#"
import time
bucket, path, part_size = args[0], args[1], int(args[2])
upload = s3.create_multipart_upload(Bucket=bucket, Key="complete")["UploadId"]
parts = []
with open(path, "rb") as file:
    while part := file.read(part_size):
        number = len(parts) + 1
        sent = s3.upload_part(Bucket=bucket, Key="complete", UploadId=upload,
                              PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
start = time.perf_counter()
s3.complete_multipart_upload(Bucket=bucket, Key="complete", UploadId=upload,
                             MultipartUpload={"Parts": parts})
seconds = time.perf_counter() - start
s3.delete_object(Bucket=bucket, Key="complete")
answer(seconds)
"#;

/// Times Complete of 10,000 parts, each a copy of one object of 5 MiB; for some rounds.
const COMPLETE_MANY: &str = r#"
import time
from concurrent.futures import ThreadPoolExecutor
bucket, count, rounds = args[0], int(args[1]), int(args[2])
s3.put_object(Bucket=bucket, Key="five", Body=os.urandom(5 << 20))
moments = []
# From the request's first byte to the whole response, without the time that Python takes to write
# 10,000 parts as XML.
for moment in "before-send", "response-received":
    s3.meta.events.register(moment + ".s3.CompleteMultipartUpload",
                            lambda **_: moments.append(time.perf_counter()) or None)
def complete():
    upload = s3.create_multipart_upload(Bucket=bucket, Key="many")["UploadId"]
    def copy(number):
        done = s3.upload_part_copy(Bucket=bucket, Key="many", UploadId=upload, PartNumber=number,
                                   CopySource={"Bucket": bucket, "Key": "five"})
        return {"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]}
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(copy, range(1, count + 1)))
    s3.complete_multipart_upload(Bucket=bucket, Key="many", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=bucket, Key="many")["ContentLength"] == count * (5 << 20)
    return moments[-1] - moments[-2]
answer([complete() for _ in range(rounds)])
"#;

const MANY_PARTS: u32 = 10_000;

/// A server under measurement.
struct Subject {
    name: &'static str,
    store: TestStore,
    id: u32,
    // Held, not used: the server ends with it.
    _server: Server,
}

enum Server {
    Haul { _server: HaulServe },
    S3sFs { _server: Daemon },
    Garage { _server: Garage },
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let bytes = options.gib.unwrap_or(4) << 30;
    let folder = tempfile::tempdir().context("make a folder")?;
    // In memory where there is such a disk, so that the client waits for nothing but the server.
    let memory = Path::new("/dev/shm");
    let sources = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let sources = sources.context("make a folder for the source")?;
    let file = sources.path().join("file");
    eprintln!("bench: writing {} GiB of random bytes", bytes >> 30);
    write_random(&file, bytes, 1)?;

    println!("{}  (of the server)", Row::head());
    let mut starts: Vec<fn(&Options, &Path) -> Result<Subject>> = vec![start_haul];
    if options.s3s_fs.is_some() {
        starts.push(start_s3s_fs);
    }
    if options.garage.is_some() {
        starts.extend([start_garage as fn(&Options, &Path) -> _, start_garage_with_fsync]);
    }
    let (mut rows, mut complete) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        for client in ["s5cmd", "haul"] {
            for start in &starts {
                let subject = start(options, folder.path())?;
                let row = measure(options, &subject, client, (&file, bytes), folder.path())?;
                println!("{}  from {client}", row.line());
                let arguments =
                    [BUCKET, &file.display().to_string(), &COMPLETE_PARTS_BYTES.to_string()];
                let venv = Venv::at(&options.venv);
                let seconds = venv.run(COMPLETE, &subject.store, &arguments, UPLOAD_LIMIT)?;
                complete.push((subject.name, seconds.as_f64().context("no time")?));
                rows.push((client, row));
            }
        }
    }
    println!();
    for (name, seconds) in complete {
        println!("Complete of {} GiB at {name}: {:.1} ms", bytes >> 30, seconds * 1000.0);
    }
    let subject = start_haul(options, folder.path())?;
    run(
        haul(&options.haul, &subject.store, folder.path()).args(["mb", &format!("s3://{BUCKET}")]),
        UPLOAD_LIMIT,
    )?
    .success()?;
    let venv = Venv::at(&options.venv);
    write_what_is_left()?;
    let arguments = [BUCKET, &MANY_PARTS.to_string(), &options.rounds.to_string()];
    let seconds = venv.run(COMPLETE_MANY, &subject.store, &arguments, UPLOAD_LIMIT)?;
    for seconds in seconds.as_array().context("no times")? {
        let seconds = seconds.as_f64().context("no time")?;
        println!("Complete of {MANY_PARTS} parts at {}: {:.1} ms", subject.name, seconds * 1000.0);
    }
    println!();
    compare(&rows);
    Ok(())
}

/// Writes dirty pages to the disk: the next server would pay for them, and only two of the four
/// sync.
fn write_what_is_left() -> Result<()> {
    run(&mut Command::new("sync"), UPLOAD_LIMIT)?.success().map(drop)
}

/// Compares haul serve with the best peer, which is the one that needs least CPU, and then with
/// each of them; by client, the better round of each.
fn compare(rows: &[(&str, Row)]) {
    for client in ["s5cmd", "haul"] {
        let best = |who: &str| {
            let of = || {
                rows.iter()
                    .filter(|(from, row)| *from == client && row.who == who)
                    .map(|(_, row)| row)
            };
            let cpu = of().map(Row::cpu_per_gib).fold(f64::INFINITY, f64::min);
            (cpu, of().map(|row| row.wall.as_secs_f64()).fold(f64::INFINITY, f64::min))
        };
        let (cpu, wall) = best("haul serve");
        let mut peers = ["s3s-fs", "garage", "garage, fsync"].map(|who| (who, best(who)));
        peers.sort_by(|(_, (a, _)), (_, (b, _))| a.total_cmp(b));
        let measured = peers.into_iter().filter(|(_, (cpu, _))| cpu.is_finite());
        for (index, (who, (peer_cpu, peer_wall))) in measured.enumerate() {
            let goals = if index == 0 { " (the best peer: goals 0.25 and 3)" } else { "" };
            println!(
                "from {client}: haul serve against {who}: {:.2} of its CPU per GiB, {:.1} times \
                 its throughput{goals}",
                cpu / peer_cpu,
                peer_wall / wall
            );
        }
    }
}

fn start_haul(options: &Options, folder: &Path) -> Result<Subject> {
    let data = folder.join(random_hex(8)?);
    let server = HaulServe::start(&options.haul, &data)?;
    let store = server.store().clone();
    Ok(Subject {
        name: "haul serve",
        store,
        id: server.id(),
        _server: Server::Haul { _server: server },
    })
}

fn start_s3s_fs(options: &Options, folder: &Path) -> Result<Subject> {
    let binary = options.s3s_fs.as_ref().context("bench server needs --s3s-fs")?;
    let data = folder.join(random_hex(8)?);
    std::fs::create_dir_all(&data).context("make a folder for s3s-fs")?;
    let port = free_port()?;
    let store = TestStore {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: REGION.to_owned(),
        access_key: random_hex(10)?,
        secret_key: random_hex(20)?,
    };
    let mut command = Command::new(binary);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--access-key", &store.access_key, "--secret-key", &store.secret_key]).arg(&data);
    let mut server = Daemon::start(&command, &folder.join("s3s-fs.log"))?;
    server.wait_until(START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
    let id = server.id();
    Ok(Subject { name: "s3s-fs", store, id, _server: Server::S3sFs { _server: server } })
}

fn start_garage(options: &Options, folder: &Path) -> Result<Subject> {
    garage(options, folder, "garage", Fsync::Never)
}

fn start_garage_with_fsync(options: &Options, folder: &Path) -> Result<Subject> {
    garage(options, folder, "garage, fsync", Fsync::Always)
}

fn garage(options: &Options, folder: &Path, name: &'static str, fsync: Fsync) -> Result<Subject> {
    let binary = options.garage.as_ref().context("bench server needs --garage")?;
    let server = Garage::start(binary, &folder.join(random_hex(8)?), fsync)?;
    let (store, id) = (server.store().clone(), server.id());
    Ok(Subject { name, store, id, _server: Server::Garage { _server: server } })
}

fn measure(
    options: &Options,
    subject: &Subject,
    client: &str,
    (file, bytes): (&Path, u64),
    home: &Path,
) -> Result<Row> {
    let store = &subject.store;
    run(haul(&options.haul, store, home).args(["mb", &format!("s3://{BUCKET}")]), UPLOAD_LIMIT)?
        .success()?;
    let url = format!("s3://{BUCKET}/file");
    let mut command = if client == "haul" {
        let mut command = haul(&options.haul, store, home);
        command
            .args(["cp", "--quiet", "--part-size", "16MiB", "--concurrency", "8"])
            .arg(file)
            .arg(&url);
        command
    } else {
        let mut command = Venv::at(&options.venv).s5cmd(store)?;
        command.args([
            "--endpoint-url",
            &store.endpoint,
            "cp",
            "--part-size",
            "16",
            "--concurrency",
            "8",
        ]);
        command.arg(file).arg(&url);
        command
    };
    write_what_is_left()?;
    let before = usage_of(subject.id)?;
    let start = Instant::now();
    run(&mut command, UPLOAD_LIMIT)?
        .success()
        .with_context(|| format!("{client} to {}", subject.name))?;
    let wall = start.elapsed();
    let after = usage_of(subject.id)?;
    let usage = Usage {
        user_seconds: after.user_seconds - before.user_seconds,
        system_seconds: after.system_seconds - before.system_seconds,
        peak_memory_bytes: after.peak_memory_bytes,
    };
    run(haul(&options.haul, store, home).args(["rm", &url]), UPLOAD_LIMIT)?.success()?;
    Ok(Row { who: subject.name, bytes, wall, usage })
}
