//! Reads a source or a target of a tree as a stream of entries: from a walk, a listing or a list of
//! names.

use std::collections::VecDeque;
use std::io::{BufRead, Lines};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use haul_parts::{Bucket, Glob, Key, ObjectRef};
use tokio::sync::mpsc;

use super::entry::{Entry, Found, Place};
use super::listing::{Listed, list};
use super::walk::{WalkOptions, entry_of, walk};
use super::{TreeBase, TreeSource, TreeTarget, names};
use crate::error::Error;
use crate::pace::RetryPolicy;
use crate::remote::{ObjectHead, Store};
use crate::transfer::mtime;

/// Maximum number of batches that wait for their reader.
const BATCHES_WAITING_MAX: usize = 8;
/// Maximum number of entries in a batch of a walk.
const BATCH_MAX: usize = 256;
/// HeadObject requests in flight for a list of names.
const HEADS_AT_ONCE: usize = 16;

/// A stream of entries.
pub(super) struct Feed {
    batches: mpsc::Receiver<Vec<Found>>,
    waiting: VecDeque<Found>,
    /// The name of the stream for messages, if the stream must be in key order.
    sorted: Option<String>,
    last: Option<String>,
}

/// The state of a tree that its streams need.
pub(super) struct Feeder {
    pub(super) store: Arc<dyn Store>,
    pub(super) retry: RetryPolicy,
    pub(super) follow_links: bool,
    pub(super) depth_max: Option<u32>,
    /// Whether the sources are removed after they were copied.
    pub(super) moves: bool,
}

impl Feed {
    fn new(start: impl FnOnce(mpsc::Sender<Vec<Found>>)) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        start(sender);
        Self { batches, waiting: VecDeque::new(), sorted: None, last: None }
    }

    /// Makes the stream fail if it is not in key order, which a comparison of two streams relies
    /// on.
    pub(super) fn sorted(self, name: impl Into<String>) -> Self {
        Self { sorted: Some(name.into()), ..self }
    }

    /// Returns the next entry; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Found> {
        while self.waiting.is_empty() {
            self.waiting = self.batches.recv().await?.into();
        }
        let found = self.waiting.pop_front()?;
        if let (Some(stream), Found::Entry(entry)) = (&self.sorted, &found) {
            if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
                let problem = format!(
                    "{stream} is not listed in the order of keys ({:?} came late); only copies \
                     without a comparison are possible",
                    entry.name
                );
                return Some(Found::Broken(Error::TreeRefused { problem }));
            }
            self.last = Some(entry.name.clone());
        }
        Some(found)
    }
}

impl Feeder {
    /// Streams the entries of a source.
    pub(super) fn source(&self, source: TreeSource) -> Feed {
        match source {
            TreeSource::File { path, name } => Feed::new(|found| {
                let follow_links = self.follow_links;
                tokio::task::spawn_blocking(move || {
                    let entry = match path.is_symlink() && !follow_links {
                        true => {
                            Found::Warning(format!("{} is a link and is skipped", path.display()))
                        }
                        false => file(path, name),
                    };
                    let _ = found.blocking_send(vec![entry]);
                });
            }),
            TreeSource::Unusable { path } => Feed::new(|found| {
                let name = path.to_string_lossy().into_owned();
                let reason = "its name is not valid UTF-8, so it cannot be part of a key";
                let _ = found.try_send(vec![unusable(name, &reason)]);
            }),
            TreeSource::Folder { path, before } => {
                let options = WalkOptions {
                    follow_links: self.follow_links,
                    depth_max: self.depth_max,
                    is_target: false,
                    is_moved: self.moves,
                };
                walked(path, before, options)
            }
            TreeSource::Object { object, name } => {
                let (store, retry) = (Arc::clone(&self.store), self.retry.clone());
                Feed::new(|found| {
                    tokio::spawn(async move {
                        let entry = looked_up(store.as_ref(), &retry, object, name).await;
                        let _ = found.send(vec![entry]).await;
                    });
                })
            }
            TreeSource::Prefix { bucket, prefix, before } => {
                let cut_bytes = prefix.len();
                self.listed(Listed { bucket, prefix, cut_bytes, before, pattern: None })
            }
            TreeSource::Pattern { bucket, pattern } => {
                let pattern = Glob::new(&pattern);
                let prefix = pattern.literal_prefix();
                let cut_bytes = prefix.rfind('/').map_or(0, |slash| slash + 1);
                let before = String::new();
                self.listed(Listed { bucket, prefix, cut_bytes, before, pattern: Some(pattern) })
            }
            TreeSource::Names { base: TreeBase::Folder(folder), names } => Feed::new(|found| {
                tokio::task::spawn_blocking(move || {
                    for line in names.lines() {
                        let entry = match line {
                            Err(source) => Some(unreadable_list(source)),
                            Ok(line) => {
                                named(&line).map(|name| match names::path_below(&folder, &name) {
                                    Ok(path) => file(path, name),
                                    Err(problem) => unusable(name, &problem),
                                })
                            }
                        };
                        let Some(entry) = entry else { continue };
                        let broken = matches!(entry, Found::Broken(_));
                        if found.blocking_send(vec![entry]).is_err() || broken {
                            return;
                        }
                    }
                });
            }),
            TreeSource::Names { base: TreeBase::Prefix(bucket, prefix), names } => {
                self.named_objects(bucket, prefix, names.lines())
            }
        }
    }

    /// Streams the entries of a target below `before`.
    pub(super) fn target(&self, target: &TreeTarget, before: &str) -> Feed {
        match target {
            TreeTarget::Folder(folder) => {
                let options = WalkOptions {
                    follow_links: self.follow_links,
                    depth_max: self.depth_max,
                    is_target: true,
                    is_moved: false,
                };
                walked(folder.join(before), before.to_owned(), options)
                    .sorted(folder.display().to_string())
            }
            TreeTarget::Prefix(bucket, prefix) => {
                let listed = Listed {
                    bucket: bucket.clone(),
                    prefix: format!("{prefix}{before}"),
                    cut_bytes: prefix.len(),
                    before: String::new(),
                    pattern: None,
                };
                self.listed(listed).sorted(format!("s3://{bucket}/{prefix}"))
            }
        }
    }

    fn listed(&self, listed: Listed) -> Feed {
        let (store, retry) = (Arc::clone(&self.store), self.retry.clone());
        Feed::new(|found| {
            tokio::spawn(list(store, retry, listed, found));
        })
    }

    fn named_objects(
        &self,
        bucket: Bucket,
        prefix: String,
        lines: Lines<Box<dyn BufRead + Send>>,
    ) -> Feed {
        let (store, retry) = (Arc::clone(&self.store), self.retry.clone());
        let (line_sender, mut line_receiver) = mpsc::channel(BATCH_MAX);
        tokio::task::spawn_blocking(move || {
            for line in lines {
                if line_sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Feed::new(|found| {
            tokio::spawn(async move {
                let lines = stream::poll_fn(move |context| line_receiver.poll_recv(context));
                let mut entries = std::pin::pin!(
                    lines
                        .filter_map(|line| async { line.map(|line| named(&line)).transpose() })
                        .map(|name| async {
                            let name = match name {
                                Ok(name) => name,
                                Err(source) => return unreadable_list(source),
                            };
                            match names::key_below(&prefix, &name) {
                                Ok(key) => {
                                    let object = ObjectRef { bucket: bucket.clone(), key };
                                    looked_up(store.as_ref(), &retry, object, name).await
                                }
                                Err(problem) => unusable(name, &problem),
                            }
                        })
                        .buffered(HEADS_AT_ONCE)
                );
                while let Some(entry) = entries.next().await {
                    if found.send(vec![entry]).await.is_err() {
                        return;
                    }
                }
            });
        })
    }
}

/// Parses a line of a list; `None` if the line is empty.
fn named(line: &str) -> Option<String> {
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => None,
        quoted if quoted.starts_with('"') => {
            Some(serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned()))
        }
        name => Some(name.strip_prefix("./").unwrap_or(name).to_owned()),
    }
}

fn unreadable_list(source: std::io::Error) -> Found {
    Found::Broken(Error::SourceUnreadable { source_name: "the list of names".into(), source })
}

/// Formats a name as a line of a list.
pub(super) fn line_of(name: &str) -> String {
    if name.starts_with('"') || name.starts_with("./") || name.contains(['\n', '\r']) {
        return serde_json::to_string(name).unwrap_or_else(|_| name.to_owned());
    }
    name.to_owned()
}

fn unusable(name: String, problem: &dyn std::fmt::Display) -> Found {
    let error = Error::UnusableName { name: name.clone(), reason: problem.to_string() };
    Found::Refused { name, error }
}

fn walked(path: PathBuf, before: String, options: WalkOptions) -> Feed {
    Feed::new(|found| {
        tokio::task::spawn_blocking(move || {
            let mut batch = vec![];
            // The first batch has one entry, so that files are sent while the walk of the folder
            // continues.
            let mut batch_max = 1;
            let mut more = true;
            walk(&path, &before, &options, &mut |entry| {
                batch.push(entry);
                if batch.len() >= batch_max {
                    batch_max = (batch_max * 2).min(BATCH_MAX);
                    more = found.blocking_send(std::mem::take(&mut batch)).is_ok();
                }
                more
            });
            if more && !batch.is_empty() {
                let _ = found.blocking_send(batch);
            }
        });
    })
}

fn file(path: PathBuf, name: String) -> Found {
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Found::Entry(entry_of(path, name, &metadata)),
        Ok(_) => Found::Refused { name, error: Error::NotAFile { path } },
        Err(source) => {
            let source_name = path.display().to_string();
            Found::Refused { name, error: Error::SourceUnreadable { source_name, source } }
        }
    }
}

async fn looked_up(
    store: &dyn Store,
    retry: &RetryPolicy,
    object: ObjectRef,
    name: String,
) -> Found {
    let subject = object.clone();
    match retry.run(|| store.head_object(&object)).await {
        Ok(head) => Found::Entry(of_head(&head, object.key, name)),
        Err(error) => Found::Refused { name, error: Error::of_store(subject, error) },
    }
}

/// Creates the entry of an object from the answer to HeadObject.
pub(super) fn of_head(head: &ObjectHead, key: Key, name: String) -> Entry {
    let written = head.last_modified.map(std::time::SystemTime::from);
    Entry {
        name,
        size_bytes: head.size_bytes,
        modified_ns: written.and_then(mtime::nanoseconds),
        changed_ns: None,
        is_behind_link: false,
        place: Place::Object { key, etag: Some(head.etag.clone()) },
    }
}

/// Creates the entry of a file on this machine; `None` if the file does not exist.
pub(super) fn of_file(path: &Path, name: &str) -> std::io::Result<Option<Entry>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(entry_of(path.to_owned(), name.to_owned(), &metadata))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_line() {
        for name in ["a", "a b/ü", "\"quoted\"", "line\nbreak", "./dot", "end\r", "\"", " "] {
            let line = line_of(name);
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(named(&line).as_deref(), Some(name));
        }
        assert_eq!(named("./a").as_deref(), Some("a"), "as find prints it");
        assert_eq!(named(""), None);
        assert_eq!(named("\r"), None);
    }
}
