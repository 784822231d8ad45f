//! `haul serve`: serves a folder of this machine as an S3 endpoint until a signal stops it.
//!
//! The output is meant to be pasted: a new user should be able to connect a client within a minute.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Context;
use haul_server::{Grant, RunningServer, Secret, ServerOptions, TlsPem};
use serde::Serialize;

use crate::args::{ServeArgs, StoreArgs};
use crate::data_dir::data_dir;
use crate::exit::Exit;
use crate::failure::{FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::open_files;
use crate::output::{Mode, shown};
use crate::private::{make_new_files_private, shell_quoted, warn_if_exposed};

/// The values that a client needs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "listening")]
struct Listening {
    endpoint: String,
    region: String,
    access_key_id: String,
    /// The secret key, on a terminal only: any other output may end up in a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<String>,
    /// The file with both keys.
    keys_file: String,
    data_dir: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_endpoint: Option<String>,
}

/// Serves the folder.
pub(crate) async fn run(store: &StoreArgs, args: &ServeArgs, mode: Mode) -> anyhow::Result<Exit> {
    check(store, args)?;
    make_new_files_private();
    let folder = data_dir(store.data.clone())?;
    let mut options = ServerOptions {
        listen: args.listen,
        data_dir: folder.clone(),
        tls: read_tls(args, mode)?,
        grants: read_grants(args, mode)?,
        public_read_buckets: args.public_read.clone(),
        volume_is_encrypted: args.volume_is_encrypted,
        expire_uploads: args.expire_uploads,
        admin_listen: args.admin_listen,
        ..ServerOptions::default()
    };
    if let Some(region) = &store.region {
        options.region.clone_from(region);
    }
    let region = options.region.clone();
    open_files::make_room(&mut options.limits);

    // Install the signal handlers before publishing the address: from then on, a signal stops the
    // server gracefully.
    let role = if args.keys.is_some() { Role::ServerWithKeys } else { Role::Server };
    let mut interrupts = Interrupts::new(role)?;
    let context =
        || FailureContext::of(format!("cannot serve {} on {}", folder.display(), args.listen));
    let server = haul_server::start(options).await.with_context(context)?;
    let keys = server.credentials();
    let listening = Listening {
        endpoint: server.endpoint(),
        region,
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: std::io::stdout()
            .is_terminal()
            .then(|| keys.secret_access_key.expose().to_owned()),
        keys_file: server.keys_file().display().to_string(),
        data_dir: folder.display().to_string(),
        admin_endpoint: server.admin_address().map(|address| format!("http://{address}")),
    };
    mode.event(&listening);
    mode.page(&listening.page());

    let signal = loop {
        match interrupts.next().await {
            "SIGHUP" if args.keys.is_some() => reload(&server, args, mode),
            signal => break signal,
        }
    };
    mode.remark(&format!(
        "{signal}: finishing the requests in flight; press again to quit immediately"
    ));
    tokio::select! {
        () = server.stop() => mode.remark("stopped"),
        _ = interrupts.next() => mode.remark("quit immediately; what was answered is safe"),
    }
    Ok(Exit::Done)
}

fn read_tls(args: &ServeArgs, mode: Mode) -> anyhow::Result<Option<TlsPem>> {
    let (Some(certificates), Some(private_key)) = (&args.tls_cert, &args.tls_key) else {
        return Ok(None);
    };
    warn_if_exposed(private_key, "the private key of the certificate", mode);
    Ok(Some(TlsPem {
        certificates: read(certificates)?,
        private_key: Secret::new(read(private_key)?),
    }))
}

fn read_grants(args: &ServeArgs, mode: Mode) -> anyhow::Result<Vec<Grant>> {
    let Some(file) = &args.keys else { return Ok(Vec::new()) };
    warn_if_exposed(file, "secret access keys", mode);
    let context = || FailureContext::of(format!("cannot use the keys of {}", file.display()));
    Grant::parse_file(&read(file)?).with_context(context)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file)
        .with_context(|| FailureContext::of(format!("cannot read {}", file.display())))
}

/// The result of a SIGHUP.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Reloaded {
    KeysReplaced { key_pairs: usize },
    KeysKept { reason: String },
}

/// Reloads the keys. If they cannot be read, the old keys stay valid, so that a mistake in the file
/// locks out no client.
fn reload(server: &RunningServer, args: &ServeArgs, mode: Mode) {
    let replaced = read_grants(args, mode).and_then(|grants| {
        let key_pairs = grants.len();
        server.replace_grants(grants)?;
        Ok(key_pairs)
    });
    let reloaded = match replaced {
        Ok(key_pairs) => {
            mode.remark(&format!("SIGHUP: {key_pairs} key pairs beside the owner's"));
            Reloaded::KeysReplaced { key_pairs }
        }
        Err(error) => {
            let reason = format!("{error:#}");
            mode.remark(&format!("SIGHUP: the keys stay as they were: {reason}"));
            Reloaded::KeysKept { reason }
        }
    };
    mode.event(&reloaded);
}

fn check(store: &StoreArgs, args: &ServeArgs) -> Result<(), Usage> {
    let given = [
        (store.endpoint.is_some(), "--endpoint"),
        (store.profile.is_some(), "--profile"),
        (store.store_profile.is_some(), "--store-profile"),
        (store.path_style, "--path-style"),
        (store.virtual_host_style, "--virtual-host-style"),
    ];
    if let Some((_, name)) = given.iter().find(|(given, _)| *given) {
        return Err(Usage::new(
            format!("{name} chooses a store to talk to; haul serve is one"),
            "use --listen for the address and --data for the folder",
        ));
    }
    let encrypted = args.tls_cert.is_some();
    let open = [Some(args.listen).filter(|_| !encrypted), args.admin_listen];
    if let Some(address) = open.into_iter().flatten().find(|address| !address.ip().is_loopback())
        && !args.allow_remote
    {
        return Err(Usage::new(
            format!(
                "{address} can be reached from other machines, and haul serve speaks plain HTTP \
                 there"
            ),
            "give --tls-cert and --tls-key, listen on 127.0.0.1, or add --allow-remote if the \
             network is yours alone",
        ));
    }
    Ok(())
}

impl Listening {
    /// Formats the start page for people: a description, then lines to paste.
    fn page(&self) -> String {
        let Self { endpoint, admin_endpoint, .. } = self;
        let [region, access_key_id, data_dir, keys_file] =
            [&self.region, &self.access_key_id, &self.data_dir, &shell_quoted(&self.keys_file)]
                .map(|value| shown(value));
        let (secret, pasted) = match &self.secret_access_key {
            Some(secret) => (secret.clone(), secret.clone()),
            None => (
                format!("in {keys_file} (shown on a terminal only)"),
                format!(r#"$(sed -n 's/.*"secret_access_key": "\(.*\)".*/\1/p' {keys_file})"#),
            ),
        };
        let admin = admin_endpoint.as_ref();
        let admin = admin.map_or_else(String::new, |url| {
            format!("\n  health and metrics {url}/health, {url}/metrics")
        });
        format!(
            "\
haul serves {data_dir}

  endpoint           {endpoint}
  region             {region}
  access key id      {access_key_id}
  secret access key  {secret}{admin}

Paste this into the shell that will talk to it:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID={access_key_id} AWS_SECRET_ACCESS_KEY={pasted}

and then one of these:

  haul    haul mb s3://demo && haul cp FILE s3://demo/
  aws     aws s3 mb s3://demo && aws s3 cp FILE s3://demo/
  boto3   boto3.client('s3').upload_file('FILE', 'demo', 'FILE')
  s5cmd   s5cmd --endpoint-url {endpoint} cp FILE s3://demo/
  rclone  rclone copy FILE ':s3,provider=Other,env_auth,endpoint=\"{endpoint}\":demo'

Ctrl-C stops it."
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn refusal(line: &str) -> Option<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        match cli.command {
            Command::Serve(args) => check(&cli.store, &args).err().map(|usage| usage.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_machines_are_let_in_only_on_purpose() {
        assert_eq!(refusal("haul serve"), None);
        assert_eq!(refusal("haul serve --listen [::1]:0"), None);
        assert_eq!(refusal("haul serve --listen 0.0.0.0:80 --allow-remote"), None);
        assert_eq!(refusal("haul serve --listen 0.0.0.0:443 --tls-cert c --tls-key k"), None);
        assert!(refusal("haul serve --tls-cert c --tls-key k --admin-listen 0.0.0.0:1").is_some());
        insta::assert_snapshot!(refusal("haul serve --listen 0.0.0.0:80").unwrap(), @"0.0.0.0:80 \
            can be reached from other machines, and haul serve speaks plain HTTP there");
        insta::assert_snapshot!(refusal("haul serve --endpoint http://x").unwrap(), @"--endpoint \
            chooses a store to talk to; haul serve is one");
    }

    fn listening(secret_access_key: Option<String>, keys_file: String) -> Listening {
        Listening {
            endpoint: "http://127.0.0.1:8014".into(),
            region: "us-east-1".into(),
            access_key_id: "HAULEXAMPLE".into(),
            secret_access_key,
            keys_file,
            data_dir: "/data".into(),
            admin_endpoint: Some("http://127.0.0.1:9000".into()),
        }
    }

    #[test]
    fn the_page_can_be_pasted() {
        let page = listening(Some("secret".into()), "/data/keys.json".into()).page();
        assert!(page.contains(
            "\n  health and metrics http://127.0.0.1:9000/health, http://127.0.0.1:9000/metrics\n"
        ));
        assert!(page.contains(
            "  export AWS_ENDPOINT_URL=http://127.0.0.1:8014 AWS_DEFAULT_REGION=us-east-1\n"
        ));
        assert!(
            page.contains("  export AWS_ACCESS_KEY_ID=HAULEXAMPLE AWS_SECRET_ACCESS_KEY=secret\n")
        );
    }

    #[test]
    fn a_page_without_the_secret_finds_it_when_pasted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's keys.json");
        let keys = haul_server::Credentials {
            access_key_id: "HAULEXAMPLE".into(),
            secret_access_key: Secret::new("hush"),
        };
        std::fs::write(&file, serde_json::to_vec_pretty(&keys).unwrap()).unwrap();
        let page = listening(None, file.display().to_string()).page();
        assert!(!page.contains("hush"), "{page}");
        let export = page.lines().find(|line| line.contains("AWS_SECRET_ACCESS_KEY")).unwrap();
        let script = format!("{export}\nprintf %s \"$AWS_SECRET_ACCESS_KEY\"");
        let pasted = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(pasted.stdout).unwrap(), "hush", "{export}");
    }
}
