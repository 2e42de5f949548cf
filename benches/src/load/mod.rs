//! The load client: one thread, whatever the workload. Every byte that comes back is compared with what was sent.

mod connects;
mod exchange;
mod idle;
mod pattern;
mod sparse;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::work::{Kind, Work};

/// A server that answers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that is connected to a server.
pub trait Client {
    /// Sends messages for so long, waits for what is in flight, and tells what came back.
    fn run(&mut self, span: Duration) -> io::Result<Pass>;

    /// What comes before the measured run.
    fn warm_up(&mut self, span: Duration) -> io::Result<()> {
        self.run(span).map(drop)
    }
}

/// What a client saw in one run.
pub struct Pass {
    /// Messages answered.
    pub messages: u64,
    /// Time from the first message sent to the last one answered.
    pub wall: Duration,
    /// Nanoseconds from a message to its answer, where one is in flight on a connection.
    pub latency: Histogram<u64>,
}

impl Pass {
    fn new() -> Pass {
        let latency = Histogram::new(3).expect("3 digits are few enough");
        Pass { messages: 0, wall: Duration::ZERO, latency }
    }

    /// Counts an answer that came after so long.
    fn answered(&mut self, after: Duration) {
        self.messages += 1;
        self.latency += after.as_nanos() as u64;
    }
}

/// Connects. A client with a core of its own never sleeps, but where sleeping is the workload.
pub fn connect(work: Work, server: SocketAddr, own_core: bool) -> io::Result<Box<dyn Client>> {
    Ok(match work.kind {
        Kind::Echo | Kind::Stream | Kind::Line | Kind::Udp => {
            Box::new(exchange::Exchange::connect(work, server, own_core)?)
        }
        Kind::Conn => Box::new(connects::Connects::new(work.count, server, own_core)?),
        Kind::Sparse => Box::new(sparse::Sparse::connect(work.count, server)?),
        Kind::Idle => Box::new(idle::Idle::connect(work.count, server)?),
    })
}

/// An error if the end of a run is long past.
fn in_time(end: Instant, answered: u64) -> io::Result<()> {
    if Instant::now() < end + PATIENCE {
        return Ok(());
    }
    let text = format!("only {answered} messages are answered {PATIENCE:?} after the end of the run");
    Err(io::Error::new(io::ErrorKind::TimedOut, text))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
