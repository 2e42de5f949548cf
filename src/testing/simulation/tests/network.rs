//! The network is as the kernel's. Each of these facts was looked up there.

use super::*;
use crate::{
    Address, DatagramContext, DatagramProtocol, Failure,
    error::{CannotListenError, ConnectError, ConnectErrorKind, ConnectionLost},
    protocol::socket::{Handle, Interest, Token},
    reactor::driver::{Bind, Driver, Listen, Membership, OptionName, Ready, Refused, SocketOption},
    testing::simulation::driver::key,
    udp::UdpListen,
};
use io::{ErrorKind, IoSlice};

/// The driver of a reactor, asked directly.
struct Sockets(Rc<dyn Driver>);

impl Sockets {
    fn new(sim: &Simulation) -> Sockets {
        Sockets(sim.reactor().core.driver.clone())
    }

    fn listen(&self, port: u16, backlog: u32) -> Handle {
        self.0.listen(&Listen { at: local(port), backlog, reuse_address: true, reuse_port: false }).unwrap()
    }

    /// The two ends of a connection.
    fn pair(&self) -> (Handle, Handle) {
        let port = self.listen(0, 1);
        let client = self.0.connect(self.0.local_address(&port).unwrap().as_inet().unwrap(), None).unwrap();
        let (server, _) = self.0.accept(&port).unwrap();
        self.0.close(port);
        (client, server)
    }

    fn send(&self, handle: &Handle, data: &[u8]) -> Result<usize, Option<i32>> {
        self.0.send(handle, &[IoSlice::new(data)]).map_err(|error| error.raw_os_error())
    }

    fn receive(&self, handle: &Handle) -> Result<Vec<u8>, Option<i32>> {
        let mut buffer = [0; 100_000];
        let length = self.0.receive(handle, &mut buffer).map_err(|error| error.raw_os_error())?;
        Ok(buffer[..length].to_vec())
    }

    /// Whether it is told as readable, and as writable.
    fn ready(&self, handle: &Handle) -> (bool, bool) {
        let both = Interest { read: true, write: true };
        self.0.watch(handle, Token(0), Interest::NONE, both).unwrap();
        let mut ready = vec![];
        self.0.wait(Some(Duration::ZERO), &mut ready).unwrap();
        self.0.watch(handle, Token(0), both, Interest::NONE).unwrap();
        let told = ready.pop();
        told.map_or((false, false), |Ready { read, write, .. }| (read, write))
    }
}

const EPIPE: Option<i32> = Some(32);
const EAGAIN: Option<i32> = Some(11);
const ECONNRESET: Option<i32> = Some(104);

#[test]
fn a_buffer_is_bounded_and_readiness_follows_it() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, server) = sockets.pair();
    assert_eq!((sockets.ready(&client), sockets.ready(&server)), ((false, true), (false, true)));
    let data = vec![7; 100_000];
    let sent = sockets.send(&client, &data).unwrap();
    assert!(sent < data.len());
    assert_eq!(sockets.send(&client, &data), Err(EAGAIN));
    assert_eq!((sockets.ready(&client), sockets.ready(&server)), ((false, false), (true, true)));
    assert_eq!(sockets.receive(&server).unwrap(), data[..sent]);
    assert_eq!((sockets.ready(&client), sockets.ready(&server)), ((false, true), (false, true)));
    assert_eq!(sockets.receive(&server), Err(EAGAIN));
}

#[test]
fn each_direction_ends_for_itself() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, server) = sockets.pair();
    sockets.send(&client, b"last").unwrap();
    sockets.0.shutdown(&client).unwrap();
    assert_eq!(sockets.send(&client, b"more"), Err(EPIPE));
    assert_eq!(sockets.receive(&server).unwrap(), b"last");
    assert_eq!(sockets.receive(&server).unwrap(), b"");
    assert_eq!(sockets.receive(&server).unwrap(), b"");
    sockets.send(&server, b"answer").unwrap();
    assert_eq!(sockets.receive(&client).unwrap(), b"answer");
    sockets.0.shutdown(&server).unwrap();
    assert_eq!(sockets.receive(&client).unwrap(), b"");
    sockets.0.shutdown(&server).unwrap();
}

/// Once the end was lost for ever: nobody sent it when the connection was there.
#[test]
fn what_is_not_connected_has_no_direction_to_end() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let port = sockets.listen(7, 0);
    let client = || sockets.0.connect(local(7), None).unwrap_or_else(|_| panic!("it listens"));
    let (first, waits) = (client(), client());
    let network = || sim.world.network.borrow_mut();
    assert_eq!(network().shutdown(key(&waits).unwrap()).unwrap_err().kind(), io::ErrorKind::NotConnected);
    sockets.0.shutdown(&waits).unwrap(); // as the driver of the system says it
    let (server, _) = sockets.0.accept(&port).unwrap();
    sim.advance(secs(1)); // it asks again
    let (other, _) = sockets.0.accept(&port).unwrap();
    assert_eq!(sockets.send(&waits, b"x"), Ok(1));
    sockets.0.shutdown(&waits).unwrap();
    assert_eq!((sockets.receive(&other), sockets.receive(&other)), (Ok(b"x".to_vec()), Ok(vec![])));

    sockets.0.reset(server);
    assert_eq!(network().shutdown(key(&first).unwrap()).unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[test]
fn a_reset_is_told_once_after_what_came_before_it() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, server) = sockets.pair();
    sockets.send(&client, b"last").unwrap();
    sockets.0.reset(client);
    assert_eq!(sockets.ready(&server), (true, true));
    assert_eq!(sockets.receive(&server).unwrap(), b"last");
    assert_eq!(sockets.receive(&server), Err(ECONNRESET));
    assert_eq!(sockets.receive(&server).unwrap(), b"");
    assert_eq!(sockets.send(&server, b"x"), Err(EPIPE));
}

#[test]
fn who_writes_to_one_that_has_closed_is_told_after_the_first_write() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, server) = sockets.pair();
    sockets.0.close(client);
    assert_eq!(sockets.receive(&server).unwrap(), b"");
    assert_eq!(sockets.send(&server, b"x"), Ok(1));
    assert_eq!(sockets.send(&server, b"x"), Err(EPIPE));
}

#[test]
fn to_close_with_something_unread_is_a_reset() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, server) = sockets.pair();
    sockets.send(&client, b"x").unwrap();
    sockets.0.close(server);
    assert_eq!(sockets.receive(&client), Err(ECONNRESET));
}

#[test]
fn a_port_closes_those_it_has_not_accepted() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let port = echo(&reactor);
    let peer = sim.connect(local(7)).unwrap();
    assert_eq!(sim.sockets(), 3);
    drop(port.stop_listening());
    assert_eq!(peer.receive(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(sim.connect(local(7)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(sim.sockets(), 1);
}

/// One more than asked waits; the others ask again, each second.
#[test]
fn a_full_queue_makes_who_connects_wait() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let port = sockets.listen(80, 1);
    let clients: Vec<_> = (0..3).map(|_| sockets.0.connect(local(80), None).unwrap()).collect();
    assert_eq!(sockets.0.take_error(&clients[1]).map_err(|error| error.kind()), Ok(()));
    assert_eq!(sockets.0.take_error(&clients[2]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    sockets.0.accept(&port).unwrap();
    sim.advance(Duration::from_millis(999));
    assert_eq!(sockets.ready(&clients[2]), (false, false));
    sim.advance(Duration::from_millis(1));
    assert_eq!(sockets.ready(&clients[2]), (false, true));
    assert!(sockets.0.take_error(&clients[2]).is_ok());
}

#[test]
fn an_address_is_taken_by_one_unless_all_agree_to_share() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let listen = |at: SocketAddr, reuse_port| {
        let listened = sockets.0.listen(&Listen { at, backlog: 5, reuse_address: true, reuse_port });
        listened.map_err(|error| error.kind())
    };
    let any: SocketAddr = ([0, 0, 0, 0], 80).into();
    let first = listen(any, false).unwrap();
    for at in [any, local(80), "[::]:80".parse().unwrap()] {
        assert_eq!(listen(at, false).err(), Some(ErrorKind::AddrInUse), "{at}");
        assert_eq!(listen(at, true).err(), Some(ErrorKind::AddrInUse), "{at}");
    }
    assert!(listen("[::1]:80".parse().unwrap(), false).is_ok());
    sockets.0.close(first);
    assert!(listen(local(80), true).is_ok() && listen(local(80), true).is_ok());
    assert_eq!(listen(([192, 0, 2, 1], 80).into(), false).err(), Some(ErrorKind::AddrNotAvailable));
    // UDP has ports of its own.
    let bind = |reuse| Bind { at: local(80), reuse_address: reuse, reuse_port: false };
    sockets.0.bind(&bind(false)).unwrap();
    assert_eq!(sockets.0.bind(&bind(true)).unwrap_err().kind(), ErrorKind::AddrInUse);
    let to_any = sockets.0.connect(([0, 0, 0, 0], 80).into(), None).unwrap();
    assert!(sockets.0.take_error(&to_any).is_ok());
    let refused = sockets.0.connect(local(80), Some(local(80)));
    assert!(matches!(refused, Err(Refused::Bind(error)) if error.kind() == ErrorKind::AddrInUse));
}

/// Its own address is that of the family it listens in.
#[test]
fn a_port_of_ipv6_takes_in_ipv4() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let at: SocketAddr = "[::]:80".parse().unwrap();
    let port = sockets.0.listen(&Listen { at, backlog: 5, reuse_address: false, reuse_port: false }).unwrap();
    let client = sockets.0.connect(local(80), None).unwrap();
    let (server, peer) = sockets.0.accept(&port).unwrap();
    assert_eq!(
        peer.to_string(),
        format!("[::ffff:127.0.0.1]:{}", sockets.0.local_address(&client).unwrap().as_inet().unwrap().port())
    );
    assert_eq!(
        sockets.0.local_address(&server).unwrap().as_inet().unwrap().to_string(),
        "[::ffff:127.0.0.1]:80"
    );
}

/// Notes the end of its attempt to connect.
struct Noting(Log);

impl Protocol for Noting {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.0.add(format!("made to {}", cx.get_peer()));
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.add(if why.check::<ConnectionLost>() { "lost" } else { "done" });
    }
}

struct Client(Log);

impl crate::Factory for Client {
    type Protocol = Noting;
    fn build_protocol(&self, _peer: &Address) -> Option<Noting> {
        Some(Noting(self.0.clone()))
    }
}

impl crate::ClientFactory for Client {
    fn client_connection_failed(&self, _connector: &crate::Connector, why: Failure) {
        let error = why.value::<ConnectError>().unwrap();
        self.0.add(format!("{:?}: {error}", error.kind()));
    }
}

#[test]
fn names_and_routes_are_those_that_were_given() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let log = Log::default();
    sim.host("Db.example", ["10.0.0.2".parse().unwrap()]);
    echo(&reactor);
    let _db = reactor.listen_tcp(("10.0.0.2", 7), factory(|_| Echo)).unwrap();
    for to in ["localhost", "db.example", "web.example", "192.0.2.1"] {
        reactor.connect_tcp((to, 7), Client(log.clone()));
    }
    reactor.connect_tcp(local(8), Client(log.clone()));
    sim.run_until_idle();
    let mut seen = log.take();
    seen.sort();
    let kinds = [ConnectErrorKind::NoRoute, ConnectErrorKind::Refused, ConnectErrorKind::UnknownHost];
    for (text, kind) in seen[..3].iter().zip(kinds) {
        assert!(text.starts_with(&format!("{kind:?}")), "{text}");
    }
    assert_eq!(seen[3..], ["done", "done", "made to 10.0.0.2:7", "made to 127.0.0.1:7"]);
    let taken = reactor.listen_tcp(local(7), factory(|_| Echo)).unwrap_err();
    assert_eq!(taken.value::<CannotListenError>().unwrap().cause().kind(), ErrorKind::AddrInUse);
}

/// Notes each datagram.
struct Hears(&'static str, Log);

impl DatagramProtocol for Hears {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], _from: &Address) {
        self.1.add(format!("{} {}", self.0, String::from_utf8_lossy(data)));
    }

    fn connection_refused(&mut self, _cx: &DatagramContext<Self>) {
        self.1.add(format!("{} refused", self.0));
    }
}

#[test]
fn datagrams_find_their_port_and_a_connected_one_hears_of_a_refusal() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let log = Log::default();
    let open = |name, port| reactor.listen_udp(("127.0.0.1", port), Hears(name, log.clone())).unwrap();
    let (one, two, three) = (open("one", 1001), open("two", 1002), open("three", 1003));
    one.write_to("a", &local(1002).into()).unwrap();
    two.connect(local(1001)).unwrap();
    two.write("b").unwrap();
    three.write_to("not heard: two has one peer", &local(1002).into()).unwrap();
    three.write_to("to nobody", &local(1004).into()).unwrap();
    sim.pump();
    assert_eq!(log.take(), ["one b", "two a"]);
    drop(one.stop_listening());
    two.write("c").unwrap();
    sim.pump();
    assert_eq!(log.take(), ["two refused"]);
    let long = vec![0; 65_508];
    assert!(two.write(&long[..]).unwrap_err().check::<crate::error::MessageLengthError>());
}

#[test]
fn a_group_is_heard_by_all_who_have_joined_it() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let log = Log::default();
    let group: IpAddr = [224, 0, 0, 251].into();
    let all = Address::from(SocketAddr::new(group, 5353));
    let ports = ["one", "two", "three"].map(|name| {
        reactor.listen_udp(UdpListen::port(5353).listen_multiple(true), Hears(name, log.clone())).unwrap()
    });
    ports[0].join_group(group, None).unwrap();
    ports[2].join_group(group, None).unwrap();
    assert!(ports[0].join_group(group, None).is_err());
    ports[1].write_to("x", &all).unwrap();
    sim.pump();
    assert_eq!(log.take(), ["one x", "three x"]);
    ports[0].leave_group(group, None).unwrap();
    assert!(ports[0].leave_group(group, None).is_err());
    ports[1].set_multicast_loopback(false).unwrap();
    ports[1].write_to("y", &all).unwrap();
    sim.pump();
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn options_are_kept_and_have_the_kernel_s_defaults() {
    let sim = Simulation::new();
    let sockets = Sockets::new(&sim);
    let (client, _server) = sockets.pair();
    for (name, default, set) in [
        (OptionName::NoDelay, 0, SocketOption::NoDelay(true)),
        (OptionName::KeepAlive, 0, SocketOption::KeepAlive(true)),
        (OptionName::Broadcast, 0, SocketOption::Broadcast(true)),
        (OptionName::MulticastTtl, 1, SocketOption::MulticastTtl(9)),
        (OptionName::MulticastLoopback, 1, SocketOption::MulticastLoopback(false)),
    ] {
        assert_eq!(sockets.0.option(&client, name).unwrap(), default);
        sockets.0.set_option(&client, set).unwrap();
        assert_ne!(sockets.0.option(&client, name).unwrap(), default);
    }
    let membership = Membership { group: "224.0.0.1".parse().unwrap(), interface: None };
    assert!(sockets.0.set_option(&client, SocketOption::Join(membership)).is_err());
}
