//! Completion for zsh. clap's script takes the text before the first colon for the value, so that
//! it does not recognise `s3://bucket/` as a folder and adds a blank to it.
//!
//! This script lets an escaped colon be a part of the value, and sends words without their quotes,
//! because a key may contain blanks.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::env::{EnvCompleter, Zsh as OfClap};

/// The shell `zsh`, with completion of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zsh;

const SCRIPT: &str = r#"#compdef BIN
_haul_complete() {
    local -a answers folders others
    local answer value
    answers=("${(@f)$(_CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) VAR=zsh \
        COMPLETER -- "${(@Q)words}" 2>/dev/null)}")
    for answer in $answers; do
        # Colons of the value are escaped, the one before its description is not.
        answer=${answer//\\:/$'\1'}
        value=${answer%%:*}
        if [[ $value == */ ]]; then
            answer=${value%/}${answer#$value}
            folders+=("${answer//$'\1'/\\:}")
        else
            others+=("${answer//$'\1'/\\:}")
        fi
    done
    # More follows behind a scheme, a bucket and a folder: a slash in place of a blank.
    (( $#folders )) && _describe -V 'values' folders -S '/' -r '/'
    (( $#others )) && _describe -V 'values' others
}
compdef _haul_complete BIN
"#;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        "zsh"
    }

    fn is(&self, name: &str) -> bool {
        name == "zsh"
    }

    fn write_registration(
        &self,
        var: &str,
        _: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        super::register(SCRIPT, var, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        OfClap.write_complete(cmd, args, current_dir, buf)
    }
}
