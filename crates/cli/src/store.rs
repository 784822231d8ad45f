//! Opens the store of an address, as the flags specify.
//!
//! `s3://` follows the flags and the AWS configuration chain; `local://` is the endpoint of this
//! machine.

mod local;
mod profile;
mod proxies;

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::Context;
use haul::remote::LoggedStore;
use haul::s3::{Environment, StaticCredentials};
use haul::{Addressing, Engine, EngineOptions, S3Options, S3Store, Store};

use crate::args::StoreArgs;
use crate::config;
use crate::connection::Connection;
use crate::data_dir::data_dir;
use crate::failure::{FailureContext, Usage};
use crate::output::Mode;
use crate::session;
use crate::target::Scheme;
use crate::upload_locator::Reach;

/// A store, and everything that must live as long as it is in use.
pub(crate) struct OpenedStore {
    /// The store that requests go to.
    pub(crate) store: Arc<dyn Store>,
    /// The connection to record in journals.
    pub(crate) connection: Connection,
    /// How later commands reach the store.
    pub(crate) reach: Reach,
    /// Whether a missing bucket has to be created first, as `local://` promises.
    pub(crate) makes_buckets: bool,
    inside: Option<local::Inside>,
    /// In a session, the engine that its commands share.
    engine: Option<Engine>,
}

impl OpenedStore {
    /// Returns the engine of this command: the session's, or a new one with these limits.
    pub(crate) fn engine(&self, limits: EngineOptions) -> Engine {
        let own = || Engine::new(Arc::clone(&self.store), limits);
        self.engine.clone().unwrap_or_else(own)
    }

    /// Returns the same store for one command of a session; the session keeps the endpoint alive.
    pub(crate) fn share(&self, engine: Engine) -> Self {
        Self {
            store: Arc::clone(&self.store),
            connection: self.connection.clone(),
            reach: self.reach.clone(),
            makes_buckets: self.makes_buckets,
            inside: None,
            engine: Some(engine),
        }
    }

    fn over_the_network(store: S3Store, connection: Connection) -> Self {
        let reach = match store.location().endpoint_given {
            false => Reach::Aws,
            true => Reach::Url(store.endpoint()),
        };
        Self {
            store: Arc::new(LoggedStore(store)),
            connection,
            reach,
            makes_buckets: false,
            inside: None,
            engine: None,
        }
    }

    /// Stops the endpoint in this process, if there is one. Requests that it answered are already
    /// on disk.
    pub(crate) async fn close(self) {
        drop(self.store);
        if let Some(inside) = self.inside {
            inside.stop().await;
        }
    }
}

/// Opens the store of a scheme, or returns the one that the commands of a session share.
pub(crate) async fn open(
    scheme: Scheme,
    args: &StoreArgs,
    mode: Mode,
) -> anyhow::Result<OpenedStore> {
    match session::current() {
        Some(session) => {
            let name = format!("{scheme:?} {args:?}");
            session.store(name, || Box::pin(open_own(scheme, args, mode))).await
        }
        None => open_own(scheme, args, mode).await,
    }
}

async fn open_own(scheme: Scheme, args: &StoreArgs, mode: Mode) -> anyhow::Result<OpenedStore> {
    match scheme {
        Scheme::S3 => {
            let (store, args) = connect_s3(args, mode).await?;
            profile::refine(&store, mode);
            let connection = Connection::s3(&args, &store);
            Ok(OpenedStore::over_the_network(store, connection))
        }
        Scheme::Local => {
            refuse_for_local(args)?;
            let folder = data_dir(args.data.clone())?;
            let connection = Connection::local(args)?;
            let found = local::endpoint_of(&folder, mode).await?;
            let options = S3Options {
                endpoint_url: Some(found.endpoint),
                region: Some(found.region),
                addressing: Addressing::Path,
                credentials: Some(found.credentials),
                // Ignore settings for other stores: no profile, no proxy, no certificates.
                environment: Some(Environment::default()),
                request_headers: args.requests.headers(),
                ..S3Options::default()
            };
            let makes_buckets = found.inside.is_none();
            match connect(options).await {
                Ok(store) => Ok(OpenedStore {
                    reach: match &found.inside {
                        Some(_) => Reach::Inside(folder),
                        None => Reach::Url(store.endpoint()),
                    },
                    store: Arc::new(LoggedStore(store)),
                    connection,
                    makes_buckets,
                    inside: found.inside,
                    engine: None,
                }),
                Err(error) => {
                    if let Some(inside) = found.inside {
                        inside.stop().await;
                    }
                    Err(error)
                }
            }
        }
    }
}

/// Opens the store of `s3://` itself, without what an earlier probe found about it.
pub(crate) async fn open_s3(args: &StoreArgs, mode: Mode) -> anyhow::Result<S3Store> {
    Ok(connect_s3(args, mode).await?.0)
}

async fn connect_s3(args: &StoreArgs, mode: Mode) -> anyhow::Result<(S3Store, StoreArgs)> {
    let store_profile = profile::named(args)?;
    let args = StoreArgs { store_profile, ..config::filled_in(args) };
    Ok((connect(s3_options(&args, mode)?).await?, args))
}

/// Opens the store that a journal records, and no other. `args` are this run's flags, which must
/// not contradict the record.
pub(crate) async fn open_recorded(
    connection: &Connection,
    args: &StoreArgs,
    mode: Mode,
) -> anyhow::Result<OpenedStore> {
    match connection {
        Connection::Local { data } => {
            let args = StoreArgs { data: Some(data.clone()), ..args.clone() };
            open(Scheme::Local, &args, mode).await
        }
        Connection::S3(s3) => {
            let open_own = async || {
                let store = connect(s3.options(args, run_options(args, mode)?)).await?;
                profile::refine(&store, mode);
                Ok(OpenedStore::over_the_network(store, connection.clone()))
            };
            match session::current() {
                Some(session) => {
                    let name = format!("{connection:?} {args:?}");
                    session.store(name, open_own).await
                }
                None => open_own().await,
            }
        }
    }
}

async fn connect(options: S3Options) -> anyhow::Result<S3Store> {
    let context = match &options.profile {
        Some(profile) => FailureContext::of(format!(
            "cannot connect to the store with profile \
            {profile}"
        ))
        .hinting(format!(
            "look for {profile} in ~/.aws/config and ~/.aws/credentials; for SSO: aws sso login \
             --profile {profile}"
        )),
        None => FailureContext::of("cannot connect to the store"),
    };
    S3Store::connect(options).await.context(context)
}

fn s3_options(args: &StoreArgs, mode: Mode) -> Result<S3Options, Usage> {
    Ok(S3Options {
        endpoint_url: args.endpoint.clone(),
        region: args.region.clone(),
        profile: args.profile.clone(),
        store_profile: args.store_profile,
        addressing: match (args.path_style, args.virtual_host_style) {
            (true, _) => Addressing::Path,
            (_, true) => Addressing::Virtual,
            _ => Addressing::Auto,
        },
        ..run_options(args, mode)?
    })
}

/// Returns options of this run that do not select the store: proxies, trust, time-outs.
fn run_options(args: &StoreArgs, mode: Mode) -> Result<S3Options, Usage> {
    if args.no_verify_ssl {
        mode.remark("warning: certificates are not verified (--no-verify-ssl)");
    }
    Ok(S3Options {
        environment: Some(environment()),
        ca_bundle: args.ca_bundle.clone(),
        accept_any_certificate: args.no_verify_ssl,
        proxies: proxies::from_environment()?,
        request_headers: args.requests.headers(),
        ..S3Options::default()
    })
}

/// Returns the variables for the AWS configuration chain, without those that are not UTF-8.
fn environment() -> Environment {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Refuses flags that select another store for `local://`.
fn refuse_for_local(args: &StoreArgs) -> Result<(), Usage> {
    let given = [
        (args.endpoint.is_some(), "--endpoint"),
        (args.profile.is_some(), "--profile"),
        (args.store_profile.is_some(), "--store-profile"),
        (args.virtual_host_style, "--virtual-host-style"),
        (args.ca_bundle.is_some(), "--ca-bundle"),
        (args.no_verify_ssl, "--no-verify-ssl"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Usage::new(
            format!("{name} and local:// name two different stores"),
            "write s3:// for the store that the flag names, or leave the flag out",
        )),
        None => Ok(()),
    }
}

/// The endpoint that serves `local://`.
struct LocalEndpoint {
    endpoint: String,
    region: String,
    credentials: StaticCredentials,
    inside: Option<local::Inside>,
}
