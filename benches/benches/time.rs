//! What delayed calls cost while 100,000 wait, and looping calls.

use divan::{Bencher, black_box, counter::ItemsCount};
use std::{cell::Cell, rc::Rc, time::Duration};
use twistor::{
    Reactor,
    task::LoopingCall,
    testing::Simulation,
    time::{Clock, DelayedCall},
};

fn main() {
    divan::main();
}

/// So many calls wait all the while.
const WAITING: usize = 100_000;

/// So many calls are one go; each is one item.
const CALLS: usize = 1000;

/// Spread over a minute, no two alike.
fn spread(n: usize) -> Duration {
    Duration::from_micros((n as u64).wrapping_mul(2_654_435_761) % 60_000_000)
}

fn waiting() -> (Clock, Vec<DelayedCall>) {
    let clock = Clock::new();
    let calls = (0..WAITING).map(|n| clock.call_later(spread(n), || ())).collect();
    (clock, calls)
}

#[divan::bench(name = "a clock's call_later")]
fn schedule(bencher: Bencher<'_, '_>) {
    let (clock, _waiting) = waiting();
    let calls = bencher.counter(ItemsCount::new(CALLS)).with_inputs(|| Vec::with_capacity(CALLS));
    calls.bench_local_refs(|calls| {
        calls.extend((0..CALLS).map(|n| clock.call_later(spread(n * 7919), || ())))
    });
}

#[divan::bench(name = "cancel")]
fn cancel(bencher: Bencher<'_, '_>) {
    let (clock, _waiting) = waiting();
    let schedule = || (0..CALLS).map(|n| clock.call_later(spread(n * 7919), || ())).collect::<Vec<_>>();
    let calls = bencher.counter(ItemsCount::new(CALLS)).with_inputs(schedule);
    calls.bench_local_values(|calls| calls.iter().for_each(|call| call.cancel().expect("it waits")));
}

/// As who watches a peer does with each message.
#[divan::bench(name = "reset to later")]
fn reset(bencher: Bencher<'_, '_>) {
    let (clock, calls) = waiting();
    bencher.counter(ItemsCount::new(CALLS)).bench_local(|| {
        clock.advance(Duration::from_nanos(1));
        calls.iter().step_by(WAITING / CALLS).for_each(|call| call.reset(SOON).expect("it waits"));
    });
}

const SOON: Duration = Duration::from_secs(60);

/// What is made at once, of a reactor, which reads the clock.
#[divan::bench(name = "a reactor's call_later, and cancel")]
fn reactor(bencher: Bencher<'_, '_>) {
    let reactor = Reactor::new().expect("a reactor");
    bencher.bench_local(|| reactor.call_later(black_box(SOON), || ()).cancel().expect("it waits"));
}

/// So many loops, each called once a second, for a minute. Of different milliseconds, on a virtual reactor: each call is a turn of it.
#[divan::bench(name = "1,000 LoopingCalls, a virtual minute", sample_count = 10, sample_size = 1)]
fn loops(bencher: Bencher<'_, '_>) {
    const LOOPS: usize = 1000;
    const MINUTE: Duration = Duration::from_secs(60);
    let calls = Rc::new(Cell::new(0));
    let start = || {
        let simulation = Simulation::new();
        let reactor = simulation.reactor();
        for n in 0..LOOPS {
            let (time, calls) = (reactor.clone(), calls.clone());
            reactor.call_later(Duration::from_micros(n as u64 * 997), move || {
                let tick = move || calls.set(calls.get() + 1);
                LoopingCall::new(&time, tick).start(Duration::from_secs(1), true).or_log("a loop");
            });
        }
        simulation
    };
    let runs = bencher.counter(ItemsCount::new(LOOPS * 60)).with_inputs(start);
    runs.bench_local_values(|simulation| {
        simulation.advance(MINUTE);
        simulation
    });
}
