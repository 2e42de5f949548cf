//! How many instructions the parts take: valgrind counts them, so a shared machine does not blur the figures.
//!
//! Each work runs twice, once long and once short; the difference is what one unit of it takes, without the start of the process.
//! Without arguments it prints the table. Needs `valgrind`.

use std::{
    cell::Cell,
    env,
    hint::black_box,
    io,
    pin::pin,
    process::{Command, ExitCode},
    rc::Rc,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};
use twistor::{
    Context, Protocol, Reactor,
    defer::{Deferred, Promise, succeed},
    factory, manhole,
    time::Clock,
};

/// A work: its name, what one unit of it is, how many units the short run does, and what does them.
type Work = (&'static str, &'static str, usize, fn(usize));

const WORKS: &[Work] = &[
    ("three-callbacks", "a Deferred: made, 3 callbacks, fired", 2000, three_callbacks),
    ("stages", "a callback of a chain of 1,000", 2000, stages),
    ("fired", "a Deferred that has fired, 3 callbacks", 2000, fired),
    ("awaited", "a Deferred: made, polled, fired, polled", 2000, awaited),
    ("inner", "a chain that waits for another, fired", 2000, inner),
    ("timers", "a delayed call: made, cancelled", 2000, timers),
    ("snapshot", "a snapshot of 10,000 Deferreds of 2 callbacks, for each of them", WAITING, snapshot),
    ("echo", "an echo of 64 bytes, both ends in one reactor", 1000, echo),
    ("manhole", "the same with the manhole open and idle, and SIGUSR1 taken", 1000, echo_beside_a_manhole),
];

/// So many Deferreds are in a snapshot.
const WAITING: usize = 10_000;

/// How much longer the long run is.
const LONGER: usize = 5;

fn three_callbacks(times: usize) {
    let k = black_box(1_u64);
    for _ in 0..times {
        let (deferred, promise) = Deferred::<u64>::pending();
        let deferred = deferred
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n ^ k));
        promise.callback(black_box(1));
        drop(black_box(deferred));
    }
}

fn stages(times: usize) {
    let k = black_box(1_u64);
    for _ in 0..times / 1000 {
        let (mut deferred, promise) = Deferred::<u64>::pending();
        for _ in 0..1000 {
            deferred = deferred.add_callback(move |n| Ok(n + k));
        }
        promise.callback(black_box(1));
        drop(black_box(deferred));
    }
}

fn fired(times: usize) {
    let k = black_box(1_u64);
    for _ in 0..times {
        let deferred = succeed(black_box(1_u64));
        let deferred = deferred.add_callback(move |n| Ok(n + k)).add_callback(move |n| Ok(n + k));
        drop(black_box(deferred.add_callback(move |n| Ok(n ^ k))));
    }
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
    for _ in 0..times {
        let (inner, promise) = Deferred::<u64>::pending();
        let (outer, start) = Deferred::<()>::pending();
        let outer = outer.add_callback(move |()| inner);
        start.callback(());
        promise.callback(black_box(1));
        drop(black_box(outer));
    }
}

fn timers(times: usize) {
    let clock = Clock::new();
    for _ in 0..times {
        let call = clock.call_later(black_box(Duration::from_secs(1)), || ());
        call.cancel().expect("it waits");
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

const MESSAGE: [u8; 64] = [b'x'; 64];

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

/// Sends a message, waits for it to come back, and sends the next.
struct Peer {
    left: Rc<Cell<usize>>,
}

impl Protocol for Peer {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write(MESSAGE);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        assert_eq!(data, MESSAGE, "it comes back whole: nothing else is on its way");
        self.left.set(self.left.get() - 1);
        match self.left.get() {
            0 => Reactor::current().stop().expect("it runs"),
            _ => cx.write(MESSAGE),
        }
    }
}

fn echo(times: usize) {
    echo_on(&Reactor::new().expect("a reactor"), times);
}

fn echo_beside_a_manhole(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let path = env::temp_dir().join(format!("twistor-bench-{}.sock", std::process::id()));
    manhole::listen(&reactor, path).expect("it listens");
    manhole::print_on_sigusr1(&reactor).expect("it is installed");
    echo_on(&reactor, times);
}

fn echo_on(reactor: &Reactor, times: usize) {
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo)).expect("a free port");
    let to = port.get_host().expect("it listens").as_inet().expect("TCP");
    let left = Rc::new(Cell::new(times));
    reactor.connect_tcp(to, factory(move |_| Peer { left: left.clone() }));
    reactor.run().expect("it ends");
}

/// Runs this program once more under valgrind, and reads how many instructions it took.
fn count(work: &str, times: usize) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([work, &times.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(io::Error::other(format!("valgrind of {work} failed:\n{told}"))),
    }
}

fn table() -> io::Result<()> {
    println!("|what|instructions|\n|-|-|");
    for (name, unit, short, _) in WORKS {
        let (brief, long) = (count(name, *short)?, count(name, short * LONGER)?);
        println!("|{unit}|{:.1}|", (long - brief) as f64 / (short * (LONGER - 1)) as f64);
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [name, times] = &arguments[..] {
        let work = WORKS.iter().find(|work| work.0 == name);
        return match (work, times.parse()) {
            (Some((_, _, _, run)), Ok(times)) => {
                run(times);
                ExitCode::SUCCESS
            }
            _ => {
                eprintln!("usage: instructions [WORK TIMES]");
                ExitCode::FAILURE
            }
        };
    }
    match table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
