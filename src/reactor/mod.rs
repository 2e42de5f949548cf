//! The reactor: one loop, and what it looks after.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | [`Reactor`], the handle: time, events, spawning |
//! | `builder` | [`Builder`], a reactor with options |
//! | `core` | the state behind the handle, and what a socket is to the loop |
//! | `turn` | one turn, as a list of named steps |
//! | `run` | `run`, `drive`, `iterate`: who turns the loop, and where it sleeps |
//! | `drain` | a stop that lets connections come to their end |
//! | `fork` | a child that goes on with its parent's reactor |
//! | `habit` | learns from the wakes where to sleep |
//! | `watch` | how a task that is woken wakes the loop |
//! | `life` | starting, stopping, closing |
//! | `triggers` | before, during and after a system event |
//! | `jobs` | work on other threads |
//! | `pool` | threads that work for the reactor |
//! | `awaited` | what is to come from them |
//! | `names` | what names are looked up with |
//! | `reading` | what is pending, copied out |
//! | `remote` | the only door for other threads |
//! | `signals` | who hears the system's signals; SIGINT and SIGTERM to an orderly stop |
//! | `driver` | the seam: all that is asked of the world below |

pub(crate) mod awaited;
mod builder;
pub(crate) mod core;
mod drain;
pub(crate) mod driver;
mod fork;
mod habit;
mod jobs;
mod life;
pub(crate) mod names;
pub(crate) mod pool;
mod reading;
mod remote;
mod run;
pub(crate) mod signals;
#[cfg(test)]
mod tests;
mod triggers;
mod turn;
mod watch;

pub use builder::Builder;
pub use names::SystemResolver;
pub(crate) use reading::{Read, Reading, read};
pub use remote::{Remote, RemoteTask};
pub use run::Drive;
pub use signals::{Signal, SignalError, SignalHandler, Signals};
pub use triggers::{Phase, TriggerId};

use self::core::Core;
use crate::{
    defer::{Deferred, IntoDeferred},
    error::ReactorNotRunning,
    failure::Result,
    snapshot::Snapshot,
    task::{CooperativeTask, Step},
    time::{DelayedCall, Driven, Time},
    trace::Place,
};
use futures::{
    future::LocalFutureObj,
    task::{LocalSpawn, SpawnError},
};
use std::{cell::Cell, fmt, future::Future, panic::Location, rc::Rc, time::Duration};

/// The loop that calls everything: timers, sockets, tasks, calls from threads.
///
/// A cheap handle; clones are the same reactor. There may be as many as you like, one after another and side by side on threads. It is not `Send`;
/// its [`Remote`] is.
///
/// Nor is it of a child process: fork before a reactor is made, or make a new one in the child. One that goes on with its parent's gets
/// [`ReactorForked`](crate::error::ReactorForked) from [`run`](Self::run), [`iterate`](Self::iterate), [`drive`](Self::drive), from listening and connecting, also in
/// the midst of a run, where the callback that forked is the last one; and closes nothing of its parent's.
///
/// With the last handle everything of it is closed, as at the end of a [`run`](Self::run). A handle in a callback or a task that it still has to call keeps it
/// alive: where it may never run again, take [`Reactor::current`] there instead.
///
/// # The turn
/// Calls from threads, due timers, sockets, woken tasks, then what was written leaves, then it sleeps. Each step has its bound, so none
/// starves another: of the sockets that are ready, 256 at most get their turn, and read 16 MiB at most, shared alike, a connection no more than 1 MiB. Within a step: first come, first served. Idle means asleep.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::Reactor;
///
/// let reactor = Reactor::new()?;
/// let r = reactor.clone();
/// reactor.call_later(Duration::from_millis(5), move || {
///     println!("five milliseconds later");
///     r.stop().expect("it runs: it calls this");
/// });
/// reactor.run()?;
///
/// // To stop what does not run is an error that says so.
/// assert!(reactor.stop().is_err());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "IReactorCore")]
#[doc(alias = "IReactorTime")]
pub struct Reactor {
    pub(crate) core: Rc<Core>,
}

impl Reactor {
    /// A reactor on the system's sockets and clock.
    ///
    /// # Errors
    /// The system's, when it is out of descriptors.
    pub fn new() -> Result<Reactor> {
        Reactor::builder().build()
    }

    /// What makes a reactor with options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(core: Rc<Core>) -> Reactor {
        core.handles.set(core.handles.get() + 1);
        Reactor { core }
    }

    /// The reactor whose callback runs.
    ///
    /// # Panics
    /// Outside of a reactor's callbacks and tasks. See [`try_current`](Self::try_current).
    #[track_caller]
    pub fn current() -> Reactor {
        match Reactor::try_current() {
            Some(reactor) => reactor,
            None => panic!(
                "no reactor calls this: use Reactor::current() in a callback or a task, or pass the reactor on"
            ),
        }
    }

    /// The reactor whose callback runs, if one does.
    pub fn try_current() -> Option<Reactor> {
        Core::current().map(Reactor::of)
    }

    // ---- time ---------------------------------------------------------------------------------------------------

    /// The time since this reactor was made. It is monotonic: setting the system's clock does not change it.
    #[doc(alias = "seconds")]
    pub fn now(&self) -> Duration {
        self.core.now()
    }

    /// Calls `f` when `delay` is over, and not from within this call even if it is zero.
    ///
    /// Calls that are due at the same instant are made in the order in which they were scheduled. A panic is reported and ends nothing else.
    #[doc(alias = "callLater")]
    #[track_caller]
    pub fn call_later(&self, delay: Duration, f: impl FnOnce() + 'static) -> DelayedCall {
        self.core.call_later(Location::caller(), delay, f)
    }

    /// The calls that wait, in the order they will be made.
    #[doc(alias = "getDelayedCalls")]
    pub fn get_delayed_calls(&self) -> Vec<DelayedCall> {
        self.core.timers.pending()
    }

    // ---- life ---------------------------------------------------------------------------------------------------

    /// Runs the loop until [`stop`](Self::stop) or [`crash`](Self::crash). SIGINT and SIGTERM stop it too; a second one, while it is stopping, ends
    /// the process.
    ///
    /// At its end everything of the reactor is closed: connections are told [`ConnectionLost`](crate::error::ConnectionLost), tasks are
    /// dropped, delayed calls forgotten, and what is pending on them fails with [`ReactorNotRunning`]. It may be called again.
    ///
    /// # Errors
    /// [`ReactorAlreadyRunning`](crate::error::ReactorAlreadyRunning) inside a run of the same reactor;
    /// [`ReactorForked`](crate::error::ReactorForked) in a child of the process that made it; or the system's.
    pub fn run(&self) -> Result<()> {
        run::run(&self.core, true)
    }

    /// The same without signal handlers: for a reactor that is not the program's main one.
    #[doc(alias = "installSignalHandlers")]
    pub fn run_without_signal_handlers(&self) -> Result<()> {
        run::run(&self.core, false)
    }

    /// The run as a future, for any executor of this thread: the reactor is then its guest.
    ///
    /// It ends as [`run`](Self::run) ends. To drop it before is like [`crash`](Self::crash). It takes no signal handlers.
    ///
    /// # Examples
    /// ```
    /// use futures_lite::future::{block_on, zip};
    /// use twistor::Reactor;
    /// let reactor = Reactor::new()?;
    /// let work = reactor.spawn({
    ///     let reactor = reactor.clone();
    ///     async move {
    ///         reactor.stop()?;
    ///         Ok(6 * 7)
    ///     }
    /// });
    /// let (ended, answer) = block_on(zip(reactor.drive(), work));
    /// ended?;
    /// assert_eq!(answer?, 42);
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[must_use = "the reactor is driven while this future is polled"]
    pub fn drive(&self) -> Drive {
        Drive::new(self.clone())
    }

    /// One turn, which waits for at most `delay`: for a program with a loop of its own.
    ///
    /// # Errors
    /// [`ReactorAlreadyRunning`](crate::error::ReactorAlreadyRunning) inside a turn; or the system's.
    pub fn iterate(&self, delay: Duration) -> Result<()> {
        run::iterate(&self.core, delay)
    }

    /// Stops the run in order: the calls that are due are made, `before` triggers of "shutdown" are waited for, then everything is closed.
    ///
    /// # Errors
    /// [`ReactorNotRunning`] if it does not run, or was stopped already.
    pub fn stop(&self) -> Result<(), ReactorNotRunning> {
        self.core.stop()
    }

    /// From now on a [`stop`](Self::stop), by a signal too, waits for the connections that its ports have accepted, for so long at most.
    ///
    /// When the `before` triggers of "shutdown" were called the ports stop, all that listen, and everything goes on as before; when the last of these connections is
    /// over, those of ports that were stopped before too, and what the triggers gave has fired, comes what else a stop does. Who is left at the deadline is aborted. It asks none of them to
    /// end: how to do that is the protocol's to know, and a `before` trigger the place for it.
    ///
    /// Without this, a stop ends them at once. A second signal ends the process meanwhile; [`crash`](Self::crash) leaves the run.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{Context, Failure, Protocol, Reactor, factory, testing::Simulation};
    /// struct Slow;
    /// impl Protocol for Slow {
    ///     fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
    ///         let transport = twistor::Transport::clone(cx);
    ///         Reactor::current().call_later(Duration::from_secs(2), move || {
    ///             transport.write("done");
    ///             transport.lose_connection();
    ///         });
    ///     }
    /// }
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// reactor.drain_at_stop(Duration::from_secs(20));
    /// reactor.listen_tcp(7, factory(|_peer| Slow))?;
    /// let peer = sim.connect(([127, 0, 0, 1], 7))?;
    /// peer.send("work")?;
    /// reactor.call_later(Duration::from_secs(1), || Reactor::current().stop().expect("it runs"));
    /// reactor.run()?;
    /// assert_eq!((peer.received(), reactor.now()), (b"done".to_vec(), Duration::from_secs(2)));
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn drain_at_stop(&self, deadline: Duration) {
        self.core.draining.set(Some(deadline));
    }

    /// Leaves the run after this turn, and closes nothing. [`run`](Self::run) goes on where it was left.
    ///
    /// # Errors
    /// [`ReactorNotRunning`] if it does not run.
    pub fn crash(&self) -> Result<(), ReactorNotRunning> {
        self.core.crash()
    }

    /// Whether it is of a [`Simulation`](crate::testing::Simulation): its clock and its network are in memory, and it has no signals and no
    /// descriptors of the system.
    pub fn is_virtual(&self) -> bool {
        self.core.driver.is_virtual()
    }

    /// Whether it runs: from the `during` phase of "startup" to that of "shutdown".
    pub fn running(&self) -> bool {
        self.core.is_running()
    }

    /// Calls `f` when the reactor runs: now if it does, else after "startup".
    #[doc(alias = "callWhenRunning")]
    pub fn call_when_running(&self, f: impl FnOnce() + 'static) {
        if self.running() {
            return f();
        }
        self.add_system_event_trigger(Phase::After, "startup", f);
    }

    /// Has `f` called once, at a phase of a system event: "startup", "shutdown", or one that you
    /// [fire](Self::fire_system_event) yourself.
    ///
    /// Triggers of a phase are called first come, first served. The event waits for the Deferreds that `before` triggers give, whatever their
    /// result; there is no timeout. A failure is reported and stops nothing.
    #[doc(alias = "addSystemEventTrigger")]
    #[track_caller]
    pub fn add_system_event_trigger<R: IntoDeferred>(
        &self,
        phase: Phase,
        event: &'static str,
        f: impl FnOnce() -> R + 'static,
    ) -> TriggerId {
        self.core.triggers.add(phase, event, f)
    }

    /// Takes a trigger back. Whether it was still to come.
    #[doc(alias = "removeSystemEventTrigger")]
    pub fn remove_system_event_trigger(&self, id: TriggerId) -> bool {
        self.core.triggers.remove(id)
    }

    /// Fires an event of your own. Without triggers nothing happens.
    #[doc(alias = "fireSystemEvent")]
    pub fn fire_system_event(&self, event: &'static str) {
        self.core.triggers.fire(event, || true);
    }

    // ---- work bit by bit ----------------------------------------------------------------------------------------

    /// Takes items from an iterator, some now and then, until it has no more: it takes turns with all others of this reactor.
    ///
    /// See [`Cooperator::cooperate`](crate::task::Cooperator::cooperate). This is the reactor's own, which gets ten milliseconds of each turn at most.
    ///
    /// # Errors
    /// The end of a run ends its tasks, with [`ReactorNotRunning`].
    ///
    /// # Examples
    /// ```
    /// use twistor::{Failure, Reactor};
    /// let reactor = Reactor::new()?;
    /// // Every number is looked at, and meanwhile everything else goes on.
    /// let look = |n: u32| if n == 70_000 { Err(Failure::msg(format!("{n} is bad"))) } else { Ok(()) };
    /// let looked = reactor.cooperate((0..100_000).map(look));
    /// let done = looked.when_done().add_both(|result| {
    ///     Reactor::current().stop()?;
    ///     result
    /// });
    /// reactor.run()?;
    /// assert_eq!(done.now().unwrap().unwrap_err().to_string(), "70000 is bad");
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "task.cooperate")]
    #[track_caller]
    pub fn cooperate<I>(&self, work: I) -> CooperativeTask
    where
        I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
    {
        self.core.cooperator().cooperate(work)
    }

    /// The same, for who only wants to know when it is done.
    #[doc(alias = "task.coiterate")]
    #[track_caller]
    pub fn coiterate<I>(&self, work: I) -> Deferred<()>
    where
        I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
    {
        self.core.cooperator().coiterate(work)
    }

    // ---- async and threads --------------------------------------------------------------------------------------

    /// Runs async code on this reactor, from its next turn on.
    ///
    /// Cancelling the Deferred drops the future; dropping the Deferred does not. A panic is a failure.
    #[track_caller]
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
        self.spawn_at(future, Location::caller())
    }

    fn spawn_at<T: 'static>(
        &self,
        future: impl Future<Output = Result<T>> + 'static,
        place: Place,
    ) -> Deferred<T> {
        let (deferred, task) = crate::defer::spawned(future, place, self.core.driven.clone());
        self.core.spawn(task);
        deferred
    }

    /// The door for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(self.core.mailbox.clone())
    }

    // ---- what is pending ----------------------------------------------------------------------------------------

    /// What is pending now: the Deferreds of this thread that are this reactor's or nobody's, its tasks, timers, sockets, jobs, and calls from
    /// threads. See [`Snapshot`].
    ///
    /// It copies plain data and runs no code of the program's: it may be called anywhere, in a callback, in a drop, after a panic. It takes about a tenth
    /// of a microsecond for each Deferred.
    pub fn snapshot(&self) -> Snapshot {
        read(&self.core)
    }
}

impl Clone for Reactor {
    fn clone(&self) -> Reactor {
        Reactor::of(self.core.clone())
    }
}

impl Drop for Reactor {
    /// With the last handle, everything is closed: nobody can run it again, and what is open would hold it for ever.
    fn drop(&mut self) {
        let left = self.core.handles.get() - 1;
        self.core.handles.set(left);
        if self.core.is_forked() {
            // To let go of what the child shares with its parent would take it from that.
            return std::mem::forget(self.core.clone());
        }
        if left == 0 && self.core.life.get() == life::Life::Idle {
            let _entered = self.core.enter();
            self.core.close();
        }
    }
}

/// A reactor is a host like any other of the futures crate: its tasks are polled by the loop, and dropped at the end of the run.
///
/// # Examples
/// ```
/// use futures::task::LocalSpawnExt;
/// use twistor::Reactor;
/// let reactor = Reactor::new()?;
/// reactor.spawn_local(async { Reactor::current().stop().expect("it polls this") })?;
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
impl LocalSpawn for Reactor {
    #[track_caller]
    fn spawn_local_obj(&self, task: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        let task = async move {
            task.await;
            Ok(())
        };
        self.spawn_at(task, Location::caller()).or_log("a task");
        Ok(())
    }
}

impl Time for Reactor {
    fn now(&self) -> Duration {
        Reactor::now(self)
    }

    #[track_caller]
    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        self.call_later(delay, call)
    }

    fn seed(&self) -> u64 {
        self.core.driver.seed()
    }

    fn schedule_for(&self, place: Place, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        self.core.call_later(place, delay, call)
    }

    fn driven(&self) -> Option<Rc<Cell<Driven>>> {
        Some(self.core.driven.clone())
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Reactor");
        s.field("running", &self.running())
            .field("delayed_calls", &self.core.timers.len())
            .finish_non_exhaustive()
    }
}
