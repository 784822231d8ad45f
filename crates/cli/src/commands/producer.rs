//! Runs the program of `haul cp --from-command`: its output is a complete stream only if it exits
//! with status 0.
//!
//! The end of a pipe does not show whether the producer succeeded; the exit status does. So the
//! reader of the output waits for the producer at the end, and returns an error in place of the end
//! if the producer failed.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Usage;
use crate::output::visible;

/// The interval between checks whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The time that the program has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// The running program.
pub(super) struct Producer(Arc<Mutex<Child>>);

/// The output of the program.
pub(super) struct Output {
    stdout: ChildStdout,
    child: Arc<Mutex<Child>>,
}

impl Producer {
    /// Starts the program, which inherits our standard error.
    pub(super) fn start(words: &[OsString]) -> Result<(Self, Output), Usage> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(Usage::new(
                "no command to run",
                "write it behind --: haul cp --from-command TARGET -- COMMAND",
            ));
        };
        let shown = visible(&program.to_string_lossy());
        let cannot = |error: io::Error| {
            Usage::new(format!("cannot run {shown}: {error}"), "check the command behind --")
        };
        let mut child =
            Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let stdout =
            child.stdout.take().ok_or_else(|| cannot(io::Error::other("it has no output")))?;
        let child = Arc::new(Mutex::new(child));
        Ok((Self(Arc::clone(&child)), Output { stdout, child }))
    }

    /// Ends the producer after a failure of the upload.
    pub(super) async fn end(self) {
        let waits = GRACE.as_millis() / LOOK_EVERY.as_millis();
        for wait in 0..waits {
            {
                let mut child = lock(&self.0);
                // Only a process that has not been waited for still owns its process id.
                match (child.try_wait(), Pid::from_child(&child)) {
                    (Ok(None), pid) if wait == 0 => {
                        let _ = kill_process(pid, Signal::TERM);
                    }
                    (Ok(None), _) => {}
                    _ => return,
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let mut child = lock(&self.0);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Read for Output {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self.stdout.read(space)? {
            0 if !space.is_empty() => {
                let status = wait(&self.child)?;
                if status.success() { Ok(0) } else { Err(io::Error::other(failure(status))) }
            }
            read_bytes => Ok(read_bytes),
        }
    }
}

/// Waits for the program without holding the lock, so that it can be ended meanwhile.
fn wait(child: &Mutex<Child>) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = lock(child).try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn failure(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it failed with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it failed".to_owned(),
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
