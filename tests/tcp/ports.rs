//! Listening: options, stopping, draining.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Context, Factory, Protocol, Reactor, Transport,
    error::{NotListeningError, Panicked},
    factory,
    tcp::{Drained, TcpListen},
    testing::{Peer, PeerListener, on_both},
};

on_both!(a_factory_of_two_ports_is_started_and_stopped_once);
fn a_factory_of_two_ports_is_started_and_stopped_once(reactor: &Reactor) {
    let log = Log::default();
    let shared = Rc::new(Recorder::<Probe>::new(&log, |_| None));
    let one = reactor.listen_tcp(HERE, shared.clone()).unwrap();
    let two = reactor.listen_tcp(HERE, shared).unwrap();
    assert_eq!(log.all(), ["start factory"]);
    assert!(one.stop_listening().is_fired());
    assert_eq!(log.all(), ["start factory"]);
    assert!(two.stop_listening().is_fired());
    assert_eq!(log.all(), ["start factory", "stop factory"]);
}

on_both!(a_factory_that_panics_at_its_start);
/// A panic in `start_factory` is the error of `listen_tcp` and of `start_listening`; no socket is left behind, and the factory can be used again.
fn a_factory_that_panics_at_its_start(reactor: &Reactor) {
    struct Fragile {
        log: Log,
        fails: Cell<bool>,
    }
    impl Factory for Fragile {
        type Protocol = Probe;
        fn build_protocol(&self, _peer: &twistor::Address) -> Option<Probe> {
            None
        }
        fn start_factory(&self) {
            self.log.add("start factory");
            assert!(!self.fails.get(), "as told");
        }
        fn stop_factory(&self) {
            self.log.add("stop factory");
        }
    }
    let (reports, _guard) = reports();
    let log = Log::default();
    let factory = Rc::new(Fragile { log: log.clone(), fails: Cell::new(true) });
    // A port that is free, for now.
    let free = PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).unwrap().local_address().unwrap();
    let error = reactor.listen_tcp(free, factory.clone()).unwrap_err();
    assert_eq!(error.value::<Panicked>().expect("by name").message(), "as told");
    assert!(Peer::connect(reactor, free).is_err(), "it does not listen");
    assert_eq!(log.all(), ["start factory", "stop factory"]);

    factory.fails.set(false);
    let port = reactor.listen_tcp(free, factory.clone()).unwrap();
    port.stop_listening().now().unwrap().unwrap();
    assert_eq!(log.all().len(), 4);

    factory.fails.set(true);
    assert!(port.start_listening().unwrap_err().check::<Panicked>());
    assert!(port.get_host().unwrap_err().check::<NotListeningError>());
    factory.fails.set(false);
    port.start_listening().unwrap();
    assert!(Peer::connect(reactor, at(&port)).is_ok());
    assert_eq!(log.all()[4..], ["start factory", "stop factory", "start factory"]);
    assert_eq!(reports.all(), [""; 0]);
}

on_both!(stopped_twice_started_again);
fn stopped_twice_started_again(reactor: &Reactor) {
    let log = Log::default();
    let port = reactor.listen_tcp(HERE, Recorder::<Probe>::new(&log, |_| None)).unwrap();
    let host = at(&port);
    for _ in 0..2 {
        port.stop_listening().now().unwrap().unwrap();
    }
    assert!(port.get_host().unwrap_err().check::<NotListeningError>());
    assert!(Peer::connect(reactor, host).is_err());
    port.start_listening().unwrap();
    assert!(Peer::connect(reactor, at(&port)).is_ok());
    let error = port.start_listening().unwrap_err();
    assert!(error.message().contains("this port listens already"), "{}", error.message());
    assert_eq!(log.all(), ["start factory", "stop factory", "start factory"]);
}

on_both!(connections_outlive_their_port);
fn connections_outlive_their_port(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let port = reactor
        .listen_tcp(
            HERE,
            Recorder::new(&log, move |_| Some(Probe::<false>::new(&seen).data(|cx, data| cx.write(data)))),
        )
        .unwrap();
    let to = at(&port);
    keep(port.clone());
    play(reactor, port, async move || {
        let mut stream = dial(to);
        let mut echo = async |text: &[u8]| {
            stream.write_all(text).await.unwrap();
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).await.unwrap();
        };
        echo(b"one").await;
        kept::<twistor::tcp::ListeningPort>().stop_listening().await.unwrap();
        echo(b"two").await;
    });
    assert_eq!(
        log.all(),
        ["start factory", "build", "made", "data one", "stop factory", "data two", "lost done"]
    );
}

on_both!(a_port_that_a_callback_stops_accepts_no_more);
fn a_port_that_a_callback_stops_accepts_no_more(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let port = reactor
        .listen_tcp(
            HERE,
            Recorder::new(&log, move |_| {
                Some(Probe::<false>::new(&seen).made(|cx| {
                    let stopped = kept::<twistor::tcp::ListeningPort>().stop_listening();
                    assert!(stopped.is_fired());
                    cx.write("the last one");
                    cx.lose_connection();
                }))
            }),
        )
        .unwrap();
    // All of them wait to be accepted before the reactor runs.
    let peers = [(); 3].map(|()| Peer::connect(reactor, at(&port)).unwrap());
    keep(port.clone());
    let answers = play(reactor, port, async move || {
        let mut answers = Vec::new();
        for mut peer in peers {
            answers.push(read_all(&mut peer).await.0.len());
        }
        answers
    });
    assert_eq!(answers, [12, 0, 0]);
    assert_eq!(log.all(), ["start factory", "build", "made", "stop factory", "lost done"]);
}

on_both!(the_options_of_a_connection_are_set_and_told);
fn the_options_of_a_connection_are_set_and_told(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&Log::default()).made(move |cx| {
                seen.add(format!("{:?}", [cx.tcp_no_delay().unwrap(), cx.tcp_keep_alive().unwrap()]));
                cx.set_tcp_no_delay(true).unwrap();
                cx.set_tcp_keep_alive(true).unwrap();
                seen.add(format!("{:?}", [cx.tcp_no_delay().unwrap(), cx.tcp_keep_alive().unwrap()]));
                cx.set_tcp_no_delay(false).unwrap();
                seen.add(format!("{:?}", [cx.tcp_no_delay().unwrap(), cx.tcp_keep_alive().unwrap()]));
                assert_ne!(cx.get_host().unwrap(), *cx.get_peer());
                keep(Transport::clone(cx));
                cx.lose_connection();
            })
        }),
        async |mut stream| {
            read_all(&mut stream).await;
            assert!(served().get_host().is_err());
            assert!(served().get_peer().port().is_some(), "it is still known who it was");
        },
    );
    assert_eq!(log.all(), ["[false, false]", "[true, true]", "[false, true]"]);
}

on_both!(connections_inherit_no_delay_of_their_port);
fn connections_inherit_no_delay_of_their_port(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let protocol = factory(move |_| {
        let seen = seen.clone();
        Probe::<false>::new(&Log::default()).made(move |cx| {
            seen.add(format!("{}", cx.tcp_no_delay().unwrap()));
            cx.lose_connection();
        })
    });
    let port = reactor.listen_tcp(TcpListen::from(HERE).no_delay(true), protocol).unwrap();
    let to = at(&port);
    play(reactor, port, async move || read_all(&mut dial(to)).await);
    assert_eq!(log.all(), ["true"]);
}

on_both!(by_ipv6);
fn by_ipv6(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let listened = reactor.listen_tcp(
        ("::1", 0),
        factory(move |peer: &twistor::Address| {
            seen.add(peer.host());
            Probe::<false>::new(&seen).made(|cx| cx.lose_connection())
        }),
    );
    let port = match listened {
        Ok(port) => port,
        Err(error) => return eprintln!("not tested, there is no IPv6 here: {}", error.message()),
    };
    let to = at(&port);
    play(reactor, port, async move || drop(read_all(&mut dial(to)).await));
    assert_eq!(log.all(), ["::1", "made", "lost done"]);
}

/// A server with peers that stay, a script in the reactor, and what `stop_and_drain` told.
fn drained(
    reactor: &Reactor,
    peers: usize,
    deadline: Duration,
    ask: impl Fn(&Transport) + 'static,
) -> (Drained, Vec<String>) {
    let log = Log::default();
    let (seen, ask, open) = (log.clone(), Rc::new(ask), Rc::new(RefCell::new(Vec::new())));
    let result = Rc::new(RefCell::new(None));
    let (told, all) = (result.clone(), open.clone());
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |_| {
                let (told, all, ask) = (told.clone(), all.clone(), ask.clone());
                Probe::<false>::new(&seen).made(move |cx| {
                    all.borrow_mut().push(Transport::clone(cx));
                    if all.borrow().len() < peers {
                        return;
                    }
                    let told = told.clone();
                    kept::<twistor::tcp::ListeningPort>().stop_and_drain(deadline).map(move |drained| {
                        *told.borrow_mut() = Some(drained);
                        stop();
                    });
                    all.borrow().iter().for_each(|transport| ask(transport));
                })
            }),
        )
        .unwrap();
    let sockets: Vec<Peer> = (0..peers).map(|_| Peer::connect(reactor, at(&port)).unwrap()).collect();
    keep(port);
    run(reactor);
    drop(sockets);
    open.borrow_mut().clear();
    let result = result.take().expect("drained");
    (result, log.all())
}

on_both!(a_drain_ends_with_the_last_connection);
fn a_drain_ends_with_the_last_connection(reactor: &Reactor) {
    let (drained, log) = drained(reactor, 3, DEADLINE, Transport::lose_connection);
    assert_eq!(drained.aborted, 0);
    assert_eq!(log, ["made", "made", "made", "lost done", "lost done", "lost done"]);
}

on_both!(at_its_deadline_a_drain_aborts_who_is_left);
fn at_its_deadline_a_drain_aborts_who_is_left(reactor: &Reactor) {
    let leave_one = std::cell::Cell::new(0);
    let (drained, log) = drained(reactor, 3, Duration::from_millis(30), move |transport| {
        leave_one.set(leave_one.get() + 1);
        if leave_one.get() == 2 {
            transport.lose_connection();
        }
    });
    assert_eq!(drained.aborted, 2);
    assert_eq!(log[3], "lost done");
    assert_eq!(log[4..], ["lost aborted", "lost aborted"]);
}

on_both!(a_drain_of_no_connection_is_over_at_once);
fn a_drain_of_no_connection_is_over_at_once(reactor: &Reactor) {
    let port = reactor.listen_tcp(HERE, factory(|_| None::<Probe>)).unwrap();
    let drained = port.stop_and_drain(Duration::ZERO).now().unwrap().unwrap();
    assert_eq!(drained.aborted, 0);
}

on_both!(a_drain_that_is_over_has_no_deadline);
/// The deadline of a drain once aborted the connections of the port's next life.
fn a_drain_that_is_over_has_no_deadline(reactor: &Reactor) {
    let seen = Log::default();
    let note = seen.clone();
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |_| {
                let note = note.clone();
                Probe::<false>::new(&Log::default()).made(move |_| {
                    let port: twistor::tcp::ListeningPort = kept();
                    for deadline in [Duration::from_millis(10), Duration::from_secs(3600)] {
                        let note = note.clone();
                        port.stop_and_drain(deadline).map(move |drained| {
                            let waits = Reactor::current().get_delayed_calls().len();
                            note.add(format!("{} aborted, {waits} calls wait", drained.aborted));
                            if deadline > DEADLINE {
                                stop();
                            }
                        });
                    }
                })
            }),
        )
        .unwrap();
    let peer = Peer::connect(reactor, at(&port)).unwrap();
    keep(port);
    run(reactor);
    drop(peer);
    // What waits is the deadline of the second, when the first is told, and that of this test.
    assert_eq!(seen.all(), ["1 aborted, 2 calls wait", "1 aborted, 1 calls wait"]);
}

on_both!(a_factory_reaches_a_live_protocol);
/// A factory reaches its live protocols by contexts it keeps.
fn a_factory_reaches_a_live_protocol(reactor: &Reactor) {
    #[derive(Default)]
    struct Chat {
        members: RefCell<Vec<Context<Member>>>,
    }
    #[derive(Default)]
    struct Member {
        heard: usize,
    }
    impl Factory for Chat {
        type Protocol = Member;
        fn build_protocol(&self, _peer: &twistor::Address) -> Option<Member> {
            Some(Member::default())
        }
    }
    impl Member {
        fn hear(&mut self, cx: &Context<Self>, text: &str) {
            self.heard += 1;
            cx.write(format!("{}: {text}", self.heard));
            cx.lose_connection();
        }
    }
    impl Protocol for Member {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.factory::<Chat>().members.borrow_mut().push(cx.clone());
        }
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            let text = String::from_utf8_lossy(data).into_owned();
            for member in cx.factory::<Chat>().members.take() {
                let text = text.clone();
                member.call(move |member, cx| member.hear(cx, &text));
            }
        }
    }
    let answers = serve(reactor, Rc::new(Chat::default()), async |mut one| {
        let mut two = dial(one.remote_address().unwrap());
        turns().await;
        one.write_all(b"hello").await.unwrap();
        [read_all(&mut one).await.0, read_all(&mut two).await.0]
    });
    assert_eq!(answers, [b"1: hello".to_vec(), b"1: hello".to_vec()]);
}
