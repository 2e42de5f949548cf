//! The addresses of a world: all are of one machine, which has those that were named, and the loopback.

use rustix::io::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The ports that are given to those who ask for any; those of Linux.
const ANY: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Each has ports of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

pub(super) struct Addresses {
    names: BTreeMap<String, Vec<IpAddr>>,
    here: BTreeSet<IpAddr>,
    next: [u16; 2],
}

impl Default for Addresses {
    fn default() -> Addresses {
        let localhost = vec![Ipv4Addr::LOCALHOST.into()];
        Addresses {
            names: BTreeMap::from([("localhost".to_string(), localhost)]),
            here: BTreeSet::new(),
            next: [*ANY.start(); 2],
        }
    }
}

impl Addresses {
    /// A name has these addresses, which are there from now on.
    pub(super) fn name(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.here.extend(&addresses);
        self.names.insert(name.to_lowercase(), addresses);
    }

    /// Whatever goes wrong is of the kind NotFound.
    pub(super) fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.names.get(&name.to_lowercase()).filter(|addresses| !addresses.is_empty());
        let addresses = addresses.ok_or_else(|| {
            let advice = format!("the simulation has no host {name:?}: give it one with Simulation::host");
            io::Error::new(io::ErrorKind::NotFound, advice)
        })?;
        Ok(addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect())
    }

    /// Whether there is such an address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() || address.is_unspecified() || self.here.contains(&address)
    }

    /// To connect to no address in particular is to connect to the loopback; one of IPv4 in the dress of IPv6 is one of IPv4.
    pub(super) fn normal(&self, to: SocketAddr) -> SocketAddr {
        let ip = match to.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, to.port())
    }

    /// The sender's address of what is sent there by a socket at any address.
    pub(super) fn source(&self, to: SocketAddr, port: u16) -> SocketAddr {
        let ip = match to.ip() {
            ip if self.has(ip) => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, port)
    }

    /// The address to be bound, with a port that is free if any will do.
    pub(super) fn bind(
        &mut self,
        protocol: Protocol,
        at: SocketAddr,
        is_taken: impl Fn(SocketAddr) -> bool,
    ) -> io::Result<SocketAddr> {
        if !self.has(at.ip()) && !at.ip().is_multicast() {
            return Err(Errno::ADDRNOTAVAIL.into());
        }
        if at.port() != 0 {
            return if is_taken(at) { Err(Errno::ADDRINUSE.into()) } else { Ok(at) };
        }
        let next = &mut self.next[protocol as usize];
        for _ in ANY {
            let at = SocketAddr::new(at.ip(), *next);
            *next = if next == ANY.end() { *ANY.start() } else { *next + 1 };
            if !is_taken(at) {
                return Ok(at);
            }
        }
        Err(Errno::ADDRINUSE.into())
    }
}

/// Of all, or of the loopback's network.
pub(super) fn is_broadcast(address: IpAddr) -> bool {
    address == Ipv4Addr::BROADCAST || address == Ipv4Addr::new(127, 255, 255, 255)
}

/// Whether both cannot have the same port: any address takes in the others, that of IPv6 those of IPv4 too.
pub(super) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let takes_in = |any: IpAddr, other: IpAddr| any.is_unspecified() && (any.is_ipv6() || other.is_ipv4());
    one == other || takes_in(one, other) || takes_in(other, one)
}

/// How well what is bound at `at` fits what is sent `to`: 0 if it is the very address, 1 if it is any.
pub(super) fn rank(at: SocketAddr, to: SocketAddr) -> Option<u8> {
    if at.port() != to.port() {
        return None;
    }
    if at.ip() == to.ip() {
        return Some(0);
    }
    (at.ip().is_unspecified() && overlap(at.ip(), to.ip())).then_some(1)
}

/// An address as a socket sees it: one of IPv6 sees those of IPv4 in a dress.
pub(super) fn seen(address: SocketAddr, by_six: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if by_six => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}
