//! Turns the arguments of the command line into the sources and the target of a tree.
//!
//! Slashes mean the same as in `aws s3`; the table in `docs/cli.md` lists every combination.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use haul::parts::{Glob, ObjectRef};
use haul::transfer::tree::{TreeBase, TreeSource, TreeTarget};

use crate::args::TreeArgs;
use crate::failure::Usage;
use crate::output::visible;
use crate::target::{Address, Scheme, Target, TargetError};

/// The sources and the target of a tree, and the stores they are in.
pub(super) struct Ends {
    pub(super) sources: Vec<TreeSource>,
    pub(super) target: TreeTarget,
    /// The scheme of the sources; `None` for this machine.
    pub(super) from: Option<Scheme>,
    /// The scheme of the target; `None` for this machine.
    pub(super) to: Option<Scheme>,
    /// The sources, formatted for messages.
    pub(super) source_text: String,
    pub(super) target_text: String,
    /// The address in the store, for failures of the whole run.
    pub(super) address: Address,
}

/// How source arguments are interpreted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources {
    pub(super) recursive: bool,
    /// `*`, `?` and `[` are ordinary characters.
    pub(super) raw: bool,
}

/// Returns whether `haul cp` with these arguments is more than a copy of one file.
pub(crate) fn is_tree(words: &[Target], recursive: bool, tree: &TreeArgs) -> bool {
    let is_pattern = |word: &Target| match word {
        Target::Store(address) => Glob::is_pattern(&address.key) && !tree.raw,
        _ => false,
    };
    let sources = words.split_last().map_or(words, |(_, sources)| sources);
    recursive || tree.any() || words.len() > 2 || sources.iter().any(is_pattern)
}

impl Ends {
    /// Creates the ends of a copy or a move: the last argument is the target.
    pub(super) fn of(mut words: Vec<Target>, how: Sources, tree: &TreeArgs) -> Result<Self, Usage> {
        let (Some(target), false) = (words.pop(), words.is_empty()) else {
            return Err(Usage::new("sources and a target are needed", "haul cp SOURCE... TARGET"));
        };
        if tree.files_from.is_some() {
            return Self::of_list(&words, &target, tree);
        }
        let several = words.len() > 1;
        let source_text = text_of_sources(&words);
        let from = scheme_of(&words)?;
        let to = scheme_of(std::slice::from_ref(&target))?;
        let address = address_of(&words, &target)?;
        let target_text = text_of(&target);
        // A single file may get another name; several files need a folder as target.
        let single = if several { None } else { words.first() };
        let renamed = match single {
            Some(Target::Path(path)) if !(how.recursive && path.is_dir()) => {
                renamed(&target, Some(path))?
            }
            Some(Target::Store(address)) if !how.recursive && !how.is_pattern(address) => {
                renamed(&target, None)?
            }
            _ => None,
        };
        let (target, name) = match renamed {
            Some((target, name)) => (target, Some(name)),
            None => (folder(&target, several)?, None),
        };
        let sources = words
            .iter()
            .map(|word| how.source(word, several, name.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { sources, target, from, to, source_text, target_text, address })
    }

    /// Creates the ends of a sync: both are folders or prefixes.
    pub(super) fn of_sync(source: Target, target: Target, tree: &TreeArgs) -> Result<Self, Usage> {
        if let Target::Path(path) = &source
            && path.is_file()
        {
            return Err(Usage::new(
                format!("{} is a file; haul sync takes a folder", visible_path(path)),
                "haul cp copies a file, with -u only if it is newer",
            ));
        }
        if let (Target::Path(path), true) = (&target, matches!(source, Target::Store(_)))
            && path.is_file()
        {
            return Err(Usage::new(
                format!("{} is a file; haul sync needs a folder", visible_path(path)),
                "name a folder; it is made if there is none",
            ));
        }
        let words = vec![source, target];
        match tree.files_from {
            Some(_) => {
                let mut words = words;
                let target = words.pop().unwrap_or(Target::Stream);
                Self::of_list(&words, &target, tree)
            }
            None => Self::of(words, Sources { recursive: true, raw: true }, tree),
        }
    }

    /// Creates the ends for the files that a list names.
    fn of_list(words: &[Target], target: &Target, tree: &TreeArgs) -> Result<Self, Usage> {
        let [source] = words else {
            return Err(Usage::new(
                "--files-from takes one source, which its names are below",
                "haul cp --files-from FILE FOLDER TARGET",
            ));
        };
        let base = match source {
            Target::Path(path) => TreeBase::Folder(path.clone()),
            Target::Store(address) => {
                TreeBase::Prefix(address.bucket.clone(), as_folder(&address.key))
            }
            Target::Stream => return Err(no_streams()),
        };
        let list = tree.files_from.as_deref().unwrap_or(Path::new("-"));
        let names: Box<dyn BufRead + Send> = if list == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(list).map_err(|error| {
                Usage::new(
                    format!("cannot read the list {}: {error}", visible_path(list)),
                    "name a file that has a name on each line, or - for standard input",
                )
            })?;
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            from: scheme_of(words)?,
            to: scheme_of(std::slice::from_ref(target))?,
            source_text: text_of_sources(words),
            target_text: text_of(target),
            address: address_of(words, target)?,
            target: folder(target, false)?,
            sources: vec![TreeSource::Names { base, names }],
        })
    }
}

impl Sources {
    fn is_pattern(self, address: &Address) -> bool {
        !self.raw && Glob::is_pattern(&address.key)
    }

    /// Creates one source; `name` is set if the source is a single file that gets another name.
    fn source(
        self,
        word: &Target,
        several: bool,
        name: Option<String>,
    ) -> Result<TreeSource, Usage> {
        match word {
            Target::Stream => Err(no_streams()),
            Target::Path(path) if path.is_dir() && !self.recursive => Err(Usage::new(
                format!("{} is a folder", visible_path(path)),
                "add -r to copy it with everything below it",
            )),
            Target::Path(path) if path.is_dir() => {
                let before = if several { kept_name(path)? } else { String::new() };
                Ok(TreeSource::Folder { path: path.clone(), before })
            }
            Target::Path(path) => {
                let name = match name {
                    Some(name) => name,
                    None => match path.file_name().map(|name| name.to_str()) {
                        Some(Some(name)) => name.to_owned(),
                        Some(None) => return Ok(TreeSource::Unusable { path: path.clone() }),
                        None => return Err(TargetError::NoName(path.clone()).into()),
                    },
                };
                Ok(TreeSource::File { path: path.clone(), name })
            }
            Target::Store(address) if self.is_pattern(address) => Ok(TreeSource::Pattern {
                bucket: address.bucket.clone(),
                pattern: address.key.clone(),
            }),
            Target::Store(address) => {
                let is_folder = address.key.is_empty() || address.key.ends_with('/');
                if self.recursive && (is_folder || !several) {
                    let prefix = as_folder(&address.key);
                    let bucket = address.bucket.clone();
                    return Ok(TreeSource::Prefix { bucket, prefix, before: String::new() });
                }
                let object = object(address)?;
                let name = match name {
                    Some(name) => name,
                    None => match address.key.rsplit('/').next() {
                        None | Some("") => {
                            return Err(Usage::new(
                                format!("{} is a folder", visible(&address.to_string())),
                                "add -r to copy everything below it",
                            ));
                        }
                        Some(name) => name.to_owned(),
                    },
                };
                Ok(TreeSource::Object { object, name })
            }
        }
    }
}

fn object(address: &Address) -> Result<ObjectRef, Usage> {
    address.exact_object().map_err(|error| match error {
        TargetError::NoKey(_) => {
            Usage::new(error.to_string(), "add -r to copy everything below it")
        }
        other => other.into(),
    })
}

/// Returns the name under which one of several sources is copied: a folder keeps its name, unless
/// the argument ends in a slash.
fn kept_name(path: &Path) -> Result<String, Usage> {
    let ends_in_slash = path.as_os_str().as_encoded_bytes().last() == Some(&b'/');
    match path.file_name() {
        Some(name) if !ends_in_slash => match name.to_str() {
            Some(name) => Ok(format!("{name}/")),
            None => Err(TargetError::NameNotUtf8(path.to_owned()).into()),
        },
        _ => Ok(String::new()),
    }
}

/// Returns the folder and the new name of a single file, if the target specifies both.
fn renamed(
    target: &Target,
    _source: Option<&PathBuf>,
) -> Result<Option<(TreeTarget, String)>, Usage> {
    match target {
        Target::Store(address) if address.key.is_empty() || address.key.ends_with('/') => Ok(None),
        Target::Store(address) => {
            let cut = address.key.rfind('/').map_or(0, |slash| slash + 1);
            let (folder, name) = address.key.split_at(cut);
            let target = TreeTarget::Prefix(address.bucket.clone(), folder.to_owned());
            Ok(Some((target, name.to_owned())))
        }
        Target::Path(path) => {
            let ends_in_slash = path.as_os_str().as_encoded_bytes().last() == Some(&b'/');
            if ends_in_slash || path.is_dir() {
                return Ok(None);
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else {
                return Err(TargetError::NameNotUtf8(path.clone()).into());
            };
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let folder = parent.unwrap_or(Path::new(".")).to_owned();
            Ok(Some((TreeTarget::Folder(folder), name.to_owned())))
        }
        Target::Stream => Err(no_streams()),
    }
}

/// Creates a target that receives many files.
fn folder(target: &Target, several: bool) -> Result<TreeTarget, Usage> {
    match target {
        Target::Stream => Err(no_streams()),
        Target::Store(address) => {
            let is_folder = address.key.is_empty() || address.key.ends_with('/');
            if several && !is_folder {
                let shown = visible(&address.to_string());
                return Err(Usage::new(
                    format!("several sources need a folder, and {shown} does not end in /"),
                    format!("write {shown}/"),
                ));
            }
            Ok(TreeTarget::Prefix(address.bucket.clone(), as_folder(&address.key)))
        }
        Target::Path(path) => {
            let ends_in_slash = path.as_os_str().as_encoded_bytes().last() == Some(&b'/');
            if path.exists() && !path.is_dir() {
                return Err(Usage::new(
                    format!("{} is a file, and a folder is needed", visible_path(path)),
                    "name a folder; it is made if there is none",
                ));
            }
            if several && !ends_in_slash && !path.is_dir() {
                let shown = visible_path(path);
                return Err(Usage::new(
                    format!("several sources need a folder, and there is none called {shown}"),
                    format!("write {shown}/ to make it"),
                ));
            }
            Ok(TreeTarget::Folder(path.clone()))
        }
    }
}

/// Returns the prefix with a slash at its end, unless it is empty.
fn as_folder(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

fn scheme_of(words: &[Target]) -> Result<Option<Scheme>, Usage> {
    let scheme = |word: &Target| match word {
        Target::Store(address) => Some(address.scheme),
        Target::Path(_) | Target::Stream => None,
    };
    let mut schemes = words.iter().map(scheme);
    let first = schemes.next().flatten();
    if schemes.any(|other| other != first) {
        return Err(Usage::new(
            "the sources are of different kinds",
            "copy files of this machine, s3:// and local:// by commands of their own",
        ));
    }
    let bucket = |word: &Target| match word {
        Target::Store(address) => Some(address.bucket.clone()),
        _ => None,
    };
    let mut buckets = words.iter().filter_map(bucket);
    let first_bucket = buckets.next();
    if buckets.any(|other| Some(other) != first_bucket) {
        return Err(Usage::new(
            "the sources are in several buckets",
            "copy each bucket by a command of its own",
        ));
    }
    Ok(first)
}

fn address_of(words: &[Target], target: &Target) -> Result<Address, Usage> {
    let mut stores = std::iter::once(target).chain(words).filter_map(|word| match word {
        Target::Store(address) => Some(address.clone()),
        _ => None,
    });
    stores.next().ok_or_else(|| {
        Usage::new(
            "both sides are files of this machine",
            "one side must be s3://BUCKET/KEY or local://BUCKET/KEY",
        )
    })
}

fn text_of(word: &Target) -> String {
    match word {
        Target::Store(address) => visible(&address.to_string()),
        Target::Path(path) => visible_path(path),
        Target::Stream => "-".to_owned(),
    }
}

fn text_of_sources(words: &[Target]) -> String {
    match words {
        [one] => text_of(one),
        many => format!("{} sources", many.len()),
    }
}

fn visible_path(path: &Path) -> String {
    visible(&path.display().to_string())
}

fn no_streams() -> Usage {
    Usage::new(
        "standard input and output are one file, and no part of a tree",
        "haul cp - s3://BUCKET/KEY copies standard input",
    )
}
