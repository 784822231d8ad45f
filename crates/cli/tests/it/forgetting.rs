//! `haul forget`, and `haul abort` and `haul resume` with several ids.

use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;
use haul_testkit::process::Finished;
use haul_testkit::servers::HaulServe;

use crate::world::{
    World, assert_keys, assert_no_upload_left, copy, event, events, finish, make_bucket, python,
    succeed,
};

/// Unfinished uploads with journals, started through a proxy; each lacks its second part.
struct Unfinished {
    world: World,
    server: HaulServe,
    proxy: ChaosProxy,
    bucket: String,
}

impl Unfinished {
    fn of(names: &[&str]) -> Self {
        let world = World::new();
        let server = world.serve();
        let bucket = make_bucket(&world, server.store());
        let proxy = ChaosProxy::start(&server.store().endpoint).unwrap();
        let store = server.store().at(proxy.endpoint());
        for name in names {
            proxy.add(Rule::on(Kind::UploadPart, Fault::slow_down()).part(2));
            let sample = world.sample(name, 11 * MIB);
            let mut command = copy(&world, &store, &sample.path, &format!("s3://{bucket}/{name}"));
            command.args(["--part-size", "5MiB", "--multipart-threshold", "5MiB"]);
            let stopped = finish(command.args(["--max-attempts", "1"]));
            assert_eq!(stopped.code(), Some(3), "{}", stopped.stderr);
        }
        Self { world, server, proxy, bucket }
    }

    /// Runs `haul` without an endpoint, because the journal of each upload has it.
    fn haul(&self, words: &[&str]) -> Finished {
        let mut command = self.world.haul_without_store();
        finish(command.envs(self.server.store().client_variables()).args(words))
    }

    /// Returns the ids in the order of the keys: uploads that began in one second are listed in the
    /// order of their ids.
    fn ids(&self) -> Vec<String> {
        let listed = self.haul(&["transfers", "--json"]);
        let field = |line: &serde_json::Value, name| line[name].as_str().unwrap().to_owned();
        let mut lines: Vec<_> =
            events(&listed).iter().map(|line| (field(line, "target"), field(line, "id"))).collect();
        lines.sort();
        lines.into_iter().map(|(_, id)| id).collect()
    }

    fn uploads_at_the_store(&self) -> serde_json::Value {
        let script = "answer(len(s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])))\n";
        python(self.server.store(), script, &[&self.bucket])
    }
}

/// `haul resume` and `haul abort` need the journal, so `haul forget` removes it only if the store
/// no longer has the upload.
#[test]
fn an_upload_that_the_store_still_has_is_not_forgotten() {
    let unfinished = Unfinished::of(&["a"]);
    let ids = unfinished.ids();
    let refused = unfinished.haul(&["forget", &ids[0]]);
    assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("the store still has it"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("haul abort {}", ids[0])), "{}", refused.stderr);
    assert_eq!(unfinished.ids(), ids);

    let forced = unfinished.haul(&["forget", "--force", &ids[0]]);
    assert_eq!(forced.code(), Some(0), "{}", forced.stderr);
    assert!(forced.stderr.contains("may be left at"), "{}", forced.stderr);
    assert!(unfinished.ids().is_empty());
    assert_eq!(unfinished.uploads_at_the_store(), 1, "forget removes nothing at a store");
    // The command in the hint removes the upload at the store.
    let hint = forced.stderr.lines().find_map(|line| line.strip_prefix("hint: haul ")).unwrap();
    let words: Vec<_> = hint.split(' ').collect();
    let aborted = unfinished.haul(&words);
    assert_eq!(aborted.code(), Some(0), "{}", aborted.stderr);
    assert_no_upload_left(unfinished.server.store(), &unfinished.bucket);
}

#[test]
fn an_upload_whose_bucket_is_gone_is_forgotten() {
    let unfinished = Unfinished::of(&["a"]);
    let script = "for upload in s3.list_multipart_uploads(Bucket=args[0])['Uploads']:\n    \
                  s3.abort_multipart_upload(Bucket=args[0], Key=upload['Key'], \
                  UploadId=upload['UploadId'])\n\
                  s3.delete_bucket(Bucket=args[0])\nanswer(0)\n";
    python(unfinished.server.store(), script, &[&unfinished.bucket]);
    let ids = unfinished.ids();
    let forgotten = unfinished.haul(&["forget", &ids[0][..6], "--json"]);
    assert_eq!(forgotten.code(), Some(0), "{}", forgotten.stderr);
    let forgotten = event(&forgotten, "upload-forgotten");
    assert_eq!((&forgotten["store"], &forgotten["id"]), (&"gone".into(), &ids[0].as_str().into()));
    assert!(unfinished.ids().is_empty());
}

#[test]
fn an_upload_whose_store_is_gone_is_forgotten_with_a_warning() {
    let unfinished = Unfinished::of(&["a", "b"]);
    let ids = unfinished.ids();
    let Unfinished { world, server, proxy, .. } = unfinished;
    drop(proxy);
    let mut command = world.haul_without_store();
    command.envs(server.store().client_variables()).arg("forget").args(&ids);
    let forgotten = finish(&mut command);
    assert_eq!(forgotten.code(), Some(0), "{}", forgotten.stderr);
    assert_eq!(forgotten.stdout.matches("does not answer").count(), 2, "{}", forgotten.stdout);
    assert!(forgotten.stderr.contains("--upload-id"), "{}", forgotten.stderr);
    let listed = succeed(world.haul_without_store().arg("transfers"));
    assert_eq!(listed.stdout, "no unfinished transfers\n");
}

#[test]
fn several_are_resumed_and_the_rest_aborted() {
    let unfinished = Unfinished::of(&["a", "b", "c", "d", "e"]);
    let ids = unfinished.ids();
    let resumed = unfinished.haul(&["resume", &ids[0], "nosuchid", &ids[1]]);
    assert_eq!(resumed.code(), Some(2), "{}", resumed.stdout);
    assert!(resumed.stderr.contains("has the id nosuchid"), "{}", resumed.stderr);
    assert_keys(unfinished.server.store(), &unfinished.bucket, &["a", "b"]);
    let aborted = unfinished.haul(&["abort", &ids[2], &ids[3]]);
    assert_eq!(aborted.code(), Some(0), "{}", aborted.stderr);
    assert_eq!(unfinished.ids(), ids[4..]);
    let all = unfinished.haul(&["abort", "--all"]);
    assert_eq!(all.code(), Some(0), "{}", all.stderr);
    assert!(unfinished.ids().is_empty());
    assert_no_upload_left(unfinished.server.store(), &unfinished.bucket);
    let nothing = unfinished.haul(&["abort", "--all"]);
    assert_eq!((nothing.code(), nothing.stdout.as_str()), (Some(0), "no unfinished transfers\n"));
    assert_eq!(unfinished.haul(&["abort"]).code(), Some(2));
}

#[test]
fn every_command_has_its_help() {
    let world = World::new();
    let help = |words: &[&str]| succeed(world.haul_without_store().args(words)).stdout;
    assert_eq!(help(&["help"]), help(&["--help"]));
    for command in ["cp", "ls", "rm", "du"] {
        assert!(help(&["help", command]).contains(&format!("Usage: haul {command}")), "{command}");
    }
    assert!(help(&["help", "store", "check"]).contains("haul store check"));
}
