//! Peer: epoll by hand, the limit of what a server on epoll can do. One buffer for all connections, one `recv` and one `send` an
//! event; a connection is added to the poll set and closed, with nothing between but what an unfinished write needs.
//!
//! `--edge`: edge-triggered, a connection is read until a read is short. `--buffer KIB`: the buffer's size. `--spin MICROS`: polls
//! for so long before it sleeps, while that keeps finding events.
#![forbid(unsafe_code)]

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, recvfrom, send, sendto};
use twistor_bench::{BUFFER, Mode, answer, bind_udp, listen, server_args_and_flags, usage};

/// Events taken in one `epoll_wait`.
const EVENTS: usize = 1024;
/// Connections accepted, or datagrams answered, for one event.
const BATCH: usize = 64;
/// The key of the listener; a connection has its descriptor as key.
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let (mode, port, flags) = server_args_and_flags()?;
    let (mut edge, mut size, mut spin) = (false, BUFFER, None);
    let mut flags = flags.into_iter();
    while let Some(flag) = flags.next() {
        let mut number = || flags.next().and_then(|n| n.parse::<u32>().ok()).ok_or_else(help);
        match flag.as_str() {
            "--edge" => edge = true,
            "--buffer" => size = number()? as usize * 1024,
            "--spin" => spin = Some(Duration::from_micros(number()?.into())),
            _ => return Err(help()),
        }
    }
    let poll = Poll::new(spin)?;
    let buffer = vec![0; size];
    if mode == Mode::Udp {
        return datagrams(poll, bind_udp(port)?, buffer);
    }
    let interest = if edge { EventFlags::IN | EventFlags::RDHUP | EventFlags::ET } else { EventFlags::IN };
    let listener = listen(port)?;
    Server { mode, edge, interest, poll, listener, connections: Vec::new(), buffer, output: Vec::new() }.run()
}

fn help() -> io::Error {
    usage("[--edge] [--buffer KIB] [--spin MICROS]")
}

struct Server {
    mode: Mode,
    edge: bool,
    /// In a connection that has nothing unsent.
    interest: EventFlags,
    poll: Poll,
    listener: TcpListener,
    /// By descriptor: the kernel gives the lowest free one.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    output: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    unfinished: Vec<u8>,
    unsent: Vec<u8>,
}

/// What becomes of a connection that was served.
enum Then {
    Keep,
    Close,
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        self.poll.add(&self.listener, LISTENER, EventFlags::IN)?;
        loop {
            self.poll.wait()?;
            for index in 0..self.poll.events.len() {
                let Event { flags, data, .. } = self.poll.events[index];
                if data.u64() == LISTENER {
                    self.accept()?;
                } else if let Ok(Then::Close) | Err(_) = self.serve(data.u64(), flags) {
                    self.connections[data.u64() as usize] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..BATCH {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => break,
                Err(Errno::CONNABORTED) => continue,
                Err(e) => return Err(e.into()),
            };
            let key = socket.as_raw_fd() as usize;
            self.poll.add(&socket, key as u64, self.interest)?;
            if key >= self.connections.len() {
                self.connections.resize_with(key + 1, || None);
            }
            self.connections[key] = Some(Connection { socket, unfinished: Vec::new(), unsent: Vec::new() });
        }
        Ok(())
    }

    /// Reads and answers once, or until a read is short.
    fn serve(&mut self, key: u64, flags: EventFlags) -> io::Result<Then> {
        let Some(connection) = &mut self.connections[key as usize] else { return Ok(Then::Keep) };
        if !connection.unsent.is_empty() {
            return connection.send_rest(&self.poll, key, self.interest);
        }
        loop {
            let n = match recv(&connection.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Then::Close),
                Ok((n, _)) => n,
                Err(Errno::AGAIN) => return Ok(Then::Keep),
                Err(e) => return Err(e.into()),
            };
            let answer = answer(self.mode, &mut connection.unfinished, &self.buffer[..n], &mut self.output);
            if !connection.send(answer, &self.poll, key)? {
                return Ok(Then::Keep);
            }
            // An end that came with the last bytes makes no event of its own.
            if !self.edge || (n < self.buffer.len() && !flags.contains(EventFlags::RDHUP)) {
                return Ok(Then::Keep);
            }
        }
    }
}

impl Connection {
    /// Sends; what the socket does not take is kept, and waited for instead of input: then the result is false.
    fn send(&mut self, answer: &[u8], poll: &Poll, key: u64) -> io::Result<bool> {
        if answer.is_empty() {
            return Ok(true);
        }
        let n = match send(&self.socket, answer, SendFlags::NOSIGNAL) {
            Ok(n) if n == answer.len() => return Ok(true),
            Ok(n) => n,
            Err(Errno::AGAIN) => 0,
            Err(e) => return Err(e.into()),
        };
        self.unsent.extend_from_slice(&answer[n..]);
        epoll::modify(&poll.epoll, &self.socket, EventData::new_u64(key), EventFlags::OUT)?;
        Ok(false)
    }

    fn send_rest(&mut self, poll: &Poll, key: u64, interest: EventFlags) -> io::Result<Then> {
        let n = send(&self.socket, &self.unsent, SendFlags::NOSIGNAL)?;
        self.unsent.drain(..n);
        if self.unsent.is_empty() {
            epoll::modify(&poll.epoll, &self.socket, EventData::new_u64(key), interest)?;
        }
        Ok(Then::Keep)
    }
}

fn datagrams(mut poll: Poll, socket: UdpSocket, mut buffer: Vec<u8>) -> io::Result<()> {
    poll.add(&socket, LISTENER, EventFlags::IN)?;
    loop {
        poll.wait()?;
        for _ in 0..BATCH {
            match recvfrom(&socket, &mut buffer[..], RecvFlags::empty()) {
                // What cannot be sent is lost, as datagrams may be.
                Ok((n, _, Some(from))) => _ = sendto(&socket, &buffer[..n], SendFlags::empty(), &from),
                Err(Errno::AGAIN) => break,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
    /// How long to poll before sleeping; none: never.
    spin: Option<Duration>,
    /// Polling that finds events earns one, up to 16; polling in vain costs three.
    credit: u32,
    waits: u32,
}

impl Poll {
    fn new(spin: Option<Duration>) -> io::Result<Poll> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, events: Vec::with_capacity(EVENTS), spin, credit: 0, waits: 0 })
    }

    fn add(&self, socket: impl std::os::fd::AsFd, key: u64, interest: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), interest)?)
    }

    /// Waits for events, polling first if that is worth it; without credit every 64th wait tries.
    fn wait(&mut self) -> io::Result<()> {
        self.waits = self.waits.wrapping_add(1);
        if let Some(limit) = self.spin
            && (self.credit > 0 || self.waits.is_multiple_of(64))
        {
            let start = Instant::now();
            while start.elapsed() < limit {
                self.take(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
                if !self.events.is_empty() {
                    self.credit = (self.credit + 1).min(16);
                    return Ok(());
                }
            }
            self.credit = self.credit.saturating_sub(3);
        }
        self.take(None)
    }

    fn take(&mut self, timeout: Option<&Timespec>) -> io::Result<()> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}
