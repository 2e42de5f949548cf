//! The paths that are counted: the hottest of the library, and two that are compared with each other.

use crate::sockets;
use std::{
    hint::black_box,
    pin::pin,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};
use twistor::{
    Context, Reactor,
    defer::{Deferred, Promise},
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    testing,
    time::Clock,
};
use twistor_bench::chains;

/// A path, and who goes it.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// What one time of it is.
    pub(crate) unit: &'static str,
    /// How many times the short run does it.
    pub(crate) times: usize,
    pub(crate) run: fn(usize),
    /// What it may take at most, whatever the baseline says: else five changes of 5 % each would pass.
    pub(crate) most: Option<f64>,
}

const fn work(name: &'static str, times: usize, run: fn(usize), unit: &'static str) -> Work {
    Work { name, unit, times, run, most: None }
}

const fn at_most(most: f64, mut work: Work) -> Work {
    work.most = Some(most);
    work
}

pub(crate) const WORKS: &[Work] = &[
    at_most(850.0, work("three-callbacks", 2000, three_callbacks, "a Deferred: made, 3 callbacks, fired")),
    at_most(180.0, work("stages", 2000, stages, "a callback of a chain of 1,000")),
    at_most(30.0, work("fired", 2000, fired, "a Deferred that has fired, 3 callbacks")),
    work("awaited", 2000, awaited, "a Deferred: made, polled, fired, polled"),
    work("inner", 2000, inner, "a chain that waits for another, fired"),
    work("cancelled", 2000, cancelled, "a delayed call: made, cancelled"),
    work("called", 2000, called, "a delayed call: made, called"),
    work("lines", 64 * 30, lines, "a line of 40 bytes through LineReceiver and back, 64 in a read"),
    work("snapshot", WAITING, snapshot, "a snapshot of 10,000 Deferreds of 2 callbacks, for each of them"),
    work(
        "datagrams",
        1000,
        sockets::datagrams,
        "an echo of a datagram of 64 bytes, both ends in one reactor",
    ),
    work("connections", 200, sockets::connections, "a connection made and lost, both ends in one reactor"),
    work("echo", 1000, sockets::echo, "an echo of 64 bytes, both ends in one reactor"),
    work(
        "manhole",
        1000,
        sockets::echo_beside_a_manhole,
        "the same with the manhole open and idle, and SIGUSR1 taken",
    ),
    work("async-echo", 1000, sockets::async_echo, "the same by an async fn over Stream"),
    work(
        "bound-echo",
        1000,
        sockets::bound_echo,
        "the same by a Deferred for each message, and a bound method",
    ),
];

/// So many Deferreds are in a snapshot.
const WAITING: usize = 10_000;

/// How much longer the long run is.
pub(crate) const LONGER: usize = 5;

fn three_callbacks(times: usize) {
    (0..times).for_each(|_| chains::three_callbacks());
}

fn stages(times: usize) {
    (0..times / 1000).for_each(|_| chains::chain(1000));
}

fn fired(times: usize) {
    (0..times).for_each(|_| chains::fired());
}

fn awaited(times: usize) {
    let mut cx = TaskContext::from_waker(Waker::noop());
    for _ in 0..times {
        let (deferred, promise) = Deferred::<u64>::pending();
        let mut deferred = pin!(deferred);
        assert!(Future::poll(deferred.as_mut(), &mut cx).is_pending());
        promise.callback(black_box(1));
        let Poll::Ready(value) = Future::poll(deferred, &mut cx) else { unreachable!("it has fired") };
        drop(black_box(value));
    }
}

fn inner(times: usize) {
    (0..times).for_each(|_| chains::inner());
}

fn cancelled(times: usize) {
    let clock = Clock::new();
    for _ in 0..times {
        let call = clock.call_later(black_box(Duration::from_secs(1)), || ());
        call.cancel().expect("it waits");
    }
}

fn called(times: usize) {
    let clock = Clock::new();
    for _ in 0..times {
        clock.call_later(black_box(Duration::from_secs(1)), || ());
        clock.advance(Duration::from_secs(1));
    }
}

struct EchoLines;

impl LineProtocol for EchoLines {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        cx.send_line(line);
    }
}

fn lines(times: usize) {
    let mut t = testing::connect(LineReceiver::new(EchoLines));
    let read = [[b'x'; 38].as_slice(), b"\r\n"].concat().repeat(64);
    for _ in 0..times / 64 {
        t.receive(black_box(&read));
        assert_eq!(t.sent().len(), read.len());
    }
}

/// Reads so many Deferreds, some at a time.
fn snapshot(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let chain = || {
        let (deferred, promise) = Deferred::<u64>::pending();
        (deferred.map(|n| n + 1).map(|n| n + 1), promise)
    };
    let _pending: Vec<(Deferred<u64>, Promise<u64>)> = (0..WAITING).map(|_| chain()).collect();
    for _ in 0..times / WAITING {
        assert_eq!(black_box(reactor.snapshot()).entries.len(), WAITING);
    }
}
