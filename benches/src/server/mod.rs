//! The servers that are measured: which there are, and how each is started.
//!
//! A server is any program that, started as `PROGRAM MODE PORT [FLAGS]` with port 0, prints `listening ADDRESS`,
//! flushed, and serves until it is killed.

mod find;
mod process;
mod usage;

pub use find::{Found, choose};
pub use process::Process;
pub use usage::{Usage, memory, wait_for_sleep};

/// A server of the tables, where it is found and what it takes part in.
pub struct Server {
    /// Its name in the tables and on the command line.
    pub name: &'static str,
    /// Where it comes from.
    pub program: Program,
    /// What follows `MODE PORT`.
    pub flags: &'static str,
    /// The mode in place of the workload's own.
    pub mode: Option<&'static str>,
    /// Kinds of workloads, or single ones.
    pub works: &'static [&'static str],
    /// The package whose version the results name.
    pub package: &'static str,
}

/// Where a server comes from.
pub enum Program {
    /// A program of this package.
    Peer(&'static str),
    /// An example of twistor.
    Example(&'static str),
    /// A script in `peers/`, for a Python that has the package.
    Script(&'static str),
}

const ALL: &[&str] = &["echo", "stream", "line", "conn", "udp", "sparse", "idle"];
const BUSY: &[&str] = &["echo", "stream", "line", "conn", "udp", "idle"];
const PYTHON: &[&str] = &["echo", "line", "conn", "udp", "idle"];

/// The limit of what epoll gives: written by hand, no abstraction, no task.
pub const LIMIT: &str = "raw epoll";

/// In the order of the tables.
pub const SERVERS: &[Server] = &[
    row(LIMIT, Program::Peer("peer_raw_epoll"), "rustix", ALL),
    with_flags(
        row("raw epoll --edge", Program::Peer("peer_raw_epoll"), "rustix", &["stream"]),
        "--edge --buffer 256",
    ),
    with_flags(row("raw epoll --spin", Program::Peer("peer_raw_epoll"), "rustix", &["echo1"]), "--spin 20"),
    row("twistor", Program::Example("bench_server"), "twistor", ALL),
    with_flags(row("twistor --spin", Program::Example("bench_server"), "twistor", &["echo1"]), "--spin"),
    with_flags(
        row("twistor --foreign", Program::Example("bench_server"), "twistor", &["echo50"]),
        "--foreign",
    ),
    in_mode(row("twistor async", Program::Example("bench_server"), "twistor", &["echo1", "echo50"]), "async"),
    in_mode(row("twistor await", Program::Example("bench_server"), "twistor", &["echo1", "echo50"]), "await"),
    row("tokio", Program::Peer("peer_tokio"), "tokio", ALL),
    row("tokio LinesCodec", Program::Peer("peer_tokio_codec"), "tokio-util", &["line"]),
    row("smol", Program::Peer("peer_smol"), "async-io", ALL),
    row("mio", Program::Peer("peer_mio"), "mio", BUSY),
    row("calloop", Program::Peer("peer_calloop"), "calloop", BUSY),
    row("uvloop", Program::Script("uvloop_server.py"), "uvloop", PYTHON),
    row("Twisted", Program::Script("twisted_server.py"), "twisted", PYTHON),
];

const fn row(
    name: &'static str,
    program: Program,
    package: &'static str,
    works: &'static [&'static str],
) -> Server {
    Server { name, program, flags: "", mode: None, works, package }
}

const fn with_flags(mut server: Server, flags: &'static str) -> Server {
    server.flags = flags;
    server
}

const fn in_mode(mut server: Server, mode: &'static str) -> Server {
    server.mode = Some(mode);
    server
}
