//! The folder behind `local://` and `haul serve`: `--data`, `HAUL_DATA_DIR`, `data` of haul.toml,
//! or the user's data folder.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::config;
use crate::exit::Exit;
use crate::failure::Ended;

/// Returns the folder of this machine's objects: from the command line, else from the environment.
pub(crate) fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Ended> {
    let of_environment =
        || std::env::var_os("HAUL_DATA_DIR").filter(|given| !given.is_empty()).map(PathBuf::from);
    if let Some(given) = given.or_else(of_environment).or_else(config::data) {
        // Absolute, so that messages and the address file are valid from every folder.
        return Ok(std::path::absolute(&given).unwrap_or(given));
    }
    match etcetera::choose_base_strategy() {
        Ok(folders) => Ok(folders.data_dir().join("haul").join("store")),
        Err(_) => Err(Ended {
            exit: Exit::Usage,
            code: "NoDataDir",
            message: "cannot tell where your data belongs: there is no home folder".to_owned(),
            hint: Some("name a folder with --data or HAUL_DATA_DIR".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_folder_wins_and_becomes_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(data_dir(Some("objects".into())).unwrap(), here.join("objects"));
        assert!(data_dir(None).unwrap().ends_with("haul/store"));
    }
}
