//! Decodes the keys in listings that were requested with `encoding-type=url`.
//!
//! XML 1.0 cannot represent every character that a key may have: U+FFFE, U+FFFF and most control
//! characters make a document that no parser reads, so one such key would hide all others on its
//! page. Encoded keys contain only ASCII. A blank is encoded as `+` (AWS) or `%20` (Ceph RGW), and
//! a plus as `%2B`.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode;

/// The encoding of the names in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The names are not encoded: the store does not support `encoding-type`.
    Plain,
    /// Percent-encoded names.
    Url,
}

impl Encoding {
    /// Returns the encoding according to the answer's `EncodingType` element, which is missing if
    /// the store ignores the parameter.
    pub(super) fn of(element: Option<&EncodingType>) -> Self {
        match element {
            Some(EncodingType::Url) => Self::Url,
            _ => Self::Plain,
        }
    }

    /// Decodes a name. An invalid name stays as it is: an odd name is better than no listing.
    pub(super) fn decode(self, name: &str) -> String {
        if self == Self::Plain || !name.contains(['%', '+']) {
            return name.to_owned();
        }
        let blanks = name.replace('+', " ");
        let decoded =
            percent_decode(blanks.as_bytes()).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.unwrap_or_else(|_| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_name_is_read() {
        let url = |name: &str| Encoding::Url.decode(name);
        assert_eq!(url("a+b%20c%2Bd/e"), "a b c+d/e");
        assert_eq!(url("%25%2520"), "%%20");
        assert_eq!(url("%EF%BF%BE%EF%BF%BF"), "\u{fffe}\u{ffff}");
        assert_eq!(url("a%0Ab%1B"), "a\nb\u{1b}");
        assert_eq!(url("%C3%BC"), "ü");
        assert_eq!(url("%FF+x"), "%FF+x", "no UTF-8");
        assert_eq!(Encoding::Plain.decode("a+b%20"), "a+b%20");
    }

    #[test]
    fn without_the_element_names_are_plain() {
        assert_eq!(Encoding::of(Some(&EncodingType::Url)), Encoding::Url);
        assert_eq!(Encoding::of(None), Encoding::Plain);
    }
}
