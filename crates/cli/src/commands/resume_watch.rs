//! `haul resume --watch`: resumes transfers, and waits while what they need is away: credentials,
//! the network, or the store.
//!
//! The waits double from [`FIRST`] to [`MOST`], each with a random part, so that many machines do
//! not return to a store in the same second. A failure that time does not cure ends the watch of
//! its transfer.

use std::time::Duration;

use haul::remote::StoreErrorKind;
use rand::Rng;
use serde::Serialize;

use super::resume::{Settings, named, report_failure};
use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::Ended;
use crate::interrupt::{Interrupts, Role};
use crate::output::Mode;
use crate::state_dir::journal_folder;

/// The bound of the first wait.
const FIRST: Duration = Duration::from_secs(4);
/// The maximum wait.
const MOST: Duration = Duration::from_secs(60);

/// Resumes the transfers with these ids, or without ids all of this machine, until each has ended.
pub(super) async fn run(
    args: &StoreArgs,
    ids: Vec<String>,
    settings: &Settings,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let mut left = if ids.is_empty() { all()? } else { ids };
    if left.is_empty() {
        mode.result("no unfinished transfers");
        return Ok(Exit::Done);
    }
    let several = left.len() > 1;
    let mut interrupts = Some(Interrupts::new(Role::Work)?);
    let mut pauses = Pauses::default();
    let mut worst = Exit::Done;
    loop {
        let mut waiting: Vec<(String, String)> = vec![];
        for id in std::mem::take(&mut left) {
            let result = named(args, &id, None, settings, mode, &mut interrupts).await;
            if interrupts.as_ref().is_some_and(Interrupts::came) {
                return result.map(|_| Exit::Interrupted);
            }
            match result {
                Ok(exit) => {
                    worst = worst.worse(exit);
                    pauses = Pauses::default();
                }
                Err(error) => match passing(&error) {
                    Some(reason) => waiting.push((id, reason)),
                    None if several => worst = worst.worse(report_failure(&error, mode)),
                    None => return Err(error),
                },
            }
        }
        let Some((id, reason)) = waiting.first().cloned() else { return Ok(worst) };
        left = waiting.into_iter().map(|(id, _)| id).collect();
        let Some(interrupts) = &mut interrupts else { return Ok(worst) };
        let pause = Waiting::new(&id, reason, pauses.next());
        if let Some(signal) = pause.wait(interrupts, mode).await {
            return Err(Ended {
                exit: Exit::Interrupted,
                code: "Interrupted",
                message: format!("{signal}: {} still unfinished", left.join(", ")),
                hint: Some(format!("haul resume --watch {}", left.join(" "))),
            }
            .into());
        }
    }
}

/// Returns the ids of all transfers that no process holds and that need no producer.
fn all() -> anyhow::Result<Vec<String>> {
    let folder = journal_folder()?;
    let uploads = folder.list().map_err(haul::Error::from)?.into_iter();
    let downloads = folder.list_downloads().map_err(haul::Error::from)?.into_iter();
    let is_stream = |source: &haul::source::SourceRecord| {
        matches!(source, haul::source::SourceRecord::Stream(_))
    };
    let uploads = uploads.filter(|one| !one.running && !is_stream(&one.beginning.source));
    let downloads = downloads.filter(|one| !one.running);
    Ok(uploads.map(|one| one.id).chain(downloads.map(|one| one.id)).collect())
}

/// Returns the reason of a failure that may pass by itself, or once the credentials are renewed.
fn passing(error: &anyhow::Error) -> Option<String> {
    let mut error = error.downcast_ref::<haul::Error>()?;
    loop {
        match error {
            haul::Error::Paused { source: Some(cause), .. }
            | haul::Error::DownloadPaused { source: Some(cause), .. } => error = cause,
            haul::Error::Store { source, .. } => {
                return may_pass(source.kind).then(|| source.to_string());
            }
            _ => return None,
        }
    }
}

fn may_pass(kind: StoreErrorKind) -> bool {
    use StoreErrorKind as K;
    let of_the_store = matches!(
        kind,
        K::Throttled | K::Server | K::Timeout | K::Connection | K::ProxyRefused | K::StorageFull
    );
    of_the_store || kind.concerns_the_caller()
}

/// The lengths of successive waits.
#[derive(Debug)]
pub(super) struct Pauses {
    bound: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Pauses {
    /// Returns a wait between half the bound and the bound, which doubles.
    pub(super) fn next(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(MOST);
        bound.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// A wait before the next attempt.
#[derive(Serialize)]
#[serde(tag = "event", rename = "waiting-to-resume")]
pub(super) struct Waiting<'a> {
    /// The first of the transfers that wait; `tree` for a tree.
    id: &'a str,
    reason: String,
    wait_ms: u64,
    #[serde(skip)]
    wait: Duration,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(id: &'a str, reason: String, wait: Duration) -> Self {
        Self { id, reason, wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), wait }
    }

    /// Waits; returns the signal if one ends the wait.
    pub(super) async fn wait(
        &self,
        interrupts: &mut Interrupts,
        mode: Mode,
    ) -> Option<&'static str> {
        let seconds = self.wait.as_secs_f64();
        mode.event(self);
        mode.remark(&format!("{}; resuming in {seconds:.0} s, Ctrl-C ends it", self.reason));
        tokio::select! {
            biased;
            signal = interrupts.next() => Some(signal),
            () = tokio::time::sleep(self.wait) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_vary() {
        let mut pauses = Pauses::default();
        let bounds = [4, 8, 16, 32, 60, 60, 60].map(Duration::from_secs);
        for bound in bounds {
            let wait = pauses.next();
            assert!((bound / 2..=bound).contains(&wait), "{wait:?} of {bound:?}");
        }
    }

    #[test]
    fn only_what_time_or_a_person_cures_is_waited_for() {
        use StoreErrorKind as K;
        for kind in [K::Connection, K::ExpiredCredentials, K::NoCredentials, K::StorageFull] {
            assert!(may_pass(kind), "{kind:?}");
        }
        for kind in [K::NoSuchBucket, K::PreconditionFailed, K::BadDigest, K::NoSuchUpload] {
            assert!(!may_pass(kind), "{kind:?}");
        }
    }
}
