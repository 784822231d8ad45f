//! Creates self-signed certificates, as most people do: with `openssl req -x509`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A certificate and its key, both as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The path of the certificate.
    pub certificate: PathBuf,
    /// The path of its private key.
    pub key: PathBuf,
}

/// Creates a self-signed certificate for `name` in `folder`, with additional arguments for openssl,
/// such as `-addext subjectAltName=IP:127.0.0.1`. It is also a CA, which is openssl's default.
///
/// # Errors
/// Fails if openssl is missing or fails.
pub fn self_signed(folder: &Path, name: &str, more: &[&str]) -> Result<Certificate> {
    let [certificate, key] = ["crt", "key"].map(|ending| folder.join(format!("{name}.{ending}")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    command.arg("-subj").arg(format!("/CN={name}")).args(more);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let output = command.output().context("start openssl, of the Debian package of that name")?;
    ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Certificate { certificate, key })
}
