//! Connecting: what the factory is told, and when.

use crate::loopback::*;
use futures_lite::AsyncWriteExt;
use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};
use twistor::{
    Connector, Reactor, factory,
    protocol::ConnectorState,
    tcp::{ListeningPort, TcpConnect},
    testing::{PeerListener, on_both},
};

/// A server that sends "welcome" and closes what it is sent.
fn server(reactor: &Reactor) -> ListeningPort {
    let log = Log::default();
    let welcomes = factory(move |_| {
        Probe::<false>::new(&log).made(|cx| cx.write("welcome")).data(|cx, _| cx.lose_connection())
    });
    reactor.listen_tcp(HERE, welcomes).unwrap()
}

/// An address where nothing listens.
fn nowhere(reactor: &Reactor) -> SocketAddr {
    PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).unwrap().local_address().unwrap()
}

fn polite(log: &Log) -> Option<Probe> {
    Some(Probe::new(log).data(|cx, _| cx.write("thanks")))
}

const WHOLE_LIFE: [&str; 8] = [
    "start factory",
    "connecting",
    "build",
    "made",
    "data welcome",
    "lost done",
    "factory: lost done",
    "stop factory",
];

fn whole_life(reactor: &Reactor, to: impl FnOnce(u16) -> TcpConnect) -> Vec<String> {
    let port = server(reactor);
    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| polite(&seen)).lost(|_| stop());
    // The connector is dropped at once: that ends nothing.
    reactor.connect_tcp(to(at(&port).port()), recorder);
    run(reactor);
    log.all()
}

on_both!(by_literal_address);
fn by_literal_address(reactor: &Reactor) {
    assert_eq!(whole_life(reactor, |port| TcpConnect::new("127.0.0.1", port)), WHOLE_LIFE);
}

on_both!(by_name);
fn by_name(reactor: &Reactor) {
    assert_eq!(whole_life(reactor, |port| TcpConnect::new("localhost", port)), WHOLE_LIFE);
}

on_both!(from_an_address_of_this_machine);
fn from_an_address_of_this_machine(reactor: &Reactor) {
    let peers = Rc::new(Cell::new(None));
    let seen = peers.clone();
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |peer: &twistor::Address| {
                seen.set(Some(peer.host()));
                stop();
                None::<Probe>
            }),
        )
        .unwrap();
    let log = Log::default();
    let to = TcpConnect::from(at(&port)).bind_address("127.0.0.2:0".parse().unwrap());
    reactor.connect_tcp(to, Recorder::new(&log.clone(), move |_| polite(&log)));
    run(reactor);
    assert_eq!(peers.take().as_deref(), Some("127.0.0.2"));
}

/// What a client is told that cannot connect, with the line that `connect_tcp` has returned.
fn failing(reactor: &Reactor, to: TcpConnect) -> Vec<String> {
    let log = Log::default();
    let recorder = Recorder::<Probe>::new(&log, |_| None).failed(|connector| {
        assert_eq!(connector.state(), ConnectorState::Disconnected);
        stop();
    });
    reactor.connect_tcp(to, recorder);
    log.add("returned");
    run(reactor);
    log.all()
}

fn failed_as(kind: &str) -> [String; 5] {
    let failed = format!("factory: failed {kind}");
    ["start factory", "connecting", "returned", &failed, "stop factory"].map(Into::into)
}

on_both!(what_fails_is_told_after_connect_tcp_with_its_kind);
fn what_fails_is_told_after_connect_tcp_with_its_kind(reactor: &Reactor) {
    assert_eq!(failing(reactor, nowhere(reactor).into()), failed_as("Refused"));
    assert_eq!(failing(reactor, TcpConnect::new("no-such-name.invalid", 1)), failed_as("UnknownHost"));
    let elsewhere = "203.0.113.1:0".parse().unwrap();
    assert_eq!(
        failing(reactor, TcpConnect::from(nowhere(reactor)).bind_address(elsewhere)),
        failed_as("Bind")
    );
}

on_both!(no_answer_in_time);
fn no_answer_in_time(reactor: &Reactor) {
    let listener = PeerListener::deaf(reactor, ([127, 0, 0, 1], 0)).unwrap();
    let to = TcpConnect::from(listener.local_address().unwrap()).timeout(Duration::from_millis(100));
    assert_eq!(failing(reactor, to), failed_as("TimedOut"));
}

on_both!(stop_connecting_tells_the_factory_inside_the_call);
fn stop_connecting_tells_the_factory_inside_the_call(reactor: &Reactor) {
    let log = Log::default();
    let recorder = Recorder::<Probe>::new(&log, |_| None);
    let connector = reactor.connect_tcp(("localhost", 1), recorder);
    assert_eq!(connector.state(), ConnectorState::Connecting);
    assert!(connector.connect().is_err(), "it connects already");
    connector.stop_connecting().unwrap();
    log.add("returned");
    assert_eq!(
        log.all(),
        ["start factory", "connecting", "factory: failed user", "stop factory", "returned"]
    );
    let error = connector.stop_connecting().unwrap_err();
    assert!(error.to_string().contains("not connecting"));
    assert_eq!(connector.get_destination(), "localhost:1");

    // Nothing comes of the lookup that is still under way.
    reactor.call_later(Duration::from_millis(20), stop);
    run(reactor);
    assert_eq!(log.all().len(), 5);
}

on_both!(the_factory_may_stop_it_before_it_begins);
fn the_factory_may_stop_it_before_it_begins(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    let recorder = Recorder::<Probe>::new(&log, |_| None)
        .connecting(|connector| connector.stop_connecting().expect("it connects"));
    let connector = reactor.connect_tcp(at(&port), recorder);
    assert_eq!(connector.state(), ConnectorState::Disconnected);
    assert_eq!(log.all(), ["start factory", "connecting", "factory: failed user", "stop factory"]);
}

on_both!(a_failed_one_connects_again_from_its_factory);
fn a_failed_one_connects_again_from_its_factory(reactor: &Reactor) {
    let log = Log::default();
    let tries = Cell::new(0);
    let recorder = Recorder::<Probe>::new(&log, |_| None).failed(move |connector| {
        tries.set(tries.get() + 1);
        if tries.get() < 3 {
            connector.connect().expect("disconnected");
        } else {
            stop();
        }
    });
    reactor.connect_tcp(nowhere(reactor), recorder);
    run(reactor);
    let once = ["connecting", "factory: failed Refused"];
    // It is used all the while: started and stopped once.
    assert_eq!(log.all(), [&["start factory"], &once[..], &once, &once, &["stop factory"]].concat());
}

on_both!(a_lost_one_connects_again_from_its_factory);
fn a_lost_one_connects_again_from_its_factory(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    let (seen, lives) = (log.clone(), Cell::new(0));
    let recorder = Recorder::new(&log, move |_| polite(&seen)).lost(move |connector| {
        lives.set(lives.get() + 1);
        if lives.get() < 2 {
            connector.connect().expect("disconnected");
        } else {
            stop();
        }
    });
    reactor.connect_tcp(at(&port), recorder);
    run(reactor);
    let once = &WHOLE_LIFE[1..7];
    assert_eq!(log.all(), [&["start factory"], once, once, &["stop factory"]].concat());
}

on_both!(disconnect_gives_up_an_attempt_and_closes_a_connection);
fn disconnect_gives_up_an_attempt_and_closes_a_connection(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    let recorder = Recorder::<Probe>::new(&log, |_| None);
    reactor.connect_tcp(at(&port), recorder).disconnect();
    assert_eq!(log.all().last().map(String::as_str), Some("stop factory"));

    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| {
        Some(Probe::<false>::new(&seen).data(|cx, _| {
            let connector: Connector = kept();
            assert_eq!(connector.state(), ConnectorState::Connected);
            connector.disconnect();
            cx.write("before the end");
        }))
    })
    .lost(|connector| {
        assert_eq!(connector.state(), ConnectorState::Disconnected);
        connector.disconnect(); // does nothing
        stop();
    });
    keep(reactor.connect_tcp(at(&port), recorder));
    run(reactor);
    assert_eq!(log.all(), WHOLE_LIFE);
}

on_both!(disconnect_while_the_protocol_is_built);
fn disconnect_while_the_protocol_is_built(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| {
        let connector: Connector = kept();
        assert_eq!(connector.state(), ConnectorState::Connected);
        connector.disconnect();
        polite(&seen)
    })
    .lost(|_| stop());
    keep(reactor.connect_tcp(at(&port), recorder));
    run(reactor);
    assert_eq!(log.all(), ["start factory", "connecting", "build", "factory: lost done", "stop factory"]);
}

on_both!(without_a_protocol_it_was_connected_and_is_lost);
/// As in Twisted: a connection that was made, and is lost at once.
fn without_a_protocol_it_was_connected_and_is_lost(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    reactor.connect_tcp(at(&port), Recorder::<Probe>::new(&log, |_| None).lost(|_| stop()));
    run(reactor);
    assert_eq!(log.all(), ["start factory", "connecting", "build", "factory: lost done", "stop factory"]);
}

on_both!(a_panic_in_build_protocol_is_a_failure_to_connect);
fn a_panic_in_build_protocol_is_a_failure_to_connect(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let port = server(reactor);
    let log = Log::default();
    let recorder = Recorder::<Probe>::new(&log, |_| panic!("build")).failed(|_| stop());
    reactor.connect_tcp(at(&port), recorder);
    run(reactor);
    assert_eq!(log.all().len(), 5);
    assert!(log.all()[3].starts_with("factory: failed panicked: build"), "{:?}", log.all());
    assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
}

on_both!(a_panic_in_build_protocol_of_a_closure_is_reported_once);
fn a_panic_in_build_protocol_of_a_closure_is_reported_once(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let port = server(reactor);
    let built = factory(|_| -> Probe {
        Reactor::current().call_later(Duration::ZERO, stop);
        panic!("build")
    });
    reactor.connect_tcp(at(&port), built);
    run(reactor);
    assert_eq!(reports.all().len(), 1, "{:?}", reports.all());
    assert!(reports.all()[0].starts_with("build_protocol: panicked: build"));
}

on_both!(the_factory_is_told_though_connection_lost_panics);
/// Twisted's factory is not told then, and its connector stays "connected" for ever.
fn the_factory_is_told_though_connection_lost_panics(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let port = server(reactor);
    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| {
        Some(Probe::<false>::new(&seen).data(|cx, _| cx.lose_connection()).lost(|_, _| panic!("lost")))
    })
    .lost(|_| stop());
    reactor.connect_tcp(at(&port), recorder);
    run(reactor);
    assert_eq!(log.all(), WHOLE_LIFE);
    assert_eq!(reports.all().len(), 1);
}

on_both!(panics_of_a_factory_hinder_nothing);
fn panics_of_a_factory_hinder_nothing(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let port = server(reactor);
    let log = Log::default();
    let seen = log.clone();
    let recorder =
        Recorder::new(&log, move |_| polite(&seen)).connecting(|_| panic!("connecting")).lost(|_| {
            stop();
            panic!("lost")
        });
    reactor.connect_tcp(at(&port), recorder);
    run(reactor);
    assert_eq!(log.all(), WHOLE_LIFE);
    let reports = reports.all();
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports[0].starts_with("started_connecting: panicked: connecting"));
    assert!(reports[1].starts_with("client_connection_lost: panicked: lost"));
}

on_both!(a_failure_that_no_factory_handles_is_reported);
/// A closure that is a client's factory reports what fails.
fn a_failure_that_no_factory_handles_is_reported(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let to = nowhere(reactor);
    reactor.connect_tcp(to, factory(|_| -> Probe { unreachable!() }));
    reactor.call_later(Duration::from_millis(20), stop);
    run(reactor);
    let told =
        format!("client_connection_failed: cannot connect to {to}: refused; is a server listening there?");
    assert!(reports.all()[0].starts_with(&told), "{:?}", reports.all());
    assert_eq!(reports.all().len(), 1);
}

on_both!(the_end_of_the_reactor_is_told_in_every_state);
fn the_end_of_the_reactor_is_told_in_every_state(reactor: &Reactor) {
    let port = server(reactor);
    let logs = [(); 4].map(|()| Log::default());
    let to: [TcpConnect; 4] = [
        ("localhost", 1).into(), // looked up
        at(&port).into(),        // connecting
        nowhere(reactor).into(), // about to be told of a refusal
        at(&port).into(),        // connected
    ];
    let mut to = to.into_iter();
    let mut begin = |log: &Log| {
        let seen = log.clone();
        reactor
            .connect_tcp(to.next().unwrap(), Recorder::new(log, move |_| Some(Probe::<false>::new(&seen))));
    };
    logs[..3].iter().for_each(&mut begin);
    let seen = logs[3].clone();
    reactor.connect_tcp(
        at(&port),
        Recorder::new(&logs[3], move |_| Some(Probe::<false>::new(&seen).made(|_| stop()))),
    );
    run(reactor);
    for log in &logs {
        let told = log.all().iter().filter(|line| line.starts_with("factory: ")).count();
        assert_eq!(told, 1, "{:?}", log.all());
        assert_eq!(log.all().last().map(String::as_str), Some("stop factory"));
    }
    assert!(logs[3].all().contains(&"lost lost".to_string()), "{:?}", logs[3].all());
}

on_both!(the_end_of_the_reactor_is_the_end_of_connecting_again);
/// A factory that always connects again does so for as long as the reactor runs.
fn the_end_of_the_reactor_is_the_end_of_connecting_again(reactor: &Reactor) {
    let port = server(reactor);
    let log = Log::default();
    let seen = log.clone();
    let recorder = Recorder::new(&log, move |_| Some(Probe::<false>::new(&seen).made(|_| stop())))
        .lost(|connector| connector.connect().expect("disconnected"))
        .failed(|connector| connector.connect().expect("disconnected"));
    let connector = reactor.connect_tcp(at(&port), recorder);
    run(reactor);
    assert_eq!(connector.state(), ConnectorState::Disconnected);
    assert_eq!(reactor.get_delayed_calls().len(), 0);
    assert_eq!(log.count("factory: lost lost"), 1);
    assert_eq!(log.all().last().map(String::as_str), Some("stop factory"));
}

on_both!(a_client_writes_and_reads);
/// Whose peer is no server of twistor, so that both ends are seen.
fn a_client_writes_and_reads(reactor: &Reactor) {
    let listener = PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).unwrap();
    let to = listener.local_address().unwrap();
    let log = Log::default();
    reactor.connect_tcp(
        to,
        Recorder::new(&log.clone(), move |_| {
            Some(Probe::<false>::new(&log).data(|cx, data| {
                cx.write(data);
                cx.lose_connection();
            }))
        }),
    );
    let echoed = play_alone(reactor, async move || {
        let mut peer = listener.accept().await.unwrap();
        peer.write_all(b"hello").await.unwrap();
        read_all(&mut peer).await.0
    });
    assert_eq!(echoed, b"hello");
}
