//! What two reactors do on two cores, against one: each does the same work, without a client.
//!
//! A message goes round a TCP connection within its reactor; each time it comes back it goes through a delayed call, a Deferred with
//! three callbacks and a task before it is sent again. If reactors met in a lock of the process, they would be slower together.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use twistor::{Context, Protocol, Reactor, Result, defer::Deferred, factory};
use twistor_bench::{Limit, median};

/// What two have to do of what one does.
const LIMIT: Limit = Limit::AtLeast(1.8);
/// Connections of a reactor.
const CONNECTIONS: usize = 8;
/// Messages of a reactor in a round.
const MESSAGES: usize = 100_000;
const ROUNDS: usize = 7;

type Message = [u8; 64];

fn main() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let Some(pair) = cores.first_chunk::<2>() else {
        return Err(io::Error::other("two reactors need two cores").into());
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        // Each core alone, before and after both: they need not be alike.
        let (first, both, second) = (rate(&pair[..1])?, rate(pair)?, rate(&pair[1..])?);
        rounds.push(((first + second) / 2.0, both));
    }
    let one = middle(&rounds, |(one, _)| one);
    let both = middle(&rounds, |(_, both)| both);
    let ratio = middle(&rounds, |(one, both)| both / one);
    println!("|reactors|messages/s, all together|to one|limit||\n|-|-|-|-|-|");
    println!("|1|{one:.0}|1.00|||");
    println!("|2|{both:.0}|{ratio:.2}|{LIMIT}|{}|", LIMIT.verdict(ratio));
    Ok(())
}

fn middle(rounds: &[(f64, f64)], value: impl Fn((f64, f64)) -> f64) -> f64 {
    median(rounds.iter().map(|round| value(*round))).expect("there are rounds")
}

/// Messages a second of a reactor on each of these cores, from when all are made until the last has done its work.
fn rate(cores: &[usize]) -> Result<f64> {
    let barrier = Barrier::new(cores.len() + 1);
    thread::scope(|scope| {
        let work = |core: usize| {
            let reactor = pin(core).and_then(|()| reactor());
            barrier.wait();
            reactor?.run()
        };
        let threads: Vec<_> = cores.iter().map(|core| scope.spawn(move || work(*core))).collect();
        barrier.wait();
        let start = Instant::now();
        for thread in threads {
            thread.join().expect("no reactor panics")?;
        }
        Ok((MESSAGES * cores.len()) as f64 / start.elapsed().as_secs_f64())
    })
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// A reactor that stops when its work is done.
fn reactor() -> Result<Reactor> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| Echo))?;
    let left = Rc::new(Cell::new(MESSAGES));
    for _ in 0..CONNECTIONS {
        let left = left.clone();
        reactor.connect_tcp(&port.get_host()?, factory(move |_peer| Round { left: left.clone() }));
    }
    Ok(reactor)
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

struct Round {
    left: Rc<Cell<usize>>,
}

impl Protocol for Round {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write([b'x'; 64]);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let message: Message = data.try_into().expect("nothing else is on its way");
        match self.left.get() {
            0 => return,
            1 => _ = Reactor::current().stop(),
            _ => {}
        }
        self.left.set(self.left.get() - 1);
        let (later, promise) = Deferred::pending();
        let call = move || _ = promise.callback(message);
        Reactor::current().call_later(Duration::ZERO, call);
        let counted = later.add_callback(Ok).add_callback(Ok).add_callback(Ok);
        let to = cx.clone();
        let task = async move {
            to.write(counted.await?);
            Ok(())
        };
        cx.spawn(task).or_log("a message");
    }
}
