//! Reads the documents that no transfer needs: versions of objects, retention, the id of an upload.

use std::collections::BTreeMap;

use aws_smithy_xml::decode::{Document, ScopedDecoder, try_data};

/// The maximum depth of a document that is searched.
const DEPTH_MAX: u32 = 8;

/// Returns the text of the first element with this name, at any depth.
pub(super) fn text_of(xml: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(xml).ok()?;
    let mut document = Document::new(text);
    let mut root = document.root_element().ok()?;
    search(&mut root, name, DEPTH_MAX)
}

fn search(element: &mut ScopedDecoder<'_, '_>, name: &str, depth: u32) -> Option<String> {
    if depth == 0 {
        return None;
    }
    while let Some(mut inner) = element.next_tag() {
        if inner.start_el().local() == name {
            return try_data(&mut inner).ok().map(|text| text.into_owned());
        }
        if let Some(found) = search(&mut inner, name, depth - 1) {
            return Some(found);
        }
    }
    None
}

/// A page of ListObjectVersions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct VersionsPage {
    /// The key and the version id of each version and of each delete marker.
    pub(super) versions: Vec<(String, String)>,
    /// The key and the version id to continue after; `None` on the last page.
    pub(super) next: Option<(String, String)>,
}

/// Parses the answer to ListObjectVersions; `None` if it is another document.
pub(super) fn versions_of(xml: &[u8]) -> Option<VersionsPage> {
    let text = std::str::from_utf8(xml).ok()?;
    let mut document = Document::new(text);
    let mut root = document.root_element().ok()?;
    if !root.start_el().matches("ListVersionsResult") {
        return None;
    }
    let mut page = VersionsPage::default();
    let mut fields = BTreeMap::new();
    while let Some(mut element) = root.next_tag() {
        let name = element.start_el().local().to_owned();
        if ["Version", "DeleteMarker"].contains(&name.as_str()) {
            let mut version = BTreeMap::new();
            while let Some(mut field) = element.next_tag() {
                let name = field.start_el().local().to_owned();
                if ["Key", "VersionId"].contains(&name.as_str()) {
                    version.insert(name, try_data(&mut field).ok()?.into_owned());
                }
            }
            page.versions.push((version.remove("Key")?, version.remove("VersionId")?));
        } else if let Ok(text) = try_data(&mut element) {
            fields.insert(name, text.into_owned());
        }
    }
    if fields.get("IsTruncated").is_some_and(|truncated| truncated == "true") {
        page.next = Some((fields.remove("NextKeyMarker")?, fields.remove("NextVersionIdMarker")?));
    }
    Some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_markers_are_read() {
        let xml = b"<ListVersionsResult><Name>b</Name><IsTruncated>true</IsTruncated>\
            <NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>\
            <Version><Key>k</Key><VersionId>1</VersionId><Owner><ID>o</ID></Owner></Version>\
            <DeleteMarker><Key>k</Key><VersionId>2</VersionId></DeleteMarker></ListVersionsResult>";
        let version = |id: &str| ("k".to_owned(), id.to_owned());
        let page = versions_of(xml).unwrap();
        assert_eq!(page.versions, [version("1"), version("2")]);
        assert_eq!(page.next, Some(version("2")));
        assert_eq!(versions_of(b"<Error/>"), None);
    }

    #[test]
    fn an_element_is_found_at_any_depth() {
        let xml =
            b"<A><Rule><DefaultRetention><Mode>GOVERNANCE</Mode></DefaultRetention></Rule></A>";
        assert_eq!(text_of(xml, "Mode").as_deref(), Some("GOVERNANCE"));
        assert_eq!(text_of(xml, "Days"), None);
    }
}
