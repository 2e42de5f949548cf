//! Names on both drivers: asked for by a program, and by who connects; and a resolver of one's own.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};
use twistor::{
    ClientFactory, Connector, Context, Failure, Protocol, Reactor, Result,
    defer::{Deferred, Promise},
    error::{CancelledError, ConnectError, ConnectErrorKind, DnsLookupError, ReactorNotRunning, UserError},
    factory,
    names::{HostResolution, HostnameResolver, ResolutionReceiver, resolver},
    report,
    tcp::TcpConnect,
    testing::{
        self, PeerListener, Simulation, assert_no_result, failure_result_of, on_both, success_result_of,
    },
};

const LIMIT: Duration = Duration::from_secs(20);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What becomes of an attempt to connect.
struct Told(RefCell<Option<Promise<Result<(), Failure>>>>);

impl Told {
    fn connecting(
        reactor: &Reactor,
        to: impl Into<TcpConnect>,
    ) -> (Connector, Deferred<Result<(), Failure>>) {
        let (told, promise) = Deferred::pending();
        (reactor.connect_tcp(to, Told(RefCell::new(Some(promise)))), told)
    }

    fn tell(&self, result: Result<(), Failure>) {
        let promise = self.0.take();
        promise.expect("it is told once").callback(result);
    }
}

struct Client;

impl Protocol for Client {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.factory::<Told>().tell(Ok(()));
        cx.lose_connection();
    }
}

impl twistor::Factory for Told {
    type Protocol = Client;

    fn build_protocol(&self, _peer: &twistor::Address) -> Option<Client> {
        Some(Client)
    }
}

impl ClientFactory for Told {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        self.tell(Err(why));
    }
}

struct Silent;

impl Protocol for Silent {}

fn listening(reactor: &Reactor) -> Result<u16> {
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Silent))?;
    Ok(port.get_host()?.port().expect("TCP has ports"))
}

on_both!(names_that_are_there_and_one_that_is_not);
fn names_that_are_there_and_one_that_is_not(reactor: &Reactor) -> Result<()> {
    let r = reactor.clone();
    testing::run(reactor, LIMIT, async move {
        assert!(r.resolve("localhost").await?.is_loopback());
        assert!(r.resolve("LocalHost").await?.is_loopback());
        let all = r.resolve_all("localhost", 80).await?;
        assert!(all.contains(&SocketAddr::new(HERE, 80)), "{all:?}");
        assert_eq!(r.resolve_all("192.0.2.1", 80).await?, ["192.0.2.1:80".parse()?]);
        let failure = r.resolve("no-such-name.invalid").await.unwrap_err();
        let error = failure.trap::<DnsLookupError>()?;
        assert_eq!((error.name(), error.cause().kind()), ("no-such-name.invalid", io::ErrorKind::NotFound));
        assert_eq!(io::Error::from(failure).kind(), io::ErrorKind::NotFound);
        Ok(())
    })
}

on_both!(connecting_asks_the_resolver_that_is_installed);
fn connecting_asks_the_resolver_that_is_installed(reactor: &Reactor) -> Result<()> {
    let (port, asked) = (listening(reactor)?, Rc::<RefCell<Vec<String>>>::default());
    let names = asked.clone();
    reactor.install_name_resolver(resolver(move |name: &str| {
        names.borrow_mut().push(name.to_string());
        Ok(vec![HERE])
    }));
    testing::run(reactor, LIMIT, Told::connecting(reactor, ("printer", port)).1)??;
    // A literal is no name.
    testing::run(reactor, LIMIT, Told::connecting(reactor, ("127.0.0.1", port)).1)??;
    assert_eq!(*asked.borrow(), ["printer"]);
    Ok(())
}

on_both!(what_a_resolver_fails_with_reaches_who_connects);
fn what_a_resolver_fails_with_reaches_who_connects(reactor: &Reactor) -> Result<()> {
    reactor.install_name_resolver(resolver(|name: &str| {
        let no = io::Error::new(io::ErrorKind::NotFound, "in its own words");
        Err(DnsLookupError::new(name, no).into())
    }));
    let failure = testing::run(reactor, LIMIT, Told::connecting(reactor, ("a.name", 80)).1)?.unwrap_err();
    let error = failure.trap::<ConnectError>()?;
    assert_eq!(error.kind(), ConnectErrorKind::UnknownHost);
    assert_eq!(error.cause().map(io::Error::kind), Some(io::ErrorKind::NotFound));
    assert!(failure.message().ends_with("in its own words"), "{}", failure.message());

    reactor.install_name_resolver(resolver(|_: &str| Ok(vec![])));
    let failure = testing::run(reactor, LIMIT, Told::connecting(reactor, ("a.name", 80)).1)?.unwrap_err();
    assert_eq!(failure.trap::<ConnectError>()?.kind(), ConnectErrorKind::UnknownHost);
    let failure = testing::run(reactor, LIMIT, reactor.resolve("a.name")).unwrap_err();
    assert_eq!(failure.message(), "cannot look up \"a.name\": the name has no address");
    Ok(())
}

on_both!(a_failure_is_never_told_inside_the_call_that_connects);
fn a_failure_is_never_told_inside_the_call_that_connects(reactor: &Reactor) -> Result<()> {
    reactor.install_name_resolver(resolver(|_: &str| Err(Failure::msg("at once"))));
    let (_connector, told) = Told::connecting(reactor, ("a.name", 80));
    assert_no_result(&told);
    assert!(testing::run(reactor, LIMIT, told)?.unwrap_err().check::<ConnectError>());
    Ok(())
}

/// Keeps what it is asked for.
#[derive(Clone, Default)]
struct Keeping(Rc<RefCell<Vec<Box<dyn ResolutionReceiver>>>>, Rc<Cell<u32>>);

impl HostnameResolver for Keeping {
    fn resolve_host_name(
        &self,
        name: &str,
        _port: u16,
        receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution {
        self.0.borrow_mut().push(receiver);
        let (kept, cancelled) = (self.0.clone(), self.1.clone());
        HostResolution::new(name, move || {
            cancelled.set(cancelled.get() + 1);
            let receivers = kept.take();
            drop(receivers);
        })
    }
}

#[test]
fn whoever_gives_up_cancels_the_lookup() {
    let sim = Simulation::new();
    let (reactor, keeping) = (sim.reactor(), Keeping::default());
    reactor.install_name_resolver(keeping.clone());
    let found = reactor.resolve("a.name");
    found.cancel();
    assert!(failure_result_of(found).check::<CancelledError>());
    assert_eq!(keeping.1.get(), 1);

    let (connector, told) = Told::connecting(&reactor, ("a.name", 80));
    connector.stop_connecting().unwrap();
    assert!(success_result_of(told).unwrap_err().check::<UserError>());
    assert_eq!(keeping.1.get(), 2);

    let (_connector, told) =
        Told::connecting(&reactor, TcpConnect::new("a.name", 80).timeout(Duration::from_secs(5)));
    sim.advance(Duration::from_secs(5));
    let failure = success_result_of(told).unwrap_err();
    assert_eq!(failure.trap::<ConnectError>().unwrap().kind(), ConnectErrorKind::TimedOut);
    assert_eq!(keeping.1.get(), 3);
    assert!(reactor.snapshot().is_empty(), "{}", reactor.snapshot());
}

#[test]
fn a_lookup_without_an_answer_fails_after_a_minute() {
    let sim = Simulation::new();
    let (reactor, keeping) = (sim.reactor(), Keeping::default());
    reactor.install_name_resolver(keeping.clone());
    let late = reactor.resolve("never");
    sim.advance(Duration::from_secs(59));
    assert_no_result(&late);
    sim.advance(Duration::from_secs(1));
    let failure = failure_result_of(late);
    assert_eq!(failure.message(), "cannot look up \"never\": no answer in 60s");
    assert_eq!(keeping.1.get(), 1, "the lookup is cancelled");
}

#[test]
fn a_resolver_that_gives_up_fails_who_waits() {
    let sim = Simulation::new();
    let (reactor, keeping) = (sim.reactor(), Keeping::default());
    reactor.install_name_resolver(keeping.clone());
    let (found, (_connector, told)) = (reactor.resolve("a.name"), Told::connecting(&reactor, ("a.name", 80)));
    let receivers = keeping.0.take();
    drop(receivers);
    sim.pump();
    assert!(failure_result_of(found).check::<twistor::error::Abandoned>());
    let failure = success_result_of(told).unwrap_err();
    assert!(failure.message().ends_with("the resolver has given no answer"), "{}", failure.message());
}

#[test]
fn at_the_end_of_the_run_lookups_fail_unreported() {
    let reports = Rc::<Cell<u32>>::default();
    let count = reports.clone();
    let _hook = report::hook(move |_| count.set(count.get() + 1));
    let sim = Simulation::new();
    let (reactor, keeping) = (sim.reactor(), Keeping::default());
    reactor.install_name_resolver(keeping.clone());
    let (found, (_connector, told)) = (reactor.resolve("a.name"), Told::connecting(&reactor, ("a.name", 80)));
    reactor.call_later(Duration::from_secs(1), || Reactor::current().stop().unwrap());
    reactor.run().unwrap();
    assert!(failure_result_of(found).check::<ReactorNotRunning>());
    drop((told, keeping));
    assert_eq!(reports.get(), 0);
}

/// In a later turn, and each run the same.
#[test]
fn in_a_simulation_the_hosts_are_those_of_the_test() {
    let sim = Simulation::new();
    sim.host("db.example", ["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]);
    let reactor = sim.reactor();
    let all = reactor.resolve_all("DB.example", 5432);
    assert_no_result(&all);
    sim.pump();
    assert_eq!(success_result_of(all), ["10.0.0.2:5432".parse().unwrap(), "[fd00::2]:5432".parse().unwrap()]);
    let unknown = sim.wait_for(reactor.resolve("db.exmaple")).unwrap_err();
    let advice = "cannot look up \"db.exmaple\": the simulation has no host \"db.exmaple\": give it one with Simulation::host";
    assert_eq!(unknown.message(), advice);
}

// ---- several addresses ------------------------------------------------------------------------------------------

const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A port that answers at 127.0.0.1, and is deaf at 127.0.0.2.
fn half_deaf(reactor: &Reactor) -> Result<(PeerListener, u16)> {
    // A port that is free at the one address may be taken at the other.
    for _ in 0..20 {
        let deaf = PeerListener::deaf(reactor, (THERE, 0))?;
        let port = deaf.local_address()?.port();
        if reactor.listen_tcp(("127.0.0.1", port), factory(|_| Silent)).is_ok() {
            return Ok((deaf, port));
        }
    }
    Err(Failure::msg("no port is free at both addresses"))
}

fn known(reactor: &Reactor, addresses: &'static [IpAddr]) {
    reactor.install_name_resolver(resolver(|_: &str| Ok(addresses.to_vec())));
}

on_both!(beside_an_address_that_does_not_answer_the_next_is_tried);
fn beside_an_address_that_does_not_answer_the_next_is_tried(reactor: &Reactor) -> Result<()> {
    let (_deaf, port) = half_deaf(reactor)?;
    known(reactor, &[THERE, HERE]);
    let began = reactor.now();
    testing::run(reactor, LIMIT, Told::connecting(reactor, ("a.name", port)).1)??;
    assert!(reactor.get_delayed_calls().is_empty(), "the race is over");
    let took = reactor.now() - began;
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(!reactor.is_virtual() || took == Duration::from_millis(250), "{took:?}");
    Ok(())
}

on_both!(after_one_that_refuses_the_next_is_tried_at_once);
fn after_one_that_refuses_the_next_is_tried_at_once(reactor: &Reactor) -> Result<()> {
    let port = listening(reactor)?;
    known(reactor, &[THERE, HERE]);
    let began = reactor.now();
    testing::run(reactor, LIMIT, Told::connecting(reactor, ("a.name", port)).1)??;
    assert!(!reactor.is_virtual() || reactor.now() == began);
    Ok(())
}

on_both!(when_all_refuse_it_is_told_once);
fn when_all_refuse_it_is_told_once(reactor: &Reactor) -> Result<()> {
    let closed = PeerListener::bind(reactor, (HERE, 0))?.local_address()?.port();
    known(reactor, &[THERE, HERE]);
    let failure = testing::run(reactor, LIMIT, Told::connecting(reactor, ("a.name", closed)).1)?.unwrap_err();
    assert_eq!(failure.trap::<ConnectError>()?.kind(), ConnectErrorKind::Refused);
    Ok(())
}

on_both!(the_timeout_ends_all_that_are_tried);
fn the_timeout_ends_all_that_are_tried(reactor: &Reactor) -> Result<()> {
    let deaf = PeerListener::deaf(reactor, (HERE, 0))?;
    known(reactor, &[HERE, HERE, HERE]);
    let to = TcpConnect::new("a.name", deaf.local_address()?.port()).timeout(Duration::from_millis(300));
    let failure = testing::run(reactor, LIMIT, Told::connecting(reactor, to).1)?.unwrap_err();
    assert_eq!(failure.trap::<ConnectError>()?.kind(), ConnectErrorKind::TimedOut);
    assert!(reactor.snapshot().is_empty(), "{}", reactor.snapshot());
    Ok(())
}

/// Tells a lookup that is under way of these.
fn come(keeping: &Keeping, addresses: &[&str]) {
    for address in addresses {
        // Not borrowed while it is told: it may cancel.
        let mut receiver = keeping.0.borrow_mut().pop().expect("it is asked");
        receiver.address_resolved(address.parse().expect("an address"));
        keeping.0.borrow_mut().push(receiver);
    }
}

#[test]
fn an_address_is_tried_as_soon_as_it_comes_and_one_of_ipv4_waits_a_moment_for_ipv6() {
    let sim = Simulation::new();
    let (reactor, keeping) = (sim.reactor(), Keeping::default());
    sim.host("both", ["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]);
    for at in ["10.0.0.2", "fd00::2"] {
        reactor.listen_tcp((at, 80), factory(|_| Silent)).unwrap();
    }
    reactor.install_name_resolver(keeping.clone());
    let connect = || {
        let (peer, told) = (Rc::default(), Rc::clone(&keeping.1));
        told.set(0);
        let connector = reactor.connect_tcp(("both", 80), Peers(Rc::clone(&peer)));
        (connector, peer)
    };
    // IPv6 comes: it is not waited for the others.
    let (connector, peer) = connect();
    come(&keeping, &["[fd00::2]:80"]);
    sim.pump();
    assert_eq!(peer.take().as_deref(), Some("[fd00::2]:80"));
    assert_eq!(keeping.1.get(), 1, "the rest of the lookup is of no use");
    connector.disconnect();

    // IPv4 comes first: it waits.
    let (connector, peer) = connect();
    come(&keeping, &["10.0.0.2:80"]);
    sim.advance(Duration::from_millis(49));
    assert_eq!(peer.take(), None);
    sim.advance(Duration::from_millis(1));
    assert_eq!(peer.take().as_deref(), Some("10.0.0.2:80"));
    connector.disconnect();

    // And IPv6 comes in time.
    let (connector, peer) = connect();
    come(&keeping, &["10.0.0.2:80"]);
    sim.advance(Duration::from_millis(49));
    come(&keeping, &["[fd00::2]:80"]);
    sim.pump();
    assert_eq!(peer.take().as_deref(), Some("[fd00::2]:80"));
    connector.disconnect();
}

/// Keeps who was connected to.
struct Peers(Rc<RefCell<Option<String>>>);

impl twistor::Factory for Peers {
    type Protocol = Silent;

    fn build_protocol(&self, peer: &twistor::Address) -> Option<Silent> {
        self.0.replace(Some(peer.to_string()));
        Some(Silent)
    }
}

impl ClientFactory for Peers {}
