//! The way to the store: addresses, TLS, the first answer, clocks, region and credentials.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::request::of_bucket;
use super::{Doctor, Group, Measured, Verdict};
use crate::remote::{Store, StoreError, StoreErrorKind, StoreKind};

/// The time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The difference of clocks that S3 accepts.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(900);

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
        if self.store.is_behind_proxy(&self.bucket).await {
            self.note(group, "TLS", Verdict::NotTested, "a proxy is in between");
        } else {
            match self.store.tls_facts(&self.bucket, CONNECT_MAX).await {
                Ok(Some(facts)) => {
                    let issuer = facts.issuer.unwrap_or_else(|| "an unnamed issuer".to_owned());
                    let until = facts.expires.map_or_else(
                        || "the expiry is unreadable".to_owned(),
                        |expires| format!("until {expires}"),
                    );
                    let detail = format!("{}; certificate of {issuer}, {until}", facts.version);
                    self.note(group, "TLS", Verdict::Ok, detail);
                }
                Ok(None) => {
                    self.note(group, "TLS", Verdict::No, "plain http: nothing is encrypted");
                }
                Err(error) => {
                    self.note(group, "TLS", Verdict::No, error.message.clone());
                    return Err(error);
                }
            }
        }
        match credentials {
            Ok(facts) => {
                let expiry = facts.expires.and_then(|at| Timestamp::try_from(at).ok());
                let expiry = expiry.map_or(String::new(), |at| format!(", until {at}"));
                let from = source(&facts.provider);
                let detail = format!("{} from {from}{expiry}", facts.access_key_id);
                self.note(group, "credentials", Verdict::Ok, detail);
            }
            Err(error) => {
                self.note(group, "credentials", Verdict::No, error.message.clone());
                return Err(error);
            }
        }
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
        self.measured(group, "bucket", ms, "the first answer");
        self.check_clock().await;
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
        for seen in surveyed {
            let name = format!("{ADDRESS} {}", seen.address);
            match seen.connected {
                Ok(took) => {
                    let ms = Measured { value: took.as_secs_f64() * 1000.0, unit: "ms" };
                    self.measured(Group::Connection, name, ms, "connected");
                }
                Err(error) => {
                    self.note(Group::Connection, name, Verdict::No, error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Compares the clocks, and learns the kind of the store from the headers of the answer.
    async fn check_clock(&mut self) {
        let key = self.scratch.key("marker");
        let sent = Timestamp::now();
        let answered = self.send_to(&key, &of_bucket("location")).await;
        let received = Timestamp::now();
        let answer = match answered {
            Ok(answer) => answer,
            Err(no_answer) => {
                self.note(Group::Connection, "clock", Verdict::NotTested, no_answer.reason());
                return;
            }
        };
        self.findings.kind =
            StoreKind::of_answer(|name| answer.header(name)).unwrap_or(StoreKind::Generic);
        let date =
            answer.header("date").and_then(|date| DateTimeParser::new().parse_zoned(date).ok());
        let Some(date) = date else {
            let why = "the answer has no Date";
            self.note(Group::Connection, "clock", Verdict::NotTested, why);
            return;
        };
        // The header has whole seconds, and was written between the two moments.
        let date = date.timestamp();
        let ahead = if date.as_second() > received.as_second() {
            date.duration_since(received)
        } else if date.as_second() < sent.as_second() {
            date.duration_since(sent)
        } else {
            SignedDuration::ZERO
        };
        self.store_ahead = ahead;
        let seconds = ahead.as_secs();
        let verdict = if ahead.abs() > SKEW_MAX { Verdict::No } else { Verdict::Ok };
        let detail = match seconds {
            0 => "equal to this machine's".to_owned(),
            ahead if ahead > 0 => format!("the store is {ahead} s ahead of this machine"),
            behind => format!("the store is {} s behind this machine", -behind),
        };
        self.note(Group::Connection, "clock", verdict, detail);
        if let Some(check) = self.report.checks.last_mut() {
            #[allow(clippy::cast_precision_loss, reason = "seconds of a skew are few")]
            let value = seconds as f64;
            check.measured = Some(Measured { value, unit: "s" });
        }
    }

    /// Returns the time for judging the age of another run's scratch: the earlier of both clocks.
    pub(super) fn cautious_now(&self) -> Timestamp {
        Timestamp::now().min(self.store_now())
    }
}

/// Words the provider of credentials.
fn source(provider: &str) -> String {
    match provider {
        "EnvironmentVariable" => "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
        "ProfileFile" => "the files of profiles (~/.aws)".to_owned(),
        "options" => "the store of this machine".to_owned(),
        "trimmed" => "the chain (blanks around the keys were removed)".to_owned(),
        other => other.to_owned(),
    }
}
