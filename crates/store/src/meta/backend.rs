//! The storage backend of redb over the database file of a [`Disk`](crate::disk::Disk). The disk
//! does the locking, so this backend has none.

use std::io;

use redb::StorageBackend;

use crate::disk::DatabaseFile;

/// The database file behind redb's backend trait.
#[derive(Debug)]
pub(crate) struct Backend(pub(crate) Box<dyn DatabaseFile>);

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.size_bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_size(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_all_at(data, offset)
    }
}
