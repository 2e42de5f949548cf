//! A child that goes on with its parent's reactor is told so.
//!
//! After a `fork` both have one poll set and the same sockets: each would take events and bytes from the other, and what the child lets go would be taken out of the
//! parent's poll set. So the child gets an error, and lets everything alone.
//!
//! A handler of `pthread_atfork` counts the forks that this process is a child of; to look at that is a load. Not seen are children of a bare `clone`, which no handler is
//! called for.

use super::core::Core;
use crate::error::ReactorForked;
use forkguard::atfork::Guard;
use std::io;

/// The process that a reactor was made in.
pub(crate) struct Birthplace(Guard);

impl Birthplace {
    pub(crate) fn here() -> Birthplace {
        Birthplace(Guard::default())
    }

    /// Whether this is a child of that process.
    #[inline]
    fn is_left(&self) -> bool {
        self.0.clone().detected_fork()
    }
}

impl Core {
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.birthplace.is_left()
    }

    /// An error in a child of the process that the reactor was made in.
    pub(crate) fn check_fork(&self) -> io::Result<()> {
        if self.is_forked() {
            return Err(io::Error::other(ReactorForked::default()));
        }
        Ok(())
    }
}
