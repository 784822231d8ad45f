//! Parses addresses on the command line: `s3://bucket/key`, `local://bucket/key`, a path, or `-`.
//!
//! As in `aws s3 cp`, the file's name is appended to a key that ends in `/` and to an empty key.
//! Keys are bytes and not paths, so nothing is normalised. A text that looks like another URL is
//! refused instead of being read as an unusual file name; with `./` in front it is a path.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use haul::parts::{Bucket, BucketError, Key, KeyError};
use haul::{ObjectRef, Subject};

/// The kind of store of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// AWS, or the configured endpoint.
    S3,
    /// The endpoint of this machine.
    Local,
}

/// An address in a store. The key may be empty, a prefix, or end in `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The kind of store.
    pub(crate) scheme: Scheme,
    /// The bucket, or in [`Scheme::S3`] an access point to one.
    pub(crate) bucket: Bucket,
    /// Everything after `bucket/`, byte for byte.
    pub(crate) key: String,
}

/// An argument of `haul cp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An address in a store.
    Store(Address),
    /// A path on this machine.
    Path(PathBuf),
    /// `-`: standard input or output.
    Stream,
}

/// An argument of `haul ls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Every bucket of a store.
    Buckets(Scheme),
    /// The objects with an address as prefix.
    Below(Address),
}

/// The reason why a text is not an address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TargetError {
    #[error("{0} is neither s3:// nor local://; put ./ in front if it is a file")]
    Scheme(String),
    #[error("two slashes belong behind the colon: {0}//bucket/key")]
    Slashes(String),
    #[error("{0} is not an address; write s3://bucket/key or local://bucket/key")]
    NotAnAddress(String),
    #[error("{0} names no bucket; write {0}bucket/key")]
    NoBucket(Scheme),
    #[error("an address must be valid UTF-8")]
    NotUtf8,
    #[error("{0} names a whole bucket or folder; an object's key is missing")]
    NoKey(Address),
    #[error("{0} names more than a bucket; leave out everything behind {1}")]
    NotABucket(Address, Bucket),
    #[error("the name of {} is not valid UTF-8 and cannot be part of a key; write the whole key \
        behind the bucket", .0.display())]
    NameNotUtf8(PathBuf),
    #[error("{} has no file name; write the whole key behind the bucket", .0.display())]
    NoName(PathBuf),
    #[error(
        "the key of {0} ends in no usable file name; name the file to write, not only its folder"
    )]
    NoFileName(Address),
    #[error("{0} is an access point; mb and rb take the bucket itself")]
    AccessPointAsBucket(Bucket),
    #[error("{0} is an access point of AWS; write s3:// in front of it")]
    LocalAccessPoint(Bucket),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Scheme {
    /// Returns the prefix of addresses with this scheme.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Local => "local://",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())
    }
}

impl Address {
    /// Returns the subject of the engine's errors for this address.
    pub(crate) fn subject(&self) -> Subject {
        match self.exact_object() {
            Ok(object) => object.into(),
            Err(_) => Subject::Bucket { bucket: self.bucket.clone(), prefix: self.key.clone() },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scheme, self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

/// Splits off the scheme; `None` if the text is not an address.
fn split_scheme(text: &str) -> Result<Option<(Scheme, &str)>, TargetError> {
    for scheme in [Scheme::S3, Scheme::Local] {
        if let Some(rest) = text.strip_prefix(scheme.prefix()) {
            return Ok(Some((scheme, rest)));
        }
        let (colon, _) = scheme.prefix().split_at(scheme.prefix().len() - 2);
        if text.starts_with(colon) {
            return Err(TargetError::Slashes(colon.to_owned()));
        }
    }
    let is_scheme = |name: &str| {
        name.len() > 1
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    match text.split_once("://") {
        Some((name, _)) if is_scheme(name) => Err(TargetError::Scheme(format!("{name}://"))),
        _ => Ok(None),
    }
}

impl Address {
    /// Parses `scheme://bucket`, `scheme://bucket/` and `scheme://bucket/key`.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        match split_scheme(text)? {
            Some((scheme, rest)) => Self::behind(scheme, rest),
            None => Err(TargetError::NotAnAddress(text.to_owned())),
        }
    }

    /// Parses an address of exactly one object.
    pub(crate) fn parse_object(text: &str) -> Result<Self, TargetError> {
        let address = Self::parse(text)?;
        address.exact_object().map(|_| address)
    }

    /// Parses an address of a bucket without a key.
    pub(crate) fn parse_bucket(text: &str) -> Result<Self, TargetError> {
        let address = Self::parse(text)?;
        if address.bucket.as_access_point().is_some() {
            return Err(TargetError::AccessPointAsBucket(address.bucket));
        }
        if address.key.is_empty() {
            return Ok(address);
        }
        let bucket = address.bucket.clone();
        Err(TargetError::NotABucket(address, bucket))
    }

    fn behind(scheme: Scheme, rest: &str) -> Result<Self, TargetError> {
        let (bucket, key) = Bucket::split_key(rest);
        if bucket.is_empty() {
            return Err(TargetError::NoBucket(scheme));
        }
        if key.len() > haul::parts::limits::KEY_MAX_BYTES {
            return Err(KeyError::TooLong { given_bytes: key.len() }.into());
        }
        let bucket = Bucket::name_or_arn(bucket)?;
        if scheme == Scheme::Local && bucket.as_access_point().is_some() {
            return Err(TargetError::LocalAccessPoint(bucket));
        }
        Ok(Self { scheme, bucket, key: key.to_owned() })
    }

    /// Returns the object of exactly this key. `rm s3://bucket/folder/` means only that key,
    /// including the slash.
    pub(crate) fn exact_object(&self) -> Result<ObjectRef, TargetError> {
        if self.key.is_empty() {
            return Err(TargetError::NoKey(self.clone()));
        }
        Ok(ObjectRef { bucket: self.bucket.clone(), key: Key::new(self.key.clone())? })
    }

    /// Returns whether the file's name must be appended.
    fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// Returns the target address of a file: this one, or the file's name in this folder.
    pub(crate) fn for_file(&self, path: &Path) -> Result<Self, TargetError> {
        if !self.is_folder() {
            return Ok(self.clone());
        }
        let name = path.file_name().ok_or_else(|| TargetError::NoName(path.to_owned()))?;
        let name = name.to_str().ok_or_else(|| TargetError::NameNotUtf8(path.to_owned()))?;
        Ok(Self { key: format!("{}{name}", self.key), ..self.clone() })
    }

    /// Returns the target address of a copied object: this one, or that object's name in this
    /// folder.
    pub(crate) fn for_key(&self, source: &Self) -> Result<Self, TargetError> {
        if !self.is_folder() {
            return Ok(self.clone());
        }
        match source.key.rsplit('/').next() {
            None | Some("") => Err(TargetError::NoFileName(source.clone())),
            Some(name) => Ok(Self { key: format!("{}{name}", self.key), ..self.clone() }),
        }
    }

    /// Returns the target path of an object: `path` itself, or the object's name in the folder
    /// `path`.
    ///
    /// The name comes from a store that others write to, so a name that is not a plain file name is
    /// refused.
    pub(crate) fn file_for(&self, path: &Path) -> Result<PathBuf, TargetError> {
        let ends_in_separator =
            path.as_os_str().as_encoded_bytes().last().is_some_and(|&b| b == b'/');
        if !ends_in_separator && !path.is_dir() {
            return Ok(path.to_owned());
        }
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let usable =
            !matches!(name, "" | "." | "..") && !name.contains(['\0', std::path::MAIN_SEPARATOR]);
        if usable { Ok(path.join(name)) } else { Err(TargetError::NoFileName(self.clone())) }
    }
}

impl Target {
    /// Parses an argument of `haul cp`.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, TargetError> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        match text.to_str() {
            Some(text) => Ok(match split_scheme(text)? {
                Some((scheme, rest)) => Self::Store(Address::behind(scheme, rest)?),
                None => Self::Path(text.into()),
            }),
            None if [Scheme::S3, Scheme::Local]
                .iter()
                .any(|scheme| text.as_encoded_bytes().starts_with(scheme.prefix().as_bytes())) =>
            {
                Err(TargetError::NotUtf8)
            }
            None => Ok(Self::Path(text.into())),
        }
    }
}

impl Listed {
    /// Parses an argument of `haul ls`.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        for scheme in [Scheme::S3, Scheme::Local] {
            if text == scheme.prefix() {
                return Ok(Self::Buckets(scheme));
            }
        }
        Address::parse(text).map(Self::Below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// Regression: every ARN was refused, including those that the SDK resolves and that
    /// `aws s3 cp` accepts.
    #[test]
    fn an_access_point_stands_in_place_of_a_bucket() {
        let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap";
        let film = address(&format!("s3://{arn}/2026/a.mov"));
        assert_eq!((film.bucket.as_str(), film.key.as_str()), (arn, "2026/a.mov"));
        assert_eq!(film.to_string(), format!("s3://{arn}/2026/a.mov"));
        assert_eq!(film.exact_object().unwrap(), film.to_string().parse().unwrap());
        assert_eq!(address(&format!("s3://{}/2026/a.mov", arn.replace("point/", "point:"))), film);
        for text in [format!("s3://{arn}"), format!("s3://{arn}/")] {
            let completed = address(&text).for_file(Path::new("a.mov")).unwrap();
            assert_eq!((completed.bucket.as_str(), completed.key.as_str()), (arn, "a.mov"));
        }
        let bucket = Address::parse_bucket(&format!("s3://{arn}")).unwrap_err().to_string();
        assert_eq!(bucket, format!("{arn} is an access point; mb and rb take the bucket itself"));
        let local = Address::parse(&format!("local://{arn}/key")).unwrap_err().to_string();
        assert_eq!(local, format!("{arn} is an access point of AWS; write s3:// in front of it"));
    }

    #[test]
    fn addresses_are_printed_as_they_were_written() {
        for text in
            ["s3://bucket/key", "local://demo/a/b/", "s3://bucket//x", "s3://bucket/a b/ü?x=1#%20"]
        {
            assert_eq!(address(text).to_string(), text);
        }
        assert_eq!(address("s3://bucket"), address("s3://bucket/"));
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        let error = |text| Target::parse(OsStr::new(text)).unwrap_err().to_string();
        insta::assert_snapshot!(error("gs://bucket/key"), @"gs:// is neither s3:// nor local://; \
            put ./ in front if it is a file");
        insta::assert_snapshot!(error("s3:/bucket/key"), @"two slashes belong behind the colon: \
            s3://bucket/key");
        insta::assert_snapshot!(error("s3://"), @"s3:// names no bucket; write s3://bucket/key");
        insta::assert_snapshot!(error("local:///key"), @"local:// names no bucket; write \
            local://bucket/key");
        insta::assert_snapshot!(error("s3://My_Bucket/key"), @"bucket name \"My_Bucket\" \
            contains 'M'; only a-z, 0-9, '.' and '-' are allowed");
        insta::assert_snapshot!(Address::parse("bucket/key").unwrap_err(), @"bucket/key is not an \
            address; write s3://bucket/key or local://bucket/key");
        insta::assert_snapshot!(Address::parse_object("s3://bucket/").unwrap_err(), @"s3://bucket \
            names a whole bucket or folder; an object's key is missing");
        insta::assert_snapshot!(Address::parse_bucket("s3://bucket/key").unwrap_err(), @"\
            s3://bucket/key names more than a bucket; leave out everything behind bucket");
    }

    #[test]
    fn paths_stay_paths() {
        for text in
            ["file", "./s3://odd", "/abs/olute", "a:b", "C:\\video.mov", "dir/with://inside"]
        {
            assert_eq!(
                Target::parse(OsStr::new(text)).unwrap(),
                Target::Path(text.into()),
                "{text}"
            );
        }
        assert_eq!(Target::parse(OsStr::new("-")).unwrap(), Target::Stream);
    }

    #[test]
    fn a_folder_is_completed_with_the_files_name() {
        let check = |target: &str, path: &str, expect: &str| {
            assert_eq!(address(target).for_file(Path::new(path)).unwrap().to_string(), expect);
        };
        check("s3://bucket", "dir/video.mov", "s3://bucket/video.mov");
        check("s3://bucket/", "video.mov", "s3://bucket/video.mov");
        check("s3://bucket/videos/", "video.mov", "s3://bucket/videos/video.mov");
        check("s3://bucket/videos", "video.mov", "s3://bucket/videos");
        assert_eq!(
            address("s3://bucket/").for_file(Path::new("..")),
            Err(TargetError::NoName(PathBuf::from("..")))
        );
    }

    #[test]
    fn names_that_are_not_utf8_cannot_become_keys_but_can_be_read() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"\xff.mov");
        assert_eq!(Target::parse(name).unwrap(), Target::Path(name.into()));
        assert!(matches!(
            address("s3://bucket/").for_file(Path::new(name)),
            Err(TargetError::NameNotUtf8(_))
        ));
        assert_eq!(
            address("s3://bucket/key").for_file(Path::new(name)).unwrap(),
            address("s3://bucket/key")
        );
        assert_eq!(
            Target::parse(OsStr::from_bytes(b"s3://bucket/\xff")),
            Err(TargetError::NotUtf8)
        );
    }

    #[test]
    fn a_download_into_a_folder_takes_the_last_piece_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file_for = |key: &str| address(key).file_for(folder.path());
        assert_eq!(file_for("s3://bucket/a/b.mov").unwrap(), folder.path().join("b.mov"));
        assert_eq!(
            address("s3://bucket/a/b.mov").file_for(Path::new("new/")).unwrap(),
            Path::new("new/b.mov")
        );
        assert_eq!(
            address("s3://bucket/a").file_for(Path::new("back")).unwrap(),
            Path::new("back")
        );
        for escape in ["s3://bucket/a/..", "s3://bucket/a/", "s3://bucket/."] {
            assert!(matches!(file_for(escape), Err(TargetError::NoFileName(_))), "{escape}");
        }
    }

    #[test]
    fn a_listing_may_begin_at_the_store_itself() {
        assert_eq!(Listed::parse("s3://").unwrap(), Listed::Buckets(Scheme::S3));
        assert_eq!(Listed::parse("local://").unwrap(), Listed::Buckets(Scheme::Local));
        assert_eq!(
            Listed::parse("s3://bucket/pre").unwrap(),
            Listed::Below(address("s3://bucket/pre"))
        );
    }
}
