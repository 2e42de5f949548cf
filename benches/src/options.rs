//! The command line.

use std::time::Duration;

use clap::Parser;

use crate::work::{QUICK, WORKS, Work};

/// Runs every server on every workload, in interleaved rounds, and prints what a message costs.
#[derive(Parser)]
pub struct Options {
    /// A server of the table by its name, or `NAME=COMMAND` for any program; may be repeated. Without it, all.
    #[arg(long = "server", value_name = "NAME[=COMMAND]")]
    pub servers: Vec<String>,
    /// Workloads, such as `echo50,line1`: a kind (echo, stream, line, conn, udp, sparse, idle) and how many at once.
    #[arg(long = "work", value_name = "WORK,...", value_delimiter = ',')]
    works: Vec<Work>,
    /// How often each server runs each workload [default: 5].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Seconds a run is measured [default: 0.4].
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// One short round of a few workloads, to see that all is well.
    #[arg(long)]
    pub quick: bool,
    /// Counts no system calls.
    #[arg(long)]
    pub no_syscalls: bool,
    /// Takes the servers as they were built last.
    #[arg(long)]
    pub no_build: bool,
    /// Measures only what needs no socket: Deferreds, timers, two reactors.
    #[arg(long, conflicts_with_all = ["servers", "works", "quick", "gate"])]
    pub parts: bool,
    /// Writes `benches/results/` and the tables of the two READMEs: of all workloads and servers, or none.
    #[arg(long, conflicts_with_all = ["servers", "works", "quick", "rounds", "seconds", "no_syscalls"])]
    pub write: bool,
    /// Fails if a target of these workloads is missed or not measured.
    #[arg(long)]
    pub gate: bool,
}

impl Options {
    /// How often each server runs each workload.
    pub fn rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 1 } else { 5 }, usize::from)
    }

    /// How long a run is measured.
    pub fn span(&self) -> Duration {
        self.seconds.unwrap_or(Duration::from_millis(if self.quick { 300 } else { 400 }))
    }

    /// The workloads, in the order of the tables.
    pub fn works(&self) -> Vec<Work> {
        if !self.works.is_empty() {
            return self.works.clone();
        }
        let names = if self.quick { QUICK } else { WORKS };
        names.iter().map(|name| name.parse().expect("the table names workloads")).collect()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|span| !span.is_zero()).ok_or_else(|| "a number of seconds, such as 0.4".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn options_override_what_quick_chooses() {
        let options = Options::parse_from(["bench", "--quick", "--rounds", "3", "--work", "udp1,echo9000"]);
        assert_eq!((options.rounds(), options.works().len()), (3, 2));
        assert!(Options::try_parse_from(["bench", "--seconds", "0"]).is_err());
        assert!(Options::try_parse_from(["bench", "--work", "echo"]).is_err());
    }

    #[test]
    fn a_part_of_the_figures_is_not_written_over_all() {
        for part in [["--work", "echo1"], ["--server", "tokio"], ["--rounds", "1"], ["--seconds", "0.1"]] {
            assert!(
                Options::try_parse_from(["bench", "--write"].into_iter().chain(part)).is_err(),
                "{part:?}"
            );
        }
        assert!(Options::try_parse_from(["bench", "--write", "--quick"]).is_err());
        assert!(Options::try_parse_from(["bench", "--write", "--no-build"]).is_ok());
    }
}
