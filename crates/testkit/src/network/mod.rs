//! Peers that are not stores: an address that drops packets, a server with one answer, a proxy, certificates.

mod black_hole;
mod canned;
mod certificate;
mod head;
mod http_proxy;

pub use black_hole::BlackHole;
pub use canned::CannedServer;
pub use certificate::{Certificate, self_signed};
pub use http_proxy::HttpProxy;
