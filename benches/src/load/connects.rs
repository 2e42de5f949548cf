//! A connection a message: opened, used once, closed by the client; a fixed number of them at once.
//!
//! Who closes first keeps the port for a minute: the kernel lets nobody else have it meanwhile for the same server. Each run has a new
//! server, and is over when half of the ports are used, for with fewer left the kernel searches longer and longer.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use super::pattern::Pattern;
use super::{Client, PATIENCE, Pass, in_time, wrong};

/// Bytes of the one message of a connection.
const SIZE: usize = 64;

/// Connections to one server, warming up included: Linux has 28,000 ports for them, where nobody changed that, and takes every other one first.
const PORTS: usize = 12_000;
/// As many of them may be used to warm up.
const WARM_UP: usize = PORTS / 8;

/// A client that keeps so many connections open.
pub struct Connects {
    epoll: OwnedFd,
    timeout: Timespec,
    server: SocketAddr,
    /// Connections so far.
    opened: usize,
    slots: Vec<Option<Open>>,
}

/// A connection whose message is on its way.
struct Open {
    socket: Socket,
    pattern: Pattern,
    received: usize,
    since: Instant,
}

impl Connects {
    /// Opens nothing yet.
    pub fn new(slots: usize, server: SocketAddr, own_core: bool) -> io::Result<Connects> {
        let timeout = Timespec { tv_sec: i64::from(!own_core), tv_nsec: 0 };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Connects { epoll, timeout, server, opened: 0, slots: (0..slots).map(|_| None).collect() })
    }

    /// Opens a connection and sends its message.
    fn open(&mut self, slot: usize) -> io::Result<()> {
        let since = Instant::now();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Else a server that accepts too few would hold the client for minutes.
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(&self.server.into())?;
        let pattern = Pattern::new(self.opened % 1_000_000, SIZE, 1);
        if (&socket).write(pattern.part(0, SIZE))? != SIZE {
            return Err(wrong("a new connection does not take 64 bytes"));
        }
        self.opened += 1;
        epoll::add(&self.epoll, &socket, EventData::new_u64(slot as u64), EventFlags::IN)?;
        self.slots[slot] = Some(Open { socket, pattern, received: 0, since });
        Ok(())
    }

    /// Reads once, and closes the connection when its message is back; tells after how long.
    fn turn(&mut self, slot: usize) -> io::Result<Option<Duration>> {
        let Some(open) = &mut self.slots[slot] else { return Ok(None) };
        let mut scratch = [0; SIZE + 1];
        let n = open.socket.read(&mut scratch)?;
        if n == 0 {
            return Err(wrong("the server ended a connection"));
        }
        if open.received + n > SIZE || scratch[..n] != *open.pattern.part(open.received, n) {
            return Err(wrong("the server did not send back what it was sent"));
        }
        open.received += n;
        if open.received < SIZE {
            return Ok(None);
        }
        let after = open.since.elapsed();
        self.slots[slot] = None;
        Ok(Some(after))
    }
}

impl Connects {
    /// Until the time is over or so many connections were opened since the client began.
    fn run_to(&mut self, most: usize, span: Duration) -> io::Result<Pass> {
        let mut pass = Pass::new();
        let start = Instant::now();
        let end = start + span;
        for slot in 0..self.slots.len() {
            self.open(slot)?;
        }
        let mut flying = self.slots.len();
        let mut events: Vec<Event> = Vec::with_capacity(self.slots.len());
        while flying > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&self.timeout))?;
            for event in &events {
                let slot = event.data.u64() as usize;
                let Some(after) = self.turn(slot)? else { continue };
                pass.answered(after);
                if Instant::now() < end && self.opened < most {
                    self.open(slot)?;
                } else {
                    flying -= 1;
                }
            }
            in_time(end, pass.messages)?;
        }
        pass.wall = start.elapsed();
        Ok(pass)
    }
}

impl Client for Connects {
    fn run(&mut self, span: Duration) -> io::Result<Pass> {
        self.run_to(PORTS, span)
    }

    fn warm_up(&mut self, span: Duration) -> io::Result<()> {
        self.run_to(WARM_UP, span).map(drop)
    }
}
