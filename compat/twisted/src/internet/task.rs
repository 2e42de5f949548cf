//! Twisted's `twisted.internet.task`.
//!
//! The loop and the cooperator are twistor's own: they are made with the clock that they wait on, `&reactor::get()` or a [`Clock`], and a function that
//! gives them a shared Deferred ends in `.into()`.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use twisted::{internet::{defer::Deferred, reactor, task::LoopingCall}, python::log};
//!
//! let mut left = 3;
//! let countdown = LoopingCall::new(&reactor::get(), move || {
//!     left -= 1;
//!     if left == 0 { reactor::stop() } else { Ok(()) }
//! });
//! let d: Deferred<()> = countdown.start(Duration::from_millis(1), true).into();
//! d.add_errback(log::err);
//! reactor::run()?;
//! # Ok::<(), twistor::Failure>(())
//! ```

use super::{
    defer::{Deferred, IntoDeferred},
    reactor,
};
use std::{future::IntoFuture, process::ExitCode, time::Duration};
use twistor::{Reactor, Result, time::Time};

#[doc(inline)]
pub use twistor::{
    task::{CooperativeTask, Cooperator, LoopingCall, Step},
    time::Clock,
};

/// Calls `f` when `delay` is over, and gives what it gives. To cancel the Deferred cancels the call.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twisted::internet::{defer::CancelledError, task};
/// let clock = task::Clock::new();
/// let d = task::defer_later(&clock, Duration::from_secs(3), || Ok("tea"));
/// d.cancel();
/// assert!(d.result().unwrap().unwrap_err().check::<CancelledError>());
/// assert!(clock.get_delayed_calls().is_empty());
/// ```
#[doc(alias = "deferLater")]
#[track_caller]
pub fn defer_later<R: IntoDeferred>(
    time: &(impl Time + ?Sized),
    delay: Duration,
    f: impl FnOnce() -> R + 'static,
) -> Deferred<R::Output> {
    twistor::task::defer_later(time, delay, || f().into_typed()).into()
}

/// Takes items from an iterator, some in each tick of the reactor, in turn with others.
#[track_caller]
pub fn cooperate<I>(work: I) -> CooperativeTask
where
    I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
{
    reactor::get().cooperate(work)
}

/// The same, for who only wants to know when it is done.
#[track_caller]
pub fn coiterate<I>(work: I) -> Deferred<()>
where
    I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
{
    reactor::get().coiterate(work).into()
}

/// Runs the thread's reactor until what `main` gives is done, and says with which code the process is to exit; see [`Reactor::react`].
///
/// `main` gives a Deferred of either kind, or is an async function. As with [`reactor::run`], the reactor is the one that was used or
/// [installed](reactor::install) before, if there is one.
///
/// # Errors
/// As those of [`Reactor::react`].
///
/// # Panics
/// Where the thread's reactor must be made and the system is out of descriptors, as [`reactor`] says.
///
/// # Examples
/// ```
/// use std::{process::ExitCode, time::Duration};
/// use twisted::internet::{defer::Deferred, reactor, task};
///
/// fn main() -> ExitCode {
///     task::react(|_reactor| {
///         let d = Deferred::new();
///         let fired = d.clone();
///         reactor::call_later(Duration::from_millis(1), move || fired.callback("done"));
///         d
///     })
/// }
/// ```
#[doc(alias = "task.react")]
pub fn react<T: 'static, D>(main: impl FnOnce(Reactor) -> D) -> ExitCode
where
    D: IntoFuture<Output = Result<T>, IntoFuture: 'static>,
{
    reactor::get().react(|reactor| main(reactor).into_future())
}
