//! A store with several addresses, one of which is slow: the others carry the transfer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use haul_testkit::chaos::{ChaosProxy, Fault, Kind, Rule};
use haul_testkit::files::MIB;

use crate::connecting::with_hosts;
use crate::world::{World, copy, make_bucket, succeed};

/// The addresses of the store; the first one is slow.
const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 0, 12),
    Ipv4Addr::new(127, 0, 0, 13),
    Ipv4Addr::new(127, 0, 0, 14),
    Ipv4Addr::new(127, 0, 0, 15),
];

/// Starts a proxy at each address, all of them at one port.
fn proxies(upstream: &str) -> Vec<ChaosProxy> {
    for _ in 0..20 {
        let first = ChaosProxy::start_at(upstream, (ADDRESSES[0], 0).into()).unwrap();
        let port = first.address().port();
        let others = ADDRESSES[1..]
            .iter()
            .map(|ip| ChaosProxy::start_at(upstream, SocketAddr::from((*ip, port))));
        // Another program may have the port at one of the addresses.
        if let Ok(others) = others.collect::<Result<Vec<_>, _>>() {
            return std::iter::once(first).chain(others).collect();
        }
    }
    panic!("no port is free at all addresses");
}

/// A request takes 150 ms at three addresses, and two seconds at the fourth. Of eight connections,
/// two lead there at first. Without a verdict they would carry two ranges every two seconds.
#[test]
fn one_slow_address_among_four_is_left_by_a_download() {
    let world = World::new();
    let server = world.serve();
    let bucket = make_bucket(&world, server.store());
    let sample = world.sample("file", 64 * MIB);
    succeed(&mut copy(&world, server.store(), &sample.path, &format!("s3://{bucket}/file")));
    let proxies = proxies(&server.store().endpoint);
    for (number, proxy) in proxies.iter().enumerate() {
        let delay = if number == 0 { 2000 } else { 150 };
        let fault = Fault::Delay(Duration::from_millis(delay));
        proxy.add(Rule::on(Kind::GetObject, fault).always());
    }
    let port = proxies[0].address().port();
    let store = server.store().at(format!("http://four.test:{port}"));
    let hosts = world.path("hosts");
    let lines: String = ADDRESSES.iter().map(|ip| format!("{ip} four.test\n")).collect();
    std::fs::write(&hosts, lines).unwrap();
    let back = world.path("back");

    let mut download = world.haul(&store);
    download.args(["-vv", "cp", "--part-size", "256KiB", "--concurrency", "8"]);
    download.arg(format!("s3://{bucket}/file")).arg(&back);
    let finished = succeed(&mut with_hosts(&download, &hosts));

    assert!(std::fs::read(&back).unwrap() == std::fs::read(&sample.path).unwrap());
    let counts: Vec<_> = proxies.iter().map(|proxy| proxy.count(Kind::GetObject)).collect();
    let slow = format!("the slow address {} is tried last", proxies[0].address());
    assert!(finished.stderr.contains(&slow), "{counts:?}\n{}", finished.stderr);
    assert!((1..=4).contains(&counts[0]), "{counts:?}");
    assert!(counts[1..].iter().all(|count| *count > 40), "{counts:?}");
}
