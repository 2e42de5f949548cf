//! The harness: runs every server on every workload, in interleaved rounds, and prints a table of
//! CPU time per message (C) and messages per second (R).
#![forbid(unsafe_code)]

mod child;
mod load;
mod options;
mod table;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use child::Server;
use load::Load;
use options::{Options, Program, Work};
use table::Run;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> io::Result<()> {
    let options = Options::from_args()?;
    // A thousand connections come close to the usual limit; the servers inherit it.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: files.maximum, ..files })?;
    let cores = two_cores()?;
    match cores {
        Some((server, client)) => println!("Server on core {server}, client on core {client}."),
        None => println!("Only one core: nothing is pinned, and R is not worth comparing."),
    }
    println!("Medians of {} interleaved rounds.\n", options.rounds);
    table::header();
    for work in &options.works {
        let mut runs: Vec<Vec<Run>> = options.servers.iter().map(|_| Vec::new()).collect();
        for round in 0..options.rounds {
            for turn in 0..options.servers.len() {
                let index = (round + turn) % options.servers.len();
                let server = &options.servers[index];
                let run = run(work, server, work.messages(options.messages), cores).map_err(|e| {
                    io::Error::new(e.kind(), format!("{} of {}: {e}", work.name(), server.name))
                })?;
                runs[index].push(run);
            }
        }
        table::rows(&work.name(), &options.servers, &runs);
    }
    Ok(())
}

/// One server's run: a tenth of the messages to warm up, then all of them measured.
fn run(work: &Work, program: &Program, messages: u64, cores: Option<(usize, usize)>) -> io::Result<Run> {
    pin(cores.map(|(server, _)| server))?;
    let server = Server::start(&program.path, work.mode)?;
    pin(cores.map(|(_, client)| client))?;
    let mut load = Load::connect(work, server.address, cores.is_some())?;
    load.run(messages.div_ceil(10), LIMIT)?;
    let before = server.usage()?;
    let wall = load.run(messages, LIMIT)?;
    let after = server.usage()?;
    Ok(Run {
        messages,
        wall,
        ran: after.ran.saturating_sub(before.ran),
        waited: after.waited.saturating_sub(before.waited),
    })
}

/// The first two cores this process may use, for the server and the client.
fn two_cores() -> io::Result<Option<(usize, usize)>> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    Ok(cores.next().zip(cores.next()))
}

/// Keeps this thread, and the processes it starts from now on, to one core.
fn pin(core: Option<usize>) -> io::Result<()> {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)?;
    }
    Ok(())
}
