//! Where to listen, where to connect to, and how.

use crate::address::{Address, InvalidAddressError, UnixAddress};
use std::time::Duration;

/// What of the modes of a file is left to anybody, if the caller does not say; Twisted's.
const MODE: u32 = 0o666;
/// The longest datagram that is received whole, in bytes, if the caller does not say; Twisted's.
const MAX_PACKET_SIZE: usize = 8192;
/// How long an attempt may take if the caller does not say; Twisted's.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections may wait to be accepted, where the caller does not say; as for TCP. The kernel cuts it to `somaxconn`.
const BACKLOG: u32 = 4096;

/// The name of the socket. An address of another kind is refused where it is asked for.
type At = Result<UnixAddress, InvalidAddressError>;

/// Where and how to listen; for [`listen_unix`](crate::Reactor::listen_unix).
///
/// # Examples
/// ```
/// use twistor::unix::UnixListen;
/// let at = UnixListen::new("/run/echo.sock").mode(0o600).want_pid(true);
/// # let _ = at;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is listened with"]
pub struct UnixListen {
    pub(super) at: At,
    pub(super) mode: u32,
    pub(super) backlog: u32,
    pub(super) want_pid: bool,
}

impl UnixListen {
    /// At a path, or at an abstract name. Unnamed: at an abstract name that is free.
    pub fn new(at: impl Into<UnixAddress>) -> UnixListen {
        UnixListen { at: Ok(at.into()), mode: MODE, backlog: BACKLOG, want_pid: false }
    }

    /// The permissions of the socket's file, whatever the process's mask is: to connect, one must be allowed to write. 0o666 if not set.
    ///
    /// It has them before anybody can connect. An abstract name has none: anybody may connect who shares the network.
    pub fn mode(mut self, mode: u32) -> UnixListen {
        self.mode = mode & 0o777;
        self
    }

    /// How many connections may wait to be accepted. 4,096 if not set.
    pub fn backlog(mut self, connections: u32) -> UnixListen {
        self.backlog = connections;
        self
    }

    /// Whether a lock file, the path and `.lock`, says that somebody listens. A socket that was left behind is then removed; one that somebody listens at is not.
    /// False if not set; an abstract name, which leaves nothing behind, needs none.
    #[doc(alias = "wantPID")]
    pub fn want_pid(mut self, on: bool) -> UnixListen {
        self.want_pid = on;
        self
    }
}

/// Where and how to connect; for [`connect_unix`](crate::Reactor::connect_unix).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::unix::UnixConnect;
/// let to = UnixConnect::new("/run/echo.sock").timeout(Duration::from_secs(5));
/// # let _ = to;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is connected with"]
pub struct UnixConnect {
    pub(super) to: At,
    pub(super) timeout: Option<Duration>,
    pub(super) check_pid: bool,
}

impl UnixConnect {
    /// To a path, or to an abstract name.
    pub fn new(to: impl Into<UnixAddress>) -> UnixConnect {
        UnixConnect { to: Ok(to.into()), timeout: Some(TIMEOUT), check_pid: false }
    }

    /// How long an attempt may take. 30 seconds if not set. It takes no time, unless as many wait to be accepted as may.
    pub fn timeout(mut self, timeout: Duration) -> UnixConnect {
        self.timeout = Some(timeout);
        self
    }

    /// An attempt may take as long as it takes.
    pub fn no_timeout(mut self) -> UnixConnect {
        self.timeout = None;
        self
    }

    /// Whether it fails at once, with [`BadFile`](crate::error::ConnectErrorKind::BadFile), if nobody has the [lock file](UnixListen::want_pid).
    #[doc(alias = "checkPID")]
    pub fn check_pid(mut self, on: bool) -> UnixConnect {
        self.check_pid = on;
        self
    }
}

/// Where and how to open a socket of datagrams; for [`listen_unix_datagram`](crate::Reactor::listen_unix_datagram) and
/// [`connect_unix_datagram`](crate::Reactor::connect_unix_datagram).
///
/// # Examples
/// ```
/// use twistor::unix::UnixDatagrams;
/// let at = UnixDatagrams::new("/run/log.sock").mode(0o622);
/// # let _ = at;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is listened with"]
pub struct UnixDatagrams {
    pub(super) at: At,
    pub(super) mode: u32,
    pub(super) max_packet_size: usize,
}

impl UnixDatagrams {
    /// At a path, or at an abstract name. Unnamed: nobody can send to it, nor answer it.
    pub fn new(at: impl Into<UnixAddress>) -> UnixDatagrams {
        UnixDatagrams { at: Ok(at.into()), mode: MODE, max_packet_size: MAX_PACKET_SIZE }
    }

    /// The permissions of the socket's file: to send to it, one must be allowed to write. 0o666 if not set.
    pub fn mode(mut self, mode: u32) -> UnixDatagrams {
        self.mode = mode & 0o777;
        self
    }

    /// The longest datagram that is received whole, in bytes; longer ones are cut. 8,192 if not set, at most 65,536.
    #[doc(alias = "maxPacketSize")]
    pub fn max_packet_size(mut self, bytes: usize) -> UnixDatagrams {
        self.max_packet_size = bytes;
        self
    }
}

fn of(address: &Address, advice: &'static str) -> At {
    address.as_unix().cloned().ok_or_else(|| InvalidAddressError::new(&address.to_string(), advice))
}

macro_rules! places {
    ($($options:ident.$at:ident: $advice:literal),* $(,)?) => {$(
        impl From<UnixAddress> for $options {
            fn from(address: UnixAddress) -> $options {
                $options::new(address)
            }
        }

        impl From<&UnixAddress> for $options {
            fn from(address: &UnixAddress) -> $options {
                $options::new(address.clone())
            }
        }

        impl From<&Address> for $options {
            fn from(address: &Address) -> $options {
                $options { $at: of(address, $advice), ..$options::new("") }
            }
        }

        impl From<&str> for $options {
            fn from(path: &str) -> $options {
                $options::new(path)
            }
        }

        impl From<&std::path::Path> for $options {
            fn from(path: &std::path::Path) -> $options {
                $options::new(path)
            }
        }

        impl From<std::path::PathBuf> for $options {
            fn from(path: std::path::PathBuf) -> $options {
                $options::new(path)
            }
        }

        impl From<&std::path::PathBuf> for $options {
            fn from(path: &std::path::PathBuf) -> $options {
                $options::new(path)
            }
        }
    )*};
}

places! {
    UnixListen.at: "a UNIX socket has a path or a name; at a host and port one listens with listen_tcp",
    UnixConnect.to: "a UNIX socket has a path or a name; to a host and port one connects with connect_tcp",
    UnixDatagrams.at: "a UNIX socket has a path or a name; at a host and port one listens with listen_udp",
}
