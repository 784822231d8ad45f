//! Runs a command to its end under a time limit, and measures it: wall time, CPU seconds, peak
//! memory.
//!
//! The figures come from `/proc`: the child is waited for without being reaped, so that its final
//! CPU times can still be read, and its peak memory (`VmHWM`, a high-water mark) is sampled while
//! it runs. Sampling misses the last few milliseconds of a process. Grandchildren are not counted,
//! so run the real binary, not a wrapper script.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};

/// The unit of the times in `/proc/PID/stat` (`USER_HZ`), which is 100 for user space on every
/// Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const SAMPLE_PERIOD: Duration = Duration::from_millis(5);

/// CPU time and memory that a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU seconds in user mode, all threads.
    pub user_seconds: f64,
    /// CPU seconds in the kernel, all threads.
    pub system_seconds: f64,
    /// The maximum of resident memory, in bytes.
    pub peak_memory_bytes: u64,
}

impl Usage {
    /// Returns user and system time together.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// The result of a finished command.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
    /// The wall time from start to end.
    pub wall: Duration,
    /// The CPU time and memory used.
    pub usage: Usage,
}

impl Finished {
    /// Returns the exit code, or `None` if a signal ended the process.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns `self` if the command exited with 0, otherwise an error with its output.
    ///
    /// # Errors
    /// The exit code is not 0.
    pub fn success(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        bail!("ended with {}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

/// A started command whose output is being collected.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    started: Instant,
    stdout: thread::JoinHandle<String>,
    stderr: thread::JoinHandle<String>,
}

/// Starts `command` and waits for its end.
///
/// # Errors
/// Fails if the command cannot be started, or has not ended after `limit`; it is then killed, and
/// the error contains its output.
pub fn run(command: &mut Command, limit: Duration) -> Result<Finished> {
    Running::start(command)?.finish(limit)
}

impl Running {
    /// Starts `command` with no standard input and both outputs collected.
    ///
    /// # Errors
    /// Fails if the process cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_with_input(command, Stdio::null())
    }

    /// Starts `command` with this standard input.
    ///
    /// # Errors
    /// Fails if the process cannot be started.
    pub fn start_with_input(command: &mut Command, input: Stdio) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let stdout = collect(child.stdout.take().context("stdout was piped")?);
        let stderr = collect(child.stderr.take().context("stderr was piped")?);
        Ok(Self { child, name, started: Instant::now(), stdout, stderr })
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, for example [`Signal::INT`] as Ctrl-C does.
    ///
    /// # Errors
    /// Fails if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.child.id(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// Repeats a signal until the process has ended, like a user who presses Ctrl-C repeatedly.
    ///
    /// # Errors
    /// Fails if the process has not ended after `limit`, counted from the start; it is then killed.
    pub fn signal_until_it_ends(self, signal: Signal, limit: Duration) -> Result<Finished> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while self.started.elapsed() < limit
            && waitid(WaitId::Pid(pid(self.id())?), options)?.is_none()
        {
            self.signal(signal)?;
            thread::sleep(SAMPLE_PERIOD);
        }
        self.finish(limit)
    }

    /// Kills the process as `kill -9` does and waits for its end.
    ///
    /// # Errors
    /// Fails if the process had already ended, so that nothing was killed.
    pub fn kill(self, limit: Duration) -> Result<Finished> {
        self.signal(Signal::KILL)?;
        let name = self.name.clone();
        let finished = self.finish(limit)?;
        if finished.status.signal() == Some(Signal::KILL.as_raw()) {
            return Ok(finished);
        }
        bail!(
            "{name} was to be killed and ended by itself: {}\nstdout:\n{}\nstderr:\n{}",
            finished.status,
            finished.stdout,
            finished.stderr
        )
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// Fails if the process has not ended after `limit`, counted from the start; it is then killed.
    pub fn finish(mut self, limit: Duration) -> Result<Finished> {
        let id = self.child.id();
        let mut peak_memory_bytes = 0;
        let in_time = loop {
            peak_memory_bytes = peak_memory_bytes.max(peak_memory(id).unwrap_or(0));
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            if waitid(WaitId::Pid(pid(id)?), options).context("waitid")?.is_some() {
                break true;
            }
            if self.started.elapsed() > limit {
                break false;
            }
            thread::sleep(SAMPLE_PERIOD);
        };
        let wall = self.started.elapsed();
        let (user_seconds, system_seconds) = cpu_times(id).unwrap_or_default();
        if !in_time {
            self.child.kill().with_context(|| format!("kill {}", self.name))?;
        }
        let status = self.child.wait().with_context(|| format!("wait for {}", self.name))?;
        let [stdout, stderr] =
            [self.stdout, self.stderr].map(|reader| reader.join().unwrap_or_default());
        if !in_time {
            bail!(
                "{} was still running after {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}",
                self.name
            );
        }
        let usage = Usage { user_seconds, system_seconds, peak_memory_bytes };
        Ok(Finished { status, stdout, stderr, wall, usage })
    }
}

/// Appends `command` to the arguments of `wrapper`, which runs it, and copies its environment and
/// folder.
pub(crate) fn run_by(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapper.current_dir(folder);
    }
    wrapper
}

/// Returns the CPU time and memory that a running process has used so far.
///
/// # Errors
/// Fails if there is no such process.
pub fn usage_of(id: u32) -> Result<Usage> {
    let (user_seconds, system_seconds) = cpu_times(id)?;
    Ok(Usage { user_seconds, system_seconds, peak_memory_bytes: peak_memory(id)? })
}

/// Sends a signal to the process with this id.
///
/// # Errors
/// Fails if the process is gone.
pub fn send(id: u32, signal: Signal) -> Result<()> {
    kill_process(pid(id)?, signal).context("send a signal")
}

fn pid(id: u32) -> Result<Pid> {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .context("a process id fits into an i32 and is not 0")
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        // Keep the output in case of an error: it is more useful than the error.
        let _ = pipe.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    })
}

fn cpu_times(id: u32) -> Result<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("read /proc/PID/stat")?;
    // The second field is the command in parentheses and may itself contain blanks and parentheses.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat has no command")?;
    let field = |number: usize| -> Result<f64> {
        // proc(5) counts fields from 1, and `fields` starts with the third.
        fields
            .split(' ')
            .nth(number - 3)
            .and_then(|text| text.parse().ok())
            .context("/proc/PID/stat is too short")
    };
    Ok((field(14)? / TICKS_PER_SECOND, field(15)? / TICKS_PER_SECOND))
}

fn peak_memory(id: u32) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{id}/status")).context("read /proc/PID/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_measured() {
        let busy =
            "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; echo no >&2; exit 3";
        let finished = run(Command::new("sh").args(["-c", busy]), Duration::from_secs(60)).unwrap();
        assert_eq!(finished.code(), Some(3));
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("done\n", "no\n"));
        assert!(finished.usage.cpu_seconds() >= 0.05, "{finished:?}");
        assert!(finished.usage.peak_memory_bytes > 200_000, "{finished:?}");
        assert!(finished.success().unwrap_err().to_string().contains("no"));
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let error = run(Command::new("sleep").arg("600"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("still running"), "{error}");
    }
}
