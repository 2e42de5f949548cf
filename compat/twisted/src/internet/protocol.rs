//! Twisted's `twisted.internet.protocol`.
//!
//! What Python has as classes to inherit from are traits here, and `self.transport` is the [`Context`] that each method is given.

#[doc(inline)]
pub use twistor::{
    ClientFactory, Connector, Context, DatagramContext, DatagramProtocol, DatagramTransport, Factory,
    Producer, Protocol, ReconnectingClientFactory, Transport, factory, for_protocol,
};

/// One trait for both: see [`DatagramProtocol`].
#[doc(inline)]
pub use twistor::DatagramProtocol as ConnectedDatagramProtocol;
/// One trait for both: see [`Factory`].
#[doc(inline)]
pub use twistor::Factory as ServerFactory;
