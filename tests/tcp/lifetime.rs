//! What goes when: protocols, contexts, reactors.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::block_on};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Context, Failure, Protocol, Reactor,
    error::ProtocolGone,
    factory,
    testing::{Peer, on_both},
};

/// A protocol that keeps its own context, which would be a cycle.
struct Keeper {
    me: Option<Context<Keeper>>,
    gone: Rc<Cell<usize>>,
    made: Rc<RefCell<Option<Context<Keeper>>>>,
    closes: bool,
}

impl Protocol for Keeper {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.me = Some(cx.clone());
        *self.made.borrow_mut() = self.me.clone();
        if self.closes {
            cx.lose_connection();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.gone.set(self.gone.get() + 1);
    }
}

on_both!(a_protocol_goes_with_its_connection_whoever_keeps_a_context);
fn a_protocol_goes_with_its_connection_whoever_keeps_a_context(reactor: &Reactor) {
    let gone = Rc::new(Cell::new(0));
    let made = Rc::new(RefCell::new(None));
    let keepers = {
        let (gone, made) = (gone.clone(), made.clone());
        factory(move |_| Keeper { me: None, gone: gone.clone(), made: made.clone(), closes: true })
    };
    serve(reactor, keepers, async |mut stream| drop(read_all(&mut stream).await));
    assert_eq!(gone.get(), 1);
    let context = made.take().expect("made");
    assert!(context.peek(|_| ()).is_none());
    let late = context.call(|_, _| Ok(()));
    assert!(late.now().unwrap().unwrap_err().check::<ProtocolGone>());
    context.write("nowhere");
    context.lose_connection();
}

on_both!(the_end_of_the_reactor_closes_every_connection);
fn the_end_of_the_reactor_closes_every_connection(reactor: &Reactor) {
    let gone = Rc::new(Cell::new(0));
    let keepers = {
        let (gone, count) = (gone.clone(), Cell::new(0));
        factory(move |_| {
            count.set(count.get() + 1);
            if count.get() == 3 {
                Reactor::current().call_later(Duration::ZERO, stop);
            }
            Keeper { me: None, gone: gone.clone(), made: Rc::default(), closes: false }
        })
    };
    let port = reactor.listen_tcp(HERE, keepers).unwrap();
    let peers = [(); 3].map(|()| Peer::connect(reactor, at(&port)).unwrap());
    run(reactor);
    assert_eq!((gone.get(), port.connections()), (3, 0));
    for mut peer in peers {
        assert_eq!(block_on(read_all(&mut peer)).0.len(), 0);
    }
}

on_both!(a_shutdown_that_a_method_lets_go_on_tells_its_connection_after_it);
/// The last method that runs may be the one that ends the reactor: it waits for a Deferred which that method fires.
fn a_shutdown_that_a_method_lets_go_on_tells_its_connection_after_it(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (wait, promise) = twistor::defer::Deferred::<()>::pending();
    let promise = Rc::new(Cell::new(Some(promise)));
    reactor.add_system_event_trigger(twistor::reactor::Phase::Before, "shutdown", move || wait);
    let port = reactor
        .listen_tcp(
            HERE,
            factory(move |_| {
                let (promise, log) = (promise.clone(), seen.clone());
                Probe::<false>::new(&seen).made(|_| stop()).data(move |_, _| {
                    promise.take().expect("once").callback(());
                    log.add("still in the method");
                })
            }),
        )
        .unwrap();
    let mut peer = Peer::connect(reactor, at(&port)).unwrap();
    block_on(peer.write_all(b"go")).unwrap();
    run(reactor);
    assert_eq!(log.all(), ["made", "data go", "still in the method", "lost lost"]);
}

on_both!(an_abort_is_heeded_though_calls_wait_without_end);
/// Both directions of a loop through the protocol: calls that make calls are no event that overtakes.
fn an_abort_is_heeded_though_calls_wait_without_end(reactor: &Reactor) {
    fn again(_: &mut Probe, cx: &Context<Probe>) {
        cx.call(again);
    }
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                cx.call(again);
                let cx = cx.clone();
                Reactor::current().call_later(Duration::ZERO, move || cx.abort_connection());
            })
        }),
        async |mut stream| drop(read_all(&mut stream).await),
    );
    assert_eq!(log.all(), ["made", "lost aborted"]);
}

on_both!(no_event_overtakes_calls_that_wait);
/// A thousand calls wait while bytes come: the bytes come after them.
fn no_event_overtakes_calls_that_wait(reactor: &Reactor) {
    struct Counting {
        calls: usize,
        log: Log,
    }
    impl Protocol for Counting {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            self.log.add(format!("{} after {} calls", String::from_utf8_lossy(data), self.calls));
            if data == b"one" {
                for _ in 0..1000 {
                    cx.call(|counting: &mut Counting, _| counting.calls += 1);
                }
                cx.write("go on");
            }
        }
        fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
            self.log.add(format!("lost {} after {} calls", reason(&why), self.calls));
        }
    }
    let log = Log::default();
    let seen = log.clone();
    serve(reactor, factory(move |_| Counting { calls: 0, log: seen.clone() }), async |mut stream| {
        stream.write_all(b"one").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        stream.write_all(b"two").await.unwrap();
    });
    assert_eq!(log.all(), ["one after 0 calls", "two after 1000 calls", "lost done after 1000 calls"]);
}
