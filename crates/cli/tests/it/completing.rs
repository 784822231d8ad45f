//! Completion in a real bash, zsh and fish, and man pages.

use std::process::Command;

use haul_testkit::TestStore;

use crate::world::{World, copy, finish, haul_binary, make_bucket, succeed};

/// Completes a line as readline does: splits it at blanks and colons, and replaces the text after
/// the last separator with each answer.
const COMPLETE: &str = r#"
source <(COMPLETE=bash haul)
line=$1
COMP_WORDS=() COMP_TYPE=9
pieces=${line//:/ : }
read -ra COMP_WORDS <<< "$pieces"
[[ $line == *[\ :] ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_haul_complete haul "${COMP_WORDS[COMP_CWORD]}" "" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Types a line and a tab into an interactive zsh, and prints the line that zsh makes of it.
const COMPLETE_IN_ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= ; autoload -U compinit; compinit -u -D; source <(COMPLETE=zsh haul)"
zpty -w shell "bindkey '^I' complete-word; bindkey '^X' show-line; stty cols 200 -echo"
zpty -w shell "show-line() { print -r -- \"\$BUFFER\" > new; mv new line; }; zle -N show-line"
zpty -w shell "touch ready"
until [[ -e ready ]]; do sleep 0.02; done
zpty -w -n shell "$1"$'\t\x18'
until [[ -e line ]]; do sleep 0.02; done
cat line
zpty -d shell
"#;

/// Prints the candidates of a line, each with its description after a tab.
const COMPLETE_IN_FISH: &str = "COMPLETE=fish haul | source; complete -C $argv[1]";

fn completed(world: &World, store: Option<&TestStore>, line: &str) -> Vec<String> {
    completed_by(world, store, &["bash", "--norc", "--noprofile", "-c", COMPLETE, "bash", line])
}

/// Runs a shell with `haul` in its path; returns the lines that it prints.
fn completed_by(world: &World, store: Option<&TestStore>, shell: &[&str]) -> Vec<String> {
    let mut haul = store.map_or_else(|| world.haul_without_store(), |store| world.haul(store));
    haul.arg("--version");
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]);
    command.env_clear().envs(haul.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let folder = haul_binary().parent().unwrap().to_str().unwrap();
    command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    command.current_dir(haul.get_current_dir().unwrap());
    let finished = finish(&mut command);
    finished.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A world with a file, and a bucket with three keys.
fn with_keys(store: &TestStore) -> (World, String) {
    let world = World::new();
    let bucket = make_bucket(&world, store);
    std::fs::write(world.path("film.mov"), "x").unwrap();
    for key in ["dir/one", "dir/two words", "top"] {
        let to = format!("s3://{bucket}/{key}");
        succeed(&mut copy(&world, store, world.path("film.mov"), &to));
    }
    (world, bucket)
}

/// clap's script for zsh put a blank after `s3://` and after each bucket, so that the next key
/// press began another word.
#[test]
fn zsh_completes_commands_files_buckets_and_keys() {
    let serving = World::new();
    let server = serving.serve();
    let (world, bucket) = with_keys(server.store());
    let of = |line: &str| {
        for left in ["ready", "line"] {
            let _ = std::fs::remove_file(world.path(left));
        }
        let zsh = ["zsh", "-f", "-c", COMPLETE_IN_ZSH, "zsh", line];
        completed_by(&world, Some(server.store()), &zsh).remove(0)
    };
    assert_eq!(of("haul pres"), "haul presign ");
    assert_eq!(of("haul cp fil"), "haul cp film.mov ");
    assert_eq!(of("haul ls s"), "haul ls s3://");
    let all = format!("haul ls s3://{bucket}/");
    assert_eq!(of(&format!("haul ls s3://{}", &bucket[..8])), all);
    assert_eq!(of(&format!("haul rm s3://{bucket}/d")), format!("haul rm s3://{bucket}/dir/"));
    let quoted = format!("haul rm s3://{bucket}/dir/two\\ words ");
    assert_eq!(of(&format!("haul rm s3://{bucket}/dir/t")), quoted);
    assert_eq!(of(&format!("haul rm s3://{bucket}/dir/two\\ w")), quoted);
}

#[test]
fn fish_completes_commands_files_buckets_and_keys() {
    let serving = World::new();
    let server = serving.serve();
    let (world, bucket) = with_keys(server.store());
    let of = |line: &str| {
        let fish = ["fish", "--no-config", "-c", COMPLETE_IN_FISH, line];
        let lines = completed_by(&world, Some(server.store()), &fish);
        let value = |line: String| line.split('\t').next().unwrap().to_owned();
        lines.into_iter().map(value).collect::<Vec<_>>()
    };
    assert_eq!(of("haul pres"), ["presign"]);
    assert_eq!(of("haul cp fil"), ["film.mov"]);
    assert_eq!(of("haul ls s"), ["s3://"]);
    assert_eq!(of(&format!("haul ls s3://{}", &bucket[..8])), [format!("s3://{bucket}/")]);
    assert_eq!(of(&format!("haul rm s3://{bucket}/d")), [format!("s3://{bucket}/dir/")]);
    let below = ["one", "two words"].map(|name| format!("s3://{bucket}/dir/{name}"));
    assert_eq!(of(&format!("haul rm s3://{bucket}/dir/")), below);
}

#[test]
fn bash_completes_commands_files_buckets_and_keys() {
    let serving = World::new();
    let server = serving.serve();
    let store = server.store();
    let (world, bucket) = with_keys(store);
    let of = |line: &str| completed(&world, Some(store), line);
    assert!(of("haul pres").contains(&"presign".to_owned()), "{:?}", of("haul pres"));
    assert_eq!(of("haul cp fil"), ["film.mov"]);
    assert_eq!(of("haul ls s"), ["s3://"]);
    // Readline keeps `s3:` and completes the rest.
    assert_eq!(of(&format!("haul ls s3://{}", &bucket[..8])), [format!("//{bucket}/")]);
    assert_eq!(of(&format!("haul rm s3://{bucket}/d")), [format!("//{bucket}/dir/")]);
    let below = of(&format!("haul cp film.mov s3://{bucket}/dir/"));
    assert_eq!(below, [format!("//{bucket}/dir/one"), format!("//{bucket}/dir/two\\ words")]);
    // An unreachable store yields no completions and prints no messages.
    let unreachable = format!("haul --endpoint http://127.0.0.1:1 ls s3://{bucket}/");
    assert!(of(&unreachable).is_empty());
}

#[test]
fn bash_completes_the_ids_of_transfers() {
    use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
    use haul_testkit::files::MIB;

    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
    proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
    let sample = world.sample("big", 11 * MIB);
    let store = server.store().at(proxy.endpoint());
    let mut command = copy(&world, &store, &sample.path, &format!("s3://{bucket}/big"));
    command.args(["--part-size", "5MiB", "--multipart-threshold", "5MiB", "--max-attempts", "1"]);
    assert_eq!(finish(&mut command).code(), Some(3));
    let listed = succeed(world.haul_without_store().args(["transfers", "--json"]));
    let id = crate::world::event(&listed, "upload")["id"].as_str().unwrap().to_owned();
    for line in ["haul resume ", "haul forget ", &format!("haul abort {}", &id[..4])] {
        assert_eq!(completed(&world, None, line).first(), Some(&id), "{line}");
    }
}

/// `COMPLETE` is a common name: a variable of that name whose value is not a shell belongs to
/// another program.
#[test]
fn another_variable_called_complete_changes_nothing() {
    let world = World::new();
    let finished = succeed(world.haul_without_store().arg("transfers").env("COMPLETE", "yes"));
    assert_eq!(finished.stdout, "no unfinished transfers\n");
}

#[test]
fn there_is_a_man_page_for_every_command() {
    let world = World::new();
    succeed(world.haul_without_store().args(["man", "man1"]));
    for (name, text) in
        [("haul.1", "SUBCOMMANDS"), ("haul-rm.1", "recursive"), ("haul-cp.1", "TARGET")]
    {
        let page = std::fs::read_to_string(world.path("man1").join(name)).unwrap();
        assert!(page.starts_with(".ie") && page.contains(text), "{name}: {page:.200}");
    }
}
