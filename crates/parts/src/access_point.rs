//! ARNs of S3 access points, which stand for a bucket in requests about objects and uploads.
//!
//! Source: S3 User Guide, "Referencing access points" and "Naming rules for access points". ARNs of
//! access points of S3 on Outposts, S3 Object Lambda and multi-Region access points are rejected:
//! those need other services or other signatures.

/// The form that is accepted, for error messages.
pub(crate) const FORM: &str = "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME";

const NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=50;
const ACCOUNT_DIGITS: usize = 12;

/// The fields of an access point's ARN, all checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessPoint<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov` or another partition.
    pub partition: &'a str,
    /// The Region, such as `us-west-2`.
    pub region: &'a str,
    /// The AWS account that owns the access point: 12 digits.
    pub account: &'a str,
    /// The name, unique within the account and Region.
    pub name: &'a str,
}

impl<'a> AccessPoint<'a> {
    /// Parses `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`, or the same with
    /// `accesspoint:NAME`. The error is the rule that the text breaks.
    pub(crate) fn read(arn: &'a str) -> Result<Self, &'static str> {
        let mut fields = arn.splitn(6, ':');
        let mut field = || fields.next().unwrap_or_default();
        let (scheme, partition, service, region, account) =
            (field(), field(), field(), field(), field());
        let resource = field();
        if scheme != "arn" || !(partition == "aws" || partition.starts_with("aws-")) {
            return Err("it does not begin with arn:aws, arn:aws-cn or arn:aws-us-gov");
        }
        if !partition.bytes().all(is_label_byte) {
            return Err("its partition is none of AWS");
        }
        if service != "s3" {
            return Err("its service is not s3");
        }
        let name = resource
            .strip_prefix("accesspoint")
            .and_then(|rest| rest.strip_prefix(['/', ':']))
            .ok_or("its resource is not accesspoint/NAME")?;
        if name.ends_with(".mrap") {
            return Err("access points of several Regions need signatures that haul does not make");
        }
        if region.is_empty() || !region.bytes().all(is_label_byte) {
            return Err("it names no Region");
        }
        if account.len() != ACCOUNT_DIGITS || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("its account is not a number of 12 digits");
        }
        let is_well_formed = NAME_BYTES.contains(&name.len())
            && name.bytes().all(is_label_byte)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !is_well_formed {
            return Err(
                "names of access points have 3 to 50 of a-z, 0-9 and '-', and no '-' at either end",
            );
        }
        Ok(Self { partition, region, account, name })
    }

    /// Returns the ARN with a slash before the name, so that both spellings compare equal.
    pub(crate) fn arn(&self) -> String {
        let Self { partition, region, account, name } = self;
        format!("arn:{partition}:s3:{region}:{account}:accesspoint/{name}")
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Splits `BUCKET/KEY` or `ARN/KEY`; the key is empty if there is none. Checks nothing.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let resource = match text.strip_prefix("arn:") {
        // The resource follows the scheme and four more fields.
        Some(_) => text.match_indices(':').nth(4).map_or(text.len(), |(at, _)| at + 1),
        None => 0,
    };
    let is_slash_of_name = resource > 0 && !text[resource..].starts_with("accesspoint:");
    let mut slashes = text.match_indices('/').map(|(at, _)| at).filter(|at| *at >= resource);
    match slashes.nth(usize::from(is_slash_of_name)) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}
