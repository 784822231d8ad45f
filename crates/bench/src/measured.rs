//! The figures of a case: the best of all rounds for each program, and the ratios between them.

use crate::case::{CONCURRENCY, Case, PART_BYTES, Settings};
use crate::contestant::Contestant;
use crate::table::Row;

/// All rounds of a case.
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) settings: Settings,
    pub(crate) bytes: u64,
    pub(crate) rows: Vec<Row>,
}

/// The figures of one program: the least time of all rounds, because noise only ever adds, and the
/// most memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    pub(crate) who: Contestant,
    pub(crate) wall_seconds: f64,
    pub(crate) cpu_seconds_per_gib: f64,
    pub(crate) peak_mib: f64,
}

/// The figures of a program relative to others; `None` without the other one, or if its time is too
/// short to be measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratios {
    pub(crate) wall_to_haul: Option<f64>,
    pub(crate) cpu_to_haul: Option<f64>,
    /// Relative to the floor program that needs the least CPU.
    pub(crate) cpu_to_floor: Option<f64>,
}

impl Measured {
    /// The name of the case, with the settings unless they are the defaults.
    pub(crate) fn title(&self) -> String {
        match self.settings {
            Settings::Defaults => self.case.name.to_owned(),
            Settings::Same => {
                format!("{}, {} MiB × {CONCURRENCY}", self.case.name, PART_BYTES >> 20)
            }
        }
    }

    /// Returns the figures of all programs that were measured.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        Contestant::ALL.into_iter().filter_map(|who| self.of(who)).collect()
    }

    pub(crate) fn of(&self, who: Contestant) -> Option<Figures> {
        let rows = || self.rows.iter().filter(|row| row.who == who.name());
        rows().next()?;
        Some(Figures {
            who,
            wall_seconds: rows().map(|row| row.wall.as_secs_f64()).fold(f64::INFINITY, f64::min),
            cpu_seconds_per_gib: rows().map(Row::cpu_per_gib).fold(f64::INFINITY, f64::min),
            peak_mib: rows().map(Row::peak_mib).fold(0.0, f64::max),
        })
    }

    /// Returns the floor program that needs the least CPU.
    pub(crate) fn floor(&self) -> Option<Figures> {
        let floors = self.figures().into_iter().filter(|figures| figures.who.is_floor());
        floors.min_by(|a, b| a.cpu_seconds_per_gib.total_cmp(&b.cpu_seconds_per_gib))
    }

    /// Returns the peer that is best by this figure.
    pub(crate) fn best_peer(&self, by: impl Fn(&Figures) -> f64) -> Option<Figures> {
        let peers = self.figures().into_iter().filter(|figures| figures.who.is_peer());
        peers.min_by(|a, b| by(a).total_cmp(&by(b)))
    }

    pub(crate) fn ratios(&self, figures: &Figures) -> Ratios {
        let (haul, floor) = (self.of(Contestant::Haul), self.floor());
        let ratio = |to: Option<Figures>, of: fn(&Figures) -> f64| {
            to.filter(|to| of(to) > 0.0).map(|to| of(figures) / of(&to))
        };
        Ratios {
            wall_to_haul: ratio(haul, |it| it.wall_seconds),
            cpu_to_haul: ratio(haul, |it| it.cpu_seconds_per_gib),
            cpu_to_floor: ratio(floor, |it| it.cpu_seconds_per_gib),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use haul_testkit::process::Usage;

    use super::*;
    use crate::case::select;

    /// A case of 2 GiB with one row per word: program, wall and CPU seconds, and peak in MiB.
    pub(crate) fn measured(case: &str, rows: &[(Contestant, f64, f64, u64)]) -> Measured {
        let bytes = 2 << 30;
        let rows = rows.iter().map(|(who, wall, cpu, peak_mib)| {
            let usage = Usage {
                user_seconds: cpu / 4.0,
                system_seconds: cpu * 3.0 / 4.0,
                peak_memory_bytes: peak_mib << 20,
            };
            Row { who: who.name(), bytes, wall: Duration::from_secs_f64(*wall), usage }
        });
        let case = select(Some(case)).unwrap()[0];
        Measured { case, settings: Settings::Defaults, bytes, rows: rows.collect() }
    }

    #[test]
    fn each_figure_is_the_best_of_all_rounds_and_the_peak_the_worst() {
        let measured = measured(
            "upload-plain",
            &[
                (Contestant::FloorOfMany, 0.6, 0.5, 6),
                (Contestant::Haul, 1.0, 1.5, 20),
                (Contestant::S5cmd, 6.0, 4.0, 30),
                (Contestant::FloorOfOne, 0.7, 0.75, 4),
                (Contestant::Haul, 2.0, 1.0, 25),
            ],
        );
        let who = Contestant::Haul;
        let haul = Figures { who, wall_seconds: 1.0, cpu_seconds_per_gib: 0.5, peak_mib: 25.0 };
        assert_eq!(measured.of(who), Some(haul));
        assert_eq!(measured.floor().map(|it| it.who), Some(Contestant::FloorOfMany));
        let s5cmd = measured.of(Contestant::S5cmd).unwrap();
        assert_eq!(measured.best_peer(|it| it.wall_seconds), Some(s5cmd));
        let [wall_to_haul, cpu_to_haul, cpu_to_floor] = [6.0, 4.0, 8.0].map(Some);
        let ratios = Ratios { wall_to_haul, cpu_to_haul, cpu_to_floor };
        assert_eq!(measured.ratios(&s5cmd), ratios);
        assert_eq!(measured.of(Contestant::Rclone), None);
    }

    /// Regression: a copy takes haul less than a tick of CPU time, and the table showed `inf`.
    #[test]
    fn a_time_too_short_to_be_measured_gives_no_ratio() {
        let rows = [(Contestant::Haul, 0.5, 0.0, 9), (Contestant::S5cmd, 1.0, 1.0, 9)];
        let measured = measured("copy", &rows);
        let ratios = measured.ratios(&measured.of(Contestant::S5cmd).unwrap());
        assert_eq!((ratios.wall_to_haul, ratios.cpu_to_haul), (Some(2.0), None));
    }

    #[test]
    fn without_floor_there_is_no_ratio_to_it() {
        let measured = measured("copy", &[(Contestant::S5cmd, 1.0, 1.0, 9)]);
        let ratios = measured.ratios(&measured.of(Contestant::S5cmd).unwrap());
        let none = Ratios { wall_to_haul: None, cpu_to_haul: None, cpu_to_floor: None };
        assert_eq!(ratios, none);
    }
}
