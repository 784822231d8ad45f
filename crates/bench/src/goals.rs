//! The goals of `haul cp` beside its peers and the floor, as `bench client` checks them.

use anyhow::{Result, ensure};

use crate::case::{Job, Settings};
use crate::contestant::Contestant;
use crate::measured::{Figures, Measured};

/// The most CPU of an upload, relative to its floor.
const UPLOAD_TO_FLOOR_MAX: f64 = 1.5;
const UPLOAD_TLS_TO_FLOOR_MAX: f64 = 1.3;
/// The most CPU of an upload over plain HTTP, relative to the best peer.
const UPLOAD_TO_PEER_MAX: f64 = 0.2;
const DOWNLOAD_TO_FLOOR_MAX: f64 = 1.2;
/// The most memory of a transfer at defaults, in MiB.
pub(crate) const PEAK_MIB_MAX: f64 = 48.0;

/// A goal and its figures.
#[derive(Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) is_met: bool,
}

/// Prints the goals.
///
/// # Errors
/// Fails if one is missed.
pub(crate) fn print(goals: &[Goal]) -> Result<()> {
    for goal in goals {
        println!("{}: {}", if goal.is_met { "met" } else { "missed" }, goal.text);
    }
    let missed = goals.iter().filter(|goal| !goal.is_met).count();
    ensure!(missed == 0, "{missed} of {} goals missed", goals.len());
    Ok(())
}

/// Returns the goals that apply to a case: that of wall time always; those of CPU and memory with
/// the programs' defaults and a fast, willing store.
pub(crate) fn goals(measured: &Measured) -> Vec<Goal> {
    let Some(haul) = measured.of(Contestant::Haul) else { return vec![] };
    let title = measured.title();
    let mut goals = vec![];
    let mut add =
        |text: String, is_met| goals.push(Goal { text: format!("{title}: {text}"), is_met });
    if let Some(peer) = measured.best_peer(|it| it.wall_seconds) {
        let (ours, theirs, who) = (haul.wall_seconds, peer.wall_seconds, peer.who.name());
        add(format!("{ours:.2} s, the fastest peer {theirs:.2} s ({who})"), ours < theirs);
    }
    let case = measured.case;
    let floor_max = match (case.job, case.tls) {
        (Job::Upload, false) => UPLOAD_TO_FLOOR_MAX,
        (Job::Upload, true) => UPLOAD_TLS_TO_FLOOR_MAX,
        (Job::Download, _) => DOWNLOAD_TO_FLOOR_MAX,
        _ => return goals,
    };
    if !case.is_undisturbed() || measured.settings == Settings::Same {
        return goals;
    }
    let cpu = |other: Figures| haul.cpu_seconds_per_gib / other.cpu_seconds_per_gib;
    if let Some(ratio) = measured.floor().map(cpu) {
        add(format!("{ratio:.2} of the floor's CPU, at most {floor_max}"), ratio <= floor_max);
    }
    let peer_max = match (case.job, case.tls) {
        (Job::Upload, false) => UPLOAD_TO_PEER_MAX,
        _ => 1.0,
    };
    // Where the goals disagree, the floor binds: no proof is cheaper.
    let reachable = |peer: Figures| {
        let floor = measured.floor().map_or(0.0, |floor| floor.cpu_seconds_per_gib);
        floor <= peer_max * peer.cpu_seconds_per_gib
    };
    if let Some(peer) = measured.best_peer(|it| it.cpu_seconds_per_gib)
        && (peer_max >= 1.0 || reachable(peer))
    {
        let (ratio, who) = (cpu(peer), peer.who.name());
        let text = format!("{ratio:.2} of the best peer's CPU ({who}), at most {peer_max}");
        add(text, ratio <= peer_max);
    }
    let peak = haul.peak_mib;
    add(format!("peak {peak:.0} MiB, at most {PEAK_MIB_MAX}"), peak <= PEAK_MIB_MAX);
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::tests::measured;

    fn missed(measured: &Measured) -> Vec<String> {
        goals(measured).into_iter().filter(|goal| !goal.is_met).map(|goal| goal.text).collect()
    }

    #[test]
    fn missed_goals_name_case_figure_and_peer() {
        use Contestant::{AwsCli, FloorOfMany, Haul, S5cmd};
        let fast = [(FloorOfMany, 0.5, 0.5, 6), (Haul, 0.5, 0.7, 20), (S5cmd, 3.0, 4.0, 30)];
        assert_eq!(goals(&measured("upload-plain", &fast)).len(), 4);
        assert_eq!(missed(&measured("upload-plain", &fast)), Vec::<String>::new());
        let over_tls = ["upload-tls: 1.40 of the floor's CPU, at most 1.3"];
        assert_eq!(missed(&measured("upload-tls", &fast)), over_tls);

        // A fifth of this peer is less than the floor.
        let frugal = [(FloorOfMany, 0.5, 0.5, 6), (Haul, 0.5, 0.7, 20), (S5cmd, 3.0, 1.0, 30)];
        assert_eq!(missed(&measured("upload-plain", &frugal)), Vec::<String>::new());
        assert_eq!(goals(&measured("upload-plain", &frugal)).len(), 3);

        let slow = [(Haul, 3.5, 1.0, 49), (S5cmd, 3.0, 4.5, 30), (AwsCli, 4.0, 4.0, 30)];
        let expected = [
            "upload-plain: 3.50 s, the fastest peer 3.00 s (s5cmd)",
            "upload-plain: 0.25 of the best peer's CPU (aws-cli), at most 0.2",
            "upload-plain: peak 49 MiB, at most 48",
        ];
        assert_eq!(missed(&measured("upload-plain", &slow)), expected);
        assert_eq!(goals(&measured("upload-plain-delay", &slow)).len(), 1, "only wall time");
        assert_eq!(goals(&measured("stdin", &slow)).len(), 1);
        assert_eq!(goals(&measured("stdin", &[(S5cmd, 3.0, 4.5, 30)])), []);
    }
}
