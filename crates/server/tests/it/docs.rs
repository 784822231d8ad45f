//! Every row of `docs/s3-compatibility.md` names an existing test.

use std::fs;
use std::path::Path;

/// The table, and the folders of the tests that it names.
const TABLE: &str = "../../docs/s3-compatibility.md";

/// The prefix of a test's name in the table, and the folder that contains the test.
const PLACES: [(&str, &str); 3] =
    [("unit ", "src"), ("cli ", "../cli/tests/it"), ("store ", "../store/tests/it")];

#[test]
fn every_row_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join(TABLE)).unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let last = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        if last.trim() == "Test" || row.starts_with("| ---") {
            continue;
        }
        let names: Vec<&str> = last.split('`').filter(|text| text.contains("::")).collect();
        assert!(!names.is_empty(), "no test is named in: {row}");
        for name in names {
            let place =
                PLACES.iter().find_map(|(mark, folder)| Some((name.strip_prefix(mark)?, *folder)));
            let (test, folder) = place.unwrap_or((name, "tests/it"));
            let (module, test) = test.rsplit_once("::").unwrap();
            let path = root.join(folder).join(format!("{}.rs", module.replace("::", "/")));
            let source = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
            assert!(
                source.contains(&format!("fn {test}()")),
                "{name} is not in {}",
                path.display()
            );
        }
        rows += 1;
    }
    assert!(rows > 90, "only {rows} rows were found in the table");
}
