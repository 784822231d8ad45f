//! The report for a person.

use haul::doctor::{Check, DoctorReport, Group, Measured, Remedy, Verdict};

use crate::output::visible;
use crate::private::shell_quoted;
use crate::size::human_size;

/// The widest name that moves the other columns.
const NAME_WIDTH_MAX: usize = 40;

/// Returns the lines of the table, and what follows from it.
pub(super) fn lines(report: &DoctorReport) -> Vec<String> {
    let mut lines = vec![format!("{} at {}", visible(&report.bucket), visible(&report.store))];
    let names = report.checks.iter().map(|check| check.name.chars().count());
    let width = names.max().unwrap_or(0).min(NAME_WIDTH_MAX);
    let mut group = None;
    for check in &report.checks {
        if group != Some(check.group) {
            group = Some(check.group);
            lines.push(String::new());
            lines.push(title(check.group).to_owned());
        }
        lines.push(line(check, width));
        if let Some(remedy) = check.remedy {
            lines.push(format!("  {:width$}  {:10}  hint: {}", "", "", hint(remedy, report)));
        }
    }
    lines.push(String::new());
    if report.profile.is_empty() {
        return lines;
    }
    let limits = &report.limits;
    lines.push(format!(
        "profile: {}, {}parts of {} to {}, at most {} of them, objects up to {}",
        report.profile,
        if limits.equal_parts { "equal " } else { "" },
        human_size(limits.part_size_min_bytes),
        human_size(limits.part_size_max_bytes),
        limits.part_count_max,
        human_size(limits.object_size_max_bytes),
    ));
    for difference in &report.differences {
        lines.push(format!(
            "  {}: {} (in the table: {})",
            difference.field, difference.found, difference.table
        ));
    }
    let choice = &report.choice;
    let checksum = choice.checksum.as_deref().unwrap_or("none, the MD5 in the ETag instead");
    lines.push(format!(
        "haul would choose: parts of {}, {} requests in flight at first, checksum {checksum}, \
         parts {}",
        human_size(choice.part_size_bytes),
        choice.concurrency,
        if choice.streamed { "streamed" } else { "held in memory" },
    ));
    lines
}

fn line(check: &Check, width: usize) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::No => "no",
        Verdict::NotTested => "not tested",
    };
    let detail = match check.measured {
        Some(measured) if ["ms", "bytes/s"].contains(&measured.unit) => {
            format!("{}, {}", value(measured), check.detail)
        }
        // The words have the seconds of a skew and the days of a rule.
        _ => check.detail.clone(),
    };
    format!("  {:width$}  {verdict:10}  {}", visible(&check.name), visible(&detail))
        .trim_end()
        .to_owned()
}

/// Returns what to do about a result, where possible a command.
fn hint(remedy: Remedy, report: &DoctorReport) -> String {
    let bucket = format!("s3://{}", report.bucket);
    match remedy {
        Remedy::SetClock => "set this machine's clock: timedatectl set-ntp true".to_owned(),
        Remedy::AddAbortRule if report.prefix.is_empty() => {
            format!("haul lifecycle {bucket} --abort-after 7d")
        }
        Remedy::AddAbortRule => format!(
            "haul lifecycle {bucket} --prefix {} --abort-after 7d",
            shell_quoted(&report.prefix)
        ),
        Remedy::Sweep => {
            let place = if report.prefix.is_empty() { "" } else { "/" };
            let below = shell_quoted(&format!("{bucket}{place}{}", report.prefix));
            format!("haul sweep {below} --older-than 7d")
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "speeds are positive and far below 2^63"
)]
fn value(measured: Measured) -> String {
    match measured.unit {
        "bytes/s" => format!("{}/s", human_size(measured.value as u64)),
        "ms" => format!("{:.1} ms", measured.value),
        unit => format!("{} {unit}", measured.value),
    }
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Connection => "connection",
        Group::Permissions => "permissions",
        Group::Checksums => "checksums",
        Group::Conditions => "conditions",
        Group::Multipart => "multipart",
        Group::Throughput => "throughput",
        Group::Cleanup => "cleanup",
    }
}
