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
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// The children that are left, by the number of their pidfd. The thread sleeps in the poll set.
struct Orphanage {
    poll_set: OwnedFd,
    children: Mutex<HashMap<u64, Arc<OwnedFd>>>,
}

/// Has the child waited for when it ends. It needs no further descriptor, but for the first one. If that, or the thread, cannot be had then, the
/// child becomes a zombie; the next one tries again.
pub(crate) fn leave(pidfd: Arc<OwnedFd>) {
    let _ = Orphanage::get().and_then(|orphanage| orphanage.take(pidfd));
}

impl Orphanage {
    /// The one of this process, whose thread is started with the first child.
    fn get() -> io::Result<Arc<Orphanage>> {
        static ORPHANAGE: Mutex<Option<Arc<Orphanage>>> = Mutex::new(None);
        let mut there = ORPHANAGE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orphanage) = &*there {
            return Ok(orphanage.clone());
        }
        let new = Arc::new(Orphanage {
            poll_set: epoll::create(CreateFlags::CLOEXEC)?,
            children: Mutex::default(),
        });
        let served = new.clone();
        let thread = thread::Builder::new().name("twistor-reaper".into()).stack_size(64 << 10);
        thread.spawn(move || served.serve())?;
        *there = Some(new.clone());
        Ok(new)
    }

    fn take(&self, pidfd: Arc<OwnedFd>) -> io::Result<()> {
        let number = pidfd.as_raw_fd() as u64;
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        epoll::add(&self.poll_set, &*pidfd, EventData::new_u64(number), EventFlags::IN)?; // heard of even if it has ended already
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
        let _ = epoll::delete(&self.poll_set, &*pidfd); // while it has its number
    }
}
