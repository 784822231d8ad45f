//! The report of an examination: one check per line, and what follows from them.

use haul_parts::Bucket;
use serde::Serialize;

use super::Doctor;
use super::conclusion::{Choice, Difference, ProfileLimits};
use super::tls::TlsReport;
use crate::remote::StoreFindings;

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The store has it, allows it, or verifies it.
    Ok,
    /// It works, and something about it deserves attention; the detail says what.
    Warning,
    /// The store does not.
    No,
    /// It was not tested; the detail says why.
    NotTested,
}

/// The group of a check, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Addresses, TLS, clock, region and credentials.
    Connection,
    /// The operations, one by one.
    Permissions,
    /// Checksums: verified, or merely accepted.
    Checksums,
    /// Conditions of writes.
    Conditions,
    /// Parts, their copies and their listings.
    Multipart,
    /// Bytes per second.
    Throughput,
    /// What this run and earlier ones left behind.
    Cleanup,
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its unit: `ms`, `s`, `days`, `bytes/s`.
    pub unit: &'static str,
}

/// What the user can do about the result of a check. The command line words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Set the clock of this machine.
    SetClock,
    /// Install the lifecycle rule that aborts unfinished uploads.
    AddAbortRule,
    /// Remove unfinished uploads from time to time.
    Sweep,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The group.
    pub group: Group,
    /// The name: an operation, an algorithm, an address.
    pub name: String,
    /// The result.
    pub verdict: Verdict,
    /// The reason, or what was found.
    pub detail: String,
    /// The measured value, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

/// The report of an examination.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// The name of the store: its endpoint.
    pub store: String,
    /// The bucket.
    pub bucket: String,
    /// The prefix that the scratch was below.
    pub prefix: String,
    /// The facts of the TLS connection; `None` without TLS, or through a proxy.
    pub tls: Option<TlsReport>,
    /// All checks, in the order of their groups.
    pub checks: Vec<Check>,
    /// The findings that refine the profile of this store.
    pub findings: StoreFindings,
    /// The name of the profile that follows.
    pub profile: String,
    /// The limits of that profile.
    pub limits: ProfileLimits,
    /// The values in which the store differs from the table of that profile.
    pub differences: Vec<Difference>,
    /// What Haul chooses for this store.
    pub choice: Choice,
    /// Whether every operation of a transfer is allowed and works.
    pub usable: bool,
    /// Whether objects or uploads of this run could not be removed.
    pub left_behind: Vec<String>,
    /// Whether the run was stopped before its end.
    pub stopped: bool,
}

impl DoctorReport {
    pub(super) fn new(store: String, bucket: &Bucket, prefix: &str) -> Self {
        Self {
            store,
            bucket: bucket.to_string(),
            prefix: prefix.to_owned(),
            tls: None,
            checks: vec![],
            findings: StoreFindings::default(),
            profile: String::new(),
            limits: ProfileLimits::default(),
            differences: vec![],
            choice: Choice::default(),
            usable: false,
            left_behind: vec![],
            stopped: false,
        }
    }

    /// Returns the verdict of a check; `None` if it was not made.
    pub fn verdict(&self, name: &str) -> Option<Verdict> {
        self.checks.iter().find(|check| check.name == name).map(|check| check.verdict)
    }
}

impl Doctor<'_> {
    pub(super) fn note(
        &mut self,
        group: Group,
        name: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
    ) {
        let (name, detail) = (name.into(), detail.into());
        let check = Check { group, name, verdict, detail, measured: None, remedy: None };
        self.report.checks.push(check);
    }

    pub(super) fn measured(
        &mut self,
        group: Group,
        name: impl Into<String>,
        measured: Measured,
        detail: impl Into<String>,
    ) {
        self.note(group, name, Verdict::Ok, detail);
        if let Some(check) = self.report.checks.last_mut() {
            check.measured = Some(measured);
        }
    }

    /// Adds what to do to the last check.
    pub(super) fn remedy(&mut self, remedy: Remedy) {
        if let Some(check) = self.report.checks.last_mut() {
            check.remedy = Some(remedy);
        }
    }

    pub(super) fn not_tested(&mut self, group: Group, names: &[&str], why: &str) {
        for name in names {
            self.note(group, *name, Verdict::NotTested, why);
        }
    }
}
