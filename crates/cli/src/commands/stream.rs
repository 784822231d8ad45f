//! `haul cp - TARGET` and `haul cp --from-command TARGET -- COMMAND`: uploads the output of a pipe
//! or a program.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::Context;
use haul::{EngineOptions, StreamOptions};

use super::producer::Producer;
use super::receipt::{self, ReceiptFile};
use super::stream_journal::StreamMemory;
use super::summary::{self, Journey};
use super::upload::make_bucket_if_promised;
use crate::args::{RememberArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Condition, FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::leftover_notice::{LeftoverNotice, OnInterrupt};
use crate::output::{Mode, visible};
use crate::progress::View;
use crate::store;
use crate::target::Address;
use crate::transfer::drive;
use crate::upload_locator::UploadLocator;

/// The source of a stream.
pub(super) enum StreamOrigin {
    Stdin,
    /// The command and its arguments.
    Command(Vec<std::ffi::OsString>),
}

impl StreamOrigin {
    /// Returns the source's name for messages.
    fn shown(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::Command(words) => {
                let program = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
                format!("the output of {}", visible(&program))
            }
        }
    }

    /// Returns the name of the command without its arguments, which may contain a password.
    fn program(&self) -> Option<String> {
        match self {
            Self::Stdin => None,
            Self::Command(words) => words.first().map(|word| word.to_string_lossy().into_owned()),
        }
    }

    /// Returns the expected length in bytes: for a regular file as standard input, the bytes from
    /// its position to its end. It may become longer or shorter while it is read.
    pub(super) fn expected_size_bytes(&self) -> Option<u64> {
        match self {
            Self::Stdin => rest_of_file(std::io::stdin().as_fd().try_clone_to_owned().ok()?.into()),
            Self::Command(_) => None,
        }
    }

    fn open(&self) -> Result<(Option<Producer>, Box<dyn Read + Send>), Usage> {
        match self {
            Self::Stdin => Ok((None, Box::new(std::io::stdin()))),
            Self::Command(words) => {
                let (producer, output) = Producer::start(words)?;
                Ok((Some(producer), Box::new(output)))
            }
        }
    }
}

/// Returns the bytes from the position of a regular file to its end; `None` for anything else, and
/// if no bytes are left: files in `/proc` report a length of 0.
fn rest_of_file(mut file: File) -> Option<u64> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let rest = metadata.len().saturating_sub(file.stream_position().ok()?);
    (rest > 0).then_some(rest)
}

/// Refuses flags of file uploads that a stream would ignore.
pub(super) fn refuse_flags_of_files(remember: &RememberArgs) -> Result<(), Usage> {
    let given = [(remember.adopt, "--adopt"), (remember.on_change.is_some(), "--on-change")];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Usage::new(
            format!("{name} is for files; a stream cannot be read at any offset"),
            "leave it out; --resume continues a stream whose producer gives the same bytes again",
        )),
        None => Ok(()),
    }
}

/// The arguments of one stream upload.
pub(super) struct StreamSending {
    pub(super) origin: StreamOrigin,
    pub(super) address: Address,
    pub(super) options: StreamOptions,
    pub(super) limits: EngineOptions,
    pub(super) memory: StreamMemory,
    pub(super) receipt: Option<ReceiptFile>,
}

/// Uploads the stream.
pub(super) async fn send(
    args: &StoreArgs,
    sending: StreamSending,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let StreamSending { origin, address, mut options, limits, memory, receipt } = sending;
    if address.key.ends_with('/') || address.key.is_empty() {
        return Err(Usage::new(
            format!("{address} is completed with a file's name, and a stream has none"),
            "write the whole key",
        )
        .into());
    }
    let object = address.exact_object().map_err(Usage::from)?;
    let (from, to) = (origin.shown(), visible(&address.to_string()));
    options.name.clone_from(&from);
    options.program = origin.program();
    let condition = Condition::of(&options.upload);
    let context =
        || FailureContext::at(format!("cannot copy {from} to {to}"), &address).under(condition);

    let opened = store::open(address.scheme, args, mode).await?;
    let endpoint = opened.store.endpoint();
    let started = Instant::now();
    let mut view = View::new(mode, from.clone());
    let mut locator = UploadLocator::Store {
        object: object.clone(),
        endpoint: opened.reach.clone(),
        profile: args.profile.clone(),
    };
    let report = async {
        make_bucket_if_promised(&opened, &address).await?;
        let mut interrupts = Interrupts::new(Role::Work)?;
        if let Some((id, journal)) = memory.journal(&options, &object, &opened)? {
            locator = UploadLocator::Stream(id);
            options.upload.journal = Some(journal);
        }
        let can_pause = options.upload.journal.is_some() && !memory.abort_on_interrupt;
        let on_interrupt = if can_pause { OnInterrupt::Pause } else { OnInterrupt::Abort };
        let left = LeftoverNotice::of_upload(on_interrupt, locator.clone());
        let (producer, reader) = origin.open()?;
        let engine = opened.engine(limits);
        let upload = engine.upload_stream(reader, object.clone(), options);
        let report = drive(upload, mode, &mut view, &mut interrupts, left).await;
        if let (Err(_), Some(producer)) = (&report, producer) {
            producer.end().await;
        }
        report.map_err(|error| match error.downcast_ref() {
            // The signal that stopped this process also stopped the producer, whose end arrived
            // first.
            Some(haul::Error::SourceUnreadable { .. }) if interrupts.came() => {
                haul::Error::Cancelled { object: object.clone() }.into()
            }
            _ => error,
        })
    };
    let report = report.await;
    let elapsed = started.elapsed();
    let receipt = receipt::write(receipt, report.as_ref().ok(), opened.store.as_ref()).await;
    opened.close().await;
    let report = report.with_context(|| context().through(endpoint).found_by(locator))?;

    let journey = Journey { source: &from, target: &to, elapsed };
    let (line, summary) = summary::uploaded(journey, &report, view.retries());
    mode.event(&summary);
    mode.result(&line);
    receipt?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::io::{SeekFrom, Write};

    use super::*;

    #[test]
    fn what_is_left_of_a_regular_file_is_expected() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(rest_of_file(file.try_clone().unwrap()), None);
        file.write_all(&[0; 1000]).unwrap();
        for (position, expected) in [(0, Some(1000)), (400, Some(600)), (1000, None), (1001, None)]
        {
            file.seek(SeekFrom::Start(position)).unwrap();
            assert_eq!(rest_of_file(file.try_clone().unwrap()), expected, "{position}");
            assert_eq!(file.stream_position().unwrap(), position, "the position stays");
        }
    }

    #[test]
    fn nothing_is_expected_of_what_is_no_regular_file() {
        let (pipe, _writer) = std::io::pipe().unwrap();
        let pipe = std::os::fd::OwnedFd::from(pipe);
        assert_eq!(rest_of_file(pipe.into()), None);
        for path in ["/", "/proc/self/status"] {
            assert_eq!(rest_of_file(File::open(path).unwrap()), None, "{path}");
        }
    }
}
