//! A connection that the test itself holds, without a reactor.

use super::{network::NOBODY, world::World};
use crate::reactor::driver::{Key, Refused};
use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    rc::Rc,
};

/// The test's own end of a connection in a [`Simulation`](super::Simulation); from [`connect`](super::Simulation::connect).
///
/// It is a plain socket: it has no protocol, and acts when the test says so. To drop it closes it.
pub struct Peer {
    world: Rc<World>,
    /// None if it was reset.
    key: Option<Key>,
}

impl Peer {
    pub(super) fn connect(world: &Rc<World>, to: SocketAddr) -> io::Result<Peer> {
        let key = world.network.borrow_mut().connect(NOBODY, to, None).map_err(|refused| match refused {
            Refused::Bind(error) | Refused::Connect(error) => error,
        })?;
        let peer = Peer { world: world.clone(), key: Some(key) };
        let connected = world.network.borrow_mut().take_error(key);
        match connected {
            // The port's queue is full: it is asked again.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(peer),
        }
    }

    fn key(&self) -> io::Result<Key> {
        self.key.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends what there is room for, and says how much that was.
    ///
    /// # Errors
    /// Those of a socket: `WouldBlock` if there is no room, `ConnectionReset` or `BrokenPipe` if the other end is gone.
    pub fn send(&self, data: impl AsRef<[u8]>) -> io::Result<usize> {
        self.world.network.borrow_mut().send(self.key()?, &[IoSlice::new(data.as_ref())])
    }

    /// Receives what is there: at most so many bytes as the buffer has; 0 at the end.
    ///
    /// # Errors
    /// Those of a socket: `WouldBlock` if nothing is there, `ConnectionReset` if the other end was aborted.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.world.network.borrow_mut().receive(self.key()?, buffer)
    }

    /// All that is there. Whether there is more to come, [`receive`](Self::receive) tells.
    pub fn received(&self) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 1024]);
        while let Ok(length @ 1..) = self.receive(&mut buffer) {
            all.extend_from_slice(&buffer[..length]);
        }
        all
    }

    /// Whether the other end has ended its direction, or the whole connection, and all that came before was received.
    pub fn is_at_end(&self) -> bool {
        self.key().is_ok_and(|key| self.world.network.borrow_mut().is_at_end(key))
    }

    /// Ends its own direction; it still receives.
    pub fn end(&self) {
        if let Ok(key) = self.key() {
            let _ = self.world.network.borrow_mut().shutdown(key); // it is a connection
        }
    }

    /// Closes the connection out of order, with a reset.
    pub fn reset(mut self) {
        if let Some(key) = self.key.take() {
            self.world.network.borrow_mut().reset(key);
        }
    }

    /// Where this end is.
    ///
    /// # Errors
    /// None, as long as it is there.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.world.network.borrow_mut().local_address(self.key()?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.world.network.borrow_mut().close(key);
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("at", &self.local_address().ok()).finish_non_exhaustive()
    }
}
