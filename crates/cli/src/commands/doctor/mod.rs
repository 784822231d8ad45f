//! `haul doctor s3://bucket[/prefix]`: probes a store, prints what it found, and records it for
//! later transfers.

mod table;

use haul::doctor::{Doctor, DoctorOptions, DoctorReport};
use haul::findings_cache::RecordedFindings;
use haul::{S3Store, StoreError};
use serde::Serialize;

use crate::args::{DoctorArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::output::Mode;
use crate::private::shell_quoted;
use crate::state_dir::findings_cache;
use crate::store;
use crate::target::Scheme;
use crate::waiting::noted;

/// The version of the document.
const VERSION: u32 = 1;

/// The report, for programs: docs/formats.md.
#[derive(Serialize)]
#[serde(tag = "event", rename = "doctor")]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a DoctorReport,
}

/// Examines the store.
pub(crate) async fn run(args: &StoreArgs, what: &DoctorArgs, mode: Mode) -> anyhow::Result<Exit> {
    if what.address.scheme != Scheme::S3 {
        return Err(Usage::new(
            "haul doctor examines a store over the network",
            "start haul serve, and name its bucket: haul doctor s3://BUCKET --endpoint URL",
        )
        .into());
    }
    let store = Box::pin(store::open_s3(args, mode)).await?;
    let options = DoctorOptions {
        throughput: !what.no_throughput,
        assume_no_retention: what.assume_no_retention,
        assume_no_versions: what.assume_no_versions,
    };
    let mut doctor = Doctor::new(&store, what.address.bucket.clone(), &what.address.key, options);
    let stop = doctor.stop_handle();
    let mut interrupts = Interrupts::new(Role::Work)?;
    let mut interrupted = false;
    let examined = {
        let mut examining = std::pin::pin!(noted(mode, Box::pin(doctor.examine())));
        loop {
            tokio::select! {
                examined = &mut examining => break examined,
                signal = interrupts.next(), if !interrupted => {
                    // The request under way ends first: dropped, it might create an object later.
                    interrupted = true;
                    stop.stop();
                    mode.remark(&format!("{signal}: removing the scratch"));
                }
            }
        }
    };
    let report = noted(mode, Box::pin(doctor.finish())).await;
    if mode == Mode::Json {
        mode.record(&Document { version: VERSION, report: &report })?;
    } else {
        for line in table::lines(&report) {
            mode.row(&line)?;
        }
    }
    conclude(&store, what, &report, examined, mode)
}

fn conclude(
    store: &S3Store,
    what: &DoctorArgs,
    report: &DoctorReport,
    examined: Result<(), StoreError>,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let shown = what.address.to_string();
    if !report.left_behind.is_empty() {
        return Err(Ended {
            exit: Exit::LeftBehind,
            code: "LeftBehind",
            message: format!("scratch of haul doctor could not be removed from {shown}"),
            hint: Some(format!("run it again, it removes what is left: haul doctor {shown}")),
        }
        .into());
    }
    if let Err(error) = examined {
        use anyhow::Context;
        let context = FailureContext::at(format!("cannot examine {shown}"), &what.address)
            .through(store.location().endpoint.clone());
        let failed = Err::<Exit, _>(haul::Error::of_store(what.address.subject(), error));
        return failed.context(context);
    }
    if report.stopped {
        return Ok(Exit::Interrupted);
    }
    // A store that refused most probes shows little, which must not replace what is known of it.
    if report.usable {
        remember(report, mode);
        return Ok(Exit::Done);
    }
    Err(Ended {
        exit: Exit::Failed,
        code: "Unusable",
        message: format!("not every operation of a transfer works at {shown}"),
        hint: Some("see the lines with \"no\" and \"not tested\" above".to_owned()),
    }
    .into())
}

/// Records the findings for later transfers. A failure is a warning, because the report is printed.
fn remember(report: &DoctorReport, mode: Mode) {
    let Some(cache) = findings_cache() else { return };
    let recorded = RecordedFindings {
        store: report.store.clone(),
        found_at: jiff::Timestamp::now(),
        findings: report.findings.clone(),
    };
    if let Err(error) = cache.write(&recorded) {
        let path = shell_quoted(&error.path.to_string_lossy());
        mode.warn(&error.to_string(), &format!("ls -ld {path}"));
    }
}
