//! What a callback costs: a Deferred beside boxed futures and Twisted's Deferred, in one run.
//!
//! Each figure is the smallest of several rounds, in nanoseconds a callback. Set `TWISTOR_PYTHON` to a Python that has Twisted, or its row is left out.

use futures::{FutureExt, channel::oneshot, future::LocalBoxFuture};
use std::{
    env,
    hint::black_box,
    process::Command,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use twistor::defer::{Deferred, succeed};

const ROUNDS: usize = 15;
const CHAIN: usize = 1000;

/// Calls `f` so many times a round; each call makes so many callbacks.
fn measure(times: usize, callbacks: usize, mut f: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..times).for_each(|_| f());
        best = best.min(start.elapsed());
    }
    best.as_nanos() as f64 / (times * callbacks) as f64
}

fn malloc_and_free() -> f64 {
    measure(500_000, 1, || drop(black_box(Box::new([0_u8; 72]))))
}

fn three_callbacks() -> f64 {
    let k = black_box(1_u64);
    measure(100_000, 3, || {
        let (deferred, promise) = Deferred::<u64>::pending();
        let deferred = deferred
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n ^ k));
        promise.callback(black_box(1));
        drop(black_box(deferred));
    })
}

fn chain() -> f64 {
    let k = black_box(1_u64);
    measure(300, CHAIN, || {
        let (mut deferred, promise) = Deferred::<u64>::pending();
        for _ in 0..CHAIN {
            deferred = deferred.add_callback(move |n| Ok(n + k));
        }
        promise.callback(black_box(1));
        drop(black_box(deferred));
    })
}

fn fired() -> f64 {
    let k = black_box(1_u64);
    measure(1_000_000, 3, || {
        let deferred = succeed(black_box(1_u64));
        let deferred = deferred.add_callback(move |n| Ok(n + k)).add_callback(move |n| Ok(n + k));
        drop(black_box(deferred.add_callback(move |n| Ok(n ^ k))));
    })
}

/// A future that may fail, of any kind: what a function that is not generic returns.
type Boxed = LocalBoxFuture<'static, Result<u64, oneshot::Canceled>>;

fn boxed_map(future: Boxed, f: impl FnOnce(u64) -> u64 + 'static) -> Boxed {
    future.map(|result| result.map(f)).boxed_local()
}

/// What an executor does with a future whose value is not there yet: without a first poll nobody would be told of it.
fn sent_while_it_waits(mut future: Boxed, sender: oneshot::Sender<u64>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.poll_unpin(&mut cx).is_pending());
    sender.send(black_box(1)).expect("it is there");
    let Poll::Ready(value) = future.poll_unpin(&mut cx) else { unreachable!("the value was sent") };
    black_box(value).expect("nothing was dropped");
}

fn three_boxed_maps() -> f64 {
    let k = black_box(1_u64);
    measure(100_000, 3, || {
        let (sender, receiver) = oneshot::channel();
        let future = boxed_map(receiver.boxed_local(), move |n| n + k);
        let future = boxed_map(boxed_map(future, move |n| n + k), move |n| n ^ k);
        sent_while_it_waits(future, sender);
    })
}

fn chain_of_boxed_maps() -> f64 {
    let k = black_box(1_u64);
    measure(300, CHAIN, || {
        let (sender, receiver) = oneshot::channel();
        let mut future = receiver.boxed_local();
        for _ in 0..CHAIN {
            future = boxed_map(future, move |n| n + k);
        }
        sent_while_it_waits(future, sender);
    })
}

/// Prints the nanoseconds a callback of three, of a chain, and of three on one that has fired.
const TWISTED: &str = "
from timeit import repeat
from twisted.internet.defer import Deferred, succeed
k = 1
def three():
    d = Deferred()
    d.addCallback(lambda n: n + k).addCallback(lambda n: n + k).addCallback(lambda n: n ^ k)
    d.callback(1)
def chain():
    d = Deferred()
    for _ in range(1000):
        d.addCallback(lambda n: n + k)
    d.callback(1)
def fired():
    succeed(1).addCallback(lambda n: n + k).addCallback(lambda n: n + k).addCallback(lambda n: n ^ k)
for f, times, callbacks in (three, 10000, 3), (chain, 30, 1000), (fired, 10000, 3):
    print(min(repeat(f, number=times, repeat=9)) / times / callbacks * 1e9)
";

/// Twisted's three figures, if there is a Python that has it.
fn twisted() -> Option<[f64; 3]> {
    let python = env::var("TWISTOR_PYTHON").ok()?;
    let output = Command::new(python).args(["-c", TWISTED]).output().ok()?;
    if !output.status.success() {
        eprintln!("no row for Twisted: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let figures = String::from_utf8(output.stdout).ok()?;
    let figures: Vec<f64> = figures.lines().filter_map(|line| line.parse().ok()).collect();
    figures.try_into().ok()
}

fn row(what: &str, nanoseconds: f64, twistor: f64, target: &str) {
    println!("|{what}|{nanoseconds:.1}|{:.2}|{target}|", nanoseconds / twistor);
}

fn main() {
    let (malloc, three, chain, fired) = (malloc_and_free(), three_callbacks(), chain(), fired());
    println!("|what|ns a callback|to twistor's|target|\n|-|-|-|-|");
    row("malloc and free of 72 bytes", malloc, three, "≥ 0.30");
    row("twistor: made, 3 callbacks, fired", three, three, "");
    row("futures: oneshot, 3 boxed maps, polled, sent, polled", three_boxed_maps(), three, "≥ 2");
    row("twistor: a chain of 1,000", chain, chain, "");
    row("futures: 1,000 boxed maps, polled, sent, polled", chain_of_boxed_maps(), chain, "");
    row("twistor: has fired, 3 callbacks", fired, fired, "");
    let Some([python_three, python_chain, python_fired]) = twisted() else { return };
    row("Twisted: made, 3 callbacks, fired", python_three, three, "≥ 25");
    row("Twisted: a chain of 1,000", python_chain, chain, "≥ 25");
    row("Twisted: has fired, 3 callbacks", python_fired, fired, "≥ 25");
}
