//! TLS over TCP: `listen_ssl`, `connect_ssl`.

use crate::{
    failure::Result,
    protocol::{ClientFactory, Connector, Factory},
    reactor::Reactor,
    tcp::{ListeningPort, TcpConnect, TcpListen},
    tls::{Tls, secured},
};

/// Twisted's `IReactorSSL`.
impl Reactor {
    /// Listens on a TCP port for TLS: [`listen_tcp`](Self::listen_tcp) with a [secured] factory.
    ///
    /// The protocol is told `connection_made` when the connection is there, as in Twisted, and
    /// [`handshake_completed`](crate::Protocol::handshake_completed) when TLS is. A handshake that fails is told to the protocol's `connection_lost`, with
    /// a [`TlsError`](crate::tls::TlsError).
    ///
    /// # Errors
    /// As of [`listen_tcp`](Self::listen_tcp).
    #[doc(alias = "listenSSL")]
    #[track_caller]
    pub fn listen_ssl<F: Factory>(
        &self,
        at: impl Into<TcpListen>,
        tls: impl Into<Tls>,
        factory: F,
    ) -> Result<ListeningPort> {
        self.listen_tcp(at, secured(tls, factory))
    }

    /// Connects to a TCP port and begins TLS: [`connect_tcp`](Self::connect_tcp) with a [secured] factory.
    ///
    /// For a Deferred that fires when the server is verified, give a secured protocol to [`connect_protocol`](Self::connect_protocol).
    #[doc(alias = "connectSSL")]
    #[track_caller]
    pub fn connect_ssl<F: ClientFactory>(
        &self,
        to: impl Into<TcpConnect>,
        tls: impl Into<Tls>,
        factory: F,
    ) -> Connector {
        self.connect_tcp(to, secured(tls, factory))
    }
}
