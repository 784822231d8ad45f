//! Protects files that only their owner should read: warns about exposed ones, and restricts new
//! ones.

use std::path::Path;

use crate::output::Mode;

/// Warns if other users of this machine can read a file with secrets.
pub(crate) fn warn_if_exposed(file: &Path, holds: &str, mode: Mode) {
    if !others_can_read(file) {
        return;
    }
    let file = file.display().to_string();
    mode.warn(
        &format!("every user of this machine can read {file}, which holds {holds}"),
        &format!("chmod 600 {}", shell_quoted(&file)),
    );
}

/// Returns whether others can read the file. Follows links, because the target is the file that is
/// read.
fn others_can_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Makes all files and folders that this process creates from now on private to its owner. The
/// store does so itself; this also covers other code in this process, and a umask that restricts
/// the owner.
pub(crate) fn make_new_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Quotes a word for a shell.
pub(crate) fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:=@%,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_read_back_by_a_shell() {
        for word in ["/data/keys.json", "/my data/keys.json", "it's $HOME", "", "`x`;\n"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", shell_quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
        }
        assert_eq!(shell_quoted("/data/keys.json"), "/data/keys.json");
    }
}
