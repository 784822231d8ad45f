//! Turns the flags of the command line into the options of a tree.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use haul::parts::{FilterRule, NameFilter};
use haul::transfer::tree::{CompareBy, DeleteExtra, Filter, TreeOptions};
use haul::{CopyOptions, DownloadOptions, EngineOptions};

use super::Verb;
use crate::args::{
    ObjectOptionArgs, RememberArgs, RequestArgs, SourceStoreArgs, TransferArgs, TreeArgs,
};
use crate::commands::cp::{download_limits, guess_content_type, upload_options};
use crate::failure::Usage;
use crate::object_attributes::attributes;
use crate::output::visible;

/// Requests in flight by default. Small files need many, and the bytes per second that files of
/// different lengths move do not tell how many.
const TREE_CONCURRENCY: u32 = 64;

/// The flags of a tree.
pub(super) struct TreeFlags {
    pub(super) verb: Verb,
    pub(super) compare: CompareBy,
    pub(super) delete: Option<DeleteExtra>,
    pub(super) tree: TreeArgs,
    pub(super) transfer: TransferArgs,
    pub(super) remember: RememberArgs,
    pub(super) object: ObjectOptionArgs,
    pub(super) source_store: SourceStoreArgs,
}

/// The direction of transfer of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
    Between,
}

impl TreeFlags {
    /// Returns the options and the limits of the engine. The caller sets the journal and the store
    /// of the source.
    pub(super) fn options(
        self,
        way: Way,
        requests: &RequestArgs,
    ) -> Result<(TreeOptions, EngineOptions), Usage> {
        if way != Way::Between {
            requests.refuse_unless_copied()?;
        }
        self.refuse_what_is_ignored(way)?;
        let filter = filter(&self.tree)?;
        let limits = self.transfer.effort.limits_with(TREE_CONCURRENCY.into());
        if self.tree.failed_to.is_some() && self.tree.failed_to == self.tree.files_from {
            return Err(Usage::new(
                "--failed-to would overwrite the list that --files-from reads",
                "write the names of failed files into another file",
            ));
        }
        let failed_names = match &self.tree.failed_to {
            Some(path) => Some(create(path)?),
            None => None,
        };
        let download = DownloadOptions {
            part_size_bytes: self.transfer.part_size_bytes(),
            customer_key_md5: requests.customer_key_md5(),
            ..DownloadOptions::default()
        };
        let copy = CopyOptions {
            part_size_bytes: self.transfer.part_size_bytes(),
            require_proof: self.transfer.require_proof,
            attributes: attributes(&self.object, requests)?,
            ..CopyOptions::default()
        };
        let options = TreeOptions {
            compare: self.compare,
            filter,
            follow_links: !self.tree.no_follow_symlinks,
            delete: self.delete,
            remove_sources: self.verb == Verb::Move,
            dry_run: self.tree.dry_run,
            fail_fast: self.tree.fail_fast,
            failed_names,
            upload: upload_options(&self.transfer, self.object, requests)?,
            download,
            copy,
            content_type: Some(Arc::new(guess_content_type)),
            ..TreeOptions::default()
        };
        Ok((options, limits))
    }

    fn refuse_what_is_ignored(&self, way: Way) -> Result<(), Usage> {
        let of_one_file = [
            (self.remember.adopt, "--adopt"),
            (self.remember.on_change.is_some(), "--on-change"),
            (self.object.if_none_match, "--if-none-match"),
            (self.object.if_match.is_some(), "--if-match"),
        ];
        if let Some((_, name)) = of_one_file.iter().find(|(given, _)| *given) {
            let hint = match *name {
                "--if-none-match" => "--no-clobber leaves alone what exists",
                _ => "leave it out, or copy the file by a command of its own",
            };
            return Err(Usage::new(format!("{name} is for one file, and these are many"), hint));
        }
        match way {
            Way::Up => self.source_store.refuse_unless_copied(),
            Way::Down => {
                self.source_store.refuse_unless_copied()?;
                download_limits(&self.transfer, &self.remember, &self.object).map(drop)
            }
            Way::Between => {
                let given = [
                    (self.transfer.checksum.is_some(), "--checksum"),
                    (self.transfer.multipart_threshold.is_some(), "--multipart-threshold"),
                ];
                match given.iter().find(|(given, _)| *given) {
                    Some((_, name)) => Err(Usage::new(
                        format!("{name} is for uploads; this is a copy from store to store"),
                        "leave it out: the copies are cut and checked as their sources are",
                    )),
                    None => Ok(()),
                }
            }
        }
    }
}

fn filter(tree: &TreeArgs) -> Result<Filter, Usage> {
    let mut names = NameFilter::default();
    for path in &tree.exclude_from {
        let unreadable = |error: std::io::Error| {
            Usage::new(
                format!(
                    "cannot read the patterns {}: {error}",
                    visible(&path.display().to_string())
                ),
                "name a file that has a pattern on each line",
            )
        };
        for line in BufReader::new(File::open(path).map_err(unreadable)?).lines() {
            let line = line.map_err(unreadable)?;
            let pattern = line.trim_end();
            if !pattern.is_empty() && !pattern.starts_with('#') {
                names.push(FilterRule::Exclude, pattern);
            }
        }
    }
    for (rule, pattern) in &tree.filter.rules {
        names.push(*rule, pattern);
    }
    Ok(Filter {
        names,
        size_min_bytes: tree.min_size,
        size_max_bytes: tree.max_size,
        newer_than: tree.newer_than,
        older_than: tree.older_than,
        depth_max: tree.max_depth,
    })
}

fn create(path: &Path) -> Result<Box<dyn std::io::Write + Send + Sync>, Usage> {
    match File::create(path) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) => Err(Usage::new(
            format!("cannot write {}: {error}", visible(&path.display().to_string())),
            "name a file that can be written for --failed-to",
        )),
    }
}
