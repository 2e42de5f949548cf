//! [`Slot`]: the place of a protocol, which is never entered twice.

use super::{Carrier, Context};
use crate::{
    defer::{Deferred, IntoDeferred, Promise},
    error::ProtocolGone,
    failure::Failure,
    report,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    panic::Location,
    rc::Rc,
};

/// Holds a protocol and lends it to one method at a time.
///
/// A call that comes while a method runs waits in a queue and runs as soon as that method has returned: between two lines of a
/// framer, before the next event. The slot is emptied when the connection is lost, so that a context kept in the protocol is
/// no cycle that lasts.
pub struct Slot<P, T = super::Transport> {
    /// Borrowed while a method of the protocol runs: that is how a call finds out that it must wait. Nobody else borrows it.
    protocol: RefCell<Option<P>>,
    queue: Cell<Option<Box<Queue<P, T>>>>,
}

type Queue<P, T> = VecDeque<Box<dyn Waiting<P, T>>>;

/// A call that waits for its turn.
trait Waiting<P, T> {
    /// Runs it. What it leaves for when the protocol is free again is given back.
    fn run(self: Box<Self>, protocol: &mut P, cx: &Context<P, T>) -> Box<dyn FnOnce()>;
}

/// After so many calls in a row the reactor looks after others, and comes back for the rest before any event.
const CALLS_IN_A_ROW: usize = 64;

impl<P: 'static, T: Carrier> Slot<P, T> {
    pub(crate) fn new(protocol: P) -> Slot<P, T> {
        Slot { protocol: RefCell::new(Some(protocol)), queue: Cell::new(None) }
    }

    /// Lends the protocol to a method, and then to the calls that waited for it. False if a method runs already, or the
    /// protocol is gone. A panic ends the connection; `what` names the method in its report.
    #[inline]
    pub(crate) fn enter(
        &self,
        cx: &Context<P, T>,
        what: &'static str,
        f: impl FnOnce(&mut P, &Context<P, T>),
    ) -> bool {
        let Ok(mut place) = self.protocol.try_borrow_mut() else { return false };
        let Some(protocol) = place.as_mut() else { return false };
        let result = report::guarded(|| f(protocol, cx));
        drop(place);
        if let Err(failure) = result {
            ended_by_panic(cx, what, failure);
        }
        if let Some(queue) = self.queue.take() {
            self.queue.set(Some(queue));
            self.run_waiting(cx);
        }
        true
    }

    /// Runs calls that wait; false if the reactor will come back for the rest.
    #[cold]
    pub(crate) fn run_waiting(&self, cx: &Context<P, T>) -> bool {
        let mut left = CALLS_IN_A_ROW;
        while let Some(call) = self.next() {
            let Ok(mut place) = self.protocol.try_borrow_mut() else {
                self.put_back(call);
                return true; // whoever has it runs the queue afterwards
            };
            let Some(protocol) = place.as_mut() else { return true };
            let result = report::guarded(|| call.run(protocol, cx));
            drop(place);
            match result {
                Ok(then) => then(),
                Err(failure) => ended_by_panic(cx, "a call", failure),
            }
            left -= 1;
            if left == 0 {
                if self.has_waiting() && cx.hold() {
                    return false;
                }
                left = CALLS_IN_A_ROW;
            }
        }
        true
    }

    fn next(&self) -> Option<Box<dyn Waiting<P, T>>> {
        let mut queue = self.queue.take()?;
        let next = queue.pop_front();
        if !queue.is_empty() {
            self.queue.set(Some(queue));
        }
        next
    }

    fn put_back(&self, call: Box<dyn Waiting<P, T>>) {
        let mut queue = self.queue.take().unwrap_or_default();
        queue.push_front(call);
        self.queue.set(Some(queue));
    }

    fn has_waiting(&self) -> bool {
        let queue = self.queue.take();
        let some = queue.is_some();
        self.queue.set(queue);
        some
    }

    /// See [`Context::call`].
    #[track_caller]
    pub(crate) fn call<R: IntoDeferred>(
        &self,
        cx: &Context<P, T>,
        f: impl FnOnce(&mut P, &Context<P, T>) -> R + 'static,
    ) -> Deferred<R::Output> {
        match self.protocol.try_borrow_mut() {
            Err(_) => self.wait(f),
            Ok(place) if place.is_none() => Deferred::failed(Failure::quiet(ProtocolGone::default())),
            Ok(place) => {
                drop(place);
                let mut result = None;
                self.enter(cx, "a call", |protocol, cx| result = Some(f(protocol, cx).into_deferred()));
                // None if it panicked: that was reported, and ends the connection.
                result.unwrap_or_else(|| Deferred::failed(Failure::quiet(ProtocolGone::default())))
            }
        }
    }

    /// Puts a call at the end of the queue. It is the source of its Deferred: the chain goes on when its turn has come, and
    /// waits for what it gave.
    #[track_caller]
    fn wait<R: IntoDeferred>(
        &self,
        f: impl FnOnce(&mut P, &Context<P, T>) -> R + 'static,
    ) -> Deferred<R::Output> {
        let f = Rc::new(Cell::new(Some(f)));
        let cancelled = f.clone();
        let (turn, promise) =
            Deferred::<Deferred<R::Output>>::cancellable(move |_promise| drop(cancelled.take()));
        let call = Call { f, promise: Some(promise) };
        let mut queue = self.queue.take().unwrap_or_default();
        queue.push_back(Box::new(call));
        self.queue.set(Some(queue));
        turn.add_callback(|given| given)
    }

    /// The connection is lost: the protocol goes, and what waits for it fails.
    pub(crate) fn clear(&self) {
        let gone = self.protocol.try_borrow_mut().ok().and_then(|mut place| place.take());
        drop((gone, self.queue.take()));
    }

    pub(crate) fn peek<R>(&self, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.protocol.try_borrow().ok()?.as_ref().map(f)
    }
}

/// A panic in a method is reported, and ends the connection with the same failure.
#[cold]
fn ended_by_panic<P, T: Carrier>(cx: &Context<P, T>, what: &'static str, failure: Failure) {
    report::unhandled(what, failure.clone());
    cx.failed(failure);
}

struct Call<F, R: IntoDeferred> {
    /// Taken by its turn, or by a cancel.
    f: Rc<Cell<Option<F>>>,
    promise: Option<Promise<Deferred<R::Output>>>,
}

impl<P, T, R, F> Waiting<P, T> for Call<F, R>
where
    R: IntoDeferred,
    F: FnOnce(&mut P, &Context<P, T>) -> R + 'static,
{
    fn run(mut self: Box<Self>, protocol: &mut P, cx: &Context<P, T>) -> Box<dyn FnOnce()> {
        let (Some(f), Some(promise)) = (self.f.take(), self.promise.take()) else { return Box::new(|| ()) };
        let given = f(protocol, cx).into_deferred();
        // Its callbacks may be bound to the same protocol: they shall find it free.
        Box::new(move || drop(promise.fire_at(Ok(given), Location::caller()).is_delivered()))
    }
}

impl<F, R: IntoDeferred> Drop for Call<F, R> {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            promise.fire_at(Err(Failure::quiet(ProtocolGone::default())), Location::caller());
        }
    }
}

impl<P, T> fmt::Debug for Slot<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
