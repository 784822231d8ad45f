//! Access control lists in the headers of a write. Everything here belongs to one owner, as in a bucket of AWS whose
//! ownership is `BucketOwnerEnforced` (the default there): a list that grants nothing to anybody else is taken, for some
//! clients always send one; every other is refused, since it would be believed.

use http::{HeaderMap, StatusCode};

use crate::answer::refusal::Refusal;
use crate::ops::wire::OWNER_ID;

const CANNED: &str = "x-amz-acl";
/// What S3 knows; the first two leave everything to the owner.
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
const GRANTS: [&str; 5] =
    [FULL_CONTROL, "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp"];

/// Refuses an object's list that gives anything away.
pub(crate) fn check_object(headers: &HeaderMap) -> Result<(), Refusal> {
    check(headers, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

/// Refuses a new bucket's list that gives anything away.
pub(crate) fn check_bucket(headers: &HeaderMap) -> Result<(), Refusal> {
    let message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    check(headers, "InvalidBucketAclWithObjectOwnership", message)
}

fn check(headers: &HeaderMap, code: &'static str, message: &str) -> Result<(), Refusal> {
    let not_supported = || Refusal::custom(code, StatusCode::BAD_REQUEST, message);
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
        if headers.get_all(name).iter().any(|value| name != FULL_CONTROL || !is_owner(value.as_bytes())) {
            return Err(not_supported());
        }
    }
    Ok(())
}

/// `id="…"` of the owner, which has full control anyway.
fn is_owner(grantee: &[u8]) -> bool {
    let id = std::str::from_utf8(grantee).ok().and_then(|grantee| grantee.trim().strip_prefix("id="));
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
