//! Compares a folder with a prefix: every file with the object at its key, many in parallel.
//!
//! The key of a file is the prefix and the file's path below the folder, with `/`. A file without
//! an object and an object without a file are differences. A file that cannot be read is counted as
//! failed, and the comparison continues.

use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use haul::listing::{ListingQuery, pages};
use haul::parts::{Bucket, Key};
use haul::verify::{Difference, HashOptions, HashedBytes, Verdict, Verifier};
use haul::{Error as EngineError, ObjectRef};
use serde::Serialize;

use super::line::{Compared, VerifiedLine};
use super::merge::{Merge, MergeError, Pair, RemoteKey};
use super::walk::{LocalFile, Walk};
use crate::args::StoreArgs;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, complain, visible};
use crate::size::{human_duration, human_size};
use crate::store;
use crate::target::Address;

/// Maximum number of files compared in parallel.
const FILES_AT_ONCE: usize = 16;

/// Maximum number of files that are found but not yet compared.
const FILES_AHEAD: usize = 1000;

/// The totals of a folder comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "verify-summary")]
struct Summary {
    same: u64,
    different: u64,
    unproven: u64,
    /// Files without an object.
    missing_objects: u64,
    /// Objects without a file.
    missing_files: u64,
    /// Files that were not compared because of an error.
    failed: u64,
    /// Bytes read from the files.
    read_bytes: u64,
    elapsed_ms: u64,
}

/// One file that was compared.
struct Checked {
    file: LocalFile,
    object: ObjectRef,
    size_bytes: u64,
    elapsed: Duration,
    verdict: Result<(Verdict, Option<haul::remote::ObjectDescription>), EngineError>,
}

/// Verifies a folder.
pub(super) async fn run(
    args: &StoreArgs,
    folder: &Path,
    address: &Address,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let slash = if address.key.is_empty() || address.key.ends_with('/') { "" } else { "/" };
    let prefix = format!("{}{slash}", address.key);
    let opened = store::open(address.scheme, args, mode).await?;
    let (endpoint, started) = (opened.store.endpoint(), Instant::now());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = HashedBytes::default();
    let options = HashOptions { threads: (cores / 4).max(1), progress: progress.clone() };
    let verifier = super::verifier(&opened, options);
    let mut totals = Totals { mode, summary: Summary::default() };
    let (sender, files) = tokio::sync::mpsc::channel(FILES_AHEAD);
    let walking = tokio::task::spawn_blocking({
        let folder = folder.to_owned();
        move || match Walk::below(&folder) {
            Ok(walk) => {
                // The receiver is closed if the comparison has ended early.
                let _ = walk.map(|found| sender.blocking_send(found)).find(Result::is_err);
            }
            Err(error) => drop(sender.blocking_send(Err(error))),
        }
    });
    let retry = haul::pace::RetryPolicy::default();
    let query = ListingQuery { bucket: &address.bucket, prefix: &prefix, delimiter: None };
    let listing = Box::pin(pages(opened.store.as_ref(), query, &retry));
    let merge = Merge::new(files, listing, prefix.len());
    let compared = compare(merge, &verifier, (&address.bucket, &prefix), &mut totals).await;
    // The walk stops once its receiver is closed.
    let _ = walking.await;
    opened.close().await;
    let shown = visible(&address.to_string());
    compared.map_err(|error| match error {
        MergeError::Listing(error) => {
            let action = format!("cannot compare {} with {shown}", folder.display());
            anyhow::Error::from(EngineError::of_store(address.subject(), error))
                .context(FailureContext::at(action, address).through(endpoint))
        }
        unordered @ MergeError::Unordered { .. } => Ended {
            exit: Exit::Failed,
            code: "Unordered",
            message: format!("cannot compare {} with {shown}: {unordered}", folder.display()),
            hint: Some("compare file by file: haul verify FILE s3://BUCKET/KEY".to_owned()),
        }
        .into(),
    })?;
    let mut summary = totals.summary;
    summary.read_bytes = progress.get();
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    mode.event(&summary);
    summary.ended(&visible(&folder.display().to_string()), &shown, started.elapsed(), mode)
}

type CheckFuture<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

async fn compare<'a>(
    mut merge: Merge<'_>,
    verifier: &'a Verifier,
    (bucket, prefix): (&'a Bucket, &'a str),
    totals: &mut Totals,
) -> Result<(), MergeError> {
    let mut running: FuturesUnordered<CheckFuture<'a>> = FuturesUnordered::new();
    let named = |key: &str| Key::new(format!("{prefix}{key}"));
    while let Some(pair) = merge.next().await? {
        match pair {
            Pair::Unusable(error) => totals.failed(&error.to_string()),
            Pair::LocalOnly(file) => totals.missing_object(&file, bucket, named(&file.key).ok()),
            Pair::RemoteOnly(remote) => {
                totals.missing_file(&remote, bucket, named(&remote.key).ok());
            }
            Pair::Both(file, remote) => match named(&file.key) {
                Err(error) => totals.failed(&format!("{}: {error}", file.path.display())),
                Ok(key) => {
                    let object = ObjectRef { bucket: bucket.clone(), key };
                    running.push(Box::pin(check(verifier, file, remote, object)));
                }
            },
        }
        while running.len() >= FILES_AT_ONCE
            && let Some(checked) = running.next().await
        {
            totals.checked(checked);
        }
    }
    while let Some(checked) = running.next().await {
        totals.checked(checked);
    }
    Ok(())
}

async fn check(
    verifier: &Verifier,
    file: LocalFile,
    remote: RemoteKey,
    object: ObjectRef,
) -> Checked {
    let started = Instant::now();
    let mut size_bytes = remote.size_bytes;
    let verdict = async {
        let source = super::open(&file.path).await?;
        size_bytes = source.size_bytes();
        if size_bytes != remote.size_bytes {
            let difference =
                Difference::Size { local_bytes: size_bytes, object_bytes: remote.size_bytes };
            return Ok((Verdict::Different(difference), None));
        }
        let found = verifier.verify(source, &object).await?;
        Ok((found.verdict, Some(found.description)))
    };
    let verdict = verdict.await;
    Checked { file, object, size_bytes, elapsed: started.elapsed(), verdict }
}

/// Prints the results and counts them.
struct Totals {
    mode: Mode,
    summary: Summary,
}

impl Totals {
    fn failed(&mut self, message: &str) {
        self.summary.failed += 1;
        complain(&format!("failed     {message}"));
    }

    fn missing_object(&mut self, file: &LocalFile, bucket: &Bucket, key: Option<Key>) {
        self.summary.missing_objects += 1;
        self.missing(Some(file), bucket, key, "missing-object", 0);
        self.mode.result(&format!("no object  {}", visible(&file.path.display().to_string())));
    }

    fn missing_file(&mut self, remote: &RemoteKey, bucket: &Bucket, key: Option<Key>) {
        self.summary.missing_files += 1;
        let shown = key.as_ref().map_or(remote.key.as_str(), Key::as_str).to_owned();
        self.missing(None, bucket, key, "missing-file", remote.size_bytes);
        self.mode.result(&format!("no file    {}", visible(&shown)));
    }

    fn missing(
        &self,
        file: Option<&LocalFile>,
        bucket: &Bucket,
        key: Option<Key>,
        verdict: &'static str,
        size_bytes: u64,
    ) {
        let path = file.map(|file| file.path.display().to_string());
        let object = key.map(|key| ObjectRef { bucket: bucket.clone(), key });
        let compared = Compared { path: path.as_deref(), object: object.as_ref() };
        self.mode.event(&VerifiedLine::missing(&compared, verdict, size_bytes));
    }

    fn checked(&mut self, checked: Checked) {
        let path = checked.file.path.display().to_string();
        let (verdict, description) = match checked.verdict {
            Ok(found) => found,
            Err(error) => return self.failed(&chain(&path, &error)),
        };
        let compared = Compared { path: Some(&path), object: Some(&checked.object) };
        let line = VerifiedLine::of(&compared, &verdict, checked.size_bytes, checked.elapsed);
        let line = match &description {
            Some(description) => line.with_version(description),
            None => line,
        };
        self.mode.event(&line);
        let shown = visible(&path);
        match verdict {
            Verdict::Same(_) => self.summary.same += 1,
            Verdict::Different(difference) => {
                self.summary.different += 1;
                self.mode.result(&format!("different  {shown}: {difference}"));
            }
            Verdict::Unproven(why) => {
                self.summary.unproven += 1;
                self.mode.result(&format!("unproven   {shown}: {why}"));
            }
        }
    }
}

/// Formats an error with its causes in one line.
fn chain(path: &str, error: &EngineError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |one| one.source());
    let mut texts = vec![path.to_owned()];
    for text in causes.take(3).map(ToString::to_string) {
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

impl Summary {
    fn exit(&self) -> Exit {
        if self.different + self.missing_objects + self.missing_files > 0 {
            Exit::NotProven
        } else if self.failed > 0 {
            Exit::Failed
        } else if self.unproven > 0 {
            Exit::CannotBeProven
        } else {
            Exit::Done
        }
    }

    fn ended(
        &self,
        folder: &str,
        address: &str,
        elapsed: Duration,
        mode: Mode,
    ) -> anyhow::Result<Exit> {
        let counts = [
            (self.same, "same"),
            (self.different, "different"),
            (self.unproven, "unproven"),
            (self.missing_objects, "without an object"),
            (self.missing_files, "without a file"),
            (self.failed, "failed"),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(count, name)| *count > 0 || *name == "same")
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let counts = counts.join(", ");
        let read = format!("{} read in {}", human_size(self.read_bytes), human_duration(elapsed));
        let (exit, code) = match self.exit() {
            Exit::Done => {
                mode.result(&format!("same  {folder} = {address}  {counts}; {read}"));
                return Ok(Exit::Done);
            }
            Exit::NotProven => (Exit::NotProven, "Different"),
            Exit::CannotBeProven => (Exit::CannotBeProven, "CannotBeProven"),
            other => (other, "Failed"),
        };
        let message = format!("{folder} and {address}: {counts}; {read}");
        Err(Ended { exit, code, message, hint: None }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_file() {
        let exit = |summary: Summary| summary.exit();
        let same = Summary { same: 3, ..Summary::default() };
        assert_eq!(exit(same.clone()), Exit::Done);
        let unproven = Summary { unproven: 1, ..same };
        assert_eq!(exit(unproven.clone()), Exit::CannotBeProven);
        let failed = Summary { failed: 1, ..unproven };
        assert_eq!(exit(failed.clone()), Exit::Failed);
        for worst in [
            Summary { different: 1, ..failed.clone() },
            Summary { missing_objects: 1, ..failed.clone() },
            Summary { missing_files: 1, ..failed.clone() },
        ] {
            assert_eq!(exit(worst), Exit::NotProven);
        }
    }
}
