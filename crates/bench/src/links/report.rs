//! The table of `bench links`, and its goals.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::{Case, Direction};
use super::run::Run;
use crate::goals::PEAK_MIB_MAX;

const MIB: f64 = (1_u64 << 20) as f64;
const MBIT: f64 = 125_000.0;
/// The goodput of `auto`, relative to the best fixed setting, and of several processes together,
/// relative to one.
const SHARE_MIN: f64 = 0.9;
/// The goodput of each of several processes, relative to an equal share.
const FAIR_MIN: f64 = 0.5;

/// All runs over one link.
pub(super) struct Measured {
    pub(super) case: Case,
    rows: Vec<Row>,
}

/// The runs of one setting that took place together.
struct Row {
    setting: String,
    runs: Vec<Run>,
}

/// Whether a goal was met.
pub(super) struct Outcome {
    pub(super) is_met: bool,
    pub(super) text: String,
}

impl Row {
    fn goodput(&self) -> f64 {
        self.runs.iter().map(|run| run.goodput).sum()
    }

    fn least(&self) -> f64 {
        self.runs.iter().map(|run| run.goodput).fold(f64::INFINITY, f64::min)
    }

    #[allow(clippy::cast_precision_loss, reason = "a handful of processes")]
    fn fair(&self) -> f64 {
        self.goodput() / self.runs.len() as f64
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    fn peak_mib(&self) -> f64 {
        let peaks = self.runs.iter().map(|run| run.peak_memory_bytes);
        peaks.max().unwrap_or_default() as f64 / MIB
    }

    fn warm_up(&self) -> f64 {
        self.runs.iter().map(|run| run.warm_up_goodput).sum()
    }

    /// Returns the limits of the first process, for people who look for the reason of a figure.
    fn limits(&self) -> String {
        let limits = self.runs.first().map(|run| run.limits.as_slice()).unwrap_or_default();
        limits.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    }
}

impl Measured {
    pub(super) fn of(case: Case) -> Self {
        Self { case, rows: vec![] }
    }

    /// Adds runs, and prints them for people who watch.
    pub(super) fn add(&mut self, setting: String, runs: Vec<Run>) {
        let row = Row { setting, runs };
        eprintln!(
            "{:<18} {:>8.1} Mbit/s, {:>8.1} before, {:>5.0} MiB  {}",
            row.setting,
            row.goodput() / MBIT,
            row.warm_up() / MBIT,
            row.peak_mib(),
            row.limits()
        );
        self.rows.push(row);
    }

    /// Returns the row of each setting with the most bytes: noise only ever takes from it.
    fn best_rows(&self) -> Vec<&Row> {
        let mut best: Vec<&Row> = vec![];
        for row in &self.rows {
            match best.iter_mut().find(|known| known.setting == row.setting) {
                Some(known) if known.goodput() < row.goodput() => *known = row,
                Some(_) => {}
                None => best.push(row),
            }
        }
        best
    }

    /// Returns what the rows are compared with: the best fixed setting, or one process alone.
    fn reference(&self) -> Option<f64> {
        let rows = self.best_rows();
        if self.case.processes > 1 {
            return rows.first().map(|row| row.goodput());
        }
        let fixed = rows.iter().filter(|row| row.setting != "auto").map(|row| row.goodput());
        fixed.reduce(f64::max)
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let title = self.case.title;
        let rows = self.best_rows();
        let Some((row, reference)) = rows.last().copied().zip(self.reference()) else {
            return vec![];
        };
        let share = row.goodput() / reference;
        let percent = 100.0 * share;
        if self.case.processes == 1 {
            if row.setting != "auto" {
                return vec![];
            }
            let text = format!("{title}: auto moves {percent:.0} % of the best fixed setting");
            let mut outcomes = vec![Outcome { is_met: share >= SHARE_MIN, text }];
            if self.case.direction == Direction::Up {
                let peak = row.peak_mib();
                let text = format!("{title}: auto peaks at {peak:.0} MiB, at most {PEAK_MIB_MAX}");
                outcomes.push(Outcome { is_met: peak <= PEAK_MIB_MAX, text });
            }
            return outcomes;
        }
        let least = row.least() / row.fair();
        let together = format!("{title}: they move {percent:.0} % of one alone");
        let fair = format!("{title}: the least has {:.0} % of a fair share", 100.0 * least);
        vec![
            Outcome { is_met: share >= SHARE_MIN, text: together },
            Outcome { is_met: least >= FAIR_MIN, text: fair },
        ]
    }

    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let runs = row.runs.iter().map(|run| {
                json!({
                    "goodput": run.goodput,
                    "warm_up_goodput": run.warm_up_goodput,
                    "peak_memory_bytes": run.peak_memory_bytes,
                    "limits": run.limits,
                    "moved_bytes": run.samples,
                })
            });
            json!({ "setting": row.setting, "runs": runs.collect::<Vec<_>>() })
        });
        json!({ "link": self.case.title, "rows": rows.collect::<Vec<_>>() })
    }
}

/// Returns the table, in Markdown.
pub(super) fn table(all: &[Measured]) -> String {
    let mut text = "| link | in flight | Mbit/s | of the best | least | before | peak MiB |\n\
                    | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for measured in all {
        for row in measured.best_rows() {
            let share = measured.reference().map_or(f64::NAN, |best| row.goodput() / best);
            let least = match row.runs.len() {
                1 => "–".to_owned(),
                _ => format!("{:.0} %", 100.0 * row.least() / row.fair()),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.0} % | {least} | {:.1} | {:.0} |",
                measured.case.title,
                row.setting,
                row.goodput() / MBIT,
                100.0 * share,
                row.warm_up() / MBIT,
                row.peak_mib()
            );
        }
    }
    text
}
