//! Opening the metadata: making it the first time, refusing what is too new, and giving room back to a full disk.

use redb::{Database, ReadableDatabase};

use crate::disk::{DatabaseFile, Disk};
use crate::meta::{Backend, Batch, FORMAT, Snapshot};
use crate::{Error, Result, StoreOptions};

const OPENING: &str = "opening the metadata database";
const MAKING: &str = "making the metadata database";

/// How much of a disk stays free for metadata.
pub(crate) fn reserve_bytes(disk: &dyn Disk, options: &StoreOptions) -> Result<u64> {
    let space = disk.space().map_err(Error::io("asking how full the disk is"))?;
    Ok(options.reserve_bytes.min(space.total_bytes / 16))
}

/// Opens the metadata, or makes it.
pub(crate) fn open_database(disk: &dyn Disk, options: &StoreOptions) -> Result<Database> {
    if let Some(file) = disk.open_database().map_err(Error::io(OPENING))? {
        let database = open(file, options)?;
        check_format(&database)?;
        return give_room_back(database, disk, options);
    }
    let database = open(disk.create_database().map_err(Error::io(MAKING))?, options)?;
    let transaction = database.begin_write()?;
    Batch::open(&transaction, options.clock.now_ms())?.mark_format()?;
    transaction.commit()?;
    database.close()?;
    disk.name_database().map_err(Error::io(MAKING))?;
    reopen(disk, options)
}

fn open(file: Box<dyn DatabaseFile>, options: &StoreOptions) -> Result<Database> {
    let mut builder = Database::builder();
    // Every page against its checksum, which takes 0.1 s per million objects: a changed one could make data files look
    // like orphans, and the sweep that follows would remove them.
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(Backend(file))?)
}

fn reopen(disk: &dyn Disk, options: &StoreOptions) -> Result<Database> {
    let file = disk.open_database().map_err(Error::io(OPENING))?;
    let vanished = || Error::Damaged { what: "the metadata database vanished".to_owned() };
    open(file.ok_or_else(vanished)?, options)
}

/// Makes sure that this Haul can read the folder, before anything else of it is looked at.
fn check_format(database: &Database) -> Result<()> {
    let found = Snapshot::new(database.begin_read()?).format()?;
    if found > FORMAT {
        return Err(Error::FormatTooNew { what: "the store", found, known: FORMAT });
    }
    Ok(())
}

/// The database keeps the pages of what was deleted for itself. When the disk is so full that the store would refuse
/// writes, it is made as small as it can be; otherwise nothing would ever give that room back.
fn give_room_back(mut database: Database, disk: &dyn Disk, options: &StoreOptions) -> Result<Database> {
    let space = disk.space().map_err(Error::io("asking how full the disk is"))?;
    if space.available_bytes >= reserve_bytes(disk, options)? {
        return Ok(database);
    }
    let Err(error) = database.compact() else { return Ok(database) };
    // It needs a little room itself, and remembers any failure. The file is as good as before.
    tracing::warn!(%error, "the disk is full, and the metadata could not be made smaller");
    drop(database);
    reopen(disk, options)
}
