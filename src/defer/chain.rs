//! The nodes of a chain and the one loop that drives them.
//!
//! A chain is a source and its stages, each an allocation with room for its closure, for one result and for the link
//! to what comes next. Strong links point downstream only: writing end → source → stages → the stage of another chain
//! that waits. What points upstream is weak or an [`Id`](super::record::Id), so a chain that waits and what it waits
//! for are no cycle.
//!
//! A step moves the result that is parked in a node on to the next node, which runs its closure and parks what that
//! gives. The loop in [`drive`] takes one step after the other, so no chain, however long or deep, grows the stack.

use super::{
    deferred::{Deferred, State},
    promise::{Fired, Promise},
    record::{Handle, Token},
};
use crate::{
    error::{CancelledError, WaitsForItself},
    failure::{Failure, Result},
    report,
    trace::{Event, Place},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    marker::PhantomData,
    rc::Rc,
    task::Waker,
};

/// A node that drives itself one step.
pub(crate) trait Step {
    /// Moves the parked result on; gives the node that has one now.
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>>;
    /// Cuts the link to the next node and gives it, so that chains can be dropped in a loop.
    fn detach(&self) -> Option<Rc<dyn Step>>;
}

/// A node as its handle sees it: it has, or will have, a `T`.
pub(crate) trait Tail<T>: Step {
    fn out(&self) -> &Out<T>;
    fn as_step(self: Rc<Self>) -> Rc<dyn Step>;
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

/// What a cancel is told to.
pub(crate) trait Cancel {
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
    pub(crate) fn park(&mut self, step: Rc<dyn Step>) {
        let (made, fired) = (self.made, self.fired);
        std::mem::take(&mut self.token).park(step, |token| Run::new(token, made, fired));
    }
}

/// Room for one result, and who gets it.
pub(crate) struct Out<T> {
    slot: Cell<Option<Result<T>>>,
    next: Cell<Next<T>>,
}

pub(crate) enum Next<T> {
    /// The handle's, or nobody's any more.
    Nobody,
    Stage(Rc<dyn Feed<T>>),
    /// A stage of another chain waits for it.
    Outer(Rc<dyn Resume<T>>),
    /// A task waits for it.
    Awaiter(Waker),
}

impl<T> Default for Next<T> {
    fn default() -> Next<T> {
        Next::Nobody
    }
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
                let (token, made) = run.token.into_waiter();
                run.token = token;
                run.made = made.unwrap_or(run.made);
                next.resume(self.slot.take()?, run)
            }
            end => self.end(end, me, run),
        }
    }

    /// The chain is over: its result stays here for the handle.
    fn end(&self, end: Next<T>, me: impl FnOnce() -> Rc<dyn Step>, run: &mut Run) -> Option<Rc<dyn Step>> {
        if run.token.is_paused() {
            self.next.set(end);
            if run.token.handle() == Handle::Held {
                run.park(me());
            }
            return None;
        }
        run.token.end();
        if let Next::Awaiter(waker) = end {
            run.wake = Some(waker);
        }
        None
    }

    fn detach(&self) -> Option<Rc<dyn Step>> {
        match self.next.take() {
            Next::Stage(next) => Some(next.as_step()),
            Next::Outer(next) => Some(next.as_step()),
            Next::Awaiter(_) | Next::Nobody => None,
        }
    }
}

impl<T> Drop for Out<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Err(failure)) = self.slot.take() {
            report::unhandled("Deferred", failure);
        }
        if let Some(next) = self.detach() {
            drop_chain(next);
        }
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
    // On a thread that ends there is no depth to count any more; what is fired then is fired by a Drop, from the top.
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth >= NESTED_FIRES {
        return LATER.with_borrow_mut(|later| later.push_back((first, run)));
    }
    let _undo = Depth::set(depth + 1);
    let mut step = Some(first);
    loop {
        while let Some(node) = step {
            step = node.step(&mut run);
        }
        if let Some(waker) = run.wake.take() {
            waker.wake();
        }
        if depth > 0 {
            return;
        }
        let Some((node, next)) = LATER.try_with(|later| later.borrow_mut().pop_front()).ok().flatten() else {
            return;
        };
        (step, run) = (Some(node), next);
    }
}

/// Sets the depth back, also when a waker panics.
struct Depth(usize);

impl Depth {
    fn set(depth: usize) -> Depth {
        let _ = DEPTH.try_with(|cell| cell.set(depth));
        Depth(depth)
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|cell| cell.set(self.0 - 1));
    }
}

// ---- the first node ---------------------------------------------------------------------------------------------

/// The node that a promise fires.
pub(crate) struct Source<T: 'static> {
    out: Out<T>,
    token: Cell<Token>,
    life: Cell<Life>,
    canceller: Cell<Canceller<T>>,
    made: Place,
}

/// The life of a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Neither fired nor cancelled.
    Pending,
    /// Its canceller was called and has not fired it: whichever writing end is first now fires it.
    Cancelling,
    /// Fired by a writing end. Another one comes too late and is told so.
    Done,
    /// Failed by a cancel that had no canceller to ask: the promise does not know, so its fire is swallowed.
    Swallowing,
}

/// What a cancel does.
pub(crate) enum Canceller<T: 'static> {
    /// Fails the Deferred.
    Nothing,
    /// Is given a writing end of its own.
    Once(Box<dyn FnOnce(Promise<T>)>),
    /// Is asked at every cancel and has the writing end already.
    Each(Rc<dyn Fn(Place)>),
}

impl<T: 'static> Source<T> {
    /// A source with its first handle's state.
    #[inline]
    pub(crate) fn new(made: Place, canceller: Canceller<T>) -> Rc<Source<T>> {
        let token = Token::new(made);
        let source = Rc::new(Source {
            out: Out::new(),
            token: Cell::default(),
            life: Cell::new(Life::Pending),
            canceller: Cell::new(canceller),
            made,
        });
        let weak = Rc::downgrade(&source);
        token.unfired(weak);
        source.token.set(token);
        source
    }

    /// A source that has fired with `result` and is paused: the state of a Deferred that is paused late.
    pub(crate) fn paused(result: Result<T>, made: Place) -> (Rc<Source<T>>, super::record::Id) {
        let source = Source::new(made, Canceller::Nothing);
        source.life.set(Life::Done);
        source.out.put(result);
        let token = source.token.take();
        token.firing();
        let id = token.id().with_pause();
        super::record::pause(id);
        token.park(source.clone(), |token| Run::new(token, made, made));
        (source, id)
    }

    pub(crate) fn with_token<R>(&self, f: impl FnOnce(&Token) -> R) -> R {
        let token = self.token.take();
        let result = f(&token);
        self.token.set(token);
        result
    }

    pub(crate) fn fire(self: Rc<Self>, mut result: Result<T>, fired: Place) -> Fired {
        match self.life.get() {
            Life::Swallowing => return Fired::Swallowed,
            Life::Done => return Fired::AlreadyCalled,
            Life::Pending | Life::Cancelling => self.life.set(Life::Done),
        }
        if let Err(failure) = &mut result {
            self.tell_fired(failure, fired);
        }
        self.go(result, fired);
        Fired::Delivered
    }

    #[cold]
    fn tell_fired(&self, failure: &mut Failure, fired: Place) {
        let fresh = failure.way().is_empty();
        if fresh {
            failure.note(Event::Made, self.made);
        }
        failure.note(Event::Fired, fired);
        if fresh {
            failure.note(Event::Failed, failure.made_at());
        }
    }

    #[inline]
    fn go(self: Rc<Self>, result: Result<T>, fired: Place) {
        let token = self.token.take();
        token.firing();
        drop(self.canceller.replace(Canceller::Nothing)); // what it holds may hold this chain
        let mut run = Run::new(token, self.made, fired);
        if run.token.is_paused() {
            return self.go_while_paused(result, &mut run);
        }
        self.out.put(result);
        drive(self, run);
    }

    /// Nothing runs until the pause ends. If nobody can end it, the result is let go, unreported as in Twisted.
    #[cold]
    fn go_while_paused(self: Rc<Self>, result: Result<T>, run: &mut Run) {
        match run.token.handle() {
            Handle::Dropped => run.token.end(),
            Handle::HandedOn => run.park(self),
            Handle::Held => {
                self.out.put(result);
                run.park(self);
            }
        }
    }

    /// A promise was dropped without having been fired.
    #[cold]
    pub(crate) fn abandon(self: Rc<Self>, failure: impl FnOnce() -> Failure, by_canceller: bool) {
        let waits = if by_canceller { Life::Cancelling } else { Life::Pending };
        if self.life.get() == waits {
            self.life.set(Life::Done);
            let mut failure = failure();
            failure.note(Event::Made, self.made);
            let made = self.made;
            self.go(Err(failure), made);
        }
    }
}

impl<T: 'static> Cancel for Source<T> {
    fn cancel(self: Rc<Self>, at: Place) {
        match self.canceller.replace(Canceller::Nothing) {
            Canceller::Nothing => {
                let unasked = self.life.get() == Life::Pending;
                self.life.set(if unasked { Life::Swallowing } else { Life::Done });
                let mut failure = cancelled(at);
                failure.note(Event::Made, self.made);
                failure.note(Event::Cancelled, at);
                self.go(Err(failure), at);
            }
            Canceller::Once(canceller) => {
                self.life.set(Life::Cancelling);
                let promise = Promise::of_canceller(self, at);
                if let Err(failure) = report::guarded(|| canceller(promise)) {
                    report::unhandled("a canceller", failure);
                }
            }
            Canceller::Each(canceller) => {
                self.canceller.set(Canceller::Each(canceller.clone()));
                canceller(at);
            }
        }
    }
}

/// The failure of a cancelled Deferred. Its place is that of the `cancel()`.
pub(crate) fn cancelled(at: Place) -> Failure {
    Failure::new(CancelledError).with_place(at)
}

impl<T: 'static> Step for Source<T> {
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>> {
        self.out.step(|| self.clone(), run)
    }

    fn detach(&self) -> Option<Rc<dyn Step>> {
        self.out.detach()
    }
}

impl<T: 'static> Tail<T> for Source<T> {
    fn out(&self) -> &Out<T> {
        &self.out
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}

// ---- the other nodes --------------------------------------------------------------------------------------------

/// What a stage was added with, as a failure's way tells it.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Callback,
    Errback,
    Both,
}

/// A stage: a closure and what it gives.
pub(crate) struct Stage<T, U, F> {
    f: Cell<Option<F>>,
    out: Out<U>,
    place: Place,
    kind: Kind,
    takes: PhantomData<fn(T)>,
}

impl<T: 'static, U: 'static, F: FnOnce(Result<T>) -> Deferred<U> + 'static> Stage<T, U, F> {
    #[inline]
    pub(crate) fn new(f: F, kind: Kind, place: Place) -> Rc<Stage<T, U, F>> {
        Rc::new(Stage { f: Cell::new(Some(f)), out: Out::new(), place, kind, takes: PhantomData })
    }
}

impl<T: 'static, U: 'static, F: FnOnce(Result<T>) -> Deferred<U> + 'static> Feed<T> for Stage<T, U, F> {
    #[inline]
    fn feed(self: Rc<Self>, input: Result<T>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let f = self.f.take()?; // fed once
        let given = input.as_ref().err().map(Failure::id);
        let output = report::guarded(|| f(input)).unwrap_or_else(Deferred::failed);
        let output = match output.into_state() {
            (State::Ready(Ok(value)), _) => Ok(value),
            (State::Ready(Err(failure)), _) => Err(self.told(failure, given, run)),
            (State::Chain(tail), id) => match wait_for(&tail, id, self.place, &self, run)? {
                Ok(value) => Ok(value),
                Err(failure) => Err(self.told(failure, given, run)),
            },
            (State::Taken, _) => return None, // a Deferred in hand is not taken
        };
        self.out.put(output);
        Some(self)
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}

impl<T, U, F> Stage<T, U, F> {
    #[cold]
    #[inline(never)]
    fn told(&self, failure: Failure, given: Option<*const ()>, run: &Run) -> Failure {
        tell(failure, given, self.kind, self.place, run.made, Some(run.fired))
    }
}

/// Adds to a failure's way that a stage gave it, or passed it on: then it is the same one that the stage was given.
#[cold]
#[inline(never)]
pub(crate) fn tell(
    mut failure: Failure,
    given: Option<*const ()>,
    kind: Kind,
    at: Place,
    made: Place,
    fired: Option<Place>,
) -> Failure {
    if given.is_some_and(|given| failure.is(given)) {
        failure.note(Event::Passed, at);
        return failure;
    }
    if !failure.way().is_empty() {
        failure.note(Event::Into, at); // it came out of another chain
        return failure;
    }
    failure.note(Event::Made, made);
    if let Some(fired) = fired {
        failure.note(Event::Fired, fired);
    }
    failure.note(
        match kind {
            Kind::Callback => Event::Callback,
            Kind::Errback => Event::Errback,
            Kind::Both => Event::Both,
        },
        at,
    );
    failure.note(Event::Failed, failure.made_at());
    failure
}

/// Takes the result of an inner Deferred if it is there. Else `node` waits for it, and its chain with it: None.
fn wait_for<U: 'static, N: Resume<U> + 'static>(
    tail: &Rc<dyn Tail<U>>,
    id: super::record::Id,
    at: Place,
    node: &Rc<N>,
    run: &mut Run,
) -> Option<Result<U>> {
    if id.is(run.token.id()) {
        return Some(Err(Failure::new(WaitsForItself)));
    }
    if super::record::is_paused(id) {
        // Its handle is consumed, so nobody will end the pause, and nobody sees what it holds.
        drop(super::record::orphan(id, Handle::HandedOn).map(|parked| parked.let_go(tail)));
    } else if let Some(result) = tail.out().take() {
        return Some(result);
    }
    drop(tail.out().set_next(Next::Outer(node.clone())));
    run.token.waits_for(id, at);
    None
}

impl super::record::Parked {
    /// The result goes, and a failure is reported; the chain stays listed, for it is what others wait for.
    fn let_go<U: 'static>(self, tail: &Rc<dyn Tail<U>>) {
        let super::record::Parked(step, mut run) = self;
        if let Some(Err(failure)) = tail.out().take() {
            report::unhandled("Deferred", failure);
        }
        run.park(step);
    }
}

impl<T: 'static, U: 'static, F: 'static> Resume<U> for Stage<T, U, F> {
    fn resume(self: Rc<Self>, result: Result<U>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let place = self.place;
        resumed(self, result, place, run)
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}

/// The chain that waited goes on with the result, unless it was paused meanwhile.
fn resumed<U: 'static>(
    node: Rc<impl Tail<U> + 'static>,
    mut result: Result<U>,
    at: Place,
    run: &mut Run,
) -> Option<Rc<dyn Step>> {
    if let Err(failure) = &mut result {
        failure.note(Event::Into, at);
    }
    if run.token.is_paused() {
        match run.token.handle() {
            Handle::Held => {
                node.out().put(result);
                run.park(node);
            }
            Handle::HandedOn => run.park(node),
            Handle::Dropped => run.token.end(),
        }
        return None;
    }
    node.out().put(result);
    Some(node)
}

impl<T: 'static, U: 'static, F: 'static> Step for Stage<T, U, F> {
    #[inline]
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>> {
        self.out.step(|| self.clone(), run)
    }

    fn detach(&self) -> Option<Rc<dyn Step>> {
        self.out.detach()
    }
}

impl<T: 'static, U: 'static, F: 'static> Tail<U> for Stage<T, U, F> {
    fn out(&self) -> &Out<U> {
        &self.out
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}

/// A chain of one node that only waits: what a stage of a fired Deferred gives when it returned a pending one.
struct Relay<U> {
    out: Out<U>,
    place: Place,
}

/// The Deferred of a chain that waits for `tail`.
#[cold]
pub(crate) fn relay<U: 'static>(
    tail: Rc<dyn Tail<U>>,
    id: super::record::Id,
    made: Place,
    at: Place,
) -> Deferred<U> {
    let node = Rc::new(Relay { out: Out::new(), place: at });
    let mut run = Run::new(Token::new(made), made, made);
    let own = run.token.id();
    match wait_for(&tail, id, at, &node, &mut run) {
        Some(result) => {
            run.token.end();
            Deferred::ready_at(result, made)
        }
        None => Deferred::chain(node, own, made),
    }
}

impl<U: 'static> Resume<U> for Relay<U> {
    fn resume(self: Rc<Self>, result: Result<U>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let place = self.place;
        resumed(self, result, place, run)
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}

impl<U: 'static> Step for Relay<U> {
    fn step(self: Rc<Self>, run: &mut Run) -> Option<Rc<dyn Step>> {
        self.out.step(|| self.clone(), run)
    }

    fn detach(&self) -> Option<Rc<dyn Step>> {
        self.out.detach()
    }
}

impl<U: 'static> Tail<U> for Relay<U> {
    fn out(&self) -> &Out<U> {
        &self.out
    }

    fn as_step(self: Rc<Self>) -> Rc<dyn Step> {
        self
    }
}
