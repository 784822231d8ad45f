//! Carries packets between two TUN devices: a reader and a writer thread for each direction.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use tappers::Interface;
use tappers::linux::Tun;

use super::LinkOptions;
use super::fate::Fate;
use super::namespaces::{Name, ip};
use super::queue::DelayQueue;

/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_536;

/// A running relay; its threads end when it is dropped, or with its devices.
pub(super) struct Relay {
    shared: Arc<Shared>,
    queues: [Arc<DelayQueue>; 2],
    /// Where the devices are, by which the readers are woken.
    places: [String; 2],
}

#[derive(Debug, Default)]
struct Shared {
    is_cut: AtomicBool,
    lost_packets: AtomicU64,
}

impl Relay {
    /// Creates a device called `wan` in each namespace, and carries packets between them.
    pub(super) fn start(options: &LinkOptions, one: &Name, other: &Name) -> Result<Self> {
        let [one_device, other_device] = [device(one)?, device(other)?];
        let shared = Arc::<Shared>::default();
        let queues = [Arc::<DelayQueue>::default(), Arc::<DelayQueue>::default()];
        for (direction, from, to, queue) in [
            (0, &one_device, &other_device, &queues[0]),
            (1, &other_device, &one_device, &queues[1]),
        ] {
            let fate = Fate::new(options, direction);
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (reads, writes) = (Arc::clone(queue), Arc::clone(queue));
            let shared = Arc::clone(&shared);
            thread::spawn(move || read(&from, fate, &reads, &shared));
            thread::spawn(move || write(&to, &writes));
        }
        let places = [one, other].map(|name| name.word().to_owned());
        Ok(Self { shared, queues, places })
    }

    pub(super) fn cut(&self, is_cut: bool) {
        self.shared.is_cut.store(is_cut, Ordering::Relaxed);
    }

    pub(super) fn lost_packets(&self) -> u64 {
        self.shared.lost_packets.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Relay").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.queues.iter().for_each(|queue| queue.close());
        for place in &self.places {
            // A reader waits for the next packet until its device is gone. The namespace may be
            // gone first, and the device with it.
            let _ = ip(&["-n", place, "link", "delete", "wan"]);
        }
    }
}

/// Creates a TUN device in this namespace. It is made where this process is, and then moved: the
/// handle stays valid.
fn device(name: &Name) -> Result<Arc<Tun>> {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let number = CREATED.fetch_add(1, Ordering::Relaxed);
    let first_name = format!("hl{}-{number}", std::process::id());
    let interface = Interface::new(&first_name).context("name a TUN device")?;
    let device = Tun::create_named(interface).context("create a TUN device")?;
    ip(&["link", "set", &first_name, "netns", name.word(), "name", "wan"])?;
    Ok(Arc::new(device))
}

/// Reads packets until the device is gone.
fn read(from: &Tun, mut fate: Fate, queue: &DelayQueue, shared: &Shared) {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    while let Ok(length) = from.recv(&mut buffer) {
        let packet = &buffer[..length];
        let arrival = fate.arrival(packet, Instant::now());
        let arrival = arrival.filter(|_| !shared.is_cut.load(Ordering::Relaxed));
        if !arrival.is_some_and(|due| queue.push(due, packet.to_vec())) {
            shared.lost_packets.fetch_add(1, Ordering::Relaxed);
        }
    }
    queue.close();
}

/// Writes packets when they are due, until the queue is closed.
fn write(to: &Tun, queue: &DelayQueue) {
    let mut due = vec![];
    while queue.wait(&mut due) {
        for packet in due.drain(..) {
            // A device that is not up yet refuses packets: they are lost like others.
            let _ = to.send(&packet);
        }
    }
}
