//! [`Deferred`]: the handle that everybody shares.

use super::{
    Handled, IntoDeferred,
    chain::{Chain, ready},
    into::ChainId,
    value::Value,
};
use std::{fmt, future::IntoFuture, marker::PhantomData, panic::Location, rc::Rc, time::Duration};
use twistor::{
    Failure, Result, defer as typed,
    error::{CancelledError, TimeoutError, WaitsForItself},
    time::Time,
};

/// Twisted's Deferred as ported code expects it: one handle that adds stages, fires, pauses and cancels, and that several hold.
///
/// Clones are the same Deferred. Stages are added in place, also after it has fired, and the chain goes on where it is: as in Twisted,
/// who adds a stage need not keep what that gives. It is a chain of [`twistor::defer::Deferred`], and converts from one and into one.
///
/// # Types
/// `T` is what the next stage of *this handle* expects. A stage that gives another type gives a handle of that type, of the same chain; take that one for what
/// comes after. A handle that expects what the chain does not have fails with [`WrongType`](super::WrongType), as Python would at that line.
///
/// # One taker
/// A value is moved, not copied. Who takes it — a chain that waits for this one, an `.await`, a list — leaves `()`, Python's None, to the stages that come
/// after. Only failures that a list does not consume stay too. In Twisted it is so for a chain that waits.
///
/// # Differences
/// When the last handle goes and nobody has fired it, nobody can: it fails with [`Abandoned`](twistor::error::Abandoned), its errbacks run, and who waits for it is told.
/// Twisted's is forgotten.
///
/// # Examples
/// ```
/// use twisted::internet::defer::{Deferred, succeed};
///
/// let d = Deferred::new();
/// d.add_callback(|n: usize| Ok(n + 1));
/// d.add_callback(|n| Ok(n + "12".parse::<usize>()?)); // `?` raises
/// d.add_callback(|n| succeed(n * 10));                // the chain waits for a Deferred
/// d.add_errback(|failure| { failure.trap::<std::num::ParseIntError>()?; Ok(0) });
/// d.callback(1)?;                                     // the stages run in here
/// assert_eq!(d.result().unwrap()?, 140);
/// assert!(d.callback(2).is_err());                    // AlreadyCalledError
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "defer.Deferred")]
pub struct Deferred<T: 'static> {
    chain: Rc<Chain>,
    expects: PhantomData<fn() -> T>,
}

impl<T: 'static> Deferred<T> {
    /// A Deferred that nobody has fired.
    #[allow(
        clippy::new_without_default,
        reason = "a place of its own: Default::default is not told where it is called"
    )]
    #[track_caller]
    pub fn new() -> Deferred<T> {
        Deferred::of(Chain::unfired())
    }

    /// The same. [`cancel`](Self::cancel) calls `canceller` with it, once, unless it has fired before.
    ///
    /// The canceller may fire it. If it does not, it fails with [`CancelledError`].
    ///
    /// # Examples
    /// ```
    /// use twisted::internet::defer::Deferred;
    /// let d = Deferred::with_canceller(|d| d.callback("given up").expect("it has not fired"));
    /// d.cancel();
    /// assert_eq!(d.result().unwrap()?, "given up");
    /// assert!(d.callback("late").is_err());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "canceller")]
    #[track_caller]
    pub fn with_canceller(canceller: impl FnOnce(&Deferred<T>) + 'static) -> Deferred<T> {
        Deferred::of(Chain::cancellable(move |chain| canceller(&Deferred::of(chain))))
    }

    pub(super) fn of(chain: Rc<Chain>) -> Deferred<T> {
        Deferred { chain, expects: PhantomData }
    }

    /// A handle of the same chain, whose value has another type now.
    fn becomes<U>(&self) -> Deferred<U> {
        Deferred::of(self.chain.clone())
    }

    pub(super) fn id(&self) -> ChainId {
        self.chain.id()
    }

    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    // ---- firing -------------------------------------------------------------------------------------------------

    /// Gives it its value and runs the stages.
    ///
    /// # Errors
    /// [`AlreadyCalledError`](super::AlreadyCalledError) if it has been fired. As in Twisted one fire after a cancel is let go instead, where there was no canceller that
    /// could have told whoever fires.
    #[track_caller]
    pub fn callback(&self, value: T) -> Result<()> {
        self.chain.fire(Ok(Value::of(value)))
    }

    /// Gives it its failure and runs the stages.
    ///
    /// # Errors
    /// As [`callback`](Self::callback).
    #[track_caller]
    pub fn errback(&self, failure: impl Into<Failure>) -> Result<()> {
        self.chain.fire(Err(failure.into()))
    }

    // ---- stages -------------------------------------------------------------------------------------------------

    /// Adds a stage for the value; a failure passes it by.
    #[doc(alias = "addCallback")]
    #[track_caller]
    pub fn add_callback<R: IntoDeferred>(&self, f: impl FnOnce(T) -> R + 'static) -> Deferred<R::Output> {
        let (own, at) = (self.id(), Location::caller());
        self.chain.add(move |result| match result.and_then(|value| value.take(at)) {
            Ok(value) => given(f(value), own),
            Err(failure) => ready(Err(failure)),
        });
        self.becomes()
    }

    /// Adds a stage for the failure; a value passes it by.
    ///
    /// An errback that gives nothing, such as [`log::err`](crate::python::log::err), leaves `()` in the place of a value.
    #[doc(alias = "addErrback")]
    #[track_caller]
    pub fn add_errback<R: Handled<T>>(&self, f: impl FnOnce(Failure) -> R + 'static) -> Deferred<T> {
        let own = self.id();
        self.chain.add(move |result| match result {
            Ok(value) => ready(Ok(value)),
            Err(failure) => given(f(failure), own),
        });
        self.clone()
    }

    /// Adds one stage with a side for the value and one for the failure: `err` does not see what `ok` gives.
    #[doc(alias = "addCallbacks")]
    #[track_caller]
    pub fn add_callbacks<R: IntoDeferred, S: Handled<R::Output>>(
        &self,
        ok: impl FnOnce(T) -> R + 'static,
        err: impl FnOnce(Failure) -> S + 'static,
    ) -> Deferred<R::Output> {
        let (own, at) = (self.id(), Location::caller());
        self.chain.add(move |result| match result {
            Ok(value) => value.take(at).map_or_else(|wrong| ready(Err(wrong)), |value| given(ok(value), own)),
            Err(failure) => given(err(failure), own),
        });
        self.becomes()
    }

    /// Adds a stage for the result, whichever it is.
    #[doc(alias = "addBoth")]
    #[track_caller]
    pub fn add_both<R: IntoDeferred>(&self, f: impl FnOnce(Result<T>) -> R + 'static) -> Deferred<R::Output> {
        let (own, at) = (self.id(), Location::caller());
        self.chain.add(move |result| given(f(result.and_then(|value| value.take(at))), own));
        self.becomes()
    }

    /// Fires `other` with the result, which leaves `()` here.
    ///
    /// If `other` has been fired, this chain goes on with that failure.
    #[doc(alias = "chainDeferred")]
    #[track_caller]
    pub fn chain_deferred(&self, other: &Deferred<T>) -> Deferred<()> {
        let other = other.chain.clone();
        self.chain.add(move |result| ready(other.fire(result).map(|()| Value::none())));
        self.becomes()
    }

    /// Cancels the work if there is no result after `after`; a [`CancelledError`] that comes of it is a
    /// [`TimeoutError`] for the stages that are added later.
    ///
    /// `time` is a clock or a reactor: `&reactor::get()`.
    #[doc(alias = "addTimeout")]
    #[track_caller]
    pub fn add_timeout(&self, after: Duration, time: &(impl Time + ?Sized)) -> Deferred<T> {
        self.chain.add_timeout(after, time, move |result| match result {
            Err(failure) if failure.check::<CancelledError>() => typed::fail(TimeoutError::new(after)),
            result => ready(result),
        });
        self.clone()
    }

    /// The same, and `on_timeout` makes the result of what the cancelling gave.
    #[doc(alias = "onTimeoutCancel")]
    #[track_caller]
    pub fn add_timeout_with<R: Handled<T>>(
        &self,
        after: Duration,
        time: &(impl Time + ?Sized),
        on_timeout: impl FnOnce(Result<T>, Duration) -> R + 'static,
    ) -> Deferred<T> {
        let (own, at) = (self.id(), Location::caller());
        self.chain.add_timeout(after, time, move |result| {
            given(on_timeout(result.and_then(|value| value.take(at)), after), own)
        });
        self.clone()
    }

    // ---- from outside -------------------------------------------------------------------------------------------

    /// Cancels the work: unfired, its canceller is called, and if that does not fire it, it fails with [`CancelledError`]. If it waits
    /// for another Deferred, that one is cancelled. If it has its result, nothing happens.
    #[track_caller]
    pub fn cancel(&self) {
        self.chain.cancel();
    }

    /// Holds the stages back until as many [`unpause`](Self::unpause).
    #[track_caller]
    pub fn pause(&self) {
        self.chain.pause();
    }

    /// Takes one [`pause`](Self::pause) back; the last one lets the stages run, inside this call.
    pub fn unpause(&self) {
        self.chain.unpause();
    }

    /// Whether it has been fired, by whomever; its stages may still wait for something.
    pub fn called(&self) -> bool {
        self.chain.called()
    }

    /// A copy of the result, if it is there and not held back by a pause.
    pub fn result(&self) -> Option<Result<T>>
    where
        T: Clone,
    {
        let at = Location::caller();
        self.chain.look(|result| match result {
            Ok(value) => value.copy(at),
            Err(failure) => Err(failure.clone()),
        })
    }
}

/// What a stage of the chain `own` gives.
fn given<R: IntoDeferred>(given: R, own: ChainId) -> typed::Deferred<Value> {
    match given.chain() {
        Some(chain) if chain == own => typed::fail(WaitsForItself::default()),
        _ => given.into_typed().map(Value::of),
    }
}

impl<T: 'static> Clone for Deferred<T> {
    /// Another handle of the same Deferred.
    fn clone(&self) -> Deferred<T> {
        self.becomes()
    }
}

impl<T: 'static> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)
    }
}

/// The result of this chain as twistor's Deferred, which takes it over: what stays here is `()`.
impl<T: 'static> From<Deferred<T>> for typed::Deferred<T> {
    #[track_caller]
    fn from(deferred: Deferred<T>) -> typed::Deferred<T> {
        let at = Location::caller();
        deferred.chain.take_over().add_callback(move |value| value.take(at))
    }
}

/// A shared handle of what twistor's functions give. It is fired by who made it.
impl<T: 'static> From<typed::Deferred<T>> for Deferred<T> {
    #[track_caller]
    fn from(deferred: typed::Deferred<T>) -> Deferred<T> {
        Deferred::of(Chain::of(deferred.map(Value::of)))
    }
}

/// `d.await` gives the result, and takes it over.
impl<T: 'static> IntoFuture for Deferred<T> {
    type Output = Result<T>;
    type IntoFuture = typed::Deferred<T>;

    #[track_caller]
    fn into_future(self) -> typed::Deferred<T> {
        self.into()
    }
}
