//! `haul verify`: compares a file or a folder with a store, without a download, or with the receipt
//! of an upload, without a store.
//!
//! Three results, each with an exit code: equal (0), different (7), and not provable (9).

mod folder;
mod line;
mod merge;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use haul::verify::receipt::Receipt;
use haul::verify::{HashOptions, HashedBytes, Verdict, Verifier};
use haul::{Error as EngineError, FileSource, Source};

use self::line::{Compared, VerifiedLine};
use crate::args::{StoreArgs, VerifyArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::private::shell_quoted;
use crate::progress::{Snapshot, TICK, View};
use crate::size::{human_duration, human_rate, human_size};
use crate::store::{self, OpenedStore};
use crate::target::{Address, Target};

/// Runs the comparison.
pub(crate) async fn run(args: &StoreArgs, what: VerifyArgs, mode: Mode) -> anyhow::Result<Exit> {
    let Sides { path, address } = Sides::of(what.compared)?;
    match (what.receipt, path, address) {
        (None, Some(path), Some(address)) if path.is_dir() => {
            folder::run(args, &path, &address, mode).await
        }
        (None, Some(path), Some(address)) => {
            file(args, &path, &address.for_file(&path).map_err(Usage::from)?, mode).await
        }
        (Some(receipt), path, address) => {
            let receipt = read_receipt(&receipt)?;
            if let Some(path) = path {
                file_by_receipt(&receipt, &path, mode).await?;
            }
            match address {
                Some(address) => object_by_receipt(args, &receipt, &address, mode).await,
                None => Ok(Exit::Done),
            }
        }
        (None, ..) => Err(Usage::new(
            "haul verify compares a file or a folder with an address",
            "haul verify FILE s3://BUCKET/KEY; with one of them: --receipt RECEIPT",
        )
        .into()),
    }
}

/// The two sides of the comparison, in the order of the command line.
struct Sides {
    path: Option<PathBuf>,
    address: Option<Address>,
}

impl Sides {
    fn of(compared: Vec<Target>) -> Result<Self, Usage> {
        let mut sides = Self { path: None, address: None };
        for target in compared {
            let taken = match target {
                Target::Path(path) => sides.path.replace(path).is_some(),
                Target::Store(address) => sides.address.replace(address).is_some(),
                Target::Stream => {
                    return Err(Usage::new(
                        "haul verify takes a file, not a stream",
                        "name a file or a folder",
                    ));
                }
            };
            if taken {
                return Err(Usage::new(
                    "both sides are files, or both are addresses",
                    "haul verify FILE s3://BUCKET/KEY",
                ));
            }
        }
        Ok(sides)
    }
}

/// Opens a file on a blocking thread, because the file's dirty pages are written to disk first.
async fn open(path: &Path) -> Result<Arc<dyn Source>, EngineError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || FileSource::open(path)).await;
    match opened {
        Ok(opened) => Ok(Arc::new(opened?)),
        Err(error) => Err(EngineError::Internal(error.to_string())),
    }
}

/// Shows the progress of hashing until `work` ends.
async fn shown<T>(
    mode: Mode,
    label: &str,
    size_bytes: u64,
    hashed: &HashedBytes,
    work: impl Future<Output = T>,
) -> T {
    let mut view = View::new(mode, label.to_owned());
    let mut ticks = tokio::time::interval(TICK);
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            _ = ticks.tick() => {
                let bytes = hashed.get();
                view.tick(Snapshot {
                    moved_bytes: bytes,
                    arrived_bytes: bytes,
                    parts_in_flight: 0,
                    size_bytes: Some(size_bytes),
                });
            }
        }
    };
    view.finish();
    done
}

async fn file(
    args: &StoreArgs,
    path: &Path,
    address: &Address,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let object = address.exact_object().map_err(Usage::from)?;
    let (from, to) = (visible(&path.display().to_string()), visible(&address.to_string()));
    let context = || FailureContext::at(format!("cannot compare {from} with {to}"), address);
    let source = open(path).await.with_context(context)?;
    let opened = store::open(address.scheme, args, mode).await?;
    let (endpoint, started) = (opened.store.endpoint(), Instant::now());
    let options = HashOptions::default();
    let (size_bytes, hashed) = (source.size_bytes(), options.progress.clone());
    let verifier = verifier(&opened, options);
    let label = crate::commands::name_of(&from);
    let work = verifier.verify(source, &object);
    let found = shown(mode, &label, size_bytes, &hashed, work).await;
    opened.close().await;
    let found = found.with_context(|| context().through(endpoint))?;
    let elapsed = started.elapsed();
    let compared = Compared { path: Some(&path.display().to_string()), object: Some(&object) };
    let line = VerifiedLine::of(&compared, &found.verdict, size_bytes, elapsed);
    mode.event(&line.with_version(&found.description));
    let read = format!(
        "{} in {} ({})",
        human_size(size_bytes),
        human_duration(elapsed),
        human_rate(size_bytes, elapsed)
    );
    ended(&from, &to, &found.verdict, &read, mode)
}

fn verifier(opened: &OpenedStore, options: HashOptions) -> Verifier {
    Verifier::new(Arc::clone(&opened.store), haul::pace::RetryPolicy::default(), options)
}

/// Prints the verdict and returns its exit status.
fn ended(from: &str, to: &str, verdict: &Verdict, read: &str, mode: Mode) -> anyhow::Result<Exit> {
    match verdict {
        Verdict::Same(evidence) => {
            mode.result(&format!("same  {from} = {to}  {read}, by {evidence}"));
            Ok(Exit::Done)
        }
        Verdict::Different(difference) => Err(Ended {
            exit: Exit::NotProven,
            code: "Different",
            message: format!("{from} and {to} differ: {difference}"),
            hint: None,
        }
        .into()),
        Verdict::Unproven(why) => Err(Ended {
            exit: Exit::CannotBeProven,
            code: "CannotBeProven",
            message: format!("{from} and {to} may be equal or not: {why}"),
            hint: Some(format!(
                "haul cp {} - | cmp - {} compares the bytes; haul cp --receipt keeps a proof of an \
                 upload",
                shell_quoted(to),
                shell_quoted(from)
            )),
        }
        .into()),
    }
}

fn read_receipt(path: &Path) -> anyhow::Result<Receipt> {
    /// Far above the size of a receipt of 10,000 parts.
    const RECEIPT_BYTES_MAX: u64 = 16 << 20;
    let shown = visible(&path.display().to_string());
    let unreadable = |message: String| Ended {
        exit: Exit::Failed,
        code: "ReceiptUnreadable",
        message,
        hint: Some("haul cp --receipt FILE writes a receipt".to_owned()),
    };
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if length.as_ref().is_ok_and(|length| *length > RECEIPT_BYTES_MAX) {
        return Err(unreadable(format!("{shown} is too long to be a receipt")).into());
    }
    let text = length.and_then(|_| std::fs::read_to_string(path));
    let text = text.map_err(|error| unreadable(format!("cannot read {shown}: {error}")))?;
    let receipt = Receipt::parse(&text);
    Ok(receipt.map_err(|error| unreadable(format!("cannot use {shown}: {error}")))?)
}

async fn file_by_receipt(receipt: &Receipt, path: &Path, mode: Mode) -> anyhow::Result<Exit> {
    let (from, to) =
        (visible(&path.display().to_string()), format!("the upload of {}", receipt.time));
    let context = || FailureContext::of(format!("cannot compare {from} with {to}"));
    let source = open(path).await.with_context(context)?;
    let (size_bytes, started) = (source.size_bytes(), Instant::now());
    let options = HashOptions::default();
    let hashed = options.progress.clone();
    let label = crate::commands::name_of(&from);
    let work = receipt.verify_source(source, options);
    let verdict = shown(mode, &label, size_bytes, &hashed, work).await.with_context(context)?;
    let compared = Compared { path: Some(&path.display().to_string()), object: None };
    mode.event(&VerifiedLine::of(&compared, &verdict, size_bytes, started.elapsed()));
    let object = visible(&receipt.object.to_string());
    let read = format!("of {object}, {}", human_size(size_bytes));
    ended(&from, &to, &verdict, &read, mode)
}

async fn object_by_receipt(
    args: &StoreArgs,
    receipt: &Receipt,
    address: &Address,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let object = address.exact_object().map_err(Usage::from)?;
    let to = visible(&address.to_string());
    let opened = store::open(address.scheme, args, mode).await?;
    let started = Instant::now();
    let context = FailureContext::at(format!("cannot compare {to} with its receipt"), address)
        .through(opened.store.endpoint());
    let retry = crate::commands::brief_retry();
    let described = retry.run(|| opened.store.describe_object(&object)).await;
    opened.close().await;
    let described =
        described.map_err(|error| haul::Error::of_store(&object, error)).context(context)?;
    let verdict = receipt.verify_object(&object, &described);
    let compared = Compared { path: None, object: Some(&object) };
    let size_bytes = described.head.size_bytes;
    let line = VerifiedLine::of(&compared, &verdict, size_bytes, started.elapsed());
    mode.event(&line.with_version(&described));
    let from = format!("the upload of {}", receipt.time);
    ended(&from, &to, &verdict, &human_size(size_bytes), mode)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn sides(words: &[&str]) -> Result<Sides, Usage> {
        let parsed = words.iter().map(|word| Target::parse(OsStr::new(word)).unwrap());
        Sides::of(parsed.collect())
    }

    #[test]
    fn the_order_of_the_sides_does_not_matter() {
        for words in [["f", "s3://bucket/k"], ["s3://bucket/k", "f"]] {
            let found = sides(&words).unwrap();
            assert_eq!(found.path.unwrap(), Path::new("f"));
            assert_eq!(found.address.unwrap().to_string(), "s3://bucket/k");
        }
        assert!(sides(&["f", "g"]).is_err());
        assert!(sides(&["s3://bucket/k", "s3://bucket/l"]).is_err());
        assert!(sides(&["-"]).is_err());
    }
}
