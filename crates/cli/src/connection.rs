//! The connection of an unfinished upload to its store, recorded in its journal without secrets.
//!
//! An upload is resumed and aborted at the store where it started, even if the environment, the
//! profiles or the flags have changed since. So the resolved values are recorded: the endpoint, the
//! region, bucket addressing, and the names of the profile and of the file of trusted certificates.
//! Credentials and `--no-verify-ssl` are not recorded. A flag that contradicts the record is
//! refused.

use std::path::PathBuf;

use haul::journal::Beginning;
use haul::s3::{Location, RequestHeaders, normalised};
use haul::source::path_text;
use haul::{Addressing, ObjectRef, S3Options, S3Store};
use serde::{Deserialize, Serialize};

use crate::args::StoreArgs;
use crate::data_dir::data_dir;
use crate::exit::Exit;
use crate::failure::{Ended, Usage};
use crate::target::{Address, Scheme};
use crate::upload_locator::Reach;

/// The connection of an upload to its store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case")]
pub(crate) enum Connection {
    /// `local://`: the endpoint of a folder of this machine.
    Local {
        #[serde(with = "path_text")]
        data: PathBuf,
    },
    /// `s3://`: a store over the network.
    S3(S3Connection),
}

/// A connection to a store over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct S3Connection {
    endpoint: String,
    /// False for AWS's own endpoint, which follows from the region.
    endpoint_given: bool,
    region: String,
    path_style: bool,
    #[serde(default)]
    fips: bool,
    #[serde(default)]
    dual_stack: bool,
    #[serde(default)]
    profile: Option<String>,
    /// Whether `--profile` set the profile: it then overrides keys in the environment, which
    /// `AWS_PROFILE` does not.
    #[serde(default)]
    profile_named: bool,
    /// The store profile that this run named. Its name stays text, so that the journal can be read
    /// by a Haul that does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store_profile: Option<String>,
    #[serde(default, with = "path_text::optional")]
    ca_bundle: Option<PathBuf>,
    /// Whether the caller pays for the requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    request_payer: bool,
    /// The account that must own the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected_bucket_owner: Option<String>,
}

impl Connection {
    /// Records the connection of this run to `local://`.
    pub(crate) fn local(args: &StoreArgs) -> Result<Self, Ended> {
        Ok(Self::Local { data: data_dir(args.data.clone())? })
    }

    /// Records the connection of this run to `s3://`.
    pub(crate) fn s3(args: &StoreArgs, store: &S3Store) -> Self {
        let of_environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let location = store.location();
        Self::S3(S3Connection {
            endpoint: location.endpoint.clone(),
            endpoint_given: location.endpoint_given,
            region: location.region.clone(),
            path_style: location.addressing == Addressing::Path,
            fips: location.fips,
            dual_stack: location.dual_stack,
            profile: args.profile.clone().or_else(of_environment),
            profile_named: args.profile.is_some(),
            store_profile: args.store_profile.map(|kind| kind.name().to_owned()),
            ca_bundle: store.ca_bundle().and_then(|path| std::path::absolute(path).ok()),
            request_payer: args.requests.request_payer.is_some(),
            expected_bucket_owner: args.requests.expected_bucket_owner.clone(),
        })
    }

    /// Returns the connection of a journal.
    ///
    /// # Errors
    /// Fails if another program that embeds the engine wrote the journal.
    pub(crate) fn recorded(id: &str, beginning: &Beginning) -> Result<Self, Ended> {
        Self::read(id, &beginning.connection)
    }

    /// Parses the recorded form.
    ///
    /// # Errors
    /// As [`Connection::recorded`].
    pub(crate) fn read(id: &str, recorded: &serde_json::Value) -> Result<Self, Ended> {
        serde_json::from_value(recorded.clone()).map_err(|_| Ended {
            exit: Exit::Failed,
            code: "Journal",
            message: format!("the journal {id} does not say how its store is reached"),
            hint: Some("resume it with the program that began it".to_owned()),
        })
    }

    /// Returns the scheme of the address on the command line.
    pub(crate) fn scheme(&self) -> Scheme {
        match self {
            Self::Local { .. } => Scheme::Local,
            Self::S3(_) => Scheme::S3,
        }
    }

    /// Returns a store name that is the same in every run. The endpoint of `local://` has a
    /// different port each time.
    pub(crate) fn store_name(&self) -> String {
        match self {
            Self::Local { data } => match data.to_str() {
                Some(text) => format!("local:{text}"),
                None => format!("local:{data:?}"),
            },
            Self::S3(s3) => s3.location().store_name(),
        }
    }

    /// Returns the address on the command line.
    pub(crate) fn address(&self, beginning: &Beginning) -> Address {
        address(self.scheme(), beginning)
    }

    /// Returns the address of an object of this store.
    pub(crate) fn address_of(&self, object: &ObjectRef) -> Address {
        address_of(self.scheme(), object)
    }

    /// Returns the connection with which a copy reads its source in the same store: without the
    /// owner that only the target's bucket must have. `None` if there is no such owner.
    pub(crate) fn without_owner(&self) -> Option<Self> {
        match self {
            Self::S3(s3) if s3.expected_bucket_owner.is_some() => {
                Some(Self::S3(S3Connection { expected_bucket_owner: None, ..s3.clone() }))
            }
            _ => None,
        }
    }

    /// Returns how a later command reaches the store without this record.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Local { data } => Reach::Inside(data.clone()),
            Self::S3(s3) if s3.endpoint_given => Reach::Url(s3.endpoint.clone()),
            Self::S3(_) => Reach::Aws,
        }
    }

    /// Returns the profile for credentials.
    pub(crate) fn profile(&self) -> Option<String> {
        match self {
            Self::Local { .. } => None,
            Self::S3(s3) => s3.profile.clone(),
        }
    }

    /// Returns the flags with which a command in another shell reaches the store.
    pub(crate) fn flags(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Local { data } => vec![("--data", data.to_string_lossy().into_owned())],
            Self::S3(s3) => {
                let endpoint = s3.endpoint_given.then(|| ("--endpoint", s3.endpoint.clone()));
                let profile = s3.profile.clone().filter(|_| s3.profile_named);
                let profile = profile.map(|profile| ("--profile", profile));
                endpoint.into_iter().chain(profile).collect()
            }
        }
    }

    /// Refuses flags of this command that name a store other than that of upload `id`.
    ///
    /// # Errors
    /// Names the flag and the recorded value.
    pub(crate) fn refuse_another(&self, id: &str, given: &StoreArgs) -> Result<(), Usage> {
        let contradiction = match self {
            Self::Local { data } => contradiction_of_local(data, given),
            Self::S3(s3) => s3.contradiction(given),
        };
        match contradiction {
            None => Ok(()),
            Some((flag, recorded)) => Err(Usage::new(
                format!("{flag} contradicts upload {id}, which was begun {recorded}"),
                format!("leave {flag} out: the upload stays at the store where it was begun"),
            )),
        }
    }
}

/// Returns the target of a journal, even of one without a connection.
pub(crate) fn address(scheme: Scheme, beginning: &Beginning) -> Address {
    address_of(scheme, &beginning.object)
}

/// Returns the address of an object.
pub(crate) fn address_of(scheme: Scheme, object: &ObjectRef) -> Address {
    Address { scheme, bucket: object.bucket.clone(), key: object.key.as_str().to_owned() }
}

fn contradiction_of_local(data: &PathBuf, given: &StoreArgs) -> Option<(&'static str, String)> {
    let other = |folder: &PathBuf| std::path::absolute(folder).ok().as_ref() != Some(data);
    let flags = [
        (given.endpoint.is_some(), "--endpoint"),
        (given.profile.is_some(), "--profile"),
        (given.store_profile.is_some(), "--store-profile"),
        (given.virtual_host_style, "--virtual-host-style"),
        (given.data.as_ref().is_some_and(other), "--data"),
    ];
    let flag = flags.into_iter().find_map(|(contradicts, flag)| contradicts.then_some(flag))?;
    Some((flag, format!("in the store of this machine in {}", data.display())))
}

impl S3Connection {
    fn location(&self) -> Location {
        Location {
            endpoint: self.endpoint.clone(),
            endpoint_given: self.endpoint_given,
            region: self.region.clone(),
            addressing: if self.path_style { Addressing::Path } else { Addressing::Virtual },
            fips: self.fips,
            dual_stack: self.dual_stack,
        }
    }

    /// Returns options that select the recorded store. Profile and certificates come from this
    /// run's flags if none were recorded, because they only affect credentials and trust. The
    /// current `AWS_CA_BUNDLE` is ignored.
    pub(crate) fn options(&self, given: &StoreArgs, run: S3Options) -> S3Options {
        let keys = std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|id| !id.is_empty());
        self.location().options(S3Options {
            profile: self.profile_to_use(given, keys),
            store_profile: given
                .store_profile
                .or_else(|| self.store_profile.as_ref()?.parse().ok()),
            ca_bundle: self.ca_bundle.clone().or(run.ca_bundle),
            request_headers: RequestHeaders {
                request_payer: run.request_headers.request_payer || self.request_payer,
                expected_bucket_owner: self
                    .expected_bucket_owner
                    .clone()
                    .or(run.request_headers.expected_bucket_owner),
                ..run.request_headers
            },
            ignore_configured_ca_bundle: true,
            ..run
        })
    }

    /// Returns the profile: one from `AWS_PROFILE` is used only without keys in the environment.
    fn profile_to_use(&self, given: &StoreArgs, keys_in_environment: bool) -> Option<String> {
        let recorded = self.profile.clone().filter(|_| self.profile_named || !keys_in_environment);
        given.profile.clone().or(recorded)
    }

    fn contradiction(&self, given: &StoreArgs) -> Option<(&'static str, String)> {
        let other_endpoint = |url: &String| normalised(url) != normalised(&self.endpoint);
        if given.endpoint.as_ref().is_some_and(other_endpoint) {
            return Some(("--endpoint", format!("at {}", self.endpoint)));
        }
        if given.region.as_ref().is_some_and(|region| *region != self.region) {
            return Some(("--region", format!("in region {}", self.region)));
        }
        if given.path_style && !self.path_style {
            return Some(("--path-style", "with the bucket in the host name".to_owned()));
        }
        if given.virtual_host_style && self.path_style {
            return Some(("--virtual-host-style", "with the bucket in the path".to_owned()));
        }
        if let (Some(given), Some(recorded)) = (&given.profile, &self.profile)
            && given != recorded
        {
            return Some(("--profile", format!("with profile {recorded}")));
        }
        if let (Some(given), Some(recorded)) = (given.store_profile, &self.store_profile)
            && given.name() != recorded
        {
            return Some(("--store-profile", format!("with store profile {recorded}")));
        }
        if let Some(given) = &given.requests.expected_bucket_owner
            && Some(given) != self.expected_bucket_owner.as_ref()
        {
            let recorded = match &self.expected_bucket_owner {
                Some(owner) => format!("for a bucket of account {owner}"),
                None => "without an expected owner".to_owned(),
            };
            return Some(("--expected-bucket-owner", recorded));
        }
        if let (Some(given), Some(recorded)) = (&given.ca_bundle, &self.ca_bundle)
            && std::path::absolute(given).ok().as_ref() != Some(recorded)
        {
            return Some((
                "--ca-bundle",
                format!("with the certificates in {}", recorded.display()),
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn given(flags: &str) -> StoreArgs {
        Cli::try_parse_from(format!("haul uploads {flags}").split_whitespace()).unwrap().store
    }

    fn recorded() -> S3Connection {
        S3Connection {
            endpoint: "https://gw:8443/storage/v1/s3".into(),
            endpoint_given: true,
            region: "eu-central-1".into(),
            path_style: true,
            fips: false,
            dual_stack: false,
            profile: Some("backup".into()),
            profile_named: true,
            store_profile: Some("minio".into()),
            ca_bundle: Some("/etc/gw.pem".into()),
            request_payer: true,
            expected_bucket_owner: Some("111122223333".into()),
        }
    }

    /// `--endpoint http://localhost:P resume ID` after a start on `127.0.0.1:P` created a second
    /// upload, and overwrote the object that `--if-none-match` protects.
    #[test]
    fn a_flag_that_contradicts_the_record_is_refused() {
        let refused = |connection: &Connection, flags: &str| {
            connection
                .refuse_another("0e50c57f2f7a", &given(flags))
                .err()
                .map(|error| error.to_string())
        };
        let s3 = Connection::S3(recorded());
        for flags in [
            "--endpoint http://gw:8443/storage/v1/s3",
            "--endpoint https://gw:8443",
            "--region us-east-1",
            "--virtual-host-style",
            "--profile other",
            "--store-profile r2",
            "--ca-bundle /etc/other.pem",
            "--expected-bucket-owner 444455556666",
        ] {
            let flag = flags.split(' ').next().unwrap();
            assert!(refused(&s3, flags).is_some_and(|said| said.starts_with(flag)), "{flags}");
        }
        for flags in [
            "",
            "--endpoint https://GW:8443/storage/v1/s3/ --region eu-central-1 --path-style",
            "--profile backup",
            "--store-profile minio",
            "--ca-bundle /etc/gw.pem",
        ] {
            assert_eq!(refused(&s3, flags), None, "{flags}");
        }
        let local = Connection::Local { data: "/srv/store".into() };
        assert!(refused(&local, "--data /srv/other").is_some());
        assert!(refused(&local, "--endpoint http://127.0.0.1:8014").is_some());
        assert_eq!(refused(&local, "--data /srv/store"), None);
        insta::assert_snapshot!(refused(&s3, "--region us-east-1").unwrap(), @"--region \
            contradicts upload 0e50c57f2f7a, which was begun in region eu-central-1");
    }

    #[test]
    fn the_record_leads_to_the_same_store() {
        let options = recorded().options(&given(""), S3Options::default());
        assert_eq!(options.endpoint_url.as_deref(), Some("https://gw:8443/storage/v1/s3"));
        assert_eq!(options.region.as_deref(), Some("eu-central-1"));
        assert_eq!(
            (options.addressing, options.ignore_configured_endpoint),
            (Addressing::Path, true)
        );
        assert_eq!(options.profile.as_deref(), Some("backup"));
        assert_eq!(options.ca_bundle, Some("/etc/gw.pem".into()));
        assert!(options.ignore_configured_ca_bundle && options.request_headers.request_payer);
        let owner = options.request_headers.expected_bucket_owner;
        assert_eq!(owner.as_deref(), Some("111122223333"));
        assert_eq!(options.store_profile, Some(haul::remote::StoreKind::MinIo));

        let aws = S3Connection {
            endpoint: "https://s3.eu-central-1.amazonaws.com".into(),
            endpoint_given: false,
            ..recorded()
        };
        assert_eq!(
            aws.options(&given(""), S3Options::default()).endpoint_url,
            None,
            "AWS's own, and no other that an environment names"
        );
        assert_eq!(Connection::S3(aws).store_name(), "https://s3.amazonaws.com");
    }

    /// Keys in the environment override `AWS_PROFILE` but not `--profile`, in later runs as in the
    /// first.
    #[test]
    fn credentials_come_from_where_they_came_from() {
        let by_environment = S3Connection { profile_named: false, ..recorded() };
        assert_eq!(recorded().profile_to_use(&given(""), true).as_deref(), Some("backup"));
        assert_eq!(by_environment.profile_to_use(&given(""), false).as_deref(), Some("backup"));
        assert_eq!(by_environment.profile_to_use(&given(""), true), None);
        let none = S3Connection { profile: None, ..recorded() };
        assert_eq!(none.profile_to_use(&given("--profile new"), true).as_deref(), Some("new"));
    }

    #[test]
    fn a_folder_whose_name_is_no_text_is_recorded() {
        use std::os::unix::ffi::OsStrExt;
        let data = PathBuf::from(std::ffi::OsStr::from_bytes(b"/srv/caf\xe9"));
        let connection = Connection::Local { data };
        let value = serde_json::to_value(&connection).unwrap();
        assert_eq!(serde_json::from_value::<Connection>(value).unwrap(), connection);
        assert_eq!(connection.store_name(), r#"local:"/srv/caf\xE9""#);
    }
}
