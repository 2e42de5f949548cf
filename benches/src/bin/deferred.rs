//! What a callback costs: a Deferred beside boxed futures and Twisted's Deferred, in interleaved rounds.
//!
//! Each figure is the median of the rounds, in nanoseconds of CPU time a callback; a ratio is the median of the ratios within each round. `TWISTOR_PYTHON`
//! names the Pythons in which Twisted is looked for.

use futures::{FutureExt, channel::oneshot, future::LocalBoxFuture};
use rustix::time::{ClockId, clock_gettime};
use std::{
    hint::black_box,
    path::Path,
    process::Command,
    task::{Context, Poll, Waker},
    time::Duration,
};
use twistor_bench::{
    Limit::{self, AtLeast, AtMost},
    chains, figure, median, python,
};

const ROUNDS: usize = 9;
const CHAIN: usize = 1000;

/// Calls `f` so many times; each call makes so many callbacks. Nanoseconds for one of them.
fn measure(times: usize, callbacks: usize, mut f: impl FnMut()) -> f64 {
    let start = cpu_time();
    (0..times).for_each(|_| f());
    (cpu_time() - start).as_nanos() as f64 / (times * callbacks) as f64
}

/// Of this thread: what others do meanwhile is not in it.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn malloc_and_free() -> f64 {
    measure(500_000, 1, || drop(black_box(Box::new([0_u8; 72]))))
}

fn three_callbacks() -> f64 {
    measure(100_000, 3, chains::three_callbacks)
}

fn chain() -> f64 {
    measure(300, CHAIN, || chains::chain(CHAIN))
}

fn fired() -> f64 {
    measure(1_000_000, 3, chains::fired)
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
from time import process_time
from timeit import timeit
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
    f()
    print(timeit(f, number=times, timer=process_time) / times / callbacks * 1e9)
";

/// Twisted's three figures.
fn twisted(python: &Path) -> Option<[f64; 3]> {
    let output = Command::new(python).args(["-c", TWISTED]).output().ok()?;
    let figures = String::from_utf8(output.stdout).ok()?;
    let figures: Vec<f64> = figures.lines().filter_map(|line| line.parse().ok()).collect();
    figures.try_into().ok()
}

/// What is measured; Twisted's come last.
const ROWS: [&str; 9] = [
    "malloc and free of 72 bytes",
    "twistor: made, 3 callbacks, fired",
    "futures: oneshot, 3 boxed maps, polled, sent, polled",
    "twistor: a chain of 1,000",
    "futures: 1,000 boxed maps, polled, sent, polled",
    "twistor: has fired, 3 callbacks",
    "Twisted: made, 3 callbacks, fired",
    "Twisted: a chain of 1,000",
    "Twisted: has fired, 3 callbacks",
];

const OWN: [fn() -> f64; 6] =
    [malloc_and_free, three_callbacks, three_boxed_maps, chain, chain_of_boxed_maps, fired];

/// One row as a multiple of another, and its limit.
const TARGETS: [(usize, usize, Limit); 5] = [
    (1, 0, AtMost(3.3)),
    (2, 1, AtLeast(2.0)),
    (6, 1, AtLeast(25.0)),
    (7, 3, AtLeast(25.0)),
    (8, 5, AtLeast(25.0)),
];

fn main() {
    let python = python("twisted");
    if python.is_none() {
        eprintln!("Left out: Twisted: no Python here has it.");
    }
    let rounds: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|_| {
            let peer = python.as_ref().and_then(|(python, _)| twisted(python));
            OWN.iter().map(|measure| measure()).chain(peer.into_iter().flatten()).collect()
        })
        .collect();
    let middle =
        |value: &dyn Fn(&[f64]) -> Option<f64>| median(rounds.iter().filter_map(|round| value(round)));
    println!("|what|ns a callback|\n|-|-|");
    for (row, name) in ROWS.iter().enumerate() {
        if let Some(value) = middle(&|round| round.get(row).copied()) {
            println!("|{name}|{}|", figure(value));
        }
    }
    println!("\n|what|to|ratio|limit||\n|-|-|-|-|-|");
    for (row, other, limit) in TARGETS {
        let ratio = middle(&|round| Some(round.get(row)? / round.get(other)?));
        let (value, verdict) =
            ratio.map_or(("-".into(), "not measured"), |ratio| (figure(ratio), limit.verdict(ratio)));
        println!("|{}|{}|{value}|{limit}|{verdict}|", ROWS[row], ROWS[other]);
    }
}
