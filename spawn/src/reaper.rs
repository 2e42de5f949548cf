//! Children whose handle was dropped while they ran: one thread waits for all of them.

use crate::child::wait;
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    process::{WaitId, WaitIdOptions},
};
use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

/// The children that are left, by the number of their pidfd. The thread sleeps in the poll set.
struct Orphanage {
    poll_set: OwnedFd,
    children: Mutex<HashMap<u64, OwnedFd>>,
}

/// Has the child waited for when it ends. If even that cannot be had, for want of descriptors or threads, it may become a zombie.
pub(crate) fn leave(pidfd: BorrowedFd<'_>) {
    let Some(orphanage) = Orphanage::get() else { return };
    let Ok(pidfd) = pidfd.try_clone_to_owned() else { return };
    let _ = orphanage.take(pidfd);
}

impl Orphanage {
    /// The one of this process, whose thread is started with the first child. None if it cannot be started.
    fn get() -> Option<&'static Orphanage> {
        static ORPHANAGE: OnceLock<Option<Orphanage>> = OnceLock::new();
        static THREAD: OnceLock<bool> = OnceLock::new();
        let orphanage = ORPHANAGE.get_or_init(|| {
            let poll_set = epoll::create(CreateFlags::CLOEXEC).ok()?;
            Some(Orphanage { poll_set, children: Mutex::default() })
        });
        let orphanage = orphanage.as_ref()?;
        let started = || {
            let thread = thread::Builder::new().name("twistor-reaper".into()).stack_size(64 << 10);
            thread.spawn(|| orphanage.serve()).is_ok()
        };
        THREAD.get_or_init(started).then_some(orphanage)
    }

    fn take(&self, pidfd: OwnedFd) -> io::Result<()> {
        let number = pidfd.as_raw_fd() as u64;
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        epoll::add(&self.poll_set, &pidfd, EventData::new_u64(number), EventFlags::IN)?; // heard of even if it has ended already
        children.insert(number, pidfd);
        Ok(())
    }

    fn serve(&self) {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        loop {
            events.clear();
            let _ = epoll::wait(&self.poll_set, spare_capacity(&mut events), None); // interrupted: none
            for event in &events {
                self.ended(event.data.u64());
            }
        }
    }

    fn ended(&self, number: u64) {
        let Some(pidfd) = self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) else {
            return;
        };
        let _ = wait(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        let _ = epoll::delete(&self.poll_set, &pidfd); // while it has its number
    }
}
