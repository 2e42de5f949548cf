//! One test on both drivers, and a run that ends.

use super::{Guard, Simulation};
use crate::{failure::Result, reactor::Reactor};
use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

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
pub fn on_the_system<R>(test: impl FnOnce(&Reactor) -> R) -> R {
    guarded(Reactor::new().expect("a reactor"), test)
}

/// What [`on_both!`] makes `name::simulated` of.
#[doc(hidden)]
#[track_caller]
pub fn in_a_simulation<R>(test: impl FnOnce(&Reactor) -> R) -> R {
    guarded(Simulation::new().reactor(), test)
}

#[track_caller]
fn guarded<R>(reactor: Reactor, test: impl FnOnce(&Reactor) -> R) -> R {
    let guard = Guard::new().watching(&reactor);
    let result = test(&reactor);
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
/// [`ReactorAlreadyRunning`](crate::error::ReactorAlreadyRunning) in a callback of the same reactor.
///
/// # Panics
/// If it is not over after `limit`, with the [tree](crate::snapshot) of all that is still open. It is the reactor's time: on a virtual one that takes
/// no time at all.
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
    let late = Rc::new(Cell::new(None));
    let deadline = reactor.call_later(limit, {
        let late = late.clone();
        move || {
            let reactor = Reactor::current();
            late.set(Some(reactor.snapshot().to_string()));
            reactor.crash().expect("it runs");
        }
    });
    let result = reactor.spawn(work).add_both(|result| {
        Reactor::current().crash().expect("it runs");
        result
    });
    reactor.run_without_signal_handlers()?;
    if let Some(state) = late.take() {
        panic!("not over after {limit:?}, with this still open:\n{state}");
    }
    deadline.cancel()?;
    result.now().unwrap_or_else(|_| panic!("somebody has stopped the reactor before this was over"))
}
