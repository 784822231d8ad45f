//! Validates the tags of objects and buckets, in the header of a write or in a document.
//! AWS reports `InvalidTag` with the tag for a document, and `InvalidArgument` for the header as a
//! whole.

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode};
use s3s::S3ErrorCode;
use s3s::dto::Tag;

use crate::answer::refusal::Refusal;
use crate::request::query::Query;

/// The maximum number of characters of a tag's name and value, by AWS's rule.
const KEY_CHARS: usize = 128;
const VALUE_CHARS: usize = 256;
/// The punctuation allowed in both, besides letters, digits and spaces of any script.
const PUNCTUATION: [char; 8] = ['_', '.', ':', '/', '=', '+', '-', '@'];
/// The prefix of AWS's own tags.
const RESERVED: &str = "aws:";

/// Tags by name.
pub(crate) type Tags = BTreeMap<String, String>;

/// The owner of the tags: an object or a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagsOf {
    Object,
    Bucket,
}

impl TagsOf {
    fn count_max(self) -> usize {
        match self {
            Self::Object => 10,
            Self::Bucket => 50,
        }
    }

    fn too_many(self) -> &'static str {
        match self {
            Self::Object => "Object tags cannot be greater than 10",
            Self::Bucket => "Bucket tag count cannot be greater than 50",
        }
    }

    fn reserved(self) -> &'static str {
        match self {
            Self::Object => "Your TagKey cannot be prefixed with aws:",
            Self::Bucket => "System tags cannot be added/updated by requester",
        }
    }

    /// Checks the tags of a document.
    ///
    /// # Errors
    /// `MalformedXML` for a tag without a name or a value, `InvalidTag`, `BadRequest` for too many.
    pub(crate) fn check(self, given: impl IntoIterator<Item = Tag>) -> Result<Tags, Refusal> {
        let mut tags = Tags::new();
        for tag in given {
            let (Some(key), Some(value)) = (tag.key, tag.value) else {
                return Err(Refusal::new(S3ErrorCode::MalformedXML));
            };
            if tags.contains_key(&key) {
                return Err(invalid("Cannot provide multiple Tags with the same key", &key));
            }
            self.check_name(&key)?;
            if !is_allowed(&key) {
                return Err(invalid("The TagKey you have provided is invalid", &key));
            }
            if !is_allowed(&value) || value.chars().count() > VALUE_CHARS {
                let refusal = invalid("The TagValue you have provided is invalid", &key);
                return Err(refusal.field("TagValue", value));
            }
            tags.insert(key, value);
        }
        self.check_count(tags)
    }

    fn check_name(self, key: &str) -> Result<(), Refusal> {
        if key.starts_with(RESERVED) {
            return Err(invalid(self.reserved(), key));
        }
        if key.is_empty() || key.chars().count() > KEY_CHARS {
            return Err(invalid("The TagKey you have provided is invalid", key));
        }
        Ok(())
    }

    fn check_count(self, tags: Tags) -> Result<Tags, Refusal> {
        if tags.len() > self.count_max() {
            return Err(Refusal::custom("BadRequest", StatusCode::BAD_REQUEST, self.too_many()));
        }
        Ok(tags)
    }
}

/// Parses the tags in `x-amz-tagging`, written like a query.
///
/// # Errors
/// `InvalidArgument` for a header that is malformed, repeats a tag or has characters that tags
/// cannot have; `InvalidTag` for a name or value that is too long or reserved.
pub(crate) fn from_header(header: &HeaderValue) -> Result<Tags, Refusal> {
    let malformed = || {
        Refusal::invalid_argument(
            "x-amz-tagging",
            String::from_utf8_lossy(header.as_bytes()),
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
             parameters without tag name duplicates.",
        )
    };
    let text = header.to_str().map_err(|_| malformed())?;
    let mut tags = Tags::new();
    for (key, value) in Query::parse(text).into_pairs() {
        if !is_allowed(&key) || !is_allowed(&value) {
            return Err(malformed());
        }
        TagsOf::Object.check_name(&key)?;
        if value.chars().count() > VALUE_CHARS {
            return Err(invalid("The TagValue you have provided is invalid", &key));
        }
        if tags.insert(key, value).is_some() {
            return Err(malformed());
        }
    }
    TagsOf::Object.check_count(tags)
}

/// Allows letters, digits and spaces of any script, and some punctuation.
fn is_allowed(text: &str) -> bool {
    let space = |c: char| c.is_whitespace() && !c.is_control();
    text.chars().all(|c| c.is_alphanumeric() || space(c) || PUNCTUATION.contains(&c))
}

fn invalid(message: &str, key: &str) -> Refusal {
    Refusal::custom("InvalidTag", StatusCode::BAD_REQUEST, message).field("TagKey", key)
}

/// Converts tags to the form in documents.
pub(crate) fn shown(tags: Tags) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_header_are_a_query_of_allowed_characters() {
        let read = |text: &str| {
            let header = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            from_header(&header).map_err(|refusal| refusal.code().to_owned())
        };
        for (text, expected) in [
            ("k=v+w&empty=", Ok(2)),
            ("wrongquery&wrongagain", Ok(2)),
            ("key1&&&key2", Ok(2)),
            ("", Ok(0)),
            ("k%C3%B6rper=gr%C3%B6%C3%9Fe", Ok(1)),
            ("a%3D=_.:/%3D%2B-@", Ok(1)),
            ("key1=val1&key1=val2", Err("InvalidArgument")),
            ("key1=val1,key2=val2", Err("InvalidArgument")),
            ("k=%3Cx%3E", Err("InvalidArgument")),
            ("k=%0A", Err("InvalidArgument")),
            ("k=\u{e4}", Err("InvalidArgument")),
            ("aws:k=v", Err("InvalidTag")),
            ("=v", Err("InvalidTag")),
        ] {
            let read = read(text).map(|tags| tags.len());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        }
    }
}
