//! Deferreds that are cancelled when they take too long.

use super::{deferred::Deferred, into::IntoDeferred, record, stage::Kind};
use crate::{
    error::{CancelledError, TimeoutError},
    failure::Result,
    time::Time,
};
use std::{cell::Cell, panic::Location, rc::Rc, time::Duration};

impl<T: 'static> Deferred<T> {
    /// Cancels the work if there is no result after `after`; a [`CancelledError`] that comes of it is a
    /// [`TimeoutError`] here.
    ///
    /// It covers the chain up to here: the timer ends when the result comes by. If the canceller gave a result of its own,
    /// that one passes.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use twistor::{defer::Deferred, error::TimeoutError, time::Clock};
    /// let clock = Clock::new();
    /// let (deferred, _promise) = Deferred::<u8>::pending();
    /// let deferred = deferred.add_timeout(Duration::from_secs(5), &clock);
    /// clock.advance(Duration::from_secs(5));
    /// assert!(deferred.now().unwrap().unwrap_err().check::<TimeoutError>());
    /// ```
    #[doc(alias = "addTimeout")]
    #[track_caller]
    pub fn add_timeout(self, after: Duration, time: &(impl Time + ?Sized)) -> Deferred<T> {
        self.add_timeout_with(after, time, timed_out)
    }

    /// The same, and `on_timeout` makes the result of what the cancelling gave.
    #[doc(alias = "onTimeoutCancel")]
    #[track_caller]
    pub fn add_timeout_with<R: IntoDeferred<Output = T>>(
        self,
        after: Duration,
        time: &(impl Time + ?Sized),
        on_timeout: impl FnOnce(Result<T>, Duration) -> R + 'static,
    ) -> Deferred<T> {
        let place = Location::caller();
        let id = self.id();
        let over = Rc::new(Cell::new(false));
        let call = time.schedule(after, {
            let over = over.clone();
            Box::new(move || {
                over.set(true);
                record::cancel(id, place);
            })
        });
        self.stage(Kind::Both, place, move |result| {
            if over.get() {
                return on_timeout(result, after).into_deferred();
            }
            let _ = call.cancel(); // no error: it is active, or its reactor has closed
            Deferred::ready_at(result, place)
        })
    }
}

fn timed_out<T>(result: Result<T>, after: Duration) -> Result<T> {
    match result {
        Err(failure) if failure.check::<CancelledError>() => Err(TimeoutError::new(after).into()),
        other => other,
    }
}
