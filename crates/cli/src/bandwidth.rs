//! `--bandwidth`: a limit on bytes per second, a timetable of limits, or a file with either.
//!
//! All transfers of the process share the limit. A file (haul.toml too) is read again on SIGUSR1,
//! so that a limit can be changed while a transfer runs.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use haul::Bandwidth;
use jiff::Zoned;
use jiff::civil::Time;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::ConfigFile;
use crate::size::parse_size;

/// The interval between checks of a timetable against the clock, so that a changed clock or
/// daylight saving is detected.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The parsed argument of `--bandwidth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BandwidthArg {
    /// Limits given on the command line.
    Timetable(Timetable),
    /// A file `@FILE` with the limits, read at the start and on SIGUSR1.
    File(PathBuf, Timetable),
}

/// Limits by the time of day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timetable {
    windows: Vec<Window>,
    /// Bytes per second outside of all windows; `None` means no limit.
    otherwise: Option<u64>,
}

/// A limit between two times of day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    from: Time,
    to: Time,
    bytes_per_s: Option<u64>,
}

impl Window {
    /// Returns whether the window covers `time`; a window that ends before it begins passes
    /// midnight.
    fn covers(&self, time: Time) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl FromStr for Timetable {
    type Err = String;

    /// Parses `20MiB/s`, `off`, or `08:00-18:00=5MiB/s,off`. The first window that covers a time
    /// applies; the entry without a window applies at all other times.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut timetable = Self::default();
        let mut has_otherwise = false;
        for entry in text.split(',').map(str::trim) {
            match entry.split_once('=') {
                Some((window, rate)) => timetable.windows.push(parse_window(window, rate)?),
                None if has_otherwise => {
                    return Err(format!("{entry}: only one limit can hold at all other times"));
                }
                None => {
                    (timetable.otherwise, has_otherwise) = (parse_rate(entry)?, true);
                }
            }
        }
        Ok(timetable)
    }
}

fn parse_window(window: &str, rate: &str) -> Result<Window, String> {
    let malformed = || format!("{window}={rate}: write a window as 08:00-18:00=5MiB/s");
    let (from, to) = window.split_once('-').ok_or_else(malformed)?;
    let (from, to) = (parse_time(from).ok_or_else(malformed)?, parse_time(to));
    Ok(Window { from, to: to.ok_or_else(malformed)?, bytes_per_s: parse_rate(rate)? })
}

/// Parses `08:00`; `24:00` is midnight.
fn parse_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let is_two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return None;
    }
    let hour: i8 = hour.parse().ok()?;
    Time::new(if hour == 24 && minute == "00" { 0 } else { hour }, minute.parse().ok()?, 0, 0).ok()
}

fn parse_rate(text: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let size = text.strip_suffix("/s").unwrap_or(text);
    match parse_size(size) {
        Ok(0) => Err("a limit of 0 would never end; write off for no limit".to_owned()),
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(format!("{text:?} is not a limit: write 20MiB/s, or off")),
    }
}

impl Timetable {
    /// Returns the bytes per second at this time of day; `None` means no limit.
    fn at(&self, time: Time) -> Option<u64> {
        let window = self.windows.iter().find(|window| window.covers(time));
        window.map_or(self.otherwise, |window| window.bytes_per_s)
    }
}

impl BandwidthArg {
    /// Parses the argument; a file is read at once, so that an error in it is reported at the
    /// start.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            Some(file) => Ok(Self::File(file.into(), read(Path::new(file))?)),
            None => text.parse().map(Self::Timetable),
        }
    }
}

fn read(file: &Path) -> Result<Timetable, String> {
    if file.extension().is_some_and(|extension| extension == "toml") {
        let config = ConfigFile::read(file, true)?;
        let limit = config.and_then(|config| config.text("bandwidth"));
        return limit.unwrap_or_else(|| "off".to_owned()).parse();
    }
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    text.trim().parse()
}

/// Returns the limit that every engine of this process shares.
pub(crate) fn shared() -> Bandwidth {
    static SHARED: OnceLock<Bandwidth> = OnceLock::new();
    SHARED.get_or_init(Bandwidth::default).clone()
}

/// Sets the shared limit, and changes it with the clock and with the file, as long as the process
/// runs.
pub(crate) fn follow(arg: &BandwidthArg) {
    let (file, timetable) = match arg {
        BandwidthArg::Timetable(timetable) => (None, timetable),
        BandwidthArg::File(file, timetable) => (Some(file.clone()), timetable),
    };
    set(timetable);
    if file.is_none() && timetable.windows.is_empty() {
        return;
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(keep(file, timetable.clone()));
    }
}

async fn keep(file: Option<PathBuf>, mut timetable: Timetable) {
    let mut asked = match &file {
        Some(_) => signal(SignalKind::user_defined1()).ok(),
        None => None,
    };
    loop {
        let again = async {
            match &mut asked {
                Some(asked) => asked.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = again => match file.as_deref().map(read) {
                Some(Ok(new)) => timetable = new,
                Some(Err(error)) => {
                    tracing::warn!("the limit of the bandwidth stays as it was: {error}");
                }
                None => {}
            },
        }
        set(&timetable);
    }
}

fn set(timetable: &Timetable) {
    let (bandwidth, now) = (shared(), timetable.at(Zoned::now().time()));
    if bandwidth.bytes_per_s() != now {
        bandwidth.set(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(text: &str, hour: i8, minute: i8) -> Option<u64> {
        text.parse::<Timetable>().unwrap().at(Time::new(hour, minute, 0, 0).unwrap())
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        for text in ["20MiB/s", "20M", "20971520", " 20MiB/s "] {
            assert_eq!(at(text, 0, 0), Some(20 * MIB), "{text}");
        }
        assert_eq!(at("off", 0, 0), None);
    }

    #[test]
    fn a_timetable_follows_the_time_of_day() {
        let office = "08:00-18:00=5MiB/s,off";
        assert_eq!(at(office, 7, 59), None);
        assert_eq!(at(office, 8, 0), Some(5 * MIB));
        assert_eq!(at(office, 17, 59), Some(5 * MIB));
        assert_eq!(at(office, 18, 0), None);
        let night = "22:00-06:00=off, 12:00-24:00=2MiB, 1MiB/s";
        assert_eq!((at(night, 23, 0), at(night, 3, 0)), (None, None));
        assert_eq!((at(night, 6, 0), at(night, 12, 0)), (Some(MIB), Some(2 * MIB)));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in ["", "fast", "0", "1MiB,2MiB", "8-18=1MiB", "08:00=1MiB", "25:00-26:00=1M"] {
            text.parse::<Timetable>().expect_err(text);
        }
    }
}
