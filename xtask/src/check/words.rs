//! Checks for forbidden words in some files where clippy has no rule: keywords, and rules about one
//! module. Rules for a whole crate are in its clippy.toml.

use super::source::{Tree, lines_with};

/// Words that are forbidden in some places.
struct WordRule {
    /// The prefixes of the paths that the rule applies to.
    inside: &'static [&'static str],
    /// Exempt files, each with its reason in its header.
    except: &'static [&'static str],
    words: &'static [&'static str],
    /// The broken sentence of ARCHITECTURE.md.
    because: &'static str,
}

const RULES: &[WordRule] = &[
    WordRule {
        inside: &["crates/parts/src"],
        except: &[],
        words: &["async", "await"],
        because: "parts is values and pure functions",
    },
    WordRule {
        inside: &["crates/parts/src/plan.rs", "crates/engine/src/transfer/pieces.rs"],
        except: &[],
        words: &[
            "tokio",
            "std::fs",
            "std::net",
            "SystemTime::now",
            "Instant::now",
            "async",
            "await",
        ],
        because: "the plan and the order of pieces are pure",
    },
];

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule.violations(tree)).collect()
}

impl WordRule {
    fn violations(&self, tree: &Tree) -> Vec<String> {
        let concerned = tree.files.iter().filter(|file| {
            self.inside.iter().any(|start| file.path.starts_with(start))
                && !self.except.contains(&file.path.as_str())
        });
        let mut found = Vec::new();
        for file in concerned {
            for word in self.words {
                for line in lines_with(&file.shipped, word) {
                    found.push(format!("{}:{line}: `{word}`: {}", file.path, self.because));
                }
            }
        }
        // A rule about a deleted place would hold forever.
        for place in self.inside.iter().chain(self.except) {
            if !tree.files.iter().any(|file| file.path.starts_with(place)) {
                found.push(format!(
                    "xtask check: a rule is about {place}, which does not exist: {}",
                    self.because
                ));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    #[test]
    fn what_is_forbidden_is_found_and_what_is_excepted_is_not() {
        let file =
            |path: &str| SourceFile::new(path.to_owned(), "fn a() { std::fs::read() }".to_owned());
        let tree = Tree {
            root: "".into(),
            files: vec![file("crates/a/src/b.rs"), file("crates/a/src/keys.rs")],
            documents: Vec::new(),
        };
        let rule = WordRule {
            inside: &["crates/a/src"],
            except: &["crates/a/src/keys.rs"],
            words: &["std::fs"],
            because: "no files",
        };
        assert_eq!(rule.violations(&tree), ["crates/a/src/b.rs:1: `std::fs`: no files"]);
        let gone = WordRule { inside: &["crates/gone"], ..rule };
        assert_eq!(gone.violations(&tree).len(), 1);
    }
}
