//! Twisted's `twisted.internet.reactor`: free functions over the thread's reactor.
//!
//! Which reactor that is: the one whose callback runs, if one does; else the thread's own, which is made when it is first asked for, or
//! [installed](install) before. So ported code runs unchanged in a test that turns a reactor of its own.
//!
//! What is passed to these functions may give anything that a stage may give ([`IntoDeferred`]): a failure of it is told to the
//! [report hook](twistor::report::hook), as Twisted logs what such a function raises.
//!
//! # Panics
//! All of them, where the thread's reactor must be made and the system is out of descriptors. [`install`] a reactor first, to handle that error.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use twisted::internet::{defer::Deferred, reactor};
//!
//! let d = Deferred::new();
//! d.add_callback(|answer| { assert_eq!(answer, 42); reactor::stop() });
//! reactor::call_later(Duration::from_millis(1), move || d.callback(42));
//! reactor::run()?;
//! # Ok::<(), twistor::Failure>(())
//! ```

use super::{
    defer::{Deferred, IntoDeferred},
    error::{NoReactor, ReactorAlreadyInstalledError},
};
use std::{
    cell::RefCell,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use twistor::{
    ClientFactory, Connector, DatagramContext, DatagramProtocol, Factory, Reactor, Result,
    reactor::Remote,
    tcp::{ListeningPort, TcpConnect, TcpListen},
    threads::ThreadPool,
    time::DelayedCall,
    udp::UdpListen,
};

#[doc(inline)]
pub use twistor::reactor::{Phase, TriggerId};

thread_local! {
    static OWN: RefCell<Option<Reactor>> = const { RefCell::new(None) };
    /// In a thread of [`defer_to_thread`](super::threads::defer_to_thread): the reactor that the work is for.
    static FOR: RefCell<Option<Remote>> = const { RefCell::new(None) };
}

/// The first reactor of the process: that of a program with one.
static FIRST: Mutex<Option<Remote>> = Mutex::new(None);

/// The reactor that these functions are of.
///
/// It is a clock too: `d.add_timeout(after, &reactor::get())`.
#[track_caller]
pub fn get() -> Reactor {
    if let Some(reactor) = Reactor::try_current() {
        return reactor;
    }
    OWN.with_borrow_mut(|own| match own {
        Some(reactor) => reactor.clone(),
        None => match Reactor::new() {
            Ok(reactor) => own.insert(first(reactor)).clone(),
            Err(failure) => {
                panic!("the thread's reactor can not be made: {failure}; install one to handle this")
            }
        },
    })
}

/// Makes `reactor` the thread's.
///
/// # Errors
/// [`ReactorAlreadyInstalledError`] if the thread has one.
///
/// # Examples
/// ```
/// use twisted::internet::{error::ReactorAlreadyInstalledError, reactor};
/// reactor::install(twistor::Reactor::new()?)?;
/// let failure = reactor::install(twistor::Reactor::new()?).unwrap_err();
/// assert!(failure.check::<ReactorAlreadyInstalledError>());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[track_caller]
pub fn install(reactor: Reactor) -> Result<()> {
    // What is dropped here may be a reactor's last handle, which calls what it closes.
    let refused = OWN.with_borrow_mut(|own| match own {
        Some(_) => Some(reactor),
        None => {
            *own = Some(first(reactor));
            None
        }
    });
    refused.map_or(Ok(()), |_| Err(ReactorAlreadyInstalledError.into()))
}

fn first(reactor: Reactor) -> Reactor {
    FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reactor.remote());
    reactor
}

// ---- life ---------------------------------------------------------------------------------------------------------------

/// Runs the loop until [`stop`]; see [`Reactor::run`]. It may be called again: there is no `ReactorNotRestartable`.
///
/// # Errors
/// [`ReactorAlreadyRunning`](super::error::ReactorAlreadyRunning) inside a run; or the system's.
pub fn run() -> Result<()> {
    get().run()
}

/// Twisted's `run(installSignalHandlers=False)`.
///
/// # Errors
/// As [`run`].
#[doc(alias = "installSignalHandlers")]
pub fn run_without_signal_handlers() -> Result<()> {
    get().run_without_signal_handlers()
}

/// Stops the run in order; see [`Reactor::stop`].
///
/// # Errors
/// [`ReactorNotRunning`](super::error::ReactorNotRunning) if it does not run, or was stopped already.
#[track_caller]
pub fn stop() -> Result<()> {
    Ok(get().stop()?)
}

/// Leaves the run after this turn, and closes nothing; see [`Reactor::crash`].
///
/// # Errors
/// [`ReactorNotRunning`](super::error::ReactorNotRunning) if it does not run.
#[track_caller]
pub fn crash() -> Result<()> {
    Ok(get().crash()?)
}

/// One turn, which waits for at most `delay`.
///
/// # Errors
/// [`ReactorAlreadyRunning`](super::error::ReactorAlreadyRunning) inside a turn; or the system's.
pub fn iterate(delay: Duration) -> Result<()> {
    get().iterate(delay)
}

/// Whether it runs.
pub fn running() -> bool {
    get().running()
}

/// Calls `f` when the reactor runs: now if it does, else after "startup".
#[doc(alias = "callWhenRunning")]
#[track_caller]
pub fn call_when_running<R: IntoDeferred>(f: impl FnOnce() -> R + 'static) {
    let f = told("a call when running", f);
    get().call_when_running(f);
}

/// Has `f` called once, at a phase of a system event; see [`Reactor::add_system_event_trigger`]. The event waits for the Deferred that a
/// [`Phase::Before`] trigger gives.
#[doc(alias = "addSystemEventTrigger")]
#[track_caller]
pub fn add_system_event_trigger<R: IntoDeferred>(
    phase: Phase,
    event: &'static str,
    f: impl FnOnce() -> R + 'static,
) -> TriggerId {
    get().add_system_event_trigger(phase, event, || f().into_typed())
}

/// Takes a trigger back. Whether it was still to come.
#[doc(alias = "removeSystemEventTrigger")]
pub fn remove_system_event_trigger(id: TriggerId) -> bool {
    get().remove_system_event_trigger(id)
}

/// Fires an event of your own.
#[doc(alias = "fireSystemEvent")]
pub fn fire_system_event(event: &'static str) {
    get().fire_system_event(event);
}

// ---- time ---------------------------------------------------------------------------------------------------------------

/// The time since the reactor was made. It is no time of day.
pub fn seconds() -> Duration {
    get().now()
}

/// Calls `f` when `delay` is over.
#[doc(alias = "callLater")]
#[track_caller]
pub fn call_later<R: IntoDeferred>(delay: Duration, f: impl FnOnce() -> R + 'static) -> DelayedCall {
    let f = told("a delayed call", f);
    get().call_later(delay, f)
}

/// The calls that wait, in the order they will be made.
#[doc(alias = "getDelayedCalls")]
pub fn get_delayed_calls() -> Vec<DelayedCall> {
    get().get_delayed_calls()
}

/// As a call whose failure is told.
fn told<R: IntoDeferred>(what: &'static str, f: impl FnOnce() -> R + 'static) -> impl FnOnce() + 'static {
    move || f().into_typed().or_log(what)
}

// ---- sockets ------------------------------------------------------------------------------------------------------------

/// Listens on a TCP port; see [`Reactor::listen_tcp`]. `listenTCP(8007, f, interface="127.0.0.1")` is `listen_tcp(("127.0.0.1", 8007), f)`; a
/// [`TcpListen`] has the backlog and the rest.
///
/// # Errors
/// [`CannotListenError`](super::error::CannotListenError), [`InvalidAddressError`](super::error::InvalidAddressError).
#[doc(alias = "listenTCP")]
#[track_caller]
pub fn listen_tcp<F: Factory>(at: impl Into<TcpListen>, factory: F) -> Result<ListeningPort> {
    get().listen_tcp(at, factory)
}

/// Connects to a TCP port; see [`Reactor::connect_tcp`]. `connectTCP("example.org", 79, f)` is `connect_tcp(("example.org", 79), f)`; a [`TcpConnect`] has the
/// timeout and the rest.
#[doc(alias = "connectTCP")]
#[track_caller]
pub fn connect_tcp<F: ClientFactory>(to: impl Into<TcpConnect>, factory: F) -> Connector {
    get().connect_tcp(to, factory)
}

/// Opens a UDP port; see [`Reactor::listen_udp`]. What it gives is the protocol's context, which is the port too.
///
/// # Errors
/// [`CannotListenError`](super::error::CannotListenError), [`InvalidAddressError`](super::error::InvalidAddressError).
#[doc(alias = "listenUDP")]
#[doc(alias = "listenMulticast")]
#[track_caller]
pub fn listen_udp<P: DatagramProtocol>(at: impl Into<UdpListen>, protocol: P) -> Result<DatagramContext<P>> {
    get().listen_udp(at, protocol)
}

// ---- async code and threads ---------------------------------------------------------------------------------------------

/// Runs async code on the reactor, from its next turn on: what `main` begins with. Inside callbacks
/// [`inline_callbacks`](super::defer::inline_callbacks) begins at once.
#[track_caller]
pub fn spawn<T: 'static>(code: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
    get().spawn(code).into()
}

/// Has `f` called in the reactor's thread, soon; for other threads.
///
/// The reactor is the thread's, if it has one; in a thread of [`defer_to_thread`](super::threads::defer_to_thread), the one that the work is for; in any other
/// thread, the first that was made or installed in the process. A program of several reactors hands their [`Reactor::remote`] on.
///
/// # Errors
/// [`NoReactor`] if no thread has made or installed one; [`ReactorNotRunning`](super::error::ReactorNotRunning) when it closes or is gone.
///
/// # Examples
/// ```
/// use twisted::internet::reactor;
/// reactor::call_when_running(|| {
///     std::thread::spawn(|| reactor::call_from_thread(reactor::stop));
/// });
/// reactor::run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "callFromThread")]
#[track_caller]
pub fn call_from_thread<R: IntoDeferred>(f: impl FnOnce() -> R + Send + 'static) -> Result<()> {
    Ok(remote()?.call_from_thread(|_reactor| f().into_typed().or_log("a call from a thread"))?)
}

/// The door that this thread's calls go through.
#[track_caller]
pub(super) fn remote() -> Result<Remote> {
    let here = Reactor::try_current().or_else(|| OWN.with_borrow(Clone::clone));
    here.map(|reactor| reactor.remote())
        .or_else(|| FOR.with_borrow(Clone::clone))
        .or_else(|| FIRST.lock().unwrap_or_else(PoisonError::into_inner).clone())
        .ok_or_else(|| NoReactor.into())
}

/// Calls `f` in a thread of the reactor's pool; see [`Reactor::call_in_thread`].
///
/// # Examples
/// ```
/// use twisted::internet::reactor;
/// reactor::call_when_running(|| {
///     reactor::call_in_thread(|| reactor::call_from_thread(reactor::stop).expect("it runs"));
/// });
/// reactor::run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "callInThread")]
#[track_caller]
pub fn call_in_thread(f: impl FnOnce() + Send + 'static) {
    let (reactor, f) = working(f);
    reactor.call_in_thread(f);
}

/// Has the reactor's pool have at most so many threads, instead of 10.
#[doc(alias = "suggestThreadPoolSize")]
pub fn suggest_thread_pool_size(most: usize) {
    get().suggest_thread_pool_size(most);
}

/// The reactor's pool.
#[doc(alias = "getThreadPool")]
pub fn get_thread_pool() -> ThreadPool {
    get().thread_pool()
}

/// The reactor, and `f` as what works for it in another thread.
#[track_caller]
pub(super) fn working<T>(f: impl FnOnce() -> T) -> (Reactor, impl FnOnce() -> T) {
    let reactor = get();
    let remote = reactor.remote();
    (reactor, move || work_for(remote, f))
}

/// Runs `f` in a thread that works for `remote`.
fn work_for<T>(remote: Remote, f: impl FnOnce() -> T) -> T {
    struct Undo(Option<Remote>);
    impl Drop for Undo {
        fn drop(&mut self) {
            FOR.set(self.0.take());
        }
    }
    let _undo = Undo(FOR.replace(Some(remote)));
    f()
}
