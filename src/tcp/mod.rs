//! TCP: connections, listening ports, clients.
//!
//! | file | idea |
//! |---|---|
//! | `options` | [`TcpListen`], [`TcpConnect`] |
//! | `opening` | what they ask of the system |
//!
//! The connections, ports and clients themselves are those of every family of addresses: `sockets`.

mod opening;
mod options;

pub use crate::sockets::port::{Drained, ListeningPort};
pub use options::{TcpConnect, TcpListen};

use crate::{
    failure::Result,
    protocol::{ClientFactory, Connector, Factory},
    reactor::Reactor,
    sockets::{client, port},
};

/// Twisted's `IReactorTCP`.
impl Reactor {
    /// Listens on a TCP port and gives each connection a protocol of `factory`.
    ///
    /// `at` is a port on all of IPv4, a `(interface, port)` pair, a `SocketAddr`, or a [`TcpListen`] with options. Port 0 picks a free one;
    /// [`get_host`](ListeningPort::get_host) tells which. Connections are accepted while the reactor runs.
    ///
    /// # Errors
    /// [`CannotListenError`](crate::error::CannotListenError) if the port is in use, needs a privilege, or the address is not of this
    /// machine; [`InvalidAddressError`](crate::error::InvalidAddressError) for a text that is no address. A panic of
    /// [`start_factory`](Factory::start_factory) is the error [`Panicked`](crate::error::Panicked), and is reported nowhere else: the socket is closed
    /// again, and `stop_factory` is called.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Context, Protocol, Reactor, error::CannotListenError, factory};
    /// struct Echo;
    /// impl Protocol for Echo {
    ///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
    /// }
    /// let reactor = Reactor::new()?;
    /// let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| Echo))?;
    ///
    /// let taken = port.get_host()?.as_inet().expect("it is TCP");
    /// let error = reactor.listen_tcp(taken, factory(|_peer| Echo)).unwrap_err();
    /// assert!(error.check::<CannotListenError>());
    /// assert!(error.to_string().contains("something listens there already"));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "listenTCP")]
    #[track_caller]
    pub fn listen_tcp<F: Factory>(&self, at: impl Into<TcpListen>, factory: F) -> Result<ListeningPort> {
        port::listen(&self.core, at.into(), factory)
    }

    /// Connects to a TCP port and gives the connection a protocol of `factory`, which is told how it goes.
    ///
    /// `to` is a `(host, port)` pair, a `SocketAddr`, or a [`TcpConnect`] with options. A host may be a name. Nothing fails inside this call: what goes wrong
    /// reaches [`client_connection_failed`](ClientFactory::client_connection_failed).
    #[doc(alias = "connectTCP")]
    #[track_caller]
    pub fn connect_tcp<F: ClientFactory>(&self, to: impl Into<TcpConnect>, factory: F) -> Connector {
        self.connect_tcp_shown(to.into(), factory).0
    }

    /// The same, with the number that the connector is shown under.
    #[track_caller]
    pub(crate) fn connect_tcp_shown<F: ClientFactory>(&self, to: TcpConnect, factory: F) -> (Connector, u32) {
        client::connect(&self.core, to, factory)
    }
}
