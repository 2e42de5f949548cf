//! What the benchmark's servers share: their command line, their sockets and the line parser.
//!
//! A server is started as `SERVER MODE PORT`, prints `listening 127.0.0.1:PORT` and serves until
//! it is killed. Only what surrounds the event loop is here; how a connection is served is each
//! server's own code.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Socket, Type};

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
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, port] = args.as_slice()
        && let (Some(mode), Ok(port)) = (Mode::from_name(mode), port.parse())
    {
        return Ok((mode, port));
    }
    Err(io::Error::other("usage: SERVER echo|line|udp PORT"))
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

#[cfg(test)]
mod tests {
    use super::answer_lines;

    #[test]
    fn only_finished_lines_are_answered() {
        let mut out = Vec::new();
        assert_eq!(answer_lines(b"one\r\n\r\nt\nwo\r\nthr", &mut out), 13);
        assert_eq!(out, b"one\r\n\r\nt\nwo\r\n");
        assert_eq!(answer_lines(b"thr", &mut out), 0);
        assert_eq!(answer_lines(b"\n", &mut out), 0);
    }
}
