//! An address that drops every SYN, like a machine behind a wrong route.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

/// A listener with a full queue: the kernel drops further packets. Needs no namespace or firewall.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _fills_the_queue: TcpStream,
}

impl BlackHole {
    /// Listens at this address; port 0 lets the system choose.
    ///
    /// # Errors
    /// The address is taken.
    pub fn dig(at: SocketAddr) -> Result<Self> {
        let listener =
            Socket::new(Domain::for_address(at), Type::STREAM, None).context("make a socket")?;
        listener.bind(&at.into()).with_context(|| format!("bind {at}"))?;
        // A backlog of zero still has room for one connection that is not accepted.
        listener.listen(0).context("listen")?;
        let address =
            listener.local_addr().context("the address")?.as_socket().context("an IP address")?;
        let fills_the_queue = TcpStream::connect(address).context("fill the queue")?;
        Ok(Self { address, _listener: listener, _fills_the_queue: fills_the_queue })
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
