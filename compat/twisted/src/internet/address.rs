//! Twisted's `twisted.internet.address`.

pub use twistor::address::{Address, InvalidAddressError};

/// One type for both: an [`Address`] tells its family by [`as_inet`](Address::as_inet).
pub use twistor::Address as IPv4Address;
/// One type for both: an [`Address`] tells its family by [`as_inet`](Address::as_inet).
pub use twistor::Address as IPv6Address;
