//! [`Remote`]: the only door for other threads.

use super::{Reactor, core::Core, driver::Alarm};
use crate::{
    defer::{
        Deferred, IntoDeferred, Promise, maybe_deferred,
        record::{self, Id, Role},
    },
    error::{ReactorNotRunning, WouldDeadlock},
    failure::{Failure, Result},
    snapshot::here,
    trace::Place,
};
use futures::channel::oneshot;
use slab::Slab;
use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{self, SyncSender},
    },
    task::{Context, Poll},
    thread::{self, ThreadId},
};

pub(crate) type Call = Box<dyn FnOnce(&Rc<Core>) + Send>;

/// The calls that threads have left for a reactor.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Shared>);

struct Shared {
    calls: Mutex<Calls>,
    /// Whether `calls` has some; looked at each turn, without the lock.
    full: AtomicBool,
    alarm: Arc<dyn Alarm>,
    thread: ThreadId,
}

/// A call, and what is shown of it. None: it is shown as something else.
pub(crate) struct Left {
    pub(crate) call: Call,
    beginning: Option<Beginning>,
}

/// The number that a call is shown under, and the line of code that left it.
#[derive(Clone, Copy)]
pub(crate) struct Beginning {
    pub(crate) number: u32,
    pub(crate) place: Place,
}

/// The next call's number. Those who leave calls are not on the reactor's thread, whose counter is not theirs: they have the upper half of the numbers.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Beginning {
    fn at(place: Place) -> Beginning {
        Beginning { number: NUMBER.fetch_add(1, Ordering::Relaxed) | 1 << 31, place }
    }
}

#[derive(Default)]
struct Calls {
    queue: Vec<Left>,
    /// From the end of a run to the beginning of the next: nobody would come for the calls.
    closed: bool,
}

impl Mailbox {
    pub(crate) fn new(alarm: Arc<dyn Alarm>) -> Mailbox {
        let thread = thread::current().id();
        Mailbox(Arc::new(Shared { calls: Mutex::default(), full: AtomicBool::new(false), alarm, thread }))
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Nothing that can panic runs under the lock.
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For what the reactor itself holds.
    pub(crate) fn downgrade(&self) -> WeakMailbox {
        WeakMailbox(Arc::downgrade(&self.0))
    }

    /// Whether somebody beside the reactor holds it.
    pub(crate) fn has_remotes(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(crate) fn put(&self, place: Place, call: Call) -> Result<(), ReactorNotRunning> {
        self.leave(Left { call, beginning: Some(Beginning::at(place)) })
    }

    fn leave(&self, left: Left) -> Result<(), ReactorNotRunning> {
        let mut calls = self.lock();
        if calls.closed {
            return Err(ReactorNotRunning::default());
        }
        calls.queue.push(left);
        // Written under the lock, so that it can not overtake the `take` that clears it.
        let first = !self.0.full.swap(true, Ordering::Release);
        drop(calls);
        if first {
            self.0.alarm.ring();
        }
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Acquire)
    }

    /// All that are there.
    pub(crate) fn take(&self) -> Vec<Left> {
        let mut calls = self.lock();
        self.0.full.store(false, Ordering::Release);
        std::mem::take(&mut calls.queue)
    }

    /// Of those that wait.
    pub(crate) fn beginnings(&self) -> Vec<Beginning> {
        self.lock().queue.iter().filter_map(|left| left.beginning).collect()
    }

    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    /// What waits is dropped; whoever waits for it is told.
    pub(crate) fn close(&self) {
        let mut calls = self.lock();
        calls.closed = true;
        let queue = std::mem::take(&mut calls.queue);
        self.0.full.store(false, Ordering::Release);
        drop(calls);
        drop(queue);
    }
}

/// One that does not count as a holder, and whose calls are not shown as such.
pub(crate) struct WeakMailbox(Weak<Shared>);

impl WeakMailbox {
    /// Leaves a call, if somebody is there to make it.
    pub(crate) fn put(&self, call: Call) {
        let mailbox = self.0.upgrade().map(Mailbox);
        let _ = mailbox.map(|mailbox| mailbox.leave(Left { call, beginning: None }));
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.mailbox.close();
        here::reactor_gone(self.serial);
    }
}

/// The threads that are blocked until their call has a result. They are let go when the reactor closes, whoever holds what the call waits for.
#[derive(Clone, Default)]
pub(crate) struct Blocked(Rc<RefCell<Slab<Rc<dyn Any>>>>);

impl Blocked {
    /// A thread waits at the other end of `reply`. Gives the function that answers it.
    fn add<T: 'static>(&self, reply: SyncSender<Result<T>>) -> impl FnOnce(Result<T>) + 'static {
        let reply = Rc::new(reply);
        let waiting = Rc::downgrade(&reply);
        let place = self.0.borrow_mut().insert(reply);
        let blocked = self.clone();
        move |result| {
            // None: it was let go, and its place may be another one's.
            let Some(reply) = waiting.upgrade() else { return };
            drop(blocked.0.borrow_mut().remove(place));
            // The thread waits for this and for nothing else, so it is there.
            let _ = reply.send(result);
        }
    }

    pub(crate) fn let_go(&self) {
        self.0.take();
    }
}

/// Stands for a thread that is blocked in the tree of what is pending, until it has its answer.
struct Waiting {
    id: Id,
    until: Option<Promise<()>>,
}

impl Waiting {
    fn at(place: Place) -> Waiting {
        let (blocked, until) = Deferred::pending_at(place);
        blocked.describe(Role::Blocked, 0);
        Waiting { id: blocked.id(), until: Some(until) }
    }

    fn owning<R>(&self, f: impl FnOnce() -> R) -> R {
        let _owner = here::owned_by(self.id.serial());
        f()
    }

    /// Stands there until the result has come, or cannot come any more.
    fn shown_for<T: 'static>(self, result: Deferred<T>, answer: impl FnOnce(Result<T>) + 'static) {
        let (inner, id) = (result.id(), self.id);
        result.add_both(move |result| {
            answer(result);
            drop(self);
        });
        record::input_of(inner, id);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(until) = self.until.take() {
            until.callback(());
        }
    }
}

/// A handle of a reactor for other threads; from [`Reactor::remote`]. `Send`, `Sync`, cheap to clone.
///
/// Calls are made first come, first served, at the beginning of a turn, before the timers that are due. Those that come before the first run wait for it.
///
/// # Examples
/// ```
/// use twistor::Reactor;
/// let reactor = Reactor::new()?;
/// let remote = reactor.remote();
/// let thread = std::thread::spawn(move || {
///     // Blocks this thread until the reactor has run it, and its Deferred has fired.
///     let answer = remote.blocking_call_from_thread(|_reactor| twistor::defer::succeed(6 * 7)).expect("it runs");
///     remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
///     answer
/// });
/// reactor.run()?;
/// assert_eq!(thread.join().expect("no panic"), 42);
///
/// // After the run nobody would make the call.
/// assert!(reactor.remote().call_from_thread(|_| ()).is_err());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
#[doc(alias = "IReactorFromThreads")]
pub struct Remote {
    mailbox: Mailbox,
}

impl Remote {
    pub(crate) fn new(mailbox: Mailbox) -> Remote {
        Remote { mailbox }
    }

    /// Has `f` called in the reactor's thread, soon.
    ///
    /// # Errors
    /// [`ReactorNotRunning`] when the reactor closes or is gone: from the `during` phase of "shutdown" to the next run. Before the first run, and after
    /// a [`crash`](Reactor::crash), calls wait for the next one.
    #[doc(alias = "callFromThread")]
    #[track_caller]
    pub fn call_from_thread(
        &self,
        f: impl FnOnce(&Reactor) + Send + 'static,
    ) -> Result<(), ReactorNotRunning> {
        self.call_at(Location::caller(), f)
    }

    fn call_at(
        &self,
        place: Place,
        f: impl FnOnce(&Reactor) + Send + 'static,
    ) -> Result<(), ReactorNotRunning> {
        self.mailbox.put(place, Box::new(move |core| f(&Reactor::of(core.clone()))))
    }

    /// Has `f` called in the reactor's thread, and blocks this one until what it gives has a result.
    ///
    /// # Errors
    /// What `f` gives, its panic included; [`ReactorNotRunning`] if the reactor does not run any more, or stops meanwhile; [`WouldDeadlock`] in
    /// the reactor's own thread, which would wait for itself.
    #[doc(alias = "blockingCallFromThread")]
    #[track_caller]
    pub fn blocking_call_from_thread<R: IntoDeferred>(
        &self,
        f: impl FnOnce(&Reactor) -> R + Send + 'static,
    ) -> Result<R::Output>
    where
        R::Output: Send,
    {
        if self.is_in_io_thread() {
            return Err(WouldDeadlock::default().into());
        }
        let (reply, receiver) = mpsc::sync_channel(1);
        let place = Location::caller();
        self.call_at(place, move |reactor| {
            let answer = reactor.core.blocked.add(reply);
            let waiting = Waiting::at(place);
            let result = waiting.owning(|| maybe_deferred(|| f(reactor)));
            waiting.shown_for(result, answer);
        })?;
        receiver.recv().map_err(|_| ReactorNotRunning::default())?
    }

    /// Whether this is called in the reactor's own thread.
    ///
    /// # Examples
    /// ```
    /// # use twistor::Reactor;
    /// let remote = Reactor::new()?.remote();
    /// assert!(remote.is_in_io_thread());
    /// assert!(!std::thread::spawn(move || remote.is_in_io_thread()).join().expect("no panic"));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "isInIOThread")]
    pub fn is_in_io_thread(&self) -> bool {
        thread::current().id() == self.mailbox.0.thread
    }

    /// Runs the async code that `f` makes on the reactor. What it gives can be awaited, or waited for, in any thread; to drop that cancels nothing.
    ///
    /// # Examples
    /// ```
    /// use futures_lite::future::block_on;
    /// # use twistor::Reactor;
    /// let reactor = Reactor::new()?;
    /// let remote = reactor.remote();
    /// let thread = std::thread::spawn(move || {
    ///     let length = remote.spawn(|| async { Ok("hello".len()) });
    ///     let length = block_on(length);
    ///     remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
    ///     length
    /// });
    /// reactor.run()?;
    /// assert_eq!(thread.join().expect("no panic")?, 5);
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn spawn<T, F, M>(&self, f: M) -> RemoteTask<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + 'static,
        M: FnOnce() -> F + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        // If it can not be put, the sender is gone and the task says so.
        let place = Location::caller();
        let _ = self.call_at(place, move |reactor| {
            // `f` is called in the task, whose failure its panic then is.
            let task = reactor.spawn_at(async move { f().await }, place);
            task.add_both(move |result| drop(sender.send(result)));
        });
        RemoteTask { receiver }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

/// The result of [`Remote::spawn`]: a future for any thread. It fails with [`ReactorNotRunning`] if the reactor stops before.
#[must_use = "the result is had by awaiting it"]
pub struct RemoteTask<T> {
    receiver: oneshot::Receiver<Result<T>>,
}

impl<T> Future for RemoteTask<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let received = Pin::new(&mut self.receiver).poll(cx);
        received.map(|result| result.unwrap_or_else(|_| Err(Failure::new(ReactorNotRunning::default()))))
    }
}

impl<T> fmt::Debug for RemoteTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask").finish_non_exhaustive()
    }
}
