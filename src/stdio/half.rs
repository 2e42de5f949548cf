//! One direction: polled where that can be, else on the pool.

use async_io::Async;
use blocking::Unblock;
use rustix::{
    fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, makedev, open},
    io::Errno,
};
use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

/// So much is read ahead of the protocol, and written behind it, by the pool, in bytes.
const AHEAD: usize = 64 << 10;

/// How a direction is driven.
pub(super) enum Half {
    Polled(Async<File>),
    Pool(Unblock<File>),
}

/// A direction that has been opened, and what is to be set back at its end.
pub(super) struct Opened {
    pub(super) half: Half,
    pub(super) flags: Option<Flags>,
    pub(super) is_socket: bool,
    /// A pipe of which this is one end alone: opened anew, for one direction.
    pub(super) is_pipe: bool,
}

/// Opens a direction, for reading or for writing alone.
pub(super) fn open_half(descriptor: OwnedFd, access: OFlags) -> io::Result<Opened> {
    let stat = fstat(&descriptor)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let is_socket = kind == FileType::Socket;
    let opened = |half, flags| Opened { half, flags, is_socket, is_pipe: false };
    if !matches!(kind, FileType::Fifo | FileType::CharacterDevice | FileType::Socket) {
        return Ok(opened(pool(descriptor), None));
    }
    // The other side of a terminal is not the same when it is opened anew: it is the one of a new terminal.
    let is_terminal = descriptor.is_terminal() && stat.st_rdev != makedev(5, 2);
    if (kind == FileType::Fifo || is_terminal)
        && let Ok(own) = reopen(&descriptor, access)
    {
        let polled = Half::Polled(Async::new_nonblocking(own)?);
        return Ok(Opened { is_pipe: kind == FileType::Fifo, ..opened(polled, None) });
    }
    let flags = Flags::set(&descriptor)?;
    match Async::new_nonblocking(File::from(descriptor.try_clone()?)) {
        Ok(polled) => Ok(opened(Half::Polled(polled), flags)),
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            drop(flags);
            Ok(opened(pool(descriptor), None))
        }
        Err(error) => Err(error),
    }
}

fn pool(descriptor: OwnedFd) -> Half {
    Half::Pool(Unblock::with_capacity(AHEAD, File::from(descriptor)))
}

/// The same pipe or terminal, with flags of its own.
fn reopen(descriptor: &OwnedFd, access: OFlags) -> Result<File, Errno> {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    open(path, flags, Mode::empty()).map(File::from)
}

/// The flags as they were, for the end.
pub(super) struct Flags {
    descriptor: OwnedFd,
    were: OFlags,
}

impl Flags {
    /// Has it not block from now on. None if it did not before.
    fn set(descriptor: &impl AsFd) -> io::Result<Option<Flags>> {
        let were = fcntl_getfl(descriptor)?;
        if were.contains(OFlags::NONBLOCK) {
            return Ok(None);
        }
        let descriptor = descriptor.as_fd().try_clone_to_owned()?;
        fcntl_setfl(&descriptor, were | OFlags::NONBLOCK)?;
        Ok(Some(Flags { descriptor, were }))
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        let _ = fcntl_setfl(&self.descriptor, self.were);
    }
}
