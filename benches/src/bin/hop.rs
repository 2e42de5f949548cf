//! What a hop costs: from the reactor to a task of the tokio runtime beside it, and back.
//!
//! One hop at a time, each one awaited before the next. CPU time of all threads of the process, the smallest of several rounds; beside it the same
//! without a reactor, between a thread and a runtime of the same kind, whose two wakes are the floor.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::{Duration, Instant};
use twistor::{Reactor, Result};
use twistor_tokio::Tokio;

const ROUNDS: usize = 9;
const HOPS: u32 = 20_000;

/// What the threads of this process have used.
fn cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec as u64, tv_nsec as u32)
}

/// The smallest of the CPU times, and of the times that passed.
struct Best {
    cpu: Duration,
    passed: Duration,
}

impl Best {
    fn row(&self, what: &str) -> String {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(HOPS);
        format!("|{what}|{:.2}|{:.2}|", microseconds(self.cpu), microseconds(self.passed))
    }
}

impl Default for Best {
    fn default() -> Best {
        Best { cpu: Duration::MAX, passed: Duration::MAX }
    }
}

/// A round that has begun.
struct Round(Duration, Instant);

impl Round {
    fn begin() -> Round {
        Round(cpu(), Instant::now())
    }

    fn end(self, best: &mut Best) {
        best.passed = best.passed.min(self.1.elapsed());
        best.cpu = best.cpu.min(cpu() - self.0);
    }
}

fn from_a_reactor(workers: usize) -> Result<Best> {
    let reactor = Reactor::new()?;
    let tokio = Tokio::with_workers(&reactor, workers)?;
    let stops = reactor.clone();
    let done = reactor.spawn(async move {
        let mut best = Best::default();
        for _ in 0..ROUNDS {
            let round = Round::begin();
            for n in 0..HOPS {
                let back = tokio.run(async move { Ok(n) }).await?;
                assert_eq!(back, n);
            }
            round.end(&mut best);
        }
        stops.stop()?;
        Ok(best)
    });
    reactor.run()?;
    done.now().unwrap_or_else(|_| Err(twistor::Failure::msg("the hops have no end")))
}

/// The floor: a thread that sleeps in `block_on` is woken by a runtime's thread, and wakes it.
fn from_a_thread() -> Best {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a thread");
    let mut best = Best::default();
    for _ in 0..ROUNDS {
        let round = Round::begin();
        for n in 0..HOPS {
            let back = futures_lite::future::block_on(runtime.spawn(async move { n }));
            assert_eq!(back.expect("it runs"), n);
        }
        round.end(&mut best);
    }
    best
}

fn main() -> Result<()> {
    println!("|what|CPU us|passed us|");
    println!("|-|-|-|");
    println!("{}", from_a_reactor(1)?.row("a hop, `Tokio::new`"));
    println!("{}", from_a_reactor(2)?.row("a hop, `Tokio::with_workers(2)`"));
    println!("{}", from_a_thread().row("the same from a plain thread, no reactor"));
    Ok(())
}
