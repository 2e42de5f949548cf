//! Bad input gives an error by name, whose text says what to do.

mod loopback;

use loopback::*;
use std::{env, os::unix::process::CommandExt, process::Command, time::Duration};
use twistor::{
    Address, Connector, Failure, Reactor, Transport,
    address::InvalidAddressError,
    error::{CannotListenError, ConnectError, ConnectErrorKind, NotListeningError},
    factory,
    tcp::{TcpConnect, TcpListen},
    testing::{Peer, PeerListener, on_both},
};

fn nobody(_peer: &Address) -> Option<Probe> {
    None
}

fn listen(reactor: &Reactor, to: impl Into<TcpListen>) -> Failure {
    reactor.listen_tcp(to, factory(nobody)).unwrap_err()
}

struct Deaf;

impl twistor::DatagramProtocol for Deaf {
    fn datagram_received(&mut self, _: &twistor::DatagramContext<Self>, _: &[u8], _: &Address) {}
}

on_both!(a_port_in_use);
fn a_port_in_use(reactor: &Reactor) {
    let advice = "something listens there already; stop it, or take another port (0 picks a free one)";

    let taken = at(&reactor.listen_tcp(HERE, factory(nobody)).unwrap());
    let error = listen(reactor, taken);
    assert_eq!(error.to_string(), format!("cannot listen on {taken}: {advice}"));
    let error = error.value::<CannotListenError>().expect("by name");
    assert_eq!((error.at(), error.cause().kind()), (&taken.to_string()[..], std::io::ErrorKind::AddrInUse));

    let taken = reactor.listen_udp(HERE, Deaf).unwrap().get_host().unwrap().as_inet().unwrap();
    let error = reactor.listen_udp(taken, Deaf).unwrap_err();
    assert!(error.check::<CannotListenError>());
    assert_eq!(error.to_string(), format!("cannot listen on {taken}: {advice}"));
}

on_both!(an_address_of_another_machine);
fn an_address_of_another_machine(reactor: &Reactor) {
    let error = listen(reactor, ("203.0.113.1", 0));
    assert!(error.check::<CannotListenError>());
    assert_eq!(error.to_string(), "cannot listen on 203.0.113.1:0: that address is not of this machine");
}

/// In a process of another user: this one may be root.
#[test]
fn a_port_that_needs_a_privilege() {
    const NOBODY: &str = "TWISTOR_TEST_AS_NOBODY";
    if env::var_os(NOBODY).is_some() {
        return println!("<{}>", listen(&Reactor::new().unwrap(), ("127.0.0.1", 81)));
    }
    let unprivileged = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if unprivileged.is_ok_and(|from| from.trim().parse().is_ok_and(|from: u16| from <= 81)) {
        // The text of EACCES is tested in src/error/listen.rs as well.
        println!("this kernel allows anybody to listen on port 81: ip_unprivileged_port_start is low");
        return;
    }
    // Where anybody may run it.
    let program = env::temp_dir().join(format!("twistor-errors-{}", std::process::id()));
    std::fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "a_port_that_needs_a_privilege", "--nocapture"]).env(NOBODY, "1");
    let is_root = std::fs::read_dir("/root").is_ok();
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let output = command.current_dir("/").output();
    std::fs::remove_file(&program).unwrap();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let told =
        "<cannot listen on 127.0.0.1:81: ports below 1024 need the right to bind them; take a higher port>";
    assert!(output.contains(told), "{output}");
}

on_both!(a_text_that_is_no_interface);
fn a_text_that_is_no_interface(reactor: &Reactor) {
    let advice = "an interface is a literal address such as 127.0.0.1 or ::1, or empty for all of IPv4";
    for text in ["localhost", "127.0.0", "127.0.0.1:80", "eth0", "::1]"] {
        let error = listen(reactor, (text, 0));
        assert_eq!(error.value::<InvalidAddressError>().expect("by name").text(), text);
        assert_eq!(error.to_string(), format!("`{text}` is no address: {advice}"));
        let error = reactor.listen_udp((text, 0), Deaf).unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` is no address: {advice}"));
    }
}

#[test]
fn a_text_that_is_no_address() {
    for text in ["127.0.0.1", "localhost:80", "::1:80", "127.0.0.1:66000", ""] {
        let error = text.parse::<Address>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{text}` is no address: write it as 127.0.0.1:8007, [::1]:8007 or unix:/run/it.sock")
        );
    }
}

/// The text of a failed attempt.
fn connecting(reactor: &Reactor, to: impl Into<TcpConnect>) -> (ConnectErrorKind, String) {
    let (reports, _guard) = reports();
    let log = Log::default();
    let recorder = Told(log.clone());
    reactor.connect_tcp(to, recorder);
    run(reactor);
    assert_eq!(reports.all(), [""; 0]);
    let told = log.all().concat();
    let (kind, text) = told.split_once('|').expect("a kind");
    let kinds = [ConnectErrorKind::UnknownHost, ConnectErrorKind::Bind, ConnectErrorKind::Refused];
    let kind = kinds.into_iter().find(|each| format!("{each:?}") == kind).expect("one of these");
    (kind, text.into())
}

struct Told(Log);

impl twistor::Factory for Told {
    type Protocol = Probe;
    fn build_protocol(&self, _peer: &Address) -> Option<Probe> {
        None
    }
}

impl twistor::ClientFactory for Told {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        let error = why.value::<ConnectError>().expect("by name");
        assert!(error.cause().is_some(), "what the system said");
        self.0.add(format!("{:?}|{error}", error.kind()));
        stop();
    }
}

on_both!(a_name_that_does_not_resolve);
fn a_name_that_does_not_resolve(reactor: &Reactor) {
    let (kind, text) = connecting(reactor, ("no-such-name.invalid", 80));
    assert_eq!(kind, ConnectErrorKind::UnknownHost);
    assert_eq!(
        text,
        "cannot connect to no-such-name.invalid:80: the name does not resolve; check its spelling and this machine's DNS"
    );
    // An address that is nearly one is looked up as a name.
    assert_eq!(connecting(reactor, ("127.0.0.256", 80)).0, ConnectErrorKind::UnknownHost);
    assert_eq!(connecting(reactor, ("", 80)).0, ConnectErrorKind::UnknownHost);
}

on_both!(a_server_that_is_not_there);
fn a_server_that_is_not_there(reactor: &Reactor) {
    let there = PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).unwrap().local_address().unwrap();
    let (kind, text) = connecting(reactor, there);
    assert_eq!(kind, ConnectErrorKind::Refused);
    assert_eq!(text, format!("cannot connect to {there}: refused; is a server listening there?"));
}

on_both!(an_address_to_connect_from_that_is_not_of_this_machine);
fn an_address_to_connect_from_that_is_not_of_this_machine(reactor: &Reactor) {
    let to = TcpConnect::new("127.0.0.1", 9).bind_address("203.0.113.1:0".parse().unwrap());
    let (kind, text) = connecting(reactor, to);
    assert_eq!(kind, ConnectErrorKind::Bind);
    assert_eq!(
        text,
        "cannot connect to 127.0.0.1:9: the bind address is not usable here; use an address of this machine"
    );
    let other_family = TcpConnect::new("127.0.0.1", 9).bind_address("[::1]:0".parse().unwrap());
    assert_eq!(connecting(reactor, other_family).0, ConnectErrorKind::Bind);
}

on_both!(a_port_that_was_stopped);
fn a_port_that_was_stopped(reactor: &Reactor) {
    let port = reactor.listen_tcp(HERE, factory(nobody)).unwrap();
    assert!(port.stop_listening().is_fired());
    let error = port.get_host().unwrap_err();
    assert!(error.check::<NotListeningError>());
    assert_eq!(
        error.to_string(),
        "the port was stopped and does not listen; listen again with listen_tcp or listen_udp"
    );
}

on_both!(a_connector_in_another_state);
fn a_connector_in_another_state(reactor: &Reactor) {
    let connector = reactor.connect_tcp(("localhost", 9), Recorder::new(&Log::default(), nobody));
    assert_eq!(
        connector.connect().unwrap_err().to_string(),
        "the connector is connecting or connected; wait for the connection to be lost, or call disconnect first"
    );
}

on_both!(a_factory_of_another_type);
/// Every connection of the server would make this mistake.
fn a_factory_of_another_type(reactor: &Reactor) {
    struct Chat;
    let (reports, _guard) = reports();
    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&Log::default(), move |_| {
        Some(Probe::<false>::new(&seen).made(|cx| {
            assert!(cx.try_factory::<Chat>().is_none());
            assert!(cx.try_factory::<Recorder<Probe>>().is_some());
            cx.factory::<Chat>();
        }))
    });
    serve(reactor, recorder, async |mut stream| drop(read_all(&mut stream).await));
    let told = &reports.all()[0];
    assert!(told.starts_with("connection_made: panicked: the factory of this connection is a "), "{told}");
    assert!(told.contains("Recorder<errors::loopback::Probe>, not a errors::"), "{told}");
    assert!(told.contains("Chat: ask for the type that was listened with"), "{told}");
    assert!(told.contains("errors.rs"), "the line that asked: {told}");
    assert_eq!(reports.all().len(), 1);
}

on_both!(a_connection_that_is_over);
/// A handle of a connection that is over does nothing, and says so where there is something to say.
fn a_connection_that_is_over(reactor: &Reactor) {
    let log = Log::default();
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |_| {
                Probe::<false>::new(&log).made(|cx| {
                    keep(Transport::clone(cx));
                    cx.abort_connection();
                })
            }),
        )
        .unwrap();
    let peer = Peer::connect(reactor, at(&port)).unwrap();
    reactor.call_later(Duration::from_millis(10), || {
        let over = kept::<Transport>();
        over.write("x");
        assert_eq!(over.buffered(), 0);
        assert!(over.get_host().is_err());
        let error = over.drained().now().expect("at once").unwrap_err();
        assert_eq!(error.to_string(), "the connection of this protocol is gone");
        stop();
    });
    run(reactor);
    drop(peer);
}

/// It looks for its runtime, and does not find it; its message does not help who has another loop.
#[test]
fn a_tokio_library_that_is_awaited_bare() {
    let simulation = twistor::testing::Simulation::new();
    for reactor in [Reactor::new().unwrap(), simulation.reactor()] {
        let bare = reactor
            .spawn(async {
                tokio::time::sleep(Duration::ZERO).await;
                Ok(())
            })
            .add_both(|result| {
                stop();
                result
            });
        run(&reactor);
        let failure = bare.now().unwrap_or_else(|_| panic!("it is pending")).unwrap_err();
        let told = failure.to_string();
        let (panicked, advice) = told.split_once("; ").expect("what happened; what to do");
        assert!(panicked.starts_with("panicked: there is no reactor running"), "{told}");
        assert_eq!(
            advice,
            "this needs tokio's runtime, which does not run here: have twistor_tokio::Tokio run it"
        );
    }
}
