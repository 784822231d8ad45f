//! Handles access control lists: in the headers of a write, and in PutBucketAcl and PutObjectAcl.
//! One account owns everything here, as in a bucket of AWS whose ownership is `BucketOwnerEnforced`
//! (the default there). A list that grants nothing to others is accepted, because some clients
//! always send one; every other list is refused, because its sender would rely on it.

use http::{HeaderMap, StatusCode};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::auth::owner::OWNER_ID;
use crate::ops::endpoint::{Answered, Endpoint};

const CANNED: &str = "x-amz-acl";
/// The canned lists of S3; the first two grant nothing to others.
const CANNED_LISTS: [&str; 8] = [
    "private",
    "bucket-owner-full-control",
    "bucket-owner-read",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "log-delivery-write",
];
const OF_THE_OWNER: usize = 2;

const FULL_CONTROL: &str = "x-amz-grant-full-control";
const GRANTS: [&str; 5] = [
    FULL_CONTROL,
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
];

impl Endpoint {
    pub(crate) async fn put_bucket_acl(
        &self,
        req: S3Request<PutBucketAclInput>,
    ) -> Answered<PutBucketAclOutput> {
        self.existing_bucket(&req.input.bucket).await?;
        check_change(&req.headers, req.input.access_control_policy)?;
        Ok(S3Response::new(PutBucketAclOutput::default()))
    }

    pub(crate) async fn put_object_acl(
        &self,
        req: S3Request<PutObjectAclInput>,
    ) -> Answered<PutObjectAclOutput> {
        let input = req.input;
        self.existing_object(&input.bucket, &input.key, input.version_id.as_deref()).await?;
        check_change(&req.headers, input.access_control_policy)?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }
}

/// Checks a list from the headers or from the document; only one of them may have a list. A list
/// that grants nothing to others has no effect; GetBucketAcl and GetObjectAcl return the fixed one.
fn check_change(headers: &HeaderMap, policy: Option<AccessControlPolicy>) -> Result<(), Refusal> {
    let canned = headers.contains_key(CANNED);
    let granted = GRANTS.iter().any(|name| headers.contains_key(*name));
    match (policy, canned, granted) {
        (_, true, true) => Err(Refusal::invalid_request(
            "Specifying both Canned ACLs and Header Grants is not allowed",
        )),
        (Some(_), true, _) | (Some(_), _, true) => Err(Refusal::custom(
            "UnexpectedContent",
            StatusCode::BAD_REQUEST,
            "This request does not support content",
        )),
        (Some(policy), false, false) => check_policy(policy),
        (None, false, false) => Err(Refusal::custom(
            "MissingSecurityHeader",
            StatusCode::BAD_REQUEST,
            "Your request was missing a required header",
        )
        .field("MissingHeaderName", CANNED)),
        (None, _, _) => check_object(headers),
    }
}

fn check_policy(policy: AccessControlPolicy) -> Result<(), Refusal> {
    let (Some(_), Some(grants)) = (policy.owner, policy.grants) else {
        return Err(Refusal::new(S3ErrorCode::MalformedACLError));
    };
    let to_owner = |grant: &Grant| {
        let grantee = grant.grantee.as_ref().and_then(|grantee| grantee.id.as_deref());
        let permission = grant.permission.as_ref().map(Permission::as_str);
        grantee == Some(OWNER_ID) && permission == Some(Permission::FULL_CONTROL)
    };
    if grants.iter().all(to_owner) { Ok(()) } else { Err(not_supported()) }
}

fn not_supported() -> Refusal {
    Refusal::custom(
        "AccessControlListNotSupported",
        StatusCode::BAD_REQUEST,
        "The bucket does not allow ACLs",
    )
}

/// Refuses a list for an object that grants anything to others.
pub(crate) fn check_object(headers: &HeaderMap) -> Result<(), Refusal> {
    check(headers, not_supported)
}

/// Refuses a list for a new bucket that grants anything to others.
pub(crate) fn check_bucket(headers: &HeaderMap) -> Result<(), Refusal> {
    check(headers, || {
        Refusal::custom(
            "InvalidBucketAclWithObjectOwnership",
            StatusCode::BAD_REQUEST,
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        )
    })
}

fn check(headers: &HeaderMap, not_supported: impl Fn() -> Refusal) -> Result<(), Refusal> {
    for value in headers.get_all(CANNED) {
        match CANNED_LISTS.iter().position(|known| known.as_bytes() == value.as_bytes()) {
            Some(..OF_THE_OWNER) => {}
            Some(_) => return Err(not_supported()),
            None => {
                let value = String::from_utf8_lossy(value.as_bytes());
                return Err(Refusal::invalid_argument(CANNED, value, "Invalid Argument"));
            }
        }
    }
    for name in GRANTS {
        if headers
            .get_all(name)
            .iter()
            .any(|value| name != FULL_CONTROL || !is_owner(value.as_bytes()))
        {
            return Err(not_supported());
        }
    }
    Ok(())
}

/// Returns whether this is `id="…"` of the owner, who has full control anyway.
fn is_owner(grantee: &[u8]) -> bool {
    let id =
        std::str::from_utf8(grantee).ok().and_then(|grantee| grantee.trim().strip_prefix("id="));
    id.is_some_and(|id| id.trim_matches('"') == OWNER_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &'static str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.append(name, value.parse().unwrap());
        check_object(&headers).err().map(|refusal| refusal.code().to_owned())
    }

    #[test]
    fn only_lists_that_give_nothing_away_are_taken() {
        assert!(check_object(&HeaderMap::new()).is_ok());
        let owner = format!("id=\"{OWNER_ID}\"");
        let other = format!("{owner}, id=\"other\"");
        for (name, value, expected) in [
            (CANNED, "private", None),
            (CANNED, "bucket-owner-full-control", None),
            (CANNED, "authenticated-read", Some("AccessControlListNotSupported")),
            (CANNED, "public-read", Some("AccessControlListNotSupported")),
            (CANNED, "Private", Some("InvalidArgument")),
            (CANNED, "", Some("InvalidArgument")),
            (FULL_CONTROL, &owner, None),
            (FULL_CONTROL, &other, Some("AccessControlListNotSupported")),
            ("x-amz-grant-read", &owner, Some("AccessControlListNotSupported")),
        ] {
            assert_eq!(code(name, value).as_deref(), expected, "{name}: {value}");
        }
    }
}
