//! A million timers over a minute, of which nine in ten are cancelled in random order and the rest are made: beside others that can do it.
//!
//! What counts is the CPU time of the process, so that waiting costs nothing. A clock that can be moved is moved, and what is due is made in one go;
//! the others have real timers, due within a second, and sleep until they all are. The rounds begin with another each time; told are medians.

use async_executor::LocalExecutor;
use futures_lite::future::{block_on, poll_fn};
use rustix::time::{ClockId, clock_gettime};
use std::{cell::Cell, env, process::Command, rc::Rc, time::Duration};
use tokio_util::time::DelayQueue;
use twistor::{Reactor, time::Clock};
use twistor_bench::{Limit, figure, python};

const TIMERS: usize = 1_000_000;
const CANCELLED: usize = TIMERS / 10 * 9;
const MADE: usize = TIMERS - CANCELLED;
const ROUNDS: usize = 5;

/// Over so much time they are due.
const SPAN: Duration = Duration::from_secs(60);

/// The first of the real timers is due then.
const LEAD: Duration = Duration::from_secs(4);

/// Sleeps until the last of them is.
fn until_all_are_due() {
    std::thread::sleep(LEAD + Duration::from_secs(1));
}

/// Who has it done, and how; None if it cannot be had here.
type Peer = (&'static str, fn(&Plan) -> Option<Took>);

const PEERS: &[Peer] = &[
    ("twistor, `call_later` of a `Clock`", clock),
    ("twistor, `call_later` of a `Reactor`", reactor),
    ("tokio-util, a `DelayQueue` of numbers", delay_queue),
    ("tokio, a task with a `sleep` each", sleeps),
    ("async-io, a task with a `Timer` each", async_io_timers),
    ("Twisted, `callLater`", twisted),
];

/// CPU time of the three parts.
#[derive(Clone, Copy, Default)]
struct Took {
    schedule: Duration,
    cancel: Duration,
    make: Duration,
}

impl Took {
    fn total(&self) -> Duration {
        self.schedule + self.cancel + self.make
    }
}

/// The same for all.
struct Plan {
    /// When each timer is due.
    delays: Vec<Duration>,
    /// Those to be cancelled, in that order.
    cancelled: Vec<usize>,
}

impl Plan {
    /// By Knuth's linear congruential generator (MMIX).
    fn new() -> Plan {
        let mut state = 1_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 16) % limit
        };
        let delays = (0..TIMERS).map(|_| Duration::from_nanos(below(SPAN.as_nanos() as u64))).collect();
        let mut order: Vec<usize> = (0..TIMERS).collect();
        for last in (1..TIMERS).rev() {
            order.swap(last, below(last as u64 + 1) as usize);
        }
        order.truncate(CANCELLED);
        Plan { delays, cancelled: order }
    }

    /// The same within a second, after those in which they are scheduled and cancelled.
    fn soon(&self) -> impl Iterator<Item = Duration> {
        self.delays.iter().map(|delay| LEAD + *delay / 60)
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Times three parts, of which each gets what the one before gave.
fn time<A, B>(schedule: impl FnOnce() -> A, cancel: impl FnOnce(A) -> B, make: impl FnOnce(B)) -> Took {
    let begun = cpu_time();
    let scheduled = schedule();
    let at_schedule = cpu_time();
    let left = cancel(scheduled);
    let at_cancel = cpu_time();
    make(left);
    Took { schedule: at_schedule - begun, cancel: at_cancel - at_schedule, make: cpu_time() - at_cancel }
}

fn clock(plan: &Plan) -> Option<Took> {
    let (clock, made) = (Clock::new(), Rc::new(Cell::new(0)));
    let call = || {
        let made = made.clone();
        move || made.set(made.get() + 1)
    };
    let took = time(
        || plan.delays.iter().map(|delay| clock.call_later(*delay, call())).collect::<Vec<_>>(),
        |calls| plan.cancelled.iter().for_each(|index| calls[*index].cancel().expect("it waits")),
        |()| clock.advance(SPAN),
    );
    assert_eq!(made.get(), MADE);
    Some(took)
}

fn reactor(plan: &Plan) -> Option<Took> {
    let (reactor, made) = (Reactor::new().expect("a reactor"), Rc::new(Cell::new(0)));
    let call = || {
        let made = made.clone();
        move || {
            made.set(made.get() + 1);
            if made.get() == MADE {
                Reactor::current().stop().expect("it runs");
            }
        }
    };
    let took = time(
        || plan.soon().map(|delay| reactor.call_later(delay, call())).collect::<Vec<_>>(),
        |calls| plan.cancelled.iter().for_each(|index| calls[*index].cancel().expect("it waits")),
        |()| {
            until_all_are_due();
            reactor.run().expect("it ends");
        },
    );
    assert_eq!(made.get(), MADE);
    Some(took)
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn delay_queue(plan: &Plan) -> Option<Took> {
    paused().block_on(async {
        let mut queue = DelayQueue::new();
        let begun = cpu_time();
        let keys: Vec<_> =
            plan.delays.iter().zip(0_u32..).map(|(delay, n)| queue.insert(n, *delay)).collect();
        let at_schedule = cpu_time();
        for index in &plan.cancelled {
            queue.remove(&keys[*index]);
        }
        let at_cancel = cpu_time();
        tokio::time::advance(SPAN + Duration::from_millis(2)).await;
        for _ in 0..MADE {
            poll_fn(|cx| queue.poll_expired(cx)).await.expect("one more");
        }
        assert!(queue.is_empty());
        let make = cpu_time() - at_cancel;
        Some(Took { schedule: at_schedule - begun, cancel: at_cancel - at_schedule, make })
    })
}

fn sleeps(plan: &Plan) -> Option<Took> {
    paused().block_on(async {
        let made = Rc::new(Cell::new(0));
        let local = tokio::task::LocalSet::new();
        let begun = cpu_time();
        let spawn = |delay: &Duration| {
            let (made, delay) = (made.clone(), *delay);
            local.spawn_local(async move {
                tokio::time::sleep(delay).await;
                made.set(made.get() + 1);
            })
        };
        let tasks: Vec<_> = plan.delays.iter().map(spawn).collect();
        local.run_until(tokio::task::yield_now()).await;
        let at_schedule = cpu_time();
        plan.cancelled.iter().for_each(|index| tasks[*index].abort());
        local.run_until(tokio::task::yield_now()).await;
        let at_cancel = cpu_time();
        tokio::time::advance(SPAN + Duration::from_millis(2)).await;
        local.await;
        assert_eq!(made.get(), MADE);
        let make = cpu_time() - at_cancel;
        Some(Took { schedule: at_schedule - begun, cancel: at_cancel - at_schedule, make })
    })
}

fn async_io_timers(plan: &Plan) -> Option<Took> {
    let (executor, made) = (LocalExecutor::new(), Rc::new(Cell::new(0)));
    let spawn = |delay: Duration| {
        let made = made.clone();
        executor.spawn(async move {
            async_io::Timer::after(delay).await;
            made.set(made.get() + 1);
        })
    };
    let took = time(
        || {
            let tasks: Vec<_> = plan.soon().map(|delay| Some(spawn(delay))).collect();
            while executor.try_tick() {}
            tasks
        },
        |mut tasks| {
            plan.cancelled.iter().for_each(|index| drop(tasks[*index].take()));
            while executor.try_tick() {}
            tasks
        },
        |tasks| {
            until_all_are_due();
            let rest = async {
                for task in tasks.into_iter().flatten() {
                    task.await
                }
            };
            block_on(executor.run(rest));
        },
    );
    assert_eq!(made.get(), MADE);
    Some(took)
}

/// Its reactor, on a clock that is moved; in a Python that has it.
const TWISTED: &str = "
import random, time
from twisted.internet import reactor
now, made = [0.0], [0]
reactor.seconds = lambda: now[0]
def call(): made[0] += 1
random.seed(1)
delays = [random.random() * 60 for _ in range(1000000)]
order = random.sample(range(1000000), 900000)
a = time.process_time()
calls = [reactor.callLater(delay, call) for delay in delays]
b = time.process_time()
for index in order: calls[index].cancel()
c = time.process_time()
now[0] = 61.0
reactor.runUntilCurrent()
d = time.process_time()
assert made[0] == 100000, made
print(b - a, c - b, d - c)
";

fn twisted(_: &Plan) -> Option<Took> {
    let (python, _) = python("twisted")?;
    let output = Command::new(python).args(["-c", TWISTED]).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    let mut seconds = told.split_whitespace().map(|number| number.parse().map(Duration::from_secs_f64));
    let mut next = || seconds.next()?.ok();
    Some(Took { schedule: next()?, cancel: next()?, make: next()? })
}

fn median(mut values: Vec<Took>) -> Option<Took> {
    values.sort_by_key(Took::total);
    values.get(values.len() / 2).copied()
}

fn main() {
    // `cargo test --benches` calls this too, to see whether it starts.
    if env::args().any(|argument| argument == "--test") {
        return;
    }
    let chosen: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part));
    if !PEERS.iter().any(|(name, _)| is_chosen(name)) {
        return;
    }
    let (plan, mut took) = (Plan::new(), vec![Vec::new(); PEERS.len()]);
    for round in 0..ROUNDS {
        for turn in 0..PEERS.len() {
            let index = (round + turn) % PEERS.len();
            let (name, run) = PEERS[index];
            took[index].extend(is_chosen(name).then(|| run(&plan)).flatten());
        }
    }
    let medians: Vec<Option<Took>> = took.into_iter().map(median).collect();
    print_medians(&medians);
    print_targets(&medians);
}

fn print_medians(medians: &[Option<Took>]) {
    println!("|what|schedule ns|cancel ns|make ns|total s|\n|-|-|-|-|-|");
    for ((name, _), took) in PEERS.iter().zip(medians) {
        let Some(took) = took else {
            eprintln!("Left out: {name}.");
            continue;
        };
        let each = |part: Duration, count: usize| part.as_nanos() as f64 / count as f64;
        println!(
            "|{name}|{:.0}|{:.0}|{:.0}|{:.3}|",
            each(took.schedule, TIMERS),
            each(took.cancel, CANCELLED),
            each(took.make, MADE),
            took.total().as_secs_f64(),
        );
    }
}

/// One peer's total as a multiple of another's, and its limit. A `Reactor` reads the clock for each call, which the `DelayQueue` on its
/// paused clock does not.
const TARGETS: &[(usize, usize, Limit)] = &[
    (0, 2, Limit::AtMost(0.7)),
    (1, 2, Limit::AtMost(0.7)),
    (5, 0, Limit::AtLeast(14.0)),
    (5, 1, Limit::AtLeast(14.0)),
];

fn print_targets(medians: &[Option<Took>]) {
    println!("\n|what|to|ratio of the totals|limit||\n|-|-|-|-|-|");
    for (one, other, limit) in TARGETS {
        let total = |index: usize| medians[index].map(|took| took.total().as_secs_f64());
        let ratio = total(*one).zip(total(*other)).map(|(one, other)| one / other);
        let (value, verdict) =
            ratio.map_or(("-".into(), "not measured"), |ratio| (figure(ratio), limit.verdict(ratio)));
        println!("|{}|{}|{value}|{limit}|{verdict}|", PEERS[*one].0, PEERS[*other].0);
    }
}
