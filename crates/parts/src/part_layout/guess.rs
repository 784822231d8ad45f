//! Guesses the layout of an object from its length and the number of its parts, by the part sizes
//! that tools use.
//!
//! The number of parts is the end of a multipart ETag (`…-N`), and all that some stores reveal. A
//! guess proves nothing by itself: an ETag that is recomputed over a guessed layout and *matches*
//! proves that the bytes are equal; one that does not match may only mean that the guess was wrong.
//!
//! Sources of the sizes: aws-cli and boto3 8 MiB (`TransferConfig.multipart_chunksize`), doubled
//! while there are more than 10,000 parts (`s3transfer.utils.ChunksizeAdjuster`); rclone and the
//! AWS SDK for Go 5 MiB; s5cmd 50 MiB; mc and minio-go 16 MiB, earlier 64 and 128 MiB; s3cmd 15
//! MiB; Cyberduck 10 MiB; the AWS SDK for JavaScript 5 MiB.

use super::PartLayout;
use crate::limits::{Limits, MIB, PART_COUNT_MAX};
use crate::{GrowingPlan, PartPlan};

/// The largest number of layouts that are guessed: each costs one more MD5 of the object.
pub const LAYOUTS_GUESSED_MAX: usize = 24;

/// Part sizes that tools use, in MiB, the most frequent first.
const USUAL_MIB: [u64; 15] = [8, 5, 50, 16, 10, 15, 64, 32, 100, 128, 256, 512, 1024, 20, 25];

/// Part sizes that people write in decimal, in bytes.
const DECIMAL_BYTES: [u64; 6] =
    [5_000_000, 8_000_000, 10_000_000, 16_000_000, 50_000_000, 100_000_000];

/// Returns the layouts with so many parts that an object of this length may have, the most probable
/// first, at most [`LAYOUTS_GUESSED_MAX`].
pub fn layouts_of_count(size_bytes: u64, part_count: u16) -> Vec<PartLayout> {
    let mut found: Vec<PartLayout> = Vec::new();
    if part_count == 1 {
        return vec![PartLayout::one_part(size_bytes)];
    }
    let layouts = part_sizes(size_bytes, part_count)
        .filter_map(|part_size_bytes| PartLayout::equal(size_bytes, part_size_bytes))
        .chain(of_stream(size_bytes));
    for layout in layouts {
        if layout.part_count() == part_count && !found.contains(&layout) {
            found.push(layout);
        }
        if found.len() == LAYOUTS_GUESSED_MAX {
            break;
        }
    }
    found
}

/// The part sizes in question: those of tools, then every whole MiB with the right number of parts.
fn part_sizes(size_bytes: u64, part_count: u16) -> impl Iterator<Item = u64> {
    let own = PartPlan::new(size_bytes, &Limits::AWS, None).map(|plan| plan.part_size_bytes());
    let usual = USUAL_MIB.map(|mib| mib * MIB).into_iter().chain(DECIMAL_BYTES);
    let grown = usual.flat_map(move |part_size| grown(part_size, size_bytes));
    let count = u64::from(part_count).max(2);
    // Exactly these part sizes make that many parts.
    let (least, most) = (size_bytes.div_ceil(count), (size_bytes.max(1) - 1) / (count - 1));
    let whole_mib = (least.div_ceil(MIB)..=most / MIB).map(|mib| mib * MIB);
    own.into_iter().chain(grown).chain([least]).chain(whole_mib)
}

/// Returns the part sizes that tools choose if their default would give too many parts: the size
/// itself, doubled (aws-cli), a multiple (minio-go), the next MiB (rclone), or one byte more than
/// an even share (AWS SDK for Go).
fn grown(part_size_bytes: u64, size_bytes: u64) -> impl Iterator<Item = u64> {
    let most = u64::from(PART_COUNT_MAX);
    let share = size_bytes.div_ceil(most).max(1);
    let fits = share <= part_size_bytes;
    let doubled = std::iter::successors(Some(part_size_bytes), |size| size.checked_mul(2))
        .find(|size| *size >= share);
    let larger = [
        doubled,
        Some(share.next_multiple_of(part_size_bytes)),
        Some(share.next_multiple_of(MIB)),
        Some(size_bytes / most + 1),
    ];
    fits.then_some(part_size_bytes)
        .into_iter()
        .chain(larger.into_iter().flatten().filter(move |_| !fits))
}

/// As Haul cuts a stream whose length it did not know.
fn of_stream(size_bytes: u64) -> Option<PartLayout> {
    let plan = GrowingPlan::new(&Limits::AWS, None, None).ok()?;
    let begun = plan.parts().take_while(|part| part.offset_bytes < size_bytes);
    let sizes = begun.map(|part| part.size_bytes.min(size_bytes - part.offset_bytes));
    PartLayout::of_sizes(sizes).filter(|layout| layout.size_bytes() == size_bytes)
}
