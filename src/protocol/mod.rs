//! The contracts of a connection: protocols, factories, transports.
//!
//! | file | idea |
//! |---|---|
//! | `stream` | [`Protocol`]: what a user writes for a stream |
//! | `datagram` | [`DatagramProtocol`]: what a user writes for datagrams |
//! | `process` | [`ProcessProtocol`]: what a user writes for a child process |
//! | `context` | [`Context`]: the connection, with the protocol's type; how a method becomes a callback |
//! | `slot` | [`Slot`]: the place of a protocol, never entered twice |
//! | `layer` | [`Layer`]: framers and policies between the two |
//! | `factory` | [`Factory`], [`ClientFactory`] |
//! | `connector` | [`Connector`] |
//! | `reconnecting` | [`ReconnectingClientFactory`] |
//! | `transport` | [`Transport`]: what a protocol may ask |
//! | `upcalls` | what every carrier of bytes tells the layers of its connection |
//! | `filter` | what changes the bytes below a transport: TLS |
//! | `wire` | the state behind a transport, without I/O; beside it what few have, what filters make of it, and the world below |
//! | `delimiter` | what ends the pieces of a stream |
//! | `passing` | descriptors on their way out, in their places among the bytes |
//! | `producer`, `data` | [`Producer`], and what can be written |
//! | `socket` | what a transport has of the world below |
//! | `spare` | the vectors that go round |

mod connector;
mod context;
pub(crate) mod data;
mod datagram;
mod delimiter;
mod factory;
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only filter"))]
pub(crate) mod filter;
mod layer;
pub(crate) mod passing;
mod process;
mod producer;
mod reconnecting;
mod slot;
pub(crate) mod socket;
pub(crate) mod spare;
mod stream;
pub(crate) mod transport;
pub(crate) mod upcalls;
pub(crate) mod wire;

pub use connector::{Connector, ConnectorState, Connects};
pub(crate) use context::sealed as carrier;
pub use context::{Carrier, Context};
pub use data::Data;
pub use datagram::{DatagramContext, DatagramProtocol, DatagramTransport, MulticastInterface};
pub(crate) use datagram::{Multicast, Port};
pub(crate) use delimiter::Delimiter;
pub use factory::{Accept, ClientFactory, Factory, factory, for_protocol};
pub(crate) use factory::{LayerOf, build};
pub(crate) use layer::Asked;
pub use layer::{HasProtocol, IntoLayer, Layer, boxed};
pub(crate) use process::{Child, Which, exited_already};
pub use process::{ProcessContext, ProcessProtocol, ProcessTransport, SignalId};
pub use producer::Producer;
pub use reconnecting::{ReconnectingClientFactory, Reconnection};
pub use slot::Slot;
pub use stream::Protocol;
pub use transport::Transport;
