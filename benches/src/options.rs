//! The command line, and the servers and workloads it names.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use twistor_bench::Mode;

/// Shown when the command line is not understood.
const USAGE: &str = "usage: twistor-bench [--server NAME[=PATH]]... [--rounds N] [--messages N] \
                     [--work WORK,...]\n  WORK is echoN or lineN on N connections, or udpN with N \
                     datagrams in flight\n  without --server: tokio, async-io and twistor";

/// The name of the server that others are compared with.
pub const REFERENCE: &str = "tokio";

/// What to run.
pub struct Options {
    /// In the order of the table.
    pub servers: Vec<Program>,
    /// In the order of the table.
    pub works: Vec<Work>,
    /// How often each server runs each workload.
    pub rounds: usize,
    /// See [`Work::messages`].
    pub messages: u64,
}

/// A server's executable.
pub struct Program {
    /// Its name in the table.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A workload.
pub struct Work {
    /// What the server does.
    pub mode: Mode,
    /// Connections, or datagrams in flight.
    pub count: usize,
}

impl Options {
    /// Reads the command line.
    pub fn from_args() -> io::Result<Options> {
        let mut options = Options { servers: Vec::new(), works: Vec::new(), rounds: 5, messages: 300_000 };
        let mut args = std::env::args().skip(1);
        while let Some(option) = args.next() {
            let value = args.next().ok_or_else(usage)?;
            match option.as_str() {
                "--server" => options.servers.push(Program::from_arg(&value)?),
                "--rounds" => options.rounds = positive(&value)?,
                "--messages" => options.messages = positive(&value)?,
                "--work" => options.works = list(&value, Work::from_arg)?,
                _ => return Err(usage()),
            }
        }
        if options.works.is_empty() {
            options.works = list("echo50,echo1,line50,udp32", Work::from_arg)?;
        }
        if options.servers.is_empty() {
            options.servers = list("tokio,async-io,twistor", Program::from_arg)?;
        }
        Ok(options)
    }
}

impl Program {
    /// `NAME=PATH`, or the name of a default server, which is looked for beside this executable.
    fn from_arg(arg: &str) -> io::Result<Program> {
        if let Some((name, path)) = arg.split_once('=') {
            return Ok(Program { name: name.to_owned(), path: path.into() });
        }
        let (file, build) = match arg {
            "tokio" => ("peer_tokio", "-p twistor-bench"),
            "async-io" => ("peer_smol", "-p twistor-bench"),
            "twistor" => ("examples/bench_server", "-p twistor --example bench_server"),
            _ => return Err(usage()),
        };
        let path = std::env::current_exe()?.with_file_name(file);
        if !path.exists() {
            let text = format!("{} is missing; build it with: cargo build --release {build}", path.display());
            return Err(io::Error::other(text));
        }
        Ok(Program { name: arg.to_owned(), path })
    }
}

impl Work {
    fn from_arg(arg: &str) -> io::Result<Work> {
        let at = arg.find(|c: char| c.is_ascii_digit()).ok_or_else(usage)?;
        let (mode, count) = arg.split_at(at);
        let mode = Mode::from_name(mode).ok_or_else(usage)?;
        Ok(Work { mode, count: positive(count)? })
    }

    /// Its name in the table.
    pub fn name(&self) -> String {
        format!("{}{}", self.mode.name(), self.count)
    }

    /// How many messages make runs of all workloads last about as long, given the number for many
    /// echo connections: lines come in batches, and one message at a time waits for its answer.
    pub fn messages(&self, base: u64) -> u64 {
        match (self.mode, self.count) {
            (Mode::Line, 1) => base * 5,
            (Mode::Line, _) => base * 25,
            (_, 1) => base.div_ceil(4),
            _ => base,
        }
    }
}

fn list<T>(text: &str, item: fn(&str) -> io::Result<T>) -> io::Result<Vec<T>> {
    text.split(',').map(item).collect()
}

fn positive<T: FromStr + Default + PartialOrd>(text: &str) -> io::Result<T> {
    let number = text.parse().ok().filter(|n| *n > T::default());
    number.ok_or_else(usage)
}

fn usage() -> io::Error {
    io::Error::other(USAGE)
}
