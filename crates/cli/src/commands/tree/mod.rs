//! Runs the commands for many files: `haul cp` of folders, prefixes, patterns and several sources,
//! `haul sync` and `haul mv`.
//!
//! `ends.rs` turns the arguments into sources and a target, `options.rs` turns the flags into the
//! engine's options, `run.rs` runs the tree, and `outcome.rs` reports the result.

mod ends;
mod options;
mod outcome;
mod run;
mod view;

use haul::transfer::tree::{CompareBy, DeleteExtra};

use self::ends::{Ends, Sources};
use self::options::TreeFlags;
use self::run::Running;
use crate::args::{CpArgs, MvArgs, StoreArgs, SyncArgs, TransferArgs};
use crate::exit::Exit;
use crate::failure::Usage;
use crate::output::Mode;
use crate::target::Target;

pub(super) use self::ends::is_tree;

/// The operation to perform on each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Copy,
    Move,
    Sync,
}

impl Verb {
    const fn infinitive(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Move => "move",
            Self::Sync => "sync",
        }
    }

    const fn past(self) -> &'static str {
        match self {
            Self::Copy | Self::Sync => "copied",
            Self::Move => "moved",
        }
    }
}

/// Runs `haul cp` of more than one file; `words` are its sources and its target.
pub(super) async fn copy(
    store: &StoreArgs,
    words: Vec<Target>,
    args: CpArgs,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let sources = Sources { recursive: args.recursive, raw: args.tree.raw };
    let ends = Ends::of(words, sources, &args.tree)?;
    let compare = compare(&args.tree, CompareBy::Nothing);
    let flags = TreeFlags {
        verb: Verb::Copy,
        compare,
        delete: None,
        tree: args.tree,
        transfer: args.transfer,
        remember: args.remember,
        object: args.object,
        source_store: args.source_store,
    };
    Box::pin(Running::new(store, ends, flags)?.run(mode)).await
}

/// Runs `haul mv`.
pub(super) async fn mv(store: &StoreArgs, args: MvArgs, mode: Mode) -> anyhow::Result<Exit> {
    let mut words = vec![args.source, args.target];
    words.extend(args.more);
    let sources = Sources { recursive: args.recursive, raw: args.tree.raw };
    let ends = Ends::of(words, sources, &args.tree)?;
    let flags = TreeFlags {
        verb: Verb::Move,
        compare: compare(&args.tree, CompareBy::Nothing),
        delete: None,
        tree: args.tree,
        transfer: args.transfer,
        remember: args.remember,
        object: args.object,
        source_store: args.source_store,
    };
    Box::pin(Running::new(store, ends, flags)?.run(mode)).await
}

/// Runs `haul sync`.
pub(super) async fn sync(store: &StoreArgs, args: SyncArgs, mode: Mode) -> anyhow::Result<Exit> {
    if args.delete && args.tree.files_from.is_some() {
        return Err(Usage::new(
            "--delete and --files-from contradict each other: what a list leaves out is not gone",
            "leave one of them out",
        )
        .into());
    }
    let ends = Ends::of_sync(args.source, args.target, &args.tree)?;
    let by = if args.checksum { CompareBy::Content } else { CompareBy::SizeAndTime };
    let transfer = TransferArgs {
        part_size: args.transfer.part_size,
        effort: args.transfer.effort,
        checksum: args.transfer.checksum_algorithm,
        require_proof: args.transfer.require_proof,
        multipart_threshold: args.transfer.multipart_threshold,
    };
    let flags = TreeFlags {
        verb: Verb::Sync,
        compare: compare(&args.tree, by),
        delete: args.delete.then_some(DeleteExtra { even_if_source_is_empty: args.force }),
        tree: args.tree,
        transfer,
        remember: args.remember,
        object: args.object,
        source_store: args.source_store,
    };
    Box::pin(Running::new(store, ends, flags)?.run(mode)).await
}

fn compare(tree: &crate::args::TreeArgs, otherwise: CompareBy) -> CompareBy {
    match (tree.no_clobber, tree.update, tree.size_only) {
        (true, ..) => CompareBy::Absence,
        (_, true, _) => CompareBy::Age,
        (.., true) => CompareBy::Size,
        _ => otherwise,
    }
}
