//! Checksums: a wrong one is sent once. It is *verified* if the store refuses the object, *merely
//! accepted* if the store takes it.

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, Hasher};
use http::Method;

use super::permissions::{CONTENT, denied, support};
use super::request::{Answered, has_failed, put, request, shown};
use super::{Doctor, Group, Verdict};
use crate::remote::{StoreErrorKind, Support};
use crate::s3::{ProbeBody, ProbeRequest};

/// The algorithm that trailers are tested with: Haul's default.
const OF_TRAILER: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

impl Doctor<'_> {
    pub(super) async fn check_checksums(&mut self) {
        let content = Bytes::from_static(CONTENT);
        let mut is_asked = false;
        for algorithm in ChecksumAlgorithm::ALL {
            let right = Hasher::checksum(algorithm, CONTENT);
            let wrong = Hasher::checksum(algorithm, b"other bytes");
            let send = |checksum: &Checksum| {
                put("", &content).with(algorithm.header_name(), checksum.to_base64())
            };
            let found = self.right_and_wrong(send(&right), send(&wrong)).await;
            let name = if algorithm == ChecksumAlgorithm::Md5 {
                "Content-MD5"
            } else {
                algorithm.s3_name()
            };
            let support = self.record(name, &found);
            self.findings.checksums.insert(algorithm, support);
            let is_stored = [Support::Yes, Support::Ignored].contains(&support);
            if !is_asked && is_stored && algorithm != ChecksumAlgorithm::Md5 {
                is_asked = true;
                self.check_checksum_mode(algorithm).await;
            }
        }
        let right = Hasher::checksum(OF_TRAILER, CONTENT);
        let wrong = Hasher::checksum(OF_TRAILER, b"other bytes");
        let found = self.right_and_wrong(with_trailer(&right), with_trailer(&wrong)).await;
        self.findings.trailers = self.record("trailers", &found);
    }

    /// Checks whether HeadObject returns the checksum that the object was written with.
    async fn check_checksum_mode(&mut self, algorithm: ChecksumAlgorithm) {
        let asked = request(Method::HEAD, "").with("x-amz-checksum-mode", "ENABLED");
        let answered = self.send("checksum", asked).await;
        let (support, verdict, detail) = match &answered {
            Err(no_answer) => (Support::Unknown, Verdict::NotTested, no_answer.reason()),
            Ok(answer) if answer.header(algorithm.header_name()).is_some() => {
                (Support::Yes, Verdict::Ok, "HeadObject returns the checksum".to_owned())
            }
            Ok(answer) if answer.is_success() => {
                (Support::Ignored, Verdict::No, "ignored: HeadObject returns none".to_owned())
            }
            Ok(answer) => match support(&answered) {
                Support::No => (Support::No, Verdict::No, format!("refused ({})", shown(answer))),
                other => (other, Verdict::NotTested, format!("unknown ({})", shown(answer))),
            },
        };
        self.findings.checksum_mode = support;
        self.note(Group::Checksums, "checksum mode", verdict, detail);
    }

    async fn right_and_wrong(
        &mut self,
        right: ProbeRequest,
        wrong: ProbeRequest,
    ) -> (Answered, Option<Answered>) {
        let right = self.send("checksum", right).await;
        match &right {
            Ok(answer) if answer.is_success() => {
                let wrong = self.send("checksum", wrong).await;
                (right, Some(wrong))
            }
            _ => (right, None),
        }
    }

    fn record(&mut self, name: &str, found: &(Answered, Option<Answered>)) -> Support {
        let (support, verdict, detail) = judge(found);
        self.note(Group::Checksums, name, verdict, detail);
        support
    }
}

fn judge((right, wrong): &(Answered, Option<Answered>)) -> (Support, Verdict, String) {
    let unknown = |why: String| (Support::Unknown, Verdict::NotTested, why);
    let right_answer = match right {
        Ok(answer) => answer,
        Err(no_answer) => return unknown(no_answer.reason()),
    };
    let wrong_answer = match wrong {
        None if has_failed(right_answer) => {
            return unknown(format!("unknown ({})", shown(right_answer)));
        }
        None if denied(right) => return unknown(format!("denied ({})", shown(right_answer))),
        None => {
            let detail = format!("refused ({})", shown(right_answer));
            return (Support::No, Verdict::No, detail);
        }
        Some(Ok(answer)) => answer,
        Some(Err(no_answer)) => return unknown(no_answer.reason()),
    };
    if wrong_answer.is_success() {
        let detail = "merely accepted: a wrong one was taken".to_owned();
        return (Support::Ignored, Verdict::No, detail);
    }
    let error = wrong_answer.error(crate::remote::Operation::PutObject);
    match error.kind {
        StoreErrorKind::BadDigest | StoreErrorKind::Rejected => {
            let detail = format!("verified: a wrong one is refused ({})", shown(wrong_answer));
            (Support::Yes, Verdict::Ok, detail)
        }
        _ => unknown(format!("a wrong one got {}", shown(wrong_answer))),
    }
}

/// Frames the content as one chunk with the checksum behind it.
fn with_trailer(checksum: &Checksum) -> ProbeRequest {
    let name = checksum.algorithm().header_name();
    let mut body = format!("{:x}\r\n", CONTENT.len()).into_bytes();
    body.extend_from_slice(CONTENT);
    body.extend_from_slice(format!("\r\n0\r\n{name}:{}\r\n\r\n", checksum.to_base64()).as_bytes());
    let request = put("", &Bytes::from(body))
        .with("content-encoding", "aws-chunked")
        .with("x-amz-decoded-content-length", CONTENT.len().to_string())
        .with("x-amz-trailer", name);
    ProbeRequest { signing: ProbeBody::Trailer, ..request }
}
