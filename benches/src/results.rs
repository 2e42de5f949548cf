//! The runs of all servers on all workloads, and what is read from them.

use twistor_bench::median;

use crate::run::Run;
use crate::work::Work;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// CPU time of the server a message, in microseconds: C.
    Cost,
    /// Messages a second: R.
    Rate,
    /// Microseconds within which half of the answers came.
    Median,
    /// Microseconds within which 99 of 100 answers came.
    Tail,
    /// Bytes by which the server grew for each message, which here is a connection.
    Memory,
}

impl Measure {
    /// Its sign in the tables.
    pub fn sign(self) -> &'static str {
        match self {
            Measure::Cost => "C",
            Measure::Rate => "R",
            Measure::Median => "p50",
            Measure::Tail => "p99",
            Measure::Memory => "memory",
        }
    }

    /// Its value in a run, if that has one.
    pub fn of(self, run: &Run) -> Option<f64> {
        let messages = run.messages as f64;
        match self {
            Measure::Cost => Some(run.ran.as_secs_f64() * 1e6 / messages),
            Measure::Rate => Some(messages / run.wall.as_secs_f64()),
            Measure::Median => run.latency.map(|(median, _)| median.as_secs_f64() * 1e6),
            Measure::Tail => run.latency.map(|(_, tail)| tail.as_secs_f64() * 1e6),
            Measure::Memory => Some(run.grown as f64 / messages),
        }
    }
}

/// A server on a workload.
#[derive(Debug)]
pub struct Cell {
    /// The workload.
    pub work: Work,
    /// The server's name.
    pub server: String,
    /// One a round.
    pub runs: Vec<Run>,
    /// The system calls of a message, the most frequent first.
    pub calls: Option<Vec<(String, f64)>>,
}

impl Cell {
    /// The median of its runs.
    pub fn median(&self, measure: Measure) -> Option<f64> {
        median(self.runs.iter().filter_map(|run| measure.of(run)))
    }

    /// The smallest and the greatest of its runs.
    pub fn range(&self, measure: Measure) -> Option<(f64, f64)> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(|run| measure.of(run)).collect();
        values.sort_by(f64::total_cmp);
        Some((*values.first()?, *values.last()?))
    }

    /// The median of the ratios to another server, each within one round.
    pub fn ratio(&self, other: &Cell, measure: Measure) -> Option<f64> {
        let rounds = self.runs.iter().zip(&other.runs);
        median(rounds.filter_map(|(own, other)| Some(measure.of(own)? / measure.of(other)?)))
    }

    /// The median of what a run gives.
    pub fn median_of(&self, value: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(value))
    }

    /// How many of its runs were disturbed, all tries over.
    pub fn loud(&self) -> usize {
        self.runs.iter().filter(|run| !run.is_quiet()).count()
    }
}

/// All that was measured.
#[derive(Debug, Default)]
pub struct Results {
    /// By workload, then by server, in the order of the tables.
    pub cells: Vec<Cell>,
}

impl Results {
    /// The workloads, in their order.
    pub fn works(&self) -> Vec<Work> {
        let mut works: Vec<Work> = Vec::new();
        for cell in &self.cells {
            if !works.contains(&cell.work) {
                works.push(cell.work);
            }
        }
        works
    }

    /// The servers on a workload.
    pub fn of(&self, work: Work) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.work == work)
    }

    /// A server on a workload, if it was measured there.
    pub fn find(&self, work: Work, server: &str) -> Option<&Cell> {
        self.of(work).find(|cell| cell.server == server)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Measure};
    use crate::run::Run;
    use std::time::Duration;

    fn cell(server: &str, microseconds: &[u64]) -> Cell {
        let run = |ran: &u64| Run {
            messages: 10,
            wall: Duration::from_micros(1000),
            ran: Duration::from_micros(*ran),
            ..Run::default()
        };
        let work = "echo1".parse().expect("a workload");
        Cell { work, server: server.to_owned(), runs: microseconds.iter().map(run).collect(), calls: None }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_within_each_round() {
        // The third round was twice as slow for both.
        let (own, other) = (cell("own", &[100, 120, 220]), cell("other", &[50, 50, 100]));
        assert_eq!(own.ratio(&other, Measure::Cost), Some(2.2));
        assert_eq!(own.median(Measure::Cost), Some(12.0));
        assert_eq!(own.range(Measure::Cost), Some((10.0, 22.0)));
    }

    #[test]
    fn what_was_not_measured_has_no_median() {
        assert_eq!(cell("own", &[100]).median(Measure::Median), None);
        assert_eq!(cell("own", &[100]).median(Measure::Rate), Some(10_000.0));
    }
}
