//! Runs Ceph's object gateway, 16.2 from Debian: the most common self-hosted store, and the most
//! difficult one for a client (it verifies no checksum, Complete returns an empty ETag, and it
//! returns 500 where 404 is correct).
//!
//! The gateway crashes on some requests, so a thread restarts it until the server is stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::ceph_conf::{ceph_conf, uuid};
use super::daemon::http_get;
use super::{Daemon, REGION, TestStore, free_port, loopback};
use crate::files::random_hex;

const START_LIMIT: Duration = Duration::from_secs(180);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A running Ceph with its gateway.
#[derive(Debug)]
pub struct Rgw {
    wanted: Arc<AtomicBool>,
    gateway: Option<JoinHandle<()>>,
    osd: Daemon,
    monitor: Daemon,
    store: TestStore,
    folder: PathBuf,
}

impl Rgw {
    /// Starts monitor, OSD and gateway in `folder`, which is removed at the end; the data is in
    /// memory only.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let ceph = Ceph::prepare(folder)?;
        let monitor = ceph.daemon("ceph-mon", &["-i", "a", "-f"])?;
        let osd_uuid = uuid()?;
        ceph.run("ceph", &["--connect-timeout", "60", "osd", "new", &osd_uuid])?;
        ceph.run("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", &osd_uuid])?;
        let mut osd = ceph.daemon("ceph-osd", &["-i", "0", "-f"])?;
        osd.wait_until(START_LIMIT, || {
            let stat = ceph.run("ceph", &["osd", "stat"]).ok()?;
            String::from_utf8_lossy(&stat.stdout).contains("1 up").then_some(())
        })?;

        let wanted = Arc::new(AtomicBool::new(true));
        let gateway = ceph.keep_gateway(Arc::clone(&wanted))?;
        let store = TestStore {
            endpoint: format!("http://127.0.0.1:{}", ceph.gateway_port),
            region: REGION.to_owned(),
            access_key: random_hex(10)?,
            secret_key: random_hex(20)?,
        };
        // From here on, dropping `server` stops all processes.
        let folder = folder.to_owned();
        let server = Self { wanted, gateway: Some(gateway), osd, monitor, store, folder };
        let user = ["--uid", "haul", "--display-name", "Haul"];
        let keys =
            ["--access-key", &server.store.access_key, "--secret-key", &server.store.secret_key];
        ceph.run(
            "radosgw-admin",
            &[["-n", GATEWAY, "user", "create"].as_slice(), &user, &keys].concat(),
        )?;
        ceph.wait_for_gateway()?;
        Ok(server)
    }

    /// Returns the address and keys.
    #[must_use]
    pub fn store(&self) -> &TestStore {
        &self.store
    }
}

impl Drop for Rgw {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
        if let Some(gateway) = self.gateway.take() {
            // A panic of the thread has been printed, and nothing is left to stop.
            let _ = gateway.join();
        }
        self.osd.kill();
        self.monitor.kill();
        // The next run removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const GATEWAY: &str = "client.rgw.haul";

struct Ceph {
    folder: PathBuf,
    settings: PathBuf,
    gateway_port: u16,
}

impl Ceph {
    fn prepare(folder: &Path) -> Result<Self> {
        for name in ["mon", "osd0", "rgw"] {
            fs::create_dir_all(folder.join(name))
                .with_context(|| format!("create {}", folder.display()))?;
        }
        let (fsid, settings) = (uuid()?, folder.join("ceph.conf"));
        let [v2, v1, gateway_port] = [free_port()?, free_port()?, free_port()?];
        fs::write(&settings, ceph_conf(folder, &fsid, [v2, v1, gateway_port]))
            .context("write ceph.conf")?;
        fs::write(folder.join("keyring"), "").context("write an empty keyring")?;
        let ceph = Self { folder: folder.to_owned(), settings, gateway_port };
        let map = folder.join("monmap").display().to_string();
        let addresses = format!("[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]");
        let mut monmaptool = Command::new("monmaptool");
        monmaptool.args([
            "--create",
            "--clobber",
            "--fsid",
            &fsid,
            "--addv",
            "a",
            &addresses,
            &map,
        ]);
        succeed(&mut monmaptool)?;
        ceph.run("ceph-mon", &["-i", "a", "--mkfs", "--monmap", &map])?;
        Ok(ceph)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.settings).args(arguments);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        succeed(&mut self.command(program, arguments))
    }

    fn daemon(&self, program: &str, arguments: &[&str]) -> Result<Daemon> {
        Daemon::start(
            &self.command(program, arguments),
            &self.folder.join(format!("{program}.out")),
        )
    }

    /// Starts the gateway, and restarts it whenever it crashes. The thread owns the gateway, which
    /// ends with the thread.
    fn keep_gateway(&self, wanted: Arc<AtomicBool>) -> Result<JoinHandle<()>> {
        let command = self.command("radosgw", &["-n", GATEWAY, "-f"]);
        let log = self.folder.join("radosgw.out");
        let keep = move || {
            while wanted.load(Ordering::Acquire) {
                let Ok(mut gateway) = Daemon::start(&command, &log) else { return };
                while wanted.load(Ordering::Acquire) && gateway.is_running() {
                    thread::sleep(LOOK_AGAIN_AFTER);
                }
            }
        };
        thread::Builder::new()
            .name("radosgw".to_owned())
            .spawn(keep)
            .context("start the thread that keeps radosgw")
    }

    fn wait_for_gateway(&self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        while http_get(loopback(self.gateway_port), "/").is_none() {
            if Instant::now() > end {
                let said = fs::read_to_string(self.folder.join("radosgw.out")).unwrap_or_default();
                bail!("radosgw did not answer after {START_LIMIT:?}; it said:\n{said}");
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
        Ok(())
    }
}

fn succeed(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}; it said:\n{said}", output.status);
    Ok(output)
}
