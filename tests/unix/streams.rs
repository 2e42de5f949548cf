//! Connecting.

use super::{folder::Folder, loopback::*};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket},
};
use std::{
    cell::RefCell,
    error::Error,
    fs::{self, File},
    io,
    net::IpAddr,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    rc::Rc,
    time::Duration,
};
use twistor::{
    Address, ClientFactory, Connector, DatagramContext, DatagramProtocol, Factory, Failure, Reactor,
    Transport,
    address::{InvalidAddressError, UnixAddress},
    error::{CannotListenError, ConnectError, ConnectErrorKind, SimulationError},
    factory, for_protocol,
    names::resolver,
    testing::{self, Simulation},
    unix::{UnixConnect, UnixListen},
};

/// What comes of an attempt, from its factory's log.
fn attempt(to: UnixConnect) -> String {
    let (reactor, log) = (Reactor::new().unwrap(), Log::default());
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| {
        let log = seen.clone();
        Some(Probe::<false>::new(&log).made(|cx| cx.lose_connection()))
    });
    reactor.connect_unix(to, recorder.failed(|_| stop()).lost(|_| stop()));
    run(&reactor);
    let all = log.all();
    all.iter().rfind(|line| line.starts_with("factory: ")).expect("it is told").clone()
}

#[test]
fn who_is_not_there_is_told_apart() {
    let folder = Folder::new("not-there");
    let path = folder.at("s");
    assert_eq!(attempt(UnixConnect::new(&path)), "factory: failed BadFile");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(attempt(UnixConnect::new(&path)), "factory: failed Refused");
    assert_eq!(attempt(UnixConnect::new("\0twistor-nobody")), "factory: failed Refused");
    assert_eq!(attempt(UnixConnect::new("x".repeat(200))), "factory: failed Other");
}

#[test]
fn a_lock_that_nobody_has_is_a_bad_file() {
    let folder = Folder::new("check-pid");
    let path = folder.at("s");
    let _server = UnixListener::bind(&path).unwrap();
    assert_eq!(attempt(UnixConnect::new(&path).check_pid(true)), "factory: failed BadFile");
    let lock = File::create(folder.at("s.lock")).unwrap();
    assert_eq!(attempt(UnixConnect::new(&path).check_pid(true)), "factory: failed BadFile");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(attempt(UnixConnect::new(&path).check_pid(true)), "factory: lost done");
}

/// A server with room for one that waits, which is taken.
fn full(path: &Path) -> (OwnedFd, UnixStream) {
    let server = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&server, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&server, 0).unwrap();
    (server, UnixStream::connect(path).unwrap())
}

#[test]
fn where_no_more_may_wait_it_is_tried_until_the_timeout() {
    let folder = Folder::new("full");
    let path = folder.at("s");
    let _full = full(&path);
    let soon = UnixConnect::new(&path).timeout(Duration::from_millis(50));
    assert_eq!(attempt(soon), "factory: failed TimedOut");
}

#[test]
fn where_no_more_may_wait_it_is_connected_once_there_is_room() {
    let folder = Folder::new("room");
    let path = folder.at("s");
    let (server, first) = full(&path);
    let (reactor, log) = (Reactor::new().unwrap(), Log::default());
    let seen = log.clone();
    let client = Recorder::new(&log, move |_| Some(Probe::<false>::new(&seen).made(|_| stop())));
    let _connector = reactor.connect_unix(&path, client);
    reactor.call_later(Duration::ZERO, move || {
        turns_later(move || {
            drop((UnixListener::from(server.try_clone().unwrap()).accept().unwrap(), first));
            keep(std::rc::Rc::new(server));
        });
    });
    run(&reactor);
    assert_eq!(log.all()[..4], ["start factory", "connecting", "build", "made"]);
}

/// A few turns of the reactor later: the first attempt has failed then.
fn turns_later(f: impl FnOnce() + 'static) {
    Reactor::current().spawn(async move {
        turns().await;
        f();
        Ok(())
    });
}

/// Stops the second time that it is told of a failure.
struct Fails(Rc<RefCell<Vec<String>>>);

impl Factory for Fails {
    type Protocol = Probe;
    fn build_protocol(&self, _peer: &Address) -> Option<Probe> {
        None
    }
}

impl ClientFactory for Fails {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        self.0.borrow_mut().push(why.message().to_string());
        if self.0.borrow().len() == 2 {
            stop();
        }
    }
}

/// Once a name server was asked for `unix:/run/s`, and `127.0.0.1:80` was a file somewhere.
#[test]
fn an_address_of_another_kind_is_refused_and_the_call_for_it_is_named() {
    struct Quiet;
    impl DatagramProtocol for Quiet {
        fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
    }
    let reactor = Reactor::new().unwrap();
    let inet: Address = "127.0.0.1:80".parse().unwrap();
    let unix = Address::Unix(UnixAddress::from("/run/s"));
    reactor.install_name_resolver(resolver(|name: &str| -> Result<Vec<IpAddr>, Failure> {
        panic!("{name} is asked for")
    }));
    let probes = || factory(|_| Probe::<false>::new(&Log::default()));
    for (refused, advice) in [
        (reactor.listen_tcp(&unix, probes()).err(), "listens with listen_unix"),
        (reactor.listen_unix(&inet, probes()).err(), "listens with listen_tcp"),
        (reactor.listen_udp(&unix, Quiet).err(), "listens with listen_unix_datagram"),
        (reactor.listen_unix_datagram(&inet, Quiet).err(), "listens with listen_udp"),
    ] {
        let refused = refused.expect("of another kind");
        assert!(refused.check::<InvalidAddressError>(), "{refused}");
        assert!(refused.message().to_string().ends_with(advice), "{refused}");
    }
    let told: Rc<RefCell<Vec<String>>> = Rc::default();
    let _tcp = reactor.connect_tcp(&unix, Fails(told.clone()));
    let _unix = reactor.connect_unix(&inet, Fails(told.clone()));
    run(&reactor);
    let told = told.take();
    assert!(told[0].contains("unix:/run/s") && told[0].contains("connects with connect_unix"), "{told:?}");
    assert!(told[1].contains("127.0.0.1:80") && told[1].contains("connects with connect_tcp"), "{told:?}");
}

#[test]
fn both_ends_know_each_other() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("names"));
    let path = folder.at("s");
    let check = |transport: &Transport, host: UnixAddress, peer: UnixAddress| {
        assert_eq!(transport.get_host().unwrap(), Address::Unix(host));
        assert_eq!(*transport.get_peer(), Address::Unix(peer));
        let who = transport.peer_credentials().unwrap();
        assert_eq!(who.pid, Some(std::process::id() as i32));
        assert_eq!(who.uid, rustix::process::getuid().as_raw());
        assert_eq!(who.gid, rustix::process::getgid().as_raw());
        transport.set_tcp_no_delay(true).unwrap();
        assert!(!transport.tcp_no_delay().unwrap());
        transport.set_tcp_keep_alive(true).unwrap();
        assert!(transport.tcp_keep_alive().unwrap());
    };
    let (named, log) = (UnixAddress::from(&path), Log::default());
    let (server, client) = (named.clone(), log.clone());
    let port = reactor.listen_unix(
        &path,
        factory(move |_| {
            let named = server.clone();
            Probe::<false>::new(&Log::default()).made(move |cx| {
                check(cx, named.clone(), UnixAddress::unnamed());
                cx.lose_connection();
            })
        }),
    );
    assert_eq!(port.as_ref().unwrap().get_host().unwrap(), Address::Unix(named.clone()));
    let recorder = Recorder::new(&log, move |_| {
        let named = named.clone();
        let probe = Probe::<false>::new(&client);
        Some(probe.made(move |cx| check(cx, UnixAddress::unnamed(), named.clone())))
    });
    let connector = reactor.connect_unix(UnixConnect::from(&path), recorder.lost(|_| stop()));
    assert_eq!(connector.get_destination(), format!("unix:{}", path.display()));
    run(&reactor);
    assert_eq!(log.count("lost done"), 1);
}

#[test]
fn a_network_in_memory_has_none_and_says_so() {
    fn no_sockets(cause: &io::Error) -> bool {
        let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<SimulationError>());
        matches!(inner, Some(SimulationError::NoUnixSockets))
    }
    let reactor = Simulation::new().reactor();
    let nobody = factory(|_: &Address| None::<Probe>);
    let error = reactor.listen_unix("/run/s", nobody).unwrap_err();
    assert!(no_sockets(error.value::<CannotListenError>().expect("by name").cause()));

    let log = Log::default();
    let told = log.clone();
    struct Client(Log);
    impl twistor::Factory for Client {
        type Protocol = Probe;
        fn build_protocol(&self, _: &Address) -> Option<Probe> {
            None
        }
    }
    impl twistor::ClientFactory for Client {
        fn client_connection_failed(&self, _: &twistor::Connector, why: twistor::Failure) {
            let error = why.value::<ConnectError>().expect("by name");
            assert_eq!(error.kind(), ConnectErrorKind::Other);
            assert!(no_sockets(error.cause().expect("it has one")));
            assert!(error.source().is_some());
            self.0.add("failed");
            stop();
        }
    }
    reactor.connect_unix("/run/s", Client(told));
    run(&reactor);
    assert_eq!(log.all(), ["failed"]);
}

#[test]
fn what_is_no_unix_socket_says_so() {
    let t = testing::connect(Probe::<false>::new(&Log::default()));
    assert_eq!(t.transport().peer_credentials().unwrap_err().kind(), io::ErrorKind::Unsupported);
    let file = File::open("/dev/null").unwrap();
    assert_eq!(t.transport().send_file_descriptor(file).unwrap_err().kind(), io::ErrorKind::Unsupported);

    let reactor = Reactor::new().unwrap();
    let server = factory(|_| {
        Probe::<false>::new(&Log::default()).made(|cx| {
            let file = fs::File::open("/dev/null").unwrap();
            assert_eq!(cx.send_file_descriptor(file).unwrap_err().kind(), io::ErrorKind::Unsupported);
            assert_eq!(cx.peer_credentials().unwrap_err().kind(), io::ErrorKind::Unsupported);
            stop();
        })
    });
    let port = reactor.listen_tcp(HERE, server).unwrap();
    let _peer = std::net::TcpStream::connect(at(&port)).unwrap();
    run(&reactor);
}

/// Async code and callbacks over one socket, as over TCP.
#[test]
fn an_async_handler_serves_it_too() {
    #[derive(Default)]
    struct Asks;
    impl twistor::Protocol for Asks {
        fn connection_made(&mut self, cx: &twistor::Context<Self>) {
            cx.write("hello");
            cx.lose_write_connection();
        }
        fn data_received(&mut self, _: &twistor::Context<Self>, data: &[u8]) {
            assert_eq!(data, b"hello");
        }
        fn connection_lost(&mut self, _: &twistor::Context<Self>, _: twistor::Failure) {
            stop();
        }
    }
    let reactor = Reactor::new().unwrap();
    let echo = twistor::serve(|stream: twistor::Stream| async move {
        let (mut read, mut write) = stream.split();
        futures_lite::io::copy(&mut read, &mut write).await?;
        Ok(())
    });
    let port = reactor.listen_unix(UnixListen::new(""), echo).unwrap();
    reactor.connect_unix(&port.get_host().unwrap(), for_protocol::<Asks>());
    run(&reactor);
}
