//! The seam: everything that a reactor asks of the world below it.
//!
//! A driver has a clock, a poll set and sockets. Above it the turn, the timers and the states of the transports are
//! the same code whatever the driver: the kernel's ([`epoll`]) or a network in memory
//! (`testing::simulation`).
//!
//! A driver keeps no table of its sockets: each is a [`Handle`] that its transport owns, and lends to each call. What is ready is told by the [`Token`] that
//! the socket was watched with. Another kind of descriptor is another kind of handle. All calls are non-blocking but [`Driver::wait`].

use crate::{
    address::{Address, Credentials, UnixAddress},
    protocol::socket::{Handle, Interest, Token},
};
use std::{
    any::Any,
    fmt,
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    os::fd::{BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
pub(crate) mod epoll;

/// A socket with something to do. An error or a hang-up is both, so that the next call meets it; and since the driver
/// has told, the socket may have closed, or wait for something else: who it belongs to looks what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Ends a [`Driver::wait`] from any thread.
pub(crate) trait Alarm: Send + Sync {
    /// The wait that is under way ends; if there is none, the next one ends at once.
    fn ring(&self);
}

/// How to open a listening TCP port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    pub(crate) at: SocketAddr,
    pub(crate) backlog: u32,
    /// SO_REUSEADDR, so that a port can be listened on again at once.
    pub(crate) reuse_address: bool,
    /// SO_REUSEPORT, so that several reactors share a port.
    pub(crate) reuse_port: bool,
}

/// How to open a UDP port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bind {
    pub(crate) at: SocketAddr,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
}

/// How to bind a UNIX socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BindUnix<'a> {
    pub(crate) at: &'a UnixAddress,
    /// The permissions of its file.
    pub(crate) mode: u32,
}

/// What came of a UNIX socket beside the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes; 0 at the end of the stream.
    pub(crate) length: usize,
    /// Descriptors were lost for want of room.
    pub(crate) truncated: bool,
}

/// A group is joined on an interface: by address in IPv4, by index in IPv6. None is the system's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: IpAddr,
    pub(crate) interface: Option<Interface>,
}

/// How multicast names an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Address(std::net::Ipv4Addr),
    Index(u32),
}

impl Interface {
    /// For IPv6, which knows them by number only.
    pub(crate) fn index(self) -> io::Result<u32> {
        match self {
            Interface::Index(index) => Ok(index),
            Interface::Address(address) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("IPv6 multicast names an interface by its index, not by an address ({address})"),
            )),
        }
    }
}

/// A socket option with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketOption {
    NoDelay(bool),
    KeepAlive(bool),
    Broadcast(bool),
    /// Hops of outgoing multicast, in either family.
    MulticastTtl(u32),
    MulticastLoopback(bool),
    MulticastInterface(Interface),
    Join(Membership),
    Leave(Membership),
}

/// A socket option that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionName {
    NoDelay,
    KeepAlive,
    Broadcast,
    MulticastTtl,
    MulticastLoopback,
}

/// What a reactor stands on.
pub(crate) trait Driver {
    /// Whether it is one in memory: then there are no descriptors of the system, and no signals.
    fn is_virtual(&self) -> bool {
        false
    }

    /// The addresses of a host, with port 0, in a world in memory; whatever goes wrong is `NotFound`. The system's are looked up in threads, above.
    fn look_up(&self, _host: &str) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The world of one in memory, for what knows its type.
    fn world(&self) -> Option<Rc<dyn Any>> {
        None
    }

    /// A seed for what is left to chance above: another one each time.
    fn seed(&self) -> u64 {
        fastrand::u64(..)
    }

    // ---- time and sleep -------------------------------------------------------------------------------------

    /// A monotonic clock.
    fn now(&self) -> Instant;

    /// Sleeps until a socket is ready, the alarm rings or the time is over (`None`: for ever, zero: not at all), and
    /// appends what is ready. A batch is bounded; what it leaves out is told by the next wait. Only a signal, or a
    /// time of weeks, ends the sleep early.
    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// The same as a future, on async-io: ready when a `wait` of no time would have something, or at `deadline`.
    /// It takes nothing away, not the alarm's ring either: until a `wait` has done so, it is ready again. The poll set
    /// is registered with async-io from the first time that this is pending until [`disarm`](Self::disarm).
    fn poll_wait(&self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Result<()>>;

    /// Takes the poll set out of async-io again, with the timer and the waker.
    fn disarm(&self);

    /// What wakes this driver.
    fn alarm(&self) -> Arc<dyn Alarm>;

    // ---- any socket -----------------------------------------------------------------------------------------

    /// Says what is to be told of the socket from now on, under which token, and what it was watched for up to now. With
    /// neither, not even its errors are told.
    fn watch(&self, handle: &Handle, token: Token, from: Interest, to: Interest) -> io::Result<()>;
    /// Where the socket is bound.
    fn local_address(&self, handle: &Handle) -> io::Result<Address>;
    /// Sets an option, in the words of the socket's family; `InvalidInput` if that family has none for it.
    fn set_option(&self, handle: &Handle, option: SocketOption) -> io::Result<()>;
    /// Reads an option; a switch is 0 or 1.
    fn option(&self, handle: &Handle, name: OptionName) -> io::Result<u32>;
    /// Takes a socket that exists already.
    fn adopt(&self, socket: OwnedFd) -> io::Result<Handle>;
    /// Takes what is read and written as a file is, and makes it such that no call blocks. `Unsupported` where the system's are none of this world.
    fn adopt_file(&self, file: OwnedFd) -> io::Result<Handle>;
    /// Closes the socket, which is then watched no more.
    fn close(&self, handle: Handle);

    // ---- streams --------------------------------------------------------------------------------------------

    /// Opens a listening port.
    fn listen(&self, listen: &Listen) -> io::Result<Handle>;
    /// Takes one connection that waits; `WouldBlock` if none does.
    fn accept(&self, port: &Handle) -> io::Result<(Handle, Address)>;
    /// No descriptor is left: gives up the reserved one, takes one connection in its place and closes it, and reserves
    /// again. Whether there was one.
    fn turn_away(&self, port: &Handle) -> bool;
    /// Begins to connect; done when it is writable and [`take_error`](Self::take_error) gives none.
    fn connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Handle, Refused>;
    /// How connecting went. The error that waits on the socket, if there is one, is then gone; `WouldBlock` while it goes on.
    fn take_error(&self, handle: &Handle) -> io::Result<()>;
    /// Reads what is there; 0 at the end of the stream.
    fn receive(&self, handle: &Handle, buffer: &mut [u8]) -> io::Result<usize>;
    /// Sends a part of it, at least one byte if the first slice has one.
    fn send(&self, handle: &Handle, data: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Ends the outgoing direction.
    fn shutdown(&self, handle: &Handle) -> io::Result<()>;
    /// Closes the socket with a reset instead of an end.
    fn reset(&self, handle: Handle);

    // ---- datagrams ------------------------------------------------------------------------------------------

    /// Opens a UDP port.
    fn bind(&self, bind: &Bind) -> io::Result<Handle>;
    /// Makes `to` the only peer: others are not heard, and a refusal of its is an error of the next call.
    fn connect_datagrams(&self, handle: &Handle, to: SocketAddr) -> io::Result<()>;
    /// Takes one datagram, and who it is from; what of it exceeds the buffer is lost.
    fn receive_from(&self, handle: &Handle, buffer: &mut [u8], from: &mut Address) -> io::Result<usize>;
    /// Sends one datagram. `to` is None for a connected port.
    fn send_to(&self, handle: &Handle, data: &[u8], to: Option<&SocketAddr>) -> io::Result<usize>;

    // ---- UNIX sockets ---------------------------------------------------------------------------------------

    /// Opens a listening UNIX socket.
    fn listen_unix(&self, bind: &BindUnix<'_>, backlog: u32) -> io::Result<Handle>;
    /// Connects to a UNIX socket, as [`connect`](Self::connect) does to a TCP port.
    fn connect_unix(&self, to: &UnixAddress) -> Result<Handle, Refused>;
    /// Opens a UNIX socket of datagrams; without a name it is bound to none.
    fn bind_unix(&self, bind: &BindUnix<'_>) -> io::Result<Handle>;
    /// As [`receive_from`](Self::receive_from), of a UNIX socket.
    fn receive_from_unix(&self, handle: &Handle, buffer: &mut [u8], from: &mut Address) -> io::Result<usize>;
    /// As [`send_to`](Self::send_to), of a UNIX socket.
    fn send_to_unix(&self, handle: &Handle, data: &[u8], to: Option<&UnixAddress>) -> io::Result<usize>;
    /// As [`connect_datagrams`](Self::connect_datagrams), of a UNIX socket.
    fn connect_datagrams_unix(&self, handle: &Handle, to: &UnixAddress) -> io::Result<()>;
    /// Reads what is there, and takes the descriptors that go with it.
    fn receive_with(
        &self,
        handle: &Handle,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<Received>;
    /// Sends a part of it, and all of the descriptors with its first byte.
    fn send_with(
        &self,
        handle: &Handle,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize>;
    /// Whose process is at the other end.
    fn peer_credentials(&self, handle: &Handle) -> io::Result<Credentials>;
}

/// Why [`Driver::connect`] could not begin.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no socket, or the address to connect from could not be bound: Twisted's `ConnectBindError`.
    Bind(io::Error),
    /// The connection itself. `WouldBlock`: as many wait there as may, and the system will not tell when there is room.
    Connect(io::Error),
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// Whether a call found nothing, or no room, and is to be made again when the socket is ready.
pub(crate) fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether the process or the system has no descriptor left, so that accepting failed for want of one.
pub(crate) fn out_of_descriptors(error: &io::Error) -> bool {
    /// ENFILE and EMFILE, the same numbers on every UNIX.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
