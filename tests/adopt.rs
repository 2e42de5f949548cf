//! Sockets that the program has already: what is taken, and what is given back.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::RefCell,
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    rc::Rc,
    sync::mpsc,
    thread,
    time::Duration,
};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Factory, Failure, Protocol, Reactor, Result,
    error::{AdoptErrorKind, ConnectionDone, Panicked},
    factory,
    testing::{self, Simulation},
};

const LIMIT: Duration = Duration::from_secs(10);
const HERE: (&str, u16) = ("127.0.0.1", 0);

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

/// Speaks with what it was connected to, on a thread, while the reactor runs; what it has heard.
fn speak(reactor: &Reactor, mut stream: impl Read + Write + Send + 'static) -> Result<Vec<u8>> {
    let answer = blocking::unblock(move || {
        let mut answer = [0; 5];
        stream.write_all(b"hello")?;
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(answer.to_vec())
    });
    testing::run(reactor, LIMIT, async move { Ok(answer.await?) })
}

/// The flags of a descriptor of this process: whether it blocks, and whether a child would have it.
fn flags(descriptor: i32) -> (bool, bool) {
    const NONBLOCK: u32 = 0o4000;
    const CLOEXEC: u32 = 0o2_000_000;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).expect("it is open");
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).expect("it has flags");
    let flags = u32::from_str_radix(flags.trim(), 8).expect("a number");
    (flags & NONBLOCK == 0, flags & CLOEXEC == 0)
}

#[test]
fn a_port_that_listens_already() -> Result<()> {
    let listener = TcpListener::bind(HERE)?;
    let (at, descriptor) = (listener.local_addr()?, listener.as_raw_fd());
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty())?;
    assert_eq!(flags(descriptor), (true, true));
    let reactor = Reactor::new()?;
    let port = reactor.adopt_stream_port(listener, factory(|_| Echo))?;
    assert_eq!(port.get_host()?, at.into());
    assert_eq!(flags(descriptor), (false, false));
    assert_eq!(speak(&reactor, TcpStream::connect(at)?)?, b"hello");

    drop(port.stop_listening());
    assert!(TcpStream::connect(at).is_err(), "the only descriptor was the reactor's");
    let again = port.start_listening().unwrap_err();
    assert!(again.to_string().starts_with(&format!("cannot listen on {at}")), "{again}");
    Ok(())
}

/// Twisted takes a copy; here who wants to go on with it keeps one.
#[test]
fn a_clone_of_a_port_listens_on() -> Result<()> {
    let listener = TcpListener::bind(HERE)?;
    let reactor = Reactor::new()?;
    let port = reactor.adopt_stream_port(listener.try_clone()?, factory(|_| Echo))?;
    drop(port.stop_listening());
    let at = listener.local_addr()?;
    let waits = TcpStream::connect(at)?;
    reactor.adopt_stream_port(listener, factory(|_| Echo))?;
    assert_eq!(speak(&reactor, waits)?, b"hello");
    Ok(())
}

#[test]
fn a_port_of_unix_whose_file_stays() -> Result<()> {
    let path = std::env::temp_dir().join(format!("twistor-adopt-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let reactor = Reactor::new()?;
    let port = reactor.adopt_stream_port(listener, factory(|_| Echo))?;
    assert_eq!(port.get_host()?.as_unix().and_then(|at| at.as_pathname()), Some(&*path));
    let heard = speak(&reactor, UnixStream::connect(&path)?);
    drop(port.stop_listening());
    let stays = path.exists();
    fs::remove_file(&path)?;
    assert_eq!(heard?, b"hello");
    assert!(stays, "it was not this reactor that made it");
    Ok(())
}

struct Alone(Rc<RefCell<Vec<String>>>);

/// Keeps what it was told, and closes at the first byte.
impl Protocol for Alone {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.factory::<Counting>();
        self.0.borrow_mut().push(format!("made {}, in {}", cx.get_peer(), Reactor::try_current().is_some()));
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.borrow_mut().push(format!("lost {}", why.check::<ConnectionDone>()));
    }
}

#[derive(Default)]
struct Counting(Rc<RefCell<Vec<String>>>);

impl Factory for Counting {
    type Protocol = Alone;

    fn build_protocol(&self, _peer: &Address) -> Option<Alone> {
        Some(Alone(self.0.clone()))
    }
}

#[test]
fn connections_of_each_family() -> Result<()> {
    let reactor = Reactor::new()?;
    let counting = Rc::new(Counting::default());
    let listener = TcpListener::bind(HERE)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, peer) = listener.accept()?;
    let descriptor = server.as_raw_fd();
    let transport = reactor.adopt_stream_connection(server, counting.clone())?.expect("it has a protocol");
    assert_eq!((transport.get_peer().clone(), flags(descriptor)), (peer.into(), (false, false)));
    assert_eq!(speak(&reactor, client)?, b"hello");

    let (ours, theirs) = UnixStream::pair()?;
    reactor.adopt_stream_connection(ours, counting.clone())?;
    assert_eq!(speak(&reactor, theirs)?, b"hello");
    let told = counting.0.borrow();
    let lost = told.iter().filter(|line| **line == "lost true").count();
    assert_eq!(told[0], format!("made {peer}, in true"));
    assert_eq!((told.iter().filter(|line| line.starts_with("made")).count(), lost), (2, 2), "{told:?}");
    Ok(())
}

/// As of a UNIX socket that the reactor has opened itself.
#[test]
fn a_connection_of_unix_passes_descriptors() -> Result<()> {
    struct Giver;
    impl Protocol for Giver {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.send_file_descriptor(File::open("Cargo.toml").expect("it is there")).expect("a UNIX socket");
            cx.write("!");
        }
    }
    #[derive(Clone)]
    struct Taker(Rc<RefCell<Option<OwnedFd>>>);
    impl Protocol for Taker {
        fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
            self.0.replace(Some(descriptor));
            Reactor::current().stop().expect("it runs");
        }
    }
    let (ours, theirs) = UnixStream::pair()?;
    let reactor = Reactor::new()?;
    let taker = Taker(Rc::default());
    let takes = taker.clone();
    reactor.adopt_stream_connection(ours, factory(|_| Giver))?;
    reactor.adopt_stream_connection(theirs, factory(move |_| takes.clone()))?;
    reactor.run_without_signal_handlers()?;
    let mut text = String::new();
    File::from(taker.0.take().expect("it came")).read_to_string(&mut text)?;
    assert!(text.contains("twistor"));
    Ok(())
}

#[test]
fn a_factory_without_a_protocol_for_it_closes_it() -> Result<()> {
    let (ours, mut theirs) = UnixStream::pair()?;
    let reactor = Reactor::new()?;
    assert!(reactor.adopt_stream_connection(ours, factory(|_| None::<Echo>))?.is_none());
    assert_eq!(theirs.read(&mut [0])?, 0);
    Ok(())
}

#[test]
fn a_factory_that_panics_is_the_error() -> Result<()> {
    struct Panics;
    impl Factory for Panics {
        type Protocol = Echo;
        fn build_protocol(&self, _peer: &Address) -> Option<Echo> {
            panic!("planned")
        }
        fn start_factory(&self) {
            panic!("planned")
        }
    }
    let (ours, mut theirs) = UnixStream::pair()?;
    let reactor = Reactor::new()?;
    let error = reactor.adopt_stream_connection(ours, Panics).unwrap_err();
    let is_panicked =
        |error: &dyn std::error::Error| error.source().is_some_and(|cause| cause.is::<Panicked>());
    assert!(is_panicked(&error) && error.kind() == AdoptErrorKind::Failed && error.into_socket().is_none());
    assert_eq!(theirs.read(&mut [0])?, 0, "it is closed");

    let listener = TcpListener::bind(HERE)?;
    let at = listener.local_addr()?;
    let error = reactor.adopt_stream_port(listener, Panics).unwrap_err();
    assert!(is_panicked(&error), "{error}");
    assert!(TcpStream::connect(at).is_err(), "it is closed");
    Ok(())
}

struct Mirror;

impl DatagramProtocol for Mirror {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        if data == b"connected" {
            return cx.write(data).expect("it is sent");
        }
        cx.write_to(data, from).expect("it is sent");
    }
}

#[test]
fn datagrams_cut_to_the_size_that_was_asked_for() -> Result<()> {
    let (socket, peer) = (UdpSocket::bind(HERE)?, UdpSocket::bind(HERE)?);
    let (at, descriptor) = (socket.local_addr()?, socket.as_raw_fd());
    let reactor = Reactor::new()?;
    let port = reactor.adopt_datagram_port(socket, Mirror, 3)?;
    assert_eq!((port.get_host()?, flags(descriptor)), (at.into(), (false, false)));
    peer.send_to(b"hello", at)?;
    assert_eq!(answer(&reactor, peer)?, b"hel");
    Ok(())
}

#[test]
fn a_datagram_socket_that_is_connected_makes_a_port_that_is() -> Result<()> {
    let (socket, peer) = (UdpSocket::bind(HERE)?, UdpSocket::bind(HERE)?);
    socket.connect(peer.local_addr()?)?;
    let at = socket.local_addr()?;
    let reactor = Reactor::new()?;
    reactor.adopt_datagram_port(socket, Mirror, 100)?;
    peer.send_to(b"connected", at)?;
    assert_eq!(answer(&reactor, peer)?, b"connected");
    Ok(())
}

fn answer(reactor: &Reactor, peer: UdpSocket) -> Result<Vec<u8>> {
    let received = blocking::unblock(move || {
        let mut buffer = [0; 100];
        let length = peer.recv(&mut buffer)?;
        std::io::Result::Ok(buffer[..length].to_vec())
    });
    testing::run(reactor, LIMIT, async move { Ok(received.await?) })
}

/// What is not what it is to be comes back as it was: it blocks, and has its number.
#[test]
fn what_cannot_be_adopted_is_given_back() -> Result<()> {
    use AdoptErrorKind::{AddressFamily, NotASocket, NotConnected, NotListening, SocketType};
    let reactor = Reactor::new()?;
    let check = |what: &str, socket: OwnedFd, kinds: [Option<AdoptErrorKind>; 3]| {
        let number = socket.as_raw_fd();
        let mut socket = Some(socket);
        for (role, kind) in kinds.into_iter().enumerate() {
            let Some(kind) = kind else { continue };
            let taken = socket.take().expect("it came back");
            let error = match role {
                0 => reactor.adopt_stream_port(taken, factory(|_| Echo)).unwrap_err(),
                1 => reactor.adopt_stream_connection(taken, factory(|_| Echo)).unwrap_err(),
                _ => reactor.adopt_datagram_port(taken, Mirror, 100).unwrap_err(),
            };
            assert_eq!(error.kind(), kind, "{what} as {role}: {error}");
            socket = error.into_socket();
            assert_eq!(socket.as_ref().map(AsRawFd::as_raw_fd), Some(number));
            assert!(flags(number).0, "{what} as {role} does not block any more");
        }
    };
    let all = |kind| [Some(kind); 3];
    check("a file", File::open("Cargo.toml")?.into(), all(NotASocket));
    let listener = TcpListener::bind(HERE)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    check("a listener", listener.into(), [None, Some(NotConnected), Some(SocketType)]);
    check("a connection", client.into(), [Some(NotListening), None, Some(SocketType)]);
    let fresh = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)?;
    check("a fresh stream", fresh.into(), [Some(NotListening), Some(NotConnected), Some(SocketType)]);
    check("datagrams", UdpSocket::bind(HERE)?.into(), [Some(SocketType), Some(SocketType), None]);
    let (unix, _other) = UnixDatagram::pair()?;
    check("UNIX datagrams", unix.into(), [Some(SocketType), Some(SocketType), Some(AddressFamily)]);
    let packets = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None)?;
    check("UNIX packets", packets.into(), [Some(SocketType), Some(SocketType), Some(AddressFamily)]);
    Ok(())
}

#[test]
fn a_virtual_reactor_takes_none() -> Result<()> {
    let reactor = Simulation::new().reactor();
    let (stream, datagrams) = (TcpListener::bind(HERE)?, UdpSocket::bind(HERE)?);
    let error = reactor.adopt_stream_port(stream, factory(|_| Echo)).unwrap_err();
    assert_eq!((error.kind(), error.into_socket().is_some()), (AdoptErrorKind::Virtual, true));
    let error = reactor.adopt_datagram_port(datagrams, Mirror, 100).unwrap_err();
    assert_eq!(error.kind(), AdoptErrorKind::Virtual);
    Ok(())
}

/// Accepted by one reactor, served by another one, on its own thread.
#[test]
fn a_connection_is_handed_to_another_reactor() -> Result<()> {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || -> Result<()> {
        let reactor = Reactor::new()?;
        tell.send(reactor.remote())?;
        reactor.run_without_signal_handlers()
    });
    let (reactor, other) = (Reactor::new()?, told.recv()?);
    let listener = async_io::Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    let at: SocketAddr = listener.get_ref().local_addr()?;
    let remote = other.clone();
    let accepts = reactor.spawn(async move {
        loop {
            let stream = listener.accept().await?.0.into_inner()?;
            remote.call_from_thread(move |there| {
                let served = there.adopt_stream_connection(stream, factory(|_| Echo));
                assert!(served.is_ok_and(|transport| transport.is_some()));
            })?;
        }
    });
    accepts.add_errback(|_| Ok(())).or_log("accepting"); // it goes with the reactor
    let client = reactor.clone();
    let answer = testing::run(&reactor, LIMIT, async move {
        let mut stream = client.connect_stream(at).await?;
        stream.write_all(b"hello").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    });
    other.call_from_thread(|there| there.stop().expect("it runs: it makes this call"))?;
    thread.join().map_err(Failure::from_panic)??;
    assert_eq!(&answer?, b"hello");
    Ok(())
}
