//! What the nodes of a chain are to each other, and the one loop that drives them.
//!
//! A chain is a source and its stages, each an allocation with room for its closure, for one result and for the link
//! to what comes next. Strong links point downstream only: writing end → source → stages → the stage of another chain
//! that waits. What points upstream is weak or an [`Id`](super::record::Id), so a chain that waits and what it waits
//! for are no cycle.
//!
//! A step moves the result that is parked in a node on to the next node, which runs its closure and parks what that
//! gives. The loop in [`drive`] takes one step after the other, so no chain, however long or deep, grows the stack.

use super::record::{Handle, Token};
use crate::{failure::Result, report, trace::Place};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    mem::ManuallyDrop,
    rc::{Rc, Weak},
    task::Waker,
};

/// A node that drives itself one step.
pub(crate) trait Step {
    /// Moves the parked result on; gives the node that has one now.
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>>;
    /// Cuts the link to the next node and gives it, so that chains can be dropped in a loop.
    fn detach(&self) -> Option<Rc<dyn Step>>;
    /// The result that is parked here, which nobody can take any more, goes: reported if it is a failure, or in silence.
    fn let_go(&self, silent: bool);
    /// Where it was added.
    fn place(&self) -> Place;
    /// What comes next, for who only looks.
    fn peek(&self) -> Peek;
    /// The handle is dropped.
    fn drop_handle(self: Rc<Self>);
}

/// What comes after a node.
pub(crate) enum Peek {
    /// The next stage of the same chain.
    Stage(Rc<dyn Step>),
    /// The stage of another chain, which waits for this one.
    Outer(Rc<dyn Step>),
    End,
}

/// A node as its handle sees it: it has, or will have, a value. What a node says here makes it a [`Step`].
pub(crate) trait Tail: Step + 'static {
    type Value: 'static;
    fn out(&self) -> &Out<Self::Value>;
    /// Where it was added.
    fn at(&self) -> Place;
    /// Whether nothing but its [`Out`] is left that would have to be dropped.
    fn is_spent(&self) -> bool;
}

/// A node as the one before it sees it: it takes a `T`.
pub(crate) trait Feed<T>: Step {
    fn feed(self: Rc<Self>, input: Result<T>, run: &mut Run) -> Option<Rc<dyn Step>>;
}

/// A node that waits for a Deferred of its own output's type. A trait of its own: a stage that takes a `T` and gives a
/// `T` has both.
pub(crate) trait Resume<U>: Step {
    fn resume(self: Rc<Self>, result: Result<U>, run: &mut Run) -> Option<Rc<dyn Step>>;
}

/// What a cancel is told to: the source of a chain.
pub(crate) trait Cancel: Step {
    fn cancel(self: Rc<Self>, at: Place);
}

/// One firing. It is on the loop's stack and handed to every step: what it carries costs no stage a byte.
pub(crate) struct Run {
    pub(crate) token: Token,
    /// Where the chain was made and where it was fired, for a failure's way.
    pub(crate) made: Place,
    pub(crate) fired: Place,
}

impl Run {
    /// Puts the step aside while the chain is paused.
    #[cold]
    pub(crate) fn park(&mut self, step: Rc<dyn Step>, silent: bool) {
        let (made, fired) = (self.made, self.fired);
        std::mem::take(&mut self.token).park(step, silent, |token| Run { token, made, fired });
    }
}

/// Room for one result, and who gets it. Both are let go by hand: a node that was driven has neither any more.
pub(crate) struct Out<T> {
    slot: Cell<ManuallyDrop<Option<Result<T>>>>,
    next: Cell<ManuallyDrop<Next<T>>>,
}

pub(crate) enum Next<T> {
    /// The handle's.
    Nobody,
    /// Nobody's: the handle was dropped.
    Dropped,
    Stage(Rc<dyn Feed<T>>),
    /// A stage of another chain waits for it.
    Outer(Rc<dyn Resume<T>>),
    /// A task waits for it.
    Awaiter(Waker),
}

/// A node in an allocation of its own, where `make` fills it. `Rc::new` would make it on the stack and copy it there.
#[inline]
pub(crate) fn in_place<N>(make: impl FnOnce(&Weak<N>) -> N) -> Rc<N> {
    Rc::new_cyclic(make)
}

impl<N: Tail> Step for N {
    /// Moves the result on to the next node.
    #[inline]
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let Some(next) = self.out().take_stage() else {
            return match end(self.out(), run) {
                None => None,
                Some(next) => end_otherwise(self, next, run),
            };
        };
        let after = next.feed(self.out().take()?, run);
        bury(self);
        after
    }

    fn detach(&self) -> Option<Rc<dyn Step>> {
        self.out().detach()
    }

    fn let_go(&self, silent: bool) {
        self.out().let_go(silent);
    }

    fn place(&self) -> Place {
        self.at()
    }

    fn peek(&self) -> Peek {
        self.out().peek()
    }

    /// Its result goes now, or at the end of the chain; not with this node, which a promise that comes too late may keep.
    fn drop_handle(self: Rc<Self>) {
        match self.out().take() {
            None => drop(self.out().set_next(Next::Dropped)),
            Some(result) => {
                bury(self);
                if let Err(failure) = result {
                    report::unhandled("Deferred", failure);
                }
            }
        }
    }
}

/// A node that has given its result away is empty, and what else it held was spent before that: there is nothing to drop
/// but its memory. To look at each of its fields again would cost as much as the call of a closure.
#[inline]
fn bury<N: Tail>(node: Rc<N>) {
    match Rc::try_unwrap(node) {
        Ok(empty) => {
            debug_assert!(empty.out().is_empty() && empty.is_spent(), "what is left in it would leak");
            std::mem::forget(empty);
        }
        Err(shared) => drop(shared),
    }
}

/// The chain is over, and its result stays here for the handle; or gives what else there is to do.
#[inline(never)]
fn end<T>(out: &Out<T>, run: &mut Run) -> Option<Next<T>> {
    match out.set_next(Next::Nobody) {
        Next::Nobody if !run.token.is_paused() => {
            run.token.end();
            None
        }
        next => Some(next),
    }
}

/// Somebody waits for the end of the chain, or it is paused, or nobody will look at the result.
#[inline(never)]
fn end_otherwise<T: 'static>(
    node: Rc<dyn Tail<Value = T>>,
    next: Next<T>,
    run: &mut Run,
) -> Option<Rc<dyn Step>> {
    if let Next::Outer(waiter) = next {
        let (token, made) = run.token.take_waiter();
        run.token = token;
        run.made = made.unwrap_or(run.made);
        return waiter.resume(node.out().take()?, run);
    }
    if run.token.is_paused() && run.token.handle() == Handle::Held {
        node.out().set_next(next);
        run.park(node, false);
        return None;
    }
    run.token.end();
    if matches!(next, Next::Dropped) {
        node.out().let_go(false);
    }
    drop(node);
    if let Next::Awaiter(waker) = next {
        wake(waker);
    }
    None
}

/// Wakes are foreign code.
pub(super) fn wake(waker: Waker) {
    if let Err(failure) = report::guarded(|| waker.wake()) {
        report::unhandled("a waker", failure);
    }
}

impl<T> Out<T> {
    #[inline]
    pub(crate) fn new() -> Out<T> {
        Out { slot: Cell::new(ManuallyDrop::new(None)), next: Cell::new(ManuallyDrop::new(Next::Nobody)) }
    }

    #[inline]
    pub(crate) fn put(&self, result: Result<T>) {
        self.slot.set(ManuallyDrop::new(Some(result)));
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Result<T>> {
        ManuallyDrop::into_inner(self.slot.replace(ManuallyDrop::new(None)))
    }

    /// Gives the former one.
    #[inline]
    pub(crate) fn set_next(&self, next: Next<T>) -> Next<T> {
        ManuallyDrop::into_inner(self.next.replace(ManuallyDrop::new(next)))
    }

    #[inline]
    fn take_stage(&self) -> Option<Rc<dyn Feed<T>>> {
        match self.set_next(Next::Nobody) {
            Next::Stage(next) => Some(next),
            other => {
                self.set_next(other);
                None
            }
        }
    }

    /// Has `waker` woken at the end of the chain.
    pub(crate) fn awaited_by(&self, waker: &Waker) {
        let next = match self.set_next(Next::Nobody) {
            Next::Awaiter(same) if same.will_wake(waker) => Next::Awaiter(same),
            _ => Next::Awaiter(waker.clone()),
        };
        self.set_next(next);
    }

    pub(crate) fn detach(&self) -> Option<Rc<dyn Step>> {
        match self.set_next(Next::Nobody) {
            Next::Stage(next) => Some(next),
            Next::Outer(next) => Some(next),
            Next::Awaiter(_) | Next::Dropped | Next::Nobody => None,
        }
    }

    pub(crate) fn peek(&self) -> Peek {
        let next = self.set_next(Next::Nobody);
        let seen = match &next {
            Next::Stage(stage) => Peek::Stage(stage.clone()),
            Next::Outer(stage) => Peek::Outer(stage.clone()),
            Next::Awaiter(_) | Next::Dropped | Next::Nobody => Peek::End,
        };
        self.set_next(next);
        seen
    }

    fn is_empty(&self) -> bool {
        let (result, next) = (self.take(), self.set_next(Next::Nobody));
        let empty = result.is_none() && matches!(next, Next::Nobody);
        self.slot.set(ManuallyDrop::new(result));
        self.set_next(next);
        empty
    }

    #[inline]
    pub(crate) fn let_go(&self, silent: bool) {
        if let Some(Err(failure)) = self.take()
            && !silent
        {
            report::unhandled("Deferred", failure);
        }
    }
}

impl<T> Drop for Out<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Err(failure)) = self.take() {
            report::unhandled("Deferred", failure);
        }
        match self.set_next(Next::Nobody) {
            Next::Nobody | Next::Dropped => (),
            Next::Stage(next) => drop_chain(next),
            Next::Outer(next) => drop_chain(next),
            Next::Awaiter(waker) => drop(waker),
        }
    }
}

/// Drops what follows a node, which a promise may keep.
#[cold]
pub(crate) fn drop_after(node: &dyn Step) {
    if let Some(next) = node.detach() {
        drop_chain(next);
    }
}

/// A chain that is dropped unfired goes node by node.
#[cold]
fn drop_chain(next: Rc<dyn Step>) {
    let mut next = Some(next);
    while let Some(node) = next {
        next = if Rc::strong_count(&node) == 1 { node.detach() } else { None };
    }
}

/// Callbacks run in the stack of who fires, as in Twisted. A fire inside a fire inside a fire ... past this depth is left to
/// the outermost loop, so that no program can overflow the stack.
const NESTED_FIRES: usize = 32;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// How many wait in `LATER`.
    static WAITING: Cell<usize> = const { Cell::new(0) };
    static LATER: RefCell<VecDeque<(Rc<dyn Step>, Run)>> = const { RefCell::new(VecDeque::new()) };
}

/// Drives a chain from a node that has a result.
pub(crate) fn drive(first: Rc<dyn Step>, token: Token, made: Place, fired: Place) {
    let mut run = Run { token, made, fired };
    let depth = DEPTH.get();
    // A thread that ends has no queue any more; what its destructors fire is driven in place.
    if depth >= NESTED_FIRES && LATER.try_with(|_| ()).is_ok() {
        return drive_later(first, run);
    }
    DEPTH.set(depth + 1);
    drive_to_its_end(first, &mut run);
    if WAITING.get() > 0 && depth == 0 {
        drive_what_waits();
    }
    // Nothing unwinds through here: stages and wakers are guarded, and so is the report.
    DEPTH.set(depth);
}

#[inline]
fn drive_to_its_end(first: Rc<dyn Step>, run: &mut Run) {
    let mut step = Some(first);
    while let Some(node) = step {
        step = node.step(run);
    }
}

#[cold]
#[inline(never)]
fn drive_later(first: Rc<dyn Step>, run: Run) {
    WAITING.set(WAITING.get() + 1);
    LATER.with_borrow_mut(|later| later.push_back((first, run)));
}

#[cold]
#[inline(never)]
fn drive_what_waits() {
    while let Some((first, mut run)) = LATER.try_with(|later| later.borrow_mut().pop_front()).ok().flatten() {
        WAITING.set(WAITING.get() - 1);
        drive_to_its_end(first, &mut run);
    }
}
