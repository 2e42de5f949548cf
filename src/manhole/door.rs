//! The UNIX socket: who may come in, and what becomes of its file.

use super::{ManholeError, visitor};
use crate::{
    failure::Failure,
    protocol::socket::{Interest, OwnedSocket},
    reactor::{
        core::{Core, Socket},
        driver::Ready,
    },
};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    panic::Location,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// At most so many are served at a time; others are told to come again.
const VISITORS: usize = 16;
/// So many may wait to be accepted.
const BACKLOG: i32 = 16;
/// So long the door rests when it cannot accept, rather than to be told of the same visitor again and again.
const REST: Duration = Duration::from_millis(500);

struct Door {
    /// The listener's, by a clone of its descriptor.
    socket: OwnedSocket,
    listener: UnixListener,
    path: PathBuf,
    /// The device and the number of its file: another one's at the same path is not ours to remove.
    file: Option<(u64, u64)>,
    /// One clone goes with each visitor.
    visitors: Arc<()>,
}

pub(super) fn open(core: &Rc<Core>, path: &Path) -> Result<(), ManholeError> {
    make_room(path)?;
    let refused = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AddrInUse => ManholeError::InUse(path.into()),
        _ => ManholeError::System { what: path.display().to_string(), cause },
    };
    let listener = bind(path).map_err(refused)?;
    let watched = listener.try_clone().and_then(|clone| core.driver.adopt(OwnedFd::from(clone)));
    let socket = watched.map_err(refused)?.into();
    let (file, visitors) = (identity(path), Arc::new(()));
    let door = Rc::new(Door { socket, listener, path: path.into(), file, visitors });
    core.add(&door.socket, door.clone());
    core.watch(&door.socket, Interest::READ).map_err(|cause| {
        core.close_socket(&door.socket);
        refused(cause)
    })
}

/// Removes a socket that nobody listens at any more.
fn make_room(path: &Path) -> Result<(), ManholeError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(ManholeError::NotASocket(path.into()));
    }
    let refused = |cause| ManholeError::System { what: path.display().to_string(), cause };
    match UnixStream::connect(path) {
        Ok(_) => Err(ManholeError::InUse(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        Err(error) => Err(refused(error)),
    }
}

/// The mode is set before anybody can connect, which is only from `listen` on.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(OwnedFd::from(socket).into())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Door {
    fn accept(&self, core: &Rc<Core>) -> io::Result<()> {
        let (stream, _) = self.listener.accept()?;
        if Arc::strong_count(&self.visitors) > VISITORS {
            return visitor::send_away(stream);
        }
        // Who cannot be let in is gone already, or there is no descriptor: nothing is to be done about either.
        visitor::let_in(core, stream, self.visitors.clone())
    }

    fn rest(self: &Rc<Self>, core: &Rc<Core>) {
        let _ = core.watch(&self.socket, Interest::NONE); // else it does not rest, and comes here again
        let (weak, weak_core) = (Rc::downgrade(self), Rc::downgrade(core));
        core.timers.schedule(core.now().saturating_add(REST), Location::caller(), move || {
            if let (Some(door), Some(core)) = (weak.upgrade(), weak_core.upgrade()) {
                let _ = core.watch(&door.socket, Interest::READ); // closed meanwhile
            }
        });
    }
}

impl Socket for Door {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        for _ in 0..VISITORS {
            match self.accept(core) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!("nobody is let in at {}: {error}", self.path.display());
                    return self.rest(core);
                }
            }
        }
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, _why: Failure) {
        core.close_socket(&self.socket);
    }

    fn serial(&self) -> u32 {
        0
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            let _ = fs::remove_file(&self.path); // what is left is replaced by the next one
        }
    }
}
