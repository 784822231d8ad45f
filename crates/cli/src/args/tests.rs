//! Tests accepted and refused command lines, and the help texts.

use clap::CommandFactory;

use super::*;

#[test]
fn the_declarations_agree_with_each_other() {
    Cli::command().debug_assert();
}

#[test]
fn help_texts() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = String::new();
    add_help(&mut command, "haul", &mut text);
    insta::assert_snapshot!(text);
}

/// The help of a command, then that of each of its subcommands.
fn add_help(command: &mut clap::Command, name: &str, text: &mut String) {
    *text += &format!("=== {name} --help ===\n{}\n", command.render_help());
    for subcommand in command.get_subcommands_mut() {
        let name = format!("{name} {}", subcommand.get_name());
        if subcommand.get_name() != "help" {
            add_help(subcommand, &name, text);
        }
    }
}

#[test]
fn ages_are_read_in_the_usual_units() {
    let hours = |hours: u64| Ok(Duration::from_secs(hours * 3600));
    assert_eq!(parse_age("36h"), hours(36));
    assert_eq!(parse_age("7d"), hours(7 * 24));
    assert_eq!(parse_age("1w"), hours(7 * 24));
    for bad in ["", "7", "0d", "-1d", "a week", "1mo"] {
        assert!(parse_age(bad).is_err(), "{bad}");
    }
}

#[test]
fn metadata_must_fit_a_header() {
    assert_eq!(parse_metadata("Owner=me=you").unwrap(), ("owner".into(), "me=you".into()));
    assert_eq!(parse_metadata("empty=").unwrap(), ("empty".into(), String::new()));
    assert!(parse_metadata("no value").is_err());
    assert!(parse_metadata("=x").is_err());
    assert!(parse_metadata("a b=x").is_err());
    assert!(parse_metadata("a=line\r\nx-evil: 1").is_err());
    assert!(parse_metadata("a=ü").is_err());
}

#[test]
fn arguments_that_exclude_each_other_are_refused() {
    let refused = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap_err().exit_code();
    assert_eq!(refused("haul ls --path-style --virtual-host-style"), 2);
    assert_eq!(refused("haul ls --json --quiet"), 2);
    assert_eq!(refused("haul cp a s3://bucket --if-none-match --if-match x"), 2);
    assert_eq!(refused("haul cp a s3://bucket --concurrency 0"), 2);
    assert_eq!(refused("haul cp a s3://bucket --part-size 0"), 2);
    assert_eq!(refused("haul rm"), 2);
    assert_eq!(refused("haul mb s3://bucket/key"), 2);
    assert!(
        Cli::try_parse_from(["haul", "--endpoint", "http://x", "cp", "a", "s3://bucket"]).is_ok()
    );
}

#[test]
fn filters_keep_the_order_of_the_command_line() {
    use haul::parts::FilterRule::{Exclude, Include};
    let line = "haul rm -r s3://bucket/a --exclude * --include=*.jpg --exclude b --include c";
    let Command::Rm(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
    let rules = [(Exclude, "*"), (Include, "*.jpg"), (Exclude, "b"), (Include, "c")];
    assert_eq!(args.filter.rules, rules.map(|(rule, text)| (rule, text.to_owned())));
}
