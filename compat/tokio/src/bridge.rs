//! [`Tokio`]: a tokio runtime that lives as long as its reactor.

use crate::{
    enter::Entered,
    error::{NoWorkers, TokioStopped, VirtualReactor},
    runtime::Kept,
};
use futures::FutureExt;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    runtime::Handle,
    task::{JoinError, JoinHandle},
};
use twistor::{
    Failure, Reactor, Result,
    defer::Deferred,
    reactor::{Phase, Remote, TriggerId},
};

/// A tokio runtime beside a reactor, for libraries that do not work without one.
///
/// A cheap handle of the reactor's thread; clones are the same runtime. By default it is one thread, named `twistor-tokio`.
///
/// It stops with its reactor, at the end of "shutdown": its tasks are dropped then. It also stops when the last handle is dropped and nothing of
/// [`run`](Self::run) or [`enter`](Self::enter) is pending any more; anywhere, inside another tokio runtime too. What a library has spawned for
/// itself stops with it. A [`crash`](Reactor::crash) stops nothing.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::Reactor;
/// use twistor_tokio::{Tokio, error::TokioStopped};
///
/// let reactor = Reactor::new()?;
/// let tokio = Tokio::new(&reactor)?;
/// let slept = tokio.run(async {
///     tokio::time::sleep(Duration::from_millis(1)).await; // a timer of tokio's
///     Ok("it slept")
/// });
/// let r = reactor.clone();
/// let told = slept.map(move |text| {
///     println!("{text}"); // in the reactor's thread
///     r.stop().expect("it runs");
/// });
/// reactor.run()?;
/// told.now().expect("it was fired")?;
///
/// // The reactor has stopped, and the runtime with it.
/// let late = tokio.run(async { Ok(()) });
/// assert!(late.now().unwrap().unwrap_err().check::<TokioStopped>());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
pub struct Tokio {
    inner: Rc<Inner>,
}

struct Inner {
    reactor: Reactor,
    shared: Rc<Shared>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Else something is pending, and the runtime outlives this.
        if Rc::strong_count(&self.shared) == 1
            && let Some(trigger) = self.shared.trigger.take()
        {
            self.reactor.remove_system_event_trigger(trigger);
        }
    }
}

/// What the handles and whatever is pending hold. It holds no reactor: the reactor holds what is pending.
pub(crate) struct Shared {
    /// None when the reactor has stopped it.
    kept: RefCell<Option<Kept>>,
    /// Stops the runtime. None when there is nothing to take back.
    trigger: Cell<Option<TriggerId>>,
    remote: Remote,
}

impl Drop for Shared {
    /// What was pending has outlived the handles: the trigger goes now, or a program that makes one runtime after another would gather them.
    fn drop(&mut self) {
        if let Some(trigger) = self.trigger.take() {
            // No error matters: a reactor that is gone has no triggers.
            let _ = self.remote.call_from_thread(move |reactor| {
                reactor.remove_system_event_trigger(trigger);
            });
        }
    }
}

impl Shared {
    /// A clone, for what is spawned with it may be user code's drop, which may stop the runtime.
    pub(crate) fn handle(&self) -> Result<Handle, TokioStopped> {
        self.kept.borrow().as_ref().map(|kept| kept.handle().clone()).ok_or_else(TokioStopped::default)
    }

    fn stop(&self) {
        self.trigger.take(); // it is this call
        let kept = self.kept.take();
        kept.into_iter().for_each(Kept::stop);
    }
}

impl Tokio {
    /// A runtime of one thread, for this reactor.
    ///
    /// # Errors
    /// [`VirtualReactor`] for a reactor of a [`Simulation`](twistor::testing::Simulation); the system's, when it is out of threads or descriptors.
    ///
    /// # Examples
    /// ```
    /// use twistor::testing::Simulation;
    /// use twistor_tokio::{Tokio, error::VirtualReactor};
    ///
    /// let virtual_one = Simulation::new().reactor();
    /// assert!(Tokio::new(&virtual_one).unwrap_err().check::<VirtualReactor>());
    /// ```
    #[track_caller]
    pub fn new(reactor: &Reactor) -> Result<Tokio> {
        Tokio::with_workers(reactor, 1)
    }

    /// The same with so many threads that run tasks. From two on there is one more thread, which waits for the end, and `block_in_place` works.
    ///
    /// # Errors
    /// [`NoWorkers`] for 0, and those of [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// use twistor::Reactor;
    /// use twistor_tokio::{Tokio, error::NoWorkers};
    ///
    /// let reactor = Reactor::new()?;
    /// let two = Tokio::with_workers(&reactor, 2)?;
    /// assert!(Tokio::with_workers(&reactor, 0).unwrap_err().check::<NoWorkers>());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn with_workers(reactor: &Reactor, workers: usize) -> Result<Tokio> {
        if workers == 0 {
            return Err(Failure::new(NoWorkers::default()));
        }
        if reactor.is_virtual() {
            return Err(Failure::new(VirtualReactor::default()));
        }
        let kept = RefCell::new(Some(Kept::start(workers)?));
        let shared = Rc::new(Shared { kept, trigger: Cell::default(), remote: reactor.remote() });
        let weak = Rc::downgrade(&shared);
        // Last of all: the program's own triggers, and what they wait for, may need it.
        let trigger = reactor.add_system_event_trigger(Phase::After, "shutdown", move || {
            if let Some(shared) = weak.upgrade() {
                shared.stop();
            }
        });
        shared.trigger.set(Some(trigger));
        Ok(Tokio { inner: Rc::new(Inner { reactor: reactor.clone(), shared }) })
    }

    /// Runs a future on the runtime, from now on; its result comes back to the reactor's thread.
    ///
    /// Cancelling the Deferred aborts the task, which drops the future there; dropping the Deferred does not. A panic is a failure.
    ///
    /// # Errors
    /// The Deferred fails with [`TokioStopped`] if the runtime has stopped, with [`ReactorNotRunning`](twistor::error::ReactorNotRunning) if
    /// the reactor ends before the future does, and with [`NotDriven`](twistor::error::NotDriven) where it is awaited and nobody turns the
    /// reactor.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Reactor, error::Panicked};
    /// use twistor_tokio::Tokio;
    ///
    /// let reactor = Reactor::new()?;
    /// let tokio = Tokio::new(&reactor)?;
    /// let r = reactor.clone();
    /// let done = reactor.spawn(async move {
    ///     let port = tokio.run(async { Ok("80".parse::<u16>()?) }).await?;
    ///     assert_eq!(port, 80);
    ///     let error = tokio.run(async { Ok("http".parse::<u16>()?) }).await.unwrap_err();
    ///     assert!(error.check::<std::num::ParseIntError>());
    ///     let panic = tokio.run(async move { Ok([80_u16][usize::from(port)]) }).await.unwrap_err();
    ///     assert!(panic.trap::<Panicked>()?.at().is_some()); // file and line
    ///     r.stop()?;
    ///     Ok(())
    /// });
    /// reactor.run()?;
    /// done.now().expect("it was fired")?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Deferred<T> {
        let handle = match self.handle() {
            Ok(handle) => handle,
            Err(stopped) => return twistor::defer::fail(Failure::new(stopped)),
        };
        let task = Task(handle.spawn(caught(future)));
        let shared = self.inner.shared.clone();
        self.inner.reactor.spawn(async move {
            let result = task.await;
            drop(shared);
            result
        })
    }

    /// Runs a future on the reactor, and inside of the runtime: what it asks tokio for, it finds. For futures that are not `Send`.
    ///
    /// Each time that tokio wakes it is a way from thread to thread, so [`run`](Self::run) costs less where a future is `Send`. What it gives to
    /// `tokio::spawn` runs on the runtime's thread; `tokio::task::spawn_local` is a panic, for the reactor is no `LocalSet`.
    ///
    /// Cancelling the Deferred drops the future; dropping the Deferred does not. A panic is a failure.
    ///
    /// # Errors
    /// As those of [`run`](Self::run).
    ///
    /// # Examples
    /// ```
    /// use std::{rc::Rc, time::Duration};
    /// use twistor::Reactor;
    /// use twistor_tokio::Tokio;
    ///
    /// let reactor = Reactor::new()?;
    /// let tokio = Tokio::new(&reactor)?;
    /// let ours = Rc::new("of the reactor's thread");
    /// let r = reactor.clone();
    /// let done = tokio.enter(async move {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     assert_eq!(*ours, "of the reactor's thread");
    ///     r.stop()?;
    ///     Ok(())
    /// });
    /// reactor.run()?;
    /// done.now().expect("it was fired")?;
    ///
    /// // Without it, tokio panics in the reactor's thread, and the panic is a failure that names the remedy.
    /// let r = reactor.clone();
    /// let bare = reactor.spawn(async { Ok(tokio::time::sleep(Duration::from_millis(1)).await) });
    /// let bare = bare.add_both(move |result| {
    ///     r.stop()?;
    ///     result
    /// });
    /// reactor.run()?;
    /// assert!(bare.now().expect("it was fired").unwrap_err().to_string().contains("twistor_tokio::Tokio"));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn enter<T: 'static>(&self, future: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
        if let Err(stopped) = self.handle() {
            return twistor::defer::fail(Failure::new(stopped));
        }
        self.inner.reactor.spawn(Entered::new(future, self.inner.shared.clone()))
    }

    /// The runtime's handle, for a library that asks for one. It keeps nothing alive.
    ///
    /// # Errors
    /// [`TokioStopped`] when its reactor has stopped.
    ///
    /// # Examples
    /// ```
    /// use twistor::Reactor;
    /// use twistor_tokio::{Tokio, error::TokioStopped};
    ///
    /// let reactor = Reactor::new()?;
    /// let tokio = Tokio::new(&reactor)?;
    /// let task = tokio.handle()?.spawn(async { 6 * 7 }); // nobody but the runtime knows of it
    /// let r = reactor.clone();
    /// reactor.spawn(async move {
    ///     assert_eq!(task.await?, 42);
    ///     Ok(r.stop()?)
    /// }).or_log("the task");
    /// reactor.run()?;
    /// assert_eq!(tokio.handle().unwrap_err(), TokioStopped::default());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn handle(&self) -> Result<Handle, TokioStopped> {
        self.inner.shared.handle()
    }
}

impl fmt::Debug for Tokio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").field("stopped", &self.handle().is_err()).finish_non_exhaustive()
    }
}

/// Its panic is made a failure in the thread that knows where it was.
async fn caught<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let result = AssertUnwindSafe(future).catch_unwind().await;
    result.unwrap_or_else(|payload| Err(Failure::from_panic(payload)))
}

/// A task of the runtime, awaited by the reactor; aborted when it is dropped.
struct Task<T>(JoinHandle<Result<T>>);

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(joined) => joined.map_or_else(unfinished, Poll::Ready),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Its own panics are results: what is left is the drop of the future, and the end of the runtime.
fn unfinished<T>(error: JoinError) -> Poll<Result<T>> {
    match error.try_into_panic() {
        Ok(payload) => Poll::Ready(Err(Failure::from_panic(payload))),
        Err(_) => stopped(),
    }
}

/// For what is still pending when the runtime has stopped. If that is the reactor's end, the reactor is about to drop it, and tells who waits.
pub(crate) fn stopped<T>() -> Poll<Result<T>> {
    match Reactor::try_current() {
        Some(reactor) if !reactor.running() => Poll::Pending,
        _ => Poll::Ready(Err(Failure::new(TokioStopped::default()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The trigger was taken back only by a handle that went last; one that left work behind left its trigger too, until "shutdown".
    #[test]
    fn with_the_last_of_what_is_pending_the_trigger_goes() {
        let reactor = Reactor::new().unwrap();
        let tokio = Tokio::new(&reactor).unwrap();
        let (go, pending) = tokio::sync::oneshot::channel::<()>();
        let work = tokio.run(async { Ok(pending.await?) });
        let trigger = tokio.inner.shared.trigger.get().expect("it runs");
        let shared = Rc::downgrade(&tokio.inner.shared);
        drop(tokio);
        assert_eq!(shared.upgrade().expect("the work is pending").trigger.get(), Some(trigger));

        let done = async move {
            go.send(()).expect("it waits");
            work.await
        };
        twistor::testing::run(&reactor, Duration::from_secs(30), done).unwrap();
        // The next turn, at the latest.
        reactor.iterate(Duration::ZERO).unwrap();
        assert!(shared.upgrade().is_none());
        assert!(!reactor.remove_system_event_trigger(trigger), "it is still there");
    }
}
