//! Producers: who is told when, and how an end waits for them.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Context, Factory, Failure, Producer, Protocol, Reactor, Transport, factory,
    testing::{Peer, on_both},
};

/// Writes so many bytes in pieces, each time it may.
struct Pieces {
    to: Transport,
    log: Log,
    left: Cell<usize>,
    piece: usize,
    paused: Cell<bool>,
    streaming: bool,
    /// Closes the connection with the last piece, before it takes itself off.
    closes: bool,
}

impl Pieces {
    fn new(cx: &Transport, log: &Log, length: usize, streaming: bool) -> Rc<Pieces> {
        Rc::new(Pieces {
            to: cx.clone(),
            log: log.clone(),
            left: Cell::new(length),
            piece: 16 << 10,
            paused: Cell::new(false),
            streaming,
            closes: true,
        })
    }

    fn write_one(&self) {
        let piece = self.piece.min(self.left.get());
        self.left.set(self.left.get() - piece);
        self.to.write(vec![b'x'; piece]);
        if self.left.get() == 0 {
            if self.closes {
                self.to.lose_connection();
            }
            self.to.unregister_producer();
        }
    }

    fn write(&self) {
        while self.streaming && !self.paused.get() && self.left.get() > 0 {
            self.write_one();
        }
    }
}

/// The producer that is registered: a handle.
struct Handle(Rc<Pieces>);

impl Producer for Handle {
    fn resume_producing(&self) {
        self.0.log.add("resume");
        if self.0.streaming {
            assert!(self.0.paused.replace(false), "resumed without a pause");
            assert_eq!(self.0.to.buffered(), 0, "resumed before all is sent");
            self.0.write();
        } else if self.0.left.get() > 0 {
            self.0.write_one();
        }
    }

    fn pause_producing(&self) {
        self.0.log.add("pause");
        assert!(!self.0.paused.replace(true), "paused twice");
        assert!(self.0.to.buffered() > 64 << 10, "paused too early");
        assert!(self.0.to.buffered() <= (64 << 10) + self.0.piece, "paused too late");
    }

    fn stop_producing(&self) {
        self.0.log.add("stop");
    }
}

on_both!(a_push_producer_is_paused_once_and_resumed_when_all_is_sent);
fn a_push_producer_is_paused_once_and_resumed_when_all_is_sent(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&Log::default()).made(move |cx| {
                let pieces = Pieces::new(cx, &seen, 2 * MUCH, true);
                cx.register_producer(Handle(pieces.clone()), true).unwrap();
                pieces.write();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert_eq!((all.len(), end), (2 * MUCH, None));
    let (pauses, resumes) = (log.count("pause"), log.count("resume"));
    assert!(pauses > 10 && pauses == resumes, "{pauses} pauses, {resumes} resumes");
    assert_eq!(log.count("stop"), 0);
}

/// Writes as long as it is not paused, but not for ever.
struct Eager {
    to: Transport,
    writes: Cell<usize>,
    paused: Cell<bool>,
    log: Log,
}

impl Eager {
    fn write(&self) {
        while !self.paused.get() {
            self.writes.set(self.writes.get() + 1);
            assert!(self.writes.get() < 1_000, "nothing pauses it");
            self.to.write("x");
        }
    }
}

struct EagerHandle(Rc<Eager>);

impl Producer for EagerHandle {
    fn resume_producing(&self) {
        panic!("what has failed has no room again");
    }

    fn pause_producing(&self) {
        self.0.log.add("pause");
        self.0.paused.set(true);
    }

    fn stop_producing(&self) {
        self.0.log.add("stop");
    }
}

// Nothing waits there any more, so nothing else would, and the loop that stops it is not reached before it pauses.
on_both!(a_push_producer_is_paused_by_a_write_to_what_has_failed);
fn a_push_producer_is_paused_by_a_write_to_what_has_failed(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            let (to, log) = (transport.clone(), log.clone());
            let eager = Rc::new(Eager { to, writes: Cell::new(0), paused: Cell::new(false), log });
            transport.register_producer(EagerHandle(eager.clone()), true).unwrap();
            transport.abort_connection();
            eager.write();
            transport.write("no second pause");
        },
        async |mut stream| {
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log, ["made", "pause", "stop", "lost aborted"]);
}

on_both!(a_pull_producer_is_asked_for_each_piece);
fn a_pull_producer_is_asked_for_each_piece(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&Log::default()).made(move |cx| {
                let pieces = Pieces::new(cx, &seen, MUCH, false);
                cx.register_producer(Handle(pieces), false).unwrap();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert_eq!((all.len(), end), (MUCH, None));
    assert_eq!(log.count("resume"), MUCH / (16 << 10));
    assert_eq!((log.count("pause"), log.count("stop")), (0, 0));
}

fn noting(log: &Log) -> impl Producer + use<> {
    Noting(log.clone())
}

/// A connection that is told of with its log, and whose transport is kept.
fn noted<R: 'static>(
    reactor: &Reactor,
    made: impl Fn(&Transport, &Log) + 'static,
    script: impl AsyncFnOnce(Peer) -> R + 'static,
) -> Vec<String> {
    let log = Log::default();
    let seen = log.clone();
    let made = Rc::new(made);
    serve(
        reactor,
        factory(move |_| {
            let (seen, made) = (seen.clone(), made.clone());
            Probe::<false>::new(&seen.clone()).made(move |cx| {
                keep(Transport::clone(cx));
                made(cx, &seen);
            })
        }),
        script,
    );
    log.all()
}

on_both!(a_push_producer_that_runs_is_stopped_by_the_close);
fn a_push_producer_that_runs_is_stopped_by_the_close(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            transport.register_producer(noting(log), true).unwrap();
            transport.write("x");
            transport.lose_connection();
        },
        async |mut stream| assert_eq!(read_all(&mut stream).await.0, b"x"),
    );
    assert_eq!(log, ["made", "stop", "lost done"]);
}

on_both!(a_push_producer_that_is_paused_goes_before_the_close);
fn a_push_producer_that_is_paused_goes_before_the_close(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            transport.register_producer(noting(log), true).unwrap();
            transport.write(vec![b'x'; MUCH]);
            transport.write("no second pause");
            transport.lose_connection();
        },
        async |mut stream| assert_eq!(read_all(&mut stream).await.0.len(), MUCH + 15),
    );
    // It is resumed, does not fill the queue again, and so counts as running: the close comes.
    assert_eq!(log, ["made", "pause", "resume", "stop", "lost done"]);
}

on_both!(a_pull_producer_holds_the_close_until_it_is_taken_off);
fn a_pull_producer_holds_the_close_until_it_is_taken_off(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            transport.register_producer(noting(log), false).unwrap();
            transport.write("x");
            transport.lose_connection();
        },
        async |mut stream| {
            stream.read_exact(&mut [0; 1]).await.unwrap();
            turns().await;
            assert!(served().is_connected(), "the producer may have more");
            served().unregister_producer();
            read_all(&mut stream).await;
        },
    );
    // At once; when "x" was sent. Asked again it writes nothing: then nobody asks in a loop.
    assert_eq!(log, ["made", "resume", "resume", "lost done"]);
}

on_both!(a_pull_producer_that_had_nothing_is_asked_again_at_a_close);
fn a_pull_producer_that_had_nothing_is_asked_again_at_a_close(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| transport.register_producer(noting(log), false).unwrap(),
        async |mut stream| {
            stream.write_all(b"data asks nobody").await.unwrap();
            turns().await;
            served().lose_connection();
            turns().await;
            served().unregister_producer();
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log, ["made", "resume", "data data asks nobody", "resume", "lost done"]);
}

on_both!(one_producer_at_a_time_and_none_after_the_end);
fn one_producer_at_a_time_and_none_after_the_end(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            transport.register_producer(noting(log), true).unwrap();
            let error = transport.register_producer(noting(log), true).unwrap_err();
            log.add(error.to_string());
            transport.unregister_producer();
            transport.unregister_producer();
            transport.register_producer(noting(log), true).unwrap();
            transport.abort_connection();
        },
        async |mut stream| {
            read_all(&mut stream).await;
            // The connection is over: it is stopped inside the call.
            served().register_producer(Silent, true).unwrap();
        },
    );
    assert_eq!(
        log,
        ["made", "a producer is registered already; call unregister_producer first", "stop", "lost aborted"]
    );
}

struct Silent;

impl Producer for Silent {
    fn resume_producing(&self) {
        panic!("resumed after the end");
    }
    fn stop_producing(&self) {}
}

on_both!(a_loss_stops_the_producer_first);
/// The rule of the sequence of an end: the producer, then the protocol.
fn a_loss_stops_the_producer_first(reactor: &Reactor) {
    let log = noted(
        reactor,
        |transport, log| {
            transport.register_producer(noting(log), true).unwrap();
            transport.write(vec![b'x'; MUCH]);
        },
        async |mut stream| {
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            served().abort_connection();
        },
    );
    assert_eq!(log, ["made", "pause", "stop", "lost aborted"]);
}

/// Two connections, each of which is written what comes from the other, and waits for it.
#[derive(Default)]
struct Pair {
    first: RefCell<Option<Transport>>,
    most: Cell<usize>,
}

impl Factory for Pair {
    type Protocol = Side;
    fn build_protocol(&self, _peer: &twistor::Address) -> Option<Side> {
        Some(Side { other: None })
    }
}

struct Side {
    other: Option<Transport>,
}

impl Protocol for Side {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let mine = Transport::clone(cx);
        let Some(first) = cx.factory::<Pair>().first.take() else {
            cx.pause_producing(); // nobody is there yet
            *cx.factory::<Pair>().first.borrow_mut() = Some(mine);
            return;
        };
        self.other = Some(first.clone());
        first.register_producer(mine.clone(), true).unwrap();
        mine.register_producer(first.clone(), true).unwrap();
        let side = first.context::<Side>().expect("a side");
        side.call(move |side, cx| {
            side.other = Some(mine);
            cx.resume_producing();
        });
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let other = self.other.as_ref().expect("resumed when it is there");
        other.write(data);
        let most = &cx.factory::<Pair>().most;
        most.set(most.get().max(other.buffered()));
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        self.other = None;
    }
}

on_both!(two_transports_are_each_others_producers);
fn two_transports_are_each_others_producers(reactor: &Reactor) {
    let pair = Rc::new(Pair::default());
    let arrived = serve(reactor, pair.clone(), async |mut one| {
        let mut two = dial(one.remote_address().unwrap());
        let writer = async {
            one.write_all(&vec![b'x'; 2 * MUCH]).await.unwrap();
            one.close().await.unwrap();
        };
        let reader = async {
            turns().await; // it fills up meanwhile
            read_all(&mut two).await
        };
        future::zip(writer, reader).await.1
    });
    assert_eq!((arrived.0.len(), arrived.1), (2 * MUCH, None));
    let most = pair.most.get();
    assert!(most <= (64 + 256) << 10, "{most} bytes waited: more than the high-water mark and one read");
}
