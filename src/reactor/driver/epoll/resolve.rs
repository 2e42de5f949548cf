//! Names, by the system's resolver in a thread of the `blocking` pool.

use crate::reactor::driver::Resolving;
use std::{
    future, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

/// The addresses of `host`, in the order that getaddrinfo gives. An address is its own answer, without a thread.
/// A lookup begins at once and cannot be stopped, only left: getaddrinfo has its own timeout.
pub(super) fn resolve(host: &str, port: u16) -> Resolving {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Box::pin(future::ready(Ok(vec![SocketAddr::new(address, port)])));
    }
    let host = host.to_owned();
    Box::pin(blocking::unblock(move || look_up(&host, port)))
}

/// Whatever goes wrong is of the kind NotFound, with the resolver's text: the standard library gives the failures of
/// getaddrinfo no kind of their own.
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found =
        (host, port).to_socket_addrs().map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}
