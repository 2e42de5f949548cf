//! What the tests share.

use std::{cell::RefCell, rc::Rc, time::Duration};
use twistor::{Reactor, Result, defer::Deferred, report};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the reactor until the Deferred has its result. If it does not come, that is a failure.
pub(crate) fn run_until<T: 'static>(reactor: &Reactor, deferred: Deferred<T>) -> Result<T> {
    let stops = reactor.clone();
    let mut result = deferred.add_timeout(PATIENCE, reactor);
    if !result.is_fired() {
        result = result.add_both(move |result| {
            stops.crash()?;
            result
        });
        reactor.run_without_signal_handlers().expect("it runs");
    }
    result.now().expect("the run ended with it")
}

/// What is reported on this thread while the guard is there.
pub(crate) fn reports() -> (Rc<RefCell<Vec<String>>>, report::HookGuard) {
    let lost = Rc::new(RefCell::new(vec![]));
    let seen = lost.clone();
    (lost, report::hook(move |report| seen.borrow_mut().push(report.to_string())))
}
