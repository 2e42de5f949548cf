//! One turn of the loop, as a list of named steps.

use super::core::{Core, Socket};
use crate::{defer::record, protocol::socket::Token, report, snapshot::here, trace::Event};
use std::{
    io, iter,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

/// At most so many polls of tasks in one turn, so that sockets and timers get theirs.
const POLLS: usize = 256;

impl Core {
    /// All steps but the wait. User code runs in each of them; a panic is caught where it happens.
    pub(crate) fn turn(self: &Rc<Self>) {
        let now = self.now();
        let _turn = Turn::begin_at(self, now);
        let called = self.calls_from_threads();
        self.due_timers(if called { self.now() } else { now });
        self.stop_if_asked();
        self.sockets();
        self.waiting_calls();
        self.woken_tasks();
        self.flush();
    }

    /// Those that were there when the step began; what they queue comes with the next turn. Whether there were some.
    fn calls_from_threads(self: &Rc<Self>) -> bool {
        if !self.mailbox.is_full() {
            return false;
        }
        for left in self.mailbox.take() {
            if let Err(failure) = report::guarded(|| (left.call)(self)) {
                report::unhandled("call_from_thread", failure);
            }
        }
        true
    }

    /// Those that were scheduled before the step began, by a call from a thread too: a call of no delay that is made by one of these comes
    /// with the next turn.
    fn due_timers(&self, now: Duration) {
        let pass = self.timers.made();
        while let Some(due) = self.timers.pop_due(now, pass) {
            let place = due.place();
            if let Err(mut failure) = report::guarded(|| due.make()) {
                failure.note(Event::Made, place);
                report::unhandled("call_later", failure);
            }
        }
    }

    /// What the wait has told. Each socket sends what its own event made it write before the next one is called.
    fn sockets(self: &Rc<Self>) {
        let mut batch = self.batch.take();
        self.share_among(batch.len());
        each(batch.drain(..), |ready| self.call(ready.token, |socket| socket.ready(self, ready)));
        self.batch.set(batch);
    }

    /// Calls a socket, if it is still there.
    #[inline]
    fn call(&self, token: Token, f: impl FnOnce(Rc<dyn Socket>)) {
        if let Some(socket) = self.get(token).filter(|_| !self.is_forked()) {
            here::set_owner(socket.serial());
            f(socket);
        }
    }

    /// Calls of protocols that had too many for one go. One go each.
    fn waiting_calls(self: &Rc<Self>) {
        let count = self.held.borrow().len();
        if count == 0 {
            return;
        }
        let next = || self.held.borrow_mut().pop_front();
        each(iter::from_fn(next).take(count), |token| self.call(token, |socket| socket.go_on(self)));
    }

    fn woken_tasks(&self) {
        if !self.wakes.has_woken() {
            return;
        }
        let Some(executor) = self.tasks() else { return };
        for _ in 0..POLLS {
            if !executor.try_tick() {
                return;
            }
        }
    }

    /// What was written outside of a socket's own event leaves, in one send a connection.
    fn flush(self: &Rc<Self>) {
        if !self.has_touched() {
            return;
        }
        let mut touched = self.take_touched();
        each(touched.drain(..), |token| self.call(token, |socket| socket.serve(self)));
        self.give_touched_back(touched);
    }

    /// Sleeps in the driver until there is something to do, and keeps what it tells for the next turn.
    pub(super) fn wait_for_sockets(&self, at_most: Option<Duration>) -> io::Result<()> {
        let mut batch = self.batch.take();
        let timeout = if batch.is_empty() { self.timeout(at_most) } else { Some(Duration::ZERO) };
        let result = self.driver.wait(timeout, &mut batch);
        self.batch.set(batch);
        result
    }

    /// How long there is nothing to do.
    pub(crate) fn timeout(&self, at_most: Option<Duration>) -> Option<Duration> {
        if self.is_busy() || self.mailbox.is_full() || self.is_over() || self.stop_asked.get() {
            return Some(Duration::ZERO);
        }
        let timer = self.timers.next_deadline().map(|at| at.saturating_sub(self.now()));
        match (timer, at_most) {
            (Some(timer), Some(limit)) => Some(timer.min(limit)),
            (timer, limit) => timer.or(limit),
        }
    }

    /// Looks what the driver has, without waiting.
    pub(crate) fn look(&self) -> io::Result<()> {
        self.wait_for_sockets(Some(Duration::ZERO))
    }

    /// Whether the next turn has something to do that is known by now.
    pub(crate) fn has_something_to_do(&self) -> bool {
        let batch = self.batch.take();
        let told = !batch.is_empty();
        self.batch.set(batch);
        told || self.timeout(None) == Some(Duration::ZERO)
    }

    /// The same as [`wait_for_sockets`](Self::wait_for_sockets) for a guest: ready when there is something to do, which the next turn then finds.
    pub(crate) fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_something_to_do() {
            return Poll::Ready(self.look());
        }
        let deadline = self.timers.next_deadline().map(|at| self.instant(at));
        self.driver.poll_wait(cx, deadline).map(|result| result.and_then(|()| self.look()))
    }
}

/// Serves one after another, under one guard for all. A panic of the program's code ends what it belongs to, further up; none ends the loop, or keeps the
/// others from their turn.
fn each<T>(all: impl IntoIterator<Item = T>, serve: impl Fn(T)) {
    let mut all = all.into_iter();
    let _owner = here::owned_by(0);
    while let Err(failure) = report::guarded(|| all.by_ref().for_each(&serve)) {
        report::unhandled("a socket", failure);
    }
}

/// Marks that a turn is on the stack, so that what is asked for needs no alarm; and tells what is made the time.
pub(crate) struct Turn<'a> {
    core: &'a Core,
    /// Whether it is inside another one.
    inside: bool,
    _time: record::Turning,
}

impl<'a> Turn<'a> {
    pub(crate) fn begin(core: &'a Core) -> Turn<'a> {
        Turn::begin_at(core, core.now())
    }

    fn begin_at(core: &'a Core, now: Duration) -> Turn<'a> {
        Turn { core, inside: core.turning.replace(true), _time: record::turn(core.serial, now) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.core.turning.set(self.inside);
    }
}
