//! Who is at the other end.

mod unix;

pub use unix::{Credentials, UnixAddress};

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// The address of a peer, a port or a connection.
///
/// Twisted's `IPv4Address`, `IPv6Address` and `UNIXAddress`. An IPv6 address keeps its scope.
///
/// # Examples
/// ```
/// use twistor::Address;
/// let here: Address = "127.0.0.1:8007".parse()?;
/// assert_eq!((here.host(), here.port()), ("127.0.0.1".to_string(), Some(8007)));
///
/// let error = "127.0.0.1".parse::<Address>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`127.0.0.1` is no address: write it as 127.0.0.1:8007, [::1]:8007 or unix:/run/it.sock",
/// );
/// # Ok::<(), twistor::address::InvalidAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Address {
    /// A host and a port of TCP or UDP.
    #[doc(alias = "IPv4Address")]
    #[doc(alias = "IPv6Address")]
    Inet(SocketAddr),
    /// The name of a UNIX socket.
    Unix(UnixAddress),
    /// An end that has no address of its own, such as that of a pipe.
    #[doc(alias = "PipeAddress")]
    Pipe,
}

impl Address {
    /// The host, without the port; of what has no host, its text.
    pub fn host(&self) -> String {
        match self {
            Address::Inet(address) => address.ip().to_string(),
            Address::Unix(_) | Address::Pipe => self.to_string(),
        }
    }

    /// The port, if this kind of address has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Inet(address) => Some(address.port()),
            Address::Unix(_) | Address::Pipe => None,
        }
    }

    /// As the standard library's type, if it is such an address.
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            Address::Unix(_) | Address::Pipe => None,
        }
    }

    /// As the name of a UNIX socket, if it is one.
    pub fn as_unix(&self) -> Option<&UnixAddress> {
        match self {
            Address::Unix(address) => Some(address),
            Address::Inet(_) | Address::Pipe => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Inet(address)
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Address {
        Address::Unix(address)
    }
}

impl FromStr for Address {
    type Err = InvalidAddressError;

    fn from_str(text: &str) -> Result<Address, InvalidAddressError> {
        if let Some(name) = text.strip_prefix("unix:") {
            return Ok(UnixAddress::of_text(name).into());
        }
        let advice = "write it as 127.0.0.1:8007, [::1]:8007 or unix:/run/it.sock";
        text.parse().map(Address::Inet).map_err(|_| InvalidAddressError::new(text, advice))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(address) => address.fmt(f),
            Address::Pipe => f.write_str("pipe"),
        }
    }
}

/// A text that is no address. It says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddressError {
    text: String,
    advice: &'static str,
}

impl InvalidAddressError {
    pub(crate) fn new(text: &str, advice: &'static str) -> InvalidAddressError {
        InvalidAddressError { text: text.into(), advice }
    }

    /// What was given.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Error for InvalidAddressError {}

impl fmt::Display for InvalidAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address: {}", self.text, self.advice)
    }
}

/// As an error of the system, where one is asked for.
pub(crate) fn invalid(error: &InvalidAddressError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.clone())
}

/// The interface to bind to: empty for every IPv4 interface, as in Twisted, else a literal address.
pub(crate) fn interface(text: &str) -> Result<IpAddr, InvalidAddressError> {
    if text.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let advice = "an interface is a literal address such as 127.0.0.1 or ::1, or empty for all of IPv4";
    bare.parse().map_err(|_| InvalidAddressError::new(text, advice))
}
