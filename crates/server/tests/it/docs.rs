//! `docs/s3-compatibility.md` names a test for what it says; the names have to be those of tests.

use std::fs;
use std::path::Path;

/// The table, and where its names point to.
const TABLE: &str = "../../docs/s3-compatibility.md";

#[test]
fn every_row_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join(TABLE)).unwrap();
    let mut named = 0;
    for name in table.split('`').filter(|text| text.contains("::")) {
        let unit = name.strip_prefix("unit ");
        let (module, test) = unit.unwrap_or(name).split_once("::").unwrap_or_default();
        let folder = if unit.is_some() { "src" } else { "tests/it" };
        let path = root.join(folder).join(format!("{module}.rs"));
        let source =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
        assert!(source.contains(&format!("fn {test}()")), "{name} is not in {}", path.display());
        named += 1;
    }
    assert!(named > 60, "only {named} names were found in the table");
}
