//! The harness: runs every server on every workload, in interleaved rounds, and tells what a message costs.
#![forbid(unsafe_code)]

mod compile;
mod cores;
mod load;
mod options;
mod parts;
mod report;
mod results;
mod run;
mod server;
mod session;
mod syscalls;
mod targets;
mod work;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use cores::Cores;
use options::Options;
use report::Machine;
use results::Results;
use session::Session;
use targets::Verdict;
use work::Work;

fn main() -> ExitCode {
    match bench(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it was asked to be.
fn bench(options: &Options) -> io::Result<bool> {
    if cfg!(debug_assertions) {
        return Err(io::Error::other("a client that is not optimized measures itself: use --release"));
    }
    if !options.no_build {
        compile::servers()?;
    }
    if options.parts {
        return parts(options);
    }
    let cores = sched_getaffinity(None)?;
    let (results, machine, whole) = servers(options)?;
    sched_setaffinity(None, &cores)?; // what comes after the client needs all of them
    println!("{}", report::targets(&results));
    if options.write {
        report::write(&results, &machine)?;
    }
    let met = report::verdicts(&results).iter().all(|(_, verdict)| matches!(verdict, Verdict::Met(_)));
    // Last: they use both cores.
    let whole = whole && (!options.write || parts(options)?);
    Ok(whole && (met || !options.gate))
}

/// Measures what needs no socket; whether all of it could be.
fn parts(options: &Options) -> io::Result<bool> {
    let (text, whole) = parts::measure();
    if options.write {
        report::write_parts(&text)?;
    }
    Ok(whole)
}

/// Measures the servers; and whether every one of them did what it should.
fn servers(options: &Options) -> io::Result<(Results, Machine, bool)> {
    let files = raise_file_limit()?;
    let mut session = prepare(options)?;
    let machine = Machine::this(&session.servers, session.rounds);
    println!("{}\n", machine.sentence());
    let (results, whole) = measure(&mut session, options.works(), files);
    Ok((results, machine, whole))
}

/// Says who is measured where, and who is not.
fn prepare(options: &Options) -> io::Result<Session> {
    let (servers, mut absent) = server::choose(&options.servers).map_err(io::Error::other)?;
    let counting = !options.no_syscalls && !options.quick;
    let missing = if counting { syscalls::missing() } else { None };
    let syscalls = counting && missing.is_none();
    absent.extend(missing);
    for reason in absent {
        println!("Left out: {reason}.");
    }
    let cores = Cores::find()?;
    match cores {
        Some(Cores { server, client }) => println!("Server on core {server}, client on core {client}."),
        None => println!("Only one core: nothing is pinned, and R is not worth comparing."),
    }
    let rounds = options.rounds();
    let repeats = servers.len() * options.works().len() * rounds / 4;
    Ok(Session { servers, rounds, span: options.span(), cores, syscalls, repeats })
}

/// Files of a program beside its connections.
const OTHER_FILES: u64 = 100;

/// Measures the workloads, and prints the table of each as soon as it is there; and whether none failed. One that fails does not take
/// the others' figures with it.
fn measure(session: &mut Session, works: Vec<Work>, files: u64) -> (Results, bool) {
    let (mut results, mut whole) = (Results::default(), true);
    for work in works {
        if work.count as u64 + OTHER_FILES > files {
            println!("Left out: {work}: a process may open {files} files here.\n");
            continue;
        }
        match session.measure(work) {
            Ok(cells) => {
                println!("{}", report::work(&cells, work));
                results.cells.extend(cells.cells);
            }
            Err(error) => {
                eprintln!("{error}");
                whole = false;
            }
        }
    }
    (results, whole)
}

/// Thousands of connections come close to the usual limit; the servers inherit this one. Tells how many files it allows.
fn raise_file_limit() -> io::Result<u64> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    Ok(files.maximum.unwrap_or(u64::MAX))
}
