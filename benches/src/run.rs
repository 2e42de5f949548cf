//! One run: a new server, a warm-up, and the messages that are measured.

use std::io;
use std::time::Duration;

use crate::cores::{self, Cores, pin};
use crate::load::{self, Pass};
use crate::server::{Found, Process, Usage, memory, wait_for_sleep};
use crate::work::Work;

/// A run in which others had more of a core than this is not trusted.
const LOUD: f64 = 0.08;

/// What was measured in one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Messages answered.
    pub messages: u64,
    /// Time from the first message sent to the last one answered.
    pub wall: Duration,
    /// CPU time of the server.
    pub ran: Duration,
    /// Time the server was kept from running by other processes.
    pub waited: Duration,
    /// Time the client was kept from running by other processes.
    pub client_waited: Duration,
    /// Time the server's core worked, but not for the server.
    pub foreign: Duration,
    /// Half of the answers, and 99 of 100, came within this.
    pub latency: Option<(Duration, Duration)>,
    /// Bytes by which the server grew.
    pub grown: u64,
}

impl Run {
    /// The greatest share of the time that others had of a core.
    pub fn loudness(&self) -> f64 {
        self.share(self.waited.max(self.client_waited).max(self.foreign))
    }

    /// Whether both ends had their cores to themselves.
    pub fn is_quiet(&self) -> bool {
        self.loudness() <= LOUD
    }

    /// Of the time the run lasted.
    pub fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// Starts a server and measures it for about so long.
///
/// # Errors
///
/// It does not start, or does not answer as it should.
pub fn run(work: Work, server: &Found, cores: Option<Cores>, span: Duration) -> io::Result<Run> {
    if let Some(cores) = cores {
        pin(cores.server)?;
    }
    let process = Process::start(server.command(work))?;
    if let Some(cores) = cores {
        pin(cores.client)?;
    }
    let mut client = load::connect(work, process.address, cores.is_some())?;
    client.warm_up(span / 8)?;
    let before = Look::at(process.id(), cores)?;
    let Pass { messages, wall, latency } = client.run(span)?;
    let after = Look::at(process.id(), cores)?;
    let used = after.server.since(before.server);
    let within = |share| Duration::from_nanos(latency.value_at_quantile(share));
    Ok(Run {
        messages,
        wall,
        ran: used.ran,
        waited: used.waited,
        client_waited: after.client.since(before.client).waited,
        foreign: (after.busy - before.busy).saturating_sub(used.ran),
        latency: (!latency.is_empty()).then(|| (within(0.5), within(0.99))),
        grown: after.memory.saturating_sub(before.memory),
    })
}

/// The counters at one moment.
struct Look {
    server: Usage,
    client: Usage,
    busy: Duration,
    memory: u64,
}

impl Look {
    fn at(process: u32, cores: Option<Cores>) -> io::Result<Look> {
        wait_for_sleep(process)?;
        Ok(Look {
            server: Usage::of(process)?,
            client: Usage::of(std::process::id())?,
            busy: cores.map_or(Ok(Duration::ZERO), |cores| cores::busy(cores.server))?,
            memory: memory(process)?,
        })
    }
}
