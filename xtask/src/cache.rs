//! The cache of expensive tools, built once per version, under
//! `${XDG_CACHE_HOME:-$HOME/.cache}/haul`:
//!
//! ```text
//! target/        compiled code, when .ci/run is used
//! tools/NAME     one tool in one version; complete if it contains the file `.complete`
//! run/PID        the files of one run; removed by later runs when that process is gone
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const COMPLETE: &str = ".complete";

/// The cache folder.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(crate) fn open() -> Result<Self> {
        let root = std::env::var_os("XDG_CACHE_HOME")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME is set: nowhere to keep tools")?
            .join("haul");
        fs::create_dir_all(root.join("tools"))
            .with_context(|| format!("create {}", root.display()))?;
        Ok(Self { root })
    }

    /// Returns a path inside the cache.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the folder of a tool; `make` fills it unless an earlier run has. Of two concurrent
    /// runs one builds and the other waits.
    pub(crate) fn tool(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let folder = self.root.join("tools").join(name);
        let lock_path = self.root.join("tools").join(format!("{name}.lock"));
        let lock =
            File::create(&lock_path).with_context(|| format!("create {}", lock_path.display()))?;
        lock.lock().with_context(|| format!("lock {}", lock_path.display()))?;
        if folder.join(COMPLETE).exists() {
            return Ok(folder);
        }
        crate::say(&format!("making {}", folder.display()));
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("remove the unfinished {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        make(&folder).with_context(|| format!("{name} cannot be had"))?;
        File::create(folder.join(COMPLETE))
            .with_context(|| format!("finish {}", folder.display()))?;
        Ok(folder)
    }

    /// Creates a folder for this run. Removes those of ended runs first.
    pub(crate) fn run_folder(&self) -> Result<RunFolder> {
        let runs = self.root.join("run");
        fs::create_dir_all(&runs).with_context(|| format!("create {}", runs.display()))?;
        for run in fs::read_dir(&runs).with_context(|| format!("read {}", runs.display()))? {
            let run = run.with_context(|| format!("read {}", runs.display()))?;
            if !Path::new("/proc").join(run.file_name()).exists() {
                fs::remove_dir_all(run.path())
                    .with_context(|| format!("remove {}", run.path().display()))?;
            }
        }
        let own = runs.join(std::process::id().to_string());
        fs::create_dir_all(&own).with_context(|| format!("create {}", own.display()))?;
        Ok(RunFolder(own))
    }
}

/// The folder of this run, removed on drop.
#[derive(Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // The next run removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a short name for a content: FNV-1a, which suffices to distinguish our own versions of a
/// file.
pub(crate) fn fingerprint(content: &str) -> String {
    let hash = content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
