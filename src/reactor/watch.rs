//! How the loop learns that a task is to be polled.
//!
//! One tick of the executor stays registered from turn to turn. The first task that is woken sets it off, from whatever thread, and it tells [`Wakes`]; until then no
//! task is runnable, and no turn looks. While the loop is awake that is all: it looks before it sleeps. While it sleeps, it is woken.

use super::{core::Core, turn::Turn};
use futures::task::AtomicWaker;
use std::{
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, ThreadId},
    time::Duration,
};

/// What the executor tells that a task is runnable.
pub(crate) struct Wakes {
    /// Whether there may be one that the executor has not been asked for. True while no tick is registered.
    woken: AtomicBool,
    asleep: AtomicBool,
    /// Who sleeps: the reactor's thread, or its host's task.
    sleeper: AtomicWaker,
    /// Whether async-io has ended a sleep.
    by_async_io: AtomicBool,
    /// The reactor's.
    thread: ThreadId,
}

impl Wakes {
    pub(crate) fn new() -> Arc<Wakes> {
        Arc::new(Wakes {
            woken: AtomicBool::new(true),
            asleep: AtomicBool::new(false),
            sleeper: AtomicWaker::new(),
            by_async_io: AtomicBool::new(false),
            thread: thread::current().id(),
        })
    }

    /// A task was woken, or spawned, or may have been.
    pub(crate) fn note(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    /// Whether a task may be runnable.
    pub(crate) fn has_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// The loop is going to sleep, and `sleeper` is how to wake it. A task that was woken before is seen by who asks after this.
    fn lie_down(&self, sleeper: &Waker) {
        self.sleeper.register(sleeper);
        self.asleep.store(true, Ordering::SeqCst);
    }

    fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Whether the wake comes from async-io: from the thread that it has for those who do not park in it, or from the reactor's own, which while it
    /// sleeps runs nothing but async-io.
    fn is_of_async_io(&self) -> bool {
        let current = thread::current();
        current.id() == self.thread || current.name() == Some("async-io")
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// First says what has happened, then looks who sleeps. Who lies down does it the other way round, so one of the two sees the other.
    fn wake_by_ref(self: &Arc<Self>) {
        self.note();
        if !self.asleep.load(Ordering::SeqCst) {
            return;
        }
        if self.is_of_async_io() {
            self.by_async_io.store(true, Ordering::Relaxed);
        }
        self.sleeper.wake();
    }
}

/// The loop's side, for the time of a run.
pub(super) struct Watch {
    pub(super) core: Rc<Core>,
    waker: Waker,
    /// None until there is a task, and when it has run one.
    tick: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Watch {
    pub(super) fn new(core: &Rc<Core>) -> Watch {
        Watch { core: core.clone(), waker: core.wakes.clone().into(), tick: None }
    }

    /// Sleeps until there is something to do, and keeps what the driver tells for the next turn. `at_most` is for [`iterate`](super::Reactor::iterate).
    pub(super) fn wait(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        if self.poll_tasks() {
            return self.core.look();
        }
        if self.tick.is_none() {
            return self.core.wait_for_sockets(at_most); // nobody has a task to wake
        }
        let wakes = &self.core.wakes;
        wakes.lie_down(&self.core.waker);
        let at_most = if wakes.has_woken() { Some(Duration::ZERO) } else { at_most };
        let result = self.core.wait_for_sockets(at_most);
        wakes.get_up();
        result
    }

    /// The same for a guest: ready when there is something to do, which the next turn then finds.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core.wakes.get_up();
        if self.poll_tasks() {
            return Poll::Ready(self.core.look());
        }
        let wakes = &self.core.wakes;
        wakes.lie_down(cx.waker());
        let poll = if wakes.has_woken() { Poll::Ready(self.core.look()) } else { self.core.poll_wait(cx) };
        if poll.is_ready() {
            // Else the turn that comes would wake the host for the tasks that it polls itself.
            wakes.get_up();
        }
        poll
    }

    /// Asks the executor, if there is reason to. Whether a task was runnable; one has been run then. Else the tick is registered.
    fn poll_tasks(&mut self) -> bool {
        let core = &self.core;
        if !core.wakes.has_woken() {
            return false;
        }
        core.wakes.woken.store(false, Ordering::SeqCst);
        if self.tick.is_none() {
            let tick = core.tasks().map(|executor| async move { executor.tick().await });
            self.tick = tick.map(|tick| Box::pin(tick) as _);
        }
        let Some(tick) = &mut self.tick else { return false };
        let _turn = Turn::begin(core);
        let ran = tick.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready();
        if ran {
            self.tick = None;
            core.wakes.note();
        }
        ran
    }

    /// Whether async-io has ended a sleep since this was asked last.
    pub(super) fn was_woken_by_async_io(&self) -> bool {
        let by_async_io = &self.core.wakes.by_async_io;
        by_async_io.load(Ordering::Relaxed) && by_async_io.swap(false, Ordering::Relaxed)
    }

    /// Lets go of the executor. A turn has to look for itself again.
    pub(super) fn forget(&mut self) {
        self.tick = None;
        self.core.wakes.note();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.forget();
        self.core.wakes.get_up();
        drop(self.core.wakes.sleeper.take());
    }
}
