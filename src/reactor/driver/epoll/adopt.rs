//! A socket that the program has: whether it is what it is to be.

use super::socket::named;
use crate::{
    address::Address,
    error::{AdoptError, AdoptErrorKind},
    failure::Failure,
    protocol::socket::Handle,
    reactor::driver::{Adopted, Family, Role},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{AddressFamily, SocketType, getpeername, sockopt},
};
use std::io;

pub(super) fn adopt(socket: OwnedFd, role: Role) -> Result<Adopted, AdoptError> {
    match look(socket.as_fd(), role) {
        Ok(Ok((family, peer))) => Ok(Adopted { handle: Handle::Socket(socket), family, peer }),
        Ok(Err(kind)) => Err(AdoptError::new(kind, socket)),
        Err(Errno::NOTSOCK) => Err(AdoptError::new(AdoptErrorKind::NotASocket, socket)),
        Err(error) => Err(AdoptError::because(Failure::from(io::Error::from(error)), socket)),
    }
}

/// What it is: its family and its peer; or why it is not what it is to be.
type Looked = Result<(Family, Option<Address>), AdoptErrorKind>;

/// Nothing of it is changed before all is known to be right.
fn look(socket: BorrowedFd<'_>, role: Role) -> Result<Looked, Errno> {
    let family = match sockopt::socket_domain(socket)? {
        AddressFamily::INET => Family::V4,
        AddressFamily::INET6 => Family::V6,
        AddressFamily::UNIX if role != Role::Datagrams => Family::Unix,
        _ => return Ok(Err(AdoptErrorKind::AddressFamily)),
    };
    let wanted = if role == Role::Datagrams { SocketType::DGRAM } else { SocketType::STREAM };
    if sockopt::socket_type(socket)? != wanted {
        return Ok(Err(AdoptErrorKind::SocketType));
    }
    if role == Role::Port && !sockopt::socket_acceptconn(socket)? {
        return Ok(Err(AdoptErrorKind::NotListening));
    }
    let peer = match getpeername(socket) {
        Ok(peer) => Some(named(peer).map_err(|_| Errno::AFNOSUPPORT)?),
        Err(Errno::NOTCONN) => None,
        Err(error) => return Err(error),
    };
    if role == Role::Connection && peer.is_none() {
        return Ok(Err(AdoptErrorKind::NotConnected));
    }
    prepare(socket)?;
    Ok(Ok((family, peer)))
}

/// As every socket of a reactor is: no thread can block on it, no child inherit it.
fn prepare(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    ioctl_fionbio(socket, true)?;
    fcntl_setfd(socket, FdFlags::CLOEXEC)
}
