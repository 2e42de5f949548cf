//! [`Failure`]: the one error type of callbacks and of `.await`.

use crate::{
    report::{self, Panicked},
    trace::{At, Event, Place, Way},
};
use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    error::Error,
    fmt,
    panic::Location,
    sync::Arc,
};

/// What most of twistor gives: a value, or a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Any error, with the way it took.
///
/// One pointer, cheap to clone, `Send + Sync`. The `?` operator makes one of any error; the line of that `?` is
/// kept ([`made_at`](Failure::made_at)). What the chain of a Deferred does with it is added to its
/// [`way`](Failure::way). It is Twisted's `twisted.python.failure.Failure`.
///
/// It is not itself a [`std::error::Error`] (the `?` would then not compile, as with `anyhow::Error`); for code
/// that asks for one there is [`into_error`](Failure::into_error), and `From` into `Box<dyn Error>` and
/// `std::io::Error`.
///
/// # Examples
/// ```
/// use twistor::{Failure, Result};
///
/// let line = line!() + 2;
/// fn port(text: &str) -> Result<u16> {
///     Ok(text.parse()?)
/// }
/// let failure = port("http").unwrap_err();
/// assert!(failure.check::<std::num::ParseIntError>());
/// assert_eq!(failure.to_string(), "invalid digit found in string");
/// assert_eq!(failure.made_at().line(), line); // the line of the `?`
///
/// // Recover from what is known, pass the rest on.
/// fn or_default(failure: Failure) -> Result<u16> {
///     failure.trap::<std::num::ParseIntError>()?;
///     Ok(80)
/// }
/// assert_eq!(or_default(failure).unwrap(), 80);
/// assert!(or_default(Failure::new(std::fmt::Error)).is_err());
/// ```
#[derive(Clone)]
pub struct Failure(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    error: Arc<dyn Error + Send + Sync>,
    /// Where this failure was made.
    place: Place,
    way: Way,
    /// What was captured when the environment asked for it.
    backtrace: Option<Arc<Backtrace>>,
    /// Nobody needs to be told when this one is lost: its cause was told already.
    quiet: bool,
}

impl Failure {
    /// Wraps an error. The `?` operator and `.into()` do the same.
    ///
    /// A backtrace is captured if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for it.
    #[track_caller]
    pub fn new<E: Error + Send + Sync + 'static>(error: E) -> Failure {
        Failure::of(Arc::new(error), Location::caller())
    }

    /// The same without a backtrace: for what the loop itself tells, whose stack says nothing.
    #[track_caller]
    pub(crate) fn of_the_loop<E: Error + Send + Sync + 'static>(error: E) -> Failure {
        Failure::made(Arc::new(error), Location::caller(), None)
    }

    /// Wraps an error that is boxed already. [`value`](Failure::value) still finds it by its own type.
    #[track_caller]
    pub fn from_boxed(error: Box<dyn Error + Send + Sync>) -> Failure {
        Failure::of(Arc::from(error), Location::caller())
    }

    /// A failure with a text and nothing else.
    #[track_caller]
    pub fn msg(text: impl Into<String>) -> Failure {
        Failure::of(Arc::new(Message(text.into())), Location::caller())
    }

    /// What somebody panicked with, as `catch_unwind` and the `join` of a thread give it: a [`Panicked`].
    ///
    /// Where the panic was is known in the thread that it happened in: make the failure there, then send it.
    ///
    /// # Examples
    /// ```
    /// use std::panic::catch_unwind;
    /// use twistor::{Failure, error::Panicked};
    ///
    /// let failure = catch_unwind(|| panic!("no such line")).map_err(Failure::from_panic).unwrap_err();
    /// assert_eq!(failure.trap::<Panicked>()?.message(), "no such line");
    /// # Ok::<(), Failure>(())
    /// ```
    #[track_caller]
    pub fn from_panic(payload: Box<dyn Any + Send>) -> Failure {
        report::panicked(&*payload)
    }

    /// A failure that nobody is told of when it is lost.
    #[track_caller]
    pub(crate) fn quiet<E: Error + Send + Sync + 'static>(error: E) -> Failure {
        let mut failure = Failure::new(error);
        failure.inner().quiet = true;
        failure
    }

    /// The same failure, of which nobody is told when it is lost: it has been, or will be.
    pub(crate) fn hushed(mut self) -> Failure {
        self.inner().quiet = true;
        self
    }

    #[cold]
    fn of(error: Arc<dyn Error + Send + Sync>, place: Place) -> Failure {
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        Failure::made(error, place, captured.then(|| Arc::new(backtrace)))
    }

    fn made(error: Arc<dyn Error + Send + Sync>, place: Place, backtrace: Option<Arc<Backtrace>>) -> Failure {
        Failure(Arc::new(Inner { error, place, way: Way::default(), backtrace, quiet: false }))
    }

    /// Whether the error is an `E`.
    pub fn check<E: Error + 'static>(&self) -> bool {
        self.0.error.is::<E>()
    }

    /// The error as an `E`, or this failure again for the next handler.
    ///
    /// # Errors
    /// The same failure, if its error is not an `E`: with `?` an errback passes it on.
    #[doc(alias = "check")]
    pub fn trap<E: Error + 'static>(&self) -> Result<&E> {
        self.value().ok_or_else(|| self.clone())
    }

    /// The error as an `E`, if it is one.
    pub fn value<E: Error + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// The error. Its `source()` leads on to what caused it.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.error
    }

    /// The text of the error and of all its causes, joined by `: `.
    #[doc(alias = "getErrorMessage")]
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.error().source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Where it was made: the line of the `?`, or of the call that gave it.
    pub fn made_at(&self) -> Place {
        self.0.place
    }

    /// Which way it took.
    pub fn way(&self) -> &Way {
        &self.0.way
    }

    /// The stack at the place it was made, if the environment asked for backtraces.
    #[doc(alias = "getTraceback")]
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.as_deref()
    }

    /// As a [`std::error::Error`], for code that asks for one.
    pub fn into_error(self) -> FailureError {
        FailureError(self)
    }

    /// Adds an event to the way. A failure that others hold too is copied first, so that each chain has its own
    /// way.
    #[cold]
    #[inline(never)]
    pub(crate) fn note(&mut self, event: Event, place: Place) {
        let inner = self.inner();
        if inner.way.is_empty() && matches!(event, Event::Passed | Event::Into | Event::Awaited) {
            inner.way.push(Event::Failed, inner.place);
        }
        inner.way.push(event, place);
    }

    /// The same failure as if it had been made at `place`.
    pub(crate) fn with_place(mut self, place: Place) -> Failure {
        self.inner().place = place;
        self
    }

    /// Whether both are the same failure, and not only the same error.
    pub(crate) fn is(&self, other: *const ()) -> bool {
        std::ptr::eq(self.id(), other)
    }

    pub(crate) fn id(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.0.quiet
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Failure {
        Failure::new(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.error, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        if !self.check::<Panicked>() {
            write!(f, " (failed {})", At(self.0.place))?; // of a panic, the message says it
        }
        if !self.0.way.is_empty() {
            write!(f, "\n  {}", self.0.way)?;
        }
        match &self.0.backtrace {
            Some(backtrace) => write!(f, "\n{backtrace}"),
            None => Ok(()),
        }
    }
}

/// A [`Failure`] as a [`std::error::Error`]; see [`Failure::into_error`].
#[derive(Clone)]
pub struct FailureError(Failure);

impl FailureError {
    /// The failure inside.
    pub fn failure(&self) -> &Failure {
        &self.0
    }
}

impl Error for FailureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error().source()
    }
}

impl fmt::Display for FailureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for FailureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        Box::new(failure.into_error())
    }
}

impl From<Failure> for Box<dyn Error> {
    fn from(failure: Failure) -> Self {
        Box::new(failure.into_error())
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        std::io::Error::new(crate::error::io_kind(&failure), failure.into_error())
    }
}

#[derive(Debug)]
struct Message(String);

impl Error for Message {}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_has_a_way_of_its_own() {
        let mut one = Failure::msg("lost");
        let mut two = one.clone();
        one.note(Event::Passed, Location::caller());
        two.note(Event::Awaited, Location::caller());
        assert!(one.way().to_string().contains("passed"));
        assert!(!two.way().to_string().contains("passed"));
    }

    #[test]
    fn one_pointer_that_threads_may_share() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<Failure>();
        assert_eq!(size_of::<Failure>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn foreign_errors_go_in_and_come_out() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let failure = Failure::from_boxed(Box::new(io));
        assert!(failure.check::<std::io::Error>());
        assert_eq!(std::io::Error::from(failure.clone()).kind(), std::io::ErrorKind::NotFound);
        let boxed: Box<dyn Error + Send + Sync> = failure.into();
        assert_eq!(boxed.to_string(), "no such file");
        assert!(boxed.downcast_ref::<FailureError>().is_some_and(|e| e.failure().check::<std::io::Error>()));
    }
}
