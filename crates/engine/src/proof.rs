//! The proof that the store has the bytes that were read (P1).
//!
//! Detection is passive: it needs no requests beyond the upload itself. A store that echoes the
//! checksum has verified it. One that echoes none may ignore checksums altogether (Ceph RGW 16.2
//! answers 200 to a wrong one); then the ETag is compared with the MD5 of the sent bytes. If
//! neither check is possible, the report counts the part as unproven.

use std::fmt;

use haul_parts::{Checksum, ChecksumAlgorithm};
use serde::{Deserialize, Serialize};

use crate::remote::UploadedPart;

/// The proof of one part, or of an object of one PutObject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The store verified the checksum that we sent, and echoed it.
    Checksum,
    /// The ETag is the MD5 of the sent bytes.
    Md5,
    /// The store gave neither proof.
    Unproven,
}

/// The judgement on a part after comparing the store's answer with the sent bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The answer proves the part, or shows that no proof is possible.
    Proven(Proof),
    /// The ETag must be compared with an MD5 of the bytes.
    NeedsMd5([u8; 16]),
    /// The store holds other bytes than were sent.
    Differs(String),
}

/// Compares an answer with the sent bytes; `md5` if it has been computed already.
pub(crate) fn of_answer(
    answer: &UploadedPart,
    sent: Option<&Checksum>,
    md5: Option<&Checksum>,
) -> Judgement {
    if let (Some(sent), Some(echoed)) = (sent, &answer.checksum)
        && sent.algorithm() == echoed.algorithm()
    {
        return if sent == echoed {
            Judgement::Proven(Proof::Checksum)
        } else {
            Judgement::Differs(format!("sent {sent}, the store computed {echoed}"))
        };
    }
    // Encryption by KMS or by the customer's key makes the ETag another value, whatever its shape
    // (trap 13).
    let etag_md5 = if answer.etag_is_opaque { None } else { answer.etag.as_md5() };
    match (etag_md5, md5) {
        (None, _) => Judgement::Proven(Proof::Unproven),
        (Some(etag), None) => Judgement::NeedsMd5(etag),
        (Some(etag), Some(md5)) => judge_md5(etag, md5),
    }
}

/// Compares an ETag that has the shape of an MD5.
pub(crate) fn judge_md5(etag: [u8; 16], md5: &Checksum) -> Judgement {
    debug_assert_eq!(md5.algorithm(), ChecksumAlgorithm::Md5);
    if md5.bytes() == etag {
        Judgement::Proven(Proof::Md5)
    } else {
        Judgement::Differs("the ETag is not the MD5 of what was sent".into())
    }
}

/// The result of HeadObject for the whole object after Complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WholeProof {
    /// Its full-object checksum is the one computed from the parts.
    Checksum,
    /// Its ETag is the hash of the parts' MD5s.
    ETag,
    /// HeadObject returned nothing to compare.
    #[default]
    NotShown,
}

/// The number of parts by kind of proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofCount {
    /// Parts proven by checksum.
    pub checksum: u32,
    /// Parts proven by MD5.
    pub md5: u32,
    /// Parts without proof.
    pub unproven: u32,
}

impl ProofCount {
    /// Counts one more part.
    pub fn add(&mut self, proof: Proof) {
        *match proof {
            Proof::Checksum => &mut self.checksum,
            Proof::Md5 => &mut self.md5,
            Proof::Unproven => &mut self.unproven,
        } += 1;
    }
}

impl fmt::Display for ProofCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // An earlier run sent Complete, and its journal lost the parts.
            Self { checksum: 0, md5: 0, unproven: 0 } => {
                f.write_str("how its parts were proven is not recorded")
            }
            Self { md5: 0, unproven: 0, .. } => f.write_str("every part proven by checksum"),
            Self { checksum: 0, unproven: 0, .. } => f.write_str("every part proven by MD5"),
            Self { checksum, md5, unproven: 0 } => {
                write!(f, "every part proven: {checksum} by checksum, {md5} by MD5")
            }
            Self { checksum: 0, md5: 0, unproven } => write!(f, "{} unproven", parts(unproven)),
            Self { checksum, md5: 0, unproven } => {
                write!(f, "{} proven by checksum, {unproven} unproven", parts(checksum))
            }
            Self { checksum: 0, md5, unproven } => {
                write!(f, "{} proven by MD5, {unproven} unproven", parts(md5))
            }
            Self { checksum, md5, unproven } => {
                write!(
                    f,
                    "{} proven by checksum, {md5} by MD5, {unproven} unproven",
                    parts(checksum)
                )
            }
        }
    }
}

fn parts(count: u32) -> String {
    format!("{count} part{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_without_zeros_and_in_the_right_number() {
        let said = |checksum, md5, unproven| ProofCount { checksum, md5, unproven }.to_string();
        assert_eq!(said(3, 0, 0), "every part proven by checksum");
        assert_eq!(said(0, 3, 0), "every part proven by MD5");
        assert_eq!(said(2, 1, 0), "every part proven: 2 by checksum, 1 by MD5");
        assert_eq!(said(1, 0, 2), "1 part proven by checksum, 2 unproven");
        assert_eq!(said(0, 2, 1), "2 parts proven by MD5, 1 unproven");
        assert_eq!(said(2, 1, 1), "2 parts proven by checksum, 1 by MD5, 1 unproven");
        assert_eq!(said(0, 0, 0), "how its parts were proven is not recorded");
        assert_eq!(
            (said(0, 0, 1), said(0, 0, 2)),
            ("1 part unproven".into(), "2 parts unproven".into())
        );
    }
}
