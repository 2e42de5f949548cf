//! The poll set: a level-triggered epoll, read in batches.

use crate::{
    protocol::socket::{Interest, Token},
    reactor::driver::Ready,
};
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

/// What the alarm is told under. No token is so large.
const ALARM: u64 = u64::MAX;

/// The longest sleep in one call: about 24 days, what `epoll_wait` takes on a kernel without `epoll_pwait2`.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// What an event of the poll set is about.
pub(super) enum Event {
    /// The alarm has been rung.
    Alarm,
    Socket(Ready),
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
        token: Token,
        from: Interest,
        to: Interest,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token.0.into());
        if from == to {
            return Ok(());
        }
        if from == Interest::NONE {
            epoll::add(&self.epoll, socket, data, asked(to))?;
        } else if to == Interest::NONE {
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
                token => Event::Socket(told(Token(token as u32), event.flags)),
            });
        }
    }
}

/// What the kernel says of a socket. An error or a hang-up is both.
fn told(token: Token, flags: EventFlags) -> Ready {
    const BROKEN: EventFlags = EventFlags::ERR.union(EventFlags::HUP);
    let read = flags.intersects(EventFlags::IN.union(BROKEN));
    let write = flags.intersects(EventFlags::OUT.union(BROKEN));
    Ready { token, read, write }
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
