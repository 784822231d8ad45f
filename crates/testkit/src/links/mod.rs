//! A link between two hosts of one machine, with a rate, a delay and loss.
//!
//! ```text
//! client ── veth ── router ── TUN ── relay ── TUN ── server
//! ```
//!
//! Each host is a network namespace. The router has the rate: `tbf` in both directions, with a
//! queue of bounded length that drops packets when it is full. The relay, threads of this process,
//! has the delay and the loss (`relay`): the kernels that we test on have no `netem`.
//!
//! Needs root, `/dev/net/tun`, and `ip` and `tc` of the Debian package `iproute2`. Dropping the
//! link removes it; [`remove_leftovers`] removes those of processes that were killed.

mod fate;
mod namespaces;
mod queue;
mod relay;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

pub use self::fate::SlowAddress;
pub use self::namespaces::remove_leftovers;
use self::namespaces::{Name, ip, tc, write_setting};
use self::relay::Relay;

/// The least burst of `tbf`: several packets of the largest size.
const BURST_BYTES_MIN: u64 = 64 * 1024;
/// The least queue of the router.
const QUEUE_BYTES_MIN: u64 = 256 * 1024;
/// The packets that may wait for the relay, in the queue of a TUN device.
const RELAY_PACKETS: &str = "4000";
const CLIENT: &str = "10.119.0.2";
const ROUTER: &str = "10.119.0.1";
/// The network of the server, up to the last number of an address.
const SERVERS: &str = "10.119.1.";

/// The properties of a link, the same in both directions.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Bits per second at the router, headers included; `None` is as fast as the machine.
    pub rate_bits: Option<u64>,
    /// The delay of both directions together.
    pub round_trip: Duration,
    /// The share of packets that are lost, from 0 to 1.
    pub loss: f64,
    /// The seed of the loss.
    pub seed: u64,
    /// The size of the largest packet, headers included.
    pub packet_bytes: u32,
    /// The congestion control of both hosts, by its name in Linux. A namespace may only have one
    /// that every user may choose (`tcp_allowed_congestion_control`): `reno` always is.
    pub congestion_control: &'static str,
    /// The number of addresses that the server has.
    pub addresses: u8,
    /// An address of the server that is slower than the link; the number is its position.
    pub slow: Option<SlowAddress>,
}

impl Default for LinkOptions {
    /// Returns the link of two hosts side by side. Like the default of most distributions, `reno`
    /// takes loss for a full link.
    fn default() -> Self {
        Self {
            rate_bits: None,
            round_trip: Duration::ZERO,
            loss: 0.0,
            seed: 1,
            packet_bytes: 1500,
            congestion_control: "reno",
            addresses: 1,
            slow: None,
        }
    }
}

/// A running link.
#[derive(Debug)]
pub struct Link {
    relay: Relay,
    client: Name,
    server: Name,
    /// Holds the device of the relay; the others hold what ends with them.
    router: Name,
    addresses: u8,
}

/// The two hosts at the ends of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The end that has [`Link::server_address`].
    Server,
    /// The other end.
    Client,
}

impl Link {
    /// Creates the namespaces, the devices and the relay.
    ///
    /// # Errors
    /// Fails without the rights and programs that the module names.
    pub fn create(options: &LinkOptions) -> Result<Self> {
        namespaces::remove_leftovers()?;
        let [client, router, server] =
            [Name::create("client")?, Name::create("router")?, Name::create("server")?];
        let relay = Relay::start(options, &router, &server)
            .context("create TUN devices; this needs root and /dev/net/tun")?;
        let link = Self { relay, client, server, router, addresses: options.addresses.max(1) };
        link.connect(options)?;
        Ok(link)
    }

    fn connect(&self, options: &LinkOptions) -> Result<()> {
        let (client, router, server) = (self.client.word(), self.router.word(), self.server.word());
        let mtu = options.packet_bytes.to_string();
        let pair = ["type", "veth", "peer", "name", "lan", "netns", router];
        ip(&[&["link", "add", "lan", "mtu", &mtu, "netns", client][..], &pair].concat())?;
        ip(&["-n", router, "link", "set", "lan", "mtu", &mtu])?;
        ip(&["-n", client, "address", "add", &format!("{CLIENT}/24"), "dev", "lan"])?;
        ip(&["-n", router, "address", "add", &format!("{ROUTER}/24"), "dev", "lan"])?;
        for address in self.server_addresses() {
            ip(&["-n", server, "address", "add", &format!("{address}/24"), "dev", "wan"])?;
        }
        for name in [router, server] {
            let set = ["link", "set", "wan", "mtu", &mtu, "txqueuelen", RELAY_PACKETS, "up"];
            ip(&[&["-n", name][..], &set].concat())?;
        }
        for (name, device) in [(client, "lan"), (router, "lan")] {
            ip(&["-n", name, "link", "set", device, "up"])?;
        }
        for name in [client, router, server] {
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", client, "route", "add", "default", "via", ROUTER])?;
        ip(&["-n", router, "route", "add", &format!("{SERVERS}0/24"), "dev", "wan"])?;
        ip(&["-n", server, "route", "add", "default", "dev", "wan"])?;
        write_setting(&self.router, "net/ipv4/ip_forward", "1")?;
        for host in [&self.client, &self.server] {
            let control = options.congestion_control;
            write_setting(host, "net/ipv4/tcp_congestion_control", control)?;
            // Connections must not know of earlier ones, or runs would depend on their order.
            write_setting(host, "net/ipv4/tcp_no_metrics_save", "1")?;
            // The defaults of Linux on a machine with enough memory.
            write_setting(host, "net/ipv4/tcp_rmem", "4096 131072 6291456")?;
            write_setting(host, "net/ipv4/tcp_wmem", "4096 16384 4194304")?;
        }
        self.set_rate(options)
    }

    /// Limits what leaves the router, in both directions.
    fn set_rate(&self, options: &LinkOptions) -> Result<()> {
        let Some(rate_bits) = options.rate_bits else { return Ok(()) };
        let bytes_per_s = rate_bits / 8;
        // A millisecond of bytes may leave at once: timers are not finer on a busy machine.
        let burst = (bytes_per_s / 1000).max(BURST_BYTES_MIN);
        #[allow(clippy::cast_possible_truncation, reason = "a round trip of some milliseconds")]
        let round_trip_ms = options.round_trip.as_millis() as u64;
        // What is under way in one round trip, as routers are often given.
        let queue = (bytes_per_s * round_trip_ms / 1000).max(QUEUE_BYTES_MIN) + burst;
        let (rate, burst, queue) =
            (format!("{rate_bits}bit"), burst.to_string(), queue.to_string());
        for device in ["wan", "lan"] {
            let shape = ["root", "tbf", "rate", &rate, "burst", &burst, "limit", &queue];
            let place = ["-n", self.router.word(), "qdisc", "add", "dev", device];
            tc(&[&place[..], &shape].concat())?;
        }
        Ok(())
    }

    /// Returns the first address of the server.
    #[must_use]
    pub fn server_address(&self) -> String {
        format!("{SERVERS}1")
    }

    /// Returns all addresses of the server.
    #[must_use]
    pub fn server_addresses(&self) -> Vec<String> {
        (1..=self.addresses).map(|number| format!("{SERVERS}{number}")).collect()
    }

    /// Lets the client resolve `name` to all addresses of the server.
    ///
    /// # Errors
    /// Fails if `/etc/netns` cannot be written.
    pub fn resolve(&self, name: &str) -> Result<()> {
        let lines =
            self.server_addresses().into_iter().map(|address| format!("{address} {name}\n"));
        self.client.write_hosts(&lines.collect::<String>())
    }

    /// Returns the command, run on this host.
    #[must_use]
    pub fn on(&self, host: Host, command: &Command) -> Command {
        let name = match host {
            Host::Client => &self.client,
            Host::Server => &self.server,
        };
        name.exec(command)
    }

    /// Cuts the link, or joins it again. While it is cut, packets vanish.
    pub fn cut(&self, is_cut: bool) {
        self.relay.cut(is_cut);
    }

    /// Returns the packets that were lost so far, in both directions, without those that the router
    /// dropped.
    #[must_use]
    pub fn lost_packets(&self) -> u64 {
        self.relay.lost_packets()
    }

    /// Returns a folder of this link's own for files of `ip netns exec`, for messages.
    #[must_use]
    pub fn settings_folder(&self) -> PathBuf {
        self.client.settings_folder()
    }
}
