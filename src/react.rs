//! [`react`]: a program that is done when its main function is, on a reactor of its own or on one that is there.

use crate::{
    error::{ReactorAlreadyRunning, SystemExit},
    failure::{Failure, Result},
    reactor::Reactor,
    report::{self, Report},
};
use std::{cell::Cell, future::Future, process::ExitCode, rc::Rc};

/// Runs a new reactor until what `main` gives is done, and says with which code the process is to exit. [`Reactor::react`] does it on one that is there.
///
/// `main` is called with the reactor, before that runs. It gives a Deferred or is an `async` function; either way it is awaited in the reactor.
/// When it is done the reactor stops in order.
///
/// * With a value, the code is 0.
/// * With a failure, that is reported, and the code is 1. Who has no [hook](crate::report::hook) and no subscriber of `tracing` finds it on
///   stderr.
/// * With a [`SystemExit`] failure, the code is the one in it, and nothing is reported.
/// * If the reactor is stopped before, by a signal for example, the code is 0; unless `main` fails while it stops.
///
/// As in any [`run`](Reactor::run), SIGINT and SIGTERM stop the reactor, and a second one ends the process.
///
/// # Examples
/// ```
/// use std::{process::ExitCode, time::Duration};
/// use twistor::{Failure, error::SystemExit, react, task::defer_later};
///
/// fn main() -> ExitCode {
///     # return if std::env::args().count() > 9 { async_main() } else { callbacks() }; }
///     # fn async_main() -> ExitCode {
///     react(async |reactor| {
///         let answer = defer_later(&reactor, Duration::from_millis(1), || Ok("42")).await?;
///         println!("{}", answer.parse::<u32>()?);
///         Ok(())
///     })
/// }
///
/// fn callbacks() -> ExitCode {
///     react(|reactor| {
///         defer_later(&reactor, Duration::from_millis(1), || Ok("forty-two"))
///             .add_callback(|answer| Ok(answer.parse::<u32>()?))
///             .add_errback(|failure| {
///                 assert_eq!(failure.to_string(), "invalid digit found in string");
///                 Err::<u32, Failure>(SystemExit::new(0).into()) // else 1, and the failure on stderr
///             })
///     })
/// }
/// ```
#[doc(alias = "task.react")]
pub fn react<T: 'static, D>(main: impl FnOnce(Reactor) -> D) -> ExitCode
where
    D: Future<Output = Result<T>> + 'static,
{
    Reactor::new().map_or_else(|failure| ExitCode::from(failed(failure)), |reactor| reactor.react(main))
}

/// A program on this reactor.
impl Reactor {
    /// What [`react`] does, on this reactor: one that was made before, or a virtual one.
    ///
    /// All that is open at the end is closed, as at the end of any [`run`](Self::run), and the reactor may be used again. After a
    /// [`crash`](Self::crash) `main` goes on in the next run.
    ///
    /// # Errors
    /// As those of [`react`]. In a run or a turn of the same reactor it is [`ReactorAlreadyRunning`], reported, with code 1; `main` is not called.
    ///
    /// # Examples
    /// ```
    /// use std::{process::ExitCode, time::Duration};
    /// use twistor::{Reactor, Result, task::defer_later, testing::Simulation};
    ///
    /// async fn an_hour(reactor: Reactor) -> Result<()> {
    ///     defer_later(&reactor, Duration::from_secs(3600), || Ok(())).await
    /// }
    ///
    /// let reactor = Simulation::new().reactor();
    /// assert_eq!(reactor.react(an_hour), ExitCode::SUCCESS); // at once
    /// assert_eq!(reactor.now(), Duration::from_secs(3600));
    ///
    /// // What nothing would end is an error that says so, not a hang.
    /// let reports = twistor::report::hook(|report| assert!(report.to_string().contains("nothing"), "{report}"));
    /// assert_eq!(reactor.react(|_| std::future::pending::<Result<()>>()), ExitCode::FAILURE);
    /// # drop(reports);
    /// ```
    #[doc(alias = "task.react")]
    pub fn react<T: 'static, D>(&self, main: impl FnOnce(Reactor) -> D) -> ExitCode
    where
        D: Future<Output = Result<T>> + 'static,
    {
        ExitCode::from(run(self, main).unwrap_or_else(failed))
    }
}

/// The code.
fn run<T: 'static, D>(reactor: &Reactor, main: impl FnOnce(Reactor) -> D) -> Result<u8>
where
    D: Future<Output = Result<T>> + 'static,
{
    if !reactor.core.is_idle() {
        return Err(ReactorAlreadyRunning::default().into()); // before `main`, whose end would stop somebody else's run
    }
    let main = report::guarded(|| main(reactor.clone()))?;
    let code = Rc::new(Cell::new(0));
    let (ended, r) = (code.clone(), reactor.clone());
    drop(reactor.spawn(main).add_both(move |result| {
        ended.set(result.map_or_else(failed, |_| 0));
        let _ = r.stop(); // somebody else may have stopped it
    }));
    reactor.run()?;
    Ok(code.get())
}

/// Tells what `main` failed with; the code.
fn failed(failure: Failure) -> u8 {
    if let Some(exit) = failure.value::<SystemExit>() {
        return exit.code();
    }
    if failure.is_quiet() {
        return 0; // the end of the run, which came before that of `main`
    }
    if !report::is_heard() {
        eprintln!("{}", Report { origin: "the main function", failure: failure.clone() });
    }
    report::unhandled("the main function", failure);
    1
}
