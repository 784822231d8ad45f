//! Converts names of a tree to keys and paths. No I/O.
//!
//! Stores contain keys that other clients wrote: a key that would lead out of the target folder, or
//! that cannot be the name of a file, is refused before anything is written.

use std::path::{Path, PathBuf};

use haul_parts::{Key, KeyError};

/// The reason why a name of a store cannot be a path below a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameProblem {
    #[error("it has a piece {0:?}, which leads out of the folder or nowhere")]
    Dots(String),
    #[error("it begins with /, which is no name below a folder")]
    Absolute,
    #[error("it has an empty piece (two slashes in a row)")]
    EmptyPiece,
    #[error("it contains a NUL byte")]
    Nul,
    #[error("it begins with the letter of a drive")]
    Drive,
    #[error("a piece of it is longer than the 255 bytes that a file name can have")]
    LongPiece,
    #[error("{0:?} is an object too, and a file cannot be a folder at the same time")]
    BelowFile(String),
    #[error("{0:?} has the same name here: this file system does not tell upper from lower case")]
    SameButCase(String),
}

/// The limit of common file systems.
const PIECE_MAX_BYTES: usize = 255;

/// Returns the path of `name` below `folder`.
pub(super) fn path_below(folder: &Path, name: &str) -> Result<PathBuf, NameProblem> {
    if name.contains('\0') {
        return Err(NameProblem::Nul);
    }
    if name.starts_with('/') {
        return Err(NameProblem::Absolute);
    }
    let bytes = name.as_bytes();
    if bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        return Err(NameProblem::Drive);
    }
    for piece in name.split('/') {
        match piece {
            "" => return Err(NameProblem::EmptyPiece),
            "." | ".." => return Err(NameProblem::Dots(piece.into())),
            // The backslash is a separator on Windows and an ordinary character here, but `..` next
            // to a backslash would be dangerous on a file share.
            _ if piece.split('\\').any(|part| part == "..") => {
                return Err(NameProblem::Dots(piece.into()));
            }
            _ if piece.len() > PIECE_MAX_BYTES => return Err(NameProblem::LongPiece),
            _ => {}
        }
    }
    Ok(folder.join(name))
}

/// Returns the key of `name` below `prefix`.
pub(super) fn key_below(prefix: &str, name: &str) -> Result<Key, KeyError> {
    Key::new(format!("{prefix}{name}"))
}

/// The check for names that cannot exist as files beside earlier names, in a stream in key order.
///
/// A stack finds a name `a` that conflicts with `a/b`: in sorted order, all earlier names that
/// could be folders of the current name are prefixes of each other.
#[derive(Debug, Default)]
pub(super) struct Collisions {
    above: Vec<String>,
    /// Hashes of names in lower case; `None` if the file system is case-sensitive.
    folded: Option<std::collections::HashMap<u64, String>>,
}

impl Collisions {
    /// Creates the check for a file system that is, or is not, case-sensitive.
    pub(super) fn new(tells_cases_apart: bool) -> Self {
        Self { above: vec![], folded: (!tells_cases_apart).then(Default::default) }
    }

    /// Checks the next name.
    pub(super) fn check(&mut self, name: &str) -> Result<(), NameProblem> {
        while let Some(top) = self.above.last() {
            match name.strip_prefix(top.as_str()) {
                Some(rest) if rest.starts_with('/') => {
                    return Err(NameProblem::BelowFile(top.clone()));
                }
                // Names between `a` and `a/`, such as `a-b`: `a/b` may still follow.
                Some(rest) if rest.as_bytes().first().is_some_and(|byte| *byte < b'/') => break,
                _ => {
                    self.above.pop();
                }
            }
        }
        if let Some(folded) = &mut self.folded {
            use std::hash::{DefaultHasher, Hash, Hasher};
            let mut hasher = DefaultHasher::new();
            name.to_lowercase().hash(&mut hasher);
            if let Some(other) = folded.insert(hasher.finish(), name.to_owned())
                && other != name
            {
                folded.insert(hasher.finish(), other.clone());
                return Err(NameProblem::SameButCase(other));
            }
        }
        self.above.push(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let check = |name: &str| path_below(Path::new("/t"), name);
        assert_eq!(check("a/b c/ü").unwrap(), Path::new("/t/a/b c/ü"));
        assert_eq!(check("..a/b..").unwrap(), Path::new("/t/..a/b.."));
        for (name, problem) in [
            ("../x", NameProblem::Dots("..".into())),
            ("a/../../x", NameProblem::Dots("..".into())),
            ("a/./x", NameProblem::Dots(".".into())),
            ("a\\..\\..\\x", NameProblem::Dots("a\\..\\..\\x".into())),
            ("/etc/passwd", NameProblem::Absolute),
            ("a//b", NameProblem::EmptyPiece),
            ("a/", NameProblem::EmptyPiece),
            ("", NameProblem::EmptyPiece),
            ("a\0b", NameProblem::Nul),
            ("C:/x", NameProblem::Drive),
            ("c:x", NameProblem::Drive),
        ] {
            assert_eq!(check(name), Err(problem), "{name:?}");
        }
        assert_eq!(check(&"x".repeat(256)), Err(NameProblem::LongPiece));
    }

    fn refused(names: &[&str]) -> Vec<String> {
        let mut collisions = Collisions::new(true);
        names
            .iter()
            .filter(|name| collisions.check(name).is_err())
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_key_below_another_key_is_found_whatever_lies_between() {
        assert_eq!(
            refused(&["a", "a!", "a-b", "a-b/c", "a/b", "a/c", "a0", "b"]),
            ["a-b/c", "a/b", "a/c"]
        );
        assert!(refused(&["a", "ab", "ab/", "b/a"]).contains(&"ab/".to_owned()));
        assert!(refused(&["a/b", "a/c", "a0", "b"]).is_empty());
    }

    #[test]
    fn case_variants_collide_on_a_case_insensitive_file_system() {
        let mut collisions = Collisions::new(false);
        assert_eq!(collisions.check("A.txt"), Ok(()));
        assert_eq!(collisions.check("a.txt"), Err(NameProblem::SameButCase("A.txt".into())));
        assert_eq!(collisions.check("b.txt"), Ok(()));
    }

    proptest! {
        #[test]
        fn exactly_the_names_below_a_name_are_refused(
            names in proptest::collection::btree_set("[-a/0]{1,5}", 0..30)
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut taken: Vec<&str> = vec![];
            let mut expected = vec![];
            for name in &names {
                let below = taken.iter().any(|top| {
                    name.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
                });
                if below { expected.push(name.to_string()) } else { taken.push(name) }
            }
            prop_assert_eq!(refused(&names), expected);
        }
    }
}
