//! The first node of a chain: what a promise fires, and a cancel fails.

use super::{
    chain::{Cancel, Out, Peek, Run, Step, Tail, drive, drop_after},
    promise::{Fired, Promise},
    record::{self, Handle, Id, Token},
};
use crate::{
    error::CancelledError,
    failure::{Failure, Result},
    report,
    trace::{Event, Place},
};
use std::{cell::Cell, rc::Rc};

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
    pub(crate) fn paused(result: Result<T>, made: Place) -> (Rc<Source<T>>, Id) {
        let source = Source::new(made, Canceller::Nothing);
        source.life.set(Life::Done);
        source.out.put(result);
        let token = source.token.take();
        token.firing();
        let id = token.id().with_pause();
        record::pause(id);
        token.park(source.clone(), false, |token| Run::new(token, made, made));
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
            tell_fired(failure, self.made, fired);
        }
        self.go(result, fired);
        Fired::Delivered
    }

    #[inline]
    fn go(self: Rc<Self>, result: Result<T>, fired: Place) {
        let token = self.token.take();
        token.firing();
        drop(self.canceller.replace(Canceller::Nothing)); // what it holds may hold this chain
        let made = self.made;
        go(self, token, result, made, fired);
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

/// How a failure came to the first node of a chain.
#[cold]
pub(super) fn tell_fired(failure: &mut Failure, made: Place, fired: Place) {
    let fresh = failure.way().is_empty();
    if fresh {
        failure.note(Event::Made, made);
    }
    failure.note(Event::Fired, fired);
    if fresh {
        failure.note(Event::Failed, failure.made_at());
    }
}

/// The first node of a chain has its result: what comes after it runs, unless it is paused.
#[inline]
pub(super) fn go<T: 'static, N: Tail<T> + 'static>(
    node: Rc<N>,
    token: Token,
    result: Result<T>,
    made: Place,
    fired: Place,
) {
    let mut run = Run::new(token, made, fired);
    if run.token.is_paused() {
        return go_while_paused(node, result, &mut run);
    }
    node.out().put(result);
    drive(node, run);
}

/// Nothing runs until the pause ends. If nobody can end it, the result is let go, unreported as in Twisted.
#[cold]
fn go_while_paused<T: 'static, N: Tail<T> + 'static>(node: Rc<N>, result: Result<T>, run: &mut Run) {
    match run.token.handle() {
        Handle::Dropped => {
            run.token.end();
            drop(result);
            drop_after(&*node);
        }
        Handle::HandedOn => run.park(node, true),
        Handle::Held => {
            node.out().put(result);
            run.park(node, true);
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

    fn let_go(&self, silent: bool) {
        self.out.let_go(silent);
    }

    fn place(&self) -> Place {
        self.made
    }

    fn peek(&self) -> Peek {
        self.out.peek()
    }
}

impl<T: 'static> Tail<T> for Source<T> {
    fn out(&self) -> &Out<T> {
        &self.out
    }
}
