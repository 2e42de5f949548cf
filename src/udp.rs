//! UDP ports.

use crate::{
    address::{Address, InvalidAddressError, interface},
    defer::{Deferred, Promise, fire_all, record::Role},
    error::{CannotListenError, MessageLengthError, NotListeningError},
    failure::{Failure, Result},
    protocol::{
        Context, DatagramContext, DatagramProtocol, DatagramTransport, Multicast, MulticastInterface, Port,
        Slot,
        socket::{Handle, Interest, OwnedSocket},
    },
    reactor::{
        Reactor,
        core::{Core, Socket},
        driver::{Bind, Interface, Membership, OptionName, Ready, SocketOption},
    },
    snapshot::{Entry, Kind, here::Birth},
    trace::Place,
};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    panic::Location,
    rc::{Rc, Weak},
    task::Waker,
};

/// Where and how to open a UDP port; for [`listen_udp`](Reactor::listen_udp).
///
/// # Examples
/// ```
/// use twistor::udp::UdpListen;
/// let at = UdpListen::port(9999).interface("127.0.0.1").max_packet_size(1500);
/// # let _ = at;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is listened with"]
pub struct UdpListen {
    interface: String,
    port: u16,
    max_packet_size: usize,
    multiple: bool,
}

/// The longest datagram that is received whole, in bytes, if the caller does not say; Twisted's.
const MAX_PACKET_SIZE: usize = 8192;
/// At most so many datagrams for one event, so that one port's flood does not starve the others.
const DATAGRAMS: usize = 64;

impl UdpListen {
    /// A port on all of IPv4; 0 for any.
    pub fn port(port: u16) -> UdpListen {
        UdpListen { interface: String::new(), port, max_packet_size: MAX_PACKET_SIZE, multiple: false }
    }

    /// On this interface alone: the literal address of one. Empty for all of IPv4.
    pub fn interface(mut self, interface: impl Into<String>) -> UdpListen {
        self.interface = interface.into();
        self
    }

    /// The longest datagram that is received whole, in bytes; longer ones are cut. 8,192 if not set, at most 65,536.
    #[doc(alias = "maxPacketSize")]
    pub fn max_packet_size(mut self, bytes: usize) -> UdpListen {
        self.max_packet_size = bytes;
        self
    }

    /// Whether several may listen on the port, as is usual for multicast.
    #[doc(alias = "listenMultiple")]
    #[doc(alias = "listenMulticast")]
    pub fn listen_multiple(mut self, on: bool) -> UdpListen {
        self.multiple = on;
        self
    }

    fn resolve(&self) -> Result<Bind, InvalidAddressError> {
        let at = SocketAddr::new(interface(&self.interface)?, self.port);
        Ok(Bind { at, reuse_address: self.multiple, reuse_port: self.multiple })
    }
}

impl From<u16> for UdpListen {
    fn from(port: u16) -> UdpListen {
        UdpListen::port(port)
    }
}

impl From<(&str, u16)> for UdpListen {
    fn from((interface, port): (&str, u16)) -> UdpListen {
        UdpListen::port(port).interface(interface)
    }
}

impl From<&Address> for UdpListen {
    fn from(address: &Address) -> UdpListen {
        match address {
            Address::Inet(address) => UdpListen::from(*address),
            // It is refused where it is looked at, by its text.
            Address::Unix(_) | Address::Pipe => UdpListen::port(0).interface(address.to_string()),
        }
    }
}

impl From<SocketAddr> for UdpListen {
    fn from(address: SocketAddr) -> UdpListen {
        UdpListen::port(address.port()).interface(address.ip().to_string())
    }
}

/// Twisted's `IReactorUDP` and `IReactorMulticast`.
impl Reactor {
    /// Opens a UDP port for a protocol, whose `start_protocol` is called inside.
    ///
    /// What is given reaches the protocol from outside, and is its transport.
    ///
    /// # Errors
    /// [`CannotListenError`] if the port is in use or needs a privilege; [`InvalidAddressError`] for a text that is no address.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Address, DatagramContext, DatagramProtocol, Reactor, error::CannotListenError};
    /// struct Ignore;
    /// impl DatagramProtocol for Ignore {
    ///     fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
    /// }
    /// let reactor = Reactor::new()?;
    /// let port = reactor.listen_udp(("127.0.0.1", 0), Ignore)?;
    /// let taken = port.get_host()?.as_inet().expect("it is UDP");
    /// assert!(reactor.listen_udp(taken, Ignore).unwrap_err().check::<CannotListenError>());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "listenUDP")]
    #[track_caller]
    pub fn listen_udp<P: DatagramProtocol>(
        &self,
        at: impl Into<UdpListen>,
        protocol: P,
    ) -> Result<DatagramContext<P>> {
        let options = at.into();
        let bind = options.resolve()?;
        let birth = Birth::at(Location::caller());
        let cannot = |error| CannotListenError::new(bind.at.to_string(), error);
        let handle = self.core.driver.bind(&bind).map_err(cannot)?;
        let port =
            UdpPort::new(&self.core, handle, bind.at.is_ipv6(), options.max_packet_size, birth, protocol);
        Ok(port.open(&self.core).map_err(cannot)?)
    }
}

struct UdpPort<P: DatagramProtocol> {
    this: Weak<UdpPort<P>>,
    core: Rc<Core>,
    state: Cell<State>,
    socket: OwnedSocket,
    slot: Slot<P, DatagramTransport>,
    ipv6: bool,
    connected: Cell<bool>,
    /// Calls of the protocol wait: no datagram comes before them.
    held: Cell<bool>,
    max_packet_size: usize,
    /// Who waits until the system takes datagrams again.
    writer: Cell<Option<Waker>>,
    /// Who waits for the end.
    stopping: RefCell<Vec<Promise<()>>>,
    birth: Birth,
}

/// How far a port is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The socket is closed; `stop_protocol` is still to return.
    Stopping,
    Stopped,
}

impl<P: DatagramProtocol> UdpPort<P> {
    fn new(
        core: &Rc<Core>,
        handle: Handle,
        ipv6: bool,
        max_packet_size: usize,
        birth: Birth,
        protocol: P,
    ) -> Rc<UdpPort<P>> {
        Rc::new_cyclic(|this| UdpPort {
            this: this.clone(),
            core: core.clone(),
            state: Cell::new(State::Open),
            socket: handle.into(),
            slot: Slot::new(protocol),
            ipv6,
            connected: Cell::new(false),
            held: Cell::new(false),
            max_packet_size,
            writer: Cell::new(None),
            stopping: RefCell::default(),
            birth,
        })
    }

    /// If it cannot be watched, the protocol is told nothing.
    fn open(self: &Rc<Self>, core: &Rc<Core>) -> io::Result<DatagramContext<P>> {
        core.add(&self.socket, self.clone());
        core.watch(&self.socket, Interest::READ).inspect_err(|_| core.close_socket(&self.socket))?;
        let cx = Context::of(&DatagramTransport(self.clone()));
        self.slot.enter(&cx, "start_protocol", |protocol, cx| protocol.start_protocol(cx));
        Ok(cx)
    }

    fn context(&self) -> Option<DatagramContext<P>> {
        let port = self.this.upgrade()?;
        Some(Context::of(&DatagramTransport(port)))
    }

    /// The reactor, while it is open.
    #[inline]
    fn core(&self) -> Result<&Rc<Core>> {
        if self.state.get() == State::Open { Ok(&self.core) } else { Err(not_listening()) }
    }

    /// Gives what has come, in rows: a row ends when calls of the protocol wait, which come before the next datagram.
    fn receive(&self, core: &Core, cx: &DatagramContext<P>) {
        let mut buffer = core.buffer();
        let room = self.max_packet_size.min(buffer.bytes.len());
        let buffer = &mut buffer.bytes[..room];
        let mut tries = 0..DATAGRAMS;
        while self.receive_row(core, cx, buffer, &mut tries) && !self.held.get() {}
    }

    /// Gives datagrams with the protocol lent once. Whether there may be more.
    fn receive_row(
        &self,
        core: &Core,
        cx: &DatagramContext<P>,
        buffer: &mut [u8],
        tries: &mut Range<usize>,
    ) -> bool {
        let (mut from, mut more) = (Address::Pipe, false);
        self.slot.enter_row(cx, "datagram_received", |protocol, cx| {
            more = tries.next().is_some();
            if !more {
                return false;
            }
            match self.socket.with(|handle| core.driver.receive_from(handle, buffer, &mut from)) {
                Ok(length) => protocol.datagram_received(cx, &buffer[..length], &from),
                Err(error) => more = self.not_received(error),
            }
            more
        });
        more
    }

    /// Whether there may be a datagram all the same.
    #[cold]
    fn not_received(&self, error: io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => false,
            io::ErrorKind::ConnectionRefused => {
                self.refused();
                true
            }
            _ => {
                tracing::warn!("a datagram was not received: {error}");
                false
            }
        }
    }

    /// Has the driver tell of what is waited for: datagrams, unless it is held, and room for one.
    fn watch(&self, core: &Core) -> io::Result<()> {
        let writer = self.writer.take();
        let waits = writer.is_some();
        self.writer.set(writer);
        core.watch(&self.socket, Interest { read: !self.held.get(), write: waits })
    }

    /// The peer has no such port open. Only a connected port can tell whose refusal it is.
    fn refused(&self) {
        if let Some(cx) = self.context().filter(|_| self.connected.get()) {
            self.slot.event(&cx, "connection_refused", P::connection_refused);
        }
    }

    #[inline]
    fn check_family(&self, to: &SocketAddr) -> Result<(), InvalidAddressError> {
        if to.is_ipv6() == self.ipv6 { Ok(()) } else { Err(self.other_family(to)) }
    }

    #[cold]
    fn other_family(&self, to: &SocketAddr) -> InvalidAddressError {
        let advice = if self.ipv6 {
            "this port is of IPv6: send to such an address"
        } else {
            "this port is of IPv4: send to such an address"
        };
        InvalidAddressError::new(&to.to_string(), advice)
    }

    /// What the system said to a datagram that it did not take.
    #[cold]
    fn not_sent(&self, error: io::Error, data: &[u8], to: Option<&SocketAddr>) -> Result<()> {
        if !is_refused(&error) {
            return Err(told(error, data));
        }
        // Of an earlier datagram; this one has not been sent yet.
        let sent = self.socket.with(|handle| self.core.driver.send_to(handle, data, to));
        self.refused();
        match sent {
            Err(error) if !is_refused(&error) => Err(told(error, data)),
            _ => Ok(()),
        }
    }

    /// The socket closes now; the protocol is told when its running method has returned.
    fn close_socket(&self) {
        if self.state.get() != State::Open {
            return;
        }
        let Some(cx) = self.context() else { return };
        self.state.set(State::Stopping);
        self.wake_writer();
        self.core.close_socket(&self.socket);
        let port = self.this.clone();
        self.slot.lose(&cx, "stop_protocol", P::stop_protocol, move || {
            if let Some(port) = port.upgrade() {
                port.stopped();
            }
        });
    }

    /// Whether there was one who waited to send.
    fn wake_writer(&self) -> bool {
        let writer = self.writer.take();
        let waits = writer.is_some();
        writer.into_iter().for_each(Waker::wake);
        waits
    }

    fn stopped(&self) {
        self.state.set(State::Stopped);
        fire_all(self.stopping.take(), &Ok(()));
    }

    fn set_option(&self, option: SocketOption) -> io::Result<()> {
        let core = self.core().map_err(io::Error::from)?;
        self.socket.with(|handle| core.driver.set_option(handle, option))
    }

    fn option(&self, name: OptionName) -> io::Result<u32> {
        let core = self.core().map_err(io::Error::from)?;
        self.socket.with(|handle| core.driver.option(handle, name))
    }
}

impl<P: DatagramProtocol> Port for UdpPort<P> {
    fn slot(&self) -> &dyn Any {
        &self.slot
    }

    fn hold(&self) -> bool {
        let Ok(core) = self.core() else { return false };
        self.held.set(true);
        let _ = self.watch(core); // what is told all the same is not looked at while it is held
        core.hold(self.socket.token());
        true
    }

    fn send(&self, data: &[u8], to: Option<&SocketAddr>) -> Result<()> {
        let core = self.core()?;
        match to {
            Some(to) => self.check_family(to)?,
            None if self.connected.get() => {}
            None => {
                let advice = "this port is not connected: connect it first, or say where to with write_to";
                return Err(io::Error::new(io::ErrorKind::NotConnected, advice).into());
            }
        }
        match self.socket.with(|handle| core.driver.send_to(handle, data, to)) {
            Ok(_) => Ok(()),
            Err(error) => self.not_sent(error, data, to),
        }
    }

    fn connect(&self, to: SocketAddr) -> Result<()> {
        let core = self.core()?;
        self.check_family(&to)?;
        if self.connected.get() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "this port is connected; open another one",
            )
            .into());
        }
        self.socket.with(|handle| core.driver.connect_datagrams(handle, to))?;
        self.connected.set(true);
        Ok(())
    }

    fn local_address(&self) -> Result<Address> {
        let core = self.core()?;
        Ok(self.socket.with(|handle| core.driver.local_address(handle))?)
    }

    fn stop(&self, place: Place) -> Deferred<()> {
        if self.state.get() == State::Stopped {
            return Deferred::ready_at(Ok(()), place);
        }
        let (deferred, promise) = Deferred::pending_at(place);
        deferred.describe(Role::Chain, self.birth.serial);
        self.stopping.borrow_mut().push(promise);
        self.close_socket();
        deferred
    }

    fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.set_option(SocketOption::Broadcast(on))
    }

    fn broadcast(&self) -> io::Result<bool> {
        self.option(OptionName::Broadcast).map(|on| on != 0)
    }

    fn multicast(&self, what: Multicast) -> Result<()> {
        let membership = |group: IpAddr, on: Option<MulticastInterface>| Membership {
            group,
            interface: on.map(Interface::from),
        };
        Ok(self.set_option(match what {
            Multicast::Join(group, on) => SocketOption::Join(membership(group, on)),
            Multicast::Leave(group, on) => SocketOption::Leave(membership(group, on)),
            Multicast::Ttl(hops) => SocketOption::MulticastTtl(hops),
            Multicast::Loopback(on) => SocketOption::MulticastLoopback(on),
            Multicast::Interface(on) => SocketOption::MulticastInterface(on.into()),
        })?)
    }

    fn multicast_ttl(&self) -> io::Result<u32> {
        self.option(OptionName::MulticastTtl)
    }

    fn multicast_loopback(&self) -> io::Result<bool> {
        self.option(OptionName::MulticastLoopback).map(|on| on != 0)
    }

    fn when_writable(&self, waker: Waker) -> Result<()> {
        let core = self.core()?;
        self.writer.set(Some(waker));
        self.watch(core)?;
        core.wake_if_asleep();
        Ok(())
    }
}

impl From<MulticastInterface> for Interface {
    fn from(interface: MulticastInterface) -> Interface {
        match interface {
            MulticastInterface::Address(address) => Interface::Address(address),
            MulticastInterface::Index(index) => Interface::Index(index),
        }
    }
}

#[cold]
fn not_listening() -> Failure {
    NotListeningError::default().into()
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// The error as who sends is told of it.
fn told(error: io::Error, data: &[u8]) -> Failure {
    if is_too_long(&error) { MessageLengthError::new(data.len()).into() } else { error.into() }
}

fn is_too_long(error: &io::Error) -> bool {
    /// EMSGSIZE of Linux; std has no kind for it.
    const EMSGSIZE: i32 = 90;
    error.raw_os_error() == Some(EMSGSIZE)
}

impl<P: DatagramProtocol> Socket for UdpPort<P> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        if ready.write && self.wake_writer() {
            let _ = self.watch(core); // what is told too often is not looked at
        }
        let cx = Context::of(&DatagramTransport(self.clone()));
        self.receive(core, &cx);
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, core: &Rc<Core>) {
        self.held.set(false);
        let Some(cx) = self.context() else { return };
        if self.slot.run_waiting(&cx) && self.core().is_ok() && self.watch(core).is_err() {
            self.close_socket(); // it would be deaf for ever: its protocol is told that it has stopped
        }
    }

    fn close(self: Rc<Self>, _core: &Rc<Core>, _why: Failure) {
        self.close_socket();
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }

    fn entry(&self, core: &Core, now: u32) -> Option<Entry> {
        if self.state.get() != State::Open {
            return None;
        }
        let address = self.socket.with(|handle| core.driver.local_address(handle));
        let address = address.map_or("an unknown address".into(), |at| at.to_string());
        Some(Entry::of(&self.birth, Kind::Udp { address }, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, task::Wake, time::Duration};

    struct Quiet;

    impl DatagramProtocol for Quiet {
        fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
    }

    struct Stops;

    impl Wake for Stops {
        fn wake(self: Arc<Self>) {
            Reactor::current().stop().expect("it runs");
        }
    }

    /// Calls of the protocol that wait, and are made, leave the wait for room as it is.
    #[test]
    fn who_waits_for_room_is_told_though_calls_wait_too() {
        let reactor = Reactor::new().unwrap();
        let transport = reactor.listen_udp(("127.0.0.1", 0), Quiet).unwrap().transport();
        reactor.call_later(Duration::ZERO, move || {
            transport.0.when_writable(Arc::new(Stops).into()).unwrap();
            assert!(transport.0.hold());
        });
        let too_late = Rc::new(Cell::new(false));
        let late = too_late.clone();
        reactor.call_later(Duration::from_secs(10), move || {
            late.set(true);
            Reactor::current().stop().expect("it runs");
        });
        reactor.run_without_signal_handlers().unwrap();
        assert!(!too_late.get(), "nobody is told");
    }
}
