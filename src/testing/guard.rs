//! [`Guard`]: a test that leaves something behind fails, and says what and from where.

use crate::{
    defer::pending,
    reactor::{Reactor, core::Core},
    report::{self, HookGuard},
    snapshot::{Entry, Snapshot},
    trace::{At, Place},
};
use std::{
    cell::RefCell,
    collections::HashSet,
    error::Error,
    fmt,
    panic::Location,
    rc::{Rc, Weak},
    thread,
};

/// Fails a test that leaves Deferreds pending, failures unhandled, or timers, ports, tasks or connections open.
///
/// Made at the beginning of a test, it looks when it is dropped, and panics with the [tree](Snapshot) of what is left: where each was made, and what
/// it waits for. What was there before it is none of its business. Without a reactor it looks at the thread's Deferreds; [`watching`](Self::watching)
/// adds all that a reactor has.
///
/// While it is there, what nobody handles is told to it, not to the log; a [hook](crate::report::hook) that is put up later is told instead.
///
/// # Panics
/// When it is dropped, if something is left, unless the thread panics already.
///
/// # Examples
/// ```
/// use twistor::{defer::Deferred, testing::Guard};
///
/// let guard = Guard::new();
/// let (deferred, promise) = Deferred::<u8>::pending();
/// let error = guard.check().unwrap_err();
/// assert!(error.to_string().contains(&format!("made {}:{}", file!(), line!() - 2)));
///
/// promise.callback(1);
/// drop(deferred);
/// guard.check().unwrap();
/// ```
#[must_use = "it looks when it is dropped: keep it to the end of the test"]
pub struct Guard {
    made: Place,
    /// What was there before.
    before: RefCell<HashSet<u32>>,
    reactors: RefCell<Vec<Weak<Core>>>,
    unhandled: Rc<RefCell<Vec<String>>>,
    _hook: HookGuard,
}

impl Guard {
    /// A guard of this thread's Deferreds.
    #[track_caller]
    pub fn new() -> Guard {
        let unhandled: Rc<RefCell<Vec<String>>> = Rc::default();
        let told = unhandled.clone();
        let hook = report::hook(move |report| {
            // The text first: it is made by the program's code, which may report as well.
            let text = report.to_string();
            told.borrow_mut().push(text);
        });
        let before = pending().iter().map(|entry| entry.id).collect();
        Guard {
            made: Location::caller(),
            before: RefCell::new(before),
            reactors: RefCell::default(),
            unhandled,
            _hook: hook,
        }
    }

    /// The same, and of what this reactor has from now on. It does not keep it open: with its last handle all of it is closed, and nothing left.
    pub fn watching(self, reactor: &Reactor) -> Guard {
        self.before.borrow_mut().extend(reactor.snapshot().entries.iter().map(|entry| entry.id));
        self.reactors.borrow_mut().push(Rc::downgrade(&reactor.core));
        self
    }

    /// Looks now. Failures that were told are told once: they are not held against the test again.
    ///
    /// # Errors
    /// What is left.
    pub fn check(&self) -> Result<(), DirtyReactor> {
        let left = self.left();
        let unhandled = self.unhandled.take();
        if left.is_empty() && unhandled.is_empty() {
            return Ok(());
        }
        Err(DirtyReactor { guard: self.made, left, unhandled })
    }

    fn left(&self) -> Snapshot {
        let mut entries = pending();
        for core in self.reactors.borrow().iter().filter_map(Weak::upgrade) {
            // No handle of its own: with the last one the reactor would be closed.
            entries.extend(crate::reactor::read(&core).entries);
        }
        let before = self.before.borrow();
        entries.retain(|entry: &Entry| !before.contains(&entry.id));
        Snapshot::from(entries)
    }
}

impl Default for Guard {
    #[track_caller]
    fn default() -> Guard {
        Guard::new()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            return; // a second panic would end the process, and the first one says more
        }
        if let Err(left) = self.check() {
            panic!("{left}");
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("made", &At(self.made).to_string()).finish_non_exhaustive()
    }
}

/// A test has left something behind; from [`Guard::check`].
#[derive(Clone, Debug)]
#[doc(alias = "DirtyReactorAggregateError")]
pub struct DirtyReactor {
    guard: Place,
    left: Snapshot,
    unhandled: Vec<String>,
}

impl DirtyReactor {
    /// What is pending or open still.
    pub fn left(&self) -> &Snapshot {
        &self.left
    }

    /// The failures that nobody handled, each with its way.
    pub fn unhandled(&self) -> &[String] {
        &self.unhandled
    }
}

impl Error for DirtyReactor {}

impl fmt::Display for DirtyReactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the test that made its guard at {}", At(self.guard))?;
        let (left, unhandled) = (self.left.entries.len(), self.unhandled.len());
        if left > 0 {
            write!(
                f,
                " leaves {left} behind: fire, cancel, stop or close what this tree shows, or end the run\n{}",
                self.left
            )?;
        }
        if unhandled > 0 {
            let and = if left > 0 { "and" } else { "" };
            write!(
                f,
                "{and} has left {unhandled} unhandled: give each an errback, or end its chain with or_log"
            )?;
            self.unhandled.iter().try_for_each(|failure| write!(f, "\n{failure}"))?;
        }
        Ok(())
    }
}
