//! One measured run of a program, and its line for people who watch.

use std::time::Duration;

use haul_testkit::process::Usage;

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;

/// One measured run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) who: &'static str,
    pub(crate) bytes: u64,
    pub(crate) wall: Duration,
    pub(crate) usage: Usage,
}

impl Row {
    pub(crate) fn head() -> String {
        format!(
            "{:<13} {:>8} {:>10} {:>14} {:>10} {:>10}",
            "", "wall s", "MiB/s", "CPU-s per GiB", "(user)", "peak MiB"
        )
    }

    pub(crate) fn gib(&self) -> f64 {
        as_float(self.bytes) / GIB
    }

    pub(crate) fn cpu_per_gib(&self) -> f64 {
        self.usage.cpu_seconds() / self.gib()
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        as_float(self.usage.peak_memory_bytes) / MIB
    }

    pub(crate) fn line(&self) -> String {
        let wall = self.wall.as_secs_f64();
        format!(
            "{:<13} {wall:>8.2} {:>10.0} {:>14.2} {:>10.2} {:>10.0}",
            self.who,
            as_float(self.bytes) / MIB / wall,
            self.cpu_per_gib(),
            self.usage.user_seconds / self.gib(),
            self.peak_mib()
        )
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}
