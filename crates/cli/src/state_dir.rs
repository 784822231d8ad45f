//! Locates the folder of the journals: `HAUL_STATE_DIR`, or the user's state folder.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use haul::journal::JournalFolder;

use crate::exit::Exit;
use crate::failure::Ended;

/// Returns the folder with the journals of this machine.
pub(crate) fn journal_folder() -> Result<JournalFolder, Ended> {
    let given =
        std::env::var_os("HAUL_STATE_DIR").filter(|given| !given.is_empty()).map(PathBuf::from);
    let state = match given {
        Some(given) => std::path::absolute(&given).unwrap_or(given),
        None => match etcetera::choose_base_strategy() {
            // XDG defines a state folder; the type also allows for strategies without one.
            Ok(folders) => folders.state_dir().unwrap_or_else(|| folders.data_dir()).join("haul"),
            Err(_) => {
                return Err(Ended {
                    exit: Exit::Usage,
                    code: "NoStateDir",
                    message: "cannot tell where to remember uploads: there is no home folder"
                        .to_owned(),
                    hint: Some("name a folder with HAUL_STATE_DIR, or use --no-journal".to_owned()),
                });
            }
        },
    };
    Ok(JournalFolder::new(state.join("uploads")))
}
