//! Messages of a fixed size back and forth, a fixed number of them in flight: echoes, streams, lines, datagrams.
//!
//! Non-blocking sockets and one level-triggered epoll. All these workloads are one with different numbers.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use super::pattern::Pattern;
use super::{Client, Pass, in_time, wrong};
use crate::work::{Kind, Work};

/// Bytes read at most at once: what is in flight on a connection of the streams.
const BUFFER: usize = 256 * 1024;

/// A client with open connections.
pub struct Exchange {
    epoll: OwnedFd,
    timeout: Timespec,
    links: Vec<Link>,
    window: usize,
    /// One socket, one message: it is asked itself, without a pause.
    direct: bool,
}

impl Exchange {
    /// Opens the connections.
    pub fn connect(work: Work, server: SocketAddr, own_core: bool) -> io::Result<Exchange> {
        let (links, kind, size, window) = match work.kind {
            Kind::Line => (work.count, Type::STREAM, 40, 64),
            Kind::Stream => (work.count, Type::STREAM, 64 * 1024, 4),
            Kind::Udp => (1, Type::DGRAM, 64, work.count),
            _ => (work.count, Type::STREAM, 64, 1),
        };
        let timeout = Timespec { tv_sec: i64::from(!own_core), tv_nsec: 0 };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let direct = own_core && links == 1 && window == 1;
        let mut exchange = Exchange { epoll, timeout, links: Vec::with_capacity(links), window, direct };
        for number in 0..links {
            let socket = Socket::new(Domain::IPV4, kind, None)?;
            socket.connect(&server.into())?;
            socket.set_nonblocking(true)?;
            if kind == Type::STREAM {
                socket.set_tcp_nodelay(true)?;
            }
            epoll::add(&exchange.epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
            exchange.links.push(Link {
                socket,
                datagrams: kind == Type::DGRAM,
                size,
                pattern: Pattern::new(number, size, window),
                granted: 0,
                sent: 0,
                received: 0,
                asked: (window == 1).then(Instant::now),
            });
        }
        Ok(exchange)
    }
}

impl Client for Exchange {
    fn run(&mut self, span: Duration) -> io::Result<Pass> {
        let mut pass = Pass::new();
        let start = Instant::now();
        let end = start + span;
        let mut flying = (self.links.len() * self.window) as u64;
        for link in &mut self.links {
            link.send(self.window)?;
        }
        let mut scratch = vec![0; BUFFER];
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while flying > 0 {
            let before = pass.messages;
            let open = if self.direct {
                let open = Instant::now() < end;
                self.links[0].turn(&mut scratch, open, &mut pass)?;
                open
            } else {
                events.clear();
                epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&self.timeout))?;
                let open = Instant::now() < end;
                for event in &events {
                    self.links[event.data.u64() as usize].turn(&mut scratch, open, &mut pass)?;
                }
                open
            };
            if !open {
                flying -= pass.messages - before;
                in_time(end, pass.messages)?;
            }
        }
        pass.wall = start.elapsed();
        Ok(pass)
    }
}

/// One socket; the counters are bytes since it was opened.
struct Link {
    socket: Socket,
    datagrams: bool,
    size: usize,
    pattern: Pattern,
    granted: usize,
    sent: usize,
    received: usize,
    /// When the message in flight was sent, if there is one at a time.
    asked: Option<Instant>,
}

impl Link {
    /// Reads once (of datagrams, all there are), checks, and while the run is open sends a message for each that
    /// was answered.
    fn turn(&mut self, scratch: &mut [u8], open: bool, pass: &mut Pass) -> io::Result<()> {
        loop {
            let n = match self.socket.read(scratch) {
                Ok(0) => return Err(wrong("the server ended a connection")),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            let answered = self.check(&scratch[..n])?;
            match self.asked {
                Some(asked) if answered > 0 => pass.answered(asked.elapsed()),
                _ => pass.messages += answered as u64,
            }
            // What the socket did not take goes as well.
            self.send(if open { answered } else { 0 })?;
            if !self.datagrams {
                return Ok(());
            }
        }
    }

    /// Compares what came with what was sent, and returns how many messages it completes.
    fn check(&mut self, came: &[u8]) -> io::Result<usize> {
        if came.len() > self.sent - self.received {
            return Err(wrong("the server sent more than it was sent"));
        }
        if !self.pattern.has(self.received, came) || (self.datagrams && came.len() != self.size) {
            return Err(wrong("the server did not send back what it was sent"));
        }
        let before = self.received / self.size;
        self.received += came.len();
        Ok(self.received / self.size - before)
    }

    /// Sends so many more messages. What the socket does not take now goes with the next turn: then something is in
    /// flight, so a next turn comes.
    fn send(&mut self, messages: usize) -> io::Result<()> {
        self.granted += messages * self.size;
        if let Some(asked) = self.asked.as_mut().filter(|_| messages > 0) {
            *asked = Instant::now();
        }
        while self.sent < self.granted {
            let n = if self.datagrams { self.size } else { self.granted - self.sent };
            match (&self.socket).write(self.pattern.part(self.sent, n)) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
