//! UDP ports.

use crate::{
    address::{Address, InvalidAddressError, interface},
    error::CannotListenError,
    failure::Result,
    protocol::{DatagramContext, DatagramProtocol, socket::Handle},
    reactor::{
        Reactor,
        core::Core,
        driver::{self, Adopted, Bind},
    },
    snapshot::here::Birth,
    sockets::datagrams::{DatagramPort, Family},
};
use std::{io, net::SocketAddr, panic::Location, rc::Rc};

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
    at: Result<(String, u16), InvalidAddressError>,
    max_packet_size: usize,
    multiple: bool,
}

/// The longest datagram that is received whole, in bytes, if the caller does not say; Twisted's.
const MAX_PACKET_SIZE: usize = 8192;

impl UdpListen {
    /// A port on all of IPv4; 0 for any.
    pub fn port(port: u16) -> UdpListen {
        UdpListen { at: Ok((String::new(), port)), max_packet_size: MAX_PACKET_SIZE, multiple: false }
    }

    /// On this interface alone: the literal address of one. Empty for all of IPv4.
    pub fn interface(mut self, interface: impl Into<String>) -> UdpListen {
        self.at = self.at.map(|(_, port)| (interface.into(), port));
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
        let (on, port) = self.at.as_ref().map_err(Clone::clone)?;
        let at = SocketAddr::new(interface(on)?, *port);
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
            Address::Unix(_) | Address::Pipe => {
                let advice =
                    "UDP has a host and port; at a UNIX socket one listens with listen_unix_datagram";
                let at = Err(InvalidAddressError::new(&address.to_string(), advice));
                UdpListen { at, ..UdpListen::port(0) }
            }
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
        let inet = Inet { ipv6: bind.at.is_ipv6() };
        let port = DatagramPort::new(&self.core, handle, inet, options.max_packet_size, birth, protocol);
        Ok(port.open(&self.core).map_err(cannot)?)
    }
}

/// A port of a socket that is bound already.
#[track_caller]
pub(crate) fn adopt<P: DatagramProtocol>(
    core: &Rc<Core>,
    adopted: Adopted,
    max_packet_size: usize,
    protocol: P,
) -> io::Result<DatagramContext<P>> {
    let birth = Birth::at(Location::caller());
    let family = Inet { ipv6: adopted.family == driver::Family::V6 };
    let port = DatagramPort::new(core, adopted.handle, family, max_packet_size, birth, protocol);
    if adopted.peer.is_some() {
        port.is_connected_already();
    }
    port.open(core)
}

/// UDP, over one of its two families.
struct Inet {
    ipv6: bool,
}

impl Family for Inet {
    const REFUSES_LATE: bool = true;
    type To = SocketAddr;

    #[inline]
    fn of<'a>(&self, address: &'a Address) -> Result<&'a SocketAddr, InvalidAddressError> {
        match address {
            Address::Inet(to) if to.is_ipv6() == self.ipv6 => Ok(to),
            other => Err(self.other_family(other)),
        }
    }

    #[inline]
    fn receive_from(
        core: &Core,
        handle: &Handle,
        buffer: &mut [u8],
        from: &mut Address,
    ) -> io::Result<usize> {
        core.driver.receive_from(handle, buffer, from)
    }

    #[inline]
    fn send_to(core: &Core, handle: &Handle, data: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        core.driver.send_to(handle, data, to)
    }

    fn connect(core: &Core, handle: &Handle, to: &SocketAddr) -> io::Result<()> {
        core.driver.connect_datagrams(handle, *to)
    }
}

impl Inet {
    #[cold]
    fn other_family(&self, to: &Address) -> InvalidAddressError {
        let advice = match to {
            Address::Unix(_) | Address::Pipe => "UDP sends to a host and port",
            Address::Inet(_) if self.ipv6 => "this port is of IPv6: send to such an address",
            Address::Inet(_) => "this port is of IPv4: send to such an address",
        };
        InvalidAddressError::new(&to.to_string(), advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::DatagramTransport;
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        time::Duration,
    };

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

    thread_local! {
        static PORT: RefCell<Option<DatagramTransport>> = const { RefCell::new(None) };
    }

    /// Stops the port that it waits for.
    struct Closes;

    impl Wake for Closes {
        fn wake(self: Arc<Self>) {
            let port = PORT.take().expect("once");
            port.stop_listening().or_log("the port");
            Reactor::current().stop().expect("it runs");
        }
    }

    /// Counts what is logged.
    struct Lines(Arc<AtomicUsize>);

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            if *event.metadata().level() == tracing::Level::WARN {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn from_a_port_that_who_waited_has_stopped_nothing_is_received() {
        let reactor = Reactor::new().unwrap();
        let transport = reactor.listen_udp(("127.0.0.1", 0), Quiet).unwrap().transport();
        PORT.set(Some(transport.clone()));
        reactor
            .call_later(Duration::ZERO, move || transport.0.when_writable(Arc::new(Closes).into()).unwrap());
        let warned = Arc::new(AtomicUsize::new(0));
        let run = || reactor.run_without_signal_handlers().unwrap();
        tracing::subscriber::with_default(Lines(warned.clone()), run);
        assert_eq!(warned.load(Ordering::Relaxed), 0);
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
