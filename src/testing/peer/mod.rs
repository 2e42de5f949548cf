//! The other side of a connection: a socket that no reactor serves, whose script is the test.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | [`Peer`]: one end of a TCP connection; and what a socket is to the test, of the system or of a simulation |
//! | `listener` | [`PeerListener`]: a listening port, for clients |
//! | `datagrams` | [`PeerDatagrams`]: a UDP socket |

mod datagrams;
mod listener;

pub use datagrams::PeerDatagrams;
pub use listener::PeerListener;

use super::simulation::Seat;
use crate::reactor::Reactor;
use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use std::{
    fmt,
    future::{Future, poll_fn},
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// So long the system may take to answer a peer that connects.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket of the system, or one of a simulation.
enum Socket<K> {
    Kernel(Async<K>),
    Simulated(Seat),
}

impl<K> Socket<K> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Kernel(socket) => socket.poll_readable(cx),
            Socket::Simulated(seat) => seat.poll_readable(cx),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Kernel(socket) => socket.poll_writable(cx),
            Socket::Simulated(seat) => seat.poll_writable(cx),
        }
    }

    /// Tries again each time it is readable, until there is something.
    fn reading<'a, R>(
        &'a self,
        f: impl Fn() -> io::Result<R> + 'a,
    ) -> impl Future<Output = io::Result<R>> + 'a {
        poll_fn(move |cx| {
            loop {
                match f() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready!(self.poll_readable(cx))?
                    }
                    result => return Poll::Ready(result),
                }
            }
        })
    }
}

/// One end of a TCP connection in the hands of the test: a plain socket, without a protocol.
///
/// On a reactor of the system it is a socket of the kernel, and the test is on loopback; on a virtual one it is a socket of the simulation's network. The
/// test looks at it between two steps, by [`send`](Self::send) and [`received`](Self::received); or plays a script, in which the peer is a futures
/// `AsyncRead` and `AsyncWrite`, in a task of the reactor or by [`run`](super::run). Closing it as a writer ends that direction; dropping it closes it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use twistor::{Context, Protocol, factory, testing::{self, Peer, Simulation}};
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
/// let reactor = Simulation::new().reactor();
/// reactor.listen_tcp(7, factory(|_| Echo))?;
/// let mut peer = Peer::connect(&reactor, ([127, 0, 0, 1], 7))?;
/// testing::run(&reactor, Duration::from_secs(5), async move {
///     peer.write_all(b"hello").await?;
///     peer.close().await?;
///     let mut all = String::new();
///     peer.read_to_string(&mut all).await?;
///     assert_eq!(all, "hello");
///     Ok(())
/// })?;
///
/// let refused = Peer::connect(&reactor, ([127, 0, 0, 1], 8)).unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct Peer {
    socket: Socket<TcpStream>,
}

impl Peer {
    /// Connects to an address of the network that the reactor is on. The reactor need not be turned for that; it accepts when it is.
    ///
    /// # Errors
    /// Those of a socket: `ConnectionRefused` if nothing listens there.
    pub fn connect(reactor: &Reactor, to: impl Into<SocketAddr>) -> io::Result<Peer> {
        let to = to.into();
        match Seat::connect_by(reactor, to) {
            Some(seat) => seat.map(Peer::simulated),
            None => Peer::kernel(TcpStream::connect_timeout(&to, PATIENCE)?),
        }
    }

    pub(super) fn simulated(seat: Seat) -> Peer {
        Peer { socket: Socket::Simulated(seat) }
    }

    fn kernel(stream: TcpStream) -> io::Result<Peer> {
        Ok(Peer { socket: Socket::Kernel(Async::new(stream)?) })
    }

    /// Sends what there is room for, and says how much that was.
    ///
    /// # Errors
    /// Those of a socket: `WouldBlock` if there is no room, `ConnectionReset` or `BrokenPipe` if the other end is gone.
    pub fn send(&self, data: impl AsRef<[u8]>) -> io::Result<usize> {
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().write(data.as_ref()),
            Socket::Simulated(seat) => seat.network().send(seat.key(), &[IoSlice::new(data.as_ref())]),
        }
    }

    /// Receives what is there: at most so many bytes as the buffer has; 0 at the end.
    ///
    /// # Errors
    /// Those of a socket: `WouldBlock` if nothing is there, `ConnectionReset` if the other end was aborted.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().read(buffer),
            Socket::Simulated(seat) => seat.network().receive(seat.key(), buffer),
        }
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
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().peek(&mut [0]).is_ok_and(|length| length == 0),
            Socket::Simulated(seat) => seat.network().is_at_end(seat.key()),
        }
    }

    /// Ends its own direction; it still receives.
    ///
    /// # Errors
    /// Those of a socket: `NotConnected` if it is over.
    pub fn end(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().shutdown(Shutdown::Write),
            Socket::Simulated(seat) => seat.network().shutdown(seat.key()),
        }
    }

    /// Closes the connection out of order, with a reset.
    pub fn reset(self) {
        match &self.socket {
            // Closed with a linger of zero it is reset.
            Socket::Kernel(stream) => {
                SockRef::from(stream.get_ref())
                    .set_linger(Some(Duration::ZERO))
                    .expect("a socket has that option");
            }
            Socket::Simulated(seat) => seat.network().reset(seat.key()),
        }
    }

    /// Where this end is.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().local_addr(),
            Socket::Simulated(seat) => seat.network().local_address(seat.key()),
        }
    }

    /// Where the other end is.
    ///
    /// # Errors
    /// Those of a socket: `NotConnected` if it is over.
    pub fn remote_address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Kernel(stream) => stream.get_ref().peer_addr(),
            Socket::Simulated(seat) => seat.network().remote_address(seat.key()),
        }
    }
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_readable(cx))?
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.send(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_writable(cx))?
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("at", &self.local_address().ok()).finish_non_exhaustive()
    }
}
