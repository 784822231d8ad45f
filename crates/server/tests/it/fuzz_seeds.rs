//! Runs the seeds of `fuzz/`, including inputs that a fuzzer once found.

use haul_testkit::seeds::feed;

#[test]
fn request_head() {
    feed("request_head", haul_server::fuzzing::request_head).unwrap();
}

#[test]
fn aws_chunked() {
    feed("aws_chunked", haul_server::fuzzing::aws_chunked).unwrap();
}

#[test]
fn keys_file() {
    feed("keys_file", haul_server::fuzzing::keys_file).unwrap();
}

#[test]
fn documents() {
    feed("documents", haul_server::fuzzing::documents).unwrap();
}
