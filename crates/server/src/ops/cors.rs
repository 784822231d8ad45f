//! PutBucketCors, GetBucketCors, DeleteBucketCors. The rules are applied in
//! [`cors`](crate::front::cors).

use haul_store::{CorsConfiguration as Stored, CorsRule as StoredRule};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use crate::answer::refusal::Refusal;
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::names;

/// The maximum number of rules of one bucket, by AWS's rule.
const RULES: usize = 100;
const ID_CHARS: usize = 255;
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

impl Endpoint {
    pub(crate) async fn get_bucket_cors(
        &self,
        req: S3Request<GetBucketCorsInput>,
    ) -> Answered<GetBucketCorsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let cors = self.on_store(move |store| store.bucket_cors(&bucket)).await?;
        let rules = cors.rules.into_iter().map(shown).collect();
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules) }))
    }

    pub(crate) async fn put_bucket_cors(
        &self,
        req: S3Request<PutBucketCorsInput>,
    ) -> Answered<PutBucketCorsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        let rules = req.input.cors_configuration.cors_rules;
        if rules.is_empty() || rules.len() > RULES {
            return Err(Refusal::new(S3ErrorCode::MalformedXML));
        }
        let rules = rules.into_iter().map(read_rule).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = rules.iter().filter_map(|rule| rule.id.as_deref()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::invalid_request(
                "Rule ID must be unique. Found same ID for more than one rule",
            ));
        }
        self.on_store(move |store| store.set_bucket_cors(&bucket, Some(Stored { rules }))).await?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    pub(crate) async fn delete_bucket_cors(
        &self,
        req: S3Request<DeleteBucketCorsInput>,
    ) -> Answered<DeleteBucketCorsOutput> {
        let bucket = names::bucket(&req.input.bucket)?;
        self.on_store(move |store| store.set_bucket_cors(&bucket, None)).await?;
        Ok(S3Response::new(DeleteBucketCorsOutput::default()))
    }
}

pub(crate) fn read_rule(rule: CORSRule) -> Result<StoredRule, Refusal> {
    if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
        return Err(Refusal::new(S3ErrorCode::MalformedXML));
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > ID_CHARS) {
        return Err(Refusal::invalid_request("ID length should not exceed allowed limit of 255"));
    }
    let max_age_seconds = match rule.max_age_seconds.map(u32::try_from) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return Err(Refusal::new(S3ErrorCode::MalformedXML)),
    };
    if let Some(method) =
        rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str()))
    {
        return Err(Refusal::invalid_request(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        )));
    }
    let allowed_headers = rule.allowed_headers.unwrap_or_default();
    let two_stars = |text: &&String| text.matches('*').count() > 1;
    if let Some(origin) = rule.allowed_origins.iter().find(two_stars) {
        return Err(Refusal::invalid_request(format!(
            "AllowedOrigin \"{origin}\" can not have more than one wildcard."
        )));
    }
    if let Some(header) = allowed_headers.iter().find(two_stars) {
        return Err(Refusal::invalid_request(format!(
            "AllowedHeader \"{header}\" can not have more than one wildcard."
        )));
    }
    let expose_headers = rule.expose_headers.unwrap_or_default();
    if let Some(header) = expose_headers.iter().find(|header| header.contains('*')) {
        return Err(Refusal::invalid_request(format!(
            "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for \
             ExposeHeader."
        )));
    }
    Ok(StoredRule {
        id: rule.id,
        allowed_origins: rule.allowed_origins,
        allowed_methods: rule.allowed_methods,
        allowed_headers,
        expose_headers,
        max_age_seconds,
    })
}

pub(crate) fn shown(rule: StoredRule) -> CORSRule {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    CORSRule {
        allowed_headers: some(rule.allowed_headers),
        allowed_methods: rule.allowed_methods,
        allowed_origins: rule.allowed_origins,
        expose_headers: some(rule.expose_headers),
        id: rule.id,
        max_age_seconds: rule
            .max_age_seconds
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
    }
}
