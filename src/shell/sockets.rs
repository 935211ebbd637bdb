//! Listening sockets: from a host name and a port to what the reactor accepts from.
#![forbid(unsafe_code)]

use super::os;
use mio::net::TcpListener;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Connections that wait to be accepted (the kernel caps it at net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// Addresses of one name that are listened on.
const ADDRESSES_MAX: usize = 16;
/// How often another free port is tried when port 0 was asked for and one address's port is taken on the next.
const FREE_PORT_TRIES: usize = 8;

/// Listens on `port` of every address of `host`: an address (`::` takes IPv4 too) or a name. Port 0 takes a free port,
/// the same for all addresses. The first listener's `local_addr` is the one to print.
///
/// An address of a name that this machine does not have (`::1` where IPv6 is off) is left out as long as one remains.
pub fn bind(host: &str, port: u16) -> Result<Vec<TcpListener>, BindError> {
    let error = |cause| BindError { host: host.to_owned(), port, cause };
    let addresses = resolve(host, port).map_err(|cause| error(Cause::Resolve(cause)))?;
    let mut tries = if port == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_all(&addresses) {
            Ok(listeners) => return Ok(listeners),
            Err(cause) if tries > 0 && cause.kind() == io::ErrorKind::AddrInUse => {}
            Err(cause) => return Err(error(Cause::Bind(cause))),
        }
    }
}

/// The addresses of `host` with this port; the error says what is wrong with the name.
pub fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, BindError> {
    resolve(host, port).map_err(|cause| BindError {
        host: host.to_owned(),
        port,
        cause: Cause::Resolve(cause),
    })
}

/// Listens on these addresses.
pub fn bind_addresses(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let first = addresses.first().copied().unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let error =
        |cause| BindError { host: first.ip().to_string(), port: first.port(), cause: Cause::Bind(cause) };
    bind_all(addresses).map_err(error)
}

/// Listens on another port of the addresses that are listened on already; where those are all addresses of one family, on
/// all of both.
pub fn bind_beside(listening: &[SocketAddr], port: u16) -> Result<Vec<TcpListener>, BindError> {
    let error = |host: IpAddr, cause| BindError { host: host.to_string(), port, cause: Cause::Bind(cause) };
    if listening.iter().any(|address| address.ip().is_unspecified()) {
        let (v6, v4) = (Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
        let all = |host| bind_all(&[SocketAddr::new(host, port)]);
        return match all(v6) {
            Err(cause) if is_missing(&cause) => all(v4).map_err(|cause| error(v4, cause)),
            bound => bound.map_err(|cause| error(v6, cause)),
        };
    }
    let addresses: Vec<SocketAddr> =
        listening.iter().map(|address| SocketAddr::new(address.ip(), port)).collect();
    let first = addresses.first().map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip);
    bind_all(&addresses).map_err(|cause| error(first, cause))
}

/// Why nobody can connect. `Display` gives the cause and the cure in one line.
#[derive(Debug)]
pub struct BindError {
    host: String,
    port: u16,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Resolve(io::Error),
    Bind(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { host, port, cause } = self;
        write!(f, "cannot listen on host {host:?} port {port}: ")?;
        match cause {
            Cause::Resolve(error) => {
                write!(
                    f,
                    "the name has no address ({error}); give an address of this machine, or 0.0.0.0 for all"
                )
            }
            Cause::Bind(error) => match error.kind() {
                io::ErrorKind::AddrInUse => {
                    f.write_str("another process listens there; stop it or choose another port")
                }
                io::ErrorKind::PermissionDenied if *port < 1024 => f.write_str(
                    "ports below 1024 need a privilege; choose a higher one or grant CAP_NET_BIND_SERVICE",
                ),
                io::ErrorKind::AddrNotAvailable => f.write_str(
                    "this machine does not have the address; give one that it has, or 0.0.0.0 for all",
                ),
                _ => write!(f, "{error}"),
            },
        }
    }
}

impl std::error::Error for BindError {}

/// Every address of `host` once; brackets around an IPv6 address are allowed.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut addresses = Vec::new();
    for address in (host, port).to_socket_addrs()? {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no address found"));
    }
    Ok(addresses)
}

fn bind_all(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut missing = None;
    for &address in addresses {
        let mut address = address;
        if let (0, Some(first)) = (address.port(), listeners.first()) {
            address.set_port(first.local_addr()?.port());
        }
        match os::listen(address, BACKLOG) {
            Ok(listener) => listeners.push(TcpListener::from_std(listener)),
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

/// Whether this machine does not have the address, or not its whole family.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn port_of(listeners: &[TcpListener]) -> u16 {
        listeners[0].local_addr().unwrap().port()
    }

    #[test]
    fn an_address_is_listened_on_as_it_is() {
        let listeners = bind("127.0.0.1", 0).unwrap();
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].local_addr().unwrap().ip().to_string(), "127.0.0.1");
        TcpStream::connect(("127.0.0.1", port_of(&listeners))).unwrap();
    }

    #[test]
    fn the_ipv6_wildcard_takes_ipv4_too() {
        let Ok(listeners) = bind("[::]", 0) else {
            return; // No IPv6 on this machine.
        };
        TcpStream::connect(("127.0.0.1", port_of(&listeners))).unwrap();
    }

    #[test]
    fn all_addresses_of_a_name_share_one_port() {
        let listeners = bind("localhost", 0).unwrap();
        let port = port_of(&listeners);
        assert!(port != 0 && listeners.iter().all(|l| l.local_addr().unwrap().port() == port));
    }

    #[test]
    fn another_port_is_opened_on_the_same_addresses() {
        let own = bind("127.0.0.1", 0).unwrap()[0].local_addr().unwrap();
        let beside = bind_beside(&[own], 0).unwrap();
        assert_eq!(beside[0].local_addr().unwrap().ip(), own.ip());
        // All addresses of one family: all of both.
        let beside = bind_beside(&[SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 1)], 0).unwrap();
        TcpStream::connect(("127.0.0.1", port_of(&beside))).unwrap();
        let taken = port_of(&beside);
        assert!(
            bind_beside(&[own], taken).unwrap_err().to_string().contains("another process listens there")
        );
    }

    #[test]
    fn errors_tell_the_cause_and_the_cure() {
        let taken = bind("127.0.0.1", 0).unwrap();
        let port = port_of(&taken);
        assert_eq!(
            bind("127.0.0.1", port).unwrap_err().to_string(),
            format!(
                "cannot listen on host \"127.0.0.1\" port {port}: another process listens there; stop it or choose another port"
            )
        );
        assert_eq!(
            bind("192.0.2.1", 9998).unwrap_err().to_string(),
            "cannot listen on host \"192.0.2.1\" port 9998: this machine does not have the address; give one that it has, or 0.0.0.0 for all"
        );
        let unknown = bind("no host\n", 1).unwrap_err().to_string();
        assert!(
            unknown.starts_with("cannot listen on host \"no host\\n\" port 1: the name has no address (")
        );
        let refused = BindError {
            host: "h".into(),
            port: 443,
            cause: Cause::Bind(io::Error::from_raw_os_error(libc::EACCES)),
        };
        assert_eq!(
            refused.to_string(),
            "cannot listen on host \"h\" port 443: ports below 1024 need a privilege; choose a higher one or grant CAP_NET_BIND_SERVICE"
        );
    }
}
