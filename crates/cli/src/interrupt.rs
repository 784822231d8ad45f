//! Turns Ctrl-C, SIGTERM and a closed terminal into one stream of stop requests.
//!
//! Once an [`Interrupts`] exists, a signal no longer ends the process; its owner must do so. Three
//! conventions of shells are followed:
//!
//! - `timeout 5 haul …` signals the process and then its whole group, so one request arrives twice
//!   within milliseconds. A second signal counts only after [`ONE_REQUEST`].
//! - `for f in *; do haul cp "$f" …; done`: a shell ends the loop only if the command *died of*
//!   SIGINT. In the foreground of a terminal, the process therefore kills itself with that signal
//!   when all other work is done.
//! - `nohup haul …` must survive its terminal: an ignored hang-up stays ignored.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGINT;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that arrive within this time of each other count as one request.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// Set when a Ctrl-C was handled here; the shell does not know about it yet.
static CTRL_C: AtomicBool = AtomicBool::new(false);

/// Receives the signals that stop the process.
#[derive(Debug)]
pub(crate) struct Interrupts {
    last: Option<Instant>,
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    role: Role,
}

/// The kind of work to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Work that finishes by itself: a Ctrl-C ends the shell loop around it too.
    Work,
    /// A server, which runs until a signal stops it.
    Server,
    /// A server that reloads its keys on SIGHUP, also under `nohup`.
    ServerWithKeys,
}

impl Interrupts {
    /// Installs the signal handlers.
    pub(crate) fn new(role: Role) -> io::Result<Self> {
        let ignored = role != Role::ServerWithKeys && hangup_is_ignored();
        let hangup = if ignored { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            last: None,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
            role,
        })
    }

    /// Returns whether a signal arrived: a failure of the store may have the same exit code.
    pub(crate) fn came(&self) -> bool {
        self.last.is_some()
    }

    /// Waits for the next signal and returns its familiar name.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            let name = self.wait().await;
            if self.role == Role::ServerWithKeys && name == "SIGHUP" {
                return name;
            }
            let now = Instant::now();
            let again = self.last.is_some_and(|last| now.duration_since(last) < ONE_REQUEST);
            if again {
                continue;
            }
            self.last = Some(now);
            if name == "Ctrl-C" && self.role == Role::Work {
                CTRL_C.store(true, Ordering::Relaxed);
            }
            return name;
        }
    }

    async fn wait(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = hangup => "SIGHUP",
        }
    }
}

/// Ends the process by SIGINT if a Ctrl-C stopped the work and a shell at a terminal waits for the
/// process.
///
/// Returns otherwise: in the pipeline of a service, or under `kill -INT`, the exit code is more
/// informative.
pub(crate) fn end_the_loop_around_us() {
    if CTRL_C.load(Ordering::Relaxed) && is_in_foreground() {
        // If this fails, the exit code still reports the interruption.
        let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
    }
}

/// Returns whether the controlling terminal sends its Ctrl-C to our process group.
fn is_in_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp())
}

/// Returns whether SIGHUP is ignored, from the mask of ignored signals in Linux's `/proc`, without
/// `unsafe`.
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    ignores(&status, 1)
}

fn ignores(status: &str, signal_number: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal_number - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_read_from_the_mask() {
        assert!(ignores("Name:\thaul\nSigIgn:\t0000000000001001\n", 1));
        assert!(!ignores("SigIgn:\t0000000000001000\n", 1));
        assert!(!ignores("", 1));
    }
}
