//! What a test says of a Deferred that needs no waiting.

use crate::{
    defer::Deferred,
    failure::{Failure, Result},
    report::Report,
    trace::At,
};

/// The value of a Deferred that has fired.
///
/// # Panics
/// If it has no result yet; or it has failed, with the failure and its way.
///
/// # Examples
/// ```
/// use twistor::{Failure, defer::{fail, succeed}, testing::success_result_of};
/// assert_eq!(success_result_of(succeed(6).map(|n| n * 7)), 42);
///
/// let failed = std::panic::catch_unwind(|| success_result_of(fail::<u8>(Failure::msg("no such user"))));
/// let text = *failed.unwrap_err().downcast::<String>().unwrap();
/// assert!(text.contains("no such user"), "{text}");
/// ```
#[track_caller]
#[doc(alias = "successResultOf")]
pub fn success_result_of<T>(deferred: Deferred<T>) -> T {
    match result_of(deferred, "a value") {
        Ok(value) => value,
        Err(failure) => panic!("a value was expected: {}", Report { origin: "Deferred", failure }),
    }
}

/// The failure of a Deferred that has fired; it counts as handled.
///
/// Which error it is, [`check`](Failure::check) tells.
///
/// # Panics
/// If it has no result yet, or a value.
///
/// # Examples
/// ```
/// use twistor::{defer::{Deferred, succeed}, error::CancelledError, testing::failure_result_of};
/// let (deferred, _promise) = Deferred::<u8>::pending();
/// deferred.cancel();
/// assert!(failure_result_of(deferred).check::<CancelledError>());
///
/// assert!(std::panic::catch_unwind(|| failure_result_of(succeed(1))).is_err());
/// ```
#[track_caller]
#[doc(alias = "failureResultOf")]
pub fn failure_result_of<T>(deferred: Deferred<T>) -> Failure {
    match result_of(deferred, "a failure") {
        Err(failure) => failure,
        Ok(_) => {
            panic!("a failure was expected, and the Deferred has a value: a {}", std::any::type_name::<T>())
        }
    }
}

/// Checks that a Deferred has no result yet.
///
/// # Panics
/// If it has one. A failure is told with its way, and not once more when the Deferred is dropped.
///
/// # Examples
/// ```
/// use twistor::{defer::Deferred, testing::{assert_no_result, success_result_of}};
/// let (deferred, promise) = Deferred::pending();
/// assert_no_result(&deferred);
/// promise.callback(1);
/// assert_eq!(success_result_of(deferred), 1);
/// ```
#[track_caller]
#[doc(alias = "assertNoResult")]
pub fn assert_no_result<T>(deferred: &Deferred<T>) {
    match deferred.try_take() {
        None => {}
        Some(Ok(_)) => panic!("no result was expected yet, and there is a value: {deferred:?}"),
        Some(Err(failure)) => {
            panic!("no result was expected yet: {}", Report { origin: "Deferred", failure })
        }
    }
}

#[track_caller]
fn result_of<T>(deferred: Deferred<T>, wanted: &str) -> Result<T> {
    let made = deferred.place();
    deferred.now().unwrap_or_else(|_| {
        panic!("{wanted} was expected, and the Deferred made at {} has no result yet", At(made))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        defer::{fail, succeed},
        report,
    };
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn told(f: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it was to panic");
        *panic.downcast::<String>().expect("with a text")
    }

    #[test]
    fn what_is_pending_is_told_with_the_place_it_was_made_at() {
        let place = format!("src/testing/assertions.rs:{}", line!() + 1);
        let make = || Deferred::<u8>::pending();
        for text in [
            told(|| assert_eq!(success_result_of(make().0.add_callback(Ok)), 0)),
            told(|| drop(failure_result_of(make().0.add_callback(Ok)))),
        ] {
            assert!(text.contains(&place), "{text}");
        }
    }

    #[test]
    fn a_failure_is_told_by_the_assertion_alone() {
        let lost = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = lost.clone();
        let _hook = report::hook(move |_| count.set(count.get() + 1));
        let broken = || fail::<()>(Failure::msg("broken"));
        assert!(told(|| success_result_of(broken())).contains("broken"));
        assert!(told(|| assert_no_result(&broken())).contains("broken"));
        assert_eq!(failure_result_of(broken()).message(), "broken");
        assert_eq!(lost.get(), 0);
    }

    #[test]
    fn a_paused_chain_has_no_result() {
        let deferred = succeed(1);
        deferred.pause();
        assert_no_result(&deferred);
        deferred.unpause();
        assert!(told(|| assert_no_result(&deferred)).contains("there is a value"));
    }
}
