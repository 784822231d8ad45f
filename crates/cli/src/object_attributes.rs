//! Turns the flags of object attributes into the engine's attributes, and refuses combinations that
//! the store would refuse, or would carry out in another way than was meant.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haul::ObjectAttributes;
use haul_parts::{GrantPermission, Protection};
use jiff::Timestamp;

use crate::args::{AttributeArgs, ObjectOptionArgs, RequestArgs};
use crate::failure::Usage;

/// The number of tags that an object can have (S3 User Guide, "Categorizing your objects").
const TAGS_MAX: usize = 10;

/// Returns the attributes that the flags request.
///
/// # Errors
/// Flags that contradict or need each other, and a lock that has ended already.
pub(crate) fn attributes(
    object: &ObjectOptionArgs,
    requests: &RequestArgs,
) -> Result<ObjectAttributes, Usage> {
    let more = &object.more;
    Ok(ObjectAttributes {
        content_type: object.content_type.clone(),
        cache_control: object.cache_control.clone(),
        content_disposition: object.content_disposition.clone(),
        content_encoding: object.content_encoding.clone(),
        content_language: more.content_language.clone(),
        expires: more.expires.clone(),
        website_redirect_location: more.website_redirect.clone(),
        storage_class: object.storage_class.clone(),
        metadata: object.metadata.iter().cloned().collect(),
        tags: tags(more)?,
        protection: protection(more, requests, Timestamp::now())?,
    })
}

fn tags(more: &AttributeArgs) -> Result<BTreeMap<String, String>, Usage> {
    let listed = more.tagging.as_ref().map(|list| list.0.as_slice()).unwrap_or_default();
    let given: Vec<_> = more.tag.iter().chain(listed).collect();
    let tags: BTreeMap<_, _> = given.iter().map(|tag| (tag.0.clone(), tag.1.clone())).collect();
    if tags.len() < given.len() {
        return Err(Usage::new("two tags have the same name", "give each tag once"));
    }
    if tags.len() > TAGS_MAX {
        let problem = format!("{} tags, and an object has at most {TAGS_MAX}", tags.len());
        return Err(Usage::new(problem, "use --metadata for what is not a tag"));
    }
    Ok(tags)
}

fn protection(
    more: &AttributeArgs,
    requests: &RequestArgs,
    now: Timestamp,
) -> Result<Protection, Usage> {
    check_encryption(more, requests)?;
    check_lock(more, now)?;
    let grants = grants(more);
    if more.acl.is_some() && !grants.is_empty() {
        return Err(Usage::new(
            "--acl and grants exclude each other: a canned ACL is the whole list",
            "leave one of them out",
        ));
    }
    let upper = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_uppercase());
    Ok(Protection {
        acl: more.acl.clone(),
        grants,
        encryption: more.sse.clone(),
        kms_key_id: more.sse_kms_key_id.clone(),
        kms_context: more.sse_kms_context.clone(),
        bucket_key: match (more.bucket_key, more.no_bucket_key) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        customer_key_md5: requests.customer_key_md5(),
        lock_mode: upper(&more.object_lock_mode),
        lock_retain_until: more.object_lock_retain_until.map(|time| time.to_string()),
        legal_hold: upper(&more.legal_hold),
    })
}

/// Returns the grants by permission, those of `--grants` first.
fn grants(more: &AttributeArgs) -> BTreeMap<GrantPermission, String> {
    let single = [
        (GrantPermission::Read, &more.grant_read),
        (GrantPermission::FullControl, &more.grant_full_control),
        (GrantPermission::ReadAcp, &more.grant_read_acp),
        (GrantPermission::WriteAcp, &more.grant_write_acp),
    ];
    let single =
        single.into_iter().filter_map(|(permission, given)| Some((permission, given.clone()?)));
    let mut grants = BTreeMap::<GrantPermission, String>::new();
    for (permission, grantees) in more.grants.iter().cloned().chain(single) {
        let all = grants.entry(permission).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(&grantees);
    }
    grants
}

fn check_encryption(more: &AttributeArgs, requests: &RequestArgs) -> Result<(), Usage> {
    let by_kms = more.sse.as_deref().is_some_and(|method| method.starts_with("aws:kms"));
    let of_kms = [
        (more.sse_kms_key_id.is_some(), "--sse-kms-key-id"),
        (more.sse_kms_context.is_some(), "--sse-kms-context"),
        (more.bucket_key, "--bucket-key"),
        (more.no_bucket_key, "--no-bucket-key"),
    ];
    if let Some((_, flag)) = of_kms.iter().find(|(given, _)| *given && !by_kms) {
        return Err(Usage::new(format!("{flag} is for encryption by KMS"), "add --sse aws:kms"));
    }
    if more.bucket_key && more.sse.as_deref() == Some("aws:kms:dsse") {
        return Err(Usage::new(
            "aws:kms:dsse has no bucket keys",
            "leave --bucket-key out, or use --sse aws:kms",
        ));
    }
    if let (Some(method), Some(_)) = (&more.sse, &requests.sse_c_key_file) {
        return Err(Usage::new(
            format!("--sse {method} and --sse-c-key-file are two encryptions of one object"),
            "leave one of them out",
        ));
    }
    Ok(())
}

fn check_lock(more: &AttributeArgs, now: Timestamp) -> Result<(), Usage> {
    match (&more.object_lock_mode, more.object_lock_retain_until) {
        (Some(_), None) => Err(Usage::new(
            "--object-lock-mode needs the end of the lock",
            "add --object-lock-retain-until, such as 2030-01-31",
        )),
        (None, Some(_)) => Err(Usage::new(
            "--object-lock-retain-until needs a mode",
            "add --object-lock-mode GOVERNANCE or COMPLIANCE",
        )),
        (_, Some(until)) if until <= now => Err(Usage::new(
            format!("--object-lock-retain-until {until} is in the past"),
            "name a time to come",
        )),
        _ => Ok(()),
    }
}

/// Parses an encryption context, and returns it as the header carries it: JSON in base64. KMS
/// compares contexts as they were given, so the text stays as it is.
pub(crate) fn parse_kms_context(text: &str) -> Result<String, String> {
    let wrong = || "write a JSON object of texts, such as {\"team\":\"a\"}".to_owned();
    let json = match text.trim_start().starts_with('{') {
        true => text.as_bytes().to_vec(),
        false => STANDARD.decode(text.trim()).map_err(|_| wrong())?,
    };
    serde_json::from_slice::<BTreeMap<String, String>>(&json).map_err(|_| wrong())?;
    Ok(STANDARD.encode(json))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn of(line: &str) -> Result<ObjectAttributes, String> {
        let words = ["haul", "cp", "a", "s3://bucket/b"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Cp(args) = cli.command else { panic!("it is no cp") };
        attributes(&args.object, &cli.store.requests).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_become_the_headers_of_s3() {
        let line = "--sse aws:kms --sse-kms-key-id k1 --sse-kms-context {\"a\":\"b\"} --bucket-key \
                    --object-lock-mode governance --object-lock-retain-until 2999-01-31 \
                    --legal-hold on --grant-read id=1 --grants read=uri=http://g full=id=2";
        let headers = of(line).unwrap().protection.headers();
        assert_eq!(
            headers,
            [
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", "k1"),
                ("x-amz-server-side-encryption-context", "eyJhIjoiYiJ9"),
                ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
                ("x-amz-object-lock-mode", "GOVERNANCE"),
                ("x-amz-object-lock-retain-until-date", "2999-01-31T00:00:00Z"),
                ("x-amz-object-lock-legal-hold", "ON"),
                ("x-amz-grant-full-control", "id=\"2\""),
                ("x-amz-grant-read", "uri=\"http://g\", id=\"1\""),
            ]
            .map(|(name, value)| (name, value.to_owned()))
        );
        assert_eq!(of("--sse").unwrap().protection.encryption.as_deref(), Some("AES256"));
    }

    #[test]
    fn combinations_that_mean_nothing_are_refused() {
        for (line, problem) in [
            ("--sse-kms-key-id k", "--sse-kms-key-id is for encryption by KMS"),
            ("--sse AES256 --bucket-key", "--bucket-key is for encryption by KMS"),
            ("--sse aws:kms:dsse --bucket-key", "aws:kms:dsse has no bucket keys"),
            ("--acl private --grant-read id=1", "--acl and grants exclude each other"),
            ("--object-lock-mode GOVERNANCE", "--object-lock-mode needs the end of the lock"),
            ("--object-lock-retain-until 2999-01-31", "needs a mode"),
            ("--object-lock-mode COMPLIANCE --object-lock-retain-until 2020-01-31", "in the past"),
            ("--tag a=1 --tag a=2", "two tags have the same name"),
            ("--acl everyone", "invalid value"),
            ("--sse aws", "invalid value"),
            ("--legal-hold maybe", "invalid value"),
            ("--sse aws:kms --sse-kms-context {}x", "JSON object"),
        ] {
            let error = of(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
        let eleven: String = (0..11).map(|tag| format!("--tag t{tag}=1 ")).collect();
        assert!(of(&eleven).unwrap_err().contains("11 tags"));
    }
}
