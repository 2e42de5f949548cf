//! [`SocketFile`]: what a bound socket leaves in the file system, and what others have left.

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{self, Path, PathBuf},
};

/// The file of a socket that is open. It goes when this is dropped, unless another one is there by then.
///
/// It is dropped before the socket is closed: as long as that is open, no other file has its number.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// The whole path: the program may go to another directory.
    path: PathBuf,
    /// Its device and its number there.
    identity: (u64, u64),
}

impl SocketFile {
    /// Of a socket that was just bound to this path.
    pub(crate) fn of(path: &Path) -> io::Result<SocketFile> {
        let path = path::absolute(path)?;
        let identity = identity(&path)?;
        Ok(SocketFile { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            let _ = fs::remove_file(&self.path); // what stays is in the way of the next one, who is told
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// What is at a path where a socket is to be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A socket whose process is gone.
    Stale,
    /// A socket that somebody listens at, or has bound.
    InUse,
    /// Something else, which is not ours to remove.
    NoSocket,
}

/// Looks by connecting, which is refused where nobody listens.
///
/// # Errors
/// The system's, where it cannot tell.
pub(crate) fn look(path: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => return Ok(Found::NoSocket),
        Ok(_) => {}
    }
    // Of a listener whose queue is full a call that may block would wait for room.
    let flags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // EAGAIN: its queue is full. EPROTOTYPE: a socket of datagrams.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Found::InUse),
        Err(Errno::CONNREFUSED) => Ok(Found::Stale),
        Err(Errno::NOENT) => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    }
}
