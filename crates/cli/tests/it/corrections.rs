//! Refusals that name the correction: another region, another time, new credentials. Every command
//! sends the same request again, corrected; nothing is aborted, and the refusal does not count as a
//! failed attempt.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::process::Finished;

use crate::scene::{KEY, Scene};
use crate::world::{World, at_another_time, event, events, finish, read_back, succeed};

const ELSEWHERE: &str = "eu-central-1";

fn assert_no_try_failed(finished: &Finished) {
    let retries: Vec<_> =
        events(finished).into_iter().filter(|event| event["event"] == "retrying").collect();
    assert_eq!(retries, Vec::<serde_json::Value>::new());
}

/// Simulates a bucket in another region, as AWS reports it: requests that are not signed for that
/// region get `fault`.
fn bucket_is_elsewhere(scene: &Scene, kind: Option<Kind>, fault: &Fault) {
    let rule =
        kind.map_or_else(|| Rule::on_any(fault.clone()), |kind| Rule::on(kind, fault.clone()));
    scene.proxy.add(rule.not_signed_with(&format!("/{ELSEWHERE}/s3/")).always());
}

fn turned_away(scene: &Scene) -> usize {
    scene.proxy.seen().iter().filter(|request| request.fault.is_some()).count()
}

/// Asserts that every command finds the bucket with one additional request, whatever its first
/// request is.
fn every_command_follows(scene: &Scene) {
    let url = scene.url();
    let mut before = 0;
    let mut once_more = |what: &str| {
        let now = turned_away(scene);
        assert_eq!(now - before, 1, "{what} was turned away {} times", now - before);
        before = now;
    };
    // Sends CreateMultipartUpload first, then parts on the data plane.
    let finished = succeed(&mut scene.command());
    assert_no_try_failed(&finished);
    scene.assert_arrived();
    once_more("an upload in parts");
    let haul = |words: &[&str]| succeed(scene.world.haul(&scene.store).args(words));
    // Sends PutObject first, on the data plane.
    let small = scene.world.sample("small", 70_000);
    haul(&["cp", "small", &format!("s3://{}/small", scene.bucket)]);
    assert_eq!(read_back(&scene.real, &scene.bucket, "small").sha256, small.sha256);
    once_more("an upload in one piece");
    assert!(haul(&["ls", &format!("s3://{}/", scene.bucket)]).stdout.contains(KEY));
    once_more("a listing");
    // Sends HeadObject or GetObject first.
    haul(&["cp", &url, "back"]);
    assert_eq!(
        haul_testkit::files::sha256(&scene.world.path("back")).unwrap(),
        scene.sample.sha256
    );
    once_more("a download");
    haul(&["rm", &url]);
    once_more("a deletion");
}

/// Asserts that a new process that resumes an upload, and sends ListParts first, finds the bucket.
fn a_resumed_upload_follows(scene: &Scene) {
    scene.kill_before_the_last_part();
    assert_eq!(turned_away(scene) - 1, 1, "the stalled part, and the first request");
    event(&succeed(&mut scene.command()), "resumed");
    scene.assert_arrived();
    assert_eq!(turned_away(scene) - 1, 2);
}

fn everything_follows(front: impl Fn(&Scene)) {
    for follows in [every_command_follows, a_resumed_upload_follows] {
        let scene = Scene::at_haul_serve();
        front(&scene);
        follows(&scene);
    }
}

#[test]
fn a_permanent_redirect_with_the_regions_header_is_followed() {
    let front = |scene: &Scene| {
        let fault =
            Fault::error(301, "PermanentRedirect").with_header("x-amz-bucket-region", ELSEWHERE);
        bucket_is_elsewhere(scene, None, &fault);
    };
    everything_follows(front);
}

/// The temporary redirect that AWS sends while the name of a new bucket is not known everywhere. A
/// HEAD answer has no document, only the header.
#[test]
fn a_temporary_redirect_to_another_region_is_followed() {
    let front = |scene: &Scene| {
        let moved = Fault::error(307, "TemporaryRedirect");
        let bare = moved.clone().with_header("x-amz-bucket-region", ELSEWHERE);
        bucket_is_elsewhere(scene, Some(Kind::HeadObject), &bare);
        let host = format!("{}.s3-{ELSEWHERE}.amazonaws.com", scene.bucket);
        bucket_is_elsewhere(scene, None, &moved.with_element("Endpoint", &host));
    };
    everything_follows(front);
}

#[test]
fn a_malformed_authorization_with_a_region_is_signed_again() {
    let front = |scene: &Scene| {
        let bare = Fault::error(400, "").with_header("x-amz-bucket-region", ELSEWHERE);
        bucket_is_elsewhere(scene, Some(Kind::HeadObject), &bare);
        let malformed =
            Fault::error(400, "AuthorizationHeaderMalformed").with_element("Region", ELSEWHERE);
        bucket_is_elsewhere(scene, None, &malformed);
    };
    everything_follows(front);
}

/// If a store redirects every request, the command ends with a clear error instead of an endless
/// loop.
#[test]
fn a_dead_redirect_ends_with_the_region_in_the_error() {
    let scene = Scene::at_haul_serve();
    let fault =
        Fault::error(301, "PermanentRedirect").with_header("x-amz-bucket-region", ELSEWHERE);
    scene.proxy.add(Rule::on_any(fault).always());
    let finished = finish(scene.world.haul(&scene.store).args(["ls", &scene.url()]));
    assert_eq!(finished.code(), Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("the bucket is in eu-central-1"), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint: "), "{}", finished.stderr);
    assert_eq!(turned_away(&scene), 2, "once to the region that was named, no further");
}

/// The clock of the machine is off by 20 minutes: `haul serve` refuses its signatures as AWS does,
/// and sends the correct time in its `Date` header.
#[test]
fn a_wrong_clock_is_set_by_the_date_of_the_store() {
    for offset in ["+20m", "-20m"] {
        let scene = Scene::at_haul_serve();
        let url = scene.url();
        let finished = succeed(&mut at_another_time(&scene.command(), offset));
        assert_no_try_failed(&finished);
        scene.assert_arrived();
        let refused =
            |scene: &Scene| scene.proxy.seen().iter().filter(|it| it.status == Some(403)).count();
        assert_eq!(refused(&scene), 1, "{offset}: told once, known by both planes");
        for (told, words) in
            [(2, ["cp", &url, "back"].as_slice()), (3, &["ls", &url]), (4, &["cp", "small", &url])]
        {
            scene.world.sample("small", 70_000);
            succeed(&mut at_another_time(scene.world.haul(&scene.store).args(words), offset));
            assert_eq!(refused(&scene), told, "{offset}: {words:?}");
        }
    }
}

/// `haul serve` with two more key pairs, A and B, and a profile whose `credential_process` returns
/// them.
pub(crate) struct Chain {
    pub(crate) scene: Scene,
}

impl Chain {
    /// Creates a chain whose `credential_process` runs `gives`, a shell script that prints the
    /// credentials; `$asked` is the number of earlier calls.
    pub(crate) fn new(gives: &str) -> Self {
        let world = World::new();
        let keys = world.path("keys.toml");
        let pair = |name: &str| {
            format!(
                "[[keys]]\naccess_key_id = \"KEY{name}\"\nsecret_access_key = \"{0}\"\naccess = \
                 \"read-write\"\n",
                secret(name)
            )
        };
        fs::write(&keys, pair("A") + &pair("B")).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        let script = world.path("credentials.sh");
        let lines = format!(
            "#!/bin/sh\ncd {folder}\nasked=$(wc -l < asked)\necho again >> asked\n{gives}\n\
             case $key in A) secret={a} ;; B) secret={b} ;; esac\n\
             echo \"{{\\\"Version\\\": 1, \\\"AccessKeyId\\\": \\\"KEY$key\\\", \
             \\\"SecretAccessKey\\\": \\\"$secret\\\", \
             \\\"Expiration\\\": \\\"$(date -u -d \"$ends\" +%Y-%m-%dT%H:%M:%SZ)\\\"}}\"\n",
            folder = world.path("").display(),
            a = secret("A"),
            b = secret("B"),
        );
        fs::write(&script, lines).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(world.path("asked"), "").unwrap();
        let config =
            format!("[default]\nregion = us-east-1\ncredential_process = {}\n", script.display());
        fs::write(world.path("aws.config"), config).unwrap();
        let scene = Scene::at_haul_serve_with(world, &["--keys", keys.to_str().unwrap()]);
        Self { scene }
    }

    /// Returns the upload command with the profile as its only source of keys.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.scene.command();
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", self.scene.world.path("aws.config"));
        command
    }

    /// Returns a `haul` command with the profile as its only source of keys.
    pub(crate) fn haul(&self) -> Command {
        let mut command = self.scene.world.haul(&self.scene.store);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", self.scene.world.path("aws.config"));
        command
    }

    pub(crate) fn asked(&self) -> usize {
        fs::read_to_string(self.scene.world.path("asked")).unwrap().lines().count()
    }

    /// Makes the store treat A's session as expired from request number `requests` on.
    pub(crate) fn ends_a_after(&self, requests: u64) {
        self.ends_a_in_words(requests, 400, "ExpiredToken");
    }

    /// Does the same with the given status and error code.
    fn ends_a_in_words(&self, requests: u64, status: u16, code: &str) {
        let ended = Fault::error(status, code);
        self.scene
            .proxy
            .add(Rule::on_any(ended).signed_with("Credential=KEYA/").after(requests).always());
    }

    pub(crate) fn signed_by(&self, name: &str, kind: Kind) -> usize {
        let credential = format!("Credential=KEY{name}/");
        let signed = |value: &str| value.contains(&credential);
        let seen = self.scene.proxy.seen();
        seen.iter()
            .filter(|it| it.kind == kind && it.header("authorization").is_some_and(signed))
            .count()
    }

    fn assert_never_aborted(&self) {
        assert_eq!(self.scene.proxy.count(Kind::AbortMultipartUpload), 0);
        assert_eq!(self.scene.proxy.count(Kind::CreateMultipartUpload), 1);
        self.scene.assert_arrived();
    }
}

/// Returns a key made up for the test; it is not secret.
fn secret(name: &str) -> String {
    name.repeat(32)
}

/// The session ends during the upload, earlier than announced: the client asks the credential chain
/// again, and the upload continues with the new credentials.
#[test]
fn a_session_that_ends_during_an_upload_is_renewed_by_its_chain() {
    // The session ends during the parts, or just before Complete, which the control plane sends.
    for requests in [3, 7] {
        let chain = Chain::new("ends='+1 hour'\nif [ $asked -eq 0 ]; then key=A; else key=B; fi");
        chain.ends_a_after(requests);
        let finished = succeed(&mut chain.command());
        assert_no_try_failed(&finished);
        assert_eq!(chain.asked(), 2, "once in the beginning and once when it had ended");
        assert!(chain.signed_by("A", Kind::UploadPart) >= 2);
        assert_eq!(chain.signed_by("B", Kind::CompleteMultipartUpload), 1);
        chain.assert_never_aborted();
    }
}

/// MinIO reports an expired session as InvalidAccessKeyId, and other stores use other codes: the
/// client asks the credential chain in each case.
#[test]
fn a_session_that_ends_in_the_words_of_other_stores_is_renewed() {
    for (status, code) in
        [(403, "InvalidAccessKeyId"), (403, "InvalidTokenId"), (403, "AccessDenied")]
    {
        let chain = Chain::new("ends='+1 hour'\nif [ $asked -eq 0 ]; then key=A; else key=B; fi");
        chain.ends_a_in_words(3, status, code);
        succeed(&mut chain.command());
        assert_eq!(chain.asked(), 2, "{code}: once in the beginning and once when it had ended");
        chain.assert_never_aborted();
    }
}

/// A session with a known end is renewed before it ends: the store never sees an expired one.
#[test]
fn a_session_is_renewed_before_it_ends() {
    let chain = Chain::new(
        "if [ $asked -eq 0 ]; then key=A; ends='+4 seconds'; else key=B; ends='+1 hour'; fi",
    );
    chain.scene.proxy.add(Rule::on(Kind::UploadPart, Fault::Delay(Duration::from_secs(5))).part(6));
    // Below a limit of bandwidth the late part is not sent once more on another connection.
    succeed(chain.command().args(["--bandwidth", "1GiB/s"]));
    assert_eq!(chain.asked(), 2);
    assert_eq!(
        (chain.signed_by("A", Kind::CreateMultipartUpload), turned_away(&chain.scene)),
        (1, 1)
    );
    assert_eq!(chain.signed_by("B", Kind::CompleteMultipartUpload), 1);
    chain.assert_never_aborted();
}

/// The chain has no newer credentials: the upload pauses, and resumes once the chain has some.
#[test]
fn an_expired_session_pauses_the_upload() {
    let chain = Chain::new("ends='+1 hour'\nif [ -e renewed ]; then key=B; else key=A; fi");
    chain.ends_a_after(4);
    let paused = finish(chain.command().args(["--max-attempts", "2"]));
    assert_eq!(paused.code(), Some(3), "{}", paused.stderr);
    assert!(paused.stderr.contains("ExpiredToken"), "{}", paused.stderr);
    fs::write(chain.scene.world.path("renewed"), "").unwrap();
    let finished = succeed(&mut chain.command());
    event(&finished, "resumed");
    chain.assert_never_aborted();
}
