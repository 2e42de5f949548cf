//! [`Promise`]: the writing end of a Deferred.

use super::source::{Source, cancelled};
use crate::{
    error::{Abandoned, ReactorNotRunning},
    failure::{Failure, Result},
    trace::Place,
};
use std::{cell::Cell, fmt, panic::Location, rc::Rc};

/// The writing end of a [`Deferred`](super::Deferred).
///
/// Firing consumes it, so firing twice does not compile. The callbacks run inside the call, in the stack of who fires,
/// as in Twisted; past a depth of 32 fires inside fires they run in the outermost one.
///
/// A promise that is dropped unfired fails its Deferred with [`Abandoned`].
///
/// # Examples
/// ```
/// use twistor::{Failure, defer::Deferred, error::Abandoned};
///
/// let (deferred, promise) = Deferred::<u32>::pending();
/// promise.callback(7);
/// assert_eq!(deferred.now().unwrap().unwrap(), 7);
///
/// let (deferred, promise) = Deferred::<u32>::pending();
/// drop(promise);
/// assert!(deferred.now().unwrap().unwrap_err().check::<Abandoned>());
/// ```
/// ```compile_fail
/// # use twistor::defer::Deferred;
/// let (deferred, promise) = Deferred::<u32>::pending();
/// promise.callback(7);
/// promise.callback(8); // use of moved value: `promise`
/// ```
#[must_use = "a promise that is dropped unfired fails its Deferred"]
pub struct Promise<T: 'static> {
    source: Option<Rc<Source<T>>>,
    /// Of the writing end that a canceller was given: where the cancel was.
    cancelled_at: Option<Place>,
}

/// What became of a fire.
///
/// Only a Deferred that was cancelled can have its result before its promise is used. There is nothing to handle, so
/// this is no `Result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The Deferred has this result now, and its callbacks have run or run in the outermost fire.
    Delivered,
    /// The Deferred was cancelled and had no canceller, so who holds the promise could not know: the result is let go.
    Swallowed,
    /// The Deferred was cancelled and its canceller was told: whoever holds the promise should have known.
    #[doc(alias = "AlreadyCalledError")]
    AlreadyCalled,
}

impl Fired {
    /// Whether the Deferred took the result.
    pub fn is_delivered(self) -> bool {
        self == Fired::Delivered
    }
}

impl<T: 'static> Promise<T> {
    #[inline]
    pub(crate) fn new(source: Rc<Source<T>>) -> Promise<T> {
        Promise { source: Some(source), cancelled_at: None }
    }

    pub(crate) fn of_canceller(source: Rc<Source<T>>, at: Place) -> Promise<T> {
        Promise { source: Some(source), cancelled_at: Some(at) }
    }

    /// Of what a canceller was given: where the cancel was.
    pub(crate) fn cancelled_at(&self) -> Option<Place> {
        self.cancelled_at
    }

    /// Gives the Deferred its value and runs its callbacks.
    #[track_caller]
    #[inline]
    pub fn callback(self, value: T) -> Fired {
        self.fire(Ok(value))
    }

    /// Gives the Deferred its failure and runs its errbacks.
    #[track_caller]
    pub fn errback(self, failure: impl Into<Failure>) -> Fired {
        let place = Location::caller();
        self.fire_at(Err(failure.into()), place)
    }

    /// Gives the Deferred its result, whichever it is.
    #[track_caller]
    #[inline]
    pub fn fire(self, result: Result<T>) -> Fired {
        self.fire_at(result, Location::caller())
    }

    #[inline]
    pub(crate) fn fire_at(mut self, result: Result<T>, place: Place) -> Fired {
        match self.source.take() {
            Some(source) => source.fire(result, place),
            None => Fired::AlreadyCalled, // not reached: only this and Drop take it
        }
    }
}

impl<T: 'static> Drop for Promise<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            dropped(source, self.cancelled_at);
        }
    }
}

#[cold]
#[inline(never)]
fn dropped<T: 'static>(source: Rc<Source<T>>, cancelled_at: Option<Place>) {
    match cancelled_at {
        Some(at) => source.abandon(|| cancelled(at), true),
        None => source.abandon(abandoned, false),
    }
}

/// Fires all of them with the same result, first come, first served.
#[track_caller]
pub(crate) fn fire_all<T: Clone + 'static>(promises: Vec<Promise<T>>, result: &Result<T>) {
    for promise in promises {
        promise.fire(result.clone());
    }
}

thread_local! {
    static CLOSING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which lets go of what a reactor holds at its end: promises that are dropped by it fail with [`ReactorNotRunning`], and nobody
/// is told that nobody handled that.
pub(crate) fn closing(f: impl FnOnce()) {
    struct Undo(bool);
    impl Drop for Undo {
        fn drop(&mut self) {
            CLOSING.set(self.0);
        }
    }
    let _undo = Undo(CLOSING.replace(true));
    f();
}

#[cold]
fn abandoned() -> Failure {
    if CLOSING.try_with(Cell::get).unwrap_or(false) {
        return Failure::quiet(ReactorNotRunning);
    }
    Failure::new(Abandoned)
}

impl<T: 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}
