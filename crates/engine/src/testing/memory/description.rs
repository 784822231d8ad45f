//! HeadObject with every field, and GetObjectAttributes, of the in-memory store.

use haul_parts::{ChecksumType, PartNumber};

use super::quirks::EtagKind;
use super::world::World;
use crate::remote::{
    Encryption, ObjectDescription, ObjectPart, ObjectPartsPage, ObjectRef, Operation, StoreError,
};

impl World {
    pub(super) fn describe_object(
        &mut self,
        object: &ObjectRef,
    ) -> Result<ObjectDescription, StoreError> {
        let head = self.head_object(object)?;
        let algorithm = (self.quirks.etags == EtagKind::Encrypted).then(|| "aws:kms".to_owned());
        let encryption = Encryption { algorithm, ..Encryption::default() };
        Ok(ObjectDescription { encryption, ..ObjectDescription::from(head) })
    }

    /// Returns the parts of an object. Like AWS, lists them only if the object has a composite
    /// checksum.
    pub(super) fn get_object_attributes(
        &mut self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        let operation = Operation::GetObjectAttributes;
        if !self.quirks.tells_parts {
            return Err(StoreError::answered(operation, 501, Some("NotImplemented"), ""));
        }
        let page_max = self.quirks.page_max;
        let stored = self.stored(operation, object)?;
        let part_count = u16::try_from(stored.parts.len()).ok().filter(|count| *count > 0);
        let is_composite = matches!(stored.checksum, Some((_, ChecksumType::Composite)));
        if !is_composite {
            return Ok(ObjectPartsPage { part_count, ..ObjectPartsPage::default() });
        }
        let skipped = after.map_or(0, |after| usize::from(after.get()));
        let numbered = (1..).filter_map(|number| PartNumber::new(number).ok()).zip(&stored.parts);
        let listed = numbered.skip(skipped).take(page_max);
        let parts: Vec<ObjectPart> = listed
            .map(|(number, (size_bytes, checksum))| ObjectPart {
                number,
                size_bytes: *size_bytes,
                checksum: *checksum,
            })
            .collect();
        let is_truncated = skipped + parts.len() < stored.parts.len();
        let next = parts.last().map(|part| part.number).filter(|_| is_truncated);
        Ok(ObjectPartsPage { part_count, parts, next })
    }
}
