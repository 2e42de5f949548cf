//! One socket: what is asked of the kernel about it.

use super::unix;
use crate::{
    address::{Address, UnixAddress},
    protocol::socket::Handle,
    reactor::driver::{Bind, Listen, Refused},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny, SocketFlags,
        SocketType, acceptfrom_with, bind, connect, getpeername, getsockname, listen, recv, recvfrom, send,
        sendmsg, sendto, shutdown, socket_with, sockopt,
    },
};
use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    time::Duration,
};

/// Every socket is so from its first moment: no thread can block on it, no child process inherit it.
pub(super) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// `UIO_MAXIOV` of <linux/uio.h>: with more slices the kernel refuses the whole call.
pub(super) const MOST_SLICES: usize = 1024;

/// How often an accept that met a connection already gone tries the next. Twisted's burst, which bounds it there,
/// begins with as many.
const ACCEPT_TRIES: usize = 100;

/// A descriptor of a handle, for a call.
#[derive(Clone, Copy)]
pub(super) struct Socket<'a>(BorrowedFd<'a>);

impl AsFd for Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl<'a> Socket<'a> {
    /// EBADF for one in memory, which the kernel does not know.
    pub(super) fn of(handle: &'a Handle) -> io::Result<Socket<'a>> {
        match handle {
            Handle::Socket(descriptor) | Handle::File(descriptor) => Ok(Socket(descriptor.as_fd())),
            Handle::Virtual(_) => Err(Errno::BADF.into()),
        }
    }
}

/// Streams.
impl Socket<'_> {
    pub(super) fn listen(how: &Listen) -> io::Result<OwnedFd> {
        let socket = open(how.at, SocketType::STREAM)?;
        reuse(&socket, how.reuse_address, how.reuse_port)?;
        bind(&socket, &how.at)?;
        listen(&socket, how.backlog.try_into().unwrap_or(i32::MAX))?;
        Ok(socket)
    }

    /// Takes a connection that waits.
    pub(super) fn accept(self) -> io::Result<(OwnedFd, Address)> {
        let mut tries = 1..ACCEPT_TRIES;
        loop {
            match acceptfrom_with(self, FLAGS) {
                Ok((socket, peer)) => return Ok((socket, named(peer)?)),
                // A signal; a connection that was reset while it waited; one that a firewall forbids (EPERM, which
                // Twisted's `_accept` skips too).
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PERM) if tries.next().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn connect(to: SocketAddr, from: Option<SocketAddr>) -> Result<OwnedFd, Refused> {
        let socket = open(to, SocketType::STREAM).map_err(|error| Refused::Bind(error.into()))?;
        if let Some(from) = from {
            bind(&socket, &from).map_err(|error| Refused::Bind(error.into()))?;
        }
        match connect(&socket, &to) {
            // Interrupted, it goes on in the background all the same.
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
            Err(error) => Err(Refused::Connect(error.into())),
        }
    }

    /// WouldBlock while it still connects: an event may have been another socket's of the same name.
    pub(super) fn take_error(self) -> io::Result<()> {
        sockopt::socket_error(self)??;
        match getpeername(self) {
            Err(Errno::NOTCONN) => Err(Errno::WOULDBLOCK.into()),
            connected => Ok(connected.map(drop)?),
        }
    }

    pub(super) fn receive(self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self, buffer, RecvFlags::empty())?.0)
    }

    /// Never with SIGPIPE: a peer that has gone is an error of this connection, not the end of the process.
    pub(super) fn send(self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match data {
            [one] => send(self, one, SendFlags::NOSIGNAL)?,
            many => {
                let many = &many[..many.len().min(MOST_SLICES)];
                sendmsg(self, many, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?
            }
        };
        Ok(sent)
    }

    pub(super) fn shutdown(self) -> io::Result<()> {
        match shutdown(self, Shutdown::Write) {
            // The peer was faster; there is nothing left to end.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Its close will be a reset: the meaning of a lingering time of zero.
    pub(super) fn end_with_a_reset(self) {
        // It can fail only on what is no socket. Then it is closed the plain way.
        let _ = sockopt::set_socket_linger(self, Some(Duration::ZERO));
    }
}

/// Datagrams.
impl Socket<'_> {
    pub(super) fn bind(how: &Bind) -> io::Result<OwnedFd> {
        let socket = open(how.at, SocketType::DGRAM)?;
        reuse(&socket, how.reuse_address, how.reuse_port)?;
        bind(&socket, &how.at)?;
        Ok(socket)
    }

    pub(super) fn connect_datagrams(self, to: SocketAddr) -> io::Result<()> {
        Ok(connect(self, &to)?)
    }

    /// What of a datagram exceeds the buffer is lost.
    #[inline]
    pub(super) fn receive_from(self, buffer: &mut [u8], from: &mut Address) -> io::Result<usize> {
        let (received, _, peer) = recvfrom(self, buffer, RecvFlags::empty())?;
        *from = Address::Inet(known(peer)?);
        Ok(received)
    }

    pub(super) fn receive_from_unix(self, buffer: &mut [u8], from: &mut Address) -> io::Result<usize> {
        let (received, _, peer) = recvfrom(self, buffer, RecvFlags::empty())?;
        *from = named(peer)?;
        Ok(received)
    }

    #[inline]
    pub(super) fn send_to(self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<usize> {
        let sent = match to {
            Some(SocketAddr::V4(to)) => sendto(self, data, SendFlags::NOSIGNAL, to)?,
            Some(SocketAddr::V6(to)) => sendto(self, data, SendFlags::NOSIGNAL, to)?,
            None => send(self, data, SendFlags::NOSIGNAL)?,
        };
        Ok(sent)
    }
}

/// Any socket.
impl Socket<'_> {
    pub(super) fn local_address(self) -> io::Result<Address> {
        named(Some(getsockname(self)?))
    }
}

fn open(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    socket_with(family, kind, FLAGS, None)
}

/// Sets what is asked and leaves the rest to the system, IPV6_V6ONLY too: as in Twisted, `::` takes IPv4 as well
/// where the system's default is so.
fn reuse(socket: &OwnedFd, address: bool, port: bool) -> Result<(), Errno> {
    if address {
        sockopt::set_socket_reuseaddr(socket, true)?;
    }
    if port {
        sockopt::set_socket_reuseport(socket, true)?;
    }
    Ok(())
}

/// The kernel's address as ours, of whatever family. It gives none where a UNIX socket has no name.
fn named(address: Option<SocketAddrAny>) -> io::Result<Address> {
    match &address {
        Some(some) if some.address_family() != AddressFamily::UNIX => known(address).map(Address::Inet),
        Some(some) => Ok(unix::known(&some.clone().try_into()?).into()),
        None => Ok(UnixAddress::unnamed().into()),
    }
}

/// The kernel's address of the internet as ours.
fn known(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    // Sockets of the two families of the internet always have one; EAFNOSUPPORT is what rustix says of the others.
    Ok(address.ok_or(Errno::AFNOSUPPORT)?.try_into()?)
}
