//! Adding stages to a Deferred: to one that is pending they are appended, on one that has its result they run at once.

use super::{
    chain::{Next, Tail},
    deferred::{Deferred, State, polled_after_ready, succeed},
    into::IntoDeferred,
    promise::Promise,
    record::{self, Id},
    stage::{Kind, Stage, relay, tell},
};
use crate::{
    failure::{Failure, Result},
    report,
    trace::Place,
};
use std::{panic::Location, rc::Rc};

impl<T: 'static> Deferred<T> {
    /// Adds a stage for the value; a failure passes it by.
    #[doc(alias = "addCallback")]
    #[doc(alias = "then")]
    #[track_caller]
    #[inline]
    pub fn add_callback<R: IntoDeferred>(self, f: impl FnOnce(T) -> R + 'static) -> Deferred<R::Output> {
        self.stage(Kind::Callback, Location::caller(), move |result| match result {
            Ok(value) => f(value).into_deferred(),
            Err(failure) => Deferred::failed(failure),
        })
    }

    /// Adds a stage for the failure; a value passes it by. `Err(failure)`, or
    /// [`failure.trap::<E>()?`](Failure::trap), passes it on.
    #[doc(alias = "addErrback")]
    #[doc(alias = "catch")]
    #[track_caller]
    #[inline]
    pub fn add_errback<R: IntoDeferred<Output = T>>(
        self,
        f: impl FnOnce(Failure) -> R + 'static,
    ) -> Deferred<T> {
        self.stage(Kind::Errback, Location::caller(), move |result| match result {
            Ok(value) => succeed(value),
            Err(failure) => f(failure).into_deferred(),
        })
    }

    /// Adds one stage with a side for the value and one for the failure: `err` does not see what `ok` gives.
    #[doc(alias = "addCallbacks")]
    #[track_caller]
    #[inline]
    pub fn add_callbacks<R: IntoDeferred, S: IntoDeferred<Output = R::Output>>(
        self,
        ok: impl FnOnce(T) -> R + 'static,
        err: impl FnOnce(Failure) -> S + 'static,
    ) -> Deferred<R::Output> {
        self.stage(Kind::Both, Location::caller(), move |result| match result {
            Ok(value) => ok(value).into_deferred(),
            Err(failure) => err(failure).into_deferred(),
        })
    }

    /// Adds a stage for the result, whichever it is.
    #[doc(alias = "addBoth")]
    #[track_caller]
    #[inline]
    pub fn add_both<R: IntoDeferred>(self, f: impl FnOnce(Result<T>) -> R + 'static) -> Deferred<R::Output> {
        self.stage(Kind::Both, Location::caller(), move |result| f(result).into_deferred())
    }

    /// Adds a stage that gives a plain value.
    #[track_caller]
    #[inline]
    pub fn map<U: 'static>(self, f: impl FnOnce(T) -> U + 'static) -> Deferred<U> {
        self.stage(Kind::Callback, Location::caller(), move |result| match result {
            Ok(value) => succeed(f(value)),
            Err(failure) => Deferred::failed(failure),
        })
    }

    /// Adds an async stage; the chain waits for it.
    ///
    /// It is polled once inside the firing, as Twisted starts a coroutine at once. If it is pending then, the current
    /// [`Host`](super::Host) polls it on: inside a reactor's callback that is the reactor. With none the stage fails
    /// with [`NoHost`](crate::error::NoHost).
    ///
    /// # Examples
    /// ```
    /// # use twistor::defer::succeed;
    /// let length = succeed("hello").add_async(async |text: &str| Ok(text.len()));
    /// assert_eq!(length.now().unwrap().unwrap(), 5);
    /// ```
    #[doc(alias = "inlineCallbacks")]
    #[track_caller]
    pub fn add_async<R: IntoDeferred>(self, f: impl AsyncFnOnce(T) -> R + 'static) -> Deferred<R::Output> {
        let place = Location::caller();
        self.stage(Kind::Callback, place, move |result| match result {
            Ok(value) => super::task::start(
                async move {
                    match f(value).await.into_deferred().now() {
                        Ok(result) => result,
                        Err(deferred) => deferred.await,
                    }
                },
                place,
            ),
            Err(failure) => Deferred::failed(failure),
        })
    }

    /// Ends the chain: a failure is told to the [report hook](crate::report::hook) at once, under the name `what`.
    ///
    /// Twisted's `addErrback(log.err)`. A handle that is merely dropped reports too; this says so, and says what failed.
    #[doc(alias = "log.err")]
    #[track_caller]
    pub fn or_log(self, what: &'static str) {
        drop(self.stage(Kind::Errback, Location::caller(), move |result| {
            if let Err(failure) = result {
                report::unhandled(what, failure);
            }
            succeed(())
        }));
    }

    /// Fires `promise` with the result.
    #[doc(alias = "chainDeferred")]
    #[track_caller]
    pub fn chain_deferred(self, promise: Promise<T>) {
        let place = Location::caller();
        drop(self.stage(Kind::Both, place, move |result| {
            promise.fire_at(result, place);
            succeed(())
        }));
    }

    #[inline]
    pub(crate) fn stage<U: 'static>(
        self,
        kind: Kind,
        at: Place,
        f: impl FnOnce(Result<T>) -> Deferred<U> + 'static,
    ) -> Deferred<U> {
        let made = self.place();
        match self.into_parts() {
            (State::Ready(result), _) => run_now(result, made, kind, at, f),
            (State::Chain(tail), id) => append(tail, id, made, kind, at, f),
            (State::Taken, _) => polled_after_ready(),
        }
    }

    /// Of a Deferred that gives a Deferred: what that one gives.
    pub(crate) fn flatten<U: 'static>(self, at: Place) -> Deferred<U>
    where
        T: Into<Deferred<U>>,
    {
        self.stage(Kind::Callback, at, |result| match result {
            Ok(inner) => inner.into(),
            Err(failure) => Deferred::failed(failure),
        })
    }
}

/// The result is there: the stage runs in the stack of who adds it, and costs no allocation.
#[inline]
fn run_now<T: 'static, U: 'static>(
    result: Result<T>,
    made: Place,
    kind: Kind,
    at: Place,
    f: impl FnOnce(Result<T>) -> Deferred<U>,
) -> Deferred<U> {
    let given = result.as_ref().err().map(Failure::id);
    let output =
        report::guarded(|| f(result)).unwrap_or_else(|panicked| Deferred::ready_at(Err(panicked), at));
    match output.into_parts() {
        (State::Ready(Ok(value)), _) => Deferred::ready_at(Ok(value), made),
        (State::Ready(Err(failure)), _) => {
            Deferred::ready_at(Err(tell(failure, given, kind, at, made, None)), made)
        }
        (State::Chain(tail), id) => relay(tail, id, made, at),
        (State::Taken, _) => polled_after_ready(),
    }
}

#[inline]
fn append<T: 'static, U: 'static, F: FnOnce(Result<T>) -> Deferred<U> + 'static>(
    tail: Rc<dyn Tail<Value = T>>,
    id: Id,
    made: Place,
    kind: Kind,
    at: Place,
    f: F,
) -> Deferred<U> {
    let out = tail.out();
    if !record::is_paused(id)
        && let Some(result) = out.take()
    {
        return run_now(result, made, kind, at, f);
    }
    let node = Stage::new(f, kind, at);
    match out.set_next(Next::Stage(node.clone())) {
        Next::Nobody => (),
        former => not_awaited(former, id),
    }
    Deferred::chain(node, id, made)
}

/// A stage was added to what a task has polled.
#[cold]
#[inline(never)]
fn not_awaited<T>(former: Next<T>, id: Id) {
    debug_assert!(matches!(former, Next::Awaiter(_)), "only the handle says what comes next");
    record::not_awaited(id);
}
