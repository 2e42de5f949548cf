//! All runs: workload by workload, the servers in turn in each round.

use std::io;
use std::time::Duration;

use crate::cores::Cores;
use crate::results::{Cell, Results};
use crate::run::{Run, run};
use crate::server::Found;
use crate::syscalls;
use crate::work::{Kind, Work};

/// A run that was disturbed is done again, so often at most.
const TRIES: usize = 3;

/// How everything is measured.
pub struct Session {
    /// Who is measured.
    pub servers: Vec<Found>,
    /// How often on each workload.
    pub rounds: usize,
    /// How long a run is measured.
    pub span: Duration,
    /// Where both ends run; without two cores, anywhere.
    pub cores: Option<Cores>,
    /// Whether system calls are counted.
    pub syscalls: bool,
    /// Runs that may still be done again.
    pub repeats: usize,
}

impl Session {
    /// Measures one workload.
    ///
    /// # Errors
    ///
    /// A server does not start, or does not answer as it should.
    pub fn measure(&mut self, work: Work) -> io::Result<Results> {
        let servers: Vec<usize> =
            (0..self.servers.len()).filter(|at| self.servers[*at].takes(work)).collect();
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); servers.len()];
        for round in 0..self.rounds {
            for turn in 0..servers.len() {
                // Each round begins with another.
                let at = (round + turn) % servers.len();
                let run = self.quietest(work, servers[at]).map_err(|e| self.named(e, work, servers[at]))?;
                runs[at].push(run);
            }
        }
        let mut results = Results::default();
        for (at, runs) in servers.into_iter().zip(runs) {
            let calls = self.calls(work, at);
            results.cells.push(Cell { work, server: self.servers[at].name.clone(), runs, calls });
        }
        Ok(results)
    }

    /// A run that was not disturbed, or of a few the one that was disturbed least.
    fn quietest(&mut self, work: Work, server: usize) -> io::Result<Run> {
        let mut best = run(work, &self.servers[server], self.cores, self.span)?;
        for _ in 1..TRIES {
            if best.is_quiet() || self.cores.is_none() || self.repeats == 0 {
                break;
            }
            self.repeats -= 1;
            let again = run(work, &self.servers[server], self.cores, self.span)?;
            if again.loudness() < best.loudness() {
                best = again;
            }
        }
        Ok(best)
    }

    /// Of workloads that last until they have enough messages to count. What was measured without strace counts without it too.
    fn calls(&self, work: Work, server: usize) -> Option<Vec<(String, f64)>> {
        if !self.syscalls || matches!(work.kind, Kind::Sparse | Kind::Idle) {
            return None;
        }
        let counted = syscalls::count(work, &self.servers[server], self.cores);
        counted.map_err(|e| println!("Left out: system calls: {}.", self.named(e, work, server))).ok()
    }

    fn named(&self, error: io::Error, work: Work, server: usize) -> io::Error {
        io::Error::new(error.kind(), format!("{work} of {}: {error}", self.servers[server].name))
    }
}
