//! What the parts cost that need no socket: Deferreds, delayed calls.
//!
//! Each figure is the smallest of several rounds, beside `malloc` and `free` of 72 bytes in the same run, which is the floor of a stage.

use rustix::time::{ClockId, clock_gettime};
use std::{
    cell::Cell,
    hint::black_box,
    rc::Rc,
    time::{Duration, Instant},
};
use twistor::{
    Reactor,
    defer::{Deferred, Promise, succeed},
    task::LoopingCall,
    testing::Simulation,
    time::{Clock, DelayedCall},
};

const ROUNDS: usize = 9;

struct Row {
    what: &'static str,
    unit: &'static str,
    nanoseconds: f64,
    allocations: f64,
}

/// Calls `f` so many times a round; each call does `units` of what is measured.
fn measure(what: &'static str, unit: &'static str, times: usize, units: usize, mut f: impl FnMut()) -> Row {
    f(); // what is made once is made now
    let counted = allocation_counter::measure(|| (0..times.min(1000)).for_each(|_| f()));
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..times).for_each(|_| f());
        best = best.min(start.elapsed());
    }
    let nanoseconds = best.as_nanos() as f64 / (times * units) as f64;
    let allocations = counted.count_total as f64 / (times.min(1000) * units) as f64;
    Row { what, unit, nanoseconds, allocations }
}

fn deferreds() -> Vec<Row> {
    let k = black_box(1_u64);
    vec![
        measure("malloc and free of 72 bytes", "pair", 1_000_000, 1, || {
            drop(black_box(Box::new([0_u8; 72])))
        }),
        measure("a Deferred: made, 3 callbacks, fired", "callback", 300_000, 3, || {
            let (deferred, promise) = Deferred::<u64>::pending();
            let deferred = deferred
                .add_callback(move |n| Ok(n + k))
                .add_callback(move |n| Ok(n + k))
                .add_callback(move |n| Ok(n ^ k));
            promise.callback(black_box(1));
            drop(black_box(deferred));
        }),
        measure("a chain of 1,000 callbacks, fired", "callback", 1000, 1000, || {
            let (mut deferred, promise) = Deferred::<u64>::pending();
            for _ in 0..1000 {
                deferred = deferred.add_callback(move |n| Ok(n + k));
            }
            promise.callback(black_box(1));
            drop(black_box(deferred));
        }),
        measure("a Deferred that has fired, 3 callbacks", "callback", 3_000_000, 3, || {
            let deferred = succeed(black_box(1_u64));
            drop(black_box(
                deferred
                    .add_callback(move |n| Ok(n + k))
                    .add_callback(move |n| Ok(n + k))
                    .add_callback(move |n| Ok(n ^ k)),
            ));
        }),
        measure("a chain that waits for another, fired", "chain", 300_000, 1, || {
            let (inner, promise) = Deferred::<u64>::pending();
            let (outer, start) = Deferred::<()>::pending();
            let outer = outer.add_callback(move |()| inner);
            start.callback(());
            promise.callback(black_box(1));
            drop(black_box(outer));
        }),
    ]
}

/// So many calls wait all the while.
const PENDING: usize = 100_000;

fn delayed_calls() -> Vec<Row> {
    let clock = Clock::new();
    let spread = |n: usize| Duration::from_micros((n as u64).wrapping_mul(2_654_435_761) % 60_000_000);
    let _waiting: Vec<DelayedCall> = (0..PENDING).map(|n| clock.call_later(spread(n), || ())).collect();
    let mut calls = Vec::with_capacity(BATCH);
    let mut schedule = Best::new("call_later, 100,000 pending");
    let mut cancel = Best::new("cancel of a delayed call, 100,000 pending");
    for round in 0..ROUNDS * 10 {
        let delays = (0..BATCH).map(|n| spread(round * BATCH + n * 7919));
        schedule.of(|| calls.extend(delays.map(|delay| clock.call_later(delay, || ()))));
        cancel.of(|| calls.drain(..).for_each(|call| call.cancel().expect("it waits")));
    }
    vec![schedule.row(), cancel.row()]
}

/// So many calls are scheduled, then cancelled, in one round.
const BATCH: usize = 1000;

/// The best of several rounds of a batch.
struct Best {
    what: &'static str,
    time: Duration,
    allocations: u64,
}

impl Best {
    fn new(what: &'static str) -> Best {
        Best { what, time: Duration::MAX, allocations: u64::MAX }
    }

    fn of(&mut self, f: impl FnOnce()) {
        let mut time = Duration::MAX;
        let counted = allocation_counter::measure(|| {
            let start = Instant::now();
            f();
            time = start.elapsed();
        });
        self.time = self.time.min(time);
        self.allocations = self.allocations.min(counted.count_total);
    }

    fn row(self) -> Row {
        let nanoseconds = self.time.as_nanos() as f64 / BATCH as f64;
        Row {
            what: self.what,
            unit: "call",
            nanoseconds,
            allocations: self.allocations as f64 / BATCH as f64,
        }
    }
}

/// So many loops, each called once a second, for an hour.
const LOOPS: usize = 1000;
const HOUR: Duration = Duration::from_secs(3600);

/// Of different milliseconds, on a virtual reactor: each call is a turn of it.
fn loops() -> Row {
    let (simulation, calls) = (Simulation::new(), Rc::new(Cell::new(0)));
    let reactor = simulation.reactor();
    for n in 0..LOOPS {
        let (time, calls) = (reactor.clone(), calls.clone());
        reactor.call_later(Duration::from_micros(n as u64 * 997), move || {
            let tick = move || calls.set(calls.get() + 1);
            LoopingCall::new(&time, tick).start(Duration::from_secs(1), true).or_log("a loop");
        });
    }
    let mut time = Duration::MAX;
    let counted = allocation_counter::measure(|| {
        let start = cpu_time();
        simulation.advance(HOUR);
        time = cpu_time() - start;
    });
    let per_call = |total: f64| total / calls.get() as f64;
    Row {
        what: "a call of 1,000 LoopingCalls, for a virtual hour",
        unit: "call",
        nanoseconds: per_call(time.as_nanos() as f64),
        allocations: per_call(counted.count_total as f64),
    }
}

/// This thread's. A run of seconds is interrupted by other programs, and there is no second one to be better.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// So many Deferreds are in the snapshot.
const WAITING: usize = 10_000;

/// Reading what is pending.
fn snapshots() -> Vec<Row> {
    let reactor = Reactor::new().expect("a reactor");
    let chain = || {
        let (deferred, promise) = Deferred::<u64>::pending();
        (deferred.map(|n| n + 1).map(|n| n + 1), promise)
    };
    let _pending: Vec<(Deferred<u64>, Promise<u64>)> = (0..WAITING).map(|_| chain()).collect();
    let snapshot = reactor.snapshot();
    assert_eq!(snapshot.entries.len(), WAITING);
    vec![
        measure("snapshot() of 10,000 Deferreds of 2 callbacks", "snapshot", 1, 1, || {
            drop(black_box(reactor.snapshot()));
        }),
        measure("that snapshot as a tree", "text", 1, 1, || drop(black_box(snapshot.to_string()))),
        measure("that snapshot as JSON", "text", 1, 1, || drop(black_box(snapshot.to_json()))),
    ]
}

fn main() {
    println!("|what|ns|allocations|per|");
    println!("|-|-|-|-|");
    for Row { what, unit, nanoseconds, allocations } in
        deferreds().into_iter().chain(delayed_calls()).chain(snapshots()).chain([loops()])
    {
        println!("|{what}|{nanoseconds:.1}|{allocations:.2}|{unit}|");
    }
}
