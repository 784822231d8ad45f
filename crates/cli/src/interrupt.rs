//! Ctrl-C, SIGTERM and a closed terminal, as one stream of wishes to end.
//!
//! Once this exists, a signal no longer ends the process: whoever holds it must do so.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for signals that ask the process to end.
#[derive(Debug)]
pub(crate) struct Interrupts {
    came: bool,
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hangup: Option<Signal>,
}

impl Interrupts {
    /// Takes the signals over.
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        // `nohup haul …` must survive its terminal: an ignored hang-up stays ignored.
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Self::with(hangup)
    }

    /// Takes the signals over, the hang-up in any case: for whom it is a message and no wish to end. Under `nohup` it would
    /// go unheard, and a key that was taken back would stay valid without a word.
    #[cfg(unix)]
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Self::with(Some(signal(SignalKind::hangup())?))
    }

    #[cfg(unix)]
    fn with(hangup: Option<Signal>) -> io::Result<Self> {
        Ok(Self {
            came: false,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// Takes the signals over.
    #[cfg(not(unix))]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { came: false })
    }

    /// Whether a person has asked to end: a failure of the store may end with the same exit code.
    pub(crate) fn came(&self) -> bool {
        self.came
    }

    /// Takes the signals over; there is no hang-up here.
    #[cfg(not(unix))]
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Self::new()
    }

    /// The next signal, by the name a person knows.
    pub(crate) async fn next(&mut self) -> &'static str {
        let name = self.wait().await;
        self.came = true;
        name
    }

    #[cfg(unix)]
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

    #[cfg(not(unix))]
    async fn wait(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

/// Where the system tells it without `unsafe`: on Linux, in the mask of ignored signals.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    ignores(&status, 1)
}

#[cfg(unix)]
fn ignores(status: &str, signal_number: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal_number - 1)) != 0
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_read_from_the_mask() {
        assert!(ignores("Name:\thaul\nSigIgn:\t0000000000001001\n", 1));
        assert!(!ignores("SigIgn:\t0000000000001000\n", 1));
        assert!(!ignores("", 1));
    }
}
