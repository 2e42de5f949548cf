//! The other side of a connection: a socket that no reactor serves, whose script is the test.

use super::simulation::Seat;
use crate::reactor::Reactor;
use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use socket2::{Domain, SockRef, Type};
use std::{
    fmt,
    future::{Future, poll_fn},
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// So long the system may take to answer a peer that connects.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many callers as std lets wait.
const BACKLOG: u32 = 128;
/// So many callers are enough to fill the shortest queue.
const CALLERS: usize = 4;
/// The largest datagram.
const DATAGRAM: usize = 65_536;

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
            None => Peer::kernel(Async::new(TcpStream::connect_timeout(&to, PATIENCE)?)?),
        }
    }

    pub(super) fn simulated(seat: Seat) -> Peer {
        Peer { socket: Socket::Simulated(seat) }
    }

    fn kernel(stream: Async<TcpStream>) -> io::Result<Peer> {
        Ok(Peer { socket: Socket::Kernel(stream) })
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

/// A listening TCP port in the hands of the test, for clients to connect to.
///
/// # Examples
/// ```
/// use std::{net::SocketAddr, time::Duration};
/// use twistor::{Context, Protocol, factory, testing::{self, PeerListener, Simulation}};
/// struct Hello;
/// impl Protocol for Hello {
///     fn connection_made(&mut self, cx: &Context<Self>) { cx.write("hello") }
/// }
/// let reactor = Simulation::new().reactor();
/// let listener = PeerListener::bind(&reactor, ([127, 0, 0, 1], 0))?;
/// reactor.connect_tcp(listener.local_address()?, factory(|_| Hello));
/// let server = testing::run(&reactor, Duration::from_secs(5), async move { Ok(listener.accept().await?) })?;
/// assert_eq!(server.received(), b"hello");
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct PeerListener {
    socket: Socket<TcpListener>,
    /// Those that fill its queue.
    _callers: Vec<Socket<TcpStream>>,
}

impl PeerListener {
    /// Listens on the network that the reactor is on. Port 0 is any that is free.
    ///
    /// # Errors
    /// Those of a socket: `AddrInUse` for example.
    pub fn bind(reactor: &Reactor, at: impl Into<SocketAddr>) -> io::Result<PeerListener> {
        let at = at.into();
        let socket = match Seat::listen_by(reactor, at, BACKLOG) {
            Some(seat) => Socket::Simulated(seat?),
            None => Socket::Kernel(Async::<TcpListener>::bind(at)?),
        };
        Ok(PeerListener { socket, _callers: Vec::new() })
    }

    /// Listens so that nobody gets an answer: its queue is full. For what a client does then.
    ///
    /// # Errors
    /// Those of a socket.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{Protocol, Reactor, factory, tcp::TcpConnect, testing::{PeerListener, Simulation}};
    /// use twistor::{ClientFactory, Connector, Factory, Failure, Address};
    /// struct Client;
    /// impl Protocol for Client {}
    /// struct Patient;
    /// impl Factory for Patient {
    ///     type Protocol = Client;
    ///     fn build_protocol(&self, _peer: &Address) -> Option<Client> { Some(Client) }
    /// }
    /// impl ClientFactory for Patient {
    ///     fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
    ///         assert!(why.to_string().contains("no answer"), "{why}");
    ///         Reactor::current().stop().expect("it runs");
    ///     }
    /// }
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// let listener = PeerListener::deaf(&reactor, ([127, 0, 0, 1], 0))?;
    /// reactor.connect_tcp(TcpConnect::from(listener.local_address()?).timeout(Duration::from_secs(30)), Patient);
    /// reactor.run()?;
    /// assert_eq!(sim.now(), Duration::from_secs(30));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn deaf(reactor: &Reactor, at: impl Into<SocketAddr>) -> io::Result<PeerListener> {
        let at = at.into();
        if let Some(seat) = Seat::listen_by(reactor, at, 0) {
            let seat = seat?;
            let to = seat.network().local_address(seat.key())?;
            let callers = (0..CALLERS).filter_map(|_| Seat::connect_by(reactor, to)?.ok());
            let callers = callers.map(Socket::Simulated).collect();
            return Ok(PeerListener { socket: Socket::Simulated(seat), _callers: callers });
        }
        let listener = socket2::Socket::new(Domain::for_address(at), Type::STREAM, None)?;
        listener.bind(&at.into())?;
        listener.listen(0)?;
        let listener = Async::new(TcpListener::from(listener))?;
        let to = listener.get_ref().local_addr()?;
        let callers = (0..CALLERS).map(|_| Ok(Socket::Kernel(begin_to_connect(to)?)));
        let callers = callers.collect::<io::Result<_>>()?;
        Ok(PeerListener { socket: Socket::Kernel(listener), _callers: callers })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Kernel(listener) => listener.get_ref().local_addr(),
            Socket::Simulated(seat) => seat.network().local_address(seat.key()),
        }
    }

    /// The next connection.
    ///
    /// # Errors
    /// The system's.
    pub fn accept(&self) -> impl Future<Output = io::Result<Peer>> {
        self.socket.reading(|| match &self.socket {
            Socket::Kernel(listener) => Peer::kernel(Async::new(listener.get_ref().accept()?.0)?),
            Socket::Simulated(seat) => seat.accept().map(Peer::simulated),
        })
    }
}

fn begin_to_connect(to: SocketAddr) -> io::Result<Async<TcpStream>> {
    let socket = socket2::Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // It is under way, or nobody answers.
    let _ = socket.connect(&to.into());
    Async::new(socket.into())
}

impl fmt::Debug for PeerListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerListener").field("at", &self.local_address().ok()).finish_non_exhaustive()
    }
}

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
