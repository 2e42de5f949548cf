//! Why a socket was not adopted.

use crate::failure::Failure;
use std::{error::Error, fmt, os::fd::OwnedFd};

/// A socket was not adopted. It is given [back](Self::into_socket), where the reason was seen before the reactor had it.
#[derive(Debug)]
pub struct AdoptError {
    kind: AdoptErrorKind,
    socket: Option<OwnedFd>,
    cause: Option<Failure>,
}

/// The kinds of [`AdoptError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdoptErrorKind {
    /// It is no socket.
    NotASocket,
    /// It is of a family of addresses that is not served here.
    #[doc(alias = "UnsupportedAddressFamily")]
    AddressFamily,
    /// It is a socket of another type: of datagrams where a stream is wanted, or the other way round.
    #[doc(alias = "UnsupportedSocketType")]
    SocketType,
    /// It is a stream that does not listen.
    NotListening,
    /// It is a stream that is not connected.
    NotConnected,
    /// The reactor is a virtual one, which has no sockets of the system.
    Virtual,
    /// The system refused, or the factory failed; see the source.
    Failed,
}

impl AdoptError {
    pub(crate) fn new(kind: AdoptErrorKind, socket: OwnedFd) -> AdoptError {
        AdoptError { kind, socket: Some(socket), cause: None }
    }

    /// The socket was taken, and is closed.
    pub(crate) fn failed(cause: Failure) -> AdoptError {
        AdoptError { kind: AdoptErrorKind::Failed, socket: None, cause: Some(cause) }
    }

    pub(crate) fn because(cause: Failure, socket: OwnedFd) -> AdoptError {
        AdoptError { socket: Some(socket), ..AdoptError::failed(cause) }
    }

    /// Which kind of error it is.
    pub fn kind(&self) -> AdoptErrorKind {
        self.kind
    }

    /// The socket, as it was. None if it was adopted already, and is closed now.
    pub fn into_socket(self) -> Option<OwnedFd> {
        self.socket
    }
}

impl Error for AdoptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|failure| failure.error() as _)
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AdoptErrorKind::NotASocket => "this descriptor is no socket; watch it with add_reader and add_writer",
            AdoptErrorKind::AddressFamily => {
                "this socket is of a family that is not served here: take one of IPv4, IPv6 or UNIX, for datagrams of the first two"
            }
            AdoptErrorKind::SocketType => {
                "this socket is of another type: ports and connections are streams, and datagrams come to a datagram port"
            }
            AdoptErrorKind::NotListening => {
                "this socket does not listen: bind it and call listen() on it first, or adopt it as a connection"
            }
            AdoptErrorKind::NotConnected => {
                "this socket is not connected: connect it first, or adopt it as a port"
            }
            AdoptErrorKind::Virtual => {
                "a virtual reactor has no real sockets: give it to a reactor from Reactor::new"
            }
            AdoptErrorKind::Failed => "this socket could not be adopted",
        })
    }
}
