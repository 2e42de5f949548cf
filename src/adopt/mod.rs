//! Sockets that the program has already: inherited, passed on by another process, or handed over by another reactor.
//!
//! | file | idea |
//! |---|---|
//! | `port` | a socket that listens |
//! | `connection` | a stream that is connected |
//!
//! Who gets listening sockets from a service manager finds them with [`ListenFds`](crate::systemd::ListenFds).

mod connection;
mod port;

use crate::{
    error::AdoptError,
    protocol::{DatagramContext, DatagramProtocol, Factory, Transport},
    reactor::{Reactor, driver::Role},
    tcp::ListeningPort,
    udp,
};
use std::os::fd::OwnedFd;

/// Twisted's `IReactorSocket`.
impl Reactor {
    /// Takes a socket that listens, and gives each connection a protocol of `factory`: like [`listen_tcp`](Self::listen_tcp) or
    /// [`listen_unix`](Self::listen_unix), but for the opening.
    ///
    /// It is the reactor's from then on, and closed when the port is stopped; who wants to keep it adopts a clone. A port that was stopped cannot listen again. Of UNIX sockets
    /// the file is left alone. It does not block any more, and no child inherits it.
    ///
    /// # Errors
    /// [`AdoptError`], with the socket in it: it is no stream of IPv4, IPv6 or UNIX that listens; or the reactor is a virtual one. And without it, if
    /// [`start_factory`](Factory::start_factory) panics.
    ///
    /// # Examples
    /// ```
    /// use std::net::{TcpListener, UdpSocket};
    /// use twistor::{Context, Protocol, Reactor, error::AdoptErrorKind, factory};
    /// struct Echo;
    /// impl Protocol for Echo {
    ///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
    /// }
    /// let reactor = Reactor::new()?;
    /// let listener = TcpListener::bind(("127.0.0.1", 0))?;
    /// let at = listener.local_addr()?;
    /// let port = reactor.adopt_stream_port(listener, factory(|_peer| Echo))?;
    /// assert_eq!(port.get_host()?, at.into());
    ///
    /// let datagrams = UdpSocket::bind(("127.0.0.1", 0))?;
    /// let error = reactor.adopt_stream_port(datagrams, factory(|_peer| Echo)).unwrap_err();
    /// assert_eq!(error.kind(), AdoptErrorKind::SocketType);
    /// assert!(error.into_socket().is_some());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "IReactorSocket")]
    #[doc(alias = "adoptStreamPort")]
    #[track_caller]
    pub fn adopt_stream_port<F: Factory>(
        &self,
        socket: impl Into<OwnedFd>,
        factory: F,
    ) -> Result<ListeningPort, AdoptError> {
        let adopted = self.core.driver.adopt_as(socket.into(), Role::Port)?;
        port::listen(&self.core, adopted, factory)
    }

    /// Takes a stream that is connected, and gives it a protocol of `factory`, as a port does with what it accepts: `connection_made` is called inside.
    ///
    /// None if the factory has no protocol for it; it is closed then. The factory is not told that it is used, as by a port; a factory for many is an `Rc`.
    ///
    /// # To another reactor
    /// A connection that one reactor has accepted can be another one's: a socket is `Send`, and goes there by [`Remote`](crate::reactor::Remote). The page
    /// [`several_reactors`](crate::manual::several_reactors) shows how.
    ///
    /// # Errors
    /// [`AdoptError`], with the socket in it: it is no connected stream of IPv4, IPv6 or UNIX; or the reactor is a virtual one. And without it, if
    /// `build_protocol` panics.
    ///
    /// # Examples
    /// ```
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    /// use twistor::{Context, Protocol, Reactor, factory};
    /// struct Greet;
    /// impl Protocol for Greet {
    ///     fn connection_made(&mut self, cx: &Context<Self>) {
    ///         cx.write("hello");
    ///         cx.lose_connection();
    ///     }
    /// }
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let reactor = Reactor::new()?;
    /// reactor.adopt_stream_connection(ours, factory(|_peer| Greet))?; // it says all it has to say inside
    /// let mut said = String::new();
    /// theirs.read_to_string(&mut said)?;
    /// assert_eq!(said, "hello");
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "adoptStreamConnection")]
    #[track_caller]
    pub fn adopt_stream_connection<F: Factory>(
        &self,
        socket: impl Into<OwnedFd>,
        factory: F,
    ) -> Result<Option<Transport>, AdoptError> {
        let adopted = self.core.driver.adopt_as(socket.into(), Role::Connection)?;
        connection::begin(&self.core, adopted, factory)
    }

    /// Takes a bound datagram socket for a protocol, whose `start_protocol` is called inside: like [`listen_udp`](Self::listen_udp), but for the opening.
    ///
    /// Longer datagrams than `max_packet_size`, in bytes, are cut; 8,192 is what `listen_udp` takes. A socket that is connected makes a port that is.
    ///
    /// # Errors
    /// [`AdoptError`], with the socket in it: it is no datagram socket of IPv4 or IPv6; or the reactor is a virtual one.
    ///
    /// # Examples
    /// ```
    /// use std::net::UdpSocket;
    /// use twistor::{Address, DatagramContext, DatagramProtocol, Reactor};
    /// struct Ignore;
    /// impl DatagramProtocol for Ignore {
    ///     fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
    /// }
    /// let reactor = Reactor::new()?;
    /// let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    /// let at = socket.local_addr()?;
    /// let port = reactor.adopt_datagram_port(socket, Ignore, 1500)?;
    /// assert_eq!(port.get_host()?, at.into());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "adoptDatagramPort")]
    #[track_caller]
    pub fn adopt_datagram_port<P: DatagramProtocol>(
        &self,
        socket: impl Into<OwnedFd>,
        protocol: P,
        max_packet_size: usize,
    ) -> Result<DatagramContext<P>, AdoptError> {
        let adopted = self.core.driver.adopt_as(socket.into(), Role::Datagrams)?;
        udp::adopt(&self.core, adopted, max_packet_size, protocol)
            .map_err(|error| AdoptError::failed(error.into()))
    }
}
