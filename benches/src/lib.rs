//! What the benchmark's programs share: figures and their limits, the Deferreds that are measured, the Pythons; of the servers the command line, the sockets and the line parser.
//!
//! A server is started as `SERVER MODE PORT`, prints `listening 127.0.0.1:PORT` and serves until
//! it is killed. Only what surrounds the event loop is here; how a connection is served is each
//! server's own code.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod chains;
mod figures;

use std::env;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};

pub use figures::{Limit, figure, median};

/// Bytes of a connection's read buffer.
pub const BUFFER: usize = 64 * 1024;

/// Connections that may wait to be accepted: enough for a whole benchmark at once.
pub const BACKLOG: i32 = 4096;

/// What a server does with what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// TCP: every byte goes back.
    Echo,
    /// TCP: every CRLF-ended line is parsed and goes back as a line.
    Line,
    /// UDP: every datagram goes back to its sender.
    Udp,
}

impl Mode {
    /// The name used on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Echo => "echo",
            Mode::Line => "line",
            Mode::Udp => "udp",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Echo, Mode::Line, Mode::Udp].into_iter().find(|mode| mode.name() == name)
    }
}

/// Reads a server's command line, `MODE PORT`.
pub fn server_args() -> io::Result<(Mode, u16)> {
    match server_args_and_flags()? {
        (mode, port, flags) if flags.is_empty() => Ok((mode, port)),
        _ => Err(usage("")),
    }
}

/// Reads the command line of a server that has flags of its own: `MODE PORT`, and what follows.
pub fn server_args_and_flags() -> io::Result<(Mode, u16, Vec<String>)> {
    let mut args = std::env::args().skip(1);
    let mode = args.next().and_then(|name| Mode::from_name(&name));
    let port = args.next().and_then(|port| port.parse().ok());
    let (mode, port) = mode.zip(port).ok_or_else(|| usage(""))?;
    Ok((mode, port, args.collect()))
}

/// The error for a command line that is not understood.
pub fn usage(flags: &str) -> io::Error {
    io::Error::other(format!("usage: SERVER echo|line|udp PORT {flags}"))
}

/// Listens on a loopback TCP port (0 picks one), says so, and leaves the socket non-blocking.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    announce(listener.local_addr()?)?;
    Ok(listener)
}

/// Binds a loopback UDP port (0 picks one), says so, and leaves the socket non-blocking.
pub fn bind_udp(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nonblocking(true)?;
    announce(socket.local_addr()?)?;
    Ok(socket)
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening {address}")?;
    out.flush()
}

/// Parses the CRLF-ended lines of `input`, appends each as a line to `output`, and returns how
/// many bytes those lines took; what follows them is an unfinished line.
pub fn answer_lines(input: &[u8], output: &mut Vec<u8>) -> usize {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', input) {
        if let Some(line) = input[start..end].strip_suffix(b"\r") {
            output.extend_from_slice(line);
            output.extend_from_slice(b"\r\n");
            start = end + 1;
        }
    }
    start
}

/// Answers what a connection received, in servers that read all connections into one buffer: `echo` with itself, `line` with
/// its finished lines, collected in `output`. What follows the last of them waits in `unfinished` for its end.
#[inline]
pub fn answer<'a>(
    mode: Mode,
    unfinished: &mut Vec<u8>,
    input: &'a [u8],
    output: &'a mut Vec<u8>,
) -> &'a [u8] {
    if mode != Mode::Line {
        return input;
    }
    output.clear();
    if unfinished.is_empty() {
        let used = answer_lines(input, output);
        unfinished.extend_from_slice(&input[used..]);
    } else {
        unfinished.extend_from_slice(input);
        let used = answer_lines(unfinished, output);
        unfinished.drain(..used);
    }
    output
}

/// A Python that can import the package, and the package's version: of those that `TWISTOR_PYTHON` names, with `:` between them, or `python3`.
pub fn python(package: &str) -> Option<(PathBuf, String)> {
    let named = env::var_os("TWISTOR_PYTHON").map(|list| env::split_paths(&list).collect::<Vec<_>>());
    let candidates = named.unwrap_or_default().into_iter().chain(["python3".into()]);
    candidates.into_iter().find_map(|python| {
        let program = format!("import {package}; print({package}.__version__)");
        let output = Command::new(&python).args(["-c", &program]).stderr(Stdio::null()).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some((python, version))
    })
}

#[cfg(test)]
mod tests {
    use super::{Mode, answer, answer_lines};

    #[test]
    fn only_finished_lines_are_answered() {
        let mut out = Vec::new();
        assert_eq!(answer_lines(b"one\r\n\r\nt\nwo\r\nthr", &mut out), 13);
        assert_eq!(out, b"one\r\n\r\nt\nwo\r\n");
        assert_eq!(answer_lines(b"thr", &mut out), 0);
        assert_eq!(answer_lines(b"\n", &mut out), 0);
    }

    #[test]
    fn a_line_is_answered_once_however_it_is_cut() {
        let (mut unfinished, mut output, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for piece in [b"on".as_slice(), b"e\r", b"\ntwo\r\nth", b"ree", b"\r\n\r\n"] {
            all.extend_from_slice(answer(Mode::Line, &mut unfinished, piece, &mut output));
        }
        assert_eq!(all, b"one\r\ntwo\r\nthree\r\n\r\n");
        assert!(unfinished.is_empty());
    }
}
