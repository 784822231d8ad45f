//! Formats the notice about parts that may be left at the store when a signal stops the command.

use haul::Event;
use haul::parts::UploadId;

use crate::exit::Exit;
use crate::failure::Ended;
use crate::upload_locator::UploadLocator;

/// The effect of the first signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// Parts in flight may still arrive; then the command prints how to resume.
    Pause,
    /// The sent parts are removed.
    Abort,
}

/// Tracks what may be left at the store, and formats the notice about it.
#[derive(Debug)]
pub(crate) struct LeftoverNotice {
    on_interrupt: OnInterrupt,
    /// The locator of the upload; `None` for a download, which leaves nothing at a store.
    locator: Option<UploadLocator>,
    upload_id: Option<UploadId>,
    /// Whether the upload has several parts; `None` until it has started.
    multipart: Option<bool>,
}

impl LeftoverNotice {
    /// Creates the notice of an upload.
    pub(crate) fn of_upload(on_interrupt: OnInterrupt, locator: UploadLocator) -> Self {
        Self { on_interrupt, locator: Some(locator), upload_id: None, multipart: None }
    }

    /// Creates the notice of a download: nothing is left at a store.
    pub(crate) fn of_download(on_interrupt: OnInterrupt) -> Self {
        Self { on_interrupt, locator: None, upload_id: None, multipart: None }
    }

    /// Returns the effect of the first signal.
    pub(crate) fn on_interrupt(&self) -> OnInterrupt {
        self.on_interrupt
    }

    /// Updates the notice with an event of the engine.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Started { multipart, .. } => self.multipart = Some(*multipart),
            Event::StreamStarted { .. } => self.multipart = Some(true),
            Event::UploadCreated { upload_id }
            | Event::Resumed { upload_id, .. }
            | Event::StreamResumed { upload_id, .. } => {
                self.upload_id = Some(upload_id.clone());
            }
            Event::Aborted | Event::Paused { .. } | Event::Completed { .. } => {
                self.upload_id = None;
            }
            _ => {}
        }
    }

    /// Formats the effect of the first signal.
    pub(crate) fn stopping(&self, signal: &str) -> String {
        let in_parts = self.locator.is_some() && self.multipart != Some(false);
        let what = match self.on_interrupt {
            OnInterrupt::Pause if self.multipart == Some(true) => "waiting for the parts in flight",
            OnInterrupt::Abort if in_parts => "removing what was sent",
            // A single request leaves no parts, a download removes its file, and an upload that has
            // not started has nothing in flight.
            _ => "stopping",
        };
        format!("{signal}: {what}; press again to quit immediately")
    }

    /// Returns the failure after a second signal.
    pub(crate) fn ended(self, signal: &str) -> Ended {
        match (self.upload_id, self.locator) {
            (Some(upload_id), Some(locator)) => match locator.again() {
                Some(again) if self.on_interrupt == OnInterrupt::Pause => Ended {
                    exit: Exit::Interrupted,
                    code: "Paused",
                    message: format!("{signal} again: quit immediately; what arrived is kept"),
                    hint: Some(format!(
                        "{again}; {} removes what is there",
                        locator.abort(&upload_id)
                    )),
                },
                _ => Ended {
                    exit: Exit::LeftBehind,
                    code: "LeftBehind",
                    message: format!(
                        "{signal} again: parts of upload {upload_id} may be left at the store"
                    ),
                    hint: Some(format!("abort it: {}", locator.abort(&upload_id))),
                },
            },
            // The bytes must have been sent; otherwise the upload would have ended at the first
            // signal.
            (None, Some(_)) if self.multipart == Some(false) => Ended {
                exit: Exit::InDoubt,
                code: "InDoubt",
                message: format!(
                    "{signal} again: quit immediately; it is not known whether the object was \
                     written"
                ),
                hint: Some("look at the object before anything relies on it".to_owned()),
            },
            _ => Ended {
                exit: Exit::Interrupted,
                code: "Interrupted",
                message: format!("{signal} again: quit immediately"),
                hint: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload_locator::Reach;

    fn leftovers(on_interrupt: OnInterrupt, locator: UploadLocator) -> LeftoverNotice {
        let mut leftovers = LeftoverNotice::of_upload(on_interrupt, locator);
        leftovers.event(&started(true));
        leftovers.event(&Event::UploadCreated { upload_id: "abc".parse().unwrap() });
        leftovers
    }

    fn started(multipart: bool) -> Event {
        let (source, target) = ("file".into(), "s3://bucket/key".into());
        Event::Started {
            source,
            target,
            size_bytes: 9,
            part_size_bytes: 9,
            part_count: 1,
            multipart,
        }
    }

    fn journal() -> UploadLocator {
        UploadLocator::Journal("0e50c57f2f7a".into())
    }

    fn store() -> UploadLocator {
        let object = "s3://bucket/key".parse().unwrap();
        UploadLocator::Store {
            object,
            endpoint: Reach::Url("http://127.0.0.1:8014".into()),
            profile: None,
        }
    }

    #[test]
    fn a_second_signal_says_what_may_be_left_and_how_to_remove_it() {
        let ended = leftovers(OnInterrupt::Pause, journal()).ended("Ctrl-C");
        assert_eq!(ended.exit, Exit::Interrupted);
        insta::assert_snapshot!(ended.hint.unwrap(), @"run the same command again, or haul resume \
            0e50c57f2f7a; haul abort 0e50c57f2f7a removes what is there");

        let ended = leftovers(OnInterrupt::Abort, journal()).ended("Ctrl-C");
        assert_eq!(ended.exit, Exit::LeftBehind);
        insta::assert_snapshot!(ended, @"Ctrl-C again: parts of upload abc may be left at the \
            store");
        insta::assert_snapshot!(ended.hint.unwrap(), @"abort it: haul abort 0e50c57f2f7a");

        let ended = leftovers(OnInterrupt::Abort, store()).ended("Ctrl-C");
        assert_eq!(ended.exit, Exit::LeftBehind);
        insta::assert_snapshot!(ended.hint.unwrap(), @"abort it: haul abort s3://bucket/key \
            --upload-id abc --endpoint http://127.0.0.1:8014");

        let mut gone = leftovers(OnInterrupt::Abort, journal());
        gone.event(&Event::Aborted);
        assert_eq!(gone.ended("Ctrl-C").exit, Exit::Interrupted);
    }

    #[test]
    fn the_first_signal_says_what_is_waited_for() {
        insta::assert_snapshot!(leftovers(OnInterrupt::Pause, journal()).stopping("Ctrl-C"), @"\
            Ctrl-C: waiting for the parts in flight; press again to quit immediately");
        insta::assert_snapshot!(leftovers(OnInterrupt::Abort, store()).stopping("Ctrl-C"), @"\
            Ctrl-C: removing what was sent; press again to quit immediately");
        for on_interrupt in [OnInterrupt::Pause, OnInterrupt::Abort] {
            let mut one_request = LeftoverNotice::of_upload(on_interrupt, journal());
            one_request.event(&started(false));
            insta::allow_duplicates!(
                insta::assert_snapshot!(one_request.stopping("Ctrl-C"), @"Ctrl-C: stopping; press \
                    again to quit immediately")
            );
        }
        let download = LeftoverNotice::of_download(OnInterrupt::Abort);
        insta::assert_snapshot!(download.stopping("Ctrl-C"), @"Ctrl-C: stopping; press again to \
            quit immediately");
    }
}
