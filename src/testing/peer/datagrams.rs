//! A UDP socket in the hands of the test.

use super::Socket;
use crate::{reactor::Reactor, testing::simulation::Seat};
use async_io::Async;
use std::{
    fmt,
    future::Future,
    io,
    net::{SocketAddr, UdpSocket},
};

/// The largest datagram.
const DATAGRAM: usize = 65_536;

/// A UDP socket in the hands of the test.
///
/// # Examples
/// ```
/// use twistor::{Address, DatagramContext, DatagramProtocol, testing::{PeerDatagrams, Simulation}};
/// struct Echo;
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
///         cx.write_to(data, from).expect("sent");
///     }
/// }
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.listen_udp(7, Echo)?;
/// let peer = PeerDatagrams::bind(&reactor, ([127, 0, 0, 1], 0))?;
/// peer.send_to("hello", ([127, 0, 0, 1], 7))?;
/// assert_eq!(peer.try_receive().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
/// sim.pump();
/// assert_eq!(peer.try_receive()?.0, b"hello");
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct PeerDatagrams {
    socket: Socket<UdpSocket>,
}

impl PeerDatagrams {
    /// Opens one on the network that the reactor is on. Port 0 is any that is free.
    ///
    /// # Errors
    /// Those of a socket: `AddrInUse` for example.
    pub fn bind(reactor: &Reactor, at: impl Into<SocketAddr>) -> io::Result<PeerDatagrams> {
        let at = at.into();
        let socket = match Seat::bind_by(reactor, at) {
            Some(seat) => Socket::Simulated(seat?),
            None => Socket::Kernel(Async::<UdpSocket>::bind(at)?),
        };
        Ok(PeerDatagrams { socket })
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Kernel(socket) => socket.get_ref().local_addr(),
            Socket::Simulated(seat) => seat.network().local_address(seat.key()),
        }
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// The system's.
    pub fn send_to(&self, data: impl AsRef<[u8]>, to: impl Into<SocketAddr>) -> io::Result<()> {
        let (data, to) = (data.as_ref(), to.into());
        let sent = match &self.socket {
            Socket::Kernel(socket) => socket.get_ref().send_to(data, to),
            Socket::Simulated(seat) => seat.network().send_to(seat.key(), data, Some(to)),
        };
        sent.map(drop)
    }

    /// The next datagram, and who has sent it.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self) -> impl Future<Output = io::Result<(Vec<u8>, SocketAddr)>> {
        self.socket.reading(|| self.try_receive())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; or the system's.
    pub fn try_receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; DATAGRAM];
        let (length, from) = match &self.socket {
            Socket::Kernel(socket) => socket.get_ref().recv_from(&mut buffer)?,
            Socket::Simulated(seat) => seat.network().receive_from(seat.key(), &mut buffer)?,
        };
        buffer.truncate(length);
        Ok((buffer, from))
    }
}

impl fmt::Debug for PeerDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerDatagrams").field("at", &self.local_address().ok()).finish_non_exhaustive()
    }
}
