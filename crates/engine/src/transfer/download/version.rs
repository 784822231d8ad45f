//! The version of the object that is downloaded, and the check that each answer is of that version.
//!
//! HeadObject names the version; each GetObject (the first, and one after each broken connection)
//! is compared with it. A strong ETag is sent in `If-Match`, so the store itself refuses another
//! version. A weak ETag never matches there (RFC 9110, 13.1.1), and some stores return none: then
//! the ETag, `Last-Modified` and size of the answers are compared here.

use haul_parts::ETag;

use crate::remote::{ObjectBody, ObjectHead};

/// The version that HeadObject described.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    head: ObjectHead,
    /// Whether requests send the ETag; false after the store refused `If-Match` for an unchanged
    /// object.
    names_etag: bool,
}

impl Version {
    pub(crate) fn of(head: ObjectHead) -> Self {
        let names_etag = head.etag.is_strong();
        Self { head, names_etag }
    }

    pub(crate) fn head(&self) -> &ObjectHead {
        &self.head
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.head.size_bytes
    }

    /// Returns the value of `If-Match`, if one can be sent.
    pub(crate) fn if_match(&self) -> Option<ETag> {
        self.names_etag.then(|| self.head.etag.clone())
    }

    /// Stops sending `If-Match`, because a proxy that weakens ETags makes every condition fail.
    pub(crate) fn stop_naming_the_etag(&mut self) {
        self.names_etag = false;
    }

    /// Compares another HeadObject. `Err` contains the difference.
    pub(crate) fn agrees(&self, other: &ObjectHead) -> Result<(), String> {
        self.compare(other, Some(other.size_bytes))
    }

    /// Compares the head of a GetObject. `Err` contains the difference.
    pub(crate) fn is_of(&self, body: &ObjectBody) -> Result<(), String> {
        self.compare(&body.head, body.announced_bytes)
    }

    fn compare(&self, other: &ObjectHead, size_bytes: Option<u64>) -> Result<(), String> {
        let (ours, theirs) = (&self.head.etag, &other.etag);
        if !ours.is_empty() && !theirs.is_empty() && ours.opaque() != theirs.opaque() {
            return Err(format!("its ETag is {theirs} instead of {ours}"));
        }
        if let Some(size_bytes) = size_bytes
            && size_bytes != self.head.size_bytes
        {
            return Err(format!("it has {size_bytes} bytes instead of {}", self.head.size_bytes));
        }
        // Matching strong ETags are better evidence than a time in whole seconds.
        if ours.is_strong() && theirs.is_strong() {
            return Ok(());
        }
        match (self.head.last_modified, other.last_modified) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(format!("it was written at {theirs} instead of {ours}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::remote::ObjectAttributes;

    fn head(etag: &str, modified_second: Option<i64>, size_bytes: u64) -> ObjectHead {
        ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes,
            etag: ETag::new(etag),
            checksum: None,
            composite: None,
            last_modified: modified_second.map(|second| Timestamp::from_second(second).unwrap()),
            attributes: ObjectAttributes::default(),
        }
    }

    #[test]
    fn only_a_strong_etag_is_named_in_if_match() {
        let if_match = |etag: &str| Version::of(head(etag, None, 1)).if_match();
        assert_eq!(if_match("\"abc\""), Some("\"abc\"".into()));
        for unusable in ["W/\"abc\"", "", "\"\""] {
            assert_eq!(if_match(unusable), None, "{unusable}");
        }
    }

    #[test]
    fn what_can_be_compared_is_compared() {
        let agrees =
            |ours: ObjectHead, theirs: ObjectHead| Version::of(ours).agrees(&theirs).is_ok();
        let strong = || head("\"abc\"", Some(1), 9);
        assert!(agrees(strong(), strong()));
        assert!(!agrees(strong(), head("\"abd\"", Some(1), 9)));
        assert!(!agrees(strong(), head("\"abc\"", Some(1), 10)));
        assert!(agrees(strong(), head("\"abc\"", Some(2), 9)), "strong ETags decide");
        assert!(agrees(strong(), head("W/\"abc\"", Some(1), 9)), "a proxy weakened it");
        assert!(!agrees(head("W/\"abc\"", Some(1), 9), head("W/\"abc\"", Some(2), 9)));
        assert!(agrees(head("", Some(1), 9), head("", Some(1), 9)));
        assert!(!agrees(head("", Some(1), 9), head("", Some(2), 9)));
        assert!(!agrees(head("", None, 9), head("", None, 8)));
        assert!(agrees(head("", None, 9), head("", None, 9)), "nothing says otherwise");
    }
}
