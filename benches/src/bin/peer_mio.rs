//! Peer: mio as its guide has it: edge-triggered, read until it would block, one 64 KiB buffer for all connections.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read as _, Write as _};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use twistor_bench::{BUFFER, Mode, answer, bind_udp, listen, server_args};

/// The listener's token; a connection has its key in the slab.
const LISTENER: Token = Token(usize::MAX);

struct Server {
    mode: Mode,
    poll: Poll,
    connections: Slab<Connection>,
    buffer: Vec<u8>,
    output: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    unfinished: Vec<u8>,
    unsent: Vec<u8>,
}

fn main() -> io::Result<()> {
    let (mode, port) = server_args()?;
    let poll = Poll::new()?;
    if mode == Mode::Udp {
        return datagrams(poll, UdpSocket::from_std(bind_udp(port)?));
    }
    let (buffer, output) = (vec![0; BUFFER], Vec::new());
    Server { mode, poll, connections: Slab::new(), buffer, output }.run(TcpListener::from_std(listen(port)?))
}

impl Server {
    fn run(mut self, mut listener: TcpListener) -> io::Result<()> {
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        loop {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(&listener)?,
                    token if self.serve(token).is_err() => drop(self.connections.remove(token.0)),
                    _ => {}
                }
            }
        }
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some((mut stream, _)) = unless_blocked(listener.accept())? {
            let entry = self.connections.vacant_entry();
            self.poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
            entry.insert(Connection { stream, unfinished: Vec::new(), unsent: Vec::new() });
        }
        Ok(())
    }

    /// Sends what is left, or reads and answers until there is no more; an error ends the connection.
    fn serve(&mut self, token: Token) -> io::Result<()> {
        let Connection { stream, unfinished, unsent } = &mut self.connections[token.0];
        if !unsent.is_empty() {
            let n = unless_blocked(stream.write(unsent))?.unwrap_or(0);
            unsent.drain(..n);
            if unsent.is_empty() {
                self.poll.registry().reregister(stream, token, Interest::READABLE)?;
            }
            return Ok(());
        }
        while let Some(n) = unless_blocked(stream.read(&mut self.buffer))? {
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let answer = answer(self.mode, unfinished, &self.buffer[..n], &mut self.output);
            if answer.is_empty() {
                continue;
            }
            let sent = unless_blocked(stream.write(answer))?.unwrap_or(0);
            if sent < answer.len() {
                unsent.extend_from_slice(&answer[sent..]);
                return self.poll.registry().reregister(stream, token, Interest::WRITABLE);
            }
        }
        Ok(())
    }
}

fn datagrams(mut poll: Poll, mut socket: UdpSocket) -> io::Result<()> {
    poll.registry().register(&mut socket, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; BUFFER];
    loop {
        poll.poll(&mut events, None)?;
        while let Some((n, from)) = unless_blocked(socket.recv_from(&mut buffer))? {
            unless_blocked(socket.send_to(&buffer[..n], from))?;
        }
    }
}

/// Nothing where the call would have blocked.
fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}
