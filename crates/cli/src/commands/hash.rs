//! `haul hash FILE…`: computes the checksums and ETags that S3 would have for a file, in one pass
//! over it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use haul::parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, Limits, PartChecksums, PartLayout, PartPlan,
};
use haul::verify::{HashOptions, digest};
use haul::{Error as EngineError, FileSource, Source};
use serde::Serialize;

use crate::args::{ChecksumChoice, HashArgs};
use crate::exit::Exit;
use crate::failure::{Ended, Failure, FailureContext, Usage};
use crate::output::{Mode, paint, visible};
use crate::size::human_size;

/// The values of one file.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "hashed")]
struct Hashed {
    path: String,
    size_bytes: u64,
    part_size_bytes: u64,
    part_count: u16,
    /// The ETag of the file sent in one request: its MD5 in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    /// The ETag of the file sent in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    checksums: Vec<HashedChecksum>,
}

#[derive(Debug, Serialize)]
struct HashedChecksum {
    algorithm: ChecksumAlgorithm,
    #[serde(rename = "type")]
    kind: ChecksumType,
    value: String,
}

/// Hashes the files in order. A file that cannot be read is reported, and the next one follows.
pub(crate) async fn run(args: HashArgs, mode: Mode) -> anyhow::Result<Exit> {
    let wanted = Wanted::of(&args.checksum)?;
    let (mut failed, count) = (0_usize, args.files.len());
    for file in &args.files {
        let shown = visible(&file.display().to_string());
        let context = || FailureContext::of(format!("cannot hash {shown}"));
        match hashed(file, &wanted, args.part_size).await.with_context(context) {
            Ok(hashed) => {
                mode.record(&hashed)?;
                print(&hashed, mode)?;
            }
            Err(error) if count == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                Failure::of(&error).lines(paint).complain();
            }
        }
    }
    if failed == 0 {
        return Ok(Exit::Done);
    }
    Err(Ended {
        exit: Exit::Failed,
        code: "SourceUnreadable",
        message: format!("{failed} of {count} files could not be hashed"),
        hint: None,
    }
    .into())
}

/// The algorithms to compute for the whole file, and for its parts.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    whole: Vec<ChecksumAlgorithm>,
    parts: Vec<ChecksumAlgorithm>,
}

impl Wanted {
    fn of(chosen: &[ChecksumChoice]) -> Result<Self, Usage> {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
        if chosen.is_empty() {
            // A SHA of the whole object exists only after PutObject, and costs more than all other
            // algorithms together.
            return Ok(Self {
                whole: vec![Md5, Crc64Nvme, Crc32c, Crc32],
                parts: vec![Md5, Crc32c, Crc32, Sha256, Sha1],
            });
        }
        let algorithms: Option<Vec<_>> = chosen.iter().map(|choice| choice.algorithm()).collect();
        let Some(whole) = algorithms else {
            return Err(Usage::new(
                "none is no checksum",
                "name an algorithm, or leave --checksum out",
            ));
        };
        let of_parts = |algorithm: &ChecksumAlgorithm| algorithm.supports(ChecksumType::Composite);
        let parts = whole.iter().copied().filter(of_parts).collect();
        Ok(Self { whole, parts })
    }
}

async fn hashed(file: &Path, wanted: &Wanted, part_size: Option<u64>) -> anyhow::Result<Hashed> {
    let path = file.to_owned();
    let opened = tokio::task::spawn_blocking(move || FileSource::open(path)).await?;
    let source = opened.map_err(EngineError::from)?;
    let size_bytes = Source::size_bytes(&source);
    let plan = PartPlan::new(size_bytes, &Limits::AWS, part_size).map_err(|error| {
        EngineError::Plan { source_name: file.display().to_string(), source: error }
    })?;
    let (layout, whole) = (PartLayout::from(&plan), PartLayout::one_part(size_bytes));
    let of_whole = wanted.whole.iter().map(|algorithm| (whole.clone(), *algorithm));
    let of_parts = wanted.parts.iter().map(|algorithm| (layout.clone(), *algorithm));
    let asked = of_whole.chain(of_parts).collect();
    let mut found = digest(Arc::new(source), asked, HashOptions::default()).await?;
    let of_parts = found.split_off(wanted.whole.len());
    let mut hashed = Hashed {
        path: file.display().to_string(),
        size_bytes,
        part_size_bytes: plan.part_size_bytes(),
        part_count: plan.part_count(),
        md5: None,
        etag: None,
        checksums: vec![],
    };
    for value in found.iter().filter_map(|found| found.checksums.first().copied()) {
        hashed.add_whole(value);
    }
    for parts in &of_parts {
        hashed.add_parts(parts)?;
    }
    Ok(hashed)
}

impl Hashed {
    fn add_whole(&mut self, value: Checksum) {
        if let Some(md5) = value.as_md5() {
            self.md5 = Some(ETag::from_md5(md5).unquoted().to_owned());
            return;
        }
        let (algorithm, kind) = (value.algorithm(), ChecksumType::FullObject);
        self.checksums.push(HashedChecksum { algorithm, kind, value: value.to_base64() });
    }

    fn add_parts(&mut self, parts: &PartChecksums) -> anyhow::Result<()> {
        if let Some(etag) = parts.etag() {
            self.etag = Some(etag.unquoted().to_owned());
            return Ok(());
        }
        let composite = parts.composite()?;
        let (algorithm, kind) = (composite.checksum().algorithm(), ChecksumType::Composite);
        self.checksums.push(HashedChecksum { algorithm, kind, value: composite.to_string() });
        Ok(())
    }
}

fn print(hashed: &Hashed, mode: Mode) -> anyhow::Result<()> {
    mode.row(&format!("{}  {}", visible(&hashed.path), human_size(hashed.size_bytes)))?;
    let parts = match hashed.part_count {
        1 => "in 1 part".to_owned(),
        count => format!("in {count} parts of {}", human_size(hashed.part_size_bytes)),
    };
    let row = |name: &str, value: &str, of: &str| mode.row(&format!("  {name:<10} {value}  {of}"));
    if let Some(md5) = &hashed.md5 {
        row("ETag", md5, "in one request (MD5)")?;
    }
    if let Some(etag) = &hashed.etag {
        row("ETag", etag, &parts)?;
    }
    for checksum in &hashed.checksums {
        let of = match checksum.kind {
            ChecksumType::FullObject => "full object",
            ChecksumType::Composite => &parts,
        };
        row(checksum.algorithm.s3_name(), &checksum.value, of)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_that_has_no_composite_is_of_the_whole_only() {
        let crc64 = Wanted::of(&[ChecksumChoice::Crc64nvme]).unwrap();
        assert_eq!(crc64.whole, [ChecksumAlgorithm::Crc64Nvme]);
        assert_eq!(crc64.parts, []);
        let sha = Wanted::of(&[ChecksumChoice::Sha256]).unwrap();
        assert_eq!((sha.whole.len(), sha.parts.len()), (1, 1));
        assert!(Wanted::of(&[ChecksumChoice::None]).is_err());
    }
}
