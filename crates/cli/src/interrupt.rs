//! Ctrl-C, SIGTERM and a closed terminal, as one stream of stop requests.
//!
//! Once this exists, a signal no longer ends the process: its holder must do so. It respects three
//! habits of shells:
//!
//! - `timeout 5 haul …` signals the process and then its whole group, so one request arrives twice
//!   within milliseconds. A second one counts only after [`ONE_REQUEST`].
//! - `for f in *; do haul cp "$f" …; done`: a shell ends the loop only if the command *died of*
//!   SIGINT. In the foreground of a terminal the process therefore ends itself with that signal
//!   when everything else is done.
//! - `nohup haul …` must survive its terminal: an ignored hang-up stays ignored.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGINT;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals within this time of each other are one request.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// Whether a Ctrl-C was handled here, without the shell's knowledge so far.
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

/// The kind of work while listening for signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Work that ends by itself: a Ctrl-C ends the shell loop around it too.
    Work,
    /// A server, which a signal is meant to end.
    Server,
    /// A server that reloads its keys on a hang-up, also under `nohup`.
    ServerWithKeys,
}

impl Interrupts {
    /// Takes over the signals.
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

    /// Returns whether a signal came: a failure of the store may end with the same exit code.
    pub(crate) fn came(&self) -> bool {
        self.last.is_some()
    }

    /// Returns the next signal, by the name that people know.
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

/// Ends the process by SIGINT if a Ctrl-C ended the work and a shell in front of a terminal waits
/// for it.
///
/// Returns otherwise: in a pipeline of a service or under `kill -INT` the exit code says more.
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

/// Returns whether hang-ups are ignored, from Linux's mask of ignored signals, without `unsafe`.
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
