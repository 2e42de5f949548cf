//! Async code and Deferreds, both ways: `.await` on a Deferred, and a Deferred of a future.

use super::{
    Deferred,
    deferred::polled_after_ready,
    record,
    task::{Polled, start},
};
use crate::{
    error::NotDriven,
    failure::{Failure, Result},
    report,
    trace::{Event, Place},
};
use futures::future::FusedFuture;
use std::{
    cell::RefCell,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

impl<T: 'static> Unpin for Deferred<T> {}

/// Awaiting gives the result, and takes it: a second await panics. To drop the future cancels nothing.
///
/// A Deferred that a reactor made fails with [`NotDriven`] if it is awaited where nobody turns that reactor.
impl<T: 'static> Future for Deferred<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let place = Location::caller();
        if let Some(mut result) = self.try_take() {
            if let Err(failure) = &mut result {
                failure.note(Event::Awaited, place);
            }
            return Poll::Ready(result);
        }
        if self.is_taken() {
            polled_after_ready();
        }
        if record::waits_for_nobody(self.id()) {
            return Poll::Ready(Err(Failure::new(NotDriven)));
        }
        self.await_with(cx.waker());
        record::awaited(self.id(), place);
        Poll::Pending
    }
}

impl<T: 'static> FusedFuture for Deferred<T> {
    fn is_terminated(&self) -> bool {
        self.is_taken()
    }
}

/// A Deferred that is cancelled when it is dropped; from [`Deferred::cancel_on_drop`].
///
/// # Examples
/// ```
/// # use twistor::{defer::{Deferred, Fired}};
/// let (deferred, promise) = Deferred::<u8>::cancellable(|_| println!("the work is stopped"));
/// drop(deferred.cancel_on_drop());
/// assert_eq!(promise.callback(1), Fired::AlreadyCalled);
/// ```
#[derive(Debug)]
pub struct CancelOnDrop<T: 'static> {
    inner: Deferred<T>,
    made: Place,
}

impl<T: 'static> CancelOnDrop<T> {
    pub(super) fn new(inner: Deferred<T>) -> CancelOnDrop<T> {
        let made = inner.place();
        CancelOnDrop { inner, made }
    }
}

impl<T: 'static> Future for CancelOnDrop<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl<T: 'static> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if self.inner.is_fired() || self.inner.is_taken() {
            return;
        }
        record::cancel(self.inner.id(), self.made);
        // It was asked for: what it says of that is no news to anybody.
        let cancelled = self.inner.try_take();
        if let Some(Err(failure)) = cancelled
            && !failure.check::<crate::error::CancelledError>()
        {
            report::unhandled("Deferred", failure);
        }
    }
}

/// Whoever polls async code that is pending: a reactor, or an executor of your own.
///
/// # Examples
/// ```
/// use std::{future::Future, pin::Pin, rc::Rc};
/// use futures::{executor::{LocalPool, LocalSpawner}, future::LocalFutureObj, task::LocalSpawn};
/// use twistor::defer::{self, Deferred, Host, ensure_deferred};
///
/// struct Pool(LocalSpawner);
/// impl Host for Pool {
///     fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
///         self.0.spawn_local_obj(LocalFutureObj::new(task)).expect("the pool is there");
///     }
/// }
///
/// let mut pool = LocalPool::new();
/// let _here = defer::enter_host(Rc::new(Pool(pool.spawner())));
/// let (gate, opens) = Deferred::<u32>::pending();
/// let sum = ensure_deferred(async { Ok(gate.await? + 1) });
/// opens.callback(1);
/// assert_eq!(pool.run_until(sum).unwrap(), 2);
/// ```
pub trait Host {
    /// Polls the task to its end. It is polled at least once more, at first by itself.
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>);

    /// The same for what [`ensure_deferred`] started. Its type is known, so a host can make room for it where it keeps its tasks, and each
    /// is one allocation less; else it is boxed for [`spawn_local`](Self::spawn_local). A host that passes tasks on to another one passes on
    /// both.
    ///
    /// # Examples
    /// ```
    /// use std::{cell::Cell, future::Future, pin::Pin, rc::Rc};
    /// use twistor::defer::{Host, Polled};
    ///
    /// struct Counting<H> { inner: H, tasks: Cell<usize> }
    /// impl<H: Host> Host for Counting<H> {
    ///     fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
    ///         self.tasks.set(self.tasks.get() + 1);
    ///         self.inner.spawn_local(task);
    ///     }
    ///     fn spawn_polled(&self, task: Polled) {
    ///         self.tasks.set(self.tasks.get() + 1);
    ///         self.inner.spawn_polled(task);
    ///     }
    /// }
    /// ```
    fn spawn_polled(&self, task: Polled) {
        self.spawn_local(Box::pin(task));
    }
}

thread_local! {
    static HOST: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
}

/// Makes `host` the current one of this thread, until the guard is dropped. A reactor does so in each turn.
pub fn enter_host(host: Rc<dyn Host>) -> HostGuard {
    // A reactor may be dropped while the thread ends, when there is no place for a host any more.
    HostGuard { former: HOST.try_with(|current| current.replace(Some(host))).ok().flatten() }
}

/// The current host of this thread, if there is one.
pub(crate) fn current_host() -> Option<Rc<dyn Host>> {
    HOST.try_with(|host| host.borrow().clone()).ok().flatten()
}

/// Puts the former [`Host`] back when dropped.
#[must_use = "the host is current until the guard is dropped"]
pub struct HostGuard {
    former: Option<Rc<dyn Host>>,
}

impl Drop for HostGuard {
    fn drop(&mut self) {
        let former = self.former.take();
        let _gone = HOST.try_with(|host| host.replace(former));
    }
}

impl fmt::Debug for HostGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostGuard").finish_non_exhaustive()
    }
}

/// Starts async code and gives its result as a Deferred.
///
/// It is polled once inside the call, as Twisted starts a coroutine at once: what it does up to its first pending
/// `.await` is done when this returns. If it is pending then, the current [`Host`] polls it on; with none, that is a
/// [`NoHost`](crate::error::NoHost) failure. Cancelling the Deferred drops the future. A panic is a failure.
///
/// # Examples
/// ```
/// # use twistor::{defer::{ensure_deferred, Deferred}, error::NoHost};
/// assert_eq!(ensure_deferred(async { Ok(6 * 7) }).now().unwrap().unwrap(), 42);
///
/// let (never, _promise) = Deferred::<()>::pending();
/// let nobody_polls = ensure_deferred(async { never.await });
/// assert!(nobody_polls.now().unwrap().unwrap_err().check::<NoHost>());
/// ```
#[doc(alias = "ensureDeferred")]
#[doc(alias = "fromCoroutine")]
#[track_caller]
pub fn ensure_deferred<T: 'static>(future: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
    start(future, Location::caller())
}

/// The same for a future of any error.
///
/// # Examples
/// ```
/// # use twistor::defer::from_future;
/// let port = from_future(async { "80".parse::<u16>() });
/// assert_eq!(port.now().unwrap().unwrap(), 80);
/// ```
#[doc(alias = "fromFuture")]
#[track_caller]
pub fn from_future<T: 'static, E: Into<Failure>>(
    future: impl Future<Output = Result<T, E>> + 'static,
) -> Deferred<T> {
    start(async move { future.await.map_err(|error| error.into()) }, Location::caller())
}
