//! The driver on Linux: the kernel's sockets in a level-triggered epoll that this reactor owns.
//!
//! A message costs three system calls: one wait, one receive, one send. The reactor sleeps on the poll set itself;
//! while async futures of other crates run beside it, the set is [nested](nest) in async-io's instead.

mod adopt;
mod alarm;
mod file;
mod nest;
mod options;
mod poll_set;
mod socket;
mod spin;
#[cfg(test)]
mod tests;
mod unix;

use self::{
    alarm::Bell,
    nest::Nest,
    poll_set::{Event, PollSet},
    socket::Socket,
    spin::Spin,
};
use super::{
    Adopted, Alarm, Bind, BindUnix, Driver, Listen, OptionName, Ready, Received, Refused, Role, SocketOption,
};
use crate::{
    address::{Address, Credentials, UnixAddress},
    error::AdoptError,
    protocol::socket::{Handle, Interest, Token},
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::ioctl_fionbio,
};
use std::{
    cell::Cell,
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
            nest: Cell::default(),
            spin: Cell::new(Spin::new(spin)),
            reserve: Cell::new(Some(spare()?)),
        })
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

    /// Takes the batch of the poll set, appends it, and hushes the alarm.
    fn hand_out(&self, ready: &mut Vec<Ready>) {
        self.poll_set.take(|event| match event {
            Event::Alarm => self.bell.hush(),
            Event::Socket(told) => ready.push(told),
        });
    }
}

impl Driver for EpollDriver {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // What `poll_wait` has read comes first.
        if !self.poll_set.has_batch() {
            self.sleep(timeout)?;
        }
        self.hand_out(ready);
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

    fn watch(&self, handle: &Handle, token: Token, from: Interest, to: Interest) -> io::Result<()> {
        self.poll_set.change(Socket::of(handle)?.as_fd(), token, from, to)
    }

    fn local_address(&self, handle: &Handle) -> io::Result<Address> {
        Socket::of(handle)?.local_address()
    }

    fn set_option(&self, handle: &Handle, option: SocketOption) -> io::Result<()> {
        options::set(Socket::of(handle)?, option)
    }

    fn option(&self, handle: &Handle, name: OptionName) -> io::Result<u32> {
        options::get(Socket::of(handle)?, name)
    }

    fn adopt(&self, socket: OwnedFd) -> io::Result<Handle> {
        Ok(Handle::Socket(socket))
    }

    fn adopt_as(&self, socket: OwnedFd, role: Role) -> Result<Adopted, AdoptError> {
        adopt::adopt(socket, role)
    }

    fn adopt_file(&self, file: OwnedFd) -> io::Result<Handle> {
        ioctl_fionbio(&file, true)?;
        Ok(Handle::File(file))
    }

    fn close(&self, handle: Handle) {
        // An epoll forgets an open file with its last descriptor. A child that was forked without an exec has one of each: what the file is ready for
        // then wakes this process until that one ends. To take it out here would be a system call for each connection of everybody.
        drop(handle);
    }

    fn listen(&self, listen: &Listen) -> io::Result<Handle> {
        Socket::listen(listen).map(Handle::Socket)
    }

    fn accept(&self, port: &Handle) -> io::Result<(Handle, Address)> {
        let (socket, peer) = Socket::of(port)?.accept()?;
        Ok((Handle::Socket(socket), peer))
    }

    fn turn_away(&self, port: &Handle) -> bool {
        drop(self.reserve.take());
        // Another thread may have taken the place meanwhile: then there is nothing to do but to try again.
        let turned_away = self.accept(port).map(drop).is_ok();
        self.reserve.set(spare().ok());
        turned_away
    }

    fn connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Handle, Refused> {
        Socket::connect(to, from).map(Handle::Socket)
    }

    fn take_error(&self, handle: &Handle) -> io::Result<()> {
        Socket::of(handle)?.take_error()
    }

    fn receive(&self, handle: &Handle, buffer: &mut [u8]) -> io::Result<usize> {
        match handle {
            Handle::File(file) => file::receive(file, buffer),
            handle => Socket::of(handle)?.receive(buffer),
        }
    }

    fn send(&self, handle: &Handle, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match handle {
            Handle::File(file) => file::send(file, data),
            handle => Socket::of(handle)?.send(data),
        }
    }

    fn shutdown(&self, handle: &Handle) -> io::Result<()> {
        Socket::of(handle)?.shutdown()
    }

    fn reset(&self, handle: Handle) {
        if let Ok(socket) = Socket::of(&handle) {
            socket.end_with_a_reset();
        }
    }

    fn bind(&self, bind: &Bind) -> io::Result<Handle> {
        Socket::bind(bind).map(Handle::Socket)
    }

    fn connect_datagrams(&self, handle: &Handle, to: SocketAddr) -> io::Result<()> {
        Socket::of(handle)?.connect_datagrams(to)
    }

    fn receive_from(&self, handle: &Handle, buffer: &mut [u8], from: &mut Address) -> io::Result<usize> {
        Socket::of(handle)?.receive_from(buffer, from)
    }

    fn send_to(&self, handle: &Handle, data: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        Socket::of(handle)?.send_to(data, to)
    }

    fn listen_unix(&self, bind: &BindUnix<'_>, backlog: u32) -> io::Result<Handle> {
        unix::listen_at(bind, backlog).map(Handle::Socket)
    }

    fn connect_unix(&self, to: &UnixAddress) -> Result<Handle, Refused> {
        unix::connect_to(to).map(Handle::Socket)
    }

    fn bind_unix(&self, bind: &BindUnix<'_>) -> io::Result<Handle> {
        unix::bind_datagrams(bind).map(Handle::Socket)
    }

    fn receive_from_unix(&self, handle: &Handle, buffer: &mut [u8], from: &mut Address) -> io::Result<usize> {
        Socket::of(handle)?.receive_from_unix(buffer, from)
    }

    fn send_to_unix(&self, handle: &Handle, data: &[u8], to: Option<&UnixAddress>) -> io::Result<usize> {
        unix::send_to(Socket::of(handle)?, data, to)
    }

    fn connect_datagrams_unix(&self, handle: &Handle, to: &UnixAddress) -> io::Result<()> {
        unix::connect_datagrams(Socket::of(handle)?, to)
    }

    fn receive_with(
        &self,
        handle: &Handle,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<Received> {
        unix::receive_with(Socket::of(handle)?, buffer, descriptors)
    }

    fn send_with(
        &self,
        handle: &Handle,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        unix::send_with(Socket::of(handle)?, data, descriptors)
    }

    fn peer_credentials(&self, handle: &Handle) -> io::Result<Credentials> {
        unix::credentials(Socket::of(handle)?)
    }
}

/// A descriptor of no use but to be closed: an eventfd, which needs no file system (Twisted opens /dev/null) and,
/// unlike a copy of another descriptor, gives back a file of the system's as well.
fn spare() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}
