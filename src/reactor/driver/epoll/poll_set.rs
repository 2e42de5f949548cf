//! The poll set: a level-triggered epoll, read in batches.

use crate::reactor::driver::{Interest, Key, Ready};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    fd::{BorrowedFd, OwnedFd},
    io::Errno,
};
use std::{cell::RefCell, io, rc::Rc, time::Duration};

/// Events read at once. More only makes the first of a batch wait longer for the last; the kernel queues those that
/// were told behind those that were not, so nobody starves.
const BATCH: usize = 256;

/// The key of the alarm. No slab is so large.
const ALARM: u64 = u64::MAX;

/// The longest sleep in one call: about 24 days, what `epoll_wait` takes on a kernel without `epoll_pwait2`.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// What an event of the poll set is about.
pub(super) enum Event {
    /// The alarm has been rung.
    Alarm,
    Socket(Readiness),
}

/// What the kernel says of a socket, whatever was asked of it.
pub(super) struct Readiness {
    pub(super) key: Key,
    flags: EventFlags,
}

pub(super) struct PollSet {
    /// Shared with async-io while the set is nested there.
    epoll: Rc<OwnedFd>,
    /// The batch that has been read and not yet been handed out. Never grown: its capacity is the batch's bound.
    batch: RefCell<Vec<epoll::Event>>,
}

impl PollSet {
    pub(super) fn new(alarm: BorrowedFd<'_>) -> io::Result<PollSet> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, alarm, EventData::new_u64(ALARM), EventFlags::IN)?;
        Ok(PollSet { epoll: Rc::new(epoll), batch: RefCell::new(Vec::with_capacity(BATCH)) })
    }

    /// The set itself as a descriptor, readable when something in it is ready.
    pub(super) fn descriptor(&self) -> Rc<OwnedFd> {
        self.epoll.clone()
    }

    /// Makes `to` of a socket's interest. Without any it leaves the set: epoll tells errors and hang-ups unasked.
    pub(super) fn change(
        &self,
        socket: BorrowedFd<'_>,
        key: Key,
        from: Interest,
        to: Interest,
    ) -> io::Result<()> {
        let none = Interest::default();
        let data = EventData::new_u64(key.0 as u64);
        if from == to {
            return Ok(());
        }
        if from == none {
            epoll::add(&self.epoll, socket, data, asked(to))?;
        } else if to == none {
            epoll::delete(&self.epoll, socket)?;
        } else {
            epoll::modify(&self.epoll, socket, data, asked(to))?;
        }
        Ok(())
    }

    /// Waits for a batch, unless there is one that nobody has taken yet. Whether there is one now.
    pub(super) fn fill(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let batch = &mut *self.batch.borrow_mut();
        if !batch.is_empty() {
            return Ok(true);
        }
        match epoll::wait(&self.epoll, spare_capacity(batch), timeout.map(timespec).as_ref()) {
            // A signal's handler has run; to the caller that is a sleep which ended early.
            Ok(_) | Err(Errno::INTR) => Ok(!batch.is_empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is a batch that nobody has taken yet.
    pub(super) fn has_batch(&self) -> bool {
        !self.batch.borrow().is_empty()
    }

    /// Takes the batch, if there is one.
    pub(super) fn take(&self, mut each: impl FnMut(Event)) {
        for event in self.batch.borrow_mut().drain(..) {
            each(match event.data.u64() {
                ALARM => Event::Alarm,
                key => Event::Socket(Readiness { key: Key(key as usize), flags: event.flags }),
            });
        }
    }
}

impl Readiness {
    /// What of it answers `interest`. An error or a hang-up answers all, so that the next call meets it.
    pub(super) fn answer(&self, interest: Interest) -> Option<Ready> {
        let broken = self.flags.intersects(EventFlags::ERR | EventFlags::HUP);
        let read = interest.read && (broken || self.flags.contains(EventFlags::IN));
        let write = interest.write && (broken || self.flags.contains(EventFlags::OUT));
        (read || write).then_some(Ready { key: self.key, read, write })
    }
}

fn asked(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.read);
    flags.set(EventFlags::OUT, interest.write);
    flags
}

/// Rustix gives `epoll_wait` whole milliseconds and rounds up, so that no sleep ends early only to be begun again.
fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(LONGEST);
    Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ }
}
