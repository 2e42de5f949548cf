//! [`Slot`]: the place of a protocol, which is never entered twice.

use super::{Carrier, Context};
use crate::{
    defer::{Deferred, IntoDeferred, Promise, record::Role},
    error::{Panicked, ProtocolGone},
    failure::Failure,
    report,
    trace::Place,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    rc::Rc,
};

/// Holds a protocol and lends it to one method at a time.
///
/// What comes while a method runs waits in a queue and has its turn as soon as that method has returned: between two lines of a framer,
/// before the next event. Nothing overtakes what waits. When the connection is lost the slot is emptied, so that a context
/// kept in the protocol is no cycle that lasts.
pub struct Slot<P, T = super::Transport> {
    /// Borrowed while a method of the protocol runs. Nobody else borrows it.
    protocol: RefCell<Option<P>>,
    /// None while nothing waits.
    queue: Cell<Option<Box<Queue<P, T>>>>,
    phase: Cell<Phase>,
}

type Queue<P, T> = VecDeque<Box<dyn Waiting<P, T>>>;

/// Who is at the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody: who enters the protocol runs what waited meanwhile.
    Idle,
    /// An entry further out on this stack, which goes on when this one returns. So nothing here recurses.
    Running,
    /// The same, and the last event has been told: nothing is taken in any more, what waits still runs.
    Ending,
    /// The slot is empty, or will be when the method that runs returns.
    Over,
}

/// What waits for its turn.
trait Waiting<P, T> {
    /// The name of its method, for the report of a panic.
    fn what(&self) -> &'static str;
    /// Its turn, with the protocol.
    fn enter(&mut self, protocol: &mut P, cx: &Context<P, T>) -> Result<(), Failure>;
    /// The protocol is free again, for whoever is told of the result now.
    fn leave(self: Box<Self>);
    /// Whether the protocol is told nothing after it.
    fn is_last(&self) -> bool {
        false
    }
}

/// After so many turns in a row the reactor looks after others, and comes back for the rest before any event.
const TURNS_IN_A_ROW: usize = 64;

impl<P: 'static, T: Carrier> Slot<P, T> {
    pub(crate) fn new(protocol: P) -> Slot<P, T> {
        Slot { protocol: RefCell::new(Some(protocol)), queue: Cell::new(None), phase: Cell::new(Phase::Idle) }
    }

    /// Whether the protocol can be entered now: it is there, none of its methods runs, and nothing waits before.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        !self.is_over() && !self.has_waiting() && !self.is_lent()
    }

    fn is_lent(&self) -> bool {
        self.protocol.try_borrow().is_err()
    }

    /// Whether the protocol has been told its last event.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase.get(), Phase::Ending | Phase::Over)
    }

    /// Lends the protocol to a method, and then to what waited for it. False, and nothing else, if it is not free. A panic ends the
    /// connection; `what` names the method in its report.
    #[inline]
    pub(crate) fn enter(
        &self,
        cx: &Context<P, T>,
        what: &'static str,
        f: impl FnOnce(&mut P, &Context<P, T>),
    ) -> bool {
        if self.is_over() || self.has_waiting() {
            return false;
        }
        match self.lend(|protocol| f(protocol, cx)) {
            Some(Ok(())) => {}
            Some(Err(failure)) => ended_by_panic(cx, what, failure),
            None => return false, // a method of it runs
        }
        self.run_waiting(cx);
        true
    }

    /// The same for a row of calls of one method, with the protocol lent once: `f` is called again as long as it says so and nothing waits.
    #[inline]
    pub(crate) fn enter_row(
        &self,
        cx: &Context<P, T>,
        what: &'static str,
        mut f: impl FnMut(&mut P, &Context<P, T>) -> bool,
    ) {
        self.enter(
            cx,
            what,
            |protocol, cx| while f(protocol, cx) && !self.is_over() && !self.has_waiting() {},
        );
    }

    /// Tells the protocol of an event: now, or when its turn has come.
    pub(crate) fn event(
        &self,
        cx: &Context<P, T>,
        what: &'static str,
        f: impl FnOnce(&mut P, &Context<P, T>) + 'static,
    ) {
        if self.is_free() {
            self.enter(cx, what, f);
        } else {
            self.push(Event { what, f: Some(f), then: None::<fn()>, last: false });
        }
    }

    /// Tells the protocol of its last event, after all that waits, and then `then`. The protocol is dropped; what it called until then has
    /// had its turn.
    pub(crate) fn lose(
        &self,
        cx: &Context<P, T>,
        what: &'static str,
        f: impl FnOnce(&mut P, &Context<P, T>) + 'static,
        then: impl FnOnce() + 'static,
    ) {
        self.push(Event { what, f: Some(f), then: Some(then), last: true });
        if self.phase.get() == Phase::Idle && !self.is_lent() {
            self.drain(cx, || false);
        }
    }

    /// Calls `f` when what waits now has had its turn.
    pub(crate) fn when_free(&self, f: impl FnOnce() + 'static) {
        self.push(Event { what: "", f: None::<fn(&mut P, &Context<P, T>)>, then: Some(f), last: false });
    }

    /// Runs what waits. False if the protocol is not free after that: whoever has it, or the reactor, runs the rest.
    #[inline]
    pub(crate) fn run_waiting(&self, cx: &Context<P, T>) -> bool {
        if self.phase.get() == Phase::Idle && self.has_waiting() && !self.is_lent() {
            self.drain(cx, || cx.hold());
        }
        if self.phase.get() == Phase::Over {
            self.empty();
        }
        self.is_free()
    }

    /// Runs what waits, in rows; between them `is_held` tells whether somebody else comes back for the rest. After the last event that
    /// does not matter: what waits has an end, since nothing is taken in.
    #[cold]
    fn drain(&self, cx: &Context<P, T>, is_held: impl Fn() -> bool) {
        while !self.run_row(cx) {
            if !self.is_over() && is_held() {
                return;
            }
        }
        if self.is_over() {
            self.clear();
        }
    }

    /// Runs some of what waits; false if there is more.
    fn run_row(&self, cx: &Context<P, T>) -> bool {
        let _running = Running::begin(&self.phase);
        for _ in 0..TURNS_IN_A_ROW {
            let Some(mut waiting) = self.next() else { break };
            let told = self.lend(|protocol| waiting.enter(protocol, cx));
            if waiting.is_last() {
                self.phase.set(Phase::Ending);
            }
            if let Some(Err(failure) | Ok(Err(failure))) = told {
                ended_by_panic(cx, waiting.what(), failure);
            }
            waiting.leave();
        }
        !self.has_waiting()
    }

    fn lend<R>(&self, f: impl FnOnce(&mut P) -> R) -> Option<Result<R, Failure>> {
        let mut place = self.protocol.try_borrow_mut().ok()?;
        let protocol = place.as_mut()?;
        Some(report::guarded(|| f(protocol)))
    }

    /// See [`Context::call`]. A call that waits is made at `place`.
    pub(crate) fn call<R: IntoDeferred>(
        &self,
        cx: &Context<P, T>,
        place: Place,
        f: impl FnOnce(&mut P, &Context<P, T>) -> R + 'static,
    ) -> Deferred<R::Output> {
        if self.is_over() {
            return Deferred::failed(quietly_gone());
        }
        if !self.is_free() {
            return self.wait(place, f);
        }
        let given = match self.lend(|protocol| f(protocol, cx).into_deferred()) {
            Some(Ok(given)) => given,
            Some(Err(failure)) => {
                ended_by_panic(cx, "a call", failure.clone());
                Deferred::failed(told(&failure))
            }
            None => Deferred::failed(quietly_gone()), // not reached: it is free
        };
        self.run_waiting(cx);
        given
    }

    /// Puts a call at the end of the queue. It is the source of its Deferred: the chain goes on when its turn has come, and
    /// waits for what it gave.
    fn wait<R: IntoDeferred>(
        &self,
        place: Place,
        f: impl FnOnce(&mut P, &Context<P, T>) -> R + 'static,
    ) -> Deferred<R::Output> {
        let f = Rc::new(Cell::new(Some(f)));
        let cancelled = f.clone();
        let (turn, promise) =
            Deferred::<Deferred<R::Output>>::cancellable_at(place, move |_promise| drop(cancelled.take()));
        turn.describe(Role::Queued, 0);
        self.push(Call { f, given: None, promise: Some(promise), place });
        turn.flatten(place)
    }

    fn push(&self, waiting: impl Waiting<P, T> + 'static) {
        if self.is_over() {
            return;
        }
        let mut queue = self.queue.take().unwrap_or_default();
        queue.push_back(Box::new(waiting));
        self.queue.set(Some(queue));
    }

    fn next(&self) -> Option<Box<dyn Waiting<P, T>>> {
        let mut queue = self.queue.take()?;
        let next = queue.pop_front();
        if !queue.is_empty() {
            self.queue.set(Some(queue));
        }
        next
    }

    #[inline]
    fn has_waiting(&self) -> bool {
        let queue = self.queue.take();
        let some = queue.is_some();
        self.queue.set(queue);
        some
    }

    /// Nobody will be told anything any more: the protocol goes, and what waits for it fails.
    pub(crate) fn clear(&self) {
        self.phase.set(Phase::Over);
        self.empty();
    }

    /// Drops the protocol and what waits, unless a method runs: then it is done when that has returned.
    fn empty(&self) {
        let Ok(gone) = self.protocol.try_borrow_mut().map(|mut place| place.take()) else { return };
        let queue = self.queue.take();
        if let Err(failure) = report::guarded(|| drop((gone, queue))) {
            report::unhandled("the Drop of a protocol", failure);
        }
    }

    pub(crate) fn peek<R>(&self, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.protocol.try_borrow().ok()?.as_ref().map(f)
    }
}

/// While it lives, this is the entry that runs what waits.
struct Running<'a>(&'a Cell<Phase>);

impl Running<'_> {
    fn begin(phase: &Cell<Phase>) -> Running<'_> {
        if phase.get() == Phase::Idle {
            phase.set(Phase::Running);
        }
        Running(phase)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.0.get() == Phase::Running {
            self.0.set(Phase::Idle);
        }
    }
}

/// A panic in a method is reported, and ends the connection with the same failure.
#[cold]
fn ended_by_panic<P, T: Carrier>(cx: &Context<P, T>, what: &'static str, failure: Failure) {
    report::unhandled(what, failure.clone());
    cx.failed(failure);
}

/// The failure of a panic for who waits for its result: it has been reported.
#[cold]
fn told(failure: &Failure) -> Failure {
    failure.value::<Panicked>().map_or_else(quietly_gone, |panicked| Failure::quiet(panicked.clone()))
}

/// To call a protocol whose connection is gone is no mistake, so nobody is told of it.
#[cold]
fn quietly_gone() -> Failure {
    Failure::quiet(ProtocolGone::default())
}

/// An event that waits.
struct Event<F, G> {
    what: &'static str,
    f: Option<F>,
    then: Option<G>,
    last: bool,
}

impl<P, T, F: FnOnce(&mut P, &Context<P, T>), G: FnOnce()> Waiting<P, T> for Event<F, G> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn enter(&mut self, protocol: &mut P, cx: &Context<P, T>) -> Result<(), Failure> {
        if let Some(f) = self.f.take() {
            f(protocol, cx);
        }
        Ok(())
    }

    fn leave(self: Box<Self>) {
        if let Some(then) = self.then {
            then();
        }
    }

    fn is_last(&self) -> bool {
        self.last
    }
}

/// A call that waits, and is the source of its Deferred.
struct Call<F, R: IntoDeferred> {
    /// Taken by its turn, or by a cancel.
    f: Rc<Cell<Option<F>>>,
    given: Option<Result<Deferred<R::Output>, Failure>>,
    promise: Option<Promise<Deferred<R::Output>>>,
    place: Place,
}

impl<P, T, R, F> Waiting<P, T> for Call<F, R>
where
    R: IntoDeferred,
    F: FnOnce(&mut P, &Context<P, T>) -> R + 'static,
{
    fn what(&self) -> &'static str {
        "a call"
    }

    fn enter(&mut self, protocol: &mut P, cx: &Context<P, T>) -> Result<(), Failure> {
        let Some(f) = self.f.take() else { return Ok(()) };
        match report::guarded(|| f(protocol, cx).into_deferred()) {
            Ok(given) => {
                self.given = Some(Ok(given));
                Ok(())
            }
            Err(failure) => {
                self.given = Some(Err(told(&failure)));
                Err(failure)
            }
        }
    }

    /// Its callbacks may be bound to the same protocol: they find it free.
    fn leave(mut self: Box<Self>) {
        if let (Some(given), Some(promise)) = (self.given.take(), self.promise.take()) {
            promise.fire_at(given, self.place);
        }
    }
}

/// It never had its turn.
impl<F, R: IntoDeferred> Drop for Call<F, R> {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            promise.fire_at(Err(quietly_gone()), self.place);
        }
    }
}

impl<P, T> fmt::Debug for Slot<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
