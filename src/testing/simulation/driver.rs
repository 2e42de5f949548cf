//! The virtual driver: what a reactor asks of the world below it is asked of a [`World`] in memory.

use super::{
    network::{Key, Network},
    world::{Sleep, Sleeper, World},
};
use crate::{
    address::{Address, Credentials, UnixAddress},
    error::SimulationError,
    protocol::socket::{Handle, Interest, Token},
    reactor::driver::{
        Alarm, Bind, BindUnix, Driver, Listen, OptionName, Ready, Received, Refused, SocketOption,
    },
};
use std::{
    any::Any,
    cell::{Cell, RefMut},
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// So often a guest gives way before time goes on: async-executor polls up to 200 tasks, and tokio 61, before the future that it was given.
const YIELDS: u32 = 256;

pub(super) struct VirtualDriver {
    world: Rc<World>,
    number: usize,
    alarm: Arc<dyn Alarm>,
    /// How often, as a guest, it has given its host a turn since it last had something to do.
    yielded: Cell<u32>,
}

impl VirtualDriver {
    pub(super) fn new(world: Rc<World>, number: usize) -> VirtualDriver {
        let alarm = world.bells.alarm(number);
        VirtualDriver { world, number, alarm, yielded: Cell::default() }
    }

    /// Nothing runs while it is borrowed.
    fn network(&self) -> RefMut<'_, Network> {
        self.world.network.borrow_mut()
    }

    /// Takes what there is. Whether there is something.
    fn take(&self, ready: &mut Vec<Ready>) -> bool {
        self.world.wake_watchers();
        let before = ready.len();
        let mut network = self.network();
        ready.extend(network.ready(self.number));
        network.shuffle(self.number, &mut ready[before..]);
        drop(network);
        self.world.bells.hush(self.number) || ready.len() > before
    }

    /// As a guest: whatever else its host has is polled first.
    fn give_way<T>(&self, cx: &Context<'_>, deadline: Option<Instant>, yielded: u32) -> Poll<T> {
        self.yielded.set(yielded + 1);
        self.world.lie_down(self.number, deadline);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Driver for VirtualDriver {
    fn is_virtual(&self) -> bool {
        true
    }

    fn world(&self) -> Option<Rc<dyn Any>> {
        Some(self.world.clone())
    }

    fn seed(&self) -> u64 {
        self.world.another_seed()
    }

    fn now(&self) -> Instant {
        self.world.instant()
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.world.look().map_err(io::Error::other)?;
        if self.take(ready) || timeout == Some(Duration::ZERO) {
            return Ok(());
        }
        let until = timeout.and_then(|timeout| self.world.instant().checked_add(timeout));
        let sleep = || self.world.sleep(self.number, until, Sleeper::Alone).map_err(io::Error::other);
        while let Sleep::Never = sleep()? {
            self.world.wait_for_threads(Some(self.number)).map_err(io::Error::other)?;
        }
        self.take(ready);
        Ok(())
    }

    /// A guest does not know whether its host has more to do. It gives the host's other tasks their turn before time goes on, and never says that it sleeps for ever.
    fn poll_wait(&self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Result<()>> {
        let is_due = deadline.is_some_and(|deadline| deadline <= self.world.instant());
        self.world.get_up(self.number);
        let others = self.world.wake_watchers();
        let yielded = if others { 0 } else { self.yielded.get() };
        self.yielded.set(0);
        if is_due || self.world.is_called(self.number) {
            return Poll::Ready(self.world.look().map_err(io::Error::other));
        }
        if self.world.is_turned(self.number) {
            return Poll::Pending;
        }
        if yielded < YIELDS {
            return self.give_way(cx, deadline, yielded);
        }
        match self.world.sleep(self.number, deadline, Sleeper::Guest) {
            Ok(Sleep::Another) => self.give_way(cx, deadline, 0),
            Ok(Sleep::Never) if self.world.bells.wake_by_ring(self.number, cx.waker()) => Poll::Pending,
            result => Poll::Ready(result.map(drop).map_err(io::Error::other)),
        }
    }

    fn disarm(&self) {
        self.world.get_up(self.number);
    }

    fn alarm(&self) -> Arc<dyn Alarm> {
        self.alarm.clone()
    }

    fn watch(&self, handle: &Handle, token: Token, _from: Interest, to: Interest) -> io::Result<()> {
        self.network().watch(key(handle)?, token, to)
    }

    fn local_address(&self, handle: &Handle) -> io::Result<Address> {
        self.network().local_address(key(handle)?).map(Address::Inet)
    }

    fn set_option(&self, handle: &Handle, option: SocketOption) -> io::Result<()> {
        self.network().set_option(key(handle)?, option)
    }

    fn option(&self, handle: &Handle, name: OptionName) -> io::Result<u32> {
        self.network().option(key(handle)?, name)
    }

    fn adopt(&self, _socket: OwnedFd) -> io::Result<Handle> {
        Err(real_socket())
    }

    fn adopt_file(&self, _file: OwnedFd) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn close(&self, handle: Handle) {
        if let Ok(key) = key(&handle) {
            self.network().close(key);
        }
    }

    fn listen(&self, listen: &Listen) -> io::Result<Handle> {
        self.network().listen(self.number, listen).map(handle)
    }

    fn accept(&self, port: &Handle) -> io::Result<(Handle, Address)> {
        let (key, peer) = self.network().accept(key(port)?)?;
        Ok((handle(key), peer.into()))
    }

    fn turn_away(&self, port: &Handle) -> bool {
        key(port).is_ok_and(|port| self.network().turn_away(port))
    }

    fn connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Handle, Refused> {
        self.network().connect(self.number, to, from).map(handle)
    }

    fn take_error(&self, handle: &Handle) -> io::Result<()> {
        self.network().take_error(key(handle)?)
    }

    fn receive(&self, handle: &Handle, buffer: &mut [u8]) -> io::Result<usize> {
        self.network().receive(key(handle)?, buffer)
    }

    fn send(&self, handle: &Handle, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.network().send(key(handle)?, data)
    }

    /// Where the peer was faster there is nothing left to end, as with the system's sockets.
    fn shutdown(&self, handle: &Handle) -> io::Result<()> {
        match self.network().shutdown(key(handle)?) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    fn reset(&self, handle: Handle) {
        if let Ok(key) = key(&handle) {
            self.network().reset(key);
        }
    }

    fn bind(&self, bind: &Bind) -> io::Result<Handle> {
        self.network().bind(self.number, bind).map(handle)
    }

    fn connect_datagrams(&self, handle: &Handle, to: SocketAddr) -> io::Result<()> {
        self.network().connect_datagrams(key(handle)?, to)
    }

    fn receive_from(&self, handle: &Handle, buffer: &mut [u8], from: &mut Address) -> io::Result<usize> {
        let (length, sender) = self.network().receive_from(key(handle)?, buffer)?;
        *from = sender.into();
        Ok(length)
    }

    fn send_to(&self, handle: &Handle, data: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        self.network().send_to(key(handle)?, data, to.copied())
    }

    fn listen_unix(&self, _bind: &BindUnix<'_>, _backlog: u32) -> io::Result<Handle> {
        Err(no_unix())
    }

    fn connect_unix(&self, _to: &UnixAddress) -> Result<Handle, Refused> {
        Err(Refused::Connect(no_unix()))
    }

    fn bind_unix(&self, _bind: &BindUnix<'_>) -> io::Result<Handle> {
        Err(no_unix())
    }

    fn receive_from_unix(
        &self,
        _handle: &Handle,
        _buffer: &mut [u8],
        _from: &mut Address,
    ) -> io::Result<usize> {
        Err(no_unix())
    }

    fn send_to_unix(&self, _handle: &Handle, _data: &[u8], _to: Option<&UnixAddress>) -> io::Result<usize> {
        Err(no_unix())
    }

    fn connect_datagrams_unix(&self, _handle: &Handle, _to: &UnixAddress) -> io::Result<()> {
        Err(no_unix())
    }

    fn receive_with(
        &self,
        _handle: &Handle,
        _buffer: &mut [u8],
        _descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<Received> {
        Err(no_unix())
    }

    fn send_with(
        &self,
        _handle: &Handle,
        _data: &[IoSlice<'_>],
        _descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        Err(no_unix())
    }

    fn peer_credentials(&self, _handle: &Handle) -> io::Result<Credentials> {
        Err(no_unix())
    }

    fn look_up(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        self.network().addresses.resolve(host)
    }
}

/// A key as a transport owns it.
fn handle(Key(key): Key) -> Handle {
    Handle::Virtual(key as u32)
}

pub(super) fn key(handle: &Handle) -> io::Result<Key> {
    match handle {
        Handle::Virtual(key) => Ok(Key(*key as usize)),
        Handle::Socket(_) | Handle::File(_) => Err(real_socket()),
    }
}

fn no_unix() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, SimulationError::NoUnixSockets)
}

fn real_socket() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, SimulationError::RealSocket)
}
