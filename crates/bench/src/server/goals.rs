//! The goals of `haul serve` beside its floor programs and Garage, as `bench server` checks them.

use std::time::Duration;

use super::ADDED_BY_TLS;
use super::read::{GET, GET_TLS};
use super::report::Line;
use super::subject::{FLOOR, GARAGE_WITH_FSYNC, HAUL};
use crate::goals::Goal;

/// The most CPU seconds per GiB of signed payloads from s5cmd or the AWS CLI, eight in flight.
const SIGNED_CPU_MAX: f64 = 2.0;
/// The most CPU of a GET, relative to its floor.
const GET_TO_FLOOR_MAX: f64 = 1.3;
/// The most CPU that TLS adds to an upload, relative to what it adds to the floor.
const ADDED_TO_FLOOR_MAX: f64 = 1.3;
/// The least files per second, relative to Garage when it syncs.
const FILES_TO_GARAGE_MIN: f64 = 3.0;
const COMPLETE_MAX: Duration = Duration::from_millis(100);
/// The most memory while 1,000,000 objects are listed, as in the test of that.
const LISTING_PEAK_MIB_MAX: u64 = 96;

/// Returns the goals of the measured loads, of each the best round.
pub(super) fn of_loads(best: &[&Line]) -> Vec<Goal> {
    let mut goals = vec![];
    for line in best.iter().filter(|line| line.server == HAUL) {
        goals.extend(of_signed(line));
        goals.extend(of_get(best, line));
        goals.extend(of_added_by_tls(best, line));
        goals.extend(of_files(best, line));
    }
    goals
}

fn of_signed(line: &Line) -> Option<Goal> {
    let is_judged = line.case == "signed" && ["s5cmd", "aws-cli"].contains(&line.client);
    let cpu = line.cpu_per_gib();
    let text = format!("signed, {}: {cpu:.2} CPU-s/GiB, at most {SIGNED_CPU_MAX:.1}", line.client);
    is_judged.then_some(Goal { text, is_met: cpu <= SIGNED_CPU_MAX })
}

fn of_get(best: &[&Line], line: &Line) -> Option<Goal> {
    if ![GET, GET_TLS].contains(&line.case) {
        return None;
    }
    let floor = best.iter().find(|it| it.case == line.case && it.server == FLOOR)?;
    let ratio = line.cpu_per_gib() / floor.cpu_per_gib();
    let text = format!("{}: {ratio:.2} of the floor's CPU, at most {GET_TO_FLOOR_MAX}", line.case);
    Some(Goal { text, is_met: ratio <= GET_TO_FLOOR_MAX })
}

/// Returns the goal of a client's uploads, given the line of `haul serve` with TLS.
fn of_added_by_tls(best: &[&Line], line: &Line) -> Option<Goal> {
    let cpu = |server, tls| {
        let is_it = |it: &&&Line| {
            (it.case, it.client, it.server, it.tls) == (ADDED_BY_TLS, line.client, server, tls)
        };
        best.iter().find(is_it).map(|line| line.cpu_per_gib())
    };
    if line.case != ADDED_BY_TLS || !line.tls {
        return None;
    }
    let ours = cpu(HAUL, true)? - cpu(HAUL, false)?;
    let floor = cpu(FLOOR, true)? - cpu(FLOOR, false)?;
    let (client, ratio) = (line.client, ours / floor);
    let text = format!(
        "uploads of {client}: TLS adds {ours:.2} CPU-s/GiB, {ratio:.2} of what it adds to the \
         floor ({floor:.2}), at most {ADDED_TO_FLOOR_MAX}"
    );
    Some(Goal { text, is_met: ours <= floor * ADDED_TO_FLOOR_MAX })
}

fn of_files(best: &[&Line], line: &Line) -> Option<Goal> {
    let ours = line.files_per_second()?;
    let is_garage = |it: &&&Line| {
        it.server == GARAGE_WITH_FSYNC && it.client == line.client && it.case == line.case
    };
    let garage = best.iter().filter(is_garage).find_map(|it| it.files_per_second())?;
    let (client, ratio) = (line.client, ours / garage);
    let text = format!(
        "short files of {client}: {ours:.0} per second, {ratio:.1} times Garage with fsync \
         ({garage:.0}), at least {FILES_TO_GARAGE_MIN}"
    );
    Some(Goal { text, is_met: ratio >= FILES_TO_GARAGE_MIN })
}

/// Returns the goal of Complete of 10,000 parts: the best round, because noise only adds.
pub(super) fn of_complete(rounds: &[Duration]) -> Option<Goal> {
    let best = rounds.iter().min()?;
    let text = format!("Complete of 10,000 parts: {best:.1?}, at most {COMPLETE_MAX:?}");
    Some(Goal { text, is_met: *best < COMPLETE_MAX })
}

/// Returns the goal of the memory of a listing, in each round.
pub(super) fn of_listing(peaks_mib: &[u64]) -> Option<Goal> {
    let peak = peaks_mib.iter().max()?;
    let text = format!("listing: peak {peak} MiB, at most {LISTING_PEAK_MIB_MAX}");
    Some(Goal { text, is_met: *peak <= LISTING_PEAK_MIB_MAX })
}

#[cfg(test)]
mod tests {
    use haul_testkit::process::Usage;

    use super::*;

    fn line(case: &'static str, client: &'static str, server: &'static str, cpu: f64) -> Line {
        Line {
            case,
            client,
            server,
            tls: case == GET_TLS,
            bytes: 1 << 30,
            files: None,
            wall: Duration::from_secs(2),
            usage: Usage { user_seconds: cpu, system_seconds: 0.0, peak_memory_bytes: 0 },
        }
    }

    fn texts(lines: &[Line]) -> Vec<(String, bool)> {
        let goals = of_loads(&lines.iter().collect::<Vec<_>>());
        goals.into_iter().map(|goal| (goal.text, goal.is_met)).collect()
    }

    fn one(lines: &[Line]) -> (String, bool) {
        let texts = texts(lines);
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts[0].clone()
    }

    #[test]
    fn signed_payloads_of_two_clients_are_judged() {
        let met = one(&[line("signed", "s5cmd", HAUL, 2.0)]);
        assert_eq!(met, ("signed, s5cmd: 2.00 CPU-s/GiB, at most 2.0".to_owned(), true));
        assert!(!one(&[line("signed", "aws-cli", HAUL, 2.01)]).1);
        assert_eq!(
            texts(&[line("signed", "rclone", HAUL, 3.0), line("tls", "s5cmd", HAUL, 3.0)]),
            []
        );
    }

    #[test]
    fn gets_are_compared_with_the_floor_of_their_own_case() {
        let floors = [line(GET, "8", FLOOR, 1.0), line(GET_TLS, "8", FLOOR, 2.0)];
        let with = |it: Line| one(&[floors[0], floors[1], it]);
        assert!(with(line(GET, "8", HAUL, 1.3)).1);
        let missed = with(line(GET_TLS, "8", HAUL, 2.8));
        assert_eq!(missed, ("get, TLS: 1.40 of the floor's CPU, at most 1.3".to_owned(), false));
        assert_eq!(texts(&[line(GET, "8", HAUL, 1.0)]), [], "without a floor");
    }

    #[test]
    fn the_cost_of_tls_is_compared_client_by_client() {
        let of = |client, server, tls, cpu| Line { tls, ..line(ADDED_BY_TLS, client, server, cpu) };
        let lines = [
            of("haul", FLOOR, false, 9.0),
            of("haul", FLOOR, true, 9.5),
            of("haul", HAUL, false, 1.0),
            of("haul", HAUL, true, 1.7),
            of("s5cmd", HAUL, true, 1.7),
        ];
        let expected = "uploads of haul: TLS adds 0.70 CPU-s/GiB, 1.40 of what it adds to the \
            floor (0.50), at most 1.3";
        assert_eq!(one(&lines), (expected.to_owned(), false));
        assert!(one(&[lines[0], lines[1], lines[2], of("haul", HAUL, true, 1.6)]).1);
    }

    #[test]
    fn short_files_are_compared_with_garage_that_syncs() {
        let of = |server, files| Line { files: Some(files), ..line("peers", "haul", server, 1.0) };
        let expected =
            "short files of haul: 300 per second, 3.0 times Garage with fsync (100), at least 3";
        assert_eq!(one(&[of(HAUL, 600), of(GARAGE_WITH_FSYNC, 200)]), (expected.to_owned(), true));
        assert!(!one(&[of(HAUL, 590), of(GARAGE_WITH_FSYNC, 200)]).1);
        assert_eq!(texts(&[of(HAUL, 600), of("garage", 200)]), []);
    }

    #[test]
    fn complete_counts_by_its_best_round_and_listing_by_its_worst() {
        let rounds = [Duration::from_millis(120), Duration::from_millis(29)];
        let goal = of_complete(&rounds).unwrap();
        assert_eq!(goal.text, "Complete of 10,000 parts: 29.0ms, at most 100ms");
        assert!(goal.is_met && !of_complete(&rounds[..1]).unwrap().is_met);
        let goal = of_listing(&[80, 97]).unwrap();
        assert_eq!((goal.text.as_str(), goal.is_met), ("listing: peak 97 MiB, at most 96", false));
        assert_eq!((of_complete(&[]), of_listing(&[])), (None, None));
    }
}
