//! Where to listen, where to connect to, and how.

use crate::{
    address::{Address, InvalidAddressError, interface},
    reactor::driver::Listen,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Where and how to listen; for [`listen_tcp`](crate::Reactor::listen_tcp).
///
/// # Examples
/// ```
/// use twistor::tcp::TcpListen;
/// let at = TcpListen::port(8007).interface("::1").backlog(128);
/// # let _ = at;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is listened with"]
pub struct TcpListen {
    at: At,
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    pub(super) no_delay: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Interface(String, u16),
    Address(SocketAddr),
    /// Of another kind, which is refused where it is asked for.
    Invalid(InvalidAddressError),
}

/// How many connections may wait to be accepted, where the caller does not say; the kernel cuts it to `somaxconn`. Twisted has 50 and the standard library 128: a burst
/// overflows those, and each connection that is dropped comes back a second later.
const BACKLOG: u32 = 4096;

impl TcpListen {
    /// A port on all of IPv4.
    pub fn port(port: u16) -> TcpListen {
        TcpListen::at(At::Interface(String::new(), port))
    }

    fn at(at: At) -> TcpListen {
        TcpListen { at, backlog: BACKLOG, reuse_address: true, reuse_port: false, no_delay: false }
    }

    /// On this interface alone: the literal address of one, such as `127.0.0.1` or `::1`. Empty for all of IPv4.
    pub fn interface(mut self, interface: impl Into<String>) -> TcpListen {
        let port = match self.at {
            At::Interface(_, port) => port,
            At::Address(address) => address.port(),
            At::Invalid(_) => return self,
        };
        self.at = At::Interface(interface.into(), port);
        self
    }

    /// How many connections may wait to be accepted. 4,096 if not set.
    pub fn backlog(mut self, connections: u32) -> TcpListen {
        self.backlog = connections;
        self
    }

    /// Whether a port may be listened on again while connections of a former listener linger (SO_REUSEADDR). True if not set.
    pub fn reuse_address(mut self, on: bool) -> TcpListen {
        self.reuse_address = on;
        self
    }

    /// Whether several listeners share the port, each of which gets a part of the connections (SO_REUSEPORT).
    pub fn reuse_port(mut self, on: bool) -> TcpListen {
        self.reuse_port = on;
        self
    }

    /// Whether the connections that it accepts send small pieces at once (TCP_NODELAY), as
    /// [`set_tcp_no_delay`](crate::Transport::set_tcp_no_delay) has one do. They inherit it of the port, so it costs none of them a system call. False if not
    /// set.
    pub fn no_delay(mut self, on: bool) -> TcpListen {
        self.no_delay = on;
        self
    }

    pub(super) fn resolve(&self) -> Result<Listen, InvalidAddressError> {
        let at = match &self.at {
            At::Interface(text, port) => SocketAddr::new(interface(text)?, *port),
            At::Address(address) => *address,
            At::Invalid(error) => return Err(error.clone()),
        };
        let TcpListen { backlog, reuse_address, reuse_port, .. } = *self;
        Ok(Listen { at, backlog, reuse_address, reuse_port })
    }
}

impl From<u16> for TcpListen {
    fn from(port: u16) -> TcpListen {
        TcpListen::port(port)
    }
}

impl From<SocketAddr> for TcpListen {
    fn from(address: SocketAddr) -> TcpListen {
        TcpListen::at(At::Address(address))
    }
}

impl From<&Address> for TcpListen {
    fn from(address: &Address) -> TcpListen {
        match address {
            Address::Inet(address) => TcpListen::from(*address),
            Address::Unix(_) | Address::Pipe => {
                let advice = "TCP has a host and port; at a UNIX socket one listens with listen_unix";
                TcpListen::at(At::Invalid(InvalidAddressError::new(&address.to_string(), advice)))
            }
        }
    }
}

impl From<(&str, u16)> for TcpListen {
    fn from((interface, port): (&str, u16)) -> TcpListen {
        TcpListen::port(port).interface(interface)
    }
}

/// Where and how to connect; for [`connect_tcp`](crate::Reactor::connect_tcp).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::tcp::TcpConnect;
/// let to = TcpConnect::new("example.org", 80).timeout(Duration::from_secs(5));
/// # let _ = to;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is connected with"]
pub struct TcpConnect {
    pub(super) to: To,
    pub(super) timeout: Option<Duration>,
    pub(super) bind: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A name, which is looked up.
    Host(String, u16),
    Address(SocketAddr),
    /// Of another kind, which is refused where it is asked for.
    Invalid(InvalidAddressError),
}

/// How long an attempt may take, names included, if the caller does not say; Twisted's.
const TIMEOUT: Duration = Duration::from_secs(30);

impl TcpConnect {
    /// To a host, by name or literal address, and a port.
    pub fn new(host: impl Into<String>, port: u16) -> TcpConnect {
        let host = host.into();
        TcpConnect::to(match host.parse::<IpAddr>() {
            Ok(ip) => To::Address(SocketAddr::new(ip, port)),
            Err(_) => To::Host(host, port),
        })
    }

    fn to(to: To) -> TcpConnect {
        TcpConnect { to, timeout: Some(TIMEOUT), bind: None }
    }

    /// How long an attempt may take, the lookup of the name included. 30 seconds if not set.
    pub fn timeout(mut self, timeout: Duration) -> TcpConnect {
        self.timeout = Some(timeout);
        self
    }

    /// An attempt may take as long as the system lets it.
    pub fn no_timeout(mut self) -> TcpConnect {
        self.timeout = None;
        self
    }

    /// From this address of this machine; port 0 for any port.
    #[doc(alias = "bindAddress")]
    pub fn bind_address(mut self, address: SocketAddr) -> TcpConnect {
        self.bind = Some(address);
        self
    }

    pub(super) fn destination(&self) -> String {
        match &self.to {
            To::Host(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            To::Host(host, port) => format!("{host}:{port}"),
            To::Address(address) => address.to_string(),
            To::Invalid(error) => error.text().into(),
        }
    }
}

impl From<SocketAddr> for TcpConnect {
    fn from(address: SocketAddr) -> TcpConnect {
        TcpConnect::to(To::Address(address))
    }
}

impl From<&Address> for TcpConnect {
    fn from(address: &Address) -> TcpConnect {
        match address {
            Address::Inet(address) => TcpConnect::from(*address),
            Address::Unix(_) | Address::Pipe => {
                let advice = "TCP has a host and port; to a UNIX socket one connects with connect_unix";
                TcpConnect::to(To::Invalid(InvalidAddressError::new(&address.to_string(), advice)))
            }
        }
    }
}

impl From<(&str, u16)> for TcpConnect {
    fn from((host, port): (&str, u16)) -> TcpConnect {
        TcpConnect::new(host, port)
    }
}

impl From<(String, u16)> for TcpConnect {
    fn from((host, port): (String, u16)) -> TcpConnect {
        TcpConnect::new(host, port)
    }
}
