//! Rejects truncated documents, which would otherwise look like short lists.
//!
//! If a text ends early, the SDK's parser returns what it has read until then. HTTP detects a
//! truncated body, but not every proxy forwards that: a proxy that frames its answers by closing
//! the connection turns a broken list into a list with fewer entries. So the end of every document
//! is checked: its last tag must close its first one.

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// The error for an answer with a truncated document.
#[derive(Debug, thiserror::Error)]
#[error("the document is cut off after {bytes} bytes")]
pub(super) struct CutOff {
    bytes: usize,
}

/// An interceptor that checks every answer of the control plane.
#[derive(Debug)]
pub(super) struct WholeDocuments;

impl Intercept for WholeDocuments {
    fn name(&self) -> &'static str {
        "WholeDocuments"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        // A streaming body is not a document. A truncated refusal is read as far as possible.
        match answer.body().bytes() {
            Some(body) if answer.status().is_success() && is_cut_off(body) => {
                Err(CutOff { bytes: body.len() }.into())
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether a text begins like a document but does not end like one. Returns false for texts
/// that are not XML.
fn is_cut_off(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let Some(root) = root_name(body) else { return false };
    let Some(end) = body.strip_suffix(b">") else { return true };
    // `<Root/>` is complete if nothing follows it.
    if end.ends_with(b"/") && end.iter().rposition(|&byte| byte == b'<') == root_position(body) {
        return false;
    }
    let closed = end.trim_ascii_end().strip_suffix(root).and_then(|rest| rest.strip_suffix(b"</"));
    // A comment may follow.
    closed.is_none() && !end.ends_with(b"--")
}

/// Returns the position of the first tag, after the declaration and comments.
fn root_position(body: &[u8]) -> Option<usize> {
    let starts = |at: &usize| {
        body.get(at + 1).is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    body.iter().enumerate().filter(|(_, byte)| **byte == b'<').map(|(at, _)| at).find(starts)
}

fn root_name(body: &[u8]) -> Option<&[u8]> {
    if !body.starts_with(b"<") {
        return None;
    }
    let name = &body[root_position(body)? + 1..];
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    Some(&name[..name.iter().position(ends).unwrap_or(name.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_must_close_its_first_tag() {
        let whole = [
            "<?xml version=\"1.0\"?>\n<List xmlns=\"x\"><Key>a</Key></List>\n",
            "<List/>",
            "<List xmlns='x' />",
            "<a:List></a:List >",
            "<!-- hello --><List></List><!-- goodbye -->",
            "",
            "{}",
            "no document",
        ];
        for text in whole {
            assert!(!is_cut_off(text.as_bytes()), "{text}");
        }
        let document =
            "<?xml version=\"1.0\"?><List xmlns=\"x\"><Entry><Key>a</Key><E/></Entry></List>";
        let root = document.find("<List").unwrap();
        for end in root + 5..document.len() {
            assert!(is_cut_off(&document.as_bytes()[..end]), "{}", &document[..end]);
        }
    }
}
