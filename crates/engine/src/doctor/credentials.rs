//! The credentials in use and their source, without any secret.

use jiff::Timestamp;

use super::{Doctor, Group, Verdict};
use crate::remote::StoreError;
use crate::s3::CredentialFacts;

impl Doctor<'_> {
    /// Records the credentials.
    ///
    /// # Errors
    /// There are none: no request can be signed.
    pub(super) fn note_credentials(
        &mut self,
        found: Result<CredentialFacts, StoreError>,
    ) -> Result<(), StoreError> {
        let (verdict, detail) = match &found {
            Ok(facts) => {
                let expiry = facts.expires.and_then(|at| Timestamp::try_from(at).ok());
                let expiry = expiry.map_or(String::new(), |at| {
                    format!(", until {}", at.strftime("%Y-%m-%d %H:%M UTC"))
                });
                let from = source(&facts.provider);
                (Verdict::Ok, format!("{} from {from}{expiry}", facts.access_key_id))
            }
            Err(error) => (Verdict::No, error.message.clone()),
        };
        self.note(Group::Connection, "credentials", verdict, detail);
        found.map(drop)
    }
}

/// Words the provider of credentials, as the SDK names it.
fn source(provider: &str) -> String {
    match provider {
        "EnvironmentVariable" => "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
        "ProfileFile" => "the files of profiles (~/.aws)".to_owned(),
        "CredentialProcess" => "the credential_process of the profile".to_owned(),
        "SSO" => "single sign-on (aws sso login)".to_owned(),
        "Login" => "the session of aws login".to_owned(),
        "WebIdentityToken" => "a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)".to_owned(),
        "AssumeRoleProvider" => "an assumed role".to_owned(),
        "EcsContainer" => "the container (AWS_CONTAINER_CREDENTIALS_…)".to_owned(),
        "IMDSv2" => "the role of this EC2 instance".to_owned(),
        "options" => "the store of this machine".to_owned(),
        "trimmed" => "the chain (blanks around the keys were removed)".to_owned(),
        other => other.to_owned(),
    }
}
