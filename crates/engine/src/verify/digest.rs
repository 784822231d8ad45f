//! Computes the checksums of a source over several layouts, in one pass.
//!
//! A hash can be computed only in order, but parts are hashed independently of each other, and a
//! CRC of the whole source is combined from the CRCs of any pieces. So a single layout is read at
//! several places in parallel ([`striped`]); several layouts, or a hash of the whole source, are
//! read from beginning to end.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use haul_parts::lanes::{Choice, Md5Lanes};
use haul_parts::limits::{MIB, PART_COUNT_MAX};
use haul_parts::{ChecksumAlgorithm, PartChecksums, PartHasher, PartLayout};

use super::HashOptions;
use super::striped::striped;
use crate::error::Error;
use crate::source::Source;

/// The size of the pieces if only CRCs of the whole source are needed.
const PIECE_BYTES: u64 = 8 * MIB;

/// Bytes of one read if a source is read from beginning to end.
const BLOCK_BYTES: u64 = MIB;

/// The fastest implementation of MD5 on this machine.
pub(super) static LANES: LazyLock<Md5Lanes> = LazyLock::new(|| {
    let begin = Instant::now();
    Md5Lanes::new(Choice::measure(|| begin.elapsed()))
});

/// Computes the checksums of every part of each layout, with the algorithm that is paired with it.
/// The source is read once, on blocking threads.
///
/// # Errors
/// If the source cannot be read, or changed meanwhile.
pub async fn digest(
    source: Arc<dyn Source>,
    wanted: Vec<(PartLayout, ChecksumAlgorithm)>,
    options: HashOptions,
) -> Result<Vec<PartChecksums>, Error> {
    let hashing = tokio::task::spawn_blocking(move || {
        let read = digest_blocking(source.as_ref(), wanted, &options);
        let source_name = source.name();
        // A source that was truncated is reported as changed.
        match (source.check_unchanged(), read) {
            (Err(change), _) => Err(Error::SourceChanged { source_name, change }),
            (Ok(()), Err(source)) => Err(Error::SourceUnreadable { source_name, source }),
            (Ok(()), Ok(found)) => Ok(found),
        }
    });
    hashing.await.map_err(|error| Error::Internal(format!("hashing ended: {error}")))?
}

fn digest_blocking(
    source: &dyn Source,
    wanted: Vec<(PartLayout, ChecksumAlgorithm)>,
    options: &HashOptions,
) -> io::Result<Vec<PartChecksums>> {
    let Some(layout) = common_layout(&wanted, source.size_bytes()) else {
        return in_order(source, wanted, options);
    };
    let mut algorithms: Vec<ChecksumAlgorithm> = Vec::new();
    for (_, algorithm) in &wanted {
        if !algorithms.contains(algorithm) {
            algorithms.push(*algorithm);
        }
    }
    let found = striped(source, &layout, &algorithms, options)?;
    let of = |(wanted, algorithm): (PartLayout, ChecksumAlgorithm)| {
        let index = algorithms.iter().position(|known| *known == algorithm).unwrap_or_default();
        let checksums = found.iter().map(|part| part[index]).collect();
        let parts = PartChecksums { layout: layout.clone(), checksums };
        if wanted == layout {
            return parts;
        }
        // Apart from the layout, only CRCs of the whole source are needed.
        let whole = parts.full_object().expect("CRCs of one algorithm are combined");
        PartChecksums { layout: wanted, checksums: vec![whole] }
    };
    Ok(wanted.into_iter().map(of).collect())
}

/// Returns the one layout with several parts from which all values can be computed, if there is
/// one.
fn common_layout(
    wanted: &[(PartLayout, ChecksumAlgorithm)],
    size_bytes: u64,
) -> Option<PartLayout> {
    let is_whole_crc = |(layout, algorithm): &&(PartLayout, ChecksumAlgorithm)| {
        layout.part_count() == 1 && algorithm.combines()
    };
    let mut layouts = wanted.iter().filter(|entry| !is_whole_crc(entry)).map(|(layout, _)| layout);
    let layout = match layouts.next() {
        Some(first) => layouts.all(|layout| layout == first).then(|| first.clone())?,
        None => {
            let least = size_bytes.div_ceil(u64::from(PART_COUNT_MAX)).next_multiple_of(MIB);
            PartLayout::equal(size_bytes, PIECE_BYTES.max(least))?
        }
    };
    (layout.part_count() > 1 && layout.size_bytes() == size_bytes).then_some(layout)
}

fn in_order(
    source: &dyn Source,
    wanted: Vec<(PartLayout, ChecksumAlgorithm)>,
    options: &HashOptions,
) -> io::Result<Vec<PartChecksums>> {
    let mut hasher = PartHasher::new(wanted, *LANES);
    let mut offset_bytes = 0;
    let mut block = Vec::new();
    while offset_bytes < source.size_bytes() {
        let now = BLOCK_BYTES.min(source.size_bytes() - offset_bytes);
        block.resize(usize::try_from(now).expect("a block fits the memory"), 0);
        source.read_exact_at(offset_bytes, &mut block)?;
        hasher.update(&block);
        options.progress.add(block.len());
        offset_bytes += now;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use haul_parts::Hasher;

    use super::*;
    use crate::source::BytesSource;

    const SIZE: usize = 3 * 1024 * 1024 + 17;

    fn bytes() -> Bytes {
        (0..SIZE).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
    }

    fn simple(bytes: &[u8], layout: &PartLayout, algorithm: ChecksumAlgorithm) -> PartChecksums {
        let checksums = layout.parts().map(|part| {
            let part = usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap();
            Hasher::checksum(algorithm, &bytes[part])
        });
        PartChecksums { checksums: checksums.collect(), layout: layout.clone() }
    }

    async fn assert_digested(wanted: Vec<(PartLayout, ChecksumAlgorithm)>, bytes: Bytes) {
        for threads in [1, 3] {
            let options = HashOptions { threads, ..HashOptions::default() };
            let source = Arc::new(BytesSource::new(bytes.clone()));
            let found = digest(source, wanted.clone(), options.clone()).await.unwrap();
            let expected: Vec<_> = wanted
                .iter()
                .map(|(layout, algorithm)| simple(&bytes, layout, *algorithm))
                .collect();
            assert_eq!(found, expected, "{wanted:?}");
            assert_eq!(options.progress.get(), bytes.len() as u64, "the source is read once");
        }
    }

    #[tokio::test]
    async fn parts_in_several_lanes_and_threads_have_their_checksums() {
        let size = SIZE as u64;
        let all = ChecksumAlgorithm::ALL;
        for layout in [
            PartLayout::equal(size, 100_000).unwrap(),
            PartLayout::equal(size, 1_600_000).unwrap(),
            PartLayout::of_sizes([1, 1_000_000, 0, size - 1_000_001]).unwrap(),
        ] {
            let wanted = all.map(|algorithm| (layout.clone(), algorithm));
            let whole = (PartLayout::one_part(size), ChecksumAlgorithm::Crc64Nvme);
            assert_digested(wanted.into_iter().chain([whole]).collect(), bytes()).await;
        }
    }

    #[tokio::test]
    async fn wholes_and_several_layouts_are_hashed_in_one_reading() {
        let size = SIZE as u64;
        let whole = PartLayout::one_part(size);
        for algorithm in ChecksumAlgorithm::ALL {
            assert_digested(vec![(whole.clone(), algorithm)], bytes()).await;
        }
        let several = [whole, PartLayout::equal(size, 1_000_000).unwrap()];
        let wanted = several
            .iter()
            .flat_map(|layout| ChecksumAlgorithm::ALL.map(|one| (layout.clone(), one)));
        assert_digested(wanted.collect(), bytes()).await;
    }

    #[tokio::test]
    async fn crcs_of_long_and_empty_sources_are_combined() {
        let long: Bytes = vec![7; 20 * 1024 * 1024 + 1].into();
        let whole = |bytes: &Bytes| PartLayout::one_part(bytes.len() as u64);
        let crcs = |bytes: &Bytes| {
            let combining = ChecksumAlgorithm::ALL.into_iter().filter(|one| one.combines());
            combining.map(|algorithm| (whole(bytes), algorithm)).collect()
        };
        assert_digested(crcs(&long), long.clone()).await;
        assert_digested(crcs(&Bytes::new()), Bytes::new()).await;
        let md5 = vec![(PartLayout::one_part(0), ChecksumAlgorithm::Md5)];
        assert_digested(md5, Bytes::new()).await;
    }
}
