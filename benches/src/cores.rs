//! The two cores: one for the server, one for the client.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where both ends run.
#[derive(Clone, Copy)]
pub struct Cores {
    /// The server's core.
    pub server: usize,
    /// The client's.
    pub client: usize,
}

impl Cores {
    /// The first two cores this process may use, if there are two.
    pub fn find() -> io::Result<Option<Cores>> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        Ok(cores.next().zip(cores.next()).map(|(server, client)| Cores { server, client }))
    }
}

/// Keeps this thread, and the processes it starts from now on, to one core.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// How long a core has not been idle since the machine began, whoever used it.
pub fn busy(core: usize) -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let ticks: Vec<u64> = line.unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, idle, waiting for disks, interrupts (2), taken by the host; then what is in user already.
    let [user, nice, system, _, _, hard, soft, stolen, ..] = ticks[..] else {
        return Err(io::Error::other(format!("cannot read {name}in /proc/stat")));
    };
    let tick = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs(user + nice + system + hard + soft + stolen) / tick as u32)
}
