//! [`Chain`]: one chain of twistor's that several handles share.

use super::{into::ChainId, value::Value};
use std::{
    cell::{Cell, RefCell},
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    rc::{Rc, Weak},
    time::Duration,
};
use twistor::{
    Failure, Result,
    defer::{CancelHandle, Deferred, Fired, Promise, fail, succeed},
    time::Time,
    trace::Place,
};

/// Both ends of a chain of twistor's, for handles that share it.
pub(super) struct Chain {
    /// None once it was used. Without a canceller a cancel leaves it, for the one late fire that is let go. It goes first: whoever
    /// waits is told before the chain's end is dropped.
    promise: Cell<Option<Promise<Value>>>,
    /// The end, where the next stage is added; None while one is. It is lent while an unpause runs stages.
    tail: RefCell<Option<Tail>>,
    /// The stages that came while the end was lent, first come, first served.
    notes: RefCell<Vec<Note>>,
    id: ChainId,
    made: Place,
    /// Where it was fired or cancelled.
    fired: Cell<Option<Place>>,
}

type Tail = Deferred<Value>;

/// Adds a stage.
type Note = Box<dyn FnOnce(Tail) -> (Tail, Option<Fire>)>;

/// A fire that is to come when the end is in its place: what runs in it may add stages, which come after.
type Fire = (Promise<Value>, Result<Value>);

impl Chain {
    /// A chain that its handles fire.
    #[track_caller]
    pub(super) fn unfired() -> Rc<Chain> {
        let (tail, promise) = Deferred::pending();
        Chain::new(tail, Some(promise))
    }

    /// The same. A cancel calls `canceller`, which may fire the chain.
    #[track_caller]
    pub(super) fn cancellable(canceller: impl FnOnce(Rc<Chain>) + 'static) -> Rc<Chain> {
        let place = Rc::new(Cell::new(Weak::new()));
        let chain = place.clone();
        let (tail, promise) = Deferred::cancellable(move |own| {
            if let Some(chain) = chain.take().upgrade() {
                canceller(chain);
            }
            drop(own); // unless the canceller has fired it, this fails the chain
        });
        let chain = Chain::new(tail, Some(promise));
        place.set(Rc::downgrade(&chain));
        chain
    }

    /// A chain that somebody else fires.
    #[track_caller]
    pub(super) fn of(tail: Tail) -> Rc<Chain> {
        Chain::new(tail, None)
    }

    #[track_caller]
    fn new(tail: Tail, promise: Option<Promise<Value>>) -> Rc<Chain> {
        Rc::new(Chain {
            promise: Cell::new(promise),
            tail: RefCell::new(Some(tail)),
            notes: RefCell::default(),
            id: ChainId::next(),
            made: Location::caller(),
            fired: Cell::default(),
        })
    }

    pub(super) fn id(&self) -> ChainId {
        self.id
    }

    // ---- firing

    #[track_caller]
    pub(super) fn fire(&self, result: Result<Value>) -> Result<()> {
        let fired = self.fired.get();
        let Some(promise) = self.promise.take() else { return Err(self.already_called(fired)) };
        self.fired.set(fired.or(Some(Location::caller())));
        match promise.fire(result) {
            Fired::AlreadyCalled => {
                self.fired.set(fired);
                Err(self.already_called(fired))
            }
            Fired::Delivered | Fired::Swallowed => Ok(()),
        }
    }

    #[track_caller]
    fn already_called(&self, fired: Option<Place>) -> Failure {
        AlreadyCalledError { made: self.made, fired }.into()
    }

    // ---- stages

    /// Adds a stage; it runs at once if the result is there.
    #[track_caller]
    pub(super) fn add(&self, stage: impl FnOnce(Result<Value>) -> Tail + 'static) {
        match self.take_tail() {
            Some(tail) => self.put(append(tail, stage)),
            None => self.notes.borrow_mut().push(Box::new(move |tail| append(tail, stage))),
        }
    }

    /// None while it is lent.
    fn take_tail(&self) -> Option<Tail> {
        self.tail.try_borrow_mut().ok()?.take()
    }

    #[track_caller]
    fn put(&self, (tail, fire): (Tail, Option<Fire>)) {
        self.tail.replace(Some(tail));
        if let Some((promise, result)) = fire {
            promise.fire(result);
        }
    }

    /// Adds the stages that came while the end was lent.
    fn catch_up(&self) {
        let notes = self.notes.take();
        if notes.is_empty() {
            return;
        }
        let Some(mut tail) = self.take_tail() else { return drop(self.notes.replace(notes)) };
        let mut fire = None;
        for note in notes {
            let (longer, starts) = note(tail);
            tail = longer;
            fire = fire.or(starts); // of the first only: after it the chain has no result
        }
        self.put((tail, fire));
    }

    /// Cancels what comes here if there is no result in time; `on_timeout` then gets what that gave.
    #[track_caller]
    pub(super) fn add_timeout(
        &self,
        after: Duration,
        time: &(impl Time + ?Sized),
        on_timeout: impl FnOnce(Result<Value>) -> Tail + 'static,
    ) {
        let (over, handle) = (Rc::new(Cell::new(false)), self.with_tail(Deferred::cancel_handle));
        let call = time.schedule(after, {
            let over = over.clone();
            Box::new(move || {
                over.set(true);
                cancel(handle);
            })
        });
        self.add(move |result| {
            if over.get() {
                return on_timeout(result);
            }
            let _ = call.cancel(); // no error: it is active, or its reactor has closed
            ready(result)
        });
    }

    /// What takes the result over when it comes here, and cancels this chain when it is cancelled. `split` gives what is taken, and
    /// what stays.
    #[track_caller]
    pub(super) fn branch(
        &self,
        split: impl FnOnce(Result<Value>) -> (Result<Value>, Result<Value>) + 'static,
    ) -> Deferred<Value> {
        // The handle of the end that is there: the stage below comes to the same chain. A result that is there can not be cancelled.
        let upstream = self.with_tail(Deferred::cancel_handle);
        let (branch, promise) = Deferred::forwarding(move || cancel(upstream));
        self.add(move |result| {
            let (taken, stays) = split(result);
            promise.fire(taken);
            ready(stays)
        });
        branch
    }

    /// All of its result, now or later. What stays is none.
    #[track_caller]
    pub(super) fn take_over(self: Rc<Self>) -> Deferred<Value> {
        match Rc::try_unwrap(self) {
            // No other handle. If nobody has fired it nobody can any more, and dropping the promise tells so.
            Ok(Chain { tail, .. }) => tail.into_inner().expect("it is out only while the chain is borrowed"),
            Err(chain) => chain.branch(|result| (result, Ok(Value::none()))),
        }
    }

    // ---- from outside

    /// The end, unless it is being changed.
    fn with_tail<R>(&self, f: impl FnOnce(&Tail) -> R) -> Option<R> {
        self.tail.borrow().as_ref().map(f)
    }

    #[track_caller]
    pub(super) fn cancel(&self) {
        let unfired = self.promise.take();
        if unfired.is_some() && self.fired.get().is_none() {
            self.fired.set(Some(Location::caller()));
        }
        self.promise.set(unfired);
        cancel(self.with_tail(Deferred::cancel_handle));
    }

    #[track_caller]
    pub(super) fn pause(&self) {
        self.with_tail(Deferred::pause);
    }

    pub(super) fn unpause(&self) {
        self.with_tail(Deferred::unpause);
        self.catch_up();
    }

    pub(super) fn called(&self) -> bool {
        self.fired.get().is_some() || self.with_tail(Deferred::is_fired) == Some(true)
    }

    /// Looks at the result, if it is there. `f` may run user code, a clone: stages that it adds come after, and with a panic the result stays.
    pub(super) fn look<R>(&self, f: impl FnOnce(&Result<Value>) -> R) -> Option<R> {
        let result = match self.take_tail()?.now() {
            Err(tail) => {
                self.tail.replace(Some(tail));
                return None;
            }
            Ok(result) => result,
        };
        let seen = catch_unwind(AssertUnwindSafe(|| f(&result)));
        self.tail.replace(Some(ready(result)));
        self.catch_up();
        Some(seen.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// None is of a chain that is being changed: it waits for nothing.
#[track_caller]
fn cancel(handle: Option<CancelHandle>) {
    if let Some(handle) = handle {
        handle.cancel();
    }
}

#[track_caller]
fn append(tail: Tail, stage: impl FnOnce(Result<Value>) -> Tail + 'static) -> (Tail, Option<Fire>) {
    match tail.now() {
        Ok(result) => {
            let (tail, promise) = Deferred::pending();
            (tail.add_both(stage), Some((promise, result)))
        }
        Err(tail) => (tail.add_both(stage), None),
    }
}

pub(super) fn ready(result: Result<Value>) -> Deferred<Value> {
    result.map_or_else(fail, succeed)
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deferred(made at {}", self.made)?;
        match self.fired.get() {
            Some(place) => write!(f, ", fired at {place})"),
            None => f.write_str(", not fired)"),
        }
    }
}

/// `callback` or `errback` of a Deferred that has been fired.
///
/// # Examples
/// ```
/// use twisted::internet::defer::{AlreadyCalledError, Deferred};
/// let d = Deferred::new();
/// d.callback(1)?;
/// let failure = d.callback(2).unwrap_err();
/// assert!(failure.check::<AlreadyCalledError>());
/// assert!(failure.to_string().starts_with("this Deferred was fired already at "));
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlreadyCalledError {
    /// Where the Deferred was made.
    pub made: Place,
    /// Where it was fired or cancelled before, if one of its handles did that.
    pub fired: Option<Place>,
}

impl Error for AlreadyCalledError {}

impl fmt::Display for AlreadyCalledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fired {
            Some(place) => write!(f, "this Deferred was fired already at {place}")?,
            None => f.write_str("this Deferred is fired by what made it, or was cancelled")?,
        }
        write!(f, " (it was made at {}); ask called() first, or make another one", self.made)
    }
}
