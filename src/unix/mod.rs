//! UNIX sockets: streams and datagrams between processes of one machine, by the name of a file or without one.
//!
//! | file | idea |
//! |---|---|
//! | `options` | [`UnixListen`], [`UnixConnect`], [`UnixDatagrams`] |
//! | `datagrams` | sockets of datagrams |
//! | `opening` | what they ask of the system |
//! | `file` | the file of a socket, and what others have left |
//! | `lock` | the file beside it that says whether somebody listens |
//!
//! Beside bytes they [pass descriptors](crate::Transport::send_file_descriptor), and tell [who the peer is](crate::Transport::peer_credentials).
//!
//! ```
//! use std::{fs::File, io::Read, os::fd::OwnedFd};
//! use twistor::{Context, Protocol, Reactor, factory, unix::UnixListen};
//!
//! /// Sends its own source.
//! struct Giver;
//! impl Protocol for Giver {
//!     fn connection_made(&mut self, cx: &Context<Self>) {
//!         let file = File::open("Cargo.toml").expect("it is there");
//!         cx.send_file_descriptor(file).expect("a UNIX socket");
//!         cx.write("!"); // which it goes with
//!         cx.lose_connection();
//!     }
//! }
//! struct Taker;
//! impl Protocol for Taker {
//!     fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
//!         let mut text = String::new();
//!         File::from(descriptor).read_to_string(&mut text).expect("text");
//!         assert!(text.contains("twistor"));
//!         Reactor::current().stop().expect("it runs");
//!     }
//! }
//! let reactor = Reactor::new()?;
//! // Without a name the system picks one that is no file.
//! let port = reactor.listen_unix(UnixListen::new(""), factory(|_peer| Giver))?;
//! reactor.connect_unix(&port.get_host()?, factory(|_peer| Taker));
//! reactor.run()?;
//! # Ok::<(), twistor::Failure>(())
//! ```

mod datagrams;
mod file;
mod lock;
mod opening;
mod options;

pub use options::{UnixConnect, UnixDatagrams, UnixListen};

use crate::{
    failure::Result,
    protocol::{ClientFactory, Connector, Factory},
    reactor::Reactor,
    sockets::{client, port},
    tcp::ListeningPort,
};

/// Twisted's `IReactorUNIX`.
impl Reactor {
    /// Listens at a UNIX socket and gives each connection a protocol of `factory`.
    ///
    /// `at` is a path, a [`UnixAddress`](crate::address::UnixAddress), or a [`UnixListen`] with options. The socket's file has its [mode](UnixListen::mode)
    /// before anybody can connect. It is removed when the port is stopped, if it is still this socket's. One that a process has left behind is removed only
    /// under a [lock](UnixListen::want_pid). Peers that have no name, as most clients, are [`unnamed`](crate::address::UnixAddress::unnamed).
    ///
    /// # Errors
    /// [`CannotListenError`](crate::error::CannotListenError) if something is there already, if the lock is another's, or the directory is not to be
    /// written; also on a virtual reactor, whose network has no UNIX sockets.
    /// [`InvalidAddressError`](crate::error::InvalidAddressError) for an address of another kind. A panic of [`start_factory`](Factory::start_factory) is the error
    /// [`Panicked`](crate::error::Panicked).
    ///
    /// # Examples
    /// ```
    /// use twistor::{Context, Protocol, Reactor, error::CannotListenError, factory};
    /// struct Echo;
    /// impl Protocol for Echo {
    ///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
    /// }
    /// let reactor = Reactor::new()?;
    /// # let path = std::env::temp_dir().join(format!("twistor-doc-{}", std::process::id()));
    /// # let path = &path;
    /// let port = reactor.listen_unix(path, factory(|_peer| Echo))?;
    /// let error = reactor.listen_unix(path, factory(|_peer| Echo)).unwrap_err();
    /// assert!(error.check::<CannotListenError>());
    /// drop(port.stop_listening());
    /// assert!(!path.exists());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "listenUNIX")]
    #[track_caller]
    pub fn listen_unix<F: Factory>(&self, at: impl Into<UnixListen>, factory: F) -> Result<ListeningPort> {
        port::listen(&self.core, at.into(), factory)
    }

    /// Connects to a UNIX socket and gives the connection a protocol of `factory`, which is told how it goes.
    ///
    /// `to` is a path, a [`UnixAddress`](crate::address::UnixAddress), or a [`UnixConnect`] with options. Nothing fails inside this call: what goes wrong
    /// reaches [`client_connection_failed`](ClientFactory::client_connection_failed). As long as many wait to be accepted as may, it is tried again.
    #[doc(alias = "connectUNIX")]
    #[track_caller]
    pub fn connect_unix<F: ClientFactory>(&self, to: impl Into<UnixConnect>, factory: F) -> Connector {
        client::connect(&self.core, to.into(), factory).0
    }
}
