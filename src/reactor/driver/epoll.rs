//! The driver on Linux: the kernel's sockets in a level-triggered epoll that this reactor owns.
//!
//! A message costs three system calls: one wait, one receive, one send. The reactor sleeps on the poll set itself;
//! while async futures of other crates run beside it, the set is [nested](nest) in async-io's instead.

mod alarm;
mod nest;
mod options;
mod poll_set;
mod resolve;
mod socket;
mod spin;
#[cfg(test)]
mod tests;

use self::{
    alarm::Bell,
    nest::Nest,
    poll_set::{Event, PollSet},
    socket::Socket,
    spin::Spin,
};
use super::{
    Alarm, Bind, Driver, Interest, Key, Listen, OptionName, Ready, Refused, Resolving, SocketOption,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, OwnedFd},
    io::Errno,
};
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Sockets of the kernel. Belongs to one thread; only its [alarm](Driver::alarm) leaves it.
pub(crate) struct EpollDriver {
    poll_set: PollSet,
    /// In the poll set from the beginning to the end.
    bell: Arc<Bell>,
    /// Named by their index. Nothing but system calls runs while they are borrowed.
    sockets: RefCell<Slab<Socket>>,
    /// What async-io holds of the poll set; out of its place while wakers run, which are foreign code.
    nest: Cell<Nest>,
    spin: Cell<Spin>,
    /// The descriptor to give up when there is none left. None if it could not be had again.
    reserve: Cell<Option<OwnedFd>>,
}

impl EpollDriver {
    /// It looks for so long before it sleeps; zero: not at all.
    ///
    /// # Errors
    /// If the process or the system is out of descriptors: a driver takes three.
    pub(crate) fn new(spin: Duration) -> io::Result<EpollDriver> {
        let bell = Bell::new()?;
        Ok(EpollDriver {
            poll_set: PollSet::new(bell.descriptor())?,
            bell: Arc::new(bell),
            sockets: RefCell::default(),
            nest: Cell::default(),
            spin: Cell::new(Spin::new(spin)),
            reserve: Cell::new(Some(spare()?)),
        })
    }

    /// Calls the socket of that name; EBADF if there is none, as the kernel would say.
    fn with<R>(&self, key: Key, call: impl FnOnce(&Socket) -> io::Result<R>) -> io::Result<R> {
        call(self.sockets.borrow().get(key.0).ok_or(Errno::BADF)?)
    }

    fn insert(&self, socket: Socket) -> Key {
        Key(self.sockets.borrow_mut().insert(socket))
    }

    /// What closes a socket: an epoll forgets a descriptor when it is closed.
    fn remove(&self, key: Key) -> Option<Socket> {
        self.sockets.borrow_mut().try_remove(key.0)
    }

    /// Waits for a batch: by looking for a moment, where that pays, and then asleep.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut spin = self.spin.get();
        if timeout == Some(Duration::ZERO) || !spin.looks() {
            self.spin.set(spin);
            self.poll_set.fill(timeout)?;
            return Ok(());
        }
        let begun = Instant::now();
        let found = self.look(begun, timeout.map_or(spin.time, |timeout| timeout.min(spin.time)))?;
        spin.learn(found);
        self.spin.set(spin);
        if !found {
            self.poll_set.fill(timeout.map(|timeout| timeout.saturating_sub(begun.elapsed())))?;
        }
        Ok(())
    }

    /// Looks for a batch without sleeping, once at least, until it is there or the time is over. Whether it is there.
    fn look(&self, begun: Instant, time: Duration) -> io::Result<bool> {
        loop {
            if self.poll_set.fill(Some(Duration::ZERO))? {
                return Ok(true);
            }
            if begun.elapsed() >= time {
                return Ok(false);
            }
        }
    }

    /// Takes the batch of the poll set, appends what of it was asked for and still is, and hushes the alarm.
    /// Whether there was something.
    fn hand_out(&self, ready: &mut Vec<Ready>) -> bool {
        let sockets = self.sockets.borrow();
        let mut any = false;
        self.poll_set.take(|event| match event {
            Event::Alarm => {
                self.bell.hush();
                any = true;
            }
            // Since `poll_wait` has read the batch, a socket may have been closed or be wanted no more.
            Event::Socket(readiness) => {
                let interest = sockets.get(readiness.key.0).map(|socket| socket.interest);
                if let Some(told) = interest.and_then(|interest| readiness.answer(interest)) {
                    ready.push(told);
                    any = true;
                }
            }
        });
        any
    }
}

impl Driver for EpollDriver {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // What `poll_wait` has read comes first.
        if !self.poll_set.has_batch() || !self.hand_out(ready) {
            self.sleep(timeout)?;
            self.hand_out(ready);
        }
        Ok(())
    }

    fn poll_wait(&self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Result<()>> {
        let mut nest = self.nest.take();
        let look = || self.poll_set.fill(Some(Duration::ZERO));
        let polled = nest.poll(cx, deadline, look, || self.poll_set.descriptor());
        self.nest.set(nest);
        polled
    }

    fn disarm(&self) {
        self.nest.take();
    }

    fn alarm(&self) -> Arc<dyn Alarm> {
        self.bell.clone()
    }

    fn set_interest(&self, key: Key, interest: Interest) -> io::Result<()> {
        let mut sockets = self.sockets.borrow_mut();
        let socket = sockets.get_mut(key.0).ok_or(Errno::BADF)?;
        self.poll_set.change(socket.as_fd(), key, socket.interest, interest)?;
        socket.interest = interest;
        Ok(())
    }

    fn local_address(&self, key: Key) -> io::Result<SocketAddr> {
        self.with(key, Socket::local_address)
    }

    fn set_option(&self, key: Key, option: SocketOption) -> io::Result<()> {
        self.with(key, |socket| options::set(socket, option))
    }

    fn option(&self, key: Key, name: OptionName) -> io::Result<u32> {
        self.with(key, |socket| options::get(socket, name))
    }

    fn adopt(&self, socket: OwnedFd) -> io::Result<Key> {
        Ok(self.insert(Socket::from(socket)))
    }

    fn close(&self, key: Key) {
        self.remove(key);
    }

    fn listen(&self, listen: &Listen) -> io::Result<Key> {
        Ok(self.insert(Socket::listen(listen)?))
    }

    fn accept(&self, port: Key) -> io::Result<(Key, SocketAddr)> {
        let (socket, peer) = self.with(port, Socket::accept)?;
        Ok((self.insert(socket), peer))
    }

    fn turn_away(&self, port: Key) -> bool {
        drop(self.reserve.take());
        // Another thread may have taken the place meanwhile: then there is nothing to do but to try again.
        let turned_away = self.with(port, |port| port.accept().map(drop)).is_ok();
        self.reserve.set(spare().ok());
        turned_away
    }

    fn connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Key, Refused> {
        Ok(self.insert(Socket::connect(to, from)?))
    }

    fn take_error(&self, key: Key) -> io::Result<()> {
        self.with(key, Socket::take_error)
    }

    fn receive(&self, key: Key, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(key, |socket| socket.receive(buffer))
    }

    fn send(&self, key: Key, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with(key, |socket| socket.send(data))
    }

    fn shutdown(&self, key: Key) -> io::Result<()> {
        self.with(key, Socket::shutdown)
    }

    fn reset(&self, key: Key) {
        if let Some(socket) = self.remove(key) {
            socket.reset();
        }
    }

    fn bind(&self, bind: &Bind) -> io::Result<Key> {
        Ok(self.insert(Socket::bind(bind)?))
    }

    fn connect_datagrams(&self, key: Key, to: SocketAddr) -> io::Result<()> {
        self.with(key, |socket| socket.connect_datagrams(to))
    }

    fn receive_from(&self, key: Key, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.with(key, |socket| socket.receive_from(buffer))
    }

    fn send_to(&self, key: Key, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        self.with(key, |socket| socket.send_to(data, to))
    }

    fn resolve(&self, host: &str, port: u16) -> Resolving {
        resolve::resolve(host, port)
    }
}

/// A descriptor of no use but to be closed: an eventfd, which needs no file system (Twisted opens /dev/null) and,
/// unlike a copy of another descriptor, gives back a file of the system's as well.
fn spare() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}
