//! Locates the folders of the journals and of the findings about stores: in `HAUL_STATE_DIR`, or in
//! the user's state folder.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use haul::findings_cache::FindingsCache;
use haul::journal::JournalFolder;

use crate::exit::Exit;
use crate::failure::Ended;

/// Returns the folder with the journals of this machine.
pub(crate) fn journal_folder() -> Result<JournalFolder, Ended> {
    match state_dir() {
        Some(state) => Ok(JournalFolder::new(state.join("uploads"))),
        None => Err(Ended {
            exit: Exit::Usage,
            code: "NoStateDir",
            message: "cannot tell where to remember uploads: there is no home folder".to_owned(),
            hint: Some("name a folder with HAUL_STATE_DIR, or use --no-journal".to_owned()),
        }),
    }
}

/// Returns the folder of what probes found about stores; `None` if there is no home folder.
pub(crate) fn findings_cache() -> Option<FindingsCache> {
    state_dir().map(|state| FindingsCache::new(state.join("stores")))
}

fn state_dir() -> Option<PathBuf> {
    let given = std::env::var_os("HAUL_STATE_DIR").filter(|given| !given.is_empty());
    if let Some(given) = given.map(PathBuf::from) {
        return Some(std::path::absolute(&given).unwrap_or(given));
    }
    let folders = etcetera::choose_base_strategy().ok()?;
    // XDG defines a state folder; the type also allows for strategies without one.
    Some(folders.state_dir().unwrap_or_else(|| folders.data_dir()).join("haul"))
}
