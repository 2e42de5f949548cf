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
    rc::Rc,
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
}

/// What comes after a node.
pub(crate) enum Peek {
    /// The next stage of the same chain.
    Stage(Rc<dyn Step>),
    /// The stage of another chain, which waits for this one.
    Outer(Rc<dyn Step>),
    End,
}

/// A node as its handle sees it: it has, or will have, a `T`.
pub(crate) trait Tail<T>: Step {
    fn out(&self) -> &Out<T>;
}

/// A node as the one before it sees it: it takes a `T`.
pub(crate) trait Feed<T> {
    fn feed(self: Rc<Self>, input: Result<T>, run: &mut Run) -> Option<Rc<dyn Step>>;
    fn as_step(self: Rc<Self>) -> Rc<dyn Step>;
}

/// A node that waits for a Deferred of its own output's type. A trait of its own: a stage that takes a `T` and gives a
/// `T` has both.
pub(crate) trait Resume<U> {
    fn resume(self: Rc<Self>, result: Result<U>, run: &mut Run) -> Option<Rc<dyn Step>>;
    fn as_step(self: Rc<Self>) -> Rc<dyn Step>;
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
    /// Who awaits the end of the chain. Woken when the chain is over.
    wake: Option<Waker>,
}

impl Run {
    pub(crate) fn new(token: Token, made: Place, fired: Place) -> Run {
        Run { token, made, fired, wake: None }
    }

    /// Puts the step aside while the chain is paused.
    #[cold]
    pub(crate) fn park(&mut self, step: Rc<dyn Step>, silent: bool) {
        let (made, fired) = (self.made, self.fired);
        std::mem::take(&mut self.token).park(step, silent, |token| Run::new(token, made, fired));
    }
}

/// Room for one result, and who gets it.
pub(crate) struct Out<T> {
    slot: Cell<Option<Result<T>>>,
    next: Cell<Next<T>>,
}

#[derive(Default)]
pub(crate) enum Next<T> {
    /// The handle's.
    #[default]
    Nobody,
    /// Nobody's: the handle was dropped.
    Dropped,
    Stage(Rc<dyn Feed<T>>),
    /// A stage of another chain waits for it.
    Outer(Rc<dyn Resume<T>>),
    /// A task waits for it.
    Awaiter(Waker),
}

impl<T> Out<T> {
    #[inline]
    pub(crate) fn new() -> Out<T> {
        Out { slot: Cell::new(None), next: Cell::new(Next::Nobody) }
    }

    #[inline]
    pub(crate) fn put(&self, result: Result<T>) {
        self.slot.set(Some(result));
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Result<T>> {
        self.slot.take()
    }

    #[inline]
    pub(crate) fn set_next(&self, next: Next<T>) -> Next<T> {
        self.next.replace(next)
    }

    /// Has `waker` woken at the end of the chain.
    pub(crate) fn awaited_by(&self, waker: &Waker) {
        let next = match self.next.take() {
            Next::Awaiter(same) if same.will_wake(waker) => Next::Awaiter(same),
            _ => Next::Awaiter(waker.clone()),
        };
        self.next.set(next);
    }

    #[inline]
    pub(crate) fn step(&self, me: impl FnOnce() -> Rc<dyn Step>, run: &mut Run) -> Option<Rc<dyn Step>> {
        match self.next.take() {
            Next::Stage(next) => next.feed(self.slot.take()?, run),
            Next::Outer(next) => {
                let (token, made) = run.token.take_waiter();
                run.token = token;
                run.made = made.unwrap_or(run.made);
                next.resume(self.slot.take()?, run)
            }
            end => self.end(end, me, run),
        }
    }

    /// The chain is over: its result stays here for the handle.
    fn end(&self, end: Next<T>, me: impl FnOnce() -> Rc<dyn Step>, run: &mut Run) -> Option<Rc<dyn Step>> {
        if run.token.is_paused() && run.token.handle() == Handle::Held {
            self.next.set(end);
            run.park(me(), false);
            return None;
        }
        run.token.end();
        match end {
            Next::Awaiter(waker) => run.wake = Some(waker),
            Next::Dropped => self.let_go(false),
            _ => (),
        }
        None
    }

    pub(crate) fn detach(&self) -> Option<Rc<dyn Step>> {
        match self.next.take() {
            Next::Stage(next) => Some(next.as_step()),
            Next::Outer(next) => Some(next.as_step()),
            Next::Awaiter(_) | Next::Dropped | Next::Nobody => None,
        }
    }
}

impl<T> Out<T> {
    pub(crate) fn peek(&self) -> Peek {
        let next = self.next.take();
        let seen = match &next {
            Next::Stage(stage) => Peek::Stage(stage.clone().as_step()),
            Next::Outer(stage) => Peek::Outer(stage.clone().as_step()),
            Next::Awaiter(_) | Next::Dropped | Next::Nobody => Peek::End,
        };
        self.next.set(next);
        seen
    }

    /// The handle is dropped. Its result goes now, or at the end of the chain; not with this node, which a promise that
    /// comes too late may keep.
    #[inline]
    pub(crate) fn handle_dropped(&self) {
        match self.slot.take() {
            None => drop(self.next.replace(Next::Dropped)),
            Some(Ok(_)) => (),
            Some(Err(failure)) => report::unhandled("Deferred", failure),
        }
    }

    #[inline]
    pub(crate) fn let_go(&self, silent: bool) {
        if let Some(Err(failure)) = self.slot.take()
            && !silent
        {
            report::unhandled("Deferred", failure);
        }
    }
}

impl<T> Drop for Out<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Err(_)) = self.slot.get_mut() {
            self.let_go(false);
        }
        if !matches!(self.next.get_mut(), Next::Nobody | Next::Dropped)
            && let Some(next) = self.detach()
        {
            drop_chain(next);
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
    static LATER: RefCell<VecDeque<(Rc<dyn Step>, Run)>> = const { RefCell::new(VecDeque::new()) };
}

/// Drives a chain from a node that has a result.
pub(crate) fn drive(first: Rc<dyn Step>, mut run: Run) {
    let depth = DEPTH.get();
    // A thread that ends has no queue any more; what its destructors fire is driven in place.
    if depth >= NESTED_FIRES && LATER.try_with(|_| ()).is_ok() {
        return LATER.with_borrow_mut(|later| later.push_back((first, run)));
    }
    DEPTH.set(depth + 1);
    let mut step = Some(first);
    loop {
        while let Some(node) = step {
            step = node.step(&mut run);
        }
        if let Some(waker) = run.wake.take()
            && let Err(failure) = report::guarded(|| waker.wake())
        {
            report::unhandled("a waker", failure);
        }
        let next = if depth > 0 {
            None
        } else {
            LATER.try_with(|later| later.borrow_mut().pop_front()).ok().flatten()
        };
        let Some((node, next)) = next else { break };
        (step, run) = (Some(node), next);
    }
    // Nothing unwinds through here: stages and wakers are guarded, and so is the report.
    DEPTH.set(depth);
}
