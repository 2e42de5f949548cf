//! Twisted's `twisted.internet.threads`.

use super::{
    defer::{Deferred, IntoDeferred},
    reactor,
};
use twistor::{Result, threads::ThreadPool};

/// Calls `f`, which may block, in a thread of the reactor's pool, and gives its result; see [`twistor::threads`]. To cancel it forgets the result; what has
/// begun goes on.
///
/// The pool is the reactor's, of 10 threads at most if [`suggest_thread_pool_size`](reactor::suggest_thread_pool_size) does not say another number. A job that
/// has not begun is taken back by a cancel, which Twisted's is not.
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
#[track_caller]
pub fn defer_to_thread<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Deferred<T> {
    let (reactor, f) = reactor::working(f);
    reactor.defer_to_thread(f).into()
}

/// The same in a pool of your own.
///
/// # Examples
/// ```
/// use twisted::{internet::{reactor, threads}, python::log};
/// use twistor::threads::ThreadPool;
/// let database = ThreadPool::new(&reactor::get(), "database", 0..=1);
/// let d = threads::defer_to_thread_pool(&database, || Ok(std::thread::current().name().map(str::to_string)));
/// d.add_callback(|name| { assert_eq!(name.as_deref(), Some("database-0")); reactor::stop() });
/// d.add_errback(log::err);
/// reactor::run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "deferToThreadPool")]
#[track_caller]
pub fn defer_to_thread_pool<T: Send + 'static>(
    pool: &ThreadPool,
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Deferred<T> {
    let (_reactor, f) = reactor::working(f);
    pool.defer_to_thread(f).into()
}

/// Calls these one after another in one thread. The first that panics is the last.
#[doc(alias = "callMultipleInThread")]
#[track_caller]
pub fn call_multiple_in_thread(calls: impl IntoIterator<Item = Box<dyn FnOnce() + Send>>) {
    let calls: Vec<_> = calls.into_iter().collect();
    reactor::call_in_thread(move || calls.into_iter().for_each(|call| call()));
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
