//! [examples]: crate::manual::examples
//! [changelog]: crate::manual::changelog
//! [coming_from_twisted]: crate::manual::coming_from_twisted
//! [coming_from_async]: crate::manual::coming_from_async
//! [testing_a_protocol]: crate::manual::testing_a_protocol
//! [the_way_of_a_byte]: crate::manual::the_way_of_a_byte
//! [live_tree]: crate::manual::live_tree
//! [several_reactors]: crate::manual::several_reactors
//! [choosing_a_reactor]: crate::manual::choosing_a_reactor
//! [guarantees]: crate::manual::guarantees
//!
// The first definition of a link wins: here these lead to pages, in the README to files.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("twistor runs on Linux; kqueue and Windows are to come");

pub mod address;
mod adopt;
pub mod defer;
pub mod error;
pub mod failure;
pub mod fdset;
pub mod manhole;
pub mod manual;
pub mod names;
#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
pub mod planted;
pub mod process;
pub mod protocol;
pub mod protocols;
mod react;
pub mod reactor;
pub mod report;
pub mod snapshot;
mod sockets;
#[cfg(feature = "tls")]
mod ssl;
pub mod stdio;
pub mod stream;
pub mod systemd;
pub mod task;
pub mod tcp;
pub mod testing;
pub mod threads;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;
pub mod udp;
pub mod unix;
pub mod utils;

pub use address::Address;
pub use failure::{Failure, Result};
pub use protocol::{
    Accept, ClientFactory, Connector, Context, Data, DatagramContext, DatagramProtocol, DatagramTransport,
    Factory, HasProtocol, IntoLayer, Layer, ProcessContext, ProcessProtocol, ProcessTransport, Producer,
    Protocol, ReconnectingClientFactory, Reconnection, Slot, Transport, boxed, factory, for_protocol,
};
pub use react::react;
pub use reactor::Reactor;
pub use stream::{Stream, serve};
