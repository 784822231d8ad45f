//! The floor of many short files: lists the folder, and opens, reads, hashes and sends each file in
//! one request.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use haul_parts::Hasher;

use super::{ALGORITHM, Connection, on_connections, read_head};

pub(super) fn run(words: &[String]) -> Result<()> {
    let [address, connections, folder, authority @ ..] = words else {
        bail!("floor files ADDRESS CONNECTIONS FOLDER [CA]");
    };
    let connections = connections.parse()?;
    let mut files = Vec::new();
    find(Path::new(folder), &mut files)?;
    let every = usize::try_from(connections)?;
    on_connections(address, connections, authority, move |first, stream| {
        let share = files.iter().skip(usize::try_from(first)?).step_by(every);
        share.into_iter().try_for_each(|file| send(file, stream))
    })
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn send(file: &Path, stream: &mut Connection<'_>) -> Result<()> {
    let content = fs::read(file)?;
    std::hint::black_box(Hasher::checksum(ALGORITHM, &content));
    let name = file.file_name().unwrap_or_default().display();
    let length = content.len();
    write!(
        stream.get_mut(),
        "PUT /bench/floor-{name} HTTP/1.1\r\nHost: floor\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.get_mut().write_all(&content)?;
    stream.get_mut().flush()?;
    read_head(stream, 200)
}
