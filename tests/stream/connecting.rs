//! Connecting to a Deferred: of a protocol's context, and of a stream.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{cell::Cell, rc::Rc};
use twistor::{
    Context, Failure, Protocol, Reactor, Stream,
    defer::Deferred,
    error::{CancelledError, ConnectError, ConnectErrorKind, ConnectionLost, NotDriven},
    factory,
    protocols::basic::{LineProtocol, LineReceiver},
    testing::{PeerListener, on_both},
};

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

/// Runs the reactor until the Deferred has its result.
fn result<T: 'static>(reactor: &Reactor, deferred: Deferred<T>) -> Result<T, Failure> {
    let done = deferred.add_both(|result| {
        stop();
        result
    });
    run(reactor);
    done.now().unwrap_or_else(|_| panic!("it is pending"))
}

/// A port that nothing listens on.
fn nobody(reactor: &Reactor) -> std::net::SocketAddr {
    PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).unwrap().local_address().unwrap()
}

on_both!(it_fires_when_connection_made_has_returned);
fn it_fires_when_connection_made_has_returned(reactor: &Reactor) {
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let log = Log::default();
    let seen = log.clone();
    let probe = <Probe>::new(&log).data(|_, _| stop());
    let connected = reactor.connect_protocol(at(&port), probe).map(move |cx: Context<Probe>| {
        seen.add("connected");
        cx.write("hello");
    });
    run(reactor);
    assert_eq!(log.all(), ["made", "connected", "data hello", "lost lost"]);
    assert!(connected.now().unwrap().is_ok());
}

on_both!(a_framer_gives_the_context_of_its_protocol);
fn a_framer_gives_the_context_of_its_protocol(reactor: &Reactor) {
    struct Lines(Rc<Cell<usize>>);
    impl LineProtocol for Lines {
        fn line_received(&mut self, _cx: &Context<Self>, line: &[u8]) {
            self.0.set(line.len());
            stop();
        }
    }
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let length: Rc<Cell<usize>> = Rc::default();
    let connected = reactor.connect_protocol(at(&port), LineReceiver::new(Lines(length.clone())));
    connected.map(|cx| cx.write("four\r\n")).or_log("test");
    run(reactor);
    assert_eq!(length.get(), 4);
}

on_both!(it_fails_with_the_error_of_connecting);
fn it_fails_with_the_error_of_connecting(reactor: &Reactor) {
    let refused = reactor.connect_protocol(nobody(reactor), Echo);
    let failure = result(reactor, refused).unwrap_err();
    assert_eq!(failure.value::<ConnectError>().unwrap().kind(), ConnectErrorKind::Refused);
    let refused = reactor.connect_stream(nobody(reactor));
    let failure = result(reactor, refused).unwrap_err();
    assert_eq!(std::io::Error::from(failure).kind(), std::io::ErrorKind::ConnectionRefused);
}

on_both!(it_fails_with_what_ended_the_connection_while_it_was_made);
fn it_fails_with_what_ended_the_connection_while_it_was_made(reactor: &Reactor) {
    let (reported, hook) = reports();
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let log = Log::default();
    let broken =
        reactor.connect_protocol(at(&port), <Probe>::new(&log).made(|cx| cx.fail(Failure::msg("no"))));
    assert_eq!(result(reactor, broken).unwrap_err().to_string(), "no");
    let panics = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let broken = reactor.connect_protocol(at(&panics), <Probe>::new(&log).made(|_| panic!("oh")));
    assert!(result(reactor, broken).unwrap_err().to_string().starts_with("panicked: oh"));
    drop(hook);
    let reported = reported.all();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].starts_with("connection_made: panicked: oh at "), "{reported:?}");
}

on_both!(a_cancel_gives_the_attempt_up);
fn a_cancel_gives_the_attempt_up(reactor: &Reactor) {
    let log = Log::default();
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let connecting = reactor.connect_protocol(at(&port), <Probe>::new(&log));
    connecting.cancel();
    assert!(connecting.now().unwrap().unwrap_err().check::<CancelledError>());
    let stream = reactor.connect_stream(at(&port));
    stream.cancel();
    assert!(stream.now().unwrap().unwrap_err().check::<CancelledError>());
    assert_eq!(reactor.get_delayed_calls().len(), 0, "no timeout is left behind");
    reactor.call_later(std::time::Duration::from_millis(5), stop);
    run(reactor);
    assert_eq!((log.all(), port.connections()), (vec![], 0));
}

on_both!(a_cancel_while_it_is_made_closes_the_connection);
fn a_cancel_while_it_is_made_closes_the_connection(reactor: &Reactor) {
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let log = Log::default();
    let connecting: Rc<Cell<Option<Deferred<Context<Probe>>>>> = Rc::default();
    let inside = connecting.clone();
    let probe = <Probe>::new(&log)
        .made(move |_| {
            let connecting = inside.take().unwrap();
            connecting.cancel();
            inside.set(Some(connecting));
        })
        .lost(|_, _| stop());
    connecting.set(Some(reactor.connect_protocol(at(&port), probe)));
    run(reactor);
    let failure = connecting.take().unwrap().now().unwrap().unwrap_err();
    assert!(failure.check::<CancelledError>());
    assert_eq!(log.all(), ["made", "lost done"]);
}

on_both!(dropped_the_protocol_is_connected_all_the_same_and_a_stream_is_closed);
fn dropped_the_protocol_is_connected_all_the_same_and_a_stream_is_closed(reactor: &Reactor) {
    let log = Log::default();
    let (peers, lost) = (log.clone(), Rc::new(Cell::new(0)));
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |_| {
                let lost = lost.clone();
                <Probe>::new(&peers).lost(move |_, _| {
                    lost.set(lost.get() + 1);
                    if lost.get() == 2 {
                        stop();
                    }
                })
            }),
        )
        .unwrap();
    drop(reactor.connect_protocol(
        at(&port),
        <Probe>::new(&Log::default()).made(|cx| {
            cx.write("hello");
            cx.lose_connection();
        }),
    ));
    drop(reactor.connect_stream(at(&port)));
    run(reactor);
    assert_eq!((log.count("data hello"), log.count("lost done")), (1, 2));
}

on_both!(who_awaits_it_without_a_run_is_told);
fn who_awaits_it_without_a_run_is_told(reactor: &Reactor) {
    let port = reactor.listen_tcp(HERE, factory(|_| Echo)).unwrap();
    let failure = futures_lite::future::block_on(reactor.connect_stream(at(&port))).unwrap_err();
    assert!(failure.check::<NotDriven>());
}

on_both!(it_fails_when_the_reactor_closes_before);
fn it_fails_when_the_reactor_closes_before(reactor: &Reactor) {
    let (reported, hook) = reports();
    let gone = another(reactor);
    let connecting = gone.connect_protocol(nobody(&gone), Echo);
    drop(gone.connect_stream(nobody(&gone)));
    drop(gone);
    let failure = connecting.now().unwrap().unwrap_err();
    assert!(failure.check::<ConnectionLost>(), "{failure:?}");
    drop(hook);
    assert_eq!(reported.all(), [""; 0]);
}

on_both!(both_ends_are_streams);
fn both_ends_are_streams(reactor: &Reactor) {
    let port = reactor
        .listen_tcp(
            HERE,
            twistor::serve(|mut stream: Stream| async move {
                let mut said = vec![];
                stream.read_to_end(&mut said).await?;
                said.reverse();
                stream.write_all(&said).await?;
                Ok(())
            }),
        )
        .unwrap();
    let (to, r) = (at(&port), reactor.clone());
    let answer = reactor.spawn(async move {
        let mut stream = r.connect_stream(to).await?;
        assert_eq!(stream.get_peer().as_inet(), Some(to));
        assert_ne!(stream.get_host()?.as_inet(), Some(to));
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        stream.write_all(&data).await?;
        stream.close().await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        assert!(answer.iter().rev().eq(&data));
        Ok(answer.len())
    });
    assert_eq!(result(reactor, answer).unwrap(), 3_000_000);
}
