//! Work that blocks, in threads: Twisted's `twisted.internet.threads` and its thread pool.
//!
//! A reactor does everything in one thread, and what blocks there holds up all. Work that blocks, or calculates for long, goes to a thread:
//! [`defer_to_thread`](Reactor::defer_to_thread) gives a Deferred of its result, [`call_in_thread`](Reactor::call_in_thread) nothing. From
//! there a [`Remote`](crate::reactor::Remote) is the way back.
//!
//! # The threads
//! Each reactor has a pool of up to 10; [`suggest_thread_pool_size`](Reactor::suggest_thread_pool_size) says another number, a [`ThreadPool`] is one of
//! your own. A thread is made when there is a job and none is free, and ends after ten seconds without one. Jobs are begun in the order they were
//! asked for. Those that are asked for before the run wait for it, so that a program that becomes a daemon can fork before there are threads.
//!
//! # The end of a run
//! As in Twisted, all jobs that were asked for are done before [`run`](Reactor::run) returns, those that wait too, and all threads have ended then. Only a run that
//! was stopped before it had started has begun none, and they are dropped. What
//! takes long delays that, so tell it in a trigger of "shutdown", and cancel what need not be begun. Its Deferred fails with
//! [`ReactorNotRunning`](crate::error::ReactorNotRunning), for nobody would call its callbacks. A thread that is blocked in a call into the reactor gets
//! that error too, where Twisted's waits for ever.
//!
//! # In a simulation
//! A [virtual](Reactor::is_virtual) reactor has no threads: each job is done in its own thread, in a later turn, one after another, and takes no
//! time. So a test of what uses threads is the same each time. Only to block on the reactor is an error there,
//! [`WouldDeadlock`](crate::error::WouldDeadlock).

use crate::{
    defer::{Canceller, Deferred, record::Role},
    failure::{Failure, Result},
    reactor::{
        Reactor,
        core::Core,
        pool::{Load, Pool, Whose, Work},
    },
    report,
    snapshot::here::Birth,
    trace::Place,
};
use std::{
    fmt,
    ops::RangeInclusive,
    panic::Location,
    rc::{Rc, Weak},
};

/// Twisted's `IReactorThreads`.
impl Reactor {
    /// Calls `f`, which may block, in a thread of the reactor's pool, and gives its result.
    ///
    /// Cancelling the Deferred takes the job back if it has not begun. If it has, it goes on and its result is let go.
    ///
    /// # Errors
    /// The Deferred fails as `f` does, with its panic, with [`CancelledError`](crate::error::CancelledError) if it is cancelled, with
    /// [`ReactorNotRunning`](crate::error::ReactorNotRunning) if the run ends before, and with the system's error if it has no thread to give and
    /// the pool has none.
    ///
    /// # Examples
    /// ```
    /// use twistor::Reactor;
    /// let reactor = Reactor::new()?;
    /// let r = reactor.clone();
    /// let sum = reactor
    ///     .defer_to_thread(|| Ok((1..=1_000_000_u64).sum::<u64>()))
    ///     .add_callback(move |sum| { r.stop()?; Ok(sum) });
    /// reactor.run()?;
    /// assert_eq!(sum.now().unwrap()?, 500_000_500_000);
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    /// A panic is a failure:
    /// ```
    /// use twistor::{Reactor, error::Panicked, testing::Simulation};
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// let failed = reactor.defer_to_thread::<u8>(|| panic!("no such table"));
    /// assert!(sim.wait_for(failed).unwrap_err().check::<Panicked>());
    /// ```
    #[doc(alias = "deferToThread")]
    #[track_caller]
    pub fn defer_to_thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Deferred<T> {
        defer(&self.core, self.core.pools.main(&self.core), Location::caller(), f)
    }

    /// Calls `f`, which may block, in a thread of the reactor's pool. A panic is reported, by the reactor.
    ///
    /// # Examples
    /// ```
    /// use twistor::Reactor;
    /// let reactor = Reactor::new()?;
    /// let remote = reactor.remote();
    /// reactor.call_in_thread(move || {
    ///     assert!(!remote.is_in_io_thread());
    ///     remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
    /// });
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "callInThread")]
    #[doc(alias = "IReactorInThreads")]
    #[track_caller]
    pub fn call_in_thread(&self, f: impl FnOnce() + Send + 'static) {
        call(&self.core, self.core.pools.main(&self.core), Location::caller(), f);
    }

    /// Calls these one after another in one thread. The first that panics is the last.
    ///
    /// # Examples
    /// ```
    /// use std::sync::mpsc;
    /// use twistor::{Reactor, testing::Simulation};
    /// let sim = Simulation::new();
    /// let (reactor, (first, order)) = (sim.reactor(), mpsc::channel());
    /// let second = first.clone();
    /// reactor.call_multiple_in_thread([
    ///     Box::new(move || first.send(1).expect("it is received")) as Box<dyn FnOnce() + Send>,
    ///     Box::new(move || second.send(2).expect("it is received")),
    /// ]);
    /// sim.pump();
    /// assert_eq!(order.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    #[doc(alias = "callMultipleInThread")]
    #[track_caller]
    pub fn call_multiple_in_thread(&self, calls: impl IntoIterator<Item = Box<dyn FnOnce() + Send>>) {
        let calls: Vec<_> = calls.into_iter().collect();
        self.call_in_thread(move || calls.into_iter().for_each(|call| call()));
    }

    /// Has the reactor's pool have at most so many threads, instead of 10. Those too many end when they are free; with none, jobs wait.
    #[doc(alias = "suggestThreadPoolSize")]
    pub fn suggest_thread_pool_size(&self, most: usize) {
        let pool = self.core.pools.main(&self.core);
        pool.resize((*pool.size().start()).min(most)..=most);
    }

    /// The reactor's pool.
    #[doc(alias = "getThreadPool")]
    #[doc(alias = "IReactorThreads")]
    pub fn thread_pool(&self) -> ThreadPool {
        ThreadPool { core: Rc::downgrade(&self.core), pool: self.core.pools.main(&self.core).clone() }
    }
}

/// Threads for the work of a reactor. A cheap handle.
///
/// A reactor has [one](Reactor::thread_pool). A second one is for work that must not wait for all other, or of which there must not be more at a time.
/// It opens and ends with the runs of its reactor, [as that one does](self).
///
/// # Examples
/// ```
/// use twistor::{Reactor, threads::ThreadPool};
/// let reactor = Reactor::new()?;
/// // One at a time, in the order they come.
/// let database = ThreadPool::new(&reactor, "database", 0..=1);
/// let r = reactor.clone();
/// let name = database
///     .defer_to_thread(|| Ok(std::thread::current().name().map(str::to_string)))
///     .add_callback(move |name| { r.stop()?; Ok(name) });
/// reactor.run()?;
/// assert_eq!(name.now().unwrap()?.as_deref(), Some("database-0"));
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    core: Weak<Core>,
    pool: Rc<Pool>,
}

impl ThreadPool {
    /// A pool of that reactor. Its threads are called `name-0`, `name-1`; `size` says how many stay when there is nothing to do, and how many there may be.
    ///
    /// Those that stay are made when the reactor runs. When no handle is left, what was asked for is still done.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn new(reactor: &Reactor, name: impl Into<String>, size: RangeInclusive<usize>) -> ThreadPool {
        let pool = Pool::new(&reactor.core, name.into(), some(size), Whose::Program);
        ThreadPool { core: Rc::downgrade(&reactor.core), pool }
    }

    /// As [`Reactor::defer_to_thread`], in this pool.
    #[doc(alias = "deferToThreadPool")]
    #[track_caller]
    pub fn defer_to_thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Deferred<T> {
        let place = Location::caller();
        match self.core.upgrade() {
            Some(core) => defer(&core, &self.pool, place, f),
            None => crate::defer::fail(crate::error::ReactorNotRunning::default()),
        }
    }

    /// As [`Reactor::call_in_thread`], in this pool. When the reactor is gone, nobody calls it.
    #[track_caller]
    pub fn call_in_thread(&self, f: impl FnOnce() + Send + 'static) {
        let place = Location::caller();
        if let Some(core) = self.core.upgrade() {
            call(&core, &self.pool, place, f);
        }
    }

    /// Says how many threads stay when there is nothing to do, and how many there may be. Those too many end when they are free; with none, jobs wait.
    ///
    /// # Panics
    /// If the range is empty.
    #[doc(alias = "adjustPoolsize")]
    pub fn adjust_pool_size(&self, size: RangeInclusive<usize>) {
        self.pool.resize(some(size));
    }

    /// How much there is to do.
    #[doc(alias = "dumpStats")]
    pub fn statistics(&self) -> Statistics {
        let Load { idle, running, waiting } = self.pool.load();
        Statistics { idle, running, waiting }
    }
}

/// The range, if it is one.
#[track_caller]
fn some(size: RangeInclusive<usize>) -> RangeInclusive<usize> {
    assert!(
        !size.is_empty(),
        "no number of threads is in {size:?}: first comes how many stay, then how many there may be"
    );
    size
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.pool.size();
        f.debug_struct("ThreadPool").field("size", &size).field("statistics", &self.statistics()).finish()
    }
}

/// What a [`ThreadPool`] has to do, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// How many threads wait for a job.
    pub idle: usize,
    /// How many jobs are being done.
    pub running: usize,
    /// How many jobs wait for a thread.
    pub waiting: usize,
}

fn defer<T: Send + 'static>(
    core: &Rc<Core>,
    pool: &Rc<Pool>,
    place: Place,
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Deferred<T> {
    let birth = Birth::at(place);
    let number = birth.serial;
    let (core_too, pool_too) = (Rc::downgrade(core), Rc::downgrade(pool));
    let cancel = move |promise| {
        drop(pool_too.upgrade().and_then(|pool| pool.take_back(number)));
        if let Some(core) = core_too.upgrade() {
            core.awaited.forget(number);
        }
        drop(promise); // which fails it
    };
    let (deferred, promise) = Deferred::driven(place, core.driven.clone(), Canceller::Once(Box::new(cancel)));
    deferred.describe(Role::Chain, number);
    core.awaited.have_done(core, pool, birth, f, move |result| {
        promise.fire_at(result, place);
    });
    deferred
}

fn call(core: &Rc<Core>, pool: &Pool, place: Place, f: impl FnOnce() + Send + 'static) {
    let mailbox = core.mailbox.clone();
    let work: Work = Box::new(move |begun| {
        let failure = begun.and_then(|()| report::guarded(f)).err()?;
        Some(Box::new(move || {
            let told = failure.clone();
            if mailbox.put(place, Box::new(move |_| unhandled(told))).is_err() {
                unhandled(failure); // here, to the log
            }
        }))
    });
    pool.put(Birth::at(place), work);
}

fn unhandled(failure: Failure) {
    report::unhandled("call_in_thread", failure);
}
