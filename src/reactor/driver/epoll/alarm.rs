//! The alarm: what other threads wake the reactor's thread with.

use crate::reactor::driver::Alarm;
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{read, write},
};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

/// An eventfd of the poll set. Level-triggered: rung while nobody waits, it ends the next wait at once, so nothing
/// is lost between the reactor's last look at its queues and its sleep.
#[derive(Debug)]
pub(super) struct Bell {
    eventfd: OwnedFd,
    /// Whether it has been rung since [`hush`](Self::hush), so that to ring again would be a system call for nothing.
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { eventfd, rung: AtomicBool::new(false) })
    }

    /// What the poll set watches.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Takes the ring back. Only for the thread that waits, in the wait that the ring has ended.
    ///
    /// First the descriptor, then the flag. The other way round, a ring between the two would raise the flag and have
    /// its write drained at once: a flag that says rung, a descriptor that does not, and nobody rings again. As it
    /// is, a ring between the two finds the flag up and writes nothing. It belongs to the wait that ends now, which
    /// sees what it was for: the swap here reads what the swap of that ring has written, and acquires what it
    /// released.
    pub(super) fn hush(&self) {
        // Cannot fail: it is readable, or this would not be called, and nobody else reads it.
        let _ = read(&self.eventfd, &mut [0; 8]);
        self.rung.swap(false, Ordering::AcqRel);
    }
}

impl Alarm for Bell {
    /// Releases to `hush` what was queued before. A ring that finds the flag up writes nothing, for the write of the
    /// one that raised it is still to be drained, or still to come: the flag comes down only after a drain.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It fails only with the counter at 2^64 - 2; then the descriptor is readable anyway.
            let _ = write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }
}
