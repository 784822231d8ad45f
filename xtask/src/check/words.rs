//! Words that must not stand in the code of some crates: they would let it touch what it must not
//! know.

use super::source::{Tree, lines_with};

/// Words that are forbidden in some places.
struct WordRule {
    /// Paths that begin with one of these.
    inside: &'static [&'static str],
    /// Files that may nevertheless, each with its reason in its header.
    except: &'static [&'static str],
    words: &'static [&'static str],
    /// The sentence that is broken.
    because: &'static str,
}

const EVERYWHERE: &[&str] = &["crates/", "xtask/"];
const LIBRARIES: &[&str] =
    &["crates/parts/src", "crates/engine/src", "crates/store/src", "crates/server/src"];

const RULES: &[WordRule] = &[
    WordRule {
        inside: &["crates/parts/src"],
        except: &[],
        words: &[
            "tokio",
            "std::fs",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "std::thread",
            "SystemTime",
            "Instant",
            "async",
        ],
        because: "parts depends on no async runtime and touches no file, socket or clock",
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
    WordRule {
        inside: &["crates/server/src"],
        except: &[],
        words: &["std::fs", "tokio::fs", "File::", "OpenOptions", "rustix"],
        because: "server touches no file: what it keeps beside the store goes through \
            haul_store::side_file",
    },
    WordRule {
        inside: &["crates/store/src"],
        except: &[],
        words: &["http", "hyper", "s3s", "axum", "std::net", "tokio::net"],
        because: "store has never heard of HTTP",
    },
    WordRule {
        inside: LIBRARIES,
        except: &[],
        words: &["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"],
        because: "nobody but cli prints",
    },
    WordRule {
        inside: LIBRARIES,
        except: &[],
        words: &["std::env", "env::var", "env::var_os", "env::vars", "env::args"],
        because: "nobody but cli reads the environment",
    },
    WordRule {
        inside: LIBRARIES,
        except: &[],
        words: &["process::exit", "process::abort"],
        because: "nobody but cli exits",
    },
    WordRule {
        inside: EVERYWHERE,
        except: &[],
        words: &["unsafe"],
        because: "unsafe is forbidden in the whole workspace",
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
        // A rule about a place that is gone would hold for ever.
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
