//! The other nodes of a chain: closures, and what waits for another chain.

use super::{
    chain::{Feed, Next, Out, Resume, Run, Step, Tail, in_place},
    deferred::{Deferred, State},
    record::{self, Handle, Id, Role, Token},
};
use crate::{
    error::{Panicked, WaitsForItself},
    failure::{Failure, Result},
    report,
    trace::{Event, Place},
};
use std::{cell::Cell, marker::PhantomData, rc::Rc};

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
        in_place(|_| Stage { f: Cell::new(Some(f)), out: Out::new(), place, kind, takes: PhantomData })
    }
}

impl<T: 'static, U: 'static, F: FnOnce(Result<T>) -> Deferred<U> + 'static> Feed<T> for Stage<T, U, F> {
    #[inline]
    fn feed(self: Rc<Self>, input: Result<T>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let f = self.f.take()?; // fed once
        let given = input.as_ref().err().map(Failure::id);
        let output = report::guarded(|| f(input))
            .unwrap_or_else(|panicked| Deferred::ready_at(Err(panicked), self.place));
        let output = match output.into_parts() {
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
    if !failure.check::<Panicked>() {
        failure.note(Event::Failed, failure.made_at()); // of a panic, the message says it
    }
    failure
}

/// Takes the result of an inner Deferred if it is there. Else `node` waits for it, and its chain with it: None.
fn wait_for<U: 'static, N: Resume<U> + 'static>(
    tail: &Rc<dyn Tail<Value = U>>,
    id: Id,
    at: Place,
    node: &Rc<N>,
    run: &mut Run,
) -> Option<Result<U>> {
    if id.is(run.token.id()) {
        return Some(Err(Failure::new(WaitsForItself)));
    }
    if record::is_paused(id) {
        // Its handle is consumed, so nobody will end the pause, and nobody sees what it holds.
        if let Some(parked) = record::orphan(id, Handle::HandedOn) {
            parked.drop_result();
        }
    } else if let Some(result) = tail.out().take() {
        return Some(result);
    }
    drop(tail.out().set_next(Next::Outer(node.clone())));
    run.token.waits_for(id, at);
    None
}

impl<T: 'static, U: 'static, F: 'static> Resume<U> for Stage<T, U, F> {
    fn resume(self: Rc<Self>, result: Result<U>, run: &mut Run) -> Option<Rc<dyn Step>> {
        let place = self.place;
        resumed(self, result, place, run)
    }
}

/// The chain that waited goes on with the result, unless it was paused meanwhile.
fn resumed<U: 'static>(
    node: Rc<impl Tail<Value = U>>,
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
                run.park(node, true);
            }
            Handle::HandedOn => run.park(node, true),
            Handle::Dropped => run.token.end(),
        }
        return None;
    }
    node.out().put(result);
    Some(node)
}

impl<T: 'static, U: 'static, F: 'static> Tail for Stage<T, U, F> {
    type Value = U;

    #[inline]
    fn out(&self) -> &Out<U> {
        &self.out
    }

    fn at(&self) -> Place {
        self.place
    }

    fn is_spent(&self) -> bool {
        self.f.take().is_none()
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
    tail: Rc<dyn Tail<Value = U>>,
    id: Id,
    made: Place,
    at: Place,
) -> Deferred<U> {
    let node = Rc::new(Relay { out: Out::new(), place: at });
    let mut run = Run { token: Token::new(made, Role::Chain), made, fired: made };
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
}

impl<U: 'static> Tail for Relay<U> {
    type Value = U;

    #[inline]
    fn out(&self) -> &Out<U> {
        &self.out
    }

    fn at(&self) -> Place {
        self.place
    }

    fn is_spent(&self) -> bool {
        true
    }
}
