//! Adapts the options of an upload to the profile of its store.
//!
//! This happens once, before the plan is made. A resumed upload keeps the plan and the checksum of
//! its journal, so a profile that is known better by then changes neither.

use haul_parts::{ChecksumAlgorithm, Limits};

use super::UploadOptions;
use crate::error::Error;
use crate::event::{Event, EventSender};
use crate::remote::{StoreProfile, Support};

/// The checksum that no caller has to ask for: another one takes its place where it does not work.
pub(super) const DEFAULT_CHECKSUM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

impl UploadOptions {
    /// Returns the limits of the store, once [`UploadOptions::adapt`] has determined them.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.unwrap_or_default()
    }

    /// Adapts these options to a store: its limits, and a checksum that it does not refuse.
    pub(crate) fn adapt(&mut self, profile: &StoreProfile) {
        self.limits.get_or_insert(profile.limits);
        // A source of the threshold or more is sent in parts.
        let threshold_max_bytes = profile.put_object_max_bytes.saturating_add(1);
        self.multipart_threshold_bytes = self.multipart_threshold_bytes.min(threshold_max_bytes);
        self.checksum = match self.checksum {
            Some(DEFAULT_CHECKSUM) => profile.default_checksum(DEFAULT_CHECKSUM),
            Some(wanted) if profile.checksums.of(wanted) == Support::No => {
                profile.checksums.best_verified()
            }
            wanted => wanted,
        };
    }

    /// Fails if the caller asks for a checksum that the store refuses. The default is no request.
    pub(crate) fn check_checksum(&self, profile: &StoreProfile) -> Result<(), Error> {
        match self.checksum {
            Some(wanted)
                if wanted != DEFAULT_CHECKSUM && profile.checksums.of(wanted) == Support::No =>
            {
                Err(Error::BadSetting {
                    problem: format!(
                        "the store refuses the checksum {}, by its profile {}",
                        wanted.s3_name(),
                        profile.kind
                    ),
                    hint: "take the checksum md5, or the store profile generic, which sends any"
                        .to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Returns the support for the condition of this upload by PutObject.
    pub(super) fn condition_on_put(&self, profile: &StoreProfile) -> Support {
        profile.on_put.of(self.if_none_match, self.if_match.is_some())
    }

    /// Returns the support for the condition of this upload by CompleteMultipartUpload.
    pub(super) fn condition_on_complete(&self, profile: &StoreProfile) -> Support {
        profile.on_complete.of(self.if_none_match, self.if_match.is_some())
    }
}

/// Warns that the store does not hold the condition: only Haul checks it, and another client may
/// write between the check and the request.
pub(crate) fn warn_of_condition(support: Support, profile: &StoreProfile, events: &EventSender) {
    if support.is_missing() {
        let message = format!(
            "the store does not hold the condition of the write (store profile {}): Haul checks it \
             before the write, and another client may write in between",
            profile.kind
        );
        events.send(Event::Warning { message });
    }
}

#[cfg(test)]
mod tests {
    use haul_parts::limits::GIB;

    use super::*;
    use crate::remote::StoreKind;

    fn adapted(kind: StoreKind, options: UploadOptions) -> UploadOptions {
        let mut options = options;
        options.adapt(&kind.profile());
        options
    }

    #[test]
    fn limits_come_from_the_profile_unless_the_caller_sets_them() {
        let r2 = adapted(StoreKind::R2, UploadOptions::default()).limits();
        assert!(r2.equal_parts && r2.object_size_max_bytes < 5 << 40);
        let own = Limits { part_count_max: 7, ..Limits::AWS };
        let options = UploadOptions { limits: Some(own), ..UploadOptions::default() };
        assert_eq!(adapted(StoreKind::R2, options).limits(), own);
    }

    #[test]
    fn no_object_above_the_limit_of_put_object_is_sent_in_one_request() {
        let options = UploadOptions { multipart_threshold_bytes: 1 << 50, ..Default::default() };
        let aws = adapted(StoreKind::Aws, options);
        assert!(!aws.in_parts(5 * GIB));
        assert!(aws.in_parts(5 * GIB + 1));
    }

    #[test]
    fn a_refused_checksum_is_never_sent() {
        use ChecksumAlgorithm::{Crc32c, Crc64Nvme, Md5, Sha256};
        let with = |kind: StoreKind, checksum| {
            let options = UploadOptions { checksum, ..UploadOptions::default() };
            (options.check_checksum(&kind.profile()), adapted(kind, options).checksum)
        };
        for (kind, wanted, refused, sent) in [
            (StoreKind::Aws, Some(Crc64Nvme), false, Some(Crc64Nvme)),
            (StoreKind::Aws, None, false, None),
            (StoreKind::B2, Some(Crc64Nvme), false, None),
            (StoreKind::B2, Some(Sha256), true, None),
            (StoreKind::B2, Some(Md5), false, Some(Md5)),
            // A copy or an adopted upload asks for what its source has.
            (StoreKind::R2, Some(Crc32c), true, Some(Crc64Nvme)),
            (StoreKind::Gcs, Some(Crc64Nvme), false, None),
            (StoreKind::Generic, Some(Sha256), false, Some(Sha256)),
        ] {
            let (checked, chosen) = with(kind, wanted);
            assert_eq!((checked.is_err(), chosen), (refused, sent), "{kind} {wanted:?}");
        }
    }
}
