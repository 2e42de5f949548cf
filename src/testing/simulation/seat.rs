//! A socket of the network that no reactor serves: below a [`Peer`](crate::testing::Peer) of the test.

use super::{
    network::{Key, NOBODY, Network},
    world::World,
};
use crate::reactor::{
    Reactor,
    driver::{Bind, Listen, Refused},
};
use std::{
    cell::RefMut,
    io,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    rc::Rc,
    task::{Context, Poll},
};

/// To drop it closes the socket.
pub(in crate::testing) struct Seat {
    world: Rc<World>,
    key: Key,
}

impl Seat {
    /// The world that a reactor lives in; none if that is the real one.
    pub(super) fn world(reactor: &Reactor) -> Option<Rc<World>> {
        reactor.core.driver.world()?.downcast().ok()
    }

    pub(super) fn connect(world: Rc<World>, to: SocketAddr) -> io::Result<Seat> {
        let key = world.network.borrow_mut().connect(NOBODY, to, None).map_err(|refused| match refused {
            Refused::Bind(error) | Refused::Connect(error) => error,
        })?;
        let seat = Seat { world, key };
        let connected = seat.network().take_error(key);
        match connected {
            // The port's queue is full: it is asked again.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(seat),
        }
    }

    pub(in crate::testing) fn connect_by(reactor: &Reactor, to: SocketAddr) -> Option<io::Result<Seat>> {
        Some(Seat::connect(Seat::world(reactor)?, to))
    }

    pub(in crate::testing) fn listen_by(
        reactor: &Reactor,
        at: SocketAddr,
        backlog: u32,
    ) -> Option<io::Result<Seat>> {
        let world = Seat::world(reactor)?;
        let listen = Listen { at, backlog, reuse_address: true, reuse_port: false };
        let key = world.network.borrow_mut().listen(NOBODY, &listen);
        Some(key.map(|key| Seat { world, key }))
    }

    pub(in crate::testing) fn bind_by(reactor: &Reactor, at: SocketAddr) -> Option<io::Result<Seat>> {
        let world = Seat::world(reactor)?;
        let bind = Bind { at, reuse_address: false, reuse_port: false };
        let key = world.network.borrow_mut().bind(NOBODY, &bind);
        Some(key.map(|key| Seat { world, key }))
    }

    /// Takes one caller, if there is one.
    pub(in crate::testing) fn accept(&self) -> io::Result<Seat> {
        let (key, _) = self.network().accept(self.key)?;
        Ok(Seat { world: self.world.clone(), key })
    }

    pub(in crate::testing) fn key(&self) -> Key {
        self.key
    }

    pub(in crate::testing) fn network(&self) -> Access<'_> {
        Access { network: self.world.network.borrow_mut(), _wakes: Wakes(&self.world) }
    }

    pub(in crate::testing) fn poll_readable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.network().poll(self.key, cx, |(read, _)| read)
    }

    pub(in crate::testing) fn poll_writable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.network().poll(self.key, cx, |(_, write)| write)
    }
}

/// The network, lent: nothing runs meanwhile. Whoever has something of it is woken at its end, since no reactor may look.
pub(in crate::testing) struct Access<'a> {
    /// Goes first.
    network: RefMut<'a, Network>,
    _wakes: Wakes<'a>,
}

struct Wakes<'a>(&'a World);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        self.0.wake_watchers();
    }
}

impl Deref for Access<'_> {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.network
    }
}

impl DerefMut for Access<'_> {
    fn deref_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.network().close(self.key);
    }
}
