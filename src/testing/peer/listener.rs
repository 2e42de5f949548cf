//! A listening port in the hands of the test.

use super::{Peer, Socket};
use crate::{reactor::Reactor, testing::simulation::Seat};
use async_io::Async;
use socket2::{Domain, Type};
use std::{
    fmt,
    future::Future,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
};

/// As many callers as std lets wait.
const BACKLOG: u32 = 128;
/// So many callers are enough to fill the shortest queue.
const CALLERS: usize = 4;

/// A listening TCP port in the hands of the test, for clients to connect to.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use futures_lite::AsyncReadExt;
/// use twistor::{Context, Protocol, factory, testing::{self, PeerListener, Simulation}};
/// struct Hello;
/// impl Protocol for Hello {
///     fn connection_made(&mut self, cx: &Context<Self>) { cx.write("hello") }
/// }
/// let reactor = Simulation::new().reactor();
/// let listener = PeerListener::bind(&reactor, ([127, 0, 0, 1], 0))?;
/// reactor.connect_tcp(listener.local_address()?, factory(|_| Hello));
/// testing::run(&reactor, Duration::from_secs(5), async move {
///     let mut server = listener.accept().await?;
///     let mut said = [0; 5];
///     server.read_exact(&mut said).await?;
///     assert_eq!(&said, b"hello");
///     Ok(())
/// })?;
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
            Socket::Kernel(listener) => Peer::kernel(listener.get_ref().accept()?.0),
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
