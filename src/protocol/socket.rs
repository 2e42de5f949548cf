//! What a transport has of the world below: its own socket, which it lends to the driver with each call.
//!
//! Plain data, without I/O. That the transport has it, and no table, makes a call straight: from the connection to the system.

use std::{cell::Cell, io, os::fd::OwnedFd};

/// A socket of the world below. Who has it owns it: one of the system is closed when it is dropped, and both when they
/// are given back to the driver.
#[derive(Debug)]
pub(crate) enum Handle {
    /// A socket of the system.
    Socket(OwnedFd),
    /// What is read and written as a file is: a pipe, a terminal. It has no address and no options.
    File(OwnedFd),
    /// The number of one in memory.
    Virtual(u32),
}

/// The place of a socket in the table of its reactor: what an event is told under. Used again when the socket has
/// closed; an event that is late by one batch then finds the newcomer and nothing to do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub(crate) u32);

impl Token {
    /// Of what is in no table.
    pub(crate) const NONE: Token = Token(u32::MAX);
}

/// What is to be told of a socket. Level-triggered: it is told again until it is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    /// Not even its errors are told.
    pub(crate) const NONE: Interest = Interest { read: false, write: false };
    pub(crate) const READ: Interest = Interest { read: true, write: false };
    pub(crate) const WRITE: Interest = Interest { read: false, write: true };
}

/// A socket as its transport owns it: in one place from its first moment to its end, through which others see that it has ended.
pub(crate) struct OwnedSocket {
    /// None when it is closed, and while a call of the driver has it.
    handle: Cell<Option<Handle>>,
    token: Cell<Token>,
    /// What the driver has been told to watch it for.
    watched: Cell<Interest>,
}

impl Default for OwnedSocket {
    /// A closed one.
    fn default() -> OwnedSocket {
        OwnedSocket {
            handle: Cell::new(None),
            token: Cell::new(Token::NONE),
            watched: Cell::new(Interest::NONE),
        }
    }
}

impl From<Handle> for OwnedSocket {
    fn from(handle: Handle) -> OwnedSocket {
        OwnedSocket { handle: Cell::new(Some(handle)), ..OwnedSocket::default() }
    }
}

impl OwnedSocket {
    /// Opens a closed one.
    pub(crate) fn open(&self, handle: Handle) {
        debug_assert!(!self.is_open());
        self.handle.set(Some(handle));
    }

    /// Lends it to a call of the driver, in which nothing of the program's runs. EBADF if it is closed, as the system would say.
    #[inline]
    pub(crate) fn with<R>(&self, call: impl FnOnce(&Handle) -> io::Result<R>) -> io::Result<R> {
        let Some(handle) = self.handle.take() else { return Err(closed()) };
        let result = call(&handle);
        self.handle.set(Some(handle));
        result
    }

    pub(crate) fn is_open(&self) -> bool {
        self.with(|_| Ok(())).is_ok()
    }

    /// Closes it: the handle is the caller's, to give back to the driver. None if it was closed.
    pub(crate) fn close(&self) -> Option<Handle> {
        self.watched.set(Interest::NONE);
        self.handle.take()
    }

    #[inline]
    pub(crate) fn token(&self) -> Token {
        self.token.get()
    }

    pub(crate) fn set_token(&self, token: Token) {
        self.token.set(token);
    }

    #[inline]
    pub(crate) fn watched(&self) -> Interest {
        self.watched.get()
    }

    pub(crate) fn set_watched(&self, interest: Interest) {
        self.watched.set(interest);
    }
}

#[cold]
fn closed() -> io::Error {
    /// The same number on every UNIX.
    const EBADF: i32 = 9;
    io::Error::from_raw_os_error(EBADF)
}
