//! Walks over all records and checks their invariants.

use std::collections::{HashMap, HashSet};

use haul_parts::{CompositeChecksum, ETag, combine_full_object};
use redb::ReadableTable;

use super::hashes::{file_size, hash_extents};
use super::progress::CheckProgress;
use super::report::{CheckReport, NAMED_MAX, Owner, Problem};
use crate::disk::FileId;
use crate::meta::{
    BucketRecord, Extent, FileRecord, Layout, LayoutPart, ObjectRecord, PartRecord, Snapshot,
    UploadRecord, upload_id_text,
};
use crate::reaper::Hold;
use crate::store::Inner;
use crate::{Error, ObjectChecksum, Result};

/// A check in progress.
pub(super) struct Walk<'s> {
    inner: &'s Inner,
    snapshot: Snapshot,
    report: CheckReport,
    progress: &'s CheckProgress,
    /// The files that the metadata lists, with the findings so far.
    files: HashMap<FileId, Found>,
    /// Keeps the files of the snapshot from being removed before the end of the check.
    _hold: Hold,
}

struct Found {
    record: FileRecord,
    counted: u64,
    hashed: Hashed,
}

#[derive(PartialEq, Eq)]
enum Hashed {
    NotYet,
    Sound,
}

impl<'s> Walk<'s> {
    pub(super) fn new(inner: &'s Inner, progress: &'s CheckProgress) -> Result<Self> {
        let opening = inner.core.reaper.opening();
        let snapshot = inner.core.snapshot()?;
        let mut files = HashMap::new();
        let mut report = CheckReport::default();
        for row in snapshot.files()?.iter()? {
            let (file, record) = row?;
            let file = FileId(file.value());
            match FileRecord::decode(record.value()) {
                Ok(record) => {
                    files.insert(file, Found { record, counted: 0, hashed: Hashed::NotYet });
                }
                Err(error) => report.contradiction(format!("{}: {error}", file.path().display())),
            }
        }
        let sizes = files.values().map(|found| found.record.size_bytes);
        progress.expect(sizes.fold(0, u64::saturating_add));
        let hold = opening.hold(files.keys().copied());
        Ok(Self { inner, snapshot, report, progress, files, _hold: hold })
    }

    pub(super) fn run(mut self) -> Result<CheckReport> {
        let buckets = self.buckets()?;
        let versions = self.objects(&buckets)?;
        self.layouts(&versions)?;
        let sequences = self.uploads(&buckets)?;
        self.parts(&sequences)?;
        self.known_files();
        self.orphans()?;
        let strangers = self.inner.core.disk.strangers(NAMED_MAX);
        let strangers =
            strangers.map_err(Error::io("looking for strangers among the data files"))?;
        (self.report.strangers, self.report.stranger_count) = strangers;
        self.report.read_bytes = self.progress.read_bytes();
        Ok(self.report)
    }

    fn buckets(&mut self) -> Result<HashSet<String>> {
        let mut buckets = HashSet::new();
        for row in self.snapshot.buckets()?.iter()? {
            let (name, record) = row?;
            if let Err(error) = BucketRecord::decode(record.value()) {
                self.report.contradiction(format!("bucket {}: {error}", name.value()));
            }
            buckets.insert(name.value().to_owned());
        }
        Ok(buckets)
    }

    /// Checks every object; returns the versions whose layout is in a separate table.
    fn objects(&mut self, buckets: &HashSet<String>) -> Result<HashSet<u64>> {
        let mut versions = HashSet::new();
        for row in self.snapshot.objects()?.iter()? {
            let (at, record) = row?;
            let (bucket, key) = at.value();
            let owner = Owner { bucket: bucket.to_owned(), key: key.to_owned(), upload_id: None };
            self.report.objects += 1;
            if !buckets.contains(bucket) {
                self.report.contradiction(format!("{owner} is in no bucket"));
            }
            let found = ObjectRecord::decode(record.value())
                .and_then(|object| Ok((self.snapshot.layout(&object)?, object)));
            match found {
                Ok((layout, object)) => {
                    if object.layout.is_none() {
                        versions.insert(object.version);
                    }
                    self.object(&owner, &object, &layout);
                }
                Err(error) => self.report.contradiction(format!("{owner}: {error}")),
            }
        }
        Ok(versions)
    }

    fn object(&mut self, owner: &Owner, object: &ObjectRecord, layout: &Layout) {
        for part in &layout.parts {
            self.part(owner, part);
        }
        let size_bytes =
            layout.parts.iter().map(|part| part.size_bytes).fold(0, u64::saturating_add);
        if size_bytes != object.size_bytes {
            let what =
                format!("{owner} has {size_bytes} bytes, {} are recorded", object.size_bytes);
            self.report.contradiction(what);
        }
        if let Some(etag) = etag_of(object, layout)
            && etag != object.etag
        {
            self.report
                .contradiction(format!("{owner} has ETag {etag}, {} is recorded", object.etag));
        }
        if let Some(checksum) = &object.checksum
            && !checksum_fits(checksum, layout)
        {
            self.report
                .contradiction(format!("{owner} does not match its recorded checksum {checksum}"));
        }
    }

    /// Checks that every layout belongs to an object.
    fn layouts(&mut self, versions: &HashSet<u64>) -> Result<()> {
        for row in self.snapshot.layouts()?.iter()? {
            let version = row?.0.value();
            if !versions.contains(&version) {
                self.report
                    .contradiction(format!("the layout of version {version} belongs to no object"));
            }
        }
        Ok(())
    }

    fn uploads(&mut self, buckets: &HashSet<String>) -> Result<HashMap<u64, Owner>> {
        let ids = self.snapshot.upload_ids()?;
        let mut sequences = HashMap::new();
        for row in self.snapshot.uploads()?.iter()? {
            let (at, record) = row?;
            let (bucket, key, sequence) = at.value();
            let upload = UploadRecord::decode(record.value());
            let upload_id = upload.as_ref().map_or_else(
                |_| "unknown".to_owned(),
                |upload| upload_id_text(upload.upload_id).as_str().to_owned(),
            );
            let owner = Owner {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                upload_id: Some(upload_id),
            };
            self.report.uploads += 1;
            if !buckets.contains(bucket) {
                self.report.contradiction(format!("{owner} is in no bucket"));
            }
            match upload {
                Ok(upload) => {
                    let found =
                        ids.get(u128::from_be_bytes(upload.upload_id))?.map(|found| found.value());
                    if found != Some(sequence) {
                        self.report.contradiction(format!("{owner} is not found by its id"));
                    }
                }
                Err(error) => self.report.contradiction(format!("{owner}: {error}")),
            }
            sequences.insert(sequence, owner);
        }
        for row in ids.iter()? {
            let sequence = row?.1.value();
            if !sequences.contains_key(&sequence) {
                self.report.contradiction(format!(
                    "an upload id leads to upload {sequence}, which is not there"
                ));
            }
        }
        Ok(sequences)
    }

    fn parts(&mut self, sequences: &HashMap<u64, Owner>) -> Result<()> {
        for row in self.snapshot.parts()?.iter()? {
            let (at, record) = row?;
            let (sequence, number) = at.value();
            self.report.parts += 1;
            let Some(owner) = sequences.get(&sequence) else {
                self.report.contradiction(format!(
                    "part {number} belongs to upload {sequence}, which is not there"
                ));
                continue;
            };
            match PartRecord::decode(record.value()) {
                Ok(part) => self.part(owner, &part.into_layout(number)),
                Err(error) => {
                    self.report.contradiction(format!("part {number} of {owner}: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Checks a part: its extents lie in their files and add up to its length, and its bytes match
    /// its hashes.
    fn part(&mut self, owner: &Owner, part: &LayoutPart) {
        let mut inside = 0;
        for extent in &part.extents {
            // Use saturating arithmetic: the records of a damaged store may contain any number.
            inside = u64::saturating_add(inside, extent.size_bytes);
            match self.files.get_mut(&extent.file) {
                Some(found) => {
                    found.counted += 1;
                    let end = extent.offset.checked_add(extent.size_bytes);
                    if end.is_none_or(|end| end > found.record.size_bytes) {
                        let what = format!("lies outside {}", extent.file.path().display());
                        self.report.damaged_part(owner, part.number, what);
                    }
                }
                None => {
                    let what =
                        format!("is in {}, which is not known", extent.file.path().display());
                    self.report.damaged_part(owner, part.number, what);
                }
            }
        }
        if inside != part.size_bytes {
            let what = format!("has {inside} bytes, {} are recorded", part.size_bytes);
            self.report.damaged_part(owner, part.number, what);
        }
        self.hash(owner, part);
    }

    fn hash(&mut self, owner: &Owner, part: &LayoutPart) {
        let algorithm = part.checksum.map(|checksum| checksum.algorithm());
        match hash_extents(self.inner, &part.extents, algorithm, self.progress) {
            Err(unreadable) => self.report.damaged_part(owner, part.number, unreadable.to_string()),
            Ok(hashes) if hashes.md5 != part.md5 => {
                let what = format!("its bytes in {} have another MD5", files_of(part));
                self.report.damaged_part(owner, part.number, what);
            }
            Ok(hashes) if hashes.checksum != part.checksum => {
                let what = format!("its bytes in {} have another checksum", files_of(part));
                self.report.damaged_part(owner, part.number, what);
            }
            Ok(_) => self.whole_file_is_sound(part),
        }
    }

    /// Marks the file of a part as sound. If a part is a whole file, its hash also proves the file,
    /// which then need not be read again.
    fn whole_file_is_sound(&mut self, part: &LayoutPart) {
        let [Extent { file, offset: 0, size_bytes }] = part.extents[..] else { return };
        if let Some(found) = self.files.get_mut(&file)
            && found.record.size_bytes == size_bytes
            && found.record.md5 == part.md5
        {
            found.hashed = Hashed::Sound;
        }
    }

    fn known_files(&mut self) {
        let mut files: Vec<(FileId, Found)> = self.files.drain().collect();
        files.sort_unstable_by_key(|(file, _)| *file);
        self.report.files = files.len() as u64;
        for (file, found) in files {
            let recorded = found.record.references;
            if recorded != found.counted {
                let counted = found.counted;
                self.report.problem(Problem::WrongReferences { file, recorded, counted });
            }
            if let Err(what) = self.file(file, &found) {
                self.report.problem(Problem::DamagedFile { file, what });
            }
        }
    }

    fn file(&mut self, file: FileId, found: &Found) -> Result<(), String> {
        let size_bytes = file_size(self.inner, file)?;
        if size_bytes != found.record.size_bytes {
            return Err(format!(
                "has {size_bytes} bytes, {} are recorded",
                found.record.size_bytes
            ));
        }
        if found.hashed == Hashed::NotYet {
            let whole = [Extent { file, offset: 0, size_bytes }];
            let hashes = hash_extents(self.inner, &whole, None, self.progress);
            let hashes = hashes.map_err(|unreadable| unreadable.what)?;
            if hashes.md5 != found.record.md5 {
                return Err("its bytes have another MD5".to_owned());
            }
        }
        Ok(())
    }

    fn orphans(&mut self) -> Result<()> {
        let disk = &self.inner.core.disk;
        let files = self.snapshot.files()?;
        for folder in disk.folders().map_err(Error::io("listing data folders"))? {
            for file in disk.files(folder).map_err(Error::io("listing a data folder"))? {
                if files.get(file.0)?.is_none() && !self.inner.is_in_use(file)? {
                    self.report.orphan(file.path());
                }
            }
        }
        for leftover in disk.leftovers().map_err(Error::io("listing the staging folder"))? {
            self.report.orphan(leftover);
        }
        Ok(())
    }
}

/// Counts the data files that nothing refers to at present.
pub(super) fn count_orphans(inner: &Inner) -> Result<u64> {
    let mut count = 0;
    for folder in inner.core.disk.folders().map_err(Error::io("listing data folders"))? {
        for file in inner.core.disk.files(folder).map_err(Error::io("listing a data folder"))? {
            count += u64::from(!inner.is_in_use(file)?);
        }
    }
    let leftovers = inner.core.disk.leftovers().map_err(Error::io("listing the staging folder"))?;
    Ok(count + leftovers.len() as u64)
}

/// Names the files of a part, for a message.
fn files_of(part: &LayoutPart) -> String {
    let files: Vec<String> =
        part.extents.iter().map(|extent| extent.file.path().display().to_string()).collect();
    files.join(", ")
}

/// Computes the ETag from the layout; `None` if there is nothing to check (an object without
/// parts).
fn etag_of(object: &ObjectRecord, layout: &Layout) -> Option<ETag> {
    match object.part_count {
        Some(_) => Some(ETag::composite(layout.parts.iter().map(|part| part.md5))),
        None => layout.parts.first().map(|part| ETag::from_md5(part.md5)),
    }
}

fn checksum_fits(checksum: &ObjectChecksum, layout: &Layout) -> bool {
    let Some(parts) = layout
        .parts
        .iter()
        .map(|part| Some((part.checksum?, part.size_bytes)))
        .collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    match (checksum, &parts[..]) {
        // The checksum of a single part is that of the object, even for algorithms that cannot be
        // combined.
        (ObjectChecksum::FullObject(checksum), [(only, _)]) => only == checksum,
        (ObjectChecksum::FullObject(checksum), _) => {
            combine_full_object(parts.iter().copied()).is_ok_and(|whole| whole == *checksum)
        }
        (ObjectChecksum::Composite(composite), _) => {
            CompositeChecksum::from_parts(parts.iter().map(|(checksum, _)| *checksum))
                .is_ok_and(|whole| whole == *composite)
        }
    }
}
