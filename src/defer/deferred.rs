//! [`Deferred`]: the reading end.

use super::{
    cancel::CancelHandle,
    chain::{Run, Tail, drive},
    into::IntoDeferred,
    promise::Promise,
    record::{self, Handle, Id, Role},
    source::{Canceller, Source},
};
use crate::{
    failure::{Failure, Result},
    report,
    time::Driven,
    trace::Place,
};
use std::{cell::Cell, fmt, mem::ManuallyDrop, panic::Location, rc::Rc};

/// A result that is not there yet, and a chain of callbacks for when it is.
///
/// It is Twisted's Deferred with types: adding a stage consumes the handle and returns that of the next stage, so a
/// chain is linear. It is a [`Future`] too, of `Result<T, Failure>`. It is not `Send` and needs no reactor.
///
/// * A stage gives `Result<U, Failure>` (an `Err` switches to the errback track), a `Deferred<U>` (the chain waits for
///   it), or `()`. For a plain value there is [`map`](Self::map), or `Ok(value)`.
/// * Stages run at once: inside [`Promise::callback`], or inside `add_callback` where the result is there already.
/// * A stage that panics gives a [`Panicked`](crate::error::Panicked) failure.
/// * A chain may have any length and depth. Nothing here recurses.
/// * Dropping the handle cancels nothing: the stages still run. A failure that reaches the end of a chain without a
///   handle is told to the [report hook](crate::report::hook), once.
///
/// Two things do not compile and have a short way out: `return Ok(3)` in a stage that elsewhere gives a Deferred (write
/// `return succeed(3)`), and `Err(MyError)` (write `Err(MyError.into())`, or use `?`).
///
/// # Examples
/// ```
/// use twistor::{Failure, defer::{Deferred, succeed}};
///
/// fn audit(n: usize) -> Deferred<usize> { succeed(n * 10) }
///
/// let (deferred, promise) = Deferred::<usize>::pending();
/// let deferred = deferred
///     .add_callback(|n| Ok(n + 1))
///     .add_callback(|n| { let m: usize = "12".parse()?; Ok(m + n) }) // `?` on any error
///     .add_callback(audit)                                           // waits for a Deferred
///     .add_errback(|failure| { failure.trap::<std::fmt::Error>()?; Ok(0) });
/// promise.callback(1);
/// assert_eq!(deferred.now().unwrap().unwrap(), 140);
///
/// // A failure goes by the callbacks to the next errback.
/// let (deferred, promise) = Deferred::<usize>::pending();
/// let deferred = deferred.add_callback(|n| Ok(n + 1)).add_errback(|failure| Ok(failure.to_string().len()));
/// promise.errback(Failure::msg("three"));
/// assert_eq!(deferred.now().unwrap().unwrap(), 5);
/// ```
#[doc(alias = "defer.Deferred")]
pub struct Deferred<T: 'static> {
    state: Cell<ManuallyDrop<State<T>>>,
    id: Cell<Id>,
    made: Place,
}

/// What a handle holds.
pub(crate) enum State<T: 'static> {
    /// The result.
    Ready(Result<T>),
    /// The last node of a chain, where the result is or will be.
    Chain(Rc<dyn Tail<Value = T>>),
    /// Nothing: the handle was consumed, or an await has taken the result.
    Taken,
}

impl<T: 'static> Drop for Deferred<T> {
    /// A failure tells itself, a chain is told.
    #[inline]
    fn drop(&mut self) {
        match self.replace(State::Taken) {
            State::Taken | State::Ready(Ok(_)) => (),
            State::Ready(Err(failure)) => report::unhandled("Deferred", failure),
            State::Chain(tail) => drop_handle(tail, self.id.get()),
        }
    }
}

/// When the handle of a paused chain is dropped nobody can end the pause: what it holds back is let go by the pause's rules, first.
#[inline]
fn drop_handle<T: 'static>(tail: Rc<dyn Tail<Value = T>>, id: Id) {
    if id.was_paused() {
        record::handle_dropped(id);
    }
    tail.drop_handle();
}

/// A Deferred that has its value already.
///
/// # Examples
/// ```
/// # use twistor::defer::succeed;
/// assert_eq!(succeed(3).map(|n| n + 1).now().unwrap().unwrap(), 4);
/// ```
#[track_caller]
#[inline]
pub fn succeed<T>(value: T) -> Deferred<T> {
    Deferred::ready_at(Ok(value), Location::caller())
}

/// A Deferred that has failed already.
///
/// # Examples
/// ```
/// # use twistor::{Failure, defer::fail};
/// let answer = fail::<u8>(Failure::msg("no")).add_errback(|_| Ok(0));
/// assert_eq!(answer.now().unwrap().unwrap(), 0);
/// ```
#[track_caller]
pub fn fail<T>(failure: impl Into<Failure>) -> Deferred<T> {
    let made = Location::caller();
    Deferred::ready_at(Err(failure.into()), made)
}

/// Calls `f` and gives its result as a Deferred: a value, a failure, a panic, or the Deferred that it returned.
///
/// # Examples
/// ```
/// # use twistor::{Failure, defer::maybe_deferred};
/// assert!(maybe_deferred(|| Err::<u8, _>(Failure::msg("no"))).now().unwrap().is_err());
/// assert!(maybe_deferred(|| -> Result<u8, Failure> { panic!("oh") }).now().unwrap().is_err());
/// ```
#[doc(alias = "maybeDeferred")]
#[doc(alias = "execute")]
#[track_caller]
pub fn maybe_deferred<R: IntoDeferred>(f: impl FnOnce() -> R) -> Deferred<R::Output> {
    let made = Location::caller();
    report::guarded(|| f().into_deferred()).unwrap_or_else(|panicked| Deferred::ready_at(Err(panicked), made))
}

impl<T: 'static> Deferred<T> {
    /// A Deferred and the promise that fires it.
    #[track_caller]
    #[inline]
    pub fn pending() -> (Deferred<T>, Promise<T>) {
        Self::pending_at(Location::caller())
    }

    #[inline]
    pub(crate) fn pending_at(made: Place) -> (Deferred<T>, Promise<T>) {
        let (source, id) = Source::new(made);
        (Deferred::chain(source.clone(), id, made), Promise::new(source))
    }

    /// The same with a canceller, which [`cancel`](Self::cancel) calls once with a writing end of its own.
    ///
    /// The canceller stops the work. It may fire what it was given, with a value too; if it drops it, the Deferred fails
    /// with [`CancelledError`](crate::error::CancelledError); if it keeps it, the Deferred stays pending and the next `cancel` fails it. The other
    /// promise comes too late then and is told [`AlreadyCalled`](super::Fired::AlreadyCalled).
    ///
    /// # Examples
    /// ```
    /// # use twistor::{defer::{Deferred, Fired}, error::CancelledError};
    /// let (deferred, promise) = Deferred::<u8>::cancellable(|_promise| println!("stopping the work"));
    /// deferred.cancel();
    /// assert!(deferred.now().unwrap().unwrap_err().check::<CancelledError>());
    /// assert_eq!(promise.callback(1), Fired::AlreadyCalled);
    /// ```
    #[track_caller]
    pub fn cancellable(canceller: impl FnOnce(Promise<T>) + 'static) -> (Deferred<T>, Promise<T>) {
        Self::cancellable_at(Location::caller(), canceller)
    }

    /// A Deferred whose result comes of other work that has a cancel of its own: each [`cancel`](Self::cancel) calls `canceller`, and fails nothing.
    ///
    /// What the other work makes of that is the result, as with a list and with a chain that waits. For who bridges to another library, or
    /// combines Deferreds.
    ///
    /// # Examples
    /// ```
    /// # use twistor::{defer::Deferred, error::CancelledError};
    /// let (work, _at_work) = Deferred::<u8>::pending();
    /// let stop = work.cancel_handle();
    /// let (deferred, promise) = Deferred::forwarding(move || stop.cancel());
    /// work.add_errback(|failure| { failure.trap::<CancelledError>()?; Ok(0) }).chain_deferred(promise);
    /// deferred.cancel();
    /// assert_eq!(deferred.now().unwrap().unwrap(), 0);
    /// ```
    #[track_caller]
    pub fn forwarding(canceller: impl Fn() + 'static) -> (Deferred<T>, Promise<T>) {
        let canceller = Canceller::Each(Rc::new(move |_place| canceller()));
        let (deferred, source) = Self::with_canceller(Location::caller(), canceller);
        (deferred, Promise::new(source))
    }

    pub(crate) fn cancellable_at(
        made: Place,
        canceller: impl FnOnce(Promise<T>) + 'static,
    ) -> (Deferred<T>, Promise<T>) {
        let (deferred, source) = Self::with_canceller(made, Canceller::Once(Box::new(canceller)));
        (deferred, Promise::new(source))
    }

    #[inline]
    pub(crate) fn with_canceller(made: Place, canceller: Canceller<T>) -> (Deferred<T>, Rc<Source<T>>) {
        let (source, id) = Source::new(made);
        source.set_canceller(canceller);
        (Deferred::chain(source.clone(), id, made), source)
    }

    /// A Deferred that a reactor will fire: to await it where nobody turns the reactor is an error.
    pub(crate) fn driven(
        made: Place,
        driven: Rc<Cell<Driven>>,
        canceller: Canceller<T>,
    ) -> (Deferred<T>, Promise<T>) {
        let (deferred, source) = Self::with_canceller(made, canceller);
        source.driven_by(driven);
        (deferred, Promise::new(source))
    }

    #[inline]
    pub(crate) fn ready_at(result: Result<T>, made: Place) -> Deferred<T> {
        Deferred::of(State::Ready(result), Id::default(), made)
    }

    /// A failure that the library itself gives.
    #[track_caller]
    pub(crate) fn failed(failure: Failure) -> Deferred<T> {
        Deferred::ready_at(Err(failure), Location::caller())
    }

    #[inline]
    pub(crate) fn chain(tail: Rc<dyn Tail<Value = T>>, id: Id, made: Place) -> Deferred<T> {
        Deferred::of(State::Chain(tail), id, made)
    }

    #[inline]
    fn of(state: State<T>, id: Id, made: Place) -> Deferred<T> {
        Deferred { state: Cell::new(ManuallyDrop::new(state)), id: Cell::new(id), made }
    }

    /// Gives the former one.
    #[inline]
    fn replace(&self, state: State<T>) -> State<T> {
        ManuallyDrop::into_inner(self.state.replace(ManuallyDrop::new(state)))
    }

    #[inline]
    pub(crate) fn into_parts(self) -> (State<T>, Id) {
        (self.replace(State::Taken), self.id.get())
    }

    pub(crate) fn id(&self) -> Id {
        self.id.get()
    }

    /// Says what it is, if not just a Deferred, and the number of what will fire it; 0 if nobody knows.
    pub(crate) fn describe(&self, role: Role, holder: u32) {
        record::describe(self.id(), role, holder);
    }

    /// Cancels the work.
    ///
    /// If the chain is unfired, its canceller is called, and without one, or if that fires nothing, the chain fails with
    /// [`CancelledError`](crate::error::CancelledError). If it waits for another Deferred, that one is cancelled, and what it makes of that decides. If
    /// the result is there, nothing happens.
    #[track_caller]
    pub fn cancel(&self) {
        record::cancel(self.id(), Location::caller());
    }

    /// What cancels this chain when its handle is elsewhere.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.id())
    }

    /// This Deferred, cancelled when the handle is dropped.
    ///
    /// Without this, to drop a Deferred or the future that awaits it cancels nothing.
    pub fn cancel_on_drop(self) -> super::CancelOnDrop<T> {
        super::CancelOnDrop::new(self)
    }

    /// Holds the stages of this chain back, all of them, until as many [`unpause`](Self::unpause).
    ///
    /// A paused Deferred that is handed to a chain or a combinator can not be unpaused any more, and whoever waits for it
    /// waits for ever.
    #[track_caller]
    pub fn pause(&self) {
        let id = self.id().with_pause();
        if record::pause(id) {
            return self.id.set(id);
        }
        if let Some(result) = self.take_result() {
            let (source, id) = Source::paused(result, self.made);
            self.replace(State::Chain(source));
            self.id.set(id);
        }
    }

    /// Takes one [`pause`](Self::pause) back; the last one lets the stages run, inside this call. Without a pause it does
    /// nothing.
    pub fn unpause(&self) {
        if let Some(parked) = record::unpause(self.id()) {
            let Run { token, made, fired } = parked.run;
            drive(parked.step, token, made, fired);
        }
    }

    /// The result, if it is there and not held back by a pause; else the Deferred again.
    ///
    /// # Errors
    /// This Deferred, if it has no result yet.
    pub fn now(self) -> Result<Result<T>, Deferred<T>> {
        match self.try_take() {
            Some(result) => Ok(result),
            None => Err(self),
        }
    }

    /// Whether the result is there.
    #[doc(alias = "called")]
    pub fn is_fired(&self) -> bool {
        match self.try_take() {
            Some(result) => {
                self.replace(State::Ready(result));
                true
            }
            None => false,
        }
    }

    /// The result, if it is there and not held back by a pause.
    pub(crate) fn try_take(&self) -> Option<Result<T>> {
        if record::is_paused(self.id()) { None } else { self.take_result() }
    }

    fn take_result(&self) -> Option<Result<T>> {
        match self.replace(State::Taken) {
            State::Ready(result) => Some(result),
            State::Chain(last) => {
                let result = last.out().take();
                if result.is_none() {
                    self.replace(State::Chain(last));
                }
                result
            }
            State::Taken => None,
        }
    }

    /// Has `waker` woken when the result comes.
    pub(super) fn await_with(&self, waker: &std::task::Waker) {
        if let State::Chain(last) = self.replace(State::Taken) {
            last.out().awaited_by(waker);
            self.replace(State::Chain(last));
        }
    }

    pub(super) fn is_taken(&self) -> bool {
        let state = self.replace(State::Taken);
        let taken = matches!(state, State::Taken);
        self.replace(state);
        taken
    }

    /// The handle goes, but something waits for the chain: if it is paused, for ever.
    pub(super) fn hand_on(self) {
        let (state, id) = self.into_parts();
        if id.was_paused()
            && let Some(parked) = record::orphan(id, Handle::HandedOn)
        {
            parked.drop_result();
        }
        if let State::Ready(Err(failure)) = state {
            report::unhandled("Deferred", failure);
        }
    }

    #[inline]
    pub(crate) fn place(&self) -> Place {
        self.made
    }
}

#[cold]
pub(super) fn polled_after_ready() -> ! {
    panic!("a Deferred was used after its result was taken: an awaited Deferred has none to give any more")
}

impl<T: 'static> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.replace(State::Taken);
        let text = match &state {
            State::Ready(Err(_)) => "a failure",
            State::Ready(Ok(_)) => "a value",
            State::Chain(_) => "a chain",
            State::Taken => "taken",
        };
        self.replace(state);
        write!(f, "Deferred({text}, made at {})", crate::trace::At(self.made))
    }
}
