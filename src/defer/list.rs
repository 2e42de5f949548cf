//! Several Deferreds as one: [`DeferredList`], [`gather_results`], [`race`].

use super::{
    Deferred, IntoDeferred, Promise,
    record::{self, Id, Role},
    source::Canceller,
    stage::Kind,
    succeed,
};
use crate::{
    error::{FailureGroup, FirstError},
    failure::{Failure, Result},
    trace::Place,
};
use std::{
    cell::{Cell, OnceCell, RefCell},
    panic::Location,
    rc::{Rc, Weak},
};

/// Waits for several Deferreds; a stage can return it, and [`into_deferred`](IntoDeferred::into_deferred) makes it one.
///
/// Without flags it fires when all have a result, with every result in the order of the Deferreds; it never fails.
/// Cancelling it cancels those that are pending, and what they make of that is the result.
///
/// A failure among them is in the list, and is reported as unhandled all the same unless
/// [`consume_errors`](Self::consume_errors) is set, as in Twisted: the list may be dropped unread.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, DeferredList, IntoDeferred, Listed};
/// use twistor::Failure;
///
/// let (a, a_promise) = Deferred::<u8>::pending();
/// let (b, b_promise) = Deferred::<u8>::pending();
/// let both = DeferredList::new([a, b]).consume_errors().into_deferred();
/// b_promise.errback(Failure::msg("no"));
/// a_promise.callback(1);
/// let Listed::All(results) = both.now().unwrap().unwrap() else { unreachable!() };
/// assert_eq!(*results[0].as_ref().unwrap(), 1);
/// assert_eq!(results[1].as_ref().unwrap_err().to_string(), "no");
/// ```
#[derive(Debug)]
#[must_use = "a list begins to wait when it is turned into a Deferred"]
pub struct DeferredList<T: 'static> {
    deferreds: Vec<Deferred<T>>,
    flags: Flags,
    made: Place,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    one_callback: bool,
    one_errback: bool,
    consume: bool,
}

/// What a [`DeferredList`] gives.
#[derive(Debug)]
pub enum Listed<T> {
    /// All have a result: these, in the order of the Deferreds.
    All(Vec<Result<T>>),
    /// With [`fire_on_one_callback`](DeferredList::fire_on_one_callback), the first value that came.
    First {
        /// The value.
        value: T,
        /// Which one of them it is of, from 0.
        index: usize,
    },
}

impl<T: 'static> DeferredList<T> {
    /// A list without flags.
    #[track_caller]
    pub fn new(deferreds: impl IntoIterator<Item = Deferred<T>>) -> DeferredList<T> {
        let deferreds = deferreds.into_iter().collect();
        DeferredList { deferreds, flags: Flags::default(), made: Location::caller() }
    }

    /// Fires with the first value. If all fail, it fires with the whole list. An empty list never fires then, whatever is cancelled.
    #[doc(alias = "fireOnOneCallback")]
    pub fn fire_on_one_callback(mut self) -> DeferredList<T> {
        self.flags.one_callback = true;
        self
    }

    /// Fails with the first failure, as a [`FirstError`].
    #[doc(alias = "fireOnOneErrback")]
    pub fn fire_on_one_errback(mut self) -> DeferredList<T> {
        self.flags.one_errback = true;
        self
    }

    /// Takes the failures as handled, those that come after the list has fired too.
    #[doc(alias = "consumeErrors")]
    pub fn consume_errors(mut self) -> DeferredList<T> {
        self.flags.consume = true;
        self
    }

    /// The values alone; the first failure fails it, as a [`FirstError`]. The others are not cancelled.
    #[track_caller]
    pub fn gather(self) -> Deferred<Vec<T>> {
        self.fire_on_one_errback().into_deferred().stage(Kind::Callback, Location::caller(), |listed| {
            match listed {
                // Without fire_on_one_callback there is a list, and with fire_on_one_errback no failure in it.
                Ok(Listed::All(results)) => {
                    Deferred::ready_at(results.into_iter().collect(), Location::caller())
                }
                Ok(Listed::First { value, .. }) => succeed(vec![value]),
                Err(failure) => Deferred::failed(failure),
            }
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static> IntoDeferred for DeferredList<T> {
    type Output = Listed<T>;

    fn into_deferred(self) -> Deferred<Listed<T>> {
        let DeferredList { deferreds, flags, made } = self;
        let (deferred, gather) = Gather::new(deferreds.len(), flags, made);
        match (deferreds.is_empty(), flags.one_callback) {
            (true, false) => gather.fire(Ok(Listed::All(Vec::new())), made),
            // As in Twisted nothing can fire it, not even a cancel, which only cancels what is in it: listed for ever.
            (true, true) => std::mem::forget(gather.clone()),
            (false, _) => {}
        }
        join(deferreds, deferred.id(), made, &gather.children, |index| {
            let gather = gather.clone();
            move |result| gather.result(index, result, made)
        });
        deferred
    }
}

/// The first of nothing: it never fires, and is listed as pending until it is cancelled. Its canceller holds its promise until then.
fn never<T: 'static>(made: Place) -> Deferred<T> {
    let held = Rc::new(Cell::new(None));
    let promise = held.clone();
    let canceller = Canceller::Once(Box::new(move |own| drop((promise.take(), own))));
    let (deferred, source) = Deferred::with_canceller(made, canceller);
    held.set(Some(Promise::new(source)));
    deferred.describe(Role::Combined, 0);
    deferred
}

/// Gives each Deferred its last stage. The combinator keeps their ids, never their handles: those would be a cycle.
fn join<T: 'static, F: FnOnce(Result<T>) -> Deferred<()> + 'static>(
    deferreds: Vec<Deferred<T>>,
    whole: Id,
    at: Place,
    children: &OnceCell<Box<[Id]>>,
    stage: impl Fn(usize) -> F,
) {
    record::describe(whole, Role::Combined, 0);
    let ids: Box<[Id]> = deferreds.iter().map(Deferred::id).collect();
    let ids = children.get_or_init(|| ids);
    for (index, deferred) in deferreds.into_iter().enumerate() {
        deferred.stage(Kind::Both, at, stage(index)).hand_on();
        record::input_of(ids[index], whole);
    }
}

/// The state of a list.
struct Gather<T: 'static> {
    results: RefCell<Vec<Option<Result<T>>>>,
    left: Cell<usize>,
    promise: Cell<Option<Promise<Listed<T>>>>,
    children: OnceCell<Box<[Id]>>,
    flags: Flags,
}

impl<T: 'static> Gather<T> {
    fn new(count: usize, flags: Flags, made: Place) -> (Deferred<Listed<T>>, Rc<Gather<T>>) {
        let gather = Rc::new(Gather {
            results: RefCell::new((0..count).map(|_| None).collect()),
            left: Cell::new(count),
            promise: Cell::new(None),
            children: OnceCell::new(),
            flags,
        });
        let weak = Rc::downgrade(&gather);
        let canceller = Canceller::Each(Rc::new(move |at| Gather::cancel(&weak, at)));
        let (deferred, source) = Deferred::with_canceller(made, canceller);
        gather.promise.set(Some(Promise::new(source)));
        (deferred, gather)
    }

    /// Cancelling is passed on; the result is what comes back.
    fn cancel(weak: &Weak<Gather<T>>, at: Place) {
        let Some(gather) = weak.upgrade() else { return };
        for id in gather.children.get().into_iter().flatten() {
            record::cancel(*id, at);
        }
    }

    /// One of them has its result.
    fn result(&self, index: usize, result: Result<T>, at: Place) -> Deferred<()> {
        let unhandled = match &result {
            Err(failure) if !self.flags.consume => Some(failure.clone()),
            _ => None,
        };
        self.left.set(self.left.get() - 1);
        match result {
            Ok(value) if self.flags.one_callback => self.fire(Ok(Listed::First { value, index }), at),
            Err(failure) if self.flags.one_errback => {
                self.fire(Err(FirstError::new(failure, index).into()), at)
            }
            result => {
                self.results.borrow_mut()[index] = Some(result);
                if self.left.get() == 0 {
                    let results = self.results.take().into_iter().flatten().collect();
                    self.fire(Ok(Listed::All(results)), at);
                }
            }
        }
        match unhandled {
            Some(failure) => Deferred::failed(failure),
            None => succeed(()),
        }
    }

    /// The first to fire it does; what comes later is let go.
    fn fire(&self, result: Result<Listed<T>>, at: Place) {
        if let Some(promise) = self.promise.take() {
            promise.fire_at(result, at);
        }
    }
}

/// Waits for the values of all; the first failure fails it, as a [`FirstError`]. The others are not cancelled.
///
/// As in Twisted, a failure is also reported as unhandled for the Deferred it came from, the first one too; with
/// `DeferredList::new(..).consume_errors().gather()` none is.
///
/// # Examples
/// ```
/// use twistor::{Failure, defer::{DeferredList, fail, gather_results, succeed}, error::FirstError};
/// assert_eq!(gather_results([succeed(1), succeed(2)]).now().unwrap().unwrap(), [1, 2]);
///
/// let failed = DeferredList::new([succeed(1), fail(Failure::msg("no"))]).consume_errors().gather();
/// assert_eq!(failed.now().unwrap().unwrap_err().value::<FirstError>().unwrap().index, 1);
/// ```
#[doc(alias = "gatherResults")]
#[track_caller]
pub fn gather_results<T: 'static>(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<Vec<T>> {
    DeferredList::new(deferreds).gather()
}

/// Gives the index and the value of the first that succeeds, after cancelling the others. If all fail, it fails with a
/// [`FailureGroup`]. A race of none never
/// fires, but for a cancel.
///
/// Cancelling it cancels all of them.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, race};
/// let (slow, _slow) = Deferred::<&str>::pending();
/// let (fast, fast_promise) = Deferred::<&str>::pending();
/// let first = race([slow, fast]);
/// fast_promise.callback("fast");
/// assert_eq!(first.now().unwrap().unwrap(), (1, "fast"));
/// ```
#[track_caller]
pub fn race<T: 'static>(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<(usize, T)> {
    let made = Location::caller();
    let deferreds: Vec<_> = deferreds.into_iter().collect();
    if deferreds.is_empty() {
        return never(made);
    }
    let (deferred, race) = Race::new(deferreds.len(), made);
    join(deferreds, deferred.id(), made, &race.children, |index| {
        let race = race.clone();
        move |result| {
            race.result(index, result, made);
            succeed(())
        }
    });
    deferred
}

/// The state of a race.
struct Race<T: 'static> {
    failures: RefCell<Vec<Option<Failure>>>,
    left: Cell<usize>,
    won: Cell<bool>,
    promise: Cell<Option<Promise<(usize, T)>>>,
    children: OnceCell<Box<[Id]>>,
}

impl<T: 'static> Race<T> {
    fn new(count: usize, made: Place) -> (Deferred<(usize, T)>, Rc<Race<T>>) {
        let race = Rc::new(Race {
            failures: RefCell::new(vec![None; count]),
            left: Cell::new(count),
            won: Cell::new(false),
            promise: Cell::new(None),
            children: OnceCell::new(),
        });
        let weak: Weak<Race<T>> = Rc::downgrade(&race);
        // What the canceller is given fails the race if none of them answers the cancelling.
        let canceller = Canceller::Once(Box::new(move |promise: Promise<(usize, T)>| {
            if let Some(race) = weak.upgrade() {
                race.cancel_but(None, promise.cancelled_at().unwrap_or(made));
            }
            drop(promise);
        }));
        let (deferred, source) = Deferred::with_canceller(made, canceller);
        race.promise.set(Some(Promise::new(source)));
        (deferred, race)
    }

    fn cancel_but(&self, winner: Option<usize>, at: Place) {
        for (index, id) in self.children.get().into_iter().flatten().enumerate() {
            if winner != Some(index) {
                record::cancel(*id, at);
            }
        }
    }

    fn result(&self, index: usize, result: Result<T>, at: Place) {
        match result {
            Ok(value) => {
                if self.won.replace(true) {
                    return; // a loser that answered the cancelling with a value
                }
                self.cancel_but(Some(index), at);
                self.fire(Ok((index, value)), at);
            }
            Err(failure) => {
                self.failures.borrow_mut()[index] = Some(failure);
                self.left.set(self.left.get() - 1);
                if self.left.get() == 0 {
                    let failures = self.failures.take().into_iter().flatten().collect();
                    self.fire(Err(FailureGroup::new(failures).into()), at);
                }
            }
        }
    }

    fn fire(&self, result: Result<(usize, T)>, at: Place) {
        if let Some(promise) = self.promise.take() {
            promise.fire_at(result, at);
        }
    }
}
