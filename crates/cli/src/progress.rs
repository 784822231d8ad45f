//! How far a transfer is, for a person: a bar on a terminal, a line now and then elsewhere.
//!
//! Everything is drawn by the loop in `transfer.rs`; there are no threads here. The position never runs ahead of
//! what can still arrive: bytes on the wire count, repeated ones do not.

use std::time::{Duration, Instant};

use haul::Event;
use haul::parts::PartNumber;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::output::{Mode, complain, paint, visible};
use crate::pace::Pace;
use crate::size::{human_duration, human_rate, human_size};

/// Between two looks at the numbers: often enough to seem alive, rarely enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What the engine says about itself at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// Bytes that travelled, repeated attempts included.
    pub(crate) moved_bytes: u64,
    /// Bytes that are there for good.
    pub(crate) arrived_bytes: u64,
    /// Parts on their way.
    pub(crate) parts_in_flight: u32,
    /// How much there is in all, where no event says so.
    pub(crate) size_bytes: Option<u64>,
}

/// Shows one transfer.
pub(crate) struct View {
    mode: Mode,
    label: String,
    bar: Option<ProgressBar>,
    pace: Pace,
    last_line: Instant,
    size_bytes: Option<u64>,
    part_size_bytes: u64,
    /// What an earlier run had sent: it is there, but did not travel now.
    resumed_bytes: u64,
    retries: u32,
    trouble: Option<String>,
}

impl View {
    /// Shows nothing before the first event.
    pub(crate) fn new(mode: Mode, label: String) -> Self {
        let now = Instant::now();
        Self {
            mode,
            label,
            bar: None,
            pace: Pace::default(),
            last_line: now,
            size_bytes: None,
            part_size_bytes: 0,
            resumed_bytes: 0,
            retries: 0,
            trouble: None,
        }
    }

    /// How often something had to be sent again.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Takes note of what the engine reports.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Started { size_bytes, part_size_bytes, .. } => self.start(*size_bytes, *part_size_bytes),
            Event::PartSent { .. } => self.trouble = None,
            Event::Retrying { part_number, wait, reason, .. } => {
                self.retries += 1;
                let what =
                    part_number.map_or_else(|| "again".to_owned(), |number| format!("part {number} again"));
                self.trouble = Some(format!("{what} in {}: {}", human_duration(*wait), visible(reason)));
            }
            Event::Completing => self.trouble = Some("completing".to_owned()),
            Event::InDoubt { reason } => {
                self.warn(&format!("the answer was lost, looking at the object: {}", visible(reason)));
            }
            Event::Resumed { size_bytes, arrived_bytes, differing_parts, .. } => {
                self.resumed_bytes = *arrived_bytes;
                self.pace.forget();
                self.say(&resuming(*arrived_bytes, *size_bytes, differing_parts));
            }
            Event::Restarting { reason } => {
                self.resumed_bytes = 0;
                self.pace.forget();
                self.say(&format!("beginning anew: {}", visible(reason)));
            }
            Event::UnfinishedFound { count, initiated } => self.warn(&unfinished(*count, *initiated)),
            Event::Warning { message } => self.warn(&visible(message)),
            _ => {}
        }
    }

    fn start(&mut self, size_bytes: u64, part_size_bytes: u64) {
        // An upload that begins anew starts twice.
        self.finish();
        self.size_bytes = Some(size_bytes);
        self.part_size_bytes = part_size_bytes;
        if self.mode == Mode::Terminal {
            let bar = ProgressBar::with_draw_target(Some(size_bytes), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:16} {wide_msg}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_prefix(shortened(&self.label));
            self.bar = Some(bar);
        }
    }

    /// Draws the present state.
    pub(crate) fn tick(&mut self, snapshot: Snapshot) {
        if let (None, Some(size_bytes)) = (self.size_bytes, snapshot.size_bytes) {
            self.start(size_bytes, 0);
        }
        let Some(size_bytes) = self.size_bytes else { return };
        let position = self.position(snapshot, size_bytes);
        self.pace.see(Instant::now(), position);
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            bar.set_message(self.beside_the_bar(position, size_bytes, snapshot.parts_in_flight));
        } else if self.mode == Mode::Plain && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            complain(&self.line(position, size_bytes));
        }
    }

    fn position(&self, snapshot: Snapshot, size_bytes: u64) -> u64 {
        let on_the_way = u64::from(snapshot.parts_in_flight).saturating_mul(self.part_size_bytes);
        let most = snapshot.arrived_bytes.saturating_add(on_the_way).min(size_bytes);
        let moved = snapshot.moved_bytes.saturating_add(self.resumed_bytes);
        moved.clamp(snapshot.arrived_bytes.min(most), most)
    }

    /// The most important first: a narrow terminal cuts off what is behind.
    fn beside_the_bar(&self, position: u64, size_bytes: u64, parts_in_flight: u32) -> String {
        let mut text = format!("{} of {}", human_size(position), human_size(size_bytes));
        if let Some(trouble) = &self.trouble {
            return text + "  " + trouble;
        }
        let (bytes, time) = self.pace.lately();
        if let Some(left) = self.pace.left(size_bytes - position) {
            text += &format!("  {}  {} left", human_rate(bytes, time), human_eta(left));
        }
        if parts_in_flight > 0 {
            text += &format!("  {parts_in_flight} in flight");
        }
        text
    }

    fn line(&self, position: u64, size_bytes: u64) -> String {
        let percent = (u128::from(position) * 100).checked_div(u128::from(size_bytes)).unwrap_or(100);
        let (position, size) = (human_size(position), human_size(size_bytes));
        let mut line = format!("{}  {percent}%  {position} of {size}", self.label);
        let (bytes, time) = self.pace.lately();
        if !time.is_zero() {
            line += &format!("  {}", human_rate(bytes, time));
        }
        if let Some(trouble) = &self.trouble {
            line += &format!("  ({trouble})");
        }
        line
    }

    /// Something a person should know now.
    pub(crate) fn warn(&self, message: &str) {
        self.say(&format!("{}: {message}", paint("warning")));
    }

    /// A line that does not tear the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| complain(line)),
            None => self.mode.remark(line),
        }
    }

    /// Takes the bar away: what follows are last lines.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A name that leaves room for the bar: its beginning and its end, which tell files apart.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 24;
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONGEST {
        return name.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    letters[..half].iter().chain(['…'].iter()).chain(&letters[letters.len() - half..]).collect()
}

/// Whole seconds: tenths of a guess only flicker.
fn human_eta(eta: Duration) -> String {
    match eta.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => human_duration(eta),
    }
}

/// `resuming: 61 % already there`
fn resuming(arrived_bytes: u64, size_bytes: u64, differing: &[PartNumber]) -> String {
    const NAMED_MAX: usize = 10;
    let percent = u128::from(arrived_bytes) * 100 / u128::from(size_bytes.max(1));
    let mut text = format!("resuming: {percent} % already there");
    if !differing.is_empty() {
        let named: Vec<_> = differing.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let more = if differing.len() > NAMED_MAX { ", …" } else { "" };
        text += &format!("; parts that differ and are sent again: {}{more}", named.join(", "));
    }
    text
}

/// Uploads of the key that nobody here remembers, and what can be done about them.
fn unfinished(count: usize, initiated: Option<Timestamp>) -> String {
    let begun = initiated.map_or_else(String::new, |time| {
        let age = Timestamp::now().duration_since(time).unsigned_abs();
        format!(", begun {} ago", human_duration(age))
    });
    let (what, of_it) = match count {
        1 => (format!("an unfinished upload of this key{begun}, is"), "go on with it, if it is"),
        _ => (
            format!("{count} unfinished uploads of this key, the last{begun}, are"),
            "go on with one that is",
        ),
    };
    format!("{what} at the store; Ctrl-C and the same command with --adopt {of_it} of this file")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn view() -> View {
        let mut view = View::new(Mode::Quiet, "video.mov".into());
        view.event(&Event::Started {
            source: "video.mov".into(),
            target: "s3://bucket/video.mov".into(),
            size_bytes: 100 * MIB,
            part_size_bytes: 8 * MIB,
            part_count: 13,
            multipart: true,
        });
        view
    }

    #[test]
    fn bytes_sent_twice_do_not_count_twice() {
        let position = |moved: u64, arrived: u64, parts_in_flight| {
            let snapshot = Snapshot {
                moved_bytes: moved * MIB,
                arrived_bytes: arrived * MIB,
                parts_in_flight,
                size_bytes: None,
            };
            view().position(snapshot, 100 * MIB) / MIB
        };
        assert_eq!(position(20, 8, 4), 20);
        assert_eq!(position(90, 8, 4), 40, "never more than what is in flight can bring");
        assert_eq!(position(90, 8, 0), 8);
        assert_eq!(position(500, 96, 1), 100);
        assert_eq!(position(0, 16, 0), 16);
    }

    #[test]
    fn lines_say_how_far_how_fast_and_what_is_wrong() {
        let mut view = view();
        let now = Instant::now();
        view.pace.see(now, 0);
        view.pace.see(now + Duration::from_secs(5), 25 * MIB);
        insta::assert_snapshot!(
            view.beside_the_bar(25 * MIB, 100 * MIB, 16),
            @"25.0 MiB of 100.0 MiB  5.0 MiB/s  15 s left  16 in flight"
        );
        insta::assert_snapshot!(
            view.line(25 * MIB, 100 * MIB),
            @"video.mov  25%  25.0 MiB of 100.0 MiB  5.0 MiB/s"
        );
        view.event(&Event::Retrying {
            part_number: Some("3".parse().unwrap()),
            attempt: 2,
            wait: Duration::from_millis(1500),
            reason: "UploadPart: the store answered 503 SlowDown".into(),
        });
        insta::assert_snapshot!(
            view.line(25 * MIB, 100 * MIB),
            @"video.mov  25%  25.0 MiB of 100.0 MiB  5.0 MiB/s  (part 3 again in 1.5 s: UploadPart: the store answered 503 SlowDown)"
        );
        assert_eq!(view.retries(), 1);
    }

    #[test]
    fn what_an_earlier_run_had_sent_is_there_but_no_speed() {
        let mut view = view();
        view.resumed_bytes = 40 * MIB;
        let snapshot = |moved_bytes| Snapshot {
            moved_bytes,
            arrived_bytes: 40 * MIB,
            parts_in_flight: 2,
            size_bytes: None,
        };
        assert_eq!(view.position(snapshot(0), 100 * MIB), 40 * MIB);
        assert_eq!(view.position(snapshot(3 * MIB), 100 * MIB), 43 * MIB);
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("video.mov"), "video.mov");
        assert_eq!(shortened("a-very-long-name-of-a-video-part-0001.mov"), "a-very-long…rt-0001.mov");
    }

    #[test]
    fn an_empty_object_is_all_there() {
        assert!(view().line(0, 0).contains("100%"));
    }
}
