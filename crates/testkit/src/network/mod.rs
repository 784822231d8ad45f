//! Network peers that are not stores: an address that drops packets, a server with fixed responses,
//! a proxy, a gateway with a path, certificates.

mod black_hole;
mod canned;
mod certificate;
mod head;
mod http_proxy;
mod path_gateway;

pub use black_hole::BlackHole;
pub use canned::CannedServer;
pub use certificate::{Certificate, self_signed};
pub use http_proxy::HttpProxy;
pub use path_gateway::PathGateway;
