//! Datagrams between a socket and a protocol, whatever the family of the socket.

use super::complaint::Complaint;
use crate::{
    address::{Address, InvalidAddressError},
    defer::{Deferred, Promise, fire_all, record::Role},
    error::{MessageLengthError, NotListeningError},
    failure::{Failure, Result},
    protocol::{
        Context, DatagramContext, DatagramProtocol, DatagramTransport, Multicast, MulticastInterface, Port,
        Slot,
        socket::{Handle, Interest, OwnedSocket},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Interface, Membership, OptionName, Ready, SocketOption},
    },
    snapshot::{Entry, Kind, here::Birth},
    trace::Place,
};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    net::IpAddr,
    ops::Range,
    rc::{Rc, Weak},
    task::Waker,
};

/// At most so many datagrams for one event, so that one port's flood does not starve the others.
const DATAGRAMS: usize = 64;

/// What differs between the families of addresses.
pub(crate) trait Family: 'static {
    /// Whether a refusal that a send is told of is an earlier datagram's, for which the network has said so since.
    const REFUSES_LATE: bool;
    /// An address of that family.
    type To;

    /// The address, if it is of this family.
    fn of<'a>(&self, address: &'a Address) -> Result<&'a Self::To, InvalidAddressError>;
    /// Takes one datagram.
    fn receive_from(core: &Core, handle: &Handle, buffer: &mut [u8], from: &mut Address)
    -> io::Result<usize>;
    /// Sends one; to None on a connected port.
    fn send_to(core: &Core, handle: &Handle, data: &[u8], to: Option<&Self::To>) -> io::Result<usize>;
    /// Makes `to` the only peer.
    fn connect(core: &Core, handle: &Handle, to: &Self::To) -> io::Result<()>;
    /// The socket is about to be closed.
    fn closes(&self) {}
}

pub(crate) struct DatagramPort<F: Family, P: DatagramProtocol> {
    this: Weak<DatagramPort<F, P>>,
    core: Rc<Core>,
    state: Cell<State>,
    socket: OwnedSocket,
    slot: Slot<P, DatagramTransport>,
    family: F,
    connected: Cell<bool>,
    /// Calls of the protocol wait: no datagram comes before them.
    held: Cell<bool>,
    max_packet_size: usize,
    /// Who waits until the system takes datagrams again.
    writer: Cell<Option<Waker>>,
    /// That it cannot receive.
    complaint: Complaint,
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

impl<F: Family, P: DatagramProtocol> DatagramPort<F, P> {
    pub(crate) fn new(
        core: &Rc<Core>,
        handle: Handle,
        family: F,
        max_packet_size: usize,
        birth: Birth,
        protocol: P,
    ) -> Rc<DatagramPort<F, P>> {
        Rc::new_cyclic(|this| DatagramPort {
            this: this.clone(),
            core: core.clone(),
            state: Cell::new(State::Open),
            socket: handle.into(),
            slot: Slot::new(protocol),
            family,
            connected: Cell::new(false),
            held: Cell::new(false),
            max_packet_size,
            writer: Cell::new(None),
            complaint: Complaint::default(),
            stopping: RefCell::default(),
            birth,
        })
    }

    /// If it cannot be watched, the protocol is told nothing.
    pub(crate) fn open(self: &Rc<Self>, core: &Rc<Core>) -> io::Result<DatagramContext<P>> {
        core.add(&self.socket, self.clone());
        core.watch(&self.socket, Interest::READ).inspect_err(|_| {
            self.family.closes();
            core.close_socket(&self.socket);
        })?;
        let cx = Context::of(&DatagramTransport(self.clone()));
        self.slot.enter(&cx, "start_protocol", |protocol, cx| protocol.start_protocol(cx));
        Ok(cx)
    }

    /// Before it is open: if there is no such peer, it is closed again.
    pub(crate) fn connect_first(&self, to: &Address) -> io::Result<()> {
        self.connect(to).map_err(io::Error::from).inspect_err(|_| {
            self.family.closes();
            self.core.close_socket(&self.socket);
        })
    }

    /// Before it is open: its socket has a peer.
    pub(crate) fn is_connected_already(&self) {
        self.connected.set(true);
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
            match self.socket.with(|handle| F::receive_from(core, handle, buffer, &mut from)) {
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
                if self.complaint.is_due(self.core.now()) {
                    tracing::warn!("a datagram was not received: {error}");
                }
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

    /// What the system said to a datagram that it did not take.
    #[cold]
    fn not_sent(&self, error: io::Error, data: &[u8], to: Option<&F::To>) -> Result<()> {
        if !(is_refused(&error) && F::REFUSES_LATE) {
            return Err(told(error, data));
        }
        // Of an earlier datagram; this one has not been sent yet.
        let sent = self.socket.with(|handle| F::send_to(&self.core, handle, data, to));
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
        self.family.closes();
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

impl<F: Family, P: DatagramProtocol> Port for DatagramPort<F, P> {
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

    fn send(&self, data: &[u8], to: Option<&Address>) -> Result<()> {
        let core = self.core()?;
        let to = match to {
            Some(to) => Some(self.family.of(to)?),
            None if self.connected.get() => None,
            None => {
                let advice = "this port is not connected: connect it first, or say where to with write_to";
                return Err(io::Error::new(io::ErrorKind::NotConnected, advice).into());
            }
        };
        match self.socket.with(|handle| F::send_to(core, handle, data, to)) {
            Ok(_) => Ok(()),
            Err(error) => self.not_sent(error, data, to),
        }
    }

    fn connect(&self, to: &Address) -> Result<()> {
        let core = self.core()?;
        let to = self.family.of(to)?;
        if self.connected.get() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "this port is connected; open another one",
            )
            .into());
        }
        self.socket.with(|handle| F::connect(core, handle, to))?;
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

impl<F: Family, P: DatagramProtocol> Socket for DatagramPort<F, P> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        if ready.write && self.wake_writer() {
            if self.state.get() != State::Open {
                return; // who waited has stopped it
            }
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
