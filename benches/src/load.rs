//! The load client: one thread, non-blocking sockets, one level-triggered epoll.
//!
//! Echo and lines are one workload with different numbers: a connection sends messages of a fixed
//! size, keeps a fixed number of them in flight, and compares every byte that comes back with
//! what it sent. A run hands out its messages from one budget and ends when all are answered.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use twistor_bench::Mode;

use crate::options::Work;

/// Bytes of an echo message and of a datagram.
const MESSAGE: usize = 64;
/// Bytes of a line, its CRLF included.
const LINE: usize = 40;
/// Lines in flight on a connection.
const LINES: usize = 64;

/// A client connected to a server.
pub struct Load {
    poller: Poller,
    peer: Peer,
}

enum Peer {
    Tcp(Vec<Connection>),
    Udp(Datagrams),
}

impl Load {
    /// Connects; with `spin` the client never sleeps, which wants a core of its own.
    pub fn connect(work: &Work, server: SocketAddr, spin: bool) -> io::Result<Load> {
        let poller = Poller::new(spin)?;
        let peer = if work.mode == Mode::Udp {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            poller.add(&socket, 0)?;
            Peer::Udp(Datagrams { socket, slots: vec![[0; MESSAGE]; work.count], next: 0 })
        } else {
            let (size, window) = match work.mode {
                Mode::Line => (LINE, LINES),
                _ => (MESSAGE, 1),
            };
            let mut connections = Vec::with_capacity(work.count);
            for number in 0..work.count {
                let stream = TcpStream::connect(server)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                poller.add(&stream, number)?;
                connections.push(Connection::new(stream, number, size, window));
            }
            Peer::Tcp(connections)
        };
        Ok(Load { poller, peer })
    }

    /// Exchanges `messages` messages, checks them all, and returns how long that took.
    pub fn run(&mut self, messages: u64, limit: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        let mut budget = messages;
        let mut answered = 0;
        match &mut self.peer {
            Peer::Tcp(all) => all.iter_mut().try_for_each(|one| one.start(&mut budget))?,
            Peer::Udp(socket) => socket.start(&mut budget)?,
        }
        let mut scratch = vec![0; 64 * 1024];
        while answered < messages {
            for event in self.poller.wait()? {
                answered += match &mut self.peer {
                    Peer::Tcp(all) => all[event.data.u64() as usize].turn(&mut scratch, &mut budget)?,
                    Peer::Udp(socket) => socket.turn(&mut scratch, &mut budget)?,
                };
            }
            if start.elapsed() > limit {
                let text = format!("{answered} of {messages} messages answered in {limit:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        Ok(start.elapsed())
    }
}

/// One TCP connection; the counters are bytes since it was opened.
struct Connection {
    stream: TcpStream,
    /// What is sent over and over: `period` bytes, then enough of them again that whatever is in
    /// flight is one slice. The period is longer than the window, so no message in flight equals
    /// another, and the connection's number is in each.
    pattern: Vec<u8>,
    period: usize,
    size: usize,
    window: usize,
    granted: usize,
    sent: usize,
    received: usize,
}

impl Connection {
    fn new(stream: TcpStream, number: usize, size: usize, window: usize) -> Connection {
        let count = window + 3;
        let mut pattern = Vec::new();
        for index in (0..count).chain(0..window) {
            let mut message = format!("{number:06} {index:06} ").into_bytes();
            let filler = (message.len()..size - 2).map(|at| b'a' + ((at + index) % 26) as u8);
            message.extend(filler);
            pattern.extend(message);
            pattern.extend(b"\r\n");
        }
        let period = count * size;
        Connection { stream, pattern, period, size, window, granted: 0, sent: 0, received: 0 }
    }

    fn start(&mut self, budget: &mut u64) -> io::Result<()> {
        self.send(self.window, budget)
    }

    /// Reads once, checks, sends as many messages as were answered, and returns their number.
    fn turn(&mut self, scratch: &mut [u8], budget: &mut u64) -> io::Result<u64> {
        let n = match self.stream.read(scratch) {
            Ok(0) => return Err(wrong("the server closed a connection")),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(e) => return Err(e),
        };
        if n > self.sent - self.received {
            return Err(wrong("the server sent more than it was sent"));
        }
        let at = self.received % self.period;
        if scratch[..n] != self.pattern[at..at + n] {
            return Err(wrong("the server sent back other bytes"));
        }
        let before = self.received / self.size;
        self.received += n;
        let answered = self.received / self.size - before;
        self.send(answered, budget)?;
        Ok(answered as u64)
    }

    /// Sends up to `messages` more. What the socket does not take now goes with the next turn:
    /// then something is in flight, so a next turn comes.
    fn send(&mut self, messages: usize, budget: &mut u64) -> io::Result<()> {
        let granted = (messages as u64).min(*budget);
        *budget -= granted;
        self.granted += granted as usize * self.size;
        while self.sent < self.granted {
            let at = self.sent % self.period;
            match self.stream.write(&self.pattern[at..at + self.granted - self.sent]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// One UDP socket with a slot for every datagram in flight; a lost one ends in a timeout.
struct Datagrams {
    socket: UdpSocket,
    slots: Vec<[u8; MESSAGE]>,
    next: u64,
}

impl Datagrams {
    fn start(&mut self, budget: &mut u64) -> io::Result<()> {
        (0..self.slots.len()).try_for_each(|slot| self.send(slot, budget))
    }

    fn turn(&mut self, scratch: &mut [u8], budget: &mut u64) -> io::Result<u64> {
        let mut answered = 0;
        loop {
            let datagram = match self.socket.recv(scratch) {
                Ok(n) => &scratch[..n],
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(answered),
                Err(e) => return Err(e),
            };
            let slot = datagram.first_chunk().map_or(usize::MAX, |b| u64::from_le_bytes(*b) as usize);
            // An answered slot that is not used again is zeroed, so a duplicate is noticed too.
            if self.slots.get(slot).is_none_or(|sent| sent != datagram) {
                return Err(wrong("the server sent another datagram than it was sent"));
            }
            answered += 1;
            self.slots[slot].fill(0);
            self.send(slot, budget)?;
        }
    }

    fn send(&mut self, slot: usize, budget: &mut u64) -> io::Result<()> {
        if *budget > 0 {
            *budget -= 1;
            self.next += 1;
            let data = &mut self.slots[slot];
            data.fill(self.next as u8);
            data[..8].copy_from_slice(&(slot as u64).to_le_bytes());
            data[8..16].copy_from_slice(&self.next.to_le_bytes());
            self.socket.send(data)?;
        }
        Ok(())
    }
}

struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
    timeout: Timespec,
}

impl Poller {
    fn new(spin: bool) -> io::Result<Poller> {
        let timeout = Timespec { tv_sec: i64::from(!spin), tv_nsec: 0 };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, events: Vec::with_capacity(1024), timeout })
    }

    fn add(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        let key = EventData::new_u64(key as u64);
        Ok(epoll::add(&self.epoll, socket, key, EventFlags::IN)?)
    }

    fn wait(&mut self) -> io::Result<impl Iterator<Item = Event> + use<'_>> {
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&self.timeout))?;
        Ok(self.events.iter().copied())
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
