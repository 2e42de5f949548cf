//! Twisted's `twisted.internet.threads`.

use super::{
    defer::{Deferred, IntoDeferred},
    reactor,
};
use twistor::Result;

/// Calls `f`, which may block, in a thread of a pool, and gives its result. To cancel it forgets the result; what has begun goes on.
///
/// The pool is the one of the `blocking` crate: it grows as it is used, to 500 threads if `BLOCKING_MAX_THREADS` does not say another number, and is
/// the same for all reactors of the process. Twisted's has 10 threads and is its reactor's: who relied on that as a limit takes a
/// [`DeferredSemaphore`](super::defer::DeferredSemaphore).
///
/// # Examples
/// ```
/// use twisted::{internet::{reactor, threads}, python::log};
/// reactor::call_when_running(|| {
///     let d = threads::defer_to_thread(|| Ok("12".parse::<u32>()?));
///     d.add_callback(|n| { assert_eq!(n, 12); reactor::stop() });
///     d.add_errback(log::err);
/// });
/// reactor::run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "deferToThread")]
#[doc(alias = "callInThread")]
#[track_caller]
pub fn defer_to_thread<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Deferred<T> {
    let remote = reactor::get().remote();
    reactor::spawn(blocking::unblock(move || reactor::work_for(remote, f)))
}

/// Has `f` called in the reactor's thread, and blocks this thread until what it gives has a result. Which reactor that is:
/// see [`call_from_thread`](reactor::call_from_thread).
///
/// # Errors
/// What `f` gives, its panic included; [`NoReactor`](super::error::NoReactor); [`ReactorNotRunning`](super::error::ReactorNotRunning) if it does not run any more or stops meanwhile;
/// [`WouldDeadlock`](super::error::WouldDeadlock) in the reactor's own thread.
#[doc(alias = "blockingCallFromThread")]
#[track_caller]
pub fn blocking_call_from_thread<R: IntoDeferred>(f: impl FnOnce() -> R + Send + 'static) -> Result<R::Output>
where
    R::Output: Send,
{
    reactor::remote()?.blocking_call_from_thread(|_reactor| f().into_typed())
}
