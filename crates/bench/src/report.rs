//! The report of `bench client`: one table for people, and JSON with every round.

use std::fmt;

use serde_json::{Value, json};

use crate::contestant::{Contestant, Job};
use crate::table::{Row, best, peak_mib};

/// All uploads to one endpoint.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) job: Job,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Report<'a> {
    cpu: String,
    bytes: u64,
    rounds: u32,
    cases: &'a [Case],
}

/// The best round of a contestant.
struct Line<'a> {
    row: &'a Row,
    peak_mib: f64,
    /// Its CPU relative to haul, and to the floor program that needs least.
    to_haul: f64,
    to_floor: f64,
}

impl Case {
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let cpu = |who: Contestant| best(&self.rows, who.name()).map_or(f64::NAN, Row::cpu_per_gib);
        let floors = Contestant::ALL.into_iter().filter(|who| who.is_floor());
        let floor = floors.map(cpu).fold(f64::INFINITY, f64::min);
        Contestant::ALL.into_iter().filter_map(move |who| {
            let row = best(&self.rows, who.name())?;
            Some(Line {
                row,
                peak_mib: peak_mib(&self.rows, who.name()),
                to_haul: row.cpu_per_gib() / cpu(Contestant::Haul),
                to_floor: row.cpu_per_gib() / floor,
            })
        })
    }
}

impl<'a> Report<'a> {
    pub(crate) fn new(bytes: u64, rounds: u32, cases: &'a [Case]) -> Self {
        Self { cpu: cpu_model(), bytes, rounds, cases }
    }

    pub(crate) fn json(&self) -> String {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                let rounds: Vec<Value> = case.rows.iter().map(of_row).collect();
                let best: Vec<Value> = case
                    .lines()
                    .map(|line| {
                        let mut best = of_row(line.row);
                        best["peak_mib"] = json!(line.peak_mib);
                        best["cpu_to_haul"] = json!(line.to_haul);
                        best["cpu_to_floor"] = json!(line.to_floor);
                        best
                    })
                    .collect();
                json!({ "case": case.name, "best": best, "rounds": rounds })
            })
            .collect();
        let report =
            json!({ "cpu": self.cpu, "bytes": self.bytes, "rounds": self.rounds, "cases": cases });
        format!("{report:#}\n")
    }
}

fn of_row(row: &Row) -> Value {
    json!({
        "who": row.who,
        "wall_seconds": row.wall.as_secs_f64(),
        "cpu_seconds_per_gib": row.cpu_per_gib(),
        "user_seconds_per_gib": row.usage.user_seconds / row.gib(),
        "peak_mib": row.peak_mib(),
    })
}

/// Prints Markdown, for docs/speed.md.
impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gib, rounds) = (self.bytes >> 30, self.rounds);
        writeln!(f, "{}; {gib} GiB in the page cache; the best of {rounds} rounds\n", self.cpu)?;
        for case in self.cases {
            writeln!(
                f,
                "| {:<13} | wall s | CPU-s/GiB | peak MiB | to haul | to the floor |",
                case.name
            )?;
            writeln!(
                f,
                "| ------------- | -----: | --------: | -------: | ------: | -----------: |"
            )?;
            for Line { row, peak_mib, to_haul, to_floor } in case.lines() {
                let (who, wall, cpu) = (row.who, row.wall.as_secs_f64(), row.cpu_per_gib());
                // Some jobs have no floor program.
                let to_floor =
                    if to_floor > 0.0 { format!("{to_floor:.2}") } else { "–".to_owned() };
                writeln!(
                    f,
                    "| {who:<13} | {wall:>6.2} | {cpu:>9.2} | {peak_mib:>8.0} | {to_haul:>7.2} | \
                     {to_floor:>12} |"
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Returns the model in /proc/cpuinfo, with its numbers: "AMD EPYC" alone has been five
/// generations.
fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line =
            info.lines().find(|line| line.split(':').next().is_some_and(|it| it.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let [name, family, model] = ["model name", "cpu family", "model"]
        .map(|name| field(name).unwrap_or_else(|| "unknown".to_owned()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name} (family {family}, model {model}), {cores} cores")
}
