//! The scratch prefix of a run: its name, and whether the run that made it is over.
//!
//! `PREFIX/.haul-doctor-START-PROCESSES-PID-RANDOM/`. START is the time by the clock of the machine
//! that made it; PROCESSES identifies the boot and the process namespace of that machine. A scratch
//! is stale if its process is gone, which only a run in the same namespace can tell, or if it is
//! older than [`SAFE_AGE`]: no run takes longer than [`super::RUN_MAX`]. The difference of the two
//! is the room for clocks that are wrong.

use std::fs;
use std::time::Duration;

use haul_parts::{ChecksumAlgorithm, Hasher};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The age above which the scratch of any machine is stale.
pub(super) const SAFE_AGE: Duration = Duration::from_secs(3 * 3600);

/// The beginning of every scratch name.
const MARK: &str = ".haul-doctor-";

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The scratch of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scratch {
    /// The user's prefix, with a slash at its end unless it is empty.
    base: String,
    id: ScratchId,
}

/// The part of the name between the mark and the slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScratchId {
    start: Timestamp,
    processes: String,
    pid: u32,
    random: String,
}

impl Scratch {
    pub(super) fn new(prefix: &str, start: Timestamp) -> Self {
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        let id = ScratchId {
            start,
            processes: processes(),
            pid: std::process::id(),
            random: format!("{:08x}", rand::random::<u32>()),
        };
        Self { base: format!("{prefix}{slash}"), id }
    }

    /// Returns the key of an object of this run.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder())
    }

    /// Returns the prefix of all keys of this run.
    pub(super) fn folder(&self) -> String {
        self.folder_of(&self.id)
    }

    /// Returns the prefix of all keys of another run below the same prefix.
    pub(super) fn folder_of(&self, id: &ScratchId) -> String {
        format!("{}{MARK}{}/", self.base, id.text())
    }

    /// Returns the prefix of the scratch of all runs.
    pub(super) fn all(&self) -> String {
        format!("{}{MARK}", self.base)
    }

    /// Returns the run that a key belongs to; `None` for this run's keys, and for keys that no run
    /// has made.
    pub(super) fn earlier(&self, key: &str) -> Option<ScratchId> {
        let (text, _) = key.strip_prefix(&self.all())?.split_once('/')?;
        ScratchId::parse(text).filter(|id| *id != self.id)
    }
}

impl ScratchId {
    fn text(&self) -> String {
        let start = self.start.strftime(TIME);
        format!("{start}-{}-{}-{}", self.processes, self.pid, self.random)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let (start, processes, pid, random) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let start = DateTime::strptime(TIME, start).ok()?;
        let id = Self {
            start: start.to_zoned(TimeZone::UTC).ok()?.timestamp(),
            processes: processes.to_owned(),
            pid: pid.parse().ok()?,
            random: random.to_owned(),
        };
        // Only names that a run has written: another spelling is another program's.
        (id.text() == text).then_some(id)
    }

    /// Returns whether the run is over. `now` is the time of this machine or of the store; the
    /// later of the two would remove too much, so the caller passes the earlier one.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.start);
        let is_old = Duration::try_from(age).is_ok_and(|age| age > SAFE_AGE);
        let is_ours = !self.processes.is_empty() && self.processes == processes();
        is_old || (is_ours && !is_running(self.pid))
    }
}

/// Identifies the boot of this machine and the namespace of its process ids; empty if unknown.
fn processes() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    let (Ok(boot), Ok(namespace)) = (boot, namespace) else { return String::new() };
    let text = format!("{boot}{}", namespace.display());
    let hash = Hasher::checksum(ChecksumAlgorithm::Sha256, text.as_bytes());
    hash.bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn is_running(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn other(processes: &str, pid: u32) -> ScratchId {
        let start = at("2026-11-27T00:00:00Z");
        ScratchId { start, processes: processes.to_owned(), pid, random: "0badcafe".to_owned() }
    }

    #[test]
    fn keys_of_runs_are_recognised_and_no_others() {
        let scratch = Scratch::new("a/b", at("2026-11-27T00:00:00Z"));
        assert!(scratch.key("marker").starts_with("a/b/.haul-doctor-20261127T000000Z-"));
        assert_eq!(scratch.earlier(&scratch.key("marker")), None, "its own");
        let id = other("12345678", 7);
        assert_eq!(scratch.earlier(&format!("{}marker", scratch.folder_of(&id))), Some(id));
        for foreign in [
            "a/b/.haul-doctor-20261127T000000Z-12345678-7-0badcafe",
            "a/b/.haul-doctor-notes/x",
            "a/b/.haul-doctor-20261127T000000Z-12345678-07-0badcafe/x",
            "a/b/.haul-doctor-20261127T000000Z-12345678-7-0badcafe-mine/x",
            ".haul-doctor-20261127T000000Z-12345678-7-0badcafe/x",
        ] {
            assert_eq!(scratch.earlier(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_run_of_another_machine_is_over_after_the_safe_age() {
        let id = other("", u32::MAX);
        assert!(!id.is_stale(at("2026-11-27T00:00:00Z")));
        assert!(!id.is_stale(at("2026-11-27T02:59:00Z")));
        assert!(!id.is_stale(at("2026-11-26T00:00:00Z")), "a clock that is behind");
        assert!(id.is_stale(at("2026-11-27T03:00:01Z")));
    }

    #[test]
    fn a_run_of_this_machine_is_over_when_its_process_is_gone() {
        let now = at("2026-11-27T00:00:10Z");
        assert!(!other(&processes(), std::process::id()).is_stale(now));
        // Above the largest process id of Linux.
        assert!(other(&processes(), u32::MAX).is_stale(now));
    }
}
