//! The system calls of a message, counted by strace in a pass of its own.
//!
//! A short run and a long one, each with a new server; the difference is what the messages took, without the start
//! of the program. Under strace the server is slow, so where messages come in batches those are as large as they get.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cores::{Cores, pin};
use crate::load;
use crate::server::{Found, Process};
use crate::work::Work;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_millis(350);

/// Calls by their names.
type Counts = BTreeMap<String, u64>;

/// Whether strace is here and may trace a program, and else why nothing is counted.
pub fn missing() -> Option<String> {
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    match strace.status() {
        Ok(status) if status.success() => None,
        Ok(_) => Some("system calls: strace may not trace a program here".to_owned()),
        Err(e) => Some(format!("system calls: strace does not start ({e})")),
    }
}

/// The calls of a message, the most frequent first.
pub fn count(work: Work, server: &Found, cores: Option<Cores>) -> io::Result<Vec<(String, f64)>> {
    let (few, before) = pass(work, server, cores, SHORT)?;
    let (many, after) = pass(work, server, cores, LONG)?;
    let messages = many.saturating_sub(few).max(1) as f64;
    let of = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or(0) as f64;
    let mut calls: Vec<(String, f64)> =
        after.keys().map(|name| (name.clone(), (of(&after, name) - of(&before, name)) / messages)).collect();
    calls.retain(|(_, calls)| *calls >= 0.005);
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(calls)
}

fn pass(work: Work, server: &Found, cores: Option<Cores>, span: Duration) -> io::Result<(u64, Counts)> {
    if let Some(cores) = cores {
        pin(cores.server)?;
    }
    let file = std::env::temp_dir().join(format!("twistor-bench-{}.strace", std::process::id()));
    let mut command = Command::new("strace");
    let inner = server.command(work);
    command.args(["-c", "-f", "-o"]).arg(&file).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let strace = Process::start(command)?;
    let traced = Traced(child_of(strace.id())?);
    if let Some(cores) = cores {
        pin(cores.client)?;
    }
    let messages = load::connect(work, strace.address, cores.is_some())?.run(span)?.messages;
    drop(traced);
    strace.wait()?;
    let table = fs::read_to_string(&file);
    fs::remove_file(&file)?;
    Ok((messages, parse(&table?)))
}

/// The server under strace, killed when it is dropped: strace writes its table when what it watches is gone, and killed itself, it
/// would leave that running.
struct Traced(Pid);

impl Drop for Traced {
    fn drop(&mut self) {
        // It fails only if the process has gone already.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// The one child of a process.
fn child_of(process: u32) -> io::Result<Pid> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let id = text.split_whitespace().next().and_then(|id| id.parse().ok());
    id.and_then(Pid::from_raw).ok_or_else(|| io::Error::other("strace has no child"))
}

/// From the lines `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(table: &str) -> Counts {
    let mut counts = Counts::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, _, _, calls, .., name] = fields[..]
            && let Ok(calls) = calls.parse()
            && name != "total"
        {
            counts.insert(name.to_owned(), calls);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_table_of_strace_is_read_with_and_without_errors() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.001200           3       400           sendto
 40.00    0.000800           2       401         1 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.002000           2       801         1 total
";
        let counts = parse(table);
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [("recvfrom".into(), 401), ("sendto".into(), 400)]
        );
    }
}
