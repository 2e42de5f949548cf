//! The poll set as a guest of async-io: nested in its poll set as one descriptor, beside one timer.

use async_io::{Async, Timer};
use rustix::fd::OwnedFd;
use std::{
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

/// What async-io holds of us. Dropped, it holds nothing.
#[derive(Default)]
pub(super) struct Nest {
    /// The poll set, from the first time that there was nothing in it.
    source: Option<Source>,
    /// What wakes us for a deadline, and when it does: never after the deadline, but maybe before.
    timer: Option<(Instant, Timer)>,
}

impl Nest {
    /// Pending until the poll set has something or the deadline has come; `look` reads the set and says whether there
    /// is something, `descriptor` gives it.
    ///
    /// The order saves system calls. First what async-io has told already, for `poll_readable` would tell it to the
    /// next call instead, as stale news. Then the poll set, so that it is armed empty: a set that is still readable
    /// would end async-io's next wait at once. What becomes ready between `look` and arming is not lost, for epoll
    /// asks a descriptor for its state when it is armed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        look: impl FnOnce() -> io::Result<bool>,
        descriptor: impl FnOnce() -> Rc<OwnedFd>,
    ) -> Poll<io::Result<()>> {
        if let Some(source) = &mut self.source {
            source.listen(cx)?;
        }
        if look()? || self.poll_deadline(cx, deadline).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let source = match &mut self.source {
            Some(source) => source,
            none => none.insert(Source::new(descriptor())?),
        };
        source.arm(cx)?;
        Poll::Pending
    }

    /// Ready at `deadline`. To set a timer is a write to async-io's eventfd and a turn of its loop, so one that rings
    /// before the deadline is left to ring and set again only then: a deadline that is put off with each message
    /// costs nothing.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.timer = None;
            return Poll::Pending;
        };
        loop {
            match &mut self.timer {
                Some((rings, timer)) if *rings <= deadline => {
                    ready!(Pin::new(timer).poll(cx));
                    let due = *rings == deadline;
                    self.timer = None;
                    if due {
                        return Poll::Ready(());
                    }
                }
                _ => self.timer = Some((deadline, Timer::at(deadline))),
            }
        }
    }
}

/// The poll set's descriptor in async-io's poll set.
struct Source {
    descriptor: Async<Rc<OwnedFd>>,
    /// Whether async-io has our waker and has told us nothing since.
    armed: bool,
}

impl Source {
    fn new(descriptor: Rc<OwnedFd>) -> io::Result<Source> {
        // Nothing is read through async-io, so the descriptor need not be made non-blocking.
        Ok(Source { descriptor: Async::new_nonblocking(descriptor)?, armed: false })
    }

    /// Takes what async-io has told, if it was asked; without news it gets the waker of this call.
    fn listen(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.armed {
            self.ask(cx)?;
        }
        Ok(())
    }

    /// Leaves our waker with async-io.
    fn arm(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.armed {
            self.ask(cx)?;
        }
        Ok(())
    }

    fn ask(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let news = self.descriptor.poll_readable(cx);
        self.armed = news.is_pending();
        match news {
            Poll::Ready(told) => told,
            Poll::Pending => Ok(()),
        }
    }
}
