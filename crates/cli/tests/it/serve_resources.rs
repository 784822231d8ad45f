//! Resources that `haul serve` uses, and access to what it keeps: open files, memory, file modes,
//! the secret.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use haul_testkit::files::MIB;
use haul_testkit::process::usage_of;
use haul_testkit::python::{Talk, Venv};
use haul_testkit::servers::HaulServe;
use serde_json::{Value, json};

use crate::world::{LIMIT, World, haul_binary, make_bucket, python, succeed};

fn open_files(server: &HaulServe) -> (u64, u64) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let world = World::new();
    let server =
        HaulServe::start_with_open_files(haul_binary(), &world.path("data"), 256, 4000).unwrap();
    assert_eq!(open_files(&server), (4000, 4000));
    assert!(!server.said().contains("fewer connections"), "{}", server.said());
}

/// At the limit of open files, a server cannot even accept a connection in order to refuse it.
#[test]
fn connections_stay_below_the_limit_of_open_files() {
    let world = World::new();
    let server =
        HaulServe::start_with_open_files(haul_binary(), &world.path("data"), 64, 64).unwrap();
    assert!(server.said().contains("fewer connections"), "{}", server.said());
    let bucket = make_bucket(&world, server.store());
    let script = r#"
import concurrent.futures
s3 = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                  config=Config(retries={"total_max_attempts": 1}, max_pool_connections=40,
                                s3={"addressing_style": "path"}))
def put(number):
    answer = s3.put_object(Bucket=args[0], Key=str(number), Body=b"x" * 300_000)
    return answer["ResponseMetadata"]["HTTPStatusCode"]
with concurrent.futures.ThreadPoolExecutor(40) as threads:
    answer(list(threads.map(put, range(80))))
"#;
    assert_eq!(python(server.store(), script, &[&bucket]), json!(vec![200; 80]));
}

/// A write that was refused because no file descriptor was free once stopped all writes until the
/// next start.
#[test]
fn without_a_free_file_the_answer_is_503_and_writes_go_on() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let mut puts = Talk::start(
        &Venv::shared(),
        include_str!("py/out_of_files.py"),
        server.store(),
        &[&bucket],
    )
    .unwrap();
    let mut next = || -> Value { serde_json::from_str(&puts.line().unwrap()).unwrap() };
    assert_eq!(next(), json!([200, null, null]));
    let before = server.limit_open_files(1).unwrap();
    puts.say("go on").unwrap();
    let mut next = || -> Value { serde_json::from_str(&puts.line().unwrap()).unwrap() };
    assert_eq!(next(), json!([503, "SlowDown", "1"]));
    server.limit_open_files(before).unwrap();
    puts.say("go on").unwrap();
    let mut next = || -> Value { serde_json::from_str(&puts.line().unwrap()).unwrap() };
    assert_eq!(next(), json!([200, null, null]));
    assert!(server.said().contains("too many files are open"), "{}", server.said());
    puts.say("end").unwrap();
}

/// The load is 200 uploads signed with the hash of their payload, while 300 clients request an
/// object and do not read the answer.
#[test]
fn memory_stays_small_beside_readers_that_do_not_read() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let large = world.sample("large", 16 * MIB);
    succeed(world.haul(server.store()).args(["cp", "large", &format!("s3://{bucket}/large")]));
    drop(large);
    let body = vec![0x5a; 5 << 20];
    let script = format!(
        "import hashlib\nanswer(hashlib.sha256(bytes([0x5a]) * {}).hexdigest())",
        body.len()
    );
    let hash = python(server.store(), &script, &[]);
    let length = body.len().to_string();
    let arguments = [bucket.as_str(), hash.as_str().unwrap(), &length];
    let heads = python(server.store(), include_str!("py/signed_heads.py"), &arguments);
    let text = |head: &Value| head.as_str().unwrap().to_owned();
    let address = server.store().endpoint.trim_start_matches("http://").to_owned();
    let connect = || TcpStream::connect(&address).unwrap();

    let mut readers = Vec::new();
    for head in heads["gets"].as_array().unwrap() {
        let mut reader = connect();
        reader.write_all(text(head).as_bytes()).unwrap();
        readers.push(reader);
    }
    let answers: Vec<String> = std::thread::scope(|scope| {
        let puts = heads["puts"].as_array().unwrap().iter().map(|head| {
            let (head, body, connect) = (text(head), &body, &connect);
            scope.spawn(move || {
                let mut stream = connect();
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap();
                let mut answer = [0; 12];
                stream.read_exact(&mut answer).unwrap();
                String::from_utf8_lossy(&answer).into_owned()
            })
        });
        let puts: Vec<_> = puts.collect();
        puts.into_iter().map(|put| put.join().unwrap()).collect()
    });
    assert_eq!(answers, vec!["HTTP/1.1 200"; 200]);
    // The server is serving each reader: its answer has begun.
    for reader in &mut readers {
        let mut answer = [0; 12];
        reader.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let peak_mib = usage_of(server.id()).unwrap().peak_memory_bytes / MIB;
    println!("peak memory: {peak_mib} MiB");
    // The limit is the figure in docs/s3-compatibility.md. It was 320 when each upload kept a whole
    // block for the little of it that was still to be hashed.
    assert!(peak_mib < 256, "{peak_mib} MiB");
}

/// Returns everything below a folder, without the folder itself.
fn everything_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_in(&path));
        }
        found.push(path);
    }
    found
}

/// In an existing folder that was open to everyone, the metadata and the lock were once readable by
/// everyone.
#[test]
fn files_are_private_in_a_folder_that_is_not() {
    let world = World::new();
    let data = world.path("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let server = HaulServe::start_with_umask(haul_binary(), &data, "000").unwrap();
    let bucket = make_bucket(&world, server.store());
    world.sample("file", 2 * MIB);
    succeed(world.haul(server.store()).args(["cp", "file", &format!("s3://{bucket}/file")]));
    // The files of `local://` are private too, under the usual umask.
    let mut local = world.haul_without_store();
    fs::create_dir(world.path("local")).unwrap();
    succeed(local.args(["cp", "file", "local://bucket/file", "--data", "local"]));
    for folder in [&data, &world.path("local")] {
        let found = everything_in(folder);
        assert!(found.len() >= 7, "{found:?}");
        for path in found {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let private = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, private, "{}: {mode:o}", path.display());
        }
    }
}

#[test]
fn secrets_that_all_can_read_draw_a_warning() {
    let world = World::new();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/it/tls");
    let copied = |name: &str, mode: u32| {
        let to = world.path(name);
        fs::copy(tls.join(name), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        to.display().to_string()
    };
    let certificate = copied("server.pem", 0o644);
    let keys = world.path("keys.toml");
    fs::write(&keys, "[[keys]]\naccess_key_id = \"A\"\nsecret_access_key = \"hush\"\n").unwrap();
    for (mode, warned) in [(0o644, 2), (0o640, 0), (0o600, 0)] {
        let private_key = copied("server-test-only.key", mode);
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let keys = keys.to_str().unwrap();
        let arguments = ["--keys", keys, "--tls-cert", &certificate, "--tls-key", &private_key];
        let data = world.path(&format!("data-{mode:o}"));
        let server = HaulServe::start_with(haul_binary(), &data, &arguments).unwrap();
        let said = server.said();
        let warnings: Vec<Value> = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["event"] == "warning")
            .collect();
        assert_eq!(warnings.len(), warned, "{mode:o}: {said}");
        for (warning, file) in warnings.iter().zip([&private_key[..], keys]) {
            assert_eq!(warning["hint"], json!(format!("chmod 600 {file}")), "{warning}");
        }
    }
}

/// Starts `haul serve` in the folder `data`, stops it, and returns all its output.
fn page(world: &World, command: &mut Command) -> String {
    let log = world.path("page");
    let file = fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut server = command.spawn().unwrap();
    let end = Instant::now() + LIMIT;
    while !fs::read_to_string(&log).unwrap().contains("Ctrl-C stops it") {
        assert!(Instant::now() < end, "{}", fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    // The lock file has the id of the server itself; the process that the test started may be
    // `script`, which only provides a terminal.
    let pid = fs::read_to_string(world.path("data/lock")).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
    server.wait().unwrap();
    fs::read_to_string(&log).unwrap()
}

/// The page of `haul serve` was once one line full of `\n`, and so was each warning with its hint:
/// when every text came to be escaped, our own line breaks were escaped too.
#[test]
fn the_page_of_serve_has_lines_that_can_be_pasted() {
    let world = World::new();
    let keys = world.path("keys.toml");
    fs::write(&keys, "[[keys]]\naccess_key_id = \"A\"\nsecret_access_key = \"hush\"\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let mut serve = world.haul_without_store();
    let arguments = ["serve", "--data", "data", "--listen", "127.0.0.1:0", "--keys", "keys.toml"];
    let said = page(&world, serve.args(arguments));
    for begin in [
        "warning: ",
        "hint: chmod 600 ",
        "haul serves ",
        "  export AWS_ENDPOINT_URL=",
        "  haul    haul mb",
    ] {
        assert!(said.lines().any(|line| line.starts_with(begin)), "{begin}: {said}");
    }
}

/// Output that is no terminal goes to the journal of systemd, or to a file that others may read.
#[test]
fn the_secret_is_shown_on_a_terminal_only() {
    let world = World::new();
    let server = world.serve();
    let (secret, keys) = (server.store().secret_key.clone(), world.path("data/keys.json"));
    let said = server.said();
    assert!(!said.contains(&secret) && said.contains(keys.to_str().unwrap()), "{said}");
    drop(server);

    let mut plain = world.haul_without_store();
    let plain = page(&world, plain.args(["serve", "--data", "data", "--listen", "127.0.0.1:0"]));
    assert!(!plain.contains(&secret), "{plain}");
    assert!(
        plain.contains(&format!("in {} (shown on a terminal only)", keys.display())),
        "{plain}"
    );

    // `script` runs the server in a terminal of its own.
    let mut terminal = Command::new("script");
    let serve = format!("exec {} serve --data data --listen 127.0.0.1:0", haul_binary().display());
    terminal.current_dir(world.path("")).args(["-qefc", &serve, "/dev/null"]);
    let shown = page(&world, &mut terminal);
    assert!(shown.contains(&format!("AWS_SECRET_ACCESS_KEY={secret}")), "{shown}");
}
