//! An upload through a proxy, with faults before, during and after it.

use std::process::Command;

use haul_testkit::TestStore;
use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule, Seen};
use haul_testkit::files::MIB;
use haul_testkit::process::{Finished, Running};
use haul_testkit::servers::HaulServe;

use crate::world::{
    LIMIT, Sample, World, assert_no_upload_left, copy, event, events, haul_binary, make_bucket,
    python, read_back, succeed,
};

/// The minimum part size of AWS, which gives many parts with few bytes.
pub(crate) const PART_BYTES: u64 = 5 * MIB;
pub(crate) const PARTS: u32 = 6;
pub(crate) const IN_FLIGHT: u32 = 3;

const FILE_BYTES: u64 = (PARTS as u64 - 1) * PART_BYTES + 12_345;

/// The name of the file in every scene, and the key of its object.
pub(crate) const KEY: &str = "file";

/// A scene: one file, its upload to a bucket of its own, and boto3 in the role of other clients.
pub(crate) struct Scene {
    pub(crate) world: World,
    /// The store without the proxy.
    pub(crate) real: TestStore,
    /// The store through the proxy.
    pub(crate) store: TestStore,
    pub(crate) proxy: ChaosProxy,
    pub(crate) bucket: String,
    pub(crate) sample: Sample,
    pub(crate) server: Option<HaulServe>,
}

impl Scene {
    /// Creates a scene at a store that all tests share.
    pub(crate) fn at(store: &str) -> Self {
        Self::of(World::new(), TestStore::shared(store), None, FILE_BYTES)
    }

    /// Creates a scene at a `haul serve` of its own.
    pub(crate) fn at_haul_serve() -> Self {
        Self::of_file(FILE_BYTES)
    }

    /// Creates the same scene with a file of another length.
    pub(crate) fn of_file(length_bytes: u64) -> Self {
        let world = World::new();
        let server = world.serve();
        Self::of(world, server.store().clone(), Some(server), length_bytes)
    }

    /// Creates a scene at a `haul serve` with additional arguments.
    pub(crate) fn at_haul_serve_with(world: World, more: &[&str]) -> Self {
        let server = HaulServe::start_with(haul_binary(), &world.path("data"), more).unwrap();
        Self::of(world, server.store().clone(), Some(server), FILE_BYTES)
    }

    fn of(world: World, real: TestStore, server: Option<HaulServe>, length_bytes: u64) -> Self {
        let bucket = make_bucket(&world, &real);
        let proxy = ChaosProxy::start(&real.endpoint).unwrap();
        let store = real.at(proxy.endpoint());
        let sample = world.sample(KEY, length_bytes);
        Self { world, real, store, proxy, bucket, sample, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{KEY}", self.bucket)
    }

    /// Returns the upload command, always with the same arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = copy(&self.world, &self.store, &self.sample.path, &self.url());
        command.args(["--part-size", "5MiB", "--concurrency", &IN_FLIGHT.to_string(), "--json"]);
        command
    }

    /// Starts the upload, and kills it as a power failure would before the last part.
    pub(crate) fn kill_before_the_last_part(&self) {
        self.kill_without_part(PARTS);
    }

    /// Starts the upload, and kills it when this part is the only one that has not arrived.
    pub(crate) fn kill_without_part(&self, missing: u32) {
        self.kill_command_without_part(&mut self.command(), missing);
    }

    /// Does the same with another command that uploads the file.
    pub(crate) fn kill_command_without_part(&self, command: &mut Command, missing: u32) {
        self.proxy
            .add(Rule::on(Kind::UploadPart, Fault::Stall { after_bytes: 1000 }).part(missing));
        let running = Running::start(command).unwrap();
        self.wait_for(|seen| all_arrived_but(missing, seen));
        running.kill(LIMIT).unwrap();
    }

    /// Runs the command and calls `meanwhile` when the first request of this kind (and part) is
    /// held in the proxy and has not reached the store.
    pub(crate) fn run_while(
        &self,
        held: Kind,
        part: Option<u32>,
        meanwhile: impl FnOnce(&Self),
    ) -> Finished {
        let rule = Rule::on(held, Fault::Hold);
        self.proxy.add(part.map_or_else(|| rule.clone(), |part| rule.clone().part(part).always()));
        let running = Running::start(&mut self.command()).unwrap();
        self.wait_for(|seen| seen.iter().any(|it| it.fault == Some(Fault::Hold)));
        meanwhile(self);
        self.proxy.release();
        running.finish(LIMIT).unwrap()
    }

    pub(crate) fn wait_for(&self, enough: impl FnMut(&[Seen]) -> bool) {
        assert!(
            self.proxy.wait_until(LIMIT, enough),
            "waited in vain; the last: {:?}",
            self.proxy.seen().last()
        );
    }

    /// Runs boto3 without the proxy.
    pub(crate) fn python(&self, script: &str) -> serde_json::Value {
        python(&self.real, script, &[&self.bucket, KEY])
    }

    /// Aborts every upload of the key, as another client would.
    pub(crate) fn abort_behind_its_back(&self) {
        let aborted = self.python(
            "found = s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])\n\
             for upload in found:\n    \
                 s3.abort_multipart_upload(Bucket=args[0], Key=upload['Key'], \
                 UploadId=upload['UploadId'])\n\
             answer(len(found))\n",
        );
        assert_eq!(aborted, 1, "there was one upload to abort");
    }

    pub(crate) fn sample_bytes(&self) -> u64 {
        std::fs::metadata(&self.sample.path).unwrap().len()
    }

    /// Returns the bytes that arrived in bodies of parts.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.proxy.body_bytes(Kind::UploadPart)
    }

    /// Asserts that the command succeeded, reported a restart, and restarted once.
    pub(crate) fn assert_restarted(&self, finished: &Finished, why: &str) {
        assert_eq!(finished.code(), Some(0), "{}", finished.stderr);
        let reason = event(finished, "restarting")["reason"].to_string();
        assert!(reason.contains(why), "{reason}");
        assert_eq!(self.proxy.count(Kind::CreateMultipartUpload), 2);
        self.assert_arrived();
    }

    /// Asserts that the object equals the file, and that neither parts nor a journal are left.
    pub(crate) fn assert_arrived(&self) {
        assert_eq!(read_back(&self.real, &self.bucket, KEY).sha256, self.sample.sha256);
        assert_no_upload_left(&self.real, &self.bucket);
        let listed = succeed(self.world.haul(&self.store).args(["uploads", "--json"]));
        assert_eq!(events(&listed), Vec::<serde_json::Value>::new(), "the journal is gone");
    }
}

/// Returns whether this part has been sent and all others were acknowledged.
pub(crate) fn all_arrived_but(missing: u32, seen: &[Seen]) -> bool {
    (1..=PARTS).all(|part| part == missing || arrived(seen, part))
        && seen.iter().any(|it| it.part_number == Some(missing))
}

/// Returns whether this part was acknowledged.
pub(crate) fn arrived(seen: &[Seen], part: u32) -> bool {
    seen.iter().any(|it| it.part_number == Some(part) && it.status == Some(200))
}
