//! A panic in a callback ends its connection alone, and is reported once.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Failure, IntoLayer, Layer, Producer, Protocol, Reactor, Transport, factory,
    testing::{Peer, on_both},
};

/// The first connection gets what `build` gives, which panics somewhere; then a second one echoes. What was reported, and the first one's log.
fn first_panics<P: IntoLayer + 'static>(
    reactor: &Reactor,
    build: impl Fn(&Log) -> P + 'static,
    with_first: impl AsyncFnOnce(&mut Peer) + 'static,
) -> (Vec<String>, Vec<String>) {
    let (reports, _guard) = reports();
    let log = Log::default();
    let (seen, count) = (log.clone(), Cell::new(0));
    let echo = Log::default();
    let mixed = factory(move |_| {
        count.set(count.get() + 1);
        if count.get() == 1 {
            twistor::boxed(build(&seen))
        } else {
            twistor::boxed(Probe::<false>::new(&echo).data(|cx, data| cx.write(data)))
        }
    });
    let port = reactor.listen_tcp(HERE, mixed).unwrap();
    let to = at(&port);
    play(reactor, port, async move || {
        let mut first = dial(to);
        with_first(&mut first).await;
        read_all(&mut first).await;
        let mut second = dial(to);
        second.write_all(b"still there?").await.unwrap();
        let mut echo = [0; 12];
        second.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"still there?");
    });
    // The place of the panic is a line of this file.
    let reports =
        reports.all().iter().map(|text| text.split(" at ").next().unwrap_or_default().into()).collect();
    (reports, log.all())
}

fn lost(what: &str) -> String {
    format!("lost panicked: {what}")
}

fn without_place(log: Vec<String>) -> Vec<String> {
    log.iter().map(|line| line.split(" at ").next().unwrap_or_default().into()).collect()
}

on_both!(in_connection_made);
fn in_connection_made(reactor: &Reactor) {
    let (reports, log) =
        first_panics(reactor, |log| Probe::<false>::new(log).made(|_| panic!("made")), async |_| ());
    assert_eq!(reports, ["connection_made: panicked: made"]);
    assert_eq!(without_place(log), ["made", &lost("made")]);
}

on_both!(in_data_received);
fn in_data_received(reactor: &Reactor) {
    let (reports, log) = first_panics(
        reactor,
        |log| {
            Probe::<false>::new(log).data(|cx, _| {
                cx.write("not sent");
                panic!("data");
            })
        },
        async |stream| {
            stream.write_all(b"go").await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        },
    );
    assert_eq!(reports, ["data_received: panicked: data"]);
    assert_eq!(without_place(log), ["made", "data go", &lost("data")]);
}

on_both!(in_connection_lost);
fn in_connection_lost(reactor: &Reactor) {
    let (reports, log) = first_panics(
        reactor,
        |log| Probe::<false>::new(log).made(|cx| cx.lose_connection()).lost(|_, _| panic!("lost")),
        async |_| (),
    );
    assert_eq!(reports, ["connection_lost: panicked: lost"]);
    assert_eq!(log, ["made", "lost done"]);
}

on_both!(in_the_ends_of_the_directions);
fn in_the_ends_of_the_directions(reactor: &Reactor) {
    let (reports, log) = first_panics(
        reactor,
        |log| HalfProbe::new(log).made(|cx| cx.lose_write_connection()).write_lost(|_| panic!("write lost")),
        async |_| (),
    );
    assert_eq!(reports, ["write_connection_lost: panicked: write lost"]);
    assert_eq!(without_place(log), ["made", "write lost", &lost("write lost")]);

    let (reports, log) = first_panics(
        reactor,
        |log| HalfProbe::new(log).read_lost(|_| panic!("read lost")),
        async |stream| stream.close().await.unwrap(),
    );
    assert_eq!(reports, ["read_connection_lost: panicked: read lost"]);
    assert_eq!(without_place(log), ["made", "read lost", &lost("read lost")]);
}

on_both!(in_build_protocol);
fn in_build_protocol(reactor: &Reactor) {
    let (reports, log) = first_panics(reactor, |_| -> Probe { panic!("build") }, async |_| ());
    assert_eq!(reports, ["build_protocol: panicked: build"]);
    assert_eq!(log, [""; 0]);
}

on_both!(in_a_call_from_outside);
fn in_a_call_from_outside(reactor: &Reactor) {
    let (reports, log) = first_panics(
        reactor,
        |log| {
            Probe::<false>::new(log).made(|cx| {
                let cx = cx.clone();
                Reactor::current().call_later(std::time::Duration::ZERO, move || {
                    cx.call(|_, _| -> () { panic!("call") });
                });
            })
        },
        async |_| (),
    );
    assert_eq!(reports, ["a call: panicked: call"]);
    assert_eq!(without_place(log), ["made", &lost("call")]);
}

/// A producer that panics in the method of this name.
struct Panicking(&'static str);

impl Panicking {
    fn called(&self, method: &str) {
        assert_ne!(self.0, method, "as told");
    }
}

impl Producer for Panicking {
    fn resume_producing(&self) {
        self.called("resume");
    }
    fn pause_producing(&self) {
        self.called("pause");
    }
    fn stop_producing(&self) {
        self.called("stop");
    }
}

on_both!(in_the_methods_of_a_producer);
fn in_the_methods_of_a_producer(reactor: &Reactor) {
    for (method, reported, end) in [
        // Inside the write, which is inside connection_made, and goes on.
        ("pause", "pause_producing", "lost panicked"),
        ("resume", "resume_producing", "lost panicked"),
        ("stop", "stop_producing", "lost done"),
    ] {
        let (reports, log) = first_panics(
            reactor,
            move |log| {
                Probe::<false>::new(log).made(move |cx| {
                    cx.register_producer(Panicking(method), true).unwrap();
                    cx.write(vec![b'x'; MUCH]);
                    cx.lose_connection();
                })
            },
            async |_| (),
        );
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].starts_with(&format!("{reported}: panicked")), "{reports:?}");
        assert_eq!(log.len(), 2);
        assert!(log[1].starts_with(end), "{log:?}");
    }
}

on_both!(in_the_methods_of_another_connections_producer);
/// The first connection has the producer; the second one writes to it, or registers it, and is none the worse.
fn in_the_methods_of_another_connections_producer(reactor: &Reactor) {
    for (method, streaming, end) in [
        ("pause", true, "lost panicked"),
        ("resume", false, "lost panicked"),
        ("stop", true, "lost aborted"), // over before: it has its reason
    ] {
        let (reports, _guard) = reports();
        let (first, second) = (Log::default(), Log::default());
        let (firsts, seconds) = (first.clone(), second.clone());
        let other: Rc<RefCell<Option<Transport>>> = Rc::default();
        let build = move |_: &twistor::Address| {
            let (kept, log, seconds) = (other.clone(), firsts.clone(), seconds.clone());
            if kept.borrow().is_none() {
                return Some(Probe::<false>::new(&log).made(move |cx| {
                    kept.replace(Some(Transport::clone(cx)));
                }));
            }
            Some(Probe::<false>::new(&seconds).data(move |cx, data| {
                let first = kept.borrow().clone().expect("the first one");
                if method == "stop" {
                    first.abort_connection();
                }
                first.register_producer(Panicking(method), streaming).unwrap();
                first.write(vec![b'x'; 100 << 10]);
                cx.write(data);
            }))
        };
        let port = reactor.listen_tcp(HERE, Recorder::new(&Log::default(), build)).unwrap();
        let to = at(&port);
        play(reactor, port, async move || {
            let mut first = dial(to);
            let mut second = dial(to);
            second.write_all(b"still there?").await.unwrap();
            let mut echo = [0; 12];
            second.read_exact(&mut echo).await.unwrap();
            assert_eq!(&echo, b"still there?");
            read_all(&mut first).await; // it is over
        });
        let reports = reports.all();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].starts_with(&format!("{method}_producing: panicked")), "{reports:?}");
        assert!(first.all().last().is_some_and(|last| last.starts_with(end)), "{:?}", first.all());
        assert_eq!(second.all(), ["made", "data still there?", "lost done"]);
    }
}

/// A layer of the user's own, which no slot guards.
struct Fragile<L> {
    at: &'static str,
    next: L,
}

impl<L> Fragile<L> {
    fn called(&self, method: &str) {
        assert_ne!(self.at, method, "as told");
    }
}

impl<L: Layer> Layer for Fragile<L> {
    fn connection_made(&self, transport: &Transport) {
        self.next.connection_made(transport);
        self.called("made");
    }
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.called("data");
        self.next.data_received(transport, data);
    }
    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.next.connection_lost(transport, why);
        self.called("lost");
    }
    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<L: Layer> IntoLayer for Fragile<L> {
    type Layer = Self;
    fn into_layer(self) -> Self {
        self
    }
}

on_both!(in_a_layer_of_the_users_own);
fn in_a_layer_of_the_users_own(reactor: &Reactor) {
    for (at, reported, end) in [
        ("made", "connection_made", "lost panicked"),
        ("data", "data_received", "lost panicked"),
        ("lost", "connection_lost", "lost done"),
    ] {
        let (reports, log) = first_panics(
            reactor,
            move |log| Fragile { at, next: Probe::<false>::new(log).into_layer() },
            async |stream| {
                let _ = stream.write_all(b"go").await;
                let _ = stream.close().await;
            },
        );
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].starts_with(&format!("{reported}: panicked")), "{reports:?}");
        assert!(log.last().is_some_and(|last| last.starts_with(end)), "{log:?}");
    }
}

on_both!(in_the_drop_of_a_protocol);
fn in_the_drop_of_a_protocol(reactor: &Reactor) {
    struct Bomb(Rc<Cell<bool>>);
    impl Protocol for Bomb {
        fn connection_made(&mut self, cx: &twistor::Context<Self>) {
            cx.lose_connection();
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(true);
            panic!("drop");
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let seen = dropped.clone();
    let (reports, _) = first_panics(reactor, move |_| Bomb(seen.clone()), async |_| ());
    assert!(dropped.get());
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].ends_with("panicked: drop"), "{reports:?}");
}
