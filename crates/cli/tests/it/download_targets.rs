//! Targets of a download: files, links, pipes, devices, and the leftovers of earlier downloads.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use haul_testkit::chaos::{Fault, Kind, Rule};
use haul_testkit::files::{MIB, sha256};
use haul_testkit::process::{Finished, Running, run};

use crate::scene::Scene;
use crate::world::{LIMIT, World, finish, succeed};

/// Creates a scene whose object is already at the store.
fn stored(length_bytes: u64) -> Scene {
    let scene = Scene::of_file(length_bytes);
    succeed(scene.world.haul(&scene.real).args(["cp", "file", &scene.url()]));
    scene
}

fn download(scene: &Scene, target: &str) -> Command {
    let mut command = scene.world.haul(&scene.store);
    command.args(["cp", &scene.url(), target]);
    command
}

/// Returns the names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assert_is_the_sample(scene: &Scene, path: &Path) {
    assert_eq!(sha256(path).unwrap(), scene.sample.sha256, "{}", path.display());
}

/// `haul cp s3://… fifo` once replaced the pipe by a regular file, and the reader waited for ever.
/// The connection breaks during this download, so that the client has to put the bytes in order.
#[test]
fn a_pipe_gets_the_bytes_in_order_and_stays_a_pipe() {
    let scene = stored(6 * MIB + 17);
    let pipe = scene.world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = Running::start(Command::new("sha256sum").arg(&pipe)).unwrap();
    scene
        .proxy
        .add(Rule::on(Kind::GetObject, Fault::CutAnswer { after_bytes: 2 * MIB + 5 }).times(2));
    succeed(&mut download(&scene, "pipe"));
    let read = reader.finish(LIMIT).unwrap();
    assert_eq!(read.stdout.split(' ').next(), Some(scene.sample.sha256.as_str()));
    assert_eq!(scene.proxy.count(Kind::GetObject), 3);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

/// `haul cp s3://… /dev/…`, run as root, once replaced the device by a regular file. The device
/// here is a terminal of the test, reached through a link, as `/dev/stdout` is.
#[test]
fn a_device_is_written_to_and_not_replaced() {
    const READ_TERMINAL: &str = "\
import hashlib, os, pty, sys, tty
master, slave = pty.openpty()
tty.setraw(slave)
os.symlink(os.ttyname(slave), sys.argv[1])
left, digest = int(sys.argv[2]), hashlib.sha256()
while left:
    data = os.read(master, left)
    digest.update(data)
    left -= len(data)
print(digest.hexdigest())
";
    let scene = stored(3 * MIB);
    let link = scene.world.path("terminal");
    let mut reader = Command::new("python3");
    reader.args(["-c", READ_TERMINAL]).arg(&link).arg((3 * MIB).to_string());
    let reader = Running::start(&mut reader).unwrap();
    while !link.exists() {
        std::thread::yield_now();
    }
    let finished = succeed(&mut download(&scene, "terminal"));
    let read = reader.finish(LIMIT).unwrap();
    assert_eq!(read.stdout.trim(), scene.sample.sha256);
    assert!(finished.stdout.contains("verified by"), "{}", finished.stdout);
    assert!(link.is_symlink());
}

/// A download once replaced a socket by a regular file, and the service behind it became
/// unreachable.
#[test]
fn a_socket_is_refused_and_stays() {
    let scene = stored(MIB);
    let path = scene.world.path("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let finished = finish(&mut download(&scene, "socket"));
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("it is a socket"), "{}", finished.stderr);
    assert_eq!(scene.proxy.count(Kind::HeadObject), 0, "refused before the store was asked");
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
}

/// A download once replaced a link by the file, and the target of the link kept its old content.
#[test]
fn a_link_stays_and_its_target_is_replaced_in_its_own_folder() {
    let scene = stored(MIB);
    let (here, there) = (scene.world.path("here"), scene.world.path("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    fs::write(there.join("real"), "old").unwrap();
    symlink("../there/real", here.join("near")).unwrap();
    symlink(here.join("near"), scene.world.path("far")).unwrap();
    let old = fs::File::open(there.join("real")).unwrap();

    succeed(&mut download(&scene, "far"));
    assert_is_the_sample(&scene, &there.join("real"));
    assert_eq!(
        std::io::read_to_string(old).unwrap(),
        "old",
        "replaced in one step, not written over"
    );
    assert!(here.join("near").is_symlink() && scene.world.path("far").is_symlink());
    assert_eq!((names(&here), names(&there)), (vec!["near".to_owned()], vec!["real".to_owned()]));
}

#[test]
fn a_link_to_no_file_makes_that_file() {
    let scene = stored(MIB);
    fs::create_dir(scene.world.path("there")).unwrap();
    symlink("there/new", scene.world.path("link")).unwrap();
    succeed(&mut download(&scene, "link"));
    assert_is_the_sample(&scene, &scene.world.path("there/new"));
    assert!(scene.world.path("link").is_symlink());

    symlink("nowhere/new", scene.world.path("lost")).unwrap();
    let finished = finish(&mut download(&scene, "lost"));
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("cannot write lost"), "{}", finished.stderr);
}

#[test]
fn links_in_a_loop_are_a_clear_error() {
    let scene = stored(MIB);
    symlink("two", scene.world.path("one")).unwrap();
    symlink("one", scene.world.path("two")).unwrap();
    let finished = finish(&mut download(&scene, "one"));
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("symbolic links"), "{}", finished.stderr);
    assert!(scene.world.path("one").is_symlink());
}

/// The name of the temporary file was once the target's name plus 14 bytes, so targets with names
/// above 240 bytes failed as "file name too long".
#[test]
fn a_name_of_255_bytes_is_written() {
    let scene = stored(MIB);
    let name = "n".repeat(255);
    succeed(&mut download(&scene, &name));
    assert_is_the_sample(&scene, &scene.world.path(&name));
}

/// A file that only its owner could read once became readable by everyone when it was downloaded
/// again.
#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    let scene = stored(MIB);
    let path = scene.world.path("private");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    succeed(&mut download(&scene, "private"));
    assert_is_the_sample(&scene, &path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// `kill -9` once left the temporary file `.back.haul-1a2b3c4d`, as long as the bytes that had
/// arrived, for ever; every further kill left one more.
#[test]
fn what_a_killed_download_left_is_removed_by_the_next() {
    let scene = stored(8 * MIB);
    let folder = scene.world.path("folder");
    fs::create_dir(&folder).unwrap();
    // The download needs several requests, and is killed during one of them.
    scene.proxy.add(Rule::on(Kind::GetObject, Fault::CutAnswer { after_bytes: MIB }).times(1));
    scene.proxy.add(Rule::on(Kind::GetObject, Fault::Hold));
    let running = Running::start(&mut download(&scene, "folder/back")).unwrap();
    scene.wait_for(|seen| seen.iter().any(|it| it.fault == Some(Fault::Hold)));
    let [left] = &names(&folder)[..] else { panic!("{:?}", names(&folder)) };
    assert!(left.starts_with(".haul-"), "{left}");

    // While the first download runs, another download of the same file leaves the temporary file
    // alone.
    scene.proxy.add(Rule::on(Kind::GetObject, Fault::CutAnswer { after_bytes: MIB }).times(1));
    let other = finish(download(&scene, "folder/back").args(["--max-attempts", "1"]));
    assert_eq!(other.code(), Some(1), "{}", other.stderr);
    assert_eq!(names(&folder), [left.as_str()]);

    running.kill(LIMIT).unwrap();
    assert_eq!(names(&folder), [left.as_str()]);
    scene.proxy.release();
    succeed(&mut download(&scene, "folder/back"));
    assert_eq!(names(&folder), ["back"]);
    assert_is_the_sample(&scene, &folder.join("back"));
}

/// A power failure after "verified" could once leave the old file: the rename was on disk only
/// after its folder had been synced.
#[test]
fn the_file_is_synced_then_renamed_then_its_folder_is_synced() {
    let scene = stored(MIB);
    let download = download(&scene, "back");
    let mut traced = Command::new("strace");
    let calls = "trace=openat,fsync,fdatasync,rename,renameat,renameat2";
    traced.args(["-f", "-y", "-qq", "-e", calls, "-o", "trace"]);
    traced.arg(download.get_program()).args(download.get_args());
    traced.env_clear().envs(download.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.current_dir(scene.world.path(""));
    run(&mut traced, LIMIT).and_then(Finished::success).unwrap();

    let trace = fs::read_to_string(scene.world.path("trace")).unwrap();
    let at = |what: &str, matches: &dyn Fn(&str) -> bool| {
        let found = trace.lines().position(|line| line.contains(what) && matches(line));
        found.unwrap_or_else(|| panic!("no {what} in:\n{trace}"))
    };
    let folder = scene.world.path("").canonicalize().unwrap();
    let folder = folder.to_str().unwrap().trim_end_matches('/').to_owned();
    let synced = at("sync(", &|line| line.contains(".part>"));
    let renamed = at("rename", &|line| line.contains(".part\"") && line.contains("\"back\""));
    let folder_synced = at("fsync(", &|line| line.contains(&format!("<{folder}>")));
    assert!(synced < renamed && renamed < folder_synced, "{trace}");
}

/// The world of a test is a folder, and a link to a folder counts as a folder.
#[test]
fn a_link_to_a_folder_is_completed_with_the_name_of_the_key() {
    let world = World::new();
    let server = world.serve();
    let bucket = crate::world::make_bucket(&world, server.store());
    let sample = world.sample("file", MIB);
    let url = format!("s3://{bucket}/a/name");
    succeed(world.haul(server.store()).args(["cp", "file", &url]));
    fs::create_dir(world.path("real")).unwrap();
    symlink("real", world.path("link")).unwrap();
    succeed(world.haul(server.store()).args(["cp", &url, "link"]));
    assert_eq!(sha256(&world.path("real/name")).unwrap(), sample.sha256);
}
