//! What is asked of the system for a listening UNIX socket, and for a connection.

use super::{
    file::{Found, SocketFile, look},
    lock::{self, Lock},
    options::{UnixConnect, UnixListen},
};
use crate::{
    address::{Address, UnixAddress, invalid},
    error::ConnectErrorKind,
    failure::Result,
    protocol::socket::Handle,
    reactor::{
        core::Core,
        driver::{BindUnix, Refused},
    },
    sockets::{
        client::{Places, Target},
        descriptors::Descriptors,
        port::Opens,
    },
};
use std::{fs, io, time::Duration};

/// What is beside a listening socket. In this order it goes.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    _file: Option<SocketFile>,
    _lock: Option<Lock>,
}

impl Opens for UnixListen {
    type Passage = Descriptors;
    type Kept = Kept;

    fn place(&self) -> Result<String> {
        Ok(self.at.clone()?.to_string())
    }

    fn open(&self, core: &Core) -> io::Result<(Handle, Kept)> {
        let at = self.at.as_ref().map_err(invalid)?;
        let lock = self.lock(core, at)?;
        let bind = BindUnix { at, mode: self.mode };
        let socket = match core.driver.listen_unix(&bind, self.backlog) {
            Err(error) if lock.is_some() && error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(at, error)?;
                core.driver.listen_unix(&bind, self.backlog)?
            }
            listens => listens?,
        };
        match file_of(at) {
            Ok(file) => Ok((socket, Kept { _file: file, _lock: lock })),
            Err(error) => {
                core.driver.close(socket);
                Err(error)
            }
        }
    }
}

impl UnixListen {
    /// The lock, if it is wanted and there is a file to lock. In memory there is none.
    fn lock(&self, core: &Core, at: &UnixAddress) -> io::Result<Option<Lock>> {
        match at.as_pathname().filter(|_| self.want_pid && !core.driver.is_virtual()) {
            Some(path) => Lock::take(lock::beside(path)).map(Some),
            None => Ok(None),
        }
    }
}

/// Removes what was left behind, if it is that; else it is in use.
fn remove_stale(at: &UnixAddress, in_use: io::Error) -> io::Result<()> {
    let Some(path) = at.as_pathname() else { return Err(in_use) };
    match look(path)? {
        Found::Nothing => Ok(()),
        Found::Stale => fs::remove_file(path),
        Found::InUse | Found::NoSocket => Err(in_use),
    }
}

/// The file that a socket was just bound to.
pub(super) fn file_of(at: &UnixAddress) -> io::Result<Option<SocketFile>> {
    at.as_pathname().map(SocketFile::of).transpose()
}

impl Target for UnixConnect {
    type Passage = Descriptors;

    fn destination(&self) -> String {
        match &self.to {
            Ok(to) => to.to_string(),
            Err(invalid) => invalid.text().into(),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn places(&self) -> Places {
        let to = match &self.to {
            Ok(to) => to,
            Err(error) => return Places::Missing(ConnectErrorKind::Other, Some(invalid(error))),
        };
        let unlocked = to.as_pathname().is_some_and(|path| !lock::is_held(&lock::beside(path)));
        if self.check_pid && unlocked {
            return Places::Missing(ConnectErrorKind::BadFile, None);
        }
        Places::Known(to.clone().into())
    }

    fn open(&self, core: &Core, to: &Address) -> Result<Handle, Refused> {
        match to.as_unix() {
            Some(to) => core.driver.connect_unix(to),
            None => Err(Refused::Connect(io::ErrorKind::InvalidInput.into())),
        }
    }
}
