//! Moves files that are too big to fail into S3: the library.
