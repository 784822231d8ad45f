//! Opens the metadata database: creates it at first use, refuses a database that is too new or
//! belongs to another store, and compacts it when the disk is full.
//!
//! New metadata is created only if there are no data files: an empty database must not replace lost
//! metadata, because then every data file would look like an orphan.

use redb::{Database, ReadableDatabase};

use crate::disk::{DatabaseFile, Disk};
use crate::meta::{Backend, Batch, FORMAT, Snapshot};
use crate::store_id::StoreId;
use crate::{Error, Result, StoreOptions};

const OPENING: &str = "opening the metadata database";
const MAKING: &str = "making the metadata database";

/// Returns the bytes of the disk to keep free for metadata.
pub(crate) fn reserve_bytes(disk: &dyn Disk, options: &StoreOptions) -> Result<u64> {
    let space = disk.space().map_err(Error::io("asking how full the disk is"))?;
    Ok(options.reserve_bytes.min(space.total_bytes / 16))
}

/// Opens or creates the metadata. Returns it with the id of the store.
pub(crate) fn open_database(
    disk: &dyn Disk,
    options: &StoreOptions,
) -> Result<(Database, StoreId)> {
    if let Some(file) = disk.open_database().map_err(Error::io(OPENING))? {
        // redb would turn an empty file into an empty database.
        if file.size_bytes().map_err(Error::io(OPENING))? == 0 {
            return Err(Error::MetadataDamaged { message: "it is empty".to_owned() });
        }
        let database = open(file, options)?;
        check_format(&database)?;
        let id = Snapshot::new(database.begin_read()?).store_id()?;
        check_store_id(disk, id)?;
        return Ok((give_room_back(database, disk, options)?, id));
    }
    refuse_lost_metadata(disk)?;
    let id = StoreId::random();
    let database = open(disk.create_database().map_err(Error::io(MAKING))?, options)?;
    let transaction = database.begin_write()?;
    Batch::open(&transaction, options.clock.now_ms())?.mark_format(id)?;
    transaction.commit()?;
    database.close()?;
    disk.name_database().map_err(Error::io(MAKING))?;
    disk.write_store_id(id.file_text().as_bytes()).map_err(Error::io(MAKING))?;
    Ok((reopen(disk, options)?, id))
}

/// Fails if metadata is missing: if there are data files, or if the folder once had a store.
pub(crate) fn refuse_lost_metadata(disk: &dyn Disk) -> Result<()> {
    let files = count_data_files(disk)?;
    if files > 0 || read_store_id(disk)?.is_some() {
        return Err(Error::MetadataLost { dir: disk.location(), files });
    }
    Ok(())
}

/// Fails unless the data files belong to this metadata.
fn check_store_id(disk: &dyn Disk, id: StoreId) -> Result<()> {
    let beside = read_store_id(disk)?;
    if beside.as_deref().and_then(StoreId::from_file_text) == Some(id) {
        return Ok(());
    }
    // Power may fail between creating the metadata and writing the store id beside the data files.
    // Both happen before the first data file is created.
    if beside.is_none() && count_data_files(disk)? == 0 {
        return disk.write_store_id(id.file_text().as_bytes()).map_err(Error::io(MAKING));
    }
    let data = beside.map(|line| match StoreId::from_file_text(&line) {
        Some(id) => id.to_string(),
        None => String::from_utf8_lossy(&line).trim_end().to_owned(),
    });
    Err(Error::ForeignMetadata { dir: disk.location(), metadata: id.to_string(), data })
}

fn read_store_id(disk: &dyn Disk) -> Result<Option<Vec<u8>>> {
    disk.read_store_id().map_err(Error::io("reading data/store-id"))
}

fn count_data_files(disk: &dyn Disk) -> Result<u64> {
    let mut count = 0;
    for folder in disk.folders().map_err(Error::io("listing data folders"))? {
        count += disk.files(folder).map_err(Error::io("listing a data folder"))?.len() as u64;
    }
    Ok(count)
}

fn open(file: Box<dyn DatabaseFile>, options: &StoreOptions) -> Result<Database> {
    let mut builder = Database::builder();
    // Verify every page checksum, which takes 0.1 s per million objects: a changed page could make
    // data files look like orphans.
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(Backend(file))?)
}

fn reopen(disk: &dyn Disk, options: &StoreOptions) -> Result<Database> {
    let file = disk.open_database().map_err(Error::io(OPENING))?;
    let vanished = || Error::Damaged { what: "the metadata database vanished".to_owned() };
    open(file.ok_or_else(vanished)?, options)
}

/// Fails unless this Haul can read the format of the folder. Must run before anything else is read.
fn check_format(database: &Database) -> Result<()> {
    let found = Snapshot::new(database.begin_read()?).format()?;
    if found > FORMAT {
        return Err(Error::FormatTooNew { what: "the store", found, known: FORMAT });
    }
    if found < FORMAT {
        return Err(Error::FormatTooOld { what: "the store", found, oldest: FORMAT });
    }
    Ok(())
}

/// Compacts the database if the disk is so full that the store would refuse writes. The database
/// keeps the pages of deleted records; only compacting returns their space.
fn give_room_back(
    mut database: Database,
    disk: &dyn Disk,
    options: &StoreOptions,
) -> Result<Database> {
    let space = disk.space().map_err(Error::io("asking how full the disk is"))?;
    if space.available_bytes >= reserve_bytes(disk, options)? {
        return Ok(database);
    }
    let Err(error) = database.compact() else { return Ok(database) };
    // Compacting needs some space itself, and its failure is sticky. The file is unchanged then.
    tracing::warn!(%error, "the disk is full, and the metadata could not be made smaller");
    drop(database);
    reopen(disk, options)
}
