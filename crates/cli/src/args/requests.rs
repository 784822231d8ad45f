//! The flags of headers that every request about an object carries.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use haul::s3::{CustomerKey, RequestHeaders};

use crate::failure::Usage;

/// The longest key file that is read: 32 bytes in base64, with some blanks around them.
const KEY_FILE_MAX_BYTES: u64 = 1024;

/// Who pays, who must own the bucket, and the customer's keys.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct RequestArgs {
    /// Agree to pay for requests and transfer, for buckets whose owner does not
    #[arg(long, global = true, value_name = "WHO", num_args = 0..=1)]
    #[arg(default_missing_value = "requester", value_parser = ["requester"])]
    #[arg(hide_possible_values = true)]
    pub(crate) request_payer: Option<String>,
    /// Fail unless this account owns the bucket
    #[arg(long, global = true, value_name = "ACCOUNT", value_parser = parse_account)]
    pub(crate) expected_bucket_owner: Option<String>,
    /// Fail unless this account owns the bucket of a copy's source
    #[arg(long, global = true, value_name = "ACCOUNT", value_parser = parse_account)]
    #[arg(alias = "source-expected-bucket-owner")]
    pub(crate) expected_source_bucket_owner: Option<String>,
    /// File with the key of the object (SSE-C): 32 bytes, or their base64. Needed for every write
    /// and read
    #[arg(long, global = true, value_name = "FILE", value_parser = key_file())]
    pub(crate) sse_c_key_file: Option<CustomerKey>,
    /// File with the key of a copy's source
    #[arg(long, global = true, value_name = "FILE", value_parser = key_file())]
    #[arg(alias = "sse-c-copy-source-key-file")]
    pub(crate) copy_source_sse_c_key_file: Option<CustomerKey>,
    // As the AWS CLI spells them.
    #[arg(long, global = true, hide = true, num_args = 0..=1)]
    #[arg(default_missing_value = "AES256", value_parser = ["AES256"])]
    sse_c: Option<String>,
    #[arg(long, global = true, hide = true, value_parser = KeyArgument::parser())]
    #[arg(conflicts_with = "sse_c_key_file")]
    sse_c_key: Option<KeyArgument>,
    #[arg(long, global = true, hide = true, num_args = 0..=1)]
    #[arg(default_missing_value = "AES256", value_parser = ["AES256"])]
    sse_c_copy_source: Option<String>,
    #[arg(long, global = true, hide = true, value_parser = KeyArgument::parser())]
    #[arg(conflicts_with = "copy_source_sse_c_key_file")]
    sse_c_copy_source_key: Option<KeyArgument>,
}

/// The value of `--sse-c-key`, which the AWS CLI accepts as a key or as `fileb://FILE`.
#[derive(Clone, Debug)]
enum KeyArgument {
    Read(CustomerKey),
    /// The file cannot be read, or holds no key.
    Unreadable(String),
    /// The key itself, of which nothing is kept.
    Written,
}

impl KeyArgument {
    fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().map(|word| Self::of(&word))
    }

    fn of(word: &OsStr) -> Self {
        let text = word.to_string_lossy();
        let Some(path) = text.strip_prefix("fileb://").or_else(|| text.strip_prefix("file://"))
        else {
            return Self::Written;
        };
        match read_key(OsStr::new(path)) {
            Ok(key) => Self::Read(key),
            Err(problem) => Self::Unreadable(format!("cannot use the key in {path}: {problem}")),
        }
    }
}

impl RequestArgs {
    /// Resolves the spellings of the AWS CLI.
    ///
    /// # Errors
    /// A key on the command line, where `ps` shows it; `--sse-c` without a key.
    pub(crate) fn resolved(mut self) -> Result<Self, Usage> {
        let object = ("--sse-c", "--sse-c-key", "--sse-c-key-file");
        let source =
            ("--sse-c-copy-source", "--sse-c-copy-source-key", "--copy-source-sse-c-key-file");
        let key =
            resolve(object, self.sse_c.is_some(), self.sse_c_key.take(), self.sse_c_key_file)?;
        let source_key = resolve(
            source,
            self.sse_c_copy_source.is_some(),
            self.sse_c_copy_source_key.take(),
            self.copy_source_sse_c_key_file,
        )?;
        Ok(Self { sse_c_key_file: key, copy_source_sse_c_key_file: source_key, ..self })
    }

    /// Adds the flags of the run to those of one of its lines.
    pub(crate) fn or(self, run: &Self) -> Self {
        let payer = self.request_payer.or_else(|| run.request_payer.clone());
        let owner = self.expected_bucket_owner.or_else(|| run.expected_bucket_owner.clone());
        let source_owner =
            self.expected_source_bucket_owner.or_else(|| run.expected_source_bucket_owner.clone());
        let has_key = self.sse_c_key_file.is_some() || self.sse_c_key.is_some();
        let of_run = run.sse_c_key_file.clone().filter(|_| !has_key);
        let key = self.sse_c_key_file.or(of_run);
        let has_source_key =
            self.copy_source_sse_c_key_file.is_some() || self.sse_c_copy_source_key.is_some();
        let of_run = run.copy_source_sse_c_key_file.clone().filter(|_| !has_source_key);
        let source_key = self.copy_source_sse_c_key_file.or(of_run);
        Self {
            request_payer: payer,
            expected_bucket_owner: owner,
            expected_source_bucket_owner: source_owner,
            sse_c_key_file: key,
            copy_source_sse_c_key_file: source_key,
            ..self
        }
    }

    /// Returns the headers of every request to the store of this command.
    pub(crate) fn headers(&self) -> RequestHeaders {
        RequestHeaders {
            request_payer: self.request_payer.is_some(),
            expected_bucket_owner: self.expected_bucket_owner.clone(),
            expected_source_bucket_owner: self.expected_source_bucket_owner.clone(),
            customer_key: self.sse_c_key_file.clone(),
            copy_source_customer_key: self.copy_source_sse_c_key_file.clone(),
        }
    }

    /// Returns the MD5 of the object's key, by which a journal recognises it.
    pub(crate) fn customer_key_md5(&self) -> Option<String> {
        self.sse_c_key_file.as_ref().map(CustomerKey::md5)
    }

    /// Returns the flags of a connection that reads the source of a copy.
    pub(crate) fn of_source(&self) -> Self {
        Self {
            request_payer: self.request_payer.clone(),
            expected_bucket_owner: self.expected_source_bucket_owner.clone(),
            sse_c_key_file: self.copy_source_sse_c_key_file.clone(),
            ..Self::default()
        }
    }

    /// Returns whether the source of a copy is read with other headers than the target.
    pub(crate) fn differ_for_source(&self) -> bool {
        self.of_source().headers() != self.headers()
    }

    /// Refuses the flags of a copy's source for another command.
    pub(crate) fn refuse_unless_copied(&self) -> Result<(), Usage> {
        let given = [
            (self.expected_source_bucket_owner.is_some(), "--expected-source-bucket-owner"),
            (self.copy_source_sse_c_key_file.is_some(), "--copy-source-sse-c-key-file"),
        ];
        match given.iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(Usage::new(
                format!("{name} is for copies from store to store"),
                "leave it out; --expected-bucket-owner and --sse-c-key-file are for every command",
            )),
            None => Ok(()),
        }
    }
}

fn resolve(
    (flag, key_flag, file_flag): (&str, &str, &str),
    is_wanted: bool,
    written: Option<KeyArgument>,
    file: Option<CustomerKey>,
) -> Result<Option<CustomerKey>, Usage> {
    let hint =
        format!("write the key into a file that only you can read, and use {file_flag} FILE");
    match (written, file) {
        (Some(KeyArgument::Read(key)), _) | (None, Some(key)) => Ok(Some(key)),
        (Some(KeyArgument::Unreadable(problem)), _) => Err(Usage::new(problem, hint)),
        (Some(KeyArgument::Written), _) => Err(Usage::new(
            format!("{key_flag} puts the key on the command line, where every user's ps shows it"),
            hint,
        )),
        (None, None) if is_wanted => {
            Err(Usage::new(format!("{flag} needs a key"), format!("add {file_flag} FILE")))
        }
        (None, None) => Ok(None),
    }
}

fn key_file() -> impl TypedValueParser<Value = CustomerKey> {
    OsStringValueParser::new().try_map(|path: OsString| read_key(&path))
}

/// Reads the key in a file. The error contains nothing of its content.
fn read_key(path: &OsStr) -> Result<CustomerKey, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(Path::new(path));
    let file = file.map_err(|error| format!("the key file cannot be read: {error}"))?;
    let mut content = Vec::new();
    let read = file.take(KEY_FILE_MAX_BYTES).read_to_end(&mut content);
    read.map_err(|error| format!("the key file cannot be read: {error}"))?;
    CustomerKey::parse(&content).map_err(|error| format!("not a key file: {error}"))
}

/// Parses an account id of AWS: 12 digits. Other stores have other names for their users.
fn parse_account(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("write the id of an account, such as 111122223333".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn given(flags: &[&str]) -> Result<RequestArgs, String> {
        let words = ["haul", "ls"].iter().chain(flags);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.store.requests.resolved().map_err(|error| error.to_string())
    }

    /// The AWS CLI takes the key as a word, which every user of the machine sees in `ps`.
    #[test]
    fn a_key_on_the_command_line_is_refused_without_repeating_it() {
        const KEY: &str = "0123456789abcdef0123456789abcdef";
        for flag in ["--sse-c-key", "--sse-c-copy-source-key"] {
            let error = given(&[flag, KEY]).unwrap_err();
            assert!(error.starts_with(&format!("{flag} puts the key on the command line")));
            assert!(!error.contains(KEY), "{error}");
        }
        assert_eq!(given(&["--sse-c"]).unwrap_err(), "--sse-c needs a key");
    }

    #[test]
    fn a_key_comes_from_a_file_in_both_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, [9; 32]).unwrap();
        let path = path.to_str().unwrap();
        let key = Some(CustomerKey::parse(&[9; 32]).unwrap());
        assert_eq!(given(&["--sse-c-key-file", path]).unwrap().sse_c_key_file, key);
        let fileb = format!("fileb://{path}");
        let aws = given(&["--sse-c", "AES256", "--sse-c-key", &fileb]).unwrap();
        assert_eq!(aws.sse_c_key_file, key);
        std::fs::write(path, "secret of a wrong length").unwrap();
        let error = given(&["--sse-c-key-file", path]).unwrap_err();
        assert!(error.contains("it holds 24 bytes") && !error.contains("secret"), "{error}");
        assert!(
            given(&["--sse-c-key-file", "/nowhere/key"]).unwrap_err().contains("cannot be read")
        );
    }

    #[test]
    fn the_source_of_a_copy_is_read_with_its_own_headers() {
        let flags = ["--request-payer", "--expected-source-bucket-owner", "444455556666"];
        let args = given(&flags).unwrap();
        assert!(args.differ_for_source() && args.refuse_unless_copied().is_err());
        assert_eq!(args.of_source().expected_bucket_owner.as_deref(), Some("444455556666"));
        let payer = given(&["--request-payer", "requester"]).unwrap();
        assert!(!payer.differ_for_source() && payer.headers().request_payer);
    }
}
