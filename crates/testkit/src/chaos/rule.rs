//! The faults to inject, and the requests that they apply to.

use std::time::Duration;

use super::{Kind, Seen};

/// A fault to inject into one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The proxy reads the whole request and responds itself; the store never sees the request.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers besides those that every response has.
        headers: Vec<(&'static str, String)>,
        /// The body, usually XML.
        body: String,
        /// The delay between the arrival of the request and the response.
        after: Duration,
    },
    /// The request waits in the proxy until [`super::ChaosProxy::release`]. A part that is to wait
    /// for long is held [`always`](Rule::always): on a slow machine a hedge would bring it.
    Hold,
    /// While the store works, the client gets a head and then blanks, as AWS sends during Complete.
    KeepAlive {
        /// The time between two blanks.
        every: Duration,
        /// The number of blanks before the store's response.
        blanks: u32,
    },
    /// Both connections are closed after this many bytes of the body have been forwarded.
    CutRequest {
        /// The bytes of the body that the store still receives.
        after_bytes: u64,
    },
    /// After this many bytes of the body, nothing more is transferred, and nothing is closed.
    Stall {
        /// The bytes of the body that the store still receives.
        after_bytes: u64,
    },
    /// The request waits in the proxy before it is forwarded.
    Delay(Duration),
    /// The lowest bit of one byte of the body is flipped on its way to the store.
    FlipBit {
        /// The position of the byte, from 0.
        at_byte: u64,
    },
    /// The store gets the whole request and responds, but the client sees its connection closed
    /// instead.
    DropAnswer,
    /// The store gets the request twice, and the client the second response, as with a proxy that
    /// repeats a request whose response it lost.
    Twice,
    /// The lowest bit of one byte of the answer's body is flipped on its way to the client.
    FlipAnswerBit {
        /// The position of the byte, from 0.
        at_byte: u64,
    },
    /// The `Date` of the answer is replaced by this value, as by a store or a proxy whose clock is
    /// wrong.
    WithDate(String),
    /// The client's connection is closed after this many bytes of the response's body.
    CutAnswer {
        /// The bytes of the body that the client still receives.
        after_bytes: u64,
    },
}

impl Fault {
    /// Creates an S3 error document.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>made up by the test</Message><RequestId>chaos</RequestId></Error>"
        );
        Self::Answer { status, headers: vec![], body, after: Duration::ZERO }
    }

    /// Adds a header to this response.
    ///
    /// # Panics
    /// The fault is not a response.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let Self::Answer { headers, .. } = &mut self else { panic!("{self:?} has no headers") };
        headers.push((name, value.to_owned()));
        self
    }

    /// Delays this response.
    ///
    /// # Panics
    /// The fault is not a response.
    #[must_use]
    pub fn kept_back(mut self, time: Duration) -> Self {
        let Self::Answer { after, .. } = &mut self else { panic!("{self:?} is no answer") };
        *after = time;
        self
    }

    /// Adds an element at the end of this error document.
    ///
    /// # Panics
    /// The fault is not an error document.
    #[must_use]
    pub fn with_element(mut self, name: &str, value: &str) -> Self {
        let Self::Answer { body, .. } = &mut self else { panic!("{self:?} has no document") };
        let end = body.rfind("</Error>").expect("an error document");
        body.insert_str(end, &format!("<{name}>{value}</{name}>"));
        self
    }

    /// Creates `503 SlowDown`, the response of an overloaded store.
    #[must_use]
    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown")
    }
}

/// A fault, and the requests that it applies to: by default the first of its kind.
#[derive(Debug, Clone)]
pub struct Rule {
    kind: Option<Kind>,
    part_number: Option<u32>,
    signed_with: Option<String>,
    not_signed_with: Option<String>,
    skip: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// Applies to the first request of this kind.
    #[must_use]
    pub fn on(kind: Kind, fault: Fault) -> Self {
        Self { kind: Some(kind), ..Self::on_any(fault) }
    }

    /// Applies to the first request of any kind.
    #[must_use]
    pub fn on_any(fault: Fault) -> Self {
        Self {
            kind: None,
            part_number: None,
            signed_with: None,
            not_signed_with: None,
            skip: 0,
            times: 1,
            fault,
        }
    }

    /// Restricts the rule to requests whose `Authorization` contains this text, such as
    /// `Credential=KEY/` or `/eu-central-1/`.
    #[must_use]
    pub fn signed_with(mut self, text: &str) -> Self {
        self.signed_with = Some(text.to_owned());
        self
    }

    /// Restricts the rule to requests whose `Authorization` does not contain this text.
    #[must_use]
    pub fn not_signed_with(mut self, text: &str) -> Self {
        self.not_signed_with = Some(text.to_owned());
        self
    }

    /// Restricts the rule to requests with this part number.
    #[must_use]
    pub fn part(mut self, part_number: u32) -> Self {
        self.part_number = Some(part_number);
        self
    }

    /// Skips the first `requests` that match.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Applies to this many requests instead of one.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    /// Applies to every request that matches.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Returns whether the rule holds requests.
    pub(super) fn holds(&self) -> bool {
        self.fault == Fault::Hold
    }

    /// Returns the fault for this request, if the rule applies to it. Counts every matching
    /// request.
    pub(super) fn strike(&mut self, request: &Seen) -> Option<Fault> {
        let signed = request.header("authorization").unwrap_or_default();
        let matches = self.kind.is_none_or(|wanted| wanted == request.kind)
            && self.part_number.is_none_or(|wanted| Some(wanted) == request.part_number)
            && self.signed_with.as_ref().is_none_or(|wanted| signed.contains(wanted))
            && self.not_signed_with.as_ref().is_none_or(|unwanted| !signed.contains(unwanted));
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
