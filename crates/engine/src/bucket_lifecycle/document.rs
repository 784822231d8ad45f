//! Edits `<LifecycleConfiguration>` as text: adds or removes a rule and keeps every other byte.
//!
//! Pure. The document is parsed only to find the boundaries of rules. Comparing two documents
//! ignores white space, the order of rules and of elements, and namespaces, because stores rewrite
//! all of these.

use std::fmt::Write as _;

use roxmltree::{Document, Node};

/// The prefix of the ids of Haul's rules.
pub const RULE_ID: &str = "haul-abort-incomplete";

/// The maximum characters of an id (AWS, Rule).
const ID_CHARS_MAX: usize = 255;

/// The maximum size of a document: AWS allows 1,000 rules, which need far less.
const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The error for a text that is not a lifecycle configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(String);

/// One rule, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleRule {
    /// The `ID`; empty if the rule has none.
    pub id: String,
    /// Whether `Status` is `Enabled`.
    pub enabled: bool,
    /// The objects that it applies to: `everything`, `keys that begin with logs/`, …
    pub scope: String,
    /// The beginning of the keys that it applies to; empty for all keys.
    pub prefix: String,
    /// Its actions: `aborts unfinished uploads after 7 days`, …
    pub actions: Vec<String>,
    /// The days after which it aborts unfinished uploads, if it does.
    pub abort_days: Option<u32>,
}

impl LifecycleRule {
    /// Returns whether [`super::install`] wrote the rule.
    pub fn is_ours(&self) -> bool {
        self.id == RULE_ID
            || self.id.strip_prefix(RULE_ID).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Returns the id of Haul's rule for a prefix.
pub(super) fn rule_id(prefix: &str) -> String {
    if prefix.is_empty() {
        return RULE_ID.to_owned();
    }
    let id = format!("{RULE_ID}/{prefix}");
    if id.chars().count() <= ID_CHARS_MAX {
        return id;
    }
    let hash =
        haul_parts::Hasher::checksum(haul_parts::ChecksumAlgorithm::Sha256, prefix.as_bytes());
    let hash: String = hash.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{RULE_ID}/sha256-{hash}")
}

/// Parses the rules, in their order.
pub(super) fn rules(xml: &str) -> Result<Vec<LifecycleRule>, DocumentError> {
    Ok(rule_nodes(parsed(xml)?.root_element()).map(described).collect())
}

/// Returns the document with Haul's rule for `prefix`, which replaces an earlier one.
pub(super) fn with_abort_rule(
    xml: Option<&str>,
    prefix: &str,
    days: u32,
) -> Result<String, DocumentError> {
    let id = rule_id(prefix);
    let Some(xml) = xml else {
        let rule = abort_rule(&id, prefix, days, Style::Filter);
        return Ok(format!(
            "<LifecycleConfiguration \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rule}</LifecycleConfiguration>"
        ));
    };
    let xml = without(xml, |rule| rule.id == id)?;
    let document = parsed(&xml)?;
    let root = document.root_element();
    let rule = abort_rule(&id, prefix, days, Style::of(root));
    let range = root.range();
    // An empty root may be written `<LifecycleConfiguration/>`, without an end tag to insert
    // before.
    let text = &xml[range.clone()];
    let Some(end) = text.rfind("</") else {
        let name = text.trim_start_matches('<').trim_end_matches("/>").trim_end();
        let tag = name.split_whitespace().next().unwrap_or("LifecycleConfiguration");
        let whole = format!("<{name}>{rule}</{tag}>");
        return Ok(format!("{}{whole}{}", &xml[..range.start], &xml[range.end..]));
    };
    let end = range.start + end;
    Ok(format!("{}{rule}{}", &xml[..end], &xml[end..]))
}

/// Returns the document without the rules that `unwanted` selects.
pub(super) fn without(
    xml: &str,
    unwanted: impl Fn(&LifecycleRule) -> bool,
) -> Result<String, DocumentError> {
    let document = parsed(xml)?;
    let mut text = String::with_capacity(xml.len());
    let mut kept_to = 0;
    for node in rule_nodes(document.root_element()) {
        if unwanted(&described(node)) {
            let range = node.range();
            text.push_str(&xml[kept_to..range.start]);
            kept_to = range.end;
        }
    }
    text.push_str(&xml[kept_to..]);
    Ok(text)
}

/// Returns the ids of rules of `wanted` that `found` lacks or has changed. Rules just `added` are
/// compared only by their effect: a store may rewrite them.
pub(super) fn missing(
    wanted: &str,
    found: &str,
    added: &[String],
) -> Result<Vec<String>, DocumentError> {
    let wanted = parsed(wanted)?;
    let found = if found.is_empty() { None } else { Some(parsed(found)?) };
    let kept: Vec<(LifecycleRule, String)> = found
        .iter()
        .flat_map(|found| {
            rule_nodes(found.root_element()).map(|node| (described(node), canonical(node)))
        })
        .collect();
    let is_kept = |node: Node<'_, '_>| {
        let (rule, text) = (described(node), canonical(node));
        if added.contains(&rule.id) {
            return kept.iter().any(|(other, _)| *other == rule);
        }
        kept.iter().any(|(_, other)| *other == text)
    };
    let missing = rule_nodes(wanted.root_element()).filter(|node| !is_kept(*node));
    Ok(missing.map(|node| described(node).id).collect())
}

/// Whether rules have a `Filter` or a bare `Prefix`: AWS refuses a document with both.
#[derive(Clone, Copy)]
enum Style {
    Filter,
    BarePrefix,
}

impl Style {
    fn of(root: Node<'_, '_>) -> Self {
        let mut rules = rule_nodes(root);
        if rules.any(|rule| child(rule, "Prefix").is_some()) {
            Self::BarePrefix
        } else {
            Self::Filter
        }
    }
}

fn abort_rule(id: &str, prefix: &str, days: u32, style: Style) -> String {
    let (id, prefix) = (escaped(id), escaped(prefix));
    let scope = match style {
        Style::Filter => format!("<Filter><Prefix>{prefix}</Prefix></Filter>"),
        Style::BarePrefix => format!("<Prefix>{prefix}</Prefix>"),
    };
    format!(
        "<Rule><ID>{id}</ID>{scope}<Status>Enabled</Status><AbortIncompleteMultipartUpload>\
         <DaysAfterInitiation>{days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn parsed(xml: &str) -> Result<Document<'_>, DocumentError> {
    if xml.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError(format!(
            "the document has more than {DOCUMENT_BYTES_MAX} bytes"
        )));
    }
    let document = Document::parse(xml).map_err(|error| DocumentError(error.to_string()))?;
    match document.root_element().tag_name().name() {
        "LifecycleConfiguration" => Ok(document),
        other => {
            Err(DocumentError(format!("the document is <{other}>, not <LifecycleConfiguration>")))
        }
    }
}

fn rule_nodes<'a, 'input>(root: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    root.children().filter(|node| node.tag_name().name() == "Rule")
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// Returns all text of a child element, which references may split into several nodes.
fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name).map(|child| child.children().filter_map(|text| text.text()).collect())
}

fn described(rule: Node<'_, '_>) -> LifecycleRule {
    let abort = child(rule, "AbortIncompleteMultipartUpload");
    let abort_days =
        abort.and_then(|abort| text_of(abort, "DaysAfterInitiation")?.trim().parse().ok());
    let actions = rule.children().filter_map(action).collect();
    LifecycleRule {
        id: text_of(rule, "ID").unwrap_or_default(),
        enabled: text_of(rule, "Status").is_some_and(|status| status.trim() == "Enabled"),
        scope: scope(rule),
        prefix: prefix(rule),
        actions,
        abort_days,
    }
}

/// Describes an action: `aborts unfinished uploads after 7 days`.
fn action(node: Node<'_, '_>) -> Option<String> {
    let when = |node| {
        let days = |name| text_of(node, name).map(|days| format!(" after {days} days"));
        let date = || text_of(node, "Date").map(|date| format!(" on {date}"));
        days("Days")
            .or_else(|| days("DaysAfterInitiation"))
            .or_else(|| days("NoncurrentDays"))
            .or_else(date)
            .unwrap_or_default()
    };
    let class =
        || text_of(node, "StorageClass").unwrap_or_else(|| "another storage class".to_owned());
    Some(match node.tag_name().name() {
        "AbortIncompleteMultipartUpload" => format!("aborts unfinished uploads{}", when(node)),
        "Expiration" if text_of(node, "ExpiredObjectDeleteMarker").is_some() => {
            "removes expired delete markers".to_owned()
        }
        "Expiration" => format!("deletes objects{}", when(node)),
        "Transition" => format!("moves objects to {}{}", class(), when(node)),
        "NoncurrentVersionExpiration" => format!("deletes old versions{}", when(node)),
        "NoncurrentVersionTransition" => format!("moves old versions to {}{}", class(), when(node)),
        "" | "ID" | "Status" | "Filter" | "Prefix" => return None,
        other => format!("does {other}, which Haul does not know and keeps"),
    })
}

/// Returns the element that has the conditions of a rule.
fn conditions<'a, 'input>(rule: Node<'a, 'input>) -> Node<'a, 'input> {
    let filter = child(rule, "Filter");
    filter.and_then(|filter| child(filter, "And")).or(filter).unwrap_or(rule)
}

fn prefix(rule: Node<'_, '_>) -> String {
    text_of(conditions(rule), "Prefix").unwrap_or_default()
}

fn scope(rule: Node<'_, '_>) -> String {
    let mut words = Vec::new();
    for node in conditions(rule).children().filter(|node| node.is_element()) {
        match node.tag_name().name() {
            "Prefix" => {
                let prefix: String = node.children().filter_map(|text| text.text()).collect();
                if !prefix.is_empty() {
                    words.push(format!("keys that begin with {prefix}"));
                }
            }
            "Tag" => {
                let (key, value) = (text_of(node, "Key"), text_of(node, "Value"));
                words.push(format!(
                    "objects tagged {}={}",
                    key.unwrap_or_default(),
                    value.unwrap_or_default()
                ));
            }
            "ObjectSizeGreaterThan" => {
                words.push(format!("objects above {} bytes", node.text().unwrap_or_default()));
            }
            "ObjectSizeLessThan" => {
                words.push(format!("objects below {} bytes", node.text().unwrap_or_default()));
            }
            _ => {}
        }
    }
    if words.is_empty() { "everything".to_owned() } else { words.join(" and ") }
}

/// Returns a canonical form of a rule, independent of the store's formatting.
fn canonical(node: Node<'_, '_>) -> String {
    let mut elements: Vec<String> =
        node.children().filter(Node::is_element).map(canonical).collect();
    elements.sort();
    let mut text = format!("<{}>", node.tag_name().name());
    if elements.is_empty() {
        let own: String = node.children().filter_map(|text| text.text()).collect();
        let _ = write!(text, "{}", escaped(&own));
    }
    text + &elements.concat() + "</>"
}

#[cfg(test)]
mod tests;
