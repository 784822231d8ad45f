//! What shall go wrong, and when.

use std::time::Duration;

use super::Kind;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The proxy reads the whole request and answers this itself; the store never hears of it.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body, XML as a rule.
        body: String,
    },
    /// Both connections are closed after this many bytes of the body have been forwarded.
    CutRequest {
        /// Bytes of the body that the store still gets.
        after_bytes: u64,
    },
    /// After this many bytes of the body nothing moves any more, and nothing is closed.
    Stall {
        /// Bytes of the body that the store still gets.
        after_bytes: u64,
    },
    /// The request waits in the proxy before it is forwarded.
    Delay(Duration),
    /// The lowest bit of one byte of the body is flipped on its way to the store.
    FlipBit {
        /// Which byte, counted from 0.
        at_byte: u64,
    },
    /// The store gets the whole request and answers it in full, but the client sees its connection closed instead.
    DropAnswer,
    /// The client's connection is closed after this many bytes of the answer's body.
    CutAnswer {
        /// Bytes of the body that the client still gets.
        after_bytes: u64,
    },
}

impl Fault {
    /// An S3 error document.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>made up by the test</Message><RequestId>chaos</RequestId></Error>"
        );
        Self::Answer { status, body }
    }

    /// `503 SlowDown`, what an overloaded store says.
    #[must_use]
    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown")
    }
}

/// A fault, and the requests that it befalls: by default the first of its kind.
#[derive(Debug, Clone)]
pub struct Rule {
    kind: Kind,
    part_number: Option<u32>,
    skip: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// On the first request of this kind.
    #[must_use]
    pub fn on(kind: Kind, fault: Fault) -> Self {
        Self { kind, part_number: None, skip: 0, times: 1, fault }
    }

    /// Only on requests with this part number.
    #[must_use]
    pub fn part(mut self, part_number: u32) -> Self {
        self.part_number = Some(part_number);
        self
    }

    /// Not on the first `requests` that match.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// On so many requests instead of one.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    /// On every request that matches.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// The fault for this request, if the rule applies to it; counts it in any case.
    pub(super) fn strike(&mut self, kind: Kind, part_number: Option<u32>) -> Option<Fault> {
        let matches = self.kind == kind && self.part_number.is_none_or(|wanted| Some(wanted) == part_number);
        if !matches {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.fault.clone())
    }
}
