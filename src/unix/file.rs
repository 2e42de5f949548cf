//! [`SocketFile`]: what a bound socket leaves in the file system, and what others have left.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
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
    match UnixStream::connect(path) {
        Ok(_) => Ok(Found::InUse),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Ok(Found::Stale),
            io::ErrorKind::NotFound => Ok(Found::Nothing),
            _ if is_of_another_type(&error) => Ok(Found::InUse),
            _ => Err(error),
        },
    }
}

/// Whether a socket of datagrams is there.
fn is_of_another_type(error: &io::Error) -> bool {
    /// EPROTOTYPE of Linux; std has no kind for it.
    const EPROTOTYPE: i32 = 91;
    error.raw_os_error() == Some(EPROTOTYPE)
}
