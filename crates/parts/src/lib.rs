//! The laws of S3 multipart as values and pure functions.
