//! Uploads: their operations, unequal parts, copies of parts, listings and part numbers in HEAD.

use std::time::Duration;

use bytes::Bytes;
use haul_parts::limits::MIB;
use http::Method;

use super::bucket_versions::version_of;
use super::conditions::OTHER_ETAG;
use super::permissions::{CONTENT, support};
use super::request::{Answered, NoAnswer, of_upload, put, request, shown};
use super::{Doctor, Group, Verdict};
use crate::remote::{Store, Support, UploadRef};
use crate::s3::{ProbeBody, ProbeRequest};

/// The time for an object of three parts, about 11 MiB.
const PARTS_TIME_MAX: Duration = Duration::from_secs(30);

/// The smallest part that S3 takes before the last one.
const PART_MIN: u64 = 5 * MIB;

impl Doctor<'_> {
    pub(super) async fn check_multipart(&mut self) {
        self.check_one_upload().await;
        self.check_unequal_parts().await;
    }

    /// Checks the operations of an upload with one small part.
    async fn check_one_upload(&mut self) {
        let content = Bytes::from_static(CONTENT);
        let upload = match self.create("parts", &[]).await {
            Ok(Ok(upload)) => {
                self.note(Group::Permissions, "CreateMultipartUpload", Verdict::Ok, "allowed");
                upload
            }
            Ok(Err(answer)) => {
                self.permission("CreateMultipartUpload", &Ok(answer));
                return self.without_upload("no upload could be created");
            }
            Err(no_answer) => {
                let why = no_answer.reason();
                self.note(Group::Permissions, "CreateMultipartUpload", Verdict::NotTested, &*why);
                return self.without_upload(&why);
            }
        };
        let part = self.send("parts", put(&of_upload(&upload, Some(1)), &content)).await;
        self.permission("UploadPart", &part);
        let copy = put(&of_upload(&upload, Some(2)), &Bytes::new())
            .with("x-amz-copy-source", self.copy_source());
        let copied = self.send("parts", copy).await;
        self.permission("UploadPartCopy", &copied);
        self.findings.upload_part_copy = support(&copied);
        let listed = self.send("parts", request(Method::GET, &of_upload(&upload, None))).await;
        self.permission("ListParts", &listed);
        self.check_listing(&upload).await;
        self.check_abort(&upload).await;
        self.check_complete(&content).await;
    }

    fn without_upload(&mut self, why: &str) {
        let names = ["UploadPart", "UploadPartCopy", "ListParts", "AbortMultipartUpload"];
        self.not_tested(Group::Permissions, &names, why);
        self.not_tested(Group::Permissions, &["CompleteMultipartUpload"], why);
    }

    /// Checks whether the upload is listed by a prefix that is no whole key.
    async fn check_listing(&mut self, upload: &UploadRef) {
        let (bucket, folder) = (self.bucket.clone(), self.scratch.folder());
        let name = "listing of uploads";
        match self.store.list_multipart_uploads(&bucket, &folder, None).await {
            Ok(page) => {
                let is_listed = page.uploads.iter().any(|it| it.upload_id == upload.upload_id);
                self.findings.list_multipart_uploads =
                    if is_listed { Support::Yes } else { Support::Ignored };
                let (verdict, detail) = if is_listed {
                    (Verdict::Ok, "an upload is listed by its prefix")
                } else {
                    (Verdict::No, "an upload is not listed by its prefix")
                };
                self.note(Group::Multipart, name, verdict, detail);
            }
            Err(error) => {
                self.note(Group::Multipart, name, Verdict::NotTested, error.to_string());
            }
        }
    }

    async fn check_abort(&mut self, upload: &UploadRef) {
        let aborted = self.send("parts", request(Method::DELETE, &of_upload(upload, None))).await;
        if self.permission("AbortMultipartUpload", &aborted) == Verdict::Ok {
            self.uploads.retain(|(_, id)| *id != upload.upload_id);
        }
    }

    /// Completes an upload, and another one of the same key whose conditions do not hold.
    async fn check_complete(&mut self, content: &Bytes) {
        let completed = self.upload_whole("completed", std::slice::from_ref(content), None).await;
        let is_there = matches!(&completed, Ok(answer) if answer.is_success());
        match completed {
            Ok(_) | Err(NoAnswer::Stopped(_)) => {
                self.permission("CompleteMultipartUpload", &completed);
            }
            Err(ref no_answer) => {
                let why = no_answer.reason();
                self.note(Group::Permissions, "CompleteMultipartUpload", Verdict::No, why);
            }
        }
        if !is_there {
            let names =
                ["CompleteMultipartUpload If-None-Match", "CompleteMultipartUpload If-Match"];
            return self.not_tested(Group::Conditions, &names, "no upload could be completed");
        }
        let absent = ("if-none-match", "*".to_owned());
        let answered =
            self.upload_whole("completed", std::slice::from_ref(content), Some(absent)).await;
        self.findings.on_complete.if_none_match =
            self.record_condition("CompleteMultipartUpload If-None-Match", &answered);
        let other = ("if-match", format!("\"{OTHER_ETAG}\""));
        let answered =
            self.upload_whole("completed", std::slice::from_ref(content), Some(other)).await;
        self.findings.on_complete.if_match =
            self.record_condition("CompleteMultipartUpload If-Match", &answered);
    }

    /// Completes an upload whose second part is longer than its first, and asks for its parts.
    async fn check_unequal_parts(&mut self) {
        let group = Group::Multipart;
        let names = ["unequal parts", "HeadObject partNumber"];
        let long = usize::try_from(PART_MIN).unwrap_or_default();
        let parts = [
            Bytes::from(vec![1; long]),
            Bytes::from(vec![2; long + long / 5]),
            Bytes::from_static(CONTENT),
        ];
        let uploading = self.upload_whole("unequal", &parts, None);
        let Ok(completed) = tokio::time::timeout(PARTS_TIME_MAX, uploading).await else {
            let why = "the link is too slow: 11 MiB did not arrive within 30 s";
            return self.not_tested(group, &names, why);
        };
        match &completed {
            Ok(answer) if answer.is_success() => {
                self.findings.equal_parts = Some(false);
                self.note(group, names[0], Verdict::Ok, "allowed");
            }
            Ok(answer) if answer.status == 400 => {
                self.findings.equal_parts = Some(true);
                self.note(group, names[0], Verdict::No, format!("refused ({})", shown(answer)));
                return self.not_tested(group, &names[1..], "there is no object of several parts");
            }
            Ok(answer) => {
                self.not_tested(group, &names, &shown(answer));
                return;
            }
            Err(no_answer) => return self.not_tested(group, &names, &no_answer.reason()),
        }
        let answered = self.send("unequal", request(Method::HEAD, "partNumber=2")).await;
        let length = answered.as_ref().ok().and_then(|answer| answer.header("content-length"));
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let (found, verdict, detail) = match &answered {
            Ok(answer) if answer.is_success() && length == Some(parts[1].len()) => {
                (Support::Yes, Verdict::Ok, "returns the length of the part".to_owned())
            }
            Ok(answer) if answer.is_success() => {
                (Support::Ignored, Verdict::No, "ignored: returns the whole object".to_owned())
            }
            Ok(answer) if support(&answered) == Support::Unknown => {
                (Support::Unknown, Verdict::NotTested, format!("unknown ({})", shown(answer)))
            }
            Ok(answer) => (Support::No, Verdict::No, format!("refused ({})", shown(answer))),
            Err(no_answer) => (Support::Unknown, Verdict::NotTested, no_answer.reason()),
        };
        self.findings.part_number_head = found;
        self.note(group, names[1], verdict, detail);
    }

    /// Uploads an object in these parts and returns the answer to Complete, or the first refusal.
    async fn upload_whole(
        &mut self,
        name: &str,
        parts: &[Bytes],
        condition: Option<(&'static str, String)>,
    ) -> Answered {
        let upload = match self.create(name, &[]).await? {
            Ok(upload) => upload,
            Err(answer) => return Ok(answer),
        };
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, part) in (1..).zip(parts) {
            let answer = self.send(name, put(&of_upload(&upload, Some(number)), part)).await?;
            let Some(etag) = answer.header("etag").filter(|_| answer.is_success()) else {
                return Ok(answer);
            };
            list += &format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('"', "&quot;")
            );
        }
        list += "</CompleteMultipartUpload>";
        let mut complete = ProbeRequest {
            body: Bytes::from(list),
            signing: ProbeBody::Signed,
            ..request(Method::POST, &of_upload(&upload, None))
        };
        if let Some((header, value)) = condition {
            complete = complete.with(header, value);
        }
        // Whatever the answer, the object may be there.
        self.created.push((self.scratch.key(name), None));
        let answer = self.send(name, complete).await?;
        if answer.is_success() {
            self.uploads.retain(|(_, id)| *id != upload.upload_id);
            self.created.push((self.scratch.key(name), version_of(&answer)));
        }
        Ok(answer)
    }

    /// Returns `x-amz-copy-source` for the marker.
    fn copy_source(&self) -> String {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
        const KEY: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
        let key = self.scratch.key("marker");
        format!("{}/{}", self.bucket, utf8_percent_encode(&key, KEY))
    }
}
