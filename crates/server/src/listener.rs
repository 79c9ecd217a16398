//! Sockets: bind the one port on its addresses, accept, and never stop accepting on an error.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel may hold before they are accepted.
const BACKLOG: i32 = 1024;

/// Pause after an accept error such as "too many open files": it ends by itself when one closes.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Why the port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("port {port} of {host} is in use")]
    InUse {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// The host is neither an address nor a name that resolves to one of this machine.
    #[error("cannot listen on host {host:?}: {error}")]
    Host {
        /// As it was given.
        host: String,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {error}")]
    System {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// Binds `port` (0: any) on `host`, or on both loopback addresses when there is none.
///
/// All listeners have the same port. IPv6 loopback is left out where the machine has none.
pub(crate) fn bind(host: Option<&str>, port: u16) -> Result<Vec<std::net::TcpListener>, BindError> {
    let Some(host) = host else {
        return bind_loopback(port);
    };
    let resolve = |error| BindError::Host {
        host: host.to_owned(),
        error,
    };
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map_err(resolve)?;
    let mut listeners = Vec::new();
    let mut port = port;
    for address in addresses {
        let listener = listen(SocketAddr::new(address.ip(), port))?;
        port = bound_port(&listener, address)?;
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err(resolve(io::ErrorKind::AddrNotAvailable.into()));
    }
    Ok(listeners)
}

fn bind_loopback(port: u16) -> Result<Vec<std::net::TcpListener>, BindError> {
    // Port 0 on IPv4 may hit a port that is taken on IPv6: then another one is drawn.
    const DRAWS: usize = 16;
    for draw in 1..=DRAWS {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let first = listen(v4)?;
        let chosen = bound_port(&first, v4)?;
        match listen(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), chosen)) {
            Ok(second) => return Ok(vec![first, second]),
            Err(BindError::InUse { .. }) if port == 0 && draw < DRAWS => {}
            Err(error @ BindError::InUse { .. }) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "no IPv6 loopback; listening on 127.0.0.1 only");
                return Ok(vec![first]);
            }
        }
    }
    Err(BindError::InUse {
        host: IpAddr::V6(Ipv6Addr::LOCALHOST),
        port,
    })
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let open = || -> io::Result<std::net::TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse {
            host: address.ip(),
            port: address.port(),
        },
        _ => BindError::System { address, error },
    })
}

fn bound_port(listener: &std::net::TcpListener, address: SocketAddr) -> Result<u16, BindError> {
    let local = listener
        .local_addr()
        .map_err(|error| BindError::System { address, error })?;
    Ok(local.port())
}

/// The next connection. Errors of one accept never end the listener; a lasting one is told once.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "cannot accept connections; trying until it works again");
                }
                told = true;
                tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
