//! The report of `bench client`: one table for people, and JSON with every round.

use std::fmt;

use serde_json::{Value, json};

use crate::measured::{Figures, Measured, Ratios};
use crate::table::Row;

pub(crate) struct Report<'a> {
    pub(crate) cpu: &'a str,
    pub(crate) rounds: u32,
    pub(crate) cases: &'a [Measured],
}

impl Report<'_> {
    pub(crate) fn json(&self) -> String {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                let rounds: Vec<Value> = case.rows.iter().map(of_row).collect();
                let best: Vec<Value> = case
                    .figures()
                    .iter()
                    .map(|figures| of_figures(figures, &case.ratios(figures)))
                    .collect();
                let (case, bytes) = (case.title(), case.bytes);
                json!({ "case": case, "bytes": bytes, "best": best, "rounds": rounds })
            })
            .collect();
        let report = json!({ "cpu": self.cpu, "rounds": self.rounds, "cases": cases });
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

fn of_figures(figures: &Figures, ratios: &Ratios) -> Value {
    json!({
        "who": figures.who.name(),
        "wall_seconds": figures.wall_seconds,
        "cpu_seconds_per_gib": figures.cpu_seconds_per_gib,
        "peak_mib": figures.peak_mib,
        "wall_to_haul": ratios.wall_to_haul,
        "cpu_to_haul": ratios.cpu_to_haul,
        "cpu_to_floor": ratios.cpu_to_floor,
    })
}

/// Prints Markdown, for docs/speed.md.
impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; the best of {} rounds\n", self.cpu, self.rounds)?;
        writeln!(
            f,
            "| case | program | wall s | CPU-s/GiB | peak MiB | wall to haul | CPU to haul | CPU \
             to floor |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for case in self.cases {
            for figures in case.figures() {
                let Ratios { wall_to_haul, cpu_to_haul, cpu_to_floor } = case.ratios(&figures);
                let [wall_to_haul, cpu_to_haul, cpu_to_floor] =
                    [wall_to_haul, cpu_to_haul, cpu_to_floor]
                        .map(|ratio| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
                let (title, who) = (case.title(), figures.who.name());
                let (wall, cpu) = (figures.wall_seconds, figures.cpu_seconds_per_gib);
                let peak = figures.peak_mib;
                writeln!(
                    f,
                    "| {title} | {who} | {wall:.2} | {cpu:.2} | {peak:.0} | {wall_to_haul} | \
                     {cpu_to_haul} | {cpu_to_floor} |"
                )?;
            }
        }
        Ok(())
    }
}

/// Returns the model in /proc/cpuinfo, with its numbers: "AMD EPYC" alone has been five
/// generations.
pub(crate) fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cpu_of(&info, cores)
}

fn cpu_of(info: &str, cores: usize) -> String {
    let field = |name: &str| {
        let line =
            info.lines().find(|line| line.split(':').next().is_some_and(|it| it.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let [name, family, model] = ["model name", "cpu family", "model"]
        .map(|name| field(name).unwrap_or_else(|| "unknown".to_owned()));
    format!("{name} (family {family}, model {model}), {cores} cores")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::Contestant;
    use crate::measured::tests::measured;

    #[test]
    fn the_table_and_the_json_have_the_same_figures() {
        let rows = [(Contestant::Haul, 0.5, 1.0, 20), (Contestant::S5cmd, 3.0, 4.0, 30)];
        let report =
            Report { cpu: "A CPU", rounds: 2, cases: &[measured("upload-plain-delay", &rows)] };
        let text = report.to_string();
        assert!(text.starts_with("A CPU; the best of 2 rounds\n\n| case |"), "{text}");
        let lines: Vec<&str> = text.lines().skip(4).collect();
        let expected = [
            "| upload-plain-delay | haul | 0.50 | 0.50 | 20 | 1.00 | 1.00 | – |",
            "| upload-plain-delay | s5cmd | 3.00 | 2.00 | 30 | 6.00 | 4.00 | – |",
        ];
        assert_eq!(lines, expected);

        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(
            (&json["cpu"], &json["cases"][0]["bytes"]),
            (&json!("A CPU"), &json!(2_u64 << 30))
        );
        let s5cmd = &json["cases"][0]["best"][1];
        assert_eq!(s5cmd["who"], "s5cmd");
        assert_eq!(s5cmd["cpu_to_haul"], 4.0);
        assert_eq!(s5cmd["cpu_to_floor"], Value::Null);
        assert_eq!(json["cases"][0]["rounds"][0]["user_seconds_per_gib"], 0.125);
    }

    #[test]
    fn the_cpu_is_named_with_its_numbers() {
        let info = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n";
        assert_eq!(cpu_of(info, 2), "AMD EPYC (family 25, model 17), 2 cores");
        assert_eq!(cpu_of("", 2), "unknown (family unknown, model unknown), 2 cores");
    }
}
