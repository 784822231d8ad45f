//! Parses request documents strictly and rewrites them in a form that `s3s` reads correctly.
//!
//! The reader of `s3s` 0.14.1 skips CDATA (it reads `ab<![CDATA[x]]>cd` as `abcd`, so DeleteObjects
//! would delete another key), rejects references from U+10000 to U+FFFFF, and accepts `1x` as a
//! number. So `roxmltree` parses each document first, and rejects malformed ones; only the elements
//! and their texts are passed on, without comments, CDATA and namespace prefixes.
//!
//! The gate limits the size ([`Limits::xml_bytes`](crate::Limits::xml_bytes)); this file limits
//! elements and depth. It rejects a document type, and with it every entity that is not one of the
//! five of XML.

use roxmltree::{Document, Node, NodeType, ParsingOptions};
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;
use crate::body::checksum_elements;

/// The maximum depth of nested elements; lifecycle rules, the deepest documents, need six.
const DEPTH_MAX: usize = 32;

/// The minimum bytes per node (element or text). The densest document that clients send has twelve.
const NODE_BYTES_MIN: usize = 8;

/// Elements that `s3s` reads as numbers, ignoring everything after the digits.
const NUMBERS: [&str; 9] = [
    "Days",
    "DaysAfterInitiation",
    "MaxAgeSeconds",
    "NewerNoncurrentVersions",
    "NoncurrentDays",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
    "PartNumber",
    "Size",
];

/// The namespace of `xsi:type`, the only attribute that has a meaning in S3.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Parses a document and rewrites it.
///
/// # Errors
/// `MalformedXML`, without quoting the document: the message goes to the log and to the client.
pub(crate) fn rewrite(document: &[u8]) -> Result<Vec<u8>, Refusal> {
    let text = std::str::from_utf8(document).map_err(|_| malformed("it is not UTF-8"))?;
    check_references(text)?;
    let nodes_limit = u32::try_from(document.len() / NODE_BYTES_MIN + 16).unwrap_or(u32::MAX);
    let options = ParsingOptions { nodes_limit, ..ParsingOptions::default() };
    let parsed = Document::parse_with_options(text, options)
        .map_err(|_| malformed("it is not well-formed"))?;
    let root = parsed.root_element();
    // The parser accepts an empty document type.
    if text.get(..root.range().start).is_some_and(|prolog| prolog.contains("<!DOCTYPE")) {
        return Err(malformed("it has a document type"));
    }
    let mut written = String::with_capacity(text.len());
    write(root, &mut written)?;
    Ok(written.into_bytes())
}

/// Rejects references to non-characters (`&#xD800;`), which the parser reads as U+FFFD:
/// DeleteObjects would delete a key that the sender did not name.
fn check_references(text: &str) -> Result<(), Refusal> {
    const LITERAL: [(&str, &str); 3] = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<']) {
        rest = &rest[at..];
        if let Some((start, end)) = LITERAL.iter().find(|(start, _)| rest.starts_with(start)) {
            let inner = &rest[start.len()..];
            let end_at = inner.find(end).ok_or_else(|| malformed("it is not well-formed"))?;
            rest = &inner[end_at..];
            continue;
        }
        rest = &rest[1..];
        if let Some(number) = rest.strip_prefix('#') {
            let digits = number.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let code = match number[..digits].strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number[..digits].parse(),
            };
            if code.ok().and_then(char::from_u32).is_none() {
                return Err(malformed("a reference is to no character"));
            }
        }
    }
    Ok(())
}

/// Writes an element and its content. Does not recurse, because the sender controls the depth.
fn write(root: Node<'_, '_>, to: &mut String) -> Result<(), Refusal> {
    let mut open = vec![];
    let mut next = Some(root);
    while let Some(node) = next {
        match node.node_type() {
            NodeType::Element => {
                if open.len() >= DEPTH_MAX {
                    return Err(malformed("its elements are too deep"));
                }
                start(node, to)?;
                if let Some(child) = node.first_child() {
                    open.push(node);
                    next = Some(child);
                    continue;
                }
                end(node, to);
            }
            NodeType::Text => escape(node.text().unwrap_or_default(), to),
            NodeType::Root | NodeType::Comment | NodeType::PI => {}
        }
        next = node.next_sibling().filter(|_| !open.is_empty());
        while next.is_none()
            && let Some(parent) = open.pop()
        {
            end(parent, to);
            next = parent.next_sibling().filter(|_| !open.is_empty());
        }
    }
    Ok(())
}

fn start(element: Node<'_, '_>, to: &mut String) -> Result<(), Refusal> {
    let name = element.tag_name().name();
    if NUMBERS.contains(&name) {
        check_number(element)?;
    }
    let newer = checksum_elements::newer_algorithm(name);
    to.push('<');
    to.push_str(newer.map_or(name, |_| checksum_elements::CARRIER));
    if let Some(of_type) = element.attribute((XSI, "type")) {
        to.push_str(&format!(" xmlns:xsi=\"{XSI}\" xsi:type=\""));
        escape(of_type, to);
        to.push('"');
    }
    to.push('>');
    if let Some(algorithm) = newer {
        to.push_str(&checksum_elements::carried(algorithm, ""));
    }
    Ok(())
}

fn end(element: Node<'_, '_>, to: &mut String) {
    let name = element.tag_name().name();
    to.push_str("</");
    to.push_str(
        checksum_elements::newer_algorithm(name).map_or(name, |_| checksum_elements::CARRIER),
    );
    to.push('>');
}

fn check_number(element: Node<'_, '_>) -> Result<(), Refusal> {
    let text: String =
        element.children().filter_map(|node| node.text().filter(|_| node.is_text())).collect();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("a number is none"));
    }
    Ok(())
}

/// Escapes text, including carriage returns, which would be read as line feeds.
fn escape(text: &str, to: &mut String) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\r' => to.push_str("&#13;"),
            c => to.push(c),
        }
    }
}

fn malformed(why: &'static str) -> Refusal {
    tracing::debug!(why, "malformed document");
    Refusal::new(S3ErrorCode::MalformedXML)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(document: &str) -> Option<String> {
        rewrite(document.as_bytes()).ok().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_document_keeps_its_elements_and_texts_and_nothing_else() {
        for (document, expected) in [
            ("<Delete/>", "<Delete></Delete>"),
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x \
                 --><A><B>ab<![CDATA[<x>&]]>cd</B><C/> <!-- y --></A>\n",
                "<A><B>ab&lt;x&gt;&amp;cd</B><C></C> </A>",
            ),
            (
                "<s3:A xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\" \
                 xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" x=\"1\"><G \
                 i:type=\"CanonicalUser\"/></s3:A>",
                "<A><G xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                 xsi:type=\"CanonicalUser\"></G></A>",
            ),
            (
                "<A>&#x1F600;&#128512;&#xFFFFF;&#x10FFFF;&#13;\r\n&quot;&apos;&#38;&lt;</A>",
                "<A>\u{1F600}\u{1F600}\u{FFFFF}\u{10FFFF}&#13;\n&quot;'&amp;&lt;</A>",
            ),
            (
                "<A><PartNumber>10</PartNumber><Days>-1</Days></A>",
                "<A><PartNumber>10</PartNumber><Days>-1</Days></A>",
            ),
            ("\u{feff}<A/>", "<A></A>"),
            ("<A><!-- &#xD800; --><![CDATA[&#xD800;]]><?x &#xD800;?></A>", "<A>&amp;#xD800;</A>"),
        ] {
            assert_eq!(rewritten(document).as_deref(), Some(expected), "{document}");
            assert_eq!(rewritten(expected).as_deref(), Some(expected), "again");
        }
    }

    #[test]
    fn what_is_not_well_formed_or_has_no_end_is_refused() {
        let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(rewritten(&deep(DEPTH_MAX)).is_some());
        let entity = "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>";
        for document in [
            "",
            " ",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a>&#1;</a>",
            "<a>\u{1}</a>",
            "<a>&#xD800;</a>",
            "<a>&#x110000;</a>",
            "<a>\u{ffff}</a>",
            "<a x=\"1\" x=\"2\"/>",
            "<a x=1/>",
            "<x:a/>",
            "<a><![CDATA[x</a>",
            "<a>]]></a>",
            "<!DOCTYPE a><a/>",
            "<a><PartNumber>1x</PartNumber></a>",
            "<a><Size></Size></a>",
            entity,
            &deep(DEPTH_MAX + 1),
            &deep(100_000),
            &format!("<a>{}</a>", "<b/>".repeat(1000)),
        ] {
            assert_eq!(rewritten(document), None, "{document:.60}");
        }
        assert!(rewrite(b"<a>\xff</a>").is_err());
    }
}
