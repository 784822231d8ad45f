//! `haul resume --last`: runs the last tree command again, or resumes the newest transfer.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::resume_watch::{Pauses, Waiting};
use crate::exit::Exit;
use crate::failure::Ended;
use crate::interrupt::{Interrupts, Role};
use crate::last_tree::LastTree;
use crate::output::Mode;
use crate::state_dir::journal_folder;

/// The interval at which the end of a running command is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// What was begun last and is not finished.
pub(super) enum Last {
    Tree(LastTree),
    /// The journal with this id.
    Transfer(String),
    Nothing,
}

impl Last {
    /// Finds the last tree command, unless a transfer began after its end.
    pub(super) fn find() -> anyhow::Result<Self> {
        let folder = journal_folder()?;
        let uploads = folder.list().map_err(haul::Error::from)?.into_iter();
        let downloads = folder.list_downloads().map_err(haul::Error::from)?.into_iter();
        let uploads = uploads.map(|one| (one.beginning.begun_at, one.id, one.running));
        let downloads = downloads.map(|one| (one.beginning.begun_at, one.id, one.running));
        let newest = uploads.chain(downloads).filter(|(.., running)| !running).max();
        Ok(match (LastTree::read(), newest) {
            (Some(tree), Some((begun_at, id, _))) if tree.is_older_than(begun_at) => {
                drop(tree);
                Self::Transfer(id)
            }
            (Some(tree), _) => Self::Tree(tree),
            (None, Some((_, id, _))) => Self::Transfer(id),
            (None, None) => Self::Nothing,
        })
    }
}

/// Replaces this process by the command, which has its own signals and exit code.
pub(super) fn again(tree: &LastTree, mode: Mode) -> anyhow::Result<Exit> {
    mode.remark(&tree.shown());
    Err(tree.command(mode)?.exec().into())
}

/// Runs the command until it ends with another exit code than 3, with pauses in between.
pub(super) async fn watched(tree: &LastTree, mode: Mode) -> anyhow::Result<Exit> {
    mode.remark(&tree.shown());
    let mut interrupts = Interrupts::new(Role::Work)?;
    let mut pauses = Pauses::default();
    loop {
        let mut child = tree.command(mode)?.spawn()?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            tokio::select! {
                _ = interrupts.next() => {
                    // A Ctrl-C of a terminal has reached the command already; it counts once.
                    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                    if let Some(id) = id {
                        let _ = kill_process(id, Signal::TERM);
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        let code = status.code();
        let ended = Exit::of_code(code);
        if interrupts.came() || ended.is_some_and(|exit| exit != Exit::Interrupted) {
            return Ok(ended.unwrap_or(Exit::Interrupted));
        }
        if ended.is_none() {
            return Err(Ended {
                exit: Exit::Failed,
                code: "Killed",
                message: format!("the command was killed: {status}"),
                hint: Some("haul resume --last runs it again".to_owned()),
            }
            .into());
        }
        let waiting = Waiting::new("tree", "the tree paused".to_owned(), pauses.next());
        if waiting.wait(&mut interrupts, mode).await.is_some() {
            return Ok(Exit::Interrupted);
        }
    }
}
