//! [`DatagramProtocol`]: what a user writes for datagrams, and its transport.

use super::{Context, carrier};
use crate::{
    address::Address,
    defer::Deferred,
    failure::{Failure, Result},
    trace::Place,
};
use std::{
    any::{Any, TypeId},
    fmt, io,
    net::IpAddr,
    panic::Location,
    rc::Rc,
    task::Waker,
};

/// The context of a [`DatagramProtocol`].
pub type DatagramContext<P> = Context<P, DatagramTransport>;

/// The user's side of a UDP port, or of a UNIX socket of datagrams. Every method is optional.
///
/// A panic in a method is reported and the port stays open, as in Twisted: one bad datagram does not end a server.
///
/// # Examples
/// ```no_run
/// use twistor::{Address, DatagramContext, DatagramProtocol, Reactor};
/// struct Echo;
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
///         cx.write_to(data, from).unwrap_or_else(|error| println!("not sent: {error}"));
///     }
/// }
/// let reactor = Reactor::new()?;
/// reactor.listen_udp(9999, Echo)?;
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "ConnectedDatagramProtocol")]
pub trait DatagramProtocol: Sized + 'static {
    /// The port is open. Comes inside `listen_udp`.
    #[doc(alias = "startProtocol")]
    fn start_protocol(&mut self, cx: &DatagramContext<Self>) {
        let _ = cx;
    }

    /// A datagram came; it may be empty.
    #[doc(alias = "datagramReceived")]
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address);

    /// The peer of a connected port refused what was sent: nothing listens there. The port stays open.
    #[doc(alias = "connectionRefused")]
    fn connection_refused(&mut self, cx: &DatagramContext<Self>) {
        let _ = cx;
    }

    /// The port is closed. Comes last.
    #[doc(alias = "stopProtocol")]
    fn stop_protocol(&mut self, cx: &DatagramContext<Self>) {
        let _ = cx;
    }
}

/// What a UDP port does; a reactor's is one.
pub(crate) trait Port {
    fn slot(&self) -> &dyn Any;
    /// Many calls of the protocol wait: whether the port comes back for them, before any datagram.
    fn hold(&self) -> bool;
    fn send(&self, data: &[u8], to: Option<&Address>) -> Result<()>;
    fn connect(&self, to: &Address) -> Result<()>;
    fn local_address(&self) -> Result<Address>;
    fn stop(&self, place: Place) -> Deferred<()>;
    fn set_broadcast(&self, on: bool) -> io::Result<()>;
    fn broadcast(&self) -> io::Result<bool>;
    fn multicast(&self, what: Multicast) -> Result<()>;
    fn multicast_ttl(&self) -> io::Result<u32>;
    fn multicast_loopback(&self) -> io::Result<bool>;
    /// Wakes `waker` when the system takes datagrams again, or the port is stopped.
    fn when_writable(&self, waker: Waker) -> Result<()>;
}

/// What is asked of a port's multicast.
pub(crate) enum Multicast {
    Join(IpAddr, Option<MulticastInterface>),
    Leave(IpAddr, Option<MulticastInterface>),
    Ttl(u32),
    Loopback(bool),
    Interface(MulticastInterface),
}

/// How multicast names an interface: by address for IPv4 groups, by index for IPv6 ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MulticastInterface {
    /// The interface with this address.
    Address(std::net::Ipv4Addr),
    /// The interface with this number.
    Index(u32),
}

impl From<std::net::Ipv4Addr> for MulticastInterface {
    fn from(address: std::net::Ipv4Addr) -> MulticastInterface {
        MulticastInterface::Address(address)
    }
}

impl From<u32> for MulticastInterface {
    fn from(index: u32) -> MulticastInterface {
        MulticastInterface::Index(index)
    }
}

/// A UDP port, or a UNIX socket of datagrams, as its protocol sees it. A cheap handle that may be kept.
///
/// Sending is immediate: a datagram that the system does not take now is an error of the kind `WouldBlock`, not a queue.
#[derive(Clone)]
#[doc(alias = "IUDPTransport")]
#[doc(alias = "IMulticastTransport")]
#[doc(alias = "IUNIXDatagramTransport")]
#[doc(alias = "IUNIXDatagramConnectedTransport")]
pub struct DatagramTransport(pub(crate) Rc<dyn Port>);

impl DatagramTransport {
    /// Sends a datagram to an address.
    ///
    /// # Errors
    /// [`MessageLengthError`](crate::error::MessageLengthError) if it is too long,
    /// [`NotListeningError`](crate::error::NotListeningError) if the port was stopped, an address of the other family as
    /// [`InvalidAddressError`](crate::error::InvalidAddressError), else the system's. `NotFound` or `ConnectionRefused` of a UNIX socket: nobody is there.
    #[inline]
    pub fn write_to(&self, data: impl AsRef<[u8]>, to: &Address) -> Result<()> {
        self.0.send(data.as_ref(), Some(to))
    }

    /// Sends a datagram to the peer of a [connected](Self::connect) port.
    ///
    /// # Errors
    /// As [`write_to`](Self::write_to); `NotConnected` if it is not connected.
    pub fn write(&self, data: impl AsRef<[u8]>) -> Result<()> {
        self.0.send(data.as_ref(), None)
    }

    /// Connects the port: it then exchanges datagrams with this peer alone, and hears of refusals.
    ///
    /// # Errors
    /// The system's, also if it is connected already.
    pub fn connect(&self, to: impl Into<Address>) -> Result<()> {
        self.0.connect(&to.into())
    }

    /// The port's address.
    ///
    /// # Errors
    /// [`NotListeningError`](crate::error::NotListeningError) if it was stopped.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> Result<Address> {
        self.0.local_address()
    }

    /// Closes the port. The Deferred fires when `stop_protocol` has returned; a second call gives the same end.
    #[doc(alias = "stopListening")]
    #[doc(alias = "loseConnection")]
    #[track_caller]
    pub fn stop_listening(&self) -> Deferred<()> {
        self.0.stop(Location::caller())
    }

    /// Allows datagrams to broadcast addresses.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setBroadcastAllowed")]
    pub fn set_broadcast_allowed(&self, on: bool) -> io::Result<()> {
        self.0.set_broadcast(on)
    }

    /// Whether datagrams to broadcast addresses are allowed.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "getBroadcastAllowed")]
    pub fn broadcast_allowed(&self) -> io::Result<bool> {
        self.0.broadcast()
    }

    /// Joins a multicast group, on an interface or on the system's choice.
    ///
    /// # Errors
    /// The system's, such as for an address that is no group.
    #[doc(alias = "joinGroup")]
    pub fn join_group(&self, group: IpAddr, interface: Option<MulticastInterface>) -> Result<()> {
        self.0.multicast(Multicast::Join(group, interface))
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// The system's, such as for a group that was not joined.
    #[doc(alias = "leaveGroup")]
    pub fn leave_group(&self, group: IpAddr, interface: Option<MulticastInterface>) -> Result<()> {
        self.0.multicast(Multicast::Leave(group, interface))
    }

    /// How many hops outgoing multicast goes.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setTTL")]
    pub fn set_multicast_ttl(&self, hops: u32) -> Result<()> {
        self.0.multicast(Multicast::Ttl(hops))
    }

    /// How many hops outgoing multicast goes.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "getTTL")]
    pub fn multicast_ttl(&self) -> io::Result<u32> {
        self.0.multicast_ttl()
    }

    /// Whether outgoing multicast comes back to this machine.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setLoopbackMode")]
    pub fn set_multicast_loopback(&self, on: bool) -> Result<()> {
        self.0.multicast(Multicast::Loopback(on))
    }

    /// Whether outgoing multicast comes back to this machine.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "getLoopbackMode")]
    pub fn multicast_loopback(&self) -> io::Result<bool> {
        self.0.multicast_loopback()
    }

    /// On which interface outgoing multicast leaves.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setOutgoingInterface")]
    pub fn set_multicast_interface(&self, interface: impl Into<MulticastInterface>) -> Result<()> {
        self.0.multicast(Multicast::Interface(interface.into()))
    }
}

impl carrier::Carrier for DatagramTransport {
    fn find(&self, id: TypeId) -> Option<&dyn Any> {
        let slot = self.0.slot();
        (slot.type_id() == id).then_some(slot)
    }

    /// As in Twisted, the port stays open: the panic was reported.
    fn failed(&self, _why: Failure) {}

    fn hold(&self) -> bool {
        self.0.hold()
    }
}

impl fmt::Debug for DatagramTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramTransport").field("host", &self.get_host().ok()).finish()
    }
}
