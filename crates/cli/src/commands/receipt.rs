//! `--receipt FILE`: writes the proof of an upload once the object exists and is proven.
//!
//! The file is written atomically: the text goes to a temporary file beside it, which is synced and
//! renamed, and the folder is synced. An unwritable folder is refused before anything is sent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use haul::{Store, UploadReport};
use jiff::Timestamp;

use crate::args::ReceiptArgs;
use crate::exit::Exit;
use crate::failure::{Ended, Usage};
use crate::output::visible;

/// The destination of a receipt.
#[derive(Debug)]
pub(super) struct ReceiptFile {
    path: PathBuf,
    folder: PathBuf,
}

impl ReceiptFile {
    /// Returns the file that the command line names, if it is writable.
    pub(super) fn of(args: &ReceiptArgs) -> Result<Option<Self>, Usage> {
        let Some(path) = args.receipt.clone() else { return Ok(None) };
        let shown = visible(&path.display().to_string());
        let refused = |why: &str| {
            Usage::new(
                format!("cannot write the receipt to {shown}: {why}"),
                "name a file in a folder that exists: --receipt FILE",
            )
        };
        let folder = match path.parent() {
            None => return Err(refused("it is a folder")),
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
        };
        // Devices and pipes are refused too: the rename would replace them.
        match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Err(refused("it is not a regular file")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(&error.to_string())),
        }
        if !folder.is_dir() {
            return Err(refused("its folder does not exist"));
        }
        let temporary = temporary(&folder, &path);
        match File::create(&temporary) {
            Ok(_) => drop(fs::remove_file(&temporary)),
            Err(error) => return Err(refused(&error.to_string())),
        }
        Ok(Some(Self { path, folder }))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let temporary = temporary(&self.folder, &self.path);
        let written = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            File::open(&self.folder)?.sync_all()
        })();
        if written.is_err() {
            drop(fs::remove_file(&temporary));
        }
        written
    }
}

fn temporary(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!(".haul-{}-{name}.part", std::process::id()))
}

/// Writes the receipt of a successful upload.
pub(super) async fn write(
    file: Option<ReceiptFile>,
    report: Option<&UploadReport>,
    store: &dyn Store,
) -> Result<(), Ended> {
    let (Some(file), Some(report)) = (file, report) else { return Ok(()) };
    // A key pair may write without being allowed to read; the receipt then has no version id.
    let described = super::brief_retry().run(|| store.describe_object(&report.object)).await;
    let receipt = report.receipt(described.as_ref().ok(), store.endpoint(), Timestamp::now());
    let shown = visible(&file.path.display().to_string());
    let failed = |why: String| Ended {
        exit: Exit::Failed,
        code: "ReceiptUnwritable",
        message: format!("the object is there and proven, and its receipt {shown} is not: {why}"),
        hint: Some("haul verify FILE ADDRESS proves the file again".to_owned()),
    };
    if receipt.parts.is_empty() {
        return Err(failed(
            "an earlier run completed the upload, and its parts are not known".into(),
        ));
    }
    file.write(&receipt.to_json()).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path) -> Result<Option<ReceiptFile>, Usage> {
        ReceiptFile::of(&ReceiptArgs { receipt: Some(path.to_owned()) })
    }

    #[test]
    fn a_receipt_replaces_a_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.json");
        for text in ["first", "second"] {
            file(&path).unwrap().unwrap().write(text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_cannot_be_a_receipt_is_refused_before_the_upload() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing/receipt.json")] {
            assert!(file(&path).is_err(), "{}", path.display());
        }
        assert!(ReceiptFile::of(&ReceiptArgs::default()).unwrap().is_none());
    }
}
