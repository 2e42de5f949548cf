//! A driver in memory, for tests of the loop: its clock jumps to the next deadline when the loop sleeps, its sockets are queues.
//!
//! What is ready is told in the order of the keys. A sleep that nothing would ever end is a panic: a wake-up was lost.

use super::{
    Alarm, Bind, Driver, Interest, Key, Listen, OptionName, Ready, Refused, Resolving, SocketOption,
};
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// So many bytes wait in a stream at most, before its reader has taken some.
pub(crate) const ROOM: usize = 64 << 10;
/// So long another thread may take to ring.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct MemoryDriver {
    now: Cell<Instant>,
    /// How far each look at the clock puts it on.
    tick: Cell<Duration>,
    /// How often something was sent.
    sends: Cell<usize>,
    bell: Arc<Bell>,
    sockets: RefCell<Slab<Socket>>,
    next_port: Cell<u16>,
}

struct Socket {
    at: SocketAddr,
    interest: Interest,
    kind: Kind,
}

enum Kind {
    /// The ends of those who have connected, with their addresses.
    Port(VecDeque<(Key, SocketAddr)>),
    Stream(Stream),
    Datagrams {
        inbox: VecDeque<(SocketAddr, Vec<u8>)>,
        to: Option<SocketAddr>,
    },
}

struct Stream {
    /// None when it has closed.
    peer: Option<Key>,
    inbox: VecDeque<u8>,
    /// The peer sends no more.
    ended: bool,
    /// Told once, by whatever is asked next.
    error: Option<ErrorKind>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<(bool, Option<Waker>)>,
    rings: Condvar,
}

impl Alarm for Bell {
    fn ring(&self) {
        let mut rung = self.rung.lock().unwrap();
        rung.0 = true;
        self.rings.notify_all();
        let waker = rung.1.take();
        drop(rung);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Default for MemoryDriver {
    fn default() -> MemoryDriver {
        MemoryDriver {
            now: Cell::new(Instant::now()),
            tick: Cell::default(),
            sends: Cell::default(),
            bell: Arc::default(),
            sockets: RefCell::default(),
            next_port: Cell::new(1024),
        }
    }
}

impl MemoryDriver {
    /// How many sockets are open.
    pub(crate) fn open(&self) -> usize {
        self.sockets.borrow().len()
    }

    pub(crate) fn sends(&self) -> usize {
        self.sends.get()
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.bell.rung.lock().unwrap().0
    }

    /// From now on each look at the clock puts it on.
    pub(crate) fn tick(&self, by: Duration) {
        self.tick.set(by);
    }

    /// Has time go by.
    fn advance(&self, by: Duration) {
        self.now.set(self.now.get() + by);
    }

    fn insert(&self, port: u16, kind: Kind) -> Key {
        let port = if port > 0 { port } else { self.next_port.replace(self.next_port.get() + 1) };
        let at = (Ipv4Addr::LOCALHOST, port).into();
        Key(self.sockets.borrow_mut().insert(Socket { at, interest: Interest::default(), kind }))
    }

    fn with<R>(&self, key: Key, f: impl FnOnce(&mut Socket) -> io::Result<R>) -> io::Result<R> {
        f(self.sockets.borrow_mut().get_mut(key.0).ok_or(ErrorKind::NotFound)?)
    }

    fn stream<R>(&self, key: Key, f: impl FnOnce(&mut Stream) -> io::Result<R>) -> io::Result<R> {
        self.with(key, |socket| match &mut socket.kind {
            Kind::Stream(stream) => f(stream),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    fn port_at(&self, at: SocketAddr) -> Option<Key> {
        let sockets = self.sockets.borrow();
        let mut all = sockets.iter();
        all.find(|(_, s)| s.at == at && !matches!(s.kind, Kind::Stream(_))).map(|(key, _)| Key(key))
    }

    fn ready(&self) -> Vec<Ready> {
        let sockets = self.sockets.borrow();
        let answers = sockets.iter().map(|(key, socket)| {
            let (read, write) = socket.readiness(&sockets);
            let Interest { read: asks_read, write: asks_write } = socket.interest;
            Ready { key: Key(key), read: read && asks_read, write: write && asks_write }
        });
        answers.filter(|ready| ready.read || ready.write).collect()
    }

    fn end(&self, key: Key, error: Option<ErrorKind>) {
        let Some(socket) = self.sockets.borrow_mut().try_remove(key.0) else { return };
        match socket.kind {
            Kind::Stream(stream) => {
                let told = stream.peer.map(|peer| {
                    self.stream(peer, |peer| {
                        (peer.peer, peer.ended, peer.error) = (None, true, error);
                        Ok(())
                    })
                });
                drop(told);
            }
            Kind::Port(waiting) => waiting.into_iter().for_each(|(end, _)| self.end(end, None)),
            Kind::Datagrams { .. } => {}
        }
    }
}

impl Socket {
    /// Whether it can be read, and written.
    fn readiness(&self, all: &Slab<Socket>) -> (bool, bool) {
        match &self.kind {
            Kind::Port(waiting) => (!waiting.is_empty(), false),
            Kind::Datagrams { inbox, .. } => (!inbox.is_empty(), true),
            Kind::Stream(stream) => {
                let room = stream.peer.is_none_or(|peer| match &all[peer.0].kind {
                    Kind::Stream(peer) => peer.inbox.len() < ROOM,
                    _ => true,
                });
                let broken = stream.error.is_some();
                (broken || stream.ended || !stream.inbox.is_empty(), broken || room)
            }
        }
    }
}

impl Stream {
    fn connected(peer: Option<Key>) -> Stream {
        Stream { peer, inbox: VecDeque::new(), ended: false, error: None }
    }

    fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), |error| Err(error.into()))
    }
}

impl Driver for MemoryDriver {
    fn now(&self) -> Instant {
        self.advance(self.tick.get());
        self.now.get()
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.extend(self.ready());
        let mut rung = self.bell.rung.lock().unwrap();
        if std::mem::take(&mut rung.0) || !ready.is_empty() {
            return Ok(());
        }
        match timeout {
            Some(timeout) => self.advance(timeout),
            None => {
                let waited = self.bell.rings.wait_timeout_while(rung, PATIENCE, |rung| !rung.0);
                let (mut rung, result) = waited.unwrap();
                assert!(!result.timed_out(), "nothing would ever end this sleep");
                rung.0 = false;
            }
        }
        Ok(())
    }

    fn poll_wait(&self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Result<()>> {
        let mut rung = self.bell.rung.lock().unwrap();
        if rung.0 || !self.ready().is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(deadline) = deadline {
            self.now.set(deadline.max(self.now.get()));
            return Poll::Ready(Ok(()));
        }
        rung.1 = Some(cx.waker().clone());
        Poll::Pending
    }

    fn disarm(&self) {
        self.bell.rung.lock().unwrap().1 = None;
    }

    fn alarm(&self) -> Arc<dyn Alarm> {
        self.bell.clone()
    }

    fn set_interest(&self, key: Key, interest: Interest) -> io::Result<()> {
        self.with(key, |socket| {
            socket.interest = interest;
            Ok(())
        })
    }

    fn local_address(&self, key: Key) -> io::Result<SocketAddr> {
        self.with(key, |socket| Ok(socket.at))
    }

    fn set_option(&self, key: Key, _option: SocketOption) -> io::Result<()> {
        self.with(key, |_| Ok(()))
    }

    fn option(&self, key: Key, _name: OptionName) -> io::Result<u32> {
        self.with(key, |_| Ok(0))
    }

    fn adopt(&self, _socket: OwnedFd) -> io::Result<Key> {
        Err(ErrorKind::Unsupported.into())
    }

    fn close(&self, key: Key) {
        self.end(key, None);
    }

    fn listen(&self, listen: &Listen) -> io::Result<Key> {
        match self.port_at(listen.at) {
            Some(_) => Err(ErrorKind::AddrInUse.into()),
            None => Ok(self.insert(listen.at.port(), Kind::Port(VecDeque::new()))),
        }
    }

    fn accept(&self, port: Key) -> io::Result<(Key, SocketAddr)> {
        self.with(port, |socket| match &mut socket.kind {
            Kind::Port(waiting) => waiting.pop_front().ok_or(ErrorKind::WouldBlock.into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    fn turn_away(&self, port: Key) -> bool {
        self.accept(port).map(|(key, _)| self.close(key)).is_ok()
    }

    fn connect(&self, to: SocketAddr, _from: Option<SocketAddr>) -> Result<Key, Refused> {
        let ours = self.insert(0, Kind::Stream(Stream::connected(None)));
        let Some(port) = self.port_at(to) else {
            let refused = self.stream(ours, |stream| {
                stream.error = Some(ErrorKind::ConnectionRefused);
                Ok(ours)
            });
            return refused.map_err(Refused::Connect);
        };
        let theirs = self.insert(to.port(), Kind::Stream(Stream::connected(Some(ours))));
        let mut sockets = self.sockets.borrow_mut();
        let at = sockets[ours.0].at;
        if let Kind::Stream(stream) = &mut sockets[ours.0].kind {
            stream.peer = Some(theirs);
        }
        if let Kind::Port(waiting) = &mut sockets[port.0].kind {
            waiting.push_back((theirs, at));
        }
        Ok(ours)
    }

    fn take_error(&self, key: Key) -> io::Result<()> {
        self.stream(key, Stream::check)
    }

    fn receive(&self, key: Key, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream(key, |stream| {
            stream.check()?;
            if stream.inbox.is_empty() && !stream.ended {
                return Err(ErrorKind::WouldBlock.into());
            }
            let length = buffer.len().min(stream.inbox.len());
            buffer.iter_mut().zip(stream.inbox.drain(..length)).for_each(|(to, from)| *to = from);
            Ok(length)
        })
    }

    fn send(&self, key: Key, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sends.set(self.sends.get() + 1);
        let peer = self.stream(key, |stream| {
            stream.check()?;
            stream.peer.ok_or(ErrorKind::BrokenPipe.into())
        })?;
        self.stream(peer, |peer| {
            let room = ROOM - peer.inbox.len();
            let before = peer.inbox.len();
            peer.inbox.extend(data.iter().flat_map(|slice| slice.iter()).take(room));
            let sent = peer.inbox.len() - before;
            if sent == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(sent) }
        })
    }

    fn shutdown(&self, key: Key) -> io::Result<()> {
        let peer = self.stream(key, |stream| Ok(stream.peer))?;
        peer.map_or(Ok(()), |peer| {
            self.stream(peer, |peer| {
                peer.ended = true;
                Ok(())
            })
        })
    }

    fn reset(&self, key: Key) {
        self.end(key, Some(ErrorKind::ConnectionReset));
    }

    fn bind(&self, bind: &Bind) -> io::Result<Key> {
        Ok(self.insert(bind.at.port(), Kind::Datagrams { inbox: VecDeque::new(), to: None }))
    }

    fn connect_datagrams(&self, key: Key, peer: SocketAddr) -> io::Result<()> {
        self.with(key, |socket| match &mut socket.kind {
            Kind::Datagrams { to, .. } => {
                *to = Some(peer);
                Ok(())
            }
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    fn receive_from(&self, key: Key, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.with(key, |socket| {
            let Kind::Datagrams { inbox, .. } = &mut socket.kind else {
                return Err(ErrorKind::InvalidInput.into());
            };
            let (from, data) = inbox.pop_front().ok_or(ErrorKind::WouldBlock)?;
            let length = data.len().min(buffer.len());
            buffer[..length].copy_from_slice(&data[..length]);
            Ok((length, from))
        })
    }

    fn send_to(&self, key: Key, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        let (from, peer) = self.with(key, |socket| match socket.kind {
            Kind::Datagrams { to, .. } => Ok((socket.at, to)),
            _ => Err(ErrorKind::InvalidInput.into()),
        })?;
        let Some(there) = to.or(peer).and_then(|to| self.port_at(to)) else { return Ok(data.len()) };
        self.with(there, |socket| {
            if let Kind::Datagrams { inbox, .. } = &mut socket.kind {
                inbox.push_back((from, data.to_vec()));
            }
            Ok(data.len())
        })
    }

    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let found = match host {
            "localhost" => Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]),
            _ => Err(ErrorKind::NotFound.into()),
        };
        Box::pin(async { found })
    }
}
