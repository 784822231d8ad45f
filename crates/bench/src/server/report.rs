//! The table of `bench server`, and its JSON.

use std::fmt;
use std::time::Duration;

use haul_testkit::process::Usage;
use serde_json::{Value, json};

use crate::table::Row;

/// A server while one client loaded it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) case: &'static str,
    pub(super) client: &'static str,
    pub(super) server: &'static str,
    pub(super) tls: bool,
    pub(super) bytes: u64,
    /// The number of files, for the case of many.
    pub(super) files: Option<u64>,
    pub(super) wall: Duration,
    pub(super) usage: Usage,
}

pub(super) struct Report {
    pub(super) cpu: String,
    pub(super) rounds: u32,
    pub(super) lines: Vec<Line>,
}

impl Line {
    fn row(&self) -> Row {
        Row { who: self.server, bytes: self.bytes, wall: self.wall, usage: self.usage }
    }

    /// Returns whether another line is a round of the same measurement.
    fn is_same_as(&self, other: &Self) -> bool {
        let name = |line: &Self| (line.case, line.client, line.server, line.tls);
        name(self) == name(other) && self.files.is_some() == other.files.is_some()
    }

    /// Returns the CPU seconds of the server per GiB.
    pub(super) fn cpu_per_gib(&self) -> f64 {
        self.row().cpu_per_gib()
    }

    /// Returns the files per second, for the case of many.
    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    pub(super) fn files_per_second(&self) -> Option<f64> {
        Some(self.files? as f64 / self.wall.as_secs_f64())
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    fn per_second(&self) -> String {
        let wall = self.wall.as_secs_f64();
        match self.files_per_second() {
            Some(files) => format!("{files:.0} files"),
            None => format!("{:.0} MiB", self.bytes as f64 / (1_u64 << 20) as f64 / wall),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { client, server, .. } = self;
        let case = match self.tls && !self.case.contains("TLS") && self.case != "tls" {
            true => format!("{}, TLS", self.case),
            false => self.case.to_owned(),
        };
        let (row, wall) = (self.row(), self.wall.as_secs_f64());
        let (rate, cpu, peak) = (self.per_second(), row.cpu_per_gib(), row.peak_mib());
        format!("| {case} | {client} | {server} | {wall:.2} | {rate} | {cpu:.2} | {peak:.0} |")
    }
}

impl Report {
    /// Returns the round of each measurement in which the server needed the least CPU: noise only
    /// ever adds.
    pub(super) fn best(&self) -> Vec<&Line> {
        let mut best: Vec<&Line> = vec![];
        for line in &self.lines {
            match best.iter_mut().find(|known| known.is_same_as(line)) {
                Some(known) if line.usage.cpu_seconds() < known.usage.cpu_seconds() => {
                    *known = line;
                }
                Some(_) => {}
                None => best.push(line),
            }
        }
        best
    }

    pub(super) fn json(&self) -> String {
        let rounds: Vec<Value> = self.lines.iter().map(of_line).collect();
        let best: Vec<Value> = self.best().into_iter().map(of_line).collect();
        let report = json!({ "cpu": self.cpu, "rounds": self.rounds, "best": best, "all": rounds });
        format!("{report:#}\n")
    }
}

fn of_line(line: &Line) -> Value {
    let row = line.row();
    json!({
        "case": line.case,
        "client": line.client,
        "server": line.server,
        "tls": line.tls,
        "bytes": line.bytes,
        "files": line.files,
        "wall_seconds": line.wall.as_secs_f64(),
        "server_cpu_seconds_per_gib": row.cpu_per_gib(),
        "server_peak_mib": row.peak_mib(),
    })
}

/// Prints Markdown, for docs/speed.md.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return Ok(());
        }
        writeln!(f, "{}; the best of {} rounds\n", self.cpu, self.rounds)?;
        writeln!(
            f,
            "| case | client | server | wall s | per second | CPU-s/GiB of the server | its peak \
             MiB |\n| --- | --- | --- | ---: | ---: | ---: | ---: |"
        )?;
        self.best().into_iter().try_for_each(|line| writeln!(f, "{}", line.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_round_of_least_cpu_of_each_client() {
        let line = |client, cpu, files| Line {
            case: "signed",
            client,
            server: "haul serve",
            tls: false,
            bytes: 2 << 30,
            files,
            wall: Duration::from_secs(4),
            usage: Usage { user_seconds: cpu, system_seconds: 1.0, peak_memory_bytes: 50 << 20 },
        };
        let lines = vec![
            line("s5cmd", 4.0, None),
            line("rclone", 5.0, Some(1000)),
            line("s5cmd", 3.0, None),
        ];
        let report = Report { cpu: "A CPU".to_owned(), rounds: 2, lines };
        let text = report.to_string();
        let expected = [
            "| signed | s5cmd | haul serve | 4.00 | 512 MiB | 2.00 | 50 |",
            "| signed | rclone | haul serve | 4.00 | 250 files | 3.00 | 50 |",
        ];
        assert_eq!(text.lines().skip(4).collect::<Vec<_>>(), expected, "{text}");
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["best"][0]["server_cpu_seconds_per_gib"], 2.0);
        assert_eq!(json["all"].as_array().unwrap().len(), 3);
        assert_eq!(Report { lines: vec![], ..report }.to_string(), "");
    }
}
