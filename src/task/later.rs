//! [`defer_later`]: one call later, with a Deferred for its result.

use crate::{
    defer::{Canceller, Deferred, IntoDeferred, Promise, record::Role},
    time::{DelayedCall, Driven, Time},
    trace::Place,
};
use std::{
    cell::{Cell, RefCell},
    panic::Location,
    rc::Rc,
    time::Duration,
};

/// Calls `f` when `delay` is over, and gives what it gives.
///
/// Cancelling the Deferred before that cancels the call: `f` is dropped and never called. Dropping the Deferred does not.
///
/// # Errors
/// The Deferred fails as `f` does, with [`CancelledError`](crate::error::CancelledError) if it is cancelled, and with
/// [`ReactorNotRunning`](crate::error::ReactorNotRunning) if the reactor's run ends first. To await it where nobody turns the reactor is
/// [`NotDriven`](crate::error::NotDriven).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::{error::CancelledError, task::defer_later, time::Clock};
///
/// let clock = Clock::new();
/// let tea = defer_later(&clock, Duration::from_secs(180), || Ok("tea"));
/// clock.advance(Duration::from_secs(180));
/// assert_eq!(tea.now().unwrap().unwrap(), "tea");
///
/// let coffee = defer_later(&clock, Duration::from_secs(180), || Ok("coffee"));
/// coffee.cancel();
/// assert!(clock.get_delayed_calls().is_empty());
/// assert!(coffee.now().unwrap().unwrap_err().check::<CancelledError>());
/// ```
#[doc(alias = "deferLater")]
#[doc(alias = "task.deferLater")]
#[track_caller]
pub fn defer_later<R: IntoDeferred>(
    time: &(impl Time + ?Sized),
    delay: Duration,
    f: impl FnOnce() -> R + 'static,
) -> Deferred<R::Output> {
    let place = Location::caller();
    let call: Rc<RefCell<Option<DelayedCall>>> = Rc::default();
    let (over, promise) = pending(place, time.driven(), cancel(&call));
    let fire = move || {
        promise.fire_at(Ok(()), place);
    };
    let timer = time.schedule(delay, Box::new(fire));
    over.describe(Role::Chain, timer.serial());
    call.replace(Some(timer));
    over.add_callback(|()| f())
}

/// A Deferred that only time fires: where a reactor is the time, to await it while nobody turns that is an error.
fn pending(
    place: Place,
    driven: Option<Rc<Cell<Driven>>>,
    cancel: impl FnOnce(Promise<()>) + 'static,
) -> (Deferred<()>, Promise<()>) {
    match driven {
        Some(driven) => Deferred::driven(place, driven, Canceller::Once(Box::new(cancel))),
        None => Deferred::cancellable_at(place, cancel),
    }
}

/// The canceller of a Deferred that the call is to fire: without the call nobody is left who could.
fn cancel(call: &Rc<RefCell<Option<DelayedCall>>>) -> impl FnOnce(Promise<()>) + 'static {
    let call = call.clone();
    move |promise| {
        if let Some(call) = call.take() {
            let _ = call.cancel(); // it waits, or its reactor has closed
        }
        drop(promise); // which fails it
    }
}
