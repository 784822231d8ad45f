//! `haul presign OBJECT`: prints a URL that lets its holder read, or write, one object for a while.

use anyhow::Context;
use haul::remote::{PRESIGN_MAX, PresignMethod, PresignRequest};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::args::{PresignArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::store;
use crate::target::Scheme;

/// The URL, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "presigned")]
struct Presigned<'a> {
    url: &'a str,
    method: &'static str,
    /// The expiry, by the clock that was used for signing.
    expires_at: String,
}

/// Prints the URL.
pub(crate) async fn run(args: &StoreArgs, what: &PresignArgs, mode: Mode) -> anyhow::Result<Exit> {
    let address = &what.object;
    let shown = visible(&address.to_string());
    if address.scheme == Scheme::Local {
        return Err(Usage::new(
            format!("{shown} has no lasting endpoint: it ends with the command that uses it"),
            "start haul serve, and presign s3:// with --endpoint http://HOST:PORT and its keys",
        )
        .into());
    }
    if what.expires > PRESIGN_MAX {
        return Err(Usage::new(
            "a presigned URL lasts 7 days at most (signature version 4)",
            "write --expires 7d or less",
        )
        .into());
    }
    if what.expires.as_secs() == 0 {
        return Err(Usage::new("a URL lasts one second at least", "write --expires 1h").into());
    }
    let object = address.exact_object().map_err(Usage::from)?;
    let request = PresignRequest { method: what.method.into(), expires_in: what.expires };
    let opened = store::open(address.scheme, args, mode).await?;
    let signed_at = opened.store.now();
    let presigned = opened.store.presign(&object, &request).await;
    let context = FailureContext::at(format!("cannot presign {shown}"), address)
        .through(opened.store.endpoint());
    opened.close().await;
    let presigned = presigned
        .map_err(|error| haul::Error::of_store(address.subject(), error))
        .context(context)?;
    let expires_at = signed_at
        .checked_add(SignedDuration::try_from(what.expires)?)
        .unwrap_or(Timestamp::MAX)
        .round(jiff::Unit::Second)?;
    match presigned.session_ends {
        Some(ends) if ends < expires_at => mode.warn(
            &format!("the credentials are of a session that ends at {ends}, and the URL with it"),
            "sign with keys that last, or with a shorter --expires",
        ),
        None if presigned.of_session => mode.warn(
            "the credentials are of a session, and the URL ends with it",
            "sign with keys that last if it has to be usable for longer",
        ),
        _ => {}
    }
    let method = match request.method {
        PresignMethod::Get => "GET",
        PresignMethod::Put => "PUT",
    };
    // The URL is the result: if it cannot be printed, the command has failed.
    mode.record(&Presigned { url: &presigned.url, method, expires_at: expires_at.to_string() })?;
    mode.row(&presigned.url)?;
    Ok(Exit::Done)
}
