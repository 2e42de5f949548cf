//! One test on both drivers, and a run that ends.

use super::{Guard, Simulation};
use crate::{error::ReactorAlreadyRunning, failure::Result, reactor::Reactor};
use std::{
    cell::Cell,
    future::Future,
    process::{ExitCode, Termination},
    rc::Rc,
    time::Duration,
};

/// Makes two tests of a function: `name::real`, on the system's sockets and clock, and `name::simulated`, in a world of its own in memory.
///
/// It stands where `#[test]` would. The function takes a `&Reactor`, and may give a `Result`. What is asserted is asserted of both: that is the point.
/// Attributes go to both tests: `on_both!(#[ignore] name)`.
///
/// At its end the reactor is closed. What outlives it fails the test, by a [`Guard`]: Deferreds that are pending still, failures
/// that nobody handled, and all that a forgotten handle of the reactor keeps open.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::{Context, Protocol, Reactor, Result, factory, testing::{self, Peer}};
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
///
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
///
/// testing::on_both!(what_is_sent_comes_back);
/// fn what_is_sent_comes_back(reactor: &Reactor) -> Result<()> {
///     let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo))?;
///     let mut peer = Peer::connect(reactor, port.get_host()?.as_inet().expect("TCP"))?;
///     testing::run(reactor, Duration::from_secs(5), async move {
///         peer.write_all(b"hello").await?;
///         let mut back = [0; 5];
///         peer.read_exact(&mut back).await?;
///         assert_eq!(&back, b"hello");
///         Ok(())
///     })
/// }
/// # what_is_sent_comes_back(&Reactor::new()?)?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[macro_export]
macro_rules! on_both {
    ($(#[$attribute:meta])* $name:ident) => {
        mod $name {
            #[test]
            $(#[$attribute])*
            fn real() -> impl ::std::process::Termination {
                $crate::testing::on_the_system(super::$name)
            }

            #[test]
            $(#[$attribute])*
            fn simulated() -> impl ::std::process::Termination {
                $crate::testing::in_a_simulation(super::$name)
            }
        }
    };
}

#[doc(inline)]
pub use on_both;

/// What [`on_both!`] makes `name::real` of.
#[doc(hidden)]
#[track_caller]
pub fn on_the_system<R: Termination>(test: impl FnOnce(&Reactor) -> R) -> ExitCode {
    guarded(Reactor::new().expect("a reactor"), test)
}

/// What [`on_both!`] makes `name::simulated` of.
#[doc(hidden)]
#[track_caller]
pub fn in_a_simulation<R: Termination>(test: impl FnOnce(&Reactor) -> R) -> ExitCode {
    guarded(Simulation::new().reactor(), test)
}

#[track_caller]
fn guarded<R: Termination>(reactor: Reactor, test: impl FnOnce(&Reactor) -> R) -> ExitCode {
    let guard = Guard::new().watching(&reactor);
    // First of all its own error is told: what the guard finds then may come of it, and its panic would hide it.
    let result = test(&reactor).report();
    // With the last handle all that is open is closed. Whoever has kept another one is found.
    drop(reactor);
    drop(guard);
    result
}

/// Runs a reactor until a future is over, a Deferred for example, and gives its result.
///
/// Nothing is closed then: ports, connections and timers stay, and the next run goes on with them.
///
/// # Errors
/// The future's; [`Panicked`](crate::error::Panicked) if it panics;
/// [`ReactorAlreadyRunning`] in a callback of the same reactor.
///
/// # Panics
/// If it is not over after `limit`, with the [tree](crate::snapshot) of all that is still open. It is the reactor's time: on a virtual one that takes
/// no time at all. And if the reactor is stopped before it is over.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::{Reactor, defer::Deferred, testing};
/// let reactor = Reactor::new()?;
/// let (deferred, promise) = Deferred::pending();
/// reactor.call_later(Duration::from_millis(1), move || { promise.callback(7); });
/// assert_eq!(testing::run(&reactor, Duration::from_secs(5), deferred)?, 7);
///
/// // What would wait for ever is a failure of the test, which says what it waits for.
/// let (never, _promise) = Deferred::<()>::pending();
/// let late = std::panic::AssertUnwindSafe(|| testing::run(&reactor, Duration::from_millis(1), never));
/// let text = *std::panic::catch_unwind(late).unwrap_err().downcast::<String>().unwrap();
/// assert!(text.starts_with("not over after 1ms") && text.contains("deferred #"), "{text}");
/// # Ok::<(), twistor::Failure>(())
/// ```
#[track_caller]
pub fn run<T: 'static>(
    reactor: &Reactor,
    limit: Duration,
    work: impl Future<Output = Result<T>> + 'static,
) -> Result<T> {
    // Before anything is asked of it: what is asked of a run that is not this one would end that one.
    if !reactor.core.is_idle() {
        return Err(ReactorAlreadyRunning::default().into());
    }
    let (late, over) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(false)));
    let deadline = reactor.call_later(limit, {
        let late = late.clone();
        move || {
            let reactor = Reactor::current();
            late.set(Some(reactor.snapshot().to_string()));
            reactor.crash().expect("it runs");
        }
    });
    let result = reactor.spawn(work).add_both({
        let over = over.clone();
        move |result| {
            // Who stops the reactor has it drop the work, whose result this is then.
            over.set(Reactor::current().crash().is_ok());
            result
        }
    });
    reactor.run_without_signal_handlers()?;
    if let Some(state) = late.take() {
        panic!("not over after {limit:?}, with this still open:\n{state}");
    }
    let _ = deadline.cancel(); // it is cancelled already if the reactor was stopped
    match result.now() {
        Ok(result) if over.get() => result,
        _ => panic!("somebody has stopped the reactor before this was over"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, defer::Deferred, error::Panicked, report};
    use std::{
        cell::RefCell,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    const LIMIT: Duration = Duration::from_secs(5);

    fn text_of<T>(f: impl FnOnce() -> T) -> String {
        let panic = report::hushed(|| catch_unwind(AssertUnwindSafe(f)).err().expect("it panics"));
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().expect("a text").to_string(),
        }
    }

    /// Once the deadline and the work of the inner run stayed behind, and its end ended the outer run.
    #[test]
    fn a_run_in_a_callback_is_refused_and_the_run_around_it_goes_on() {
        let reactor = Simulation::new().reactor();
        let inner = Rc::new(RefCell::new(None));
        let told = inner.clone();
        reactor.call_later(Duration::from_secs(1), move || {
            let reactor = Reactor::current();
            let refused = run(&reactor, Duration::from_secs(2), async { Ok(()) }).unwrap_err();
            *told.borrow_mut() =
                Some((refused.check::<ReactorAlreadyRunning>(), reactor.get_delayed_calls().len()));
        });
        let (outer, promise) = Deferred::pending();
        reactor.call_later(Duration::from_secs(4), move || {
            promise.callback(7);
        });
        assert_eq!(run(&reactor, LIMIT, outer).unwrap(), 7);
        // The outer deadline and the outer result's call, and nothing more.
        assert_eq!(inner.take(), Some((true, 2)));
    }

    /// Once it was an error about the deadline, which stop() had cancelled.
    #[test]
    fn a_reactor_that_the_program_stops_is_told_as_that() {
        let panics = Rc::<Cell<u32>>::default();
        let count = panics.clone();
        let _hook = report::hook(move |report| {
            count.set(count.get() + u32::from(report.failure.check::<Panicked>()))
        });
        for end in [|| Reactor::current().stop().unwrap(), || Reactor::current().crash().unwrap()] {
            let reactor = Simulation::new().reactor();
            reactor.call_later(Duration::from_secs(1), end);
            let (never, _promise) = Deferred::<()>::pending();
            let text = text_of(|| run(&reactor, LIMIT, never));
            assert_eq!(text, "somebody has stopped the reactor before this was over");
        }
        assert_eq!(panics.get(), 0, "when the work was dropped");
    }

    /// Once the guard's panic was all that was seen of a test that had returned an error.
    #[test]
    fn the_error_of_a_test_is_told_before_what_it_leaves_behind() {
        struct Told(Result<()>, Rc<Cell<bool>>);
        impl Termination for Told {
            fn report(self) -> ExitCode {
                self.1.set(self.0.is_err());
                ExitCode::FAILURE
            }
        }
        let (told, kept) = (Rc::<Cell<bool>>::default(), RefCell::new(None));
        let text = text_of(|| {
            in_a_simulation(|_| {
                let (pending, promise) = Deferred::<()>::pending();
                *kept.borrow_mut() = Some((pending, promise));
                Told(Err(Failure::msg("its own")), told.clone())
            })
        });
        assert!(told.get() && text.contains("leaves 1 behind"), "{text}");
    }
}
