//! What shall go wrong, and when.

use std::time::Duration;

use super::{Kind, Seen};

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The proxy reads the whole request and answers this itself; the store never hears of it.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Besides those that every answer has.
        headers: Vec<(&'static str, String)>,
        /// The body, XML as a rule.
        body: String,
        /// How long it is kept back once the request is there.
        after: Duration,
    },
    /// The request waits in the proxy until [`super::ChaosProxy::release`].
    Hold,
    /// While the store works, the client gets a head and then blanks, as AWS does at Complete.
    KeepAlive {
        /// Between two blanks.
        every: Duration,
        /// So many, before what the store answered.
        blanks: u32,
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
    /// The store gets the whole request and answers it in full, but the client sees its connection
    /// closed instead.
    DropAnswer,
    /// The store gets the request twice, and the client the second answer: what a proxy does that
    /// repeats a request whose answer it lost.
    Twice,
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
        Self::Answer { status, headers: vec![], body, after: Duration::ZERO }
    }

    /// This answer with one more header.
    ///
    /// # Panics
    /// When it is no answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let Self::Answer { headers, .. } = &mut self else { panic!("{self:?} has no headers") };
        headers.push((name, value.to_owned()));
        self
    }

    /// This answer, kept back for so long.
    ///
    /// # Panics
    /// When it is no answer.
    #[must_use]
    pub fn kept_back(mut self, time: Duration) -> Self {
        let Self::Answer { after, .. } = &mut self else { panic!("{self:?} is no answer") };
        *after = time;
        self
    }

    /// This answer with one more element at the end of its document.
    ///
    /// # Panics
    /// When it is no error document.
    #[must_use]
    pub fn with_element(mut self, name: &str, value: &str) -> Self {
        let Self::Answer { body, .. } = &mut self else { panic!("{self:?} has no document") };
        let end = body.rfind("</Error>").expect("an error document");
        body.insert_str(end, &format!("<{name}>{value}</{name}>"));
        self
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
    kind: Option<Kind>,
    part_number: Option<u32>,
    signed_with: Option<String>,
    not_signed_with: Option<String>,
    skip: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// On the first request of this kind.
    #[must_use]
    pub fn on(kind: Kind, fault: Fault) -> Self {
        Self { kind: Some(kind), ..Self::on_any(fault) }
    }

    /// On the first request of whatever kind.
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

    /// Only on requests whose `Authorization` has this: `Credential=KEY/`, `/eu-central-1/`.
    #[must_use]
    pub fn signed_with(mut self, text: &str) -> Self {
        self.signed_with = Some(text.to_owned());
        self
    }

    /// Only on requests whose `Authorization` has it not.
    #[must_use]
    pub fn not_signed_with(mut self, text: &str) -> Self {
        self.not_signed_with = Some(text.to_owned());
        self
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
