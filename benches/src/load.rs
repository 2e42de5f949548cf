//! The load client: one thread, non-blocking sockets, one level-triggered epoll.
//!
//! All workloads are one, with different numbers: a socket sends messages of a fixed size, keeps a
//! fixed number of them in flight, and compares every byte that comes back with what it sent. A
//! run hands out its messages from one budget and ends when all are answered.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::{Domain, Socket, Type};
use twistor_bench::{BUFFER, Mode};

use crate::options::Work;

/// A client connected to a server.
pub struct Load {
    epoll: OwnedFd,
    timeout: Timespec,
    links: Vec<Link>,
}

impl Load {
    /// Connects; with `spin` the client never sleeps, which wants a core of its own.
    pub fn connect(work: &Work, server: SocketAddr, spin: bool) -> io::Result<Load> {
        let (links, kind, size, window) = match work.mode {
            Mode::Echo => (work.count, Type::STREAM, 64, 1),
            Mode::Line => (work.count, Type::STREAM, 40, 64),
            Mode::Udp => (1, Type::DGRAM, 64, work.count),
        };
        let timeout = Timespec { tv_sec: i64::from(!spin), tv_nsec: 0 };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut load = Load { epoll, timeout, links: Vec::with_capacity(links) };
        for number in 0..links {
            let socket = Socket::new(Domain::IPV4, kind, None)?;
            socket.connect(&server.into())?;
            socket.set_nonblocking(true)?;
            if kind == Type::STREAM {
                socket.set_tcp_nodelay(true)?;
            }
            let key = EventData::new_u64(number as u64);
            epoll::add(&load.epoll, &socket, key, EventFlags::IN)?;
            let pattern = pattern(number, size, window);
            let datagrams = kind == Type::DGRAM;
            let (granted, sent, received) = (0, 0, 0);
            load.links.push(Link { socket, datagrams, size, window, pattern, granted, sent, received });
        }
        Ok(load)
    }

    /// Exchanges `messages` messages, checks them all, and returns how long that took.
    pub fn run(&mut self, messages: u64, limit: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        let mut budget = messages;
        let mut answered = 0;
        for link in &mut self.links {
            link.send(link.window, &mut budget)?;
        }
        let mut scratch = vec![0; BUFFER];
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while answered < messages {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&self.timeout))?;
            for event in &events {
                let link = &mut self.links[event.data.u64() as usize];
                answered += link.turn(&mut scratch, &mut budget)?;
            }
            if start.elapsed() > limit {
                let text = format!("{answered} of {messages} messages answered in {limit:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        Ok(start.elapsed())
    }
}

/// One socket; the counters are bytes since it was opened.
struct Link {
    socket: Socket,
    datagrams: bool,
    size: usize,
    window: usize,
    pattern: Vec<u8>,
    granted: usize,
    sent: usize,
    received: usize,
}

impl Link {
    /// Reads once (of datagrams, all there are), checks, sends a message for each that was
    /// answered, and returns their number.
    fn turn(&mut self, scratch: &mut [u8], budget: &mut u64) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let n = match self.socket.read(scratch) {
                Ok(0) => return Err(wrong("the server ended a connection")),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(total),
                Err(e) => return Err(e),
            };
            if n > self.sent - self.received {
                return Err(wrong("the server sent more than it was sent"));
            }
            if scratch[..n] != *self.part(self.received, n) || (self.datagrams && n != self.size) {
                return Err(wrong("the server did not send back what it was sent"));
            }
            let before = self.received / self.size;
            self.received += n;
            let answered = self.received / self.size - before;
            self.send(answered, budget)?;
            total += answered as u64;
            if !self.datagrams {
                return Ok(total);
            }
        }
    }

    /// Sends up to `messages` more. What the socket does not take now goes with the next turn:
    /// then something is in flight, so a next turn comes.
    fn send(&mut self, messages: usize, budget: &mut u64) -> io::Result<()> {
        let messages = (messages as u64).min(*budget);
        *budget -= messages;
        self.granted += messages as usize * self.size;
        while self.sent < self.granted {
            let n = if self.datagrams { self.size } else { self.granted - self.sent };
            match (&self.socket).write(self.part(self.sent, n)) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The `n` bytes this link sends from position `from` on.
    fn part(&self, from: usize, n: usize) -> &[u8] {
        let period = self.pattern.len() - self.window * self.size;
        &self.pattern[from % period..][..n]
    }
}

/// What a link sends over and over: its period, and then enough of it again that whatever is in
/// flight is one slice. The period is longer than the window, so no message in flight equals
/// another, and the link's number is in each.
fn pattern(number: usize, size: usize, window: usize) -> Vec<u8> {
    let mut pattern = Vec::new();
    for index in (0..window + 3).chain(0..window) {
        let end = pattern.len() + size - 2;
        pattern.extend(format!("{number:06} {index:06} ").bytes());
        pattern.extend((0..26).map(|at| b'a' + ((at + index) % 26) as u8).cycle().take(end - pattern.len()));
        pattern.extend(b"\r\n");
    }
    pattern
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
