//! UNIX sockets: where they are bound, their names, and the descriptors that go with bytes.

use super::socket::{FLAGS, Socket};
use crate::{
    address::{Credentials, UnixAddress},
    protocol::passing::MOST_DESCRIPTORS,
    reactor::driver::{BindUnix, Received, Refused},
};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, FileType, Mode, chmodat, fchmod, statat, unlink},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType, bind, connect,
        listen, recvmsg, send, sendmsg, sendto, socket_with, sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::unix::ffi::OsStrExt,
    path::Path,
};

pub(super) fn listen_at(how: &BindUnix<'_>, backlog: u32) -> io::Result<OwnedFd> {
    let socket = bind_to(how, SocketType::STREAM)?;
    or_no_file(how.at, listen(&socket, backlog.try_into().unwrap_or(i32::MAX)))?;
    Ok(socket)
}

pub(super) fn bind_datagrams(how: &BindUnix<'_>) -> io::Result<OwnedFd> {
    // To bind to no name would give it one.
    if how.at.is_unnamed() { Ok(open(SocketType::DGRAM)?) } else { bind_to(how, SocketType::DGRAM) }
}

pub(super) fn send_to(socket: Socket<'_>, data: &[u8], to: Option<&UnixAddress>) -> io::Result<usize> {
    Ok(match to {
        Some(to) => sendto(socket, data, SendFlags::NOSIGNAL, &name(to)?)?,
        None => send(socket, data, SendFlags::NOSIGNAL)?,
    })
}

pub(super) fn connect_datagrams(socket: Socket<'_>, to: &UnixAddress) -> io::Result<()> {
    Ok(connect(socket, &name(to)?)?)
}

/// The file never has more rights than it is to have. The socket's own mode, less the mask of the process, becomes the file's when it is bound; what the
/// mask took is added before anybody can connect.
fn bind_to(how: &BindUnix<'_>, kind: SocketType) -> io::Result<OwnedFd> {
    let socket = open(kind)?;
    let mode = Mode::from_raw_mode(how.mode);
    fchmod(&socket, mode)?;
    bind(&socket, &name(how.at)?)?;
    if let Some(path) = how.at.as_pathname() {
        or_no_file(how.at, widen(path, mode))?;
    }
    Ok(socket)
}

/// What comes after the bind. If that fails, the file goes: it would be in the way of the next one, who could not know that nobody listens at it.
fn or_no_file(at: &UnixAddress, result: Result<(), Errno>) -> Result<(), Errno> {
    if let (Err(_), Some(path)) = (result, at.as_pathname()) {
        let _ = unlink(path);
    }
    result
}

fn widen(path: &Path, mode: Mode) -> Result<(), Errno> {
    let file = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_right = Mode::from_raw_mode(file.st_mode) & Mode::from_raw_mode(0o7777) == mode;
    if is_right || FileType::from_raw_mode(file.st_mode) != FileType::Socket {
        return Ok(()); // the second: another one's by now
    }
    chmodat(CWD, path, mode, AtFlags::empty())
}

/// Connected, or not, at once: the kernel never says that it goes on.
pub(super) fn connect_to(to: &UnixAddress) -> Result<OwnedFd, Refused> {
    let socket = open(SocketType::STREAM).map_err(|error| Refused::Bind(error.into()))?;
    match connect(&socket, &name(to).map_err(Refused::Connect)?) {
        Ok(()) => Ok(socket),
        Err(error) => Err(Refused::Connect(error.into())),
    }
}

fn open(kind: SocketType) -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, kind, FLAGS, None)
}

/// Our name as the kernel's.
pub(super) fn name(of: &UnixAddress) -> io::Result<SocketAddrUnix> {
    Ok(match (of.as_pathname(), of.as_abstract_name()) {
        (Some(path), _) => SocketAddrUnix::new(path)?,
        (_, Some(name)) => SocketAddrUnix::new_abstract_name(name)?,
        (None, None) => SocketAddrUnix::new_unnamed(),
    })
}

/// The kernel's name as ours.
pub(super) fn known(name: &SocketAddrUnix) -> UnixAddress {
    match (name.path_bytes(), name.abstract_name()) {
        (Some(path), _) => UnixAddress::from(Path::new(std::ffi::OsStr::from_bytes(path))),
        // Of a socket without a name it says that there are no bytes.
        (_, Some(name)) if !name.is_empty() => UnixAddress::from_abstract_name(name),
        _ => UnixAddress::unnamed(),
    }
}

pub(super) fn credentials(socket: Socket<'_>) -> io::Result<Credentials> {
    let told = sockopt::socket_peercred(socket)?;
    // The kernel says 0 of a process that this one's namespace does not know.
    let pid = Some(told.pid.as_raw_pid()).filter(|pid| *pid > 0);
    Ok(Credentials::new(pid, told.uid.as_raw(), told.gid.as_raw()))
}

/// Descriptors go with the first byte.
pub(super) fn send_with(
    socket: Socket<'_>,
    data: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    if !along.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL.into()); // more than the kernel takes
    }
    Ok(sendmsg(socket, data, &mut along, SendFlags::NOSIGNAL)?)
}

/// No child process inherits what comes.
pub(super) fn receive_with(
    socket: Socket<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut along, RecvFlags::CMSG_CLOEXEC)?;
    for message in along.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    Ok(Received { length: got.bytes, truncated: got.flags.contains(ReturnFlags::CTRUNC) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call after the bind that fails leaves nothing behind, one that does not leaves the file.
    #[test]
    fn the_file_of_a_socket_that_cannot_be_listened_at_goes() {
        let path = std::env::temp_dir().join(format!("twistor-bound-{}", std::process::id()));
        let at = UnixAddress::from(&*path);
        let bound = || bind_to(&BindUnix { at: &at, mode: 0o600 }, SocketType::STREAM);
        let _socket = bound().unwrap();
        assert_eq!(or_no_file(&at, Ok(())), Ok(()));
        assert!(path.exists() && bound().is_err());
        assert_eq!(or_no_file(&at, Err(Errno::NOMEM)), Err(Errno::NOMEM));
        assert!(!path.exists() && bound().is_ok());
        std::fs::remove_file(path).unwrap();
    }
}
