//! What nobody handled is told once: the hook for failures that were dropped and for panics that were caught.

use crate::failure::Failure;
use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    panic::{self, AssertUnwindSafe},
    rc::Rc,
    sync::Once,
};

/// A failure that nobody handled.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where it was found: `Deferred`, or the callback that failed.
    pub origin: &'static str,
    /// The failure, with its way.
    pub failure: Failure,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unhandled failure in {}: {}", self.origin, self.failure.message())?;
        match self.failure.way() {
            way if !way.is_empty() => write!(f, "\n  {way}"),
            _ if self.failure.check::<Panicked>() => Ok(()), // its message says where
            _ => write!(f, "\n  failed {}", crate::trace::At(self.failure.made_at())),
        }
    }
}

type Hook = Rc<dyn Fn(&Report)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Has `hook` told of every failure on this thread that nobody handled, instead of the log.
///
/// Without a hook each becomes one `tracing` event at error level. The former hook comes back when the guard is
/// dropped. A hook that panics is passed over.
///
/// # Examples
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use twistor::{Failure, defer::fail, report};
///
/// let lost = Rc::new(RefCell::new(vec![]));
/// let seen = lost.clone();
/// let _guard = report::hook(move |r| seen.borrow_mut().push(r.failure.to_string()));
///
/// drop(fail::<()>(Failure::msg("nobody looks at this")));
/// assert_eq!(*lost.borrow(), ["nobody looks at this"]);
/// ```
#[must_use = "the hook is taken off when the guard is dropped"]
pub fn hook(hook: impl Fn(&Report) + 'static) -> HookGuard {
    HookGuard { former: HOOK.replace(Some(Rc::new(hook))) }
}

/// Takes a [`hook`] off when dropped.
pub struct HookGuard {
    former: Option<Hook>,
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        let former = self.former.take();
        // The hook that goes may hold what reports in its own Drop: it goes when the cell is free again.
        let _gone = HOOK.try_with(|hook| hook.replace(former));
    }
}

impl fmt::Debug for HookGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookGuard").finish_non_exhaustive()
    }
}

/// Tells the hook, or the log.
#[cold]
#[inline(never)]
pub(crate) fn unhandled(origin: &'static str, failure: Failure) {
    if failure.is_quiet() {
        return;
    }
    let report = Report { origin, failure };
    let hook = HOOK.try_with(|hook| hook.borrow().clone()).ok().flatten();
    match hook {
        // This may be the Drop of a thread that unwinds: a second panic would end the process.
        Some(hook) => drop(panic::catch_unwind(AssertUnwindSafe(|| hook(&report)))),
        None => tracing::error!("{report}"),
    }
}

/// Whether anybody listens to what is reported: a hook of this thread, or a subscriber of `tracing`.
pub(crate) fn is_heard() -> bool {
    HOOK.try_with(|hook| hook.borrow().is_some()).unwrap_or(false) || tracing::dispatcher::has_been_set()
}

/// A callback panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    message: String,
    at: Option<String>,
    advice: Option<&'static str>,
}

/// What tokio says where its runtime is missing, which does not help who has another loop.
const WITHOUT_TOKIO: &str = "there is no reactor running, must be called from the context of a Tokio";
const WITH_TOKIO: &str =
    "this needs tokio's runtime, which does not run here: have twistor_tokio::Tokio run it";

impl Panicked {
    /// The panic's message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `file:line` of the panic, where the hook of a reactor has seen it.
    pub fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }
}

impl std::error::Error for Panicked {}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        match self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

thread_local! {
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
    static HUSHED: Cell<bool> = const { Cell::new(false) };
}

/// A panic's payload has no place; the hook that is put in here keeps it for [`Panicked`], and calls the former
/// one. Once a process.
pub(crate) fn remember_where_panics_happen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let at = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            let _ = PANICKED_AT.try_with(|cell| cell.replace(at));
            if !HUSHED.try_with(Cell::get).unwrap_or(false) {
                former(info);
            }
        }));
    });
}

/// Has the panics of this thread print nothing while `f` runs: who calls it tells them in another way.
pub(crate) fn hushed<R>(f: impl FnOnce() -> R) -> R {
    remember_where_panics_happen();
    let former = HUSHED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    HUSHED.set(former);
    result.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Calls `f`; its panic becomes a [`Failure`].
#[inline]
pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Failure> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| panicked(&*payload))
}

#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let at = PANICKED_AT.try_with(RefCell::take).ok().flatten();
    let message = text.unwrap_or_else(|| "a value that is no text".into());
    let advice = message.contains(WITHOUT_TOKIO).then_some(WITH_TOKIO);
    Failure::new(Panicked { message, at, advice })
}
