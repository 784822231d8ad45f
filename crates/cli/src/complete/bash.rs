//! Completion for Bash, whose readline splits words at every colon: a completion function gets
//! `s3://bucket` as `s3`, `:` and `//bucket`.
//!
//! The script joins such words before the request, and removes the text up to the last colon from
//! each answer, because readline replaces only the last piece. Answers are quoted, because a key
//! may contain blanks.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::env::{Bash as OfClap, EnvCompleter};

/// The shell `bash`, with completion of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bash;

const SCRIPT: &str = r#"
_haul_complete() {
    local words=() cword=0 i piece joined=0
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then
            # What stands in front of the cursor.
            [[ $piece == : ]] || piece=$2
        fi
        if ((i > 1)) && { ((joined)) || [[ $piece == : ]]; }; then
            words[cword]+=$piece
        else
            words+=("$piece")
            cword=$((${#words[@]} - 1))
        fi
        [[ $piece == : ]] && joined=1 || joined=0
    done
    local current=${words[cword]} before=
    [[ $current == *:* ]] && before=${current%:*}:
    local answers answer
    answers=$(_CLAP_IFS=$'\v' _CLAP_COMPLETE_INDEX=$cword _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE:-9} \
        _CLAP_COMPLETE_SPACE=false VAR=bash COMPLETER -- "${words[@]}") || return
    COMPREPLY=()
    local IFS=$'\v'
    for answer in $answers; do
        printf -v answer %q "$answer"
        COMPREPLY+=("${answer#"$before"}")
    done
    # More follows behind a scheme, a bucket and a folder: no blank.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} != *[=/:] ]] && compopt +o nospace 2>/dev/null
    return 0
}
complete -o nospace -o bashdefault -F _haul_complete BIN
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
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
