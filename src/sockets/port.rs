//! [`ListeningPort`]: what a program holds of a port; `stream` is the port itself.

mod stream;

pub(crate) use stream::listen;

use super::connection::Passage;
use crate::{
    address::Address,
    defer::{Deferred, Promise, record::Role},
    failure::Result,
    protocol::socket::Handle,
    reactor::core::Core,
    snapshot::here::Birth,
    trace::Place,
};
use std::{
    fmt, io,
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

/// A port that listens; from [`listen_tcp`](crate::Reactor::listen_tcp) and [`listen_unix`](crate::Reactor::listen_unix). A cheap handle: to drop it stops
/// nothing.
#[derive(Clone)]
#[doc(alias = "IListeningPort")]
pub struct ListeningPort {
    port: Rc<dyn Port>,
}

/// How a port's connections have ended; from [`stop_and_drain`](ListeningPort::stop_and_drain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many were still open at the deadline and were aborted.
    pub aborted: usize,
}

impl ListeningPort {
    /// The address it listens at.
    ///
    /// # Errors
    /// [`NotListeningError`](crate::error::NotListeningError) if it was stopped.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> Result<Address> {
        self.port.get_host()
    }

    /// Stops listening. Connections that were accepted live on. A second call gives the same end.
    #[doc(alias = "stopListening")]
    #[doc(alias = "loseConnection")]
    #[track_caller]
    pub fn stop_listening(&self) -> Deferred<()> {
        let (deferred, promise) = Deferred::pending();
        self.port.stop(promise);
        deferred
    }

    /// Listens again, where it did.
    ///
    /// # Errors
    /// [`CannotListenError`](crate::error::CannotListenError), such as when it listens already; [`Panicked`](crate::error::Panicked) if `start_factory` panicked, in which
    /// case the port is stopped again.
    #[doc(alias = "startListening")]
    pub fn start_listening(&self) -> Result<()> {
        self.port.start()
    }

    /// Stops listening, and waits until the connections it accepted are over; those that are still open at the deadline are aborted.
    ///
    /// It closes none of them itself: how to ask a peer to leave is the protocol's to know.
    #[track_caller]
    pub fn stop_and_drain(&self, deadline: Duration) -> Deferred<Drained> {
        let (deferred, promise) = Deferred::pending();
        deferred.describe(Role::Chain, self.port.birth().serial);
        let (port, place) = (self.port.clone(), Location::caller());
        self.stop_listening().map(move |()| port.drain(deadline, place, promise)).or_log("stop_and_drain");
        deferred
    }

    /// How many of the connections it accepted are open.
    pub fn connections(&self) -> usize {
        self.port.connections()
    }

    pub(crate) fn downgrade(&self) -> WeakPort {
        WeakPort(Rc::downgrade(&self.port))
    }
}

/// A port, for who must not keep it.
pub(crate) struct WeakPort(Weak<dyn Port>);

impl WeakPort {
    /// While it does not accept, those who connect wait in the system.
    pub(crate) fn set_accepting(&self, on: bool) {
        if let Some(port) = self.0.upgrade() {
            port.set_accepting(on);
        }
    }
}

impl fmt::Debug for ListeningPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.get_host().map_or("stopped".into(), |host| host.to_string());
        f.debug_struct("ListeningPort")
            .field("host", &host)
            .field("connections", &self.connections())
            .finish()
    }
}

/// How a port of one family of addresses is opened.
pub(crate) trait Opens: 'static {
    /// How the bytes of what it accepts come and go.
    type Passage: Passage;
    /// What is kept as long as it listens, and dropped before its socket is closed.
    type Kept: 'static;

    /// Where, as the errors say it.
    ///
    /// # Errors
    /// If that is no such place.
    fn place(&self) -> Result<String>;

    /// A socket that listens.
    fn open(&self, core: &Core) -> io::Result<(Handle, Self::Kept)>;
}

/// A [`StreamPort`](stream::StreamPort) without its factory's type.
trait Port {
    fn get_host(&self) -> Result<Address>;
    fn stop(&self, promise: Promise<()>);
    fn start(&self) -> Result<()>;
    fn drain(&self, deadline: Duration, place: Place, promise: Promise<Drained>);
    fn birth(&self) -> &Birth;
    fn connections(&self) -> usize;
    fn set_accepting(&self, on: bool);
}
