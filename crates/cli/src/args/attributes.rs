//! The flags of object attributes beyond the first few: tags, access, encryption, lock.
//!
//! Each value is checked here as far as it can be by itself; combinations are checked by
//! [`crate::object_attributes`].

use clap::Args;
use haul_parts::GrantPermission;
use jiff::Timestamp;

/// The canned ACLs of objects (S3 User Guide, "Access control list overview").
const CANNED_ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];
/// The kinds of grantees, as headers spell them.
const GRANTEES: [&str; 3] = ["id", "uri", "emailAddress"];

/// More attributes of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Object (uploads and copies)")]
pub(crate) struct AttributeArgs {
    /// Content-Language
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    pub(crate) content_language: Option<String>,
    /// Expires: an HTTP date, or a time such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_expires)]
    pub(crate) expires: Option<String>,
    /// Redirect of a static website: /KEY or a URL
    #[arg(long, value_name = "TARGET", value_parser = parse_redirect)]
    pub(crate) website_redirect: Option<String>,
    /// Tag of the object; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_tag)]
    pub(crate) tag: Vec<(String, String)>,
    /// Tags as a URL query
    #[arg(long, value_name = "QUERY", value_parser = parse_tagging, hide = true)]
    #[arg(conflicts_with = "tag")]
    pub(crate) tagging: Option<TagList>,
    /// Canned ACL, such as bucket-owner-full-control
    #[arg(long, value_name = "NAME", value_parser = CANNED_ACLS, hide_possible_values = true)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) acl: Option<String>,
    /// Grants: PERMISSION=TYPE=GRANTEE, with read, readacl, writeacl or full, and id, uri or
    /// emailaddress
    #[arg(long, value_name = "GRANT", num_args = 1.., value_parser = parse_grant)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) grants: Vec<(GrantPermission, String)>,
    /// Grantees that may read the object: id=ID,uri=URI
    #[arg(long, value_name = "GRANTEES", value_parser = parse_grantees)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) grant_read: Option<String>,
    /// Grantees with full control
    #[arg(long, value_name = "GRANTEES", value_parser = parse_grantees)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) grant_full_control: Option<String>,
    /// Grantees that may read the ACL
    #[arg(long, value_name = "GRANTEES", value_parser = parse_grantees)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) grant_read_acp: Option<String>,
    /// Grantees that may write the ACL
    #[arg(long, value_name = "GRANTEES", value_parser = parse_grantees)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) grant_write_acp: Option<String>,
    /// Encryption by the store: AES256, aws:kms or aws:kms:dsse [without a value: AES256]
    #[arg(long, value_name = "METHOD", num_args = 0..=1, default_missing_value = "AES256")]
    #[arg(value_parser = ["AES256", "aws:kms", "aws:kms:dsse"], hide_possible_values = true)]
    #[arg(alias = "server-side-encryption", help_heading = "Protection (uploads and copies)")]
    pub(crate) sse: Option<String>,
    /// Id or ARN of the KMS key
    #[arg(long, value_name = "KEY", value_parser = parse_text, alias = "ssekms-key-id")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) sse_kms_key_id: Option<String>,
    /// Encryption context of KMS: JSON, or JSON in base64
    #[arg(long, value_name = "JSON", value_parser = crate::object_attributes::parse_kms_context)]
    #[arg(alias = "ssekms-encryption-context")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) sse_kms_context: Option<String>,
    /// Use a bucket key between object and KMS
    #[arg(long, alias = "bucket-key-enabled", conflicts_with = "no_bucket_key")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) bucket_key: bool,
    /// Use no bucket key, even if the bucket is configured to
    #[arg(long, alias = "no-bucket-key-enabled")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) no_bucket_key: bool,
    /// Object lock: GOVERNANCE or COMPLIANCE; needs --object-lock-retain-until
    #[arg(long, value_name = "MODE", value_parser = ["GOVERNANCE", "COMPLIANCE"])]
    #[arg(ignore_case = true, hide_possible_values = true)]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) object_lock_mode: Option<String>,
    /// End of the lock: a time such as 2027-01-31T12:00:00Z, or a date (its beginning in UTC)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    #[arg(alias = "object-lock-retain-until-date")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) object_lock_retain_until: Option<Timestamp>,
    /// Legal hold: ON or OFF
    #[arg(long, value_name = "STATE", value_parser = ["ON", "OFF"], hide_possible_values = true)]
    #[arg(ignore_case = true, alias = "object-lock-legal-hold-status")]
    #[arg(help_heading = "Protection (uploads and copies)")]
    pub(crate) legal_hold: Option<String>,
}

/// The tags of `--tagging`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagList(pub(crate) Vec<(String, String)>);

impl AttributeArgs {
    /// Returns the first flag that is given.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let given = [
            (self.content_language.is_some(), "--content-language"),
            (self.expires.is_some(), "--expires"),
            (self.website_redirect.is_some(), "--website-redirect"),
            (!self.tag.is_empty(), "--tag"),
            (self.tagging.is_some(), "--tagging"),
            (self.acl.is_some(), "--acl"),
            (!self.grants.is_empty(), "--grants"),
            (self.grant_read.is_some(), "--grant-read"),
            (self.grant_full_control.is_some(), "--grant-full-control"),
            (self.grant_read_acp.is_some(), "--grant-read-acp"),
            (self.grant_write_acp.is_some(), "--grant-write-acp"),
            (self.sse.is_some(), "--sse"),
            (self.sse_kms_key_id.is_some(), "--sse-kms-key-id"),
            (self.sse_kms_context.is_some(), "--sse-kms-context"),
            (self.bucket_key, "--bucket-key"),
            (self.no_bucket_key, "--no-bucket-key"),
            (self.object_lock_mode.is_some(), "--object-lock-mode"),
            (self.object_lock_retain_until.is_some(), "--object-lock-retain-until"),
            (self.legal_hold.is_some(), "--legal-hold"),
        ];
        given.iter().find(|(given, _)| *given).map(|(_, name)| *name)
    }
}

/// Parses text that a header can carry.
fn parse_text(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        true if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write printable ASCII, which a header can carry".to_owned()),
    }
}

/// Parses a time, or a date, which means its beginning in UTC.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong =
        |_| "write a time such as 2027-01-31T12:00:00Z, or a date such as 2027-01-31".to_owned();
    let date = text.parse::<jiff::civil::Date>().map_err(wrong)?;
    date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(wrong)
}

/// Parses `Expires`. S3 stores any text; caches understand HTTP dates, and `0` as long ago.
fn parse_expires(text: &str) -> Result<String, String> {
    use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
    if ["0", "-1"].contains(&text) {
        return Ok(text.to_owned());
    }
    let wrong = "write an HTTP date such as Sun, 31 Jan 2027 12:00:00 GMT, or a time such as \
                 2027-01-31T12:00:00Z";
    let time = match parse_time(text) {
        Ok(time) => time,
        Err(_) => DateTimeParser::new().parse_timestamp(text).map_err(|_| wrong.to_owned())?,
    };
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).map_err(|_| wrong.to_owned())
}

/// Parses a redirect: S3 accepts a path or a URL of at most 2 KiB.
fn parse_redirect(text: &str) -> Result<String, String> {
    let is_target = ["/", "http://", "https://"].iter().any(|begin| text.starts_with(begin));
    match parse_text(text) {
        Ok(text) if is_target && text.len() <= 2048 => Ok(text),
        _ => Err("write /KEY, http://… or https://…".to_owned()),
    }
}

/// Parses a tag; S3 accepts 128 characters for the name and 256 for the value.
fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    check_tag(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn check_tag(name: &str, value: &str) -> Result<(), String> {
    match (name.chars().count(), value.chars().count()) {
        (0, _) => Err("a tag needs a name".to_owned()),
        (129.., _) => Err("the name of a tag has at most 128 characters".to_owned()),
        (_, 257..) => Err("the value of a tag has at most 256 characters".to_owned()),
        _ => Ok(()),
    }
}

/// Parses tags as a URL query: `a=b&c=d`.
fn parse_tagging(text: &str) -> Result<TagList, String> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
        decoded.map(std::borrow::Cow::into_owned).map_err(|_| "tags are UTF-8".to_owned())
    };
    let mut tags = vec![];
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        check_tag(&name, &value)?;
        tags.push((name, value));
    }
    Ok(TagList(tags))
}

/// Parses a grant of the AWS CLI: `read=uri=http://acs.amazonaws.com/groups/global/AllUsers`.
fn parse_grant(text: &str) -> Result<(GrantPermission, String), String> {
    let (permission, grantees) = text
        .split_once('=')
        .ok_or("write PERMISSION=TYPE=GRANTEE, such as read=id=CANONICAL_ID")?;
    let permission = match permission {
        "read" => GrantPermission::Read,
        "readacl" => GrantPermission::ReadAcp,
        "writeacl" => GrantPermission::WriteAcp,
        "full" => GrantPermission::FullControl,
        other => return Err(format!("{other:?} is not read, readacl, writeacl or full")),
    };
    Ok((permission, parse_grantees(grantees)?))
}

/// Parses grantees, and returns them as the header spells them: `id="…", uri="…"`.
fn parse_grantees(text: &str) -> Result<String, String> {
    let grantees = text.split(',').map(|grantee| {
        let (kind, name) = grantee.trim().split_once('=').ok_or("write TYPE=GRANTEE")?;
        let known = GRANTEES.iter().find(|known| known.eq_ignore_ascii_case(kind));
        let kind = known.ok_or_else(|| format!("{kind:?} is not id, uri or emailaddress"))?;
        let name = name.trim_matches('"');
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
            return Err(format!("{kind} needs a grantee"));
        }
        Ok(format!("{kind}=\"{name}\""))
    });
    Ok(grantees.collect::<Result<Vec<_>, String>>()?.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_becomes_an_http_date() {
        let date = "Sun, 31 Jan 2027 12:00:00 GMT";
        assert_eq!(parse_expires("2027-01-31T12:00:00Z").unwrap(), date);
        assert_eq!(parse_expires(date).unwrap(), date);
        assert_eq!(parse_expires("2027-01-31").unwrap(), "Sun, 31 Jan 2027 00:00:00 GMT");
        assert_eq!(parse_expires("0").unwrap(), "0");
        assert!(parse_expires("soon").is_err());
    }

    #[test]
    fn grants_are_spelled_as_the_header_wants_them() {
        let (permission, grantees) = parse_grant("full=emailaddress=a@example.com").unwrap();
        assert_eq!(permission, GrantPermission::FullControl);
        assert_eq!(grantees, r#"emailAddress="a@example.com""#);
        assert_eq!(parse_grantees(r#"id="1",uri=http://g"#).unwrap(), r#"id="1", uri="http://g""#);
        for wrong in ["read", "read=id=", "own=id=1", "read=user=1", "read=id=a b"] {
            assert!(parse_grant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tags_have_the_limits_of_s3() {
        assert_eq!(parse_tag("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(parse_tag(&format!("{}=", "ü".repeat(128))).is_ok());
        assert!(parse_tag(&format!("{}=", "x".repeat(129))).is_err());
        assert!(parse_tag(&format!("a={}", "x".repeat(257))).is_err());
        let tags = parse_tagging("team=a%20b&empty").unwrap();
        assert_eq!(tags.0, [("team".into(), "a b".into()), ("empty".into(), String::new())]);
    }

    #[test]
    fn redirects_are_paths_or_urls() {
        assert!(parse_redirect("/new/place").is_ok() && parse_redirect("https://e.org/").is_ok());
        assert!(parse_redirect("elsewhere").is_err() && parse_redirect("ftp://e.org").is_err());
    }
}
