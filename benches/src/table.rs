//! The results as a markdown table.

use std::time::Duration;

use crate::options::{Program, REFERENCE};

/// What was measured in one run.
pub struct Run {
    /// Messages answered.
    pub messages: u64,
    /// Time from the first message sent to the last one answered.
    pub wall: Duration,
    /// CPU time of the server.
    pub ran: Duration,
    /// Time the server was kept from running by other processes.
    pub waited: Duration,
}

impl Run {
    /// CPU time per message in microseconds.
    fn cost(&self) -> f64 {
        self.ran.as_secs_f64() * 1e6 / self.messages as f64
    }

    fn rate(&self) -> f64 {
        self.messages as f64 / self.wall.as_secs_f64()
    }

    fn share(&self, time: Duration) -> f64 {
        100.0 * time.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// Prints the head of the table.
pub fn header() {
    println!("|work|server|C us/msg|min..max|C to {REFERENCE}|R msg/s|busy %|kept waiting %|");
    println!("|-|-|-|-|-|-|-|-|");
}

/// Prints a row for each server, given its runs round by round.
pub fn rows(work: &str, servers: &[Program], runs: &[Vec<Run>]) {
    let reference = servers.iter().position(|server| server.name == REFERENCE);
    for (server, own) in servers.iter().zip(runs) {
        let costs = sorted(own.iter().map(Run::cost));
        let ratio = reference.map_or("-".to_owned(), |index| {
            let ratios = own.iter().zip(&runs[index]).map(|(a, b)| a.cost() / b.cost());
            format!("{:.2}", median(&sorted(ratios)))
        });
        println!(
            "|{work}|{}|{:.3}|{:.3}..{:.3}|{ratio}|{:.0}|{:.0}|{:.1}|",
            server.name,
            median(&costs),
            costs[0],
            costs[costs.len() - 1],
            median(&sorted(own.iter().map(Run::rate))),
            median(&sorted(own.iter().map(|run| run.share(run.ran)))),
            median(&sorted(own.iter().map(|run| run.share(run.waited)))),
        );
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values; of an even number, the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}
