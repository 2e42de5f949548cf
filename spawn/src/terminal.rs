//! A pseudo-terminal: what its child takes for a terminal, and the end from which we look at it.

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, unlockpt},
    termios::{Winsize, tcgetwinsize, tcsetwinsize},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Both ends of a pseudo-terminal. Neither is inherited by a child that it was not given to.
#[derive(Debug)]
pub struct Terminal {
    /// Our end: what the child writes is read here, what is written here the child reads. When all copies of the other end are closed, reading fails with `EIO`.
    pub outer: OwnedFd,
    /// The child's end.
    pub inner: OwnedFd,
}

impl Terminal {
    /// A new one, of 0 rows and 0 columns as the system makes them, if no size is given.
    ///
    /// # Errors
    /// If there are too many terminals or descriptors.
    pub fn open(size: Option<WindowSize>) -> io::Result<Terminal> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let inner = inner(&outer)?;
        if let Some(size) = size {
            set_window_size(&outer, size)?;
        }
        Ok(Terminal { outer, inner })
    }
}

/// Sets the size, at either end. The processes in front of it are told by a SIGWINCH.
///
/// # Errors
/// If it is no terminal.
pub fn set_window_size(terminal: impl AsFd, size: WindowSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}

/// The size.
///
/// # Errors
/// If it is no terminal.
pub fn window_size(terminal: impl AsFd) -> io::Result<WindowSize> {
    let size = tcgetwinsize(terminal)?;
    Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// The other end, by the descriptor and not by a path, which may lead elsewhere in a mount namespace.
#[cfg(target_os = "linux")]
fn inner(outer: &OwnedFd) -> io::Result<OwnedFd> {
    use rustix::pty::ioctl_tiocgptpeer;
    Ok(ioctl_tiocgptpeer(outer, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?)
}

/// The other end.
#[cfg(not(target_os = "linux"))]
fn inner(outer: &OwnedFd) -> io::Result<OwnedFd> {
    use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt};
    let path = rustix::pty::ptsname(outer, Vec::new())?;
    let path = path.to_str().map_err(io::Error::other)?;
    Ok(OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)?.into())
}
