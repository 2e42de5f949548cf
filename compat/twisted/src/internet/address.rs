//! Twisted's `twisted.internet.address`.

#[doc(inline)]
pub use twistor::address::{Address, InvalidAddressError};

/// One type for both: an [`Address`] tells its family by [`as_inet`](Address::as_inet).
#[doc(inline)]
pub use twistor::Address as IPv4Address;
/// One type for both: an [`Address`] tells its family by [`as_inet`](Address::as_inet).
#[doc(inline)]
pub use twistor::Address as IPv6Address;
