//! Shows the progress of a transfer: a bar on a terminal, a line every ten seconds elsewhere, an
//! event every second for programs.
//!
//! Has no threads: the loop in `transfer.rs` triggers all drawing. The position never exceeds the
//! bytes that can still arrive: bytes on the wire count, repeated ones do not.

mod endless;
mod line;
mod status;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use haul::Event;
use haul::parts::PartNumber;
use jiff::Timestamp;
use serde::Serialize;

use self::endless::endless;
pub(crate) use self::line::{ProgressLine, cut};
pub(crate) use self::status::Status;
use crate::output::{Mode, Shown, complain, paint};
pub(crate) use crate::pace::Pace;
use crate::related::related;
use crate::size::{human_age, human_duration, human_rate, human_size};

/// The interval between two updates: short enough to look alive, long enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// The interval between two lines in a log file.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The interval between two events for a program.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Set by `--no-progress`.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Hides all progress from now on: bar, lines and events.
pub(crate) fn hide() {
    HIDDEN.store(true, Ordering::Relaxed);
}

/// Returns whether progress is hidden.
pub(crate) fn is_hidden() -> bool {
    HIDDEN.load(Ordering::Relaxed)
}

/// The numbers of the engine at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// Bytes that were sent, including repeated attempts.
    pub(crate) moved_bytes: u64,
    /// Bytes that have arrived for good.
    pub(crate) arrived_bytes: u64,
    /// Parts in flight.
    pub(crate) parts_in_flight: u32,
    /// The total, if no event reports it.
    pub(crate) size_bytes: Option<u64>,
}

/// The progress event of a transfer, for programs; sent once a second.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "progress")]
struct ProgressEvent {
    /// Bytes that were sent, including repeated attempts.
    moved_bytes: u64,
    /// Bytes that have arrived for good.
    arrived_bytes: u64,
    /// The size; `None` for a stream that has not ended.
    size_bytes: Option<u64>,
    parts_in_flight: u32,
    /// The rate over the last seconds.
    bytes_per_second: u64,
}

/// The display of one transfer.
pub(crate) struct View {
    mode: Mode,
    label: String,
    /// The file, as on the command line.
    source: String,
    /// The address of the object, for hints about unfinished uploads.
    address: Option<String>,
    /// The lines currently on the terminal; only in [`Mode::Terminal`].
    status: Status,
    pace: Pace,
    last_line: Instant,
    size_bytes: Option<u64>,
    /// Whether this is a stream in parts, which has started although its length is unknown.
    streams: bool,
    /// For a stream, the largest part so far.
    part_size_bytes: u64,
    /// Bytes of an earlier run: they have arrived, but were not sent by this run.
    resumed_bytes: u64,
    /// Bytes that were sent for an upload that the store lost, before the current upload started.
    lost_bytes: u64,
    moved_bytes: u64,
    retries: u32,
    trouble: Option<String>,
}

impl View {
    /// Creates a display that is empty before the first event.
    pub(crate) fn new(mode: Mode, label: String) -> Self {
        let now = Instant::now();
        Self {
            mode,
            source: label.clone(),
            label,
            address: None,
            status: Status::default(),
            pace: Pace::default(),
            last_line: now,
            size_bytes: None,
            streams: false,
            part_size_bytes: 0,
            resumed_bytes: 0,
            lost_bytes: 0,
            moved_bytes: 0,
            retries: 0,
            trouble: None,
        }
    }

    /// Creates a display for a file that messages may name in a command.
    pub(crate) fn of_source(mode: Mode, label: String, source: String) -> Self {
        Self { source, ..Self::new(mode, label) }
    }

    /// Sets the address of the upload, for display.
    #[must_use]
    pub(crate) fn of_address(self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self }
    }

    /// Returns the number of repeated requests.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Updates the display with an event of the engine.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Started { size_bytes, part_size_bytes, .. } => {
                self.start(*size_bytes, *part_size_bytes);
            }
            Event::StreamStarted { size_bytes, part_size_bytes, .. } => {
                self.streams = true;
                (self.size_bytes, self.part_size_bytes) = (*size_bytes, *part_size_bytes);
            }
            Event::Spooling { folder, part_size_bytes } => self.print_above(&format!(
                "parts have {} now, too much for the memory: they pass through {folder}",
                human_size(*part_size_bytes)
            )),
            Event::PartSent { size_bytes, .. } => {
                self.part_size_bytes = self.part_size_bytes.max(*size_bytes);
                self.trouble = None;
            }
            Event::Retrying { part_number, wait, reason, .. } => {
                self.retries += 1;
                let what = part_number
                    .map_or_else(|| "again".to_owned(), |number| format!("part {number} again"));
                self.trouble = Some(format!("{what} in {}: {}", human_duration(*wait), reason));
            }
            Event::Completing => self.trouble = Some("completing".to_owned()),
            Event::InDoubt { reason } => {
                self.warn(&format!("no answer, looking at the object: {reason}"));
            }
            Event::StreamResumed { stored_bytes, .. } => self.print_above(&format!(
                "resuming: {} at the store are compared with the stream",
                human_size(*stored_bytes)
            )),
            Event::Resumed { size_bytes, arrived_bytes, differing_parts, .. } => {
                self.resumed_bytes = *arrived_bytes;
                self.pace.forget();
                self.print_above(&resuming(*arrived_bytes, *size_bytes, differing_parts));
            }
            Event::Restarting { reason } => {
                self.resumed_bytes = 0;
                self.lost_bytes = self.moved_bytes;
                self.pace.forget();
                self.print_above(&format!("restarting: {reason}"));
            }
            Event::UnfinishedFound { count, initiated } => {
                let message = unfinished(*count, *initiated, self.address.as_deref());
                self.warn(&message);
            }
            Event::RelatedJournal { .. } => self.warn(&related(event, &self.source)),
            Event::Warning { message } => self.warn(message),
            _ => {}
        }
    }

    fn start(&mut self, size_bytes: u64, part_size_bytes: u64) {
        // A restarted upload has a second start event.
        self.finish();
        self.size_bytes = Some(size_bytes);
        self.part_size_bytes = part_size_bytes;
    }

    /// Draws the current state.
    pub(crate) fn tick(&mut self, snapshot: Snapshot) {
        match (self.size_bytes, snapshot.size_bytes) {
            (None, Some(size_bytes)) if !self.streams => self.start(size_bytes, 0),
            (None, size_bytes) => self.size_bytes = size_bytes,
            _ => {}
        }
        if self.size_bytes.is_none() && !self.streams {
            return;
        }
        let size_bytes = self.size_bytes;
        self.moved_bytes = snapshot.moved_bytes;
        let position = self.position(snapshot, size_bytes);
        self.pace.see(Instant::now(), position);
        if is_hidden() {
            return;
        }
        match self.mode {
            Mode::Terminal => self.draw(position, size_bytes),
            Mode::Plain if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                complain(&self.line(position, size_bytes));
            }
            Mode::Json if self.last_line.elapsed() >= EVENT_EVERY => {
                self.last_line = Instant::now();
                self.mode.event(&self.progress_event(snapshot, size_bytes));
            }
            Mode::Plain | Mode::Json | Mode::Quiet => {}
        }
    }

    /// Draws the bar, and the current problem below it.
    fn draw(&mut self, position: u64, size_bytes: Option<u64>) {
        let columns = Status::columns();
        let lately = self.pace.lately();
        let mut lines = vec![match size_bytes {
            Some(size_bytes) => {
                let left = self.pace.left(size_bytes.saturating_sub(position));
                ProgressLine { name: &self.label, position, size_bytes, lately, left }.fit(columns)
            }
            None => endless(&self.label, position, lately, columns),
        }];
        lines.extend(self.trouble.as_ref().map(|trouble| cut(&format!("  {trouble}"), columns)));
        self.status.draw(&lines);
    }

    fn progress_event(&self, snapshot: Snapshot, size_bytes: Option<u64>) -> ProgressEvent {
        let (bytes, time) = self.pace.lately();
        let millis = time.as_millis().max(1);
        ProgressEvent {
            moved_bytes: snapshot.moved_bytes,
            arrived_bytes: snapshot.arrived_bytes,
            size_bytes,
            parts_in_flight: snapshot.parts_in_flight,
            bytes_per_second: u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX),
        }
    }

    fn position(&self, snapshot: Snapshot, size_bytes: impl Into<Option<u64>>) -> u64 {
        let size_bytes = size_bytes.into().unwrap_or(u64::MAX);
        let on_the_way = u64::from(snapshot.parts_in_flight).saturating_mul(self.part_size_bytes);
        let most = snapshot.arrived_bytes.saturating_add(on_the_way).min(size_bytes);
        let moved =
            snapshot.moved_bytes.saturating_sub(self.lost_bytes).saturating_add(self.resumed_bytes);
        moved.clamp(snapshot.arrived_bytes.min(most), most)
    }

    fn line(&self, position: u64, size_bytes: impl Into<Option<u64>>) -> String {
        let mut line = match size_bytes.into() {
            Some(size_bytes) => {
                let percent =
                    (u128::from(position) * 100).checked_div(u128::from(size_bytes)).unwrap_or(100);
                let (position, size) = (human_size(position), human_size(size_bytes));
                format!("{}  {percent}%  {position} of {size}", self.label)
            }
            None => format!("{}  {}", self.label, human_size(position)),
        };
        let (bytes, time) = self.pace.lately();
        if !time.is_zero() {
            line += &format!("  {}", human_rate(bytes, time));
        }
        if let Some(trouble) = &self.trouble {
            line += &format!("  ({trouble})");
        }
        line
    }

    /// Prints a warning.
    pub(crate) fn warn(&mut self, message: &str) {
        self.show(&Shown::default().labelled(&paint("warning"), message));
    }

    /// Prints a line above the bar, which the next tick draws again.
    pub(crate) fn print_above(&mut self, line: &str) {
        self.show(&Shown::default().line(line));
    }

    fn show(&mut self, lines: &Shown) {
        self.finish();
        if matches!(self.mode, Mode::Terminal | Mode::Plain) {
            lines.complain();
        }
    }

    /// Removes the bar before the last lines.
    pub(crate) fn finish(&mut self) {
        self.status.clear();
    }
}

/// Formats a message such as `resuming: 61 % already there`.
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

/// Formats the notice about unfinished uploads of the same key without a journal here, with the
/// commands for them.
fn unfinished(count: usize, initiated: Option<Timestamp>, address: Option<&str>) -> String {
    let begun = initiated.map_or_else(String::new, |time| {
        format!(", begun {}", human_age(Timestamp::now().duration_since(time).unsigned_abs()))
    });
    let (what, of_it) = match count {
        1 => (format!("an unfinished upload of this key{begun}, is"), "it if it is"),
        _ => {
            (format!("{count} unfinished uploads of this key, the last{begun}, are"), "one that is")
        }
    };
    let list = address.map_or_else(String::new, |address| {
        format!("; haul uploads {address} lists what is there")
    });
    format!(
        "{what} at the store; Ctrl-C and the same command with --adopt resumes {of_it} of this \
         file{list}"
    )
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
    fn lines_report_position_rate_and_trouble() {
        let mut view = view();
        let now = Instant::now();
        view.pace.see(now, 0);
        view.pace.see(now + Duration::from_secs(5), 25 * MIB);
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
            @"video.mov  25%  25.0 MiB of 100.0 MiB  5.0 MiB/s  (part 3 again in 1.5 s: \
                UploadPart: the store answered 503 SlowDown)"
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

    /// Regression: the store lost an upload with half of it sent; those bytes are no progress of
    /// the next upload.
    #[test]
    fn what_a_lost_upload_had_sent_does_not_count() {
        let mut view = view();
        let snapshot = |moved: u64, arrived: u64| Snapshot {
            moved_bytes: moved * MIB,
            arrived_bytes: arrived * MIB,
            parts_in_flight: 4,
            size_bytes: None,
        };
        view.tick(snapshot(50, 40));
        view.event(&Event::Restarting { reason: "gone".into() });
        assert_eq!(view.position(snapshot(50, 0), 100 * MIB), 0);
        assert_eq!(view.position(snapshot(58, 0), 100 * MIB), 8 * MIB);
    }
}
