//! Completion in a real bash, and man pages.

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

fn completed(world: &World, store: Option<&TestStore>, line: &str) -> Vec<String> {
    let mut haul = store.map_or_else(|| world.haul_without_store(), |store| world.haul(store));
    haul.arg("--version");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", COMPLETE, "bash", line]);
    bash.env_clear().envs(haul.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let folder = haul_binary().parent().unwrap().to_str().unwrap();
    bash.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    bash.current_dir(haul.get_current_dir().unwrap());
    let finished = finish(&mut bash);
    finished.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_files_buckets_and_keys() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    std::fs::write(world.path("film.mov"), "x").unwrap();
    for key in ["dir/one", "dir/two words", "top"] {
        let to = format!("s3://{bucket}/{key}");
        succeed(&mut copy(&world, store, world.path("film.mov"), &to));
    }
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
