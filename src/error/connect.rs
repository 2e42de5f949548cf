//! Why a connection was not made.

use std::{error::Error, fmt, io};

plain! {
    /// The attempt to connect was given up by this side.
    UserError: "connecting was stopped by this side";
    /// `stop_connecting` on a connector that is not connecting.
    NotConnectingError: "not connecting; stop_connecting is for a connector in the state Connecting";
    /// `connect` on a connector that connects or is connected.
    AlreadyConnecting: "the connector is connecting or connected; wait for the connection to be lost, or call disconnect first";
    /// `retry` of a factory that has not been given a connector, or whose connector is gone.
    NoConnector: "there is no connector to retry; connect with this factory first";
}

/// Why a connection was not made.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    to: String,
    cause: Option<io::Error>,
}

/// The kinds of [`ConnectError`]; Twisted has a class for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The local address could not be bound.
    #[doc(alias = "ConnectBindError")]
    Bind,
    /// The name has no address.
    #[doc(alias = "DNSLookupError")]
    #[doc(alias = "UnknownHostError")]
    UnknownHost,
    /// There is no route to the network or host.
    #[doc(alias = "NoRouteError")]
    NoRoute,
    /// The peer refused: nothing listens there.
    #[doc(alias = "ConnectionRefusedError")]
    Refused,
    /// Of a UNIX socket: there is no such file, or nobody has the lock beside it though that was to be checked.
    #[doc(alias = "BadFileError")]
    BadFile,
    /// The system gave up waiting for the peer, or the timeout was over.
    #[doc(alias = "TCPTimedOutError")]
    TimedOut,
    /// Anything else; see the cause.
    Other,
}

impl ConnectError {
    pub(crate) fn new(
        kind: ConnectErrorKind,
        to: impl Into<String>,
        cause: Option<io::Error>,
    ) -> ConnectError {
        ConnectError { kind, to: to.into(), cause }
    }

    /// Which kind the system's error is. Twisted's `getConnectError`.
    pub(crate) fn from_system(to: impl Into<String>, cause: io::Error) -> ConnectError {
        let kind = match cause.kind() {
            io::ErrorKind::ConnectionRefused => ConnectErrorKind::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ConnectErrorKind::NoRoute,
            io::ErrorKind::TimedOut => ConnectErrorKind::TimedOut,
            io::ErrorKind::NotFound => ConnectErrorKind::BadFile,
            _ => ConnectErrorKind::Other,
        };
        ConnectError::new(kind, to, Some(cause))
    }

    /// Which kind of error it is.
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// What was to be connected to.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// What the system said, if it said something.
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|e| e as _)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = &self.to;
        match self.kind {
            ConnectErrorKind::Bind => {
                write!(
                    f,
                    "cannot connect to {to}: the bind address is not usable here; use an address of this machine"
                )
            }
            ConnectErrorKind::UnknownHost => {
                write!(
                    f,
                    "cannot connect to {to}: the name does not resolve; check its spelling and this machine's DNS"
                )
            }
            ConnectErrorKind::NoRoute => write!(f, "cannot connect to {to}: no route to it from here"),
            ConnectErrorKind::Refused => {
                write!(f, "cannot connect to {to}: refused; is a server listening there?")
            }
            ConnectErrorKind::BadFile => write!(f, "cannot connect to {to}: nobody listens there"),
            ConnectErrorKind::TimedOut => write!(f, "cannot connect to {to}: no answer in time"),
            ConnectErrorKind::Other => write!(f, "cannot connect to {to}"),
        }
    }
}

/// The addresses of a name could not be found.
#[derive(Debug)]
#[doc(alias = "DNSLookupError")]
pub struct DnsLookupError {
    name: String,
    cause: io::Error,
}

impl DnsLookupError {
    /// Of that name; the cause has the resolver's words, and the kind `NotFound`, or `TimedOut` if no answer came.
    pub fn new(name: impl Into<String>, cause: io::Error) -> DnsLookupError {
        DnsLookupError { name: name.into(), cause }
    }

    /// The name that was looked up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the resolver said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for DnsLookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for DnsLookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot look up {:?}", self.name)
    }
}
