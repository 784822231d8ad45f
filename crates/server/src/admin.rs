//! Serves `/health` and `/metrics` on a separate address, because neither is for clients of the
//! endpoint.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::Body;

use crate::metrics::{self, Metrics};
use crate::ops::endpoint::Endpoint;
use crate::socket::connections::{Answer, Handler};

/// The service behind the admin address.
pub(crate) struct Admin {
    pub(crate) endpoint: Endpoint,
    pub(crate) metrics: Arc<Metrics>,
}

impl Handler for Admin {
    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let admin = Arc::clone(self);
        Box::pin(async move { Ok::<_, Infallible>(admin.handle(&request).await) })
    }
}

impl Admin {
    async fn handle<B: Sync>(&self, request: &Request<B>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned());
        }
        match request.uri().path() {
            "/health" => self.health().await,
            "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4", self.metrics()),
            _ => text(StatusCode::NOT_FOUND, "text/plain", "/health or /metrics\n".to_owned()),
        }
    }

    /// Reports healthy if the store responds and accepts writes.
    async fn health(&self) -> Response<Body> {
        let answered = self.endpoint.on_store(haul_store::DiskStore::list_buckets).await;
        let (status, said) = match answered {
            Ok(_) if self.endpoint.store.is_writable() => (StatusCode::OK, "ok"),
            Ok(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the store takes no writes until it is started again",
            ),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer"),
        };
        text(status, "application/json", format!("{{\"status\":\"{said}\"}}\n"))
    }

    /// Returns the counters, and gauges that are read from the store now.
    fn metrics(&self) -> String {
        let mut text = self.metrics.text();
        let help =
            "Reads of data files that found other bytes than were written; none of those left.";
        metrics::counter(
            &mut text,
            "haul_damaged_reads_total",
            help,
            self.endpoint.store.damage_count(),
        );
        let help = "Whether the store takes writes: 1, or 0 after a failed sync, until it is \
            started again.";
        metrics::gauge(
            &mut text,
            "haul_store_writable",
            help,
            i64::from(self.endpoint.store.is_writable()),
        );
        text
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the test damages a file
mod tests {
    use haul_store::{DiskStore, PutOptions, StoreOptions, WriteOptions};
    use http_body_util::BodyExt;

    use super::*;

    fn admin(store: DiskStore) -> Admin {
        let endpoint = Endpoint::for_test(store);
        Admin { endpoint, metrics: Arc::default() }
    }

    async fn ask(admin: &Admin, path: &str) -> (u16, String) {
        let answer = admin.handle(&Request::get(path).body(()).unwrap()).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Regression: after a failed sync, reads still work, and the health check reported success.
    #[tokio::test]
    async fn a_store_that_takes_no_writes_is_not_healthy() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path(), StoreOptions::default()).unwrap();
        let admin = admin(store.clone());
        assert_eq!(ask(&admin, "/health").await.0, 200);
        let metrics = ask(&admin, "/metrics").await.1;
        assert!(metrics.ends_with("\nhaul_store_writable 1\n"), "{metrics}");

        let bucket = "bkt".parse().unwrap();
        store.create_bucket(&bucket).unwrap();
        let mut writer = store.begin_part(WriteOptions::default()).unwrap();
        writer.write(b"bytes").unwrap();
        let staged = writer.finish().unwrap();
        // Syncing a missing folder fails like the sync of a broken disk.
        std::fs::remove_dir_all(dir.path().join("data/000/000")).unwrap();
        store
            .put_object(&bucket, &"k".parse().unwrap(), staged, PutOptions::default())
            .unwrap_err();

        let (status, said) = ask(&admin, "/health").await;
        assert_eq!(status, 503, "{said}");
        assert!(said.contains("takes no writes"), "{said}");
        let metrics = ask(&admin, "/metrics").await.1;
        assert!(metrics.ends_with("\nhaul_store_writable 0\n"), "{metrics}");
        store.head_bucket(&bucket).unwrap();
    }
}
