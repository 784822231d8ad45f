//! `haul cat OBJECT…`: writes objects to standard output, each verified like `haul cp OBJECT -`.

use super::download::{DownloadJournal, Fetching, FileTarget, fetch};
use crate::args::{CatArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::Usage;
use crate::output::Mode;

/// Writes the objects in order, and stops at the first failure: later objects would be in the
/// wrong place.
pub(crate) async fn run(args: &StoreArgs, what: CatArgs, mode: Mode) -> anyhow::Result<Exit> {
    if mode == Mode::Json {
        return Err(Usage::new(
            "the object and what --json prints would both go to standard output",
            "leave --json out, or copy it into a file: haul cp s3://BUCKET/KEY FILE --json",
        )
        .into());
    }
    let mut interrupts = None;
    for address in what.objects {
        let fetching = Fetching {
            address,
            target: FileTarget::Stdout,
            part_size_bytes: None,
            limits: what.effort.limits(),
            remembered: DownloadJournal::No,
            abort_on_interrupt: true,
        };
        Box::pin(fetch(args, fetching, mode, &mut interrupts)).await?;
    }
    Ok(Exit::Done)
}
