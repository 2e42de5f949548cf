//! Twisted's `twisted.protocols.basic`.
//!
//! The receivers are wrappers around a [`LineProtocol`], not base classes; what Python calls on `self` is called on the context, by [`LineControl`].

#[doc(inline)]
pub use twistor::protocols::basic::{LineControl, LineOnlyReceiver, LineProtocol, LineReceiver, MAX_LENGTH};
