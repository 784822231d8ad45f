//! Tests the settings that are refused before anything is sent, and those that count as unset.

use std::path::Path;

use super::*;
use crate::s3::{Environment, S3Store};

fn environment(set: &[(&str, &str)]) -> Option<Environment> {
    Some(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn keys_and(set: &[(&str, &str)]) -> S3Options {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "SK"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    S3Options { environment: environment(&[&keys[..], set].concat()), ..S3Options::default() }
}

async fn refusal(options: S3Options) -> String {
    let error = S3Store::connect(options).await.unwrap_err();
    assert!(matches!(error, Error::BadSetting { .. }), "{error:?}");
    error.to_string()
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn empty_settings_count_as_unset() {
    let empty = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_PROFILE",
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
    ];
    let mut set: Vec<_> = empty.iter().map(|name| (*name, "")).collect();
    set.extend([
        ("AWS_REGION", " "),
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_SESSION_TOKEN", ""),
    ]);
    let options =
        S3Options { profile: Some(String::new()), region: Some(String::new()), ..keys_and(&set) };
    let store = S3Store::connect(options).await.unwrap();
    assert_eq!(store.location().region, "eu-west-3");
    assert_eq!(store.location().endpoint, "https://s3.eu-west-3.amazonaws.com");
}

#[tokio::test]
async fn an_endpoint_without_scheme_is_refused_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "config", "[default]\nendpoint_url = localhost:9000\n");
    for (set, name) in [
        ([("AWS_ENDPOINT_URL", "localhost:9000")], "AWS_ENDPOINT_URL"),
        ([("AWS_ENDPOINT_URL_S3", "localhost:9000")], "AWS_ENDPOINT_URL_S3"),
        ([("AWS_CONFIG_FILE", config.as_str())], "endpoint_url of the profile"),
    ] {
        let expected = format!("{name} localhost:9000 does not begin with http:// or https://");
        assert_eq!(refusal(keys_and(&set)).await, expected);
    }
    for slip in ["127.0.0.1:8014", "ftp://host", "s3.example.com"] {
        let options = S3Options { endpoint_url: Some(slip.into()), ..keys_and(&[]) };
        let expected = format!("the endpoint {slip} does not begin with http:// or https://");
        assert_eq!(refusal(options).await, expected);
    }
    for slip in ["http://", "http:///x", "http://host:port"] {
        let options = S3Options { endpoint_url: Some(slip.into()), ..keys_and(&[]) };
        assert_eq!(
            refusal(options).await,
            format!("the endpoint {slip} is not the URL of a store")
        );
    }
}

#[tokio::test]
async fn a_password_in_an_endpoint_is_refused_and_not_repeated() {
    for url in ["http://user:hunter2@host:9000", "user:hunter2@host", "ftp://user:hunter2@host/x"] {
        let text = refusal(keys_and(&[("AWS_ENDPOINT_URL", url)])).await;
        assert_eq!(text, "AWS_ENDPOINT_URL has a user name or a password in its URL");
    }
}

#[tokio::test]
async fn a_config_file_that_cannot_be_parsed_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "config", "[default]\nregion = eu-west-3\n[profile broken\n");
    let text = refusal(keys_and(&[("AWS_CONFIG_FILE", &config)])).await;
    assert!(text.starts_with(&format!("error parsing {config} on line 3: ")), "{text}");
}

#[tokio::test]
async fn half_a_pair_of_keys_is_reported_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let shared = file(folder.path(), "credentials", "[default]\naws_access_key_id = AK\n");
    let of = |set: &[(&str, &str)]| {
        refusal(S3Options { environment: environment(set), ..S3Options::default() })
    };
    let text = of(&[("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "")]).await;
    assert_eq!(text, "the environment has AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY");
    let text = of(&[("AWS_SECRET_ACCESS_KEY", "SK")]).await;
    assert_eq!(text, "the environment has AWS_SECRET_ACCESS_KEY and no AWS_ACCESS_KEY_ID");
    let text = of(&[("AWS_SHARED_CREDENTIALS_FILE", &shared)]).await;
    assert_eq!(text, "profile default has aws_access_key_id and no aws_secret_access_key");
}

#[tokio::test]
async fn the_bundle_of_the_profile_is_used_and_must_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = file(folder.path(), "ca.pem", "no certificate\n");
    let config = file(folder.path(), "config", &format!("[default]\nca_bundle = {bundle}\n"));
    let error = S3Store::connect(keys_and(&[("AWS_CONFIG_FILE", &config)])).await.unwrap_err();
    assert!(
        error.to_string().ends_with(&format!(
            "the CA bundle {bundle} cannot be used: it holds no certificate in PEM"
        )),
        "{error}"
    );
}
