//! Opens a tunnel through a proxy: CONNECT, followed by the bytes of the store.

use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::error::{ConnectError, find};
use super::origin::Origin;
use super::proxy::Proxy;
use super::{BoxIo, USER_AGENT_NAME};
use crate::error_text::in_one_line;

/// Requests a connection to `origin` from the proxy at the other end of `io`.
pub(super) async fn open(io: BoxIo, origin: &Origin, proxy: &Proxy) -> Result<BoxIo, ConnectError> {
    let refused = |reason: String, lasting: bool| ConnectError::Proxy {
        proxy: proxy.to_string(),
        to: origin.authority.clone(),
        reason,
        lasting,
    };
    let failed = |error: hyper::Error| match find::<ConnectError>(&error) {
        Some(ConnectError::Scheme { to, speaks }) => {
            ConnectError::Scheme { to: to.clone(), speaks: *speaks }
        }
        _ => refused(in_one_line(&error), false),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    // The task ends with the sender, or when it hands the connection over.
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::connect(origin.host_and_port())
        .header(HOST, origin.host_and_port())
        .header(USER_AGENT, USER_AGENT_NAME);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request =
        request.body(Empty::<Bytes>::new()).map_err(|error| refused(error.to_string(), true))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    match answer.status() {
        status if status.is_success() => {
            let tunnel = hyper::upgrade::on(answer).await.map_err(failed)?;
            Ok(Box::new(TokioIo::new(tunnel)))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(refused("it wants another user or password (407)".into(), true))
        }
        // A server behind the proxy is unavailable (502, 503, 504), which may be temporary.
        status => {
            Err(refused(format!("it answered {}", status.as_u16()), !status.is_server_error()))
        }
    }
}
