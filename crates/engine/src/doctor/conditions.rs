//! Conditions of PutObject: one that does not hold is sent, and must be refused with 412.

use bytes::Bytes;
use haul_parts::ETag;

use super::permissions::{CONTENT, denied};
use super::request::{Answered, has_failed, put, shown};
use super::{Doctor, Group, Verdict};
use crate::remote::Support;

/// The ETag of no object of the scratch: the MD5 of nothing.
pub(super) const OTHER_ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

impl Doctor<'_> {
    pub(super) async fn check_conditions(&mut self) {
        let content = Bytes::from_static(CONTENT);
        // The first one creates the object, so the second must not overwrite it.
        let absent = put("", &content).with("if-none-match", "*");
        let first = self.send("condition", absent.clone()).await;
        let second = self.send("condition", absent).await;
        let first = if self.has_refused(&first) { first } else { second };
        self.findings.on_put.if_none_match =
            self.record_condition("PutObject If-None-Match", &first);
        let other = put("", &content).with("if-match", ETag::new(OTHER_ETAG).quoted());
        let answered = self.send("condition", other).await;
        self.findings.on_put.if_match = self.record_condition("PutObject If-Match", &answered);
    }

    /// Returns whether even a condition that holds is refused.
    fn has_refused(&self, first: &Answered) -> bool {
        first.as_ref().map_or(true, |answer| !answer.is_success() && answer.status != 412)
    }

    /// Records the answer to a write whose condition does not hold.
    pub(super) fn record_condition(&mut self, name: &str, answered: &Answered) -> Support {
        let (support, verdict, detail) = match answered {
            Err(no_answer) => (Support::Unknown, Verdict::NotTested, no_answer.reason()),
            Ok(answer) if answer.is_success() => {
                (Support::Ignored, Verdict::No, "ignored: the object was overwritten".to_owned())
            }
            Ok(answer) if answer.status == 412 || answer.status == 409 => {
                (Support::Yes, Verdict::Ok, format!("holds ({})", shown(answer)))
            }
            Ok(answer) if denied(answered) => {
                (Support::Unknown, Verdict::NotTested, format!("denied ({})", shown(answer)))
            }
            Ok(answer) if has_failed(answer) => {
                (Support::Unknown, Verdict::NotTested, format!("unknown ({})", shown(answer)))
            }
            Ok(answer) => (Support::No, Verdict::No, format!("refused ({})", shown(answer))),
        };
        self.note(Group::Conditions, name, verdict, detail);
        support
    }
}
