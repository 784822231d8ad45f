//! The way to the store: addresses, TLS, the first answer, clocks, region and credentials.

use std::time::Duration;

use tokio::time::Instant;

use super::{Doctor, Group, Measured, Verdict};
use crate::remote::{Store, StoreError, StoreErrorKind};

/// The time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The names of these checks, for a report that ends early.
const ADDRESS: &str = "address";

impl Doctor<'_> {
    /// Checks the way to the store, up to the first answer about the bucket.
    ///
    /// # Errors
    /// The store cannot be reached, or does not let this caller ask about the bucket at all.
    pub(super) async fn examine_way(&mut self) -> Result<(), StoreError> {
        let group = Group::Connection;
        let credentials = self.store.credential_facts().await;
        self.check_addresses().await?;
        self.check_tls(CONNECT_MAX).await?;
        self.note_credentials(credentials)?;
        self.check_clock().await;
        // The first request about the bucket goes through all corrections: region and clock.
        let began = Instant::now();
        let (bucket, prefix) = (self.bucket.clone(), self.scratch.all());
        let listed = self.store.list_objects(&bucket, &prefix, None, None).await;
        let took = began.elapsed();
        match listed {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind,
                    StoreErrorKind::AccessDenied | StoreErrorKind::NotImplemented
                ) => {}
            Err(error) => {
                self.note(group, "bucket", Verdict::No, error.to_string());
                return Err(error);
            }
        }
        let ms = Measured { value: took.as_secs_f64() * 1000.0, unit: "ms" };
        self.measured(group, "bucket", ms, "answered");
        let region = self.store.region_of(&self.bucket);
        self.note(group, "region", Verdict::Ok, region);
        Ok(())
    }

    async fn check_addresses(&mut self) -> Result<(), StoreError> {
        let surveyed = match self.store.survey(&self.bucket, CONNECT_MAX).await {
            Ok(surveyed) => surveyed,
            Err(error) => {
                self.note(Group::Connection, ADDRESS, Verdict::No, error.message.clone());
                return Err(error);
            }
        };
        let is_proxy = self.store.is_behind_proxy(&self.bucket).await;
        let connected = if is_proxy { "connected: the proxy" } else { "connected" };
        for seen in surveyed {
            let name = format!("{ADDRESS} {}", seen.address);
            match seen.connected {
                Ok(took) => {
                    let ms = Measured { value: took.as_secs_f64() * 1000.0, unit: "ms" };
                    self.measured(Group::Connection, name, ms, connected);
                }
                Err(error) => {
                    self.note(Group::Connection, name, Verdict::No, error.to_string());
                }
            }
        }
        Ok(())
    }
}
