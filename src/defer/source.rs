//! The first node of a chain: what a promise fires, and a cancel fails.

use super::{
    chain::{Cancel, Out, Run, Tail, drive, drop_after, in_place},
    promise::{Fired, Promise},
    record::{self, Handle, Id, Role, Token},
};
use crate::{
    error::CancelledError,
    failure::{Failure, Result},
    report,
    time::Driven,
    trace::{Event, Place},
};
use std::{
    cell::Cell,
    rc::{Rc, Weak},
};

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
    /// Neither fired nor cancelled, and a cancel fails it.
    Pending,
    /// Neither fired nor cancelled, and it has a canceller.
    Cancellable,
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
    /// A source, and what its handle calls it.
    #[inline]
    pub(crate) fn new(made: Place) -> (Rc<Source<T>>, Id) {
        let token = Token::new(made, Role::Chain);
        let id = token.id();
        let source = in_place(|source: &Weak<Source<T>>| {
            token.unfired(source.clone());
            Source {
                out: Out::new(),
                token: Cell::new(token),
                life: Cell::new(Life::Pending),
                canceller: Cell::new(Canceller::Nothing),
                made,
            }
        });
        (source, id)
    }

    pub(crate) fn set_canceller(&self, canceller: Canceller<T>) {
        self.canceller.set(canceller);
        self.life.set(Life::Cancellable);
    }

    /// A source that has fired with `result` and is paused: the state of a Deferred that is paused late.
    pub(crate) fn paused(result: Result<T>, made: Place) -> (Rc<Source<T>>, Id) {
        let (source, id) = Source::new(made);
        source.life.set(Life::Done);
        source.out.put(result);
        let token = source.token.take();
        token.firing();
        let id = id.with_pause();
        record::pause(id);
        token.park(source.clone(), false, |token| Run { token, made, fired: made });
        (source, id)
    }

    /// The reactor that will fire it.
    pub(crate) fn driven_by(&self, driven: Rc<Cell<Driven>>) {
        record::with_token(&self.token, |token| token.driven_by(driven));
    }

    #[inline]
    pub(crate) fn fire(self: Rc<Self>, mut result: Result<T>, fired: Place) -> Fired {
        match self.life.get() {
            Life::Pending | Life::Cancellable | Life::Cancelling => (),
            Life::Done => return Fired::AlreadyCalled,
            Life::Swallowing => return Fired::Swallowed,
        }
        if let Err(failure) = &mut result {
            tell_fired(failure, self.made, fired);
        }
        self.go(Life::Done, result, fired);
        Fired::Delivered
    }

    fn go(self: Rc<Self>, to: Life, result: Result<T>, fired: Place) {
        let token = self.token.take();
        if self.life.replace(to) == Life::Cancellable {
            token.firing(); // before foreign code that is dropped may cancel
            self.drop_canceller();
        }
        let made = self.made;
        go(self, token, result, made, fired);
    }

    /// What it holds may hold this chain.
    #[cold]
    #[inline(never)]
    fn drop_canceller(&self) {
        drop(self.canceller.replace(Canceller::Nothing));
    }

    /// A promise was dropped without having been fired.
    #[cold]
    pub(crate) fn abandon(self: Rc<Self>, failure: impl FnOnce() -> Failure, by_canceller: bool) {
        let waits = match self.life.get() {
            Life::Pending | Life::Cancellable => !by_canceller,
            Life::Cancelling => by_canceller,
            Life::Done | Life::Swallowing => false,
        };
        if waits {
            let mut failure = failure();
            failure.note(Event::Made, self.made);
            let made = self.made;
            self.go(Life::Done, Err(failure), made);
        }
    }

    fn fail_cancelled(self: Rc<Self>, to: Life, at: Place) {
        let mut failure = cancelled(at);
        failure.note(Event::Made, self.made);
        failure.note(Event::Cancelled, at);
        self.go(to, Err(failure), at);
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
pub(super) fn go<N: Tail>(node: Rc<N>, token: Token, result: Result<N::Value>, made: Place, fired: Place) {
    if token.firing() {
        return go_while_paused(node, result, Run { token, made, fired });
    }
    node.out().put(result);
    drive(node, token, made, fired);
}

/// Nothing runs until the pause ends. If nobody can end it, the result is let go, unreported as in Twisted.
#[cold]
fn go_while_paused<N: Tail>(node: Rc<N>, result: Result<N::Value>, mut run: Run) {
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
        match (self.life.get(), self.canceller.replace(Canceller::Nothing)) {
            (Life::Cancellable, Canceller::Once(canceller)) => {
                self.life.set(Life::Cancelling);
                let promise = Promise::of_canceller(self, at);
                if let Err(failure) = report::guarded(|| canceller(promise)) {
                    report::unhandled("a canceller", failure);
                }
            }
            (Life::Cancellable, Canceller::Each(canceller)) => {
                self.canceller.set(Canceller::Each(canceller.clone()));
                canceller(at);
            }
            (Life::Pending | Life::Cancellable, _) => self.fail_cancelled(Life::Swallowing, at),
            (Life::Cancelling, _) => self.fail_cancelled(Life::Done, at),
            (Life::Done | Life::Swallowing, _) => (),
        }
    }
}

/// The failure of a cancelled Deferred. Its place is that of the `cancel()`.
pub(crate) fn cancelled(at: Place) -> Failure {
    Failure::new(CancelledError).with_place(at)
}

impl<T: 'static> Tail for Source<T> {
    type Value = T;

    #[inline]
    fn out(&self) -> &Out<T> {
        &self.out
    }

    fn at(&self) -> Place {
        self.made
    }

    fn is_spent(&self) -> bool {
        self.token.take().is_over()
            && matches!(self.canceller.replace(Canceller::Nothing), Canceller::Nothing)
    }
}
