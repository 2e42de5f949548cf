//! What is not Twisted's: types, both kinds of Deferreds together, what is told when handles go, and that nothing leaks.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};
use twisted::{
    internet::defer::{Deferred, DeferredList, Listed, WrongType, succeed},
    python::log,
};
use twistor::{
    Context, Failure, Protocol, Result,
    defer::{self as typed, pending},
    error::{Abandoned, CancelledError, WaitsForItself},
    report, testing,
};

fn failure<T: Clone + 'static>(d: &Deferred<T>) -> Failure {
    match d.result() {
        Some(Err(failure)) => {
            d.add_errback(|_| ());
            failure
        }
        Some(Ok(_)) => panic!("it has a value"),
        None => panic!("it has no result"),
    }
}

#[test]
fn a_stage_on_an_old_handle_is_a_named_error_of_its_line() -> Result<()> {
    let d = Deferred::<String>::new();
    let length = d.add_callback(|text| Ok(text.len()));
    let wrong = d.add_callback(Ok);
    let line = line!() - 1;
    length.add_callback(|n: usize| Ok(n)); // by now there is a failure
    d.callback("four".to_string())?;
    let failure = failure(&wrong);
    let error = failure.value::<WrongType>().expect("a WrongType");
    assert_eq!((error.expected, error.found, error.at.line()), ("alloc::string::String", "usize", line));
    assert!(failure.to_string().contains("use the handle that the stage before gave"), "{failure}");
    Ok(())
}

#[test]
fn a_value_that_was_taken_is_told_to_the_next_taker() -> Result<()> {
    let d = succeed(vec![1]);
    let first: typed::Deferred<Vec<i32>> = d.clone().into();
    let second: typed::Deferred<Vec<i32>> = d.clone().into();
    assert_eq!(first.now().expect("it has fired")?, [1]);
    let failure = second.now().expect("it has fired").unwrap_err();
    assert!(failure.to_string().contains("took the value"), "{failure}");
    Ok(())
}

#[test]
fn both_kinds_of_deferreds_wait_for_each_other_and_are_cancelled_through_each_other() -> Result<()> {
    let stopped = Rc::new(Cell::new(0));
    let canceller = || {
        let stopped = stopped.clone();
        move || stopped.set(stopped.get() + 1)
    };
    // A typed chain waits for a shared one.
    let stop = canceller();
    let shared = Deferred::<u8>::with_canceller(move |_| stop());
    let inner = shared.clone();
    let outer = typed::succeed(()).add_callback(move |()| typed::Deferred::from(inner));
    outer.cancel();
    assert!(outer.now().expect("it was cancelled").unwrap_err().check::<CancelledError>());
    assert_eq!(stopped.get(), 1);
    // A shared chain waits for a typed one.
    let stop = canceller();
    let (inner, promise) = typed::Deferred::<u8>::cancellable(move |_own| stop());
    let outer = Deferred::new();
    outer.add_callback(|()| inner);
    outer.callback(())?;
    outer.cancel();
    assert_eq!(promise.callback(1), typed::Fired::AlreadyCalled);
    assert_eq!(stopped.get(), 2);
    // What is fired by others can not be fired by a handle.
    let (inner, _promise) = typed::Deferred::<u8>::pending();
    let failure = Deferred::from(inner).callback(1).unwrap_err();
    assert!(failure.to_string().contains("fired by what made it"), "{failure}");
    outer.add_errback(|_| ());
    Ok(())
}

#[test]
fn a_stage_that_gives_its_own_deferred_is_a_failure() -> Result<()> {
    let d = Deferred::<u8>::new();
    let own = d.clone();
    d.add_callback(move |_| own);
    d.callback(1)?;
    assert!(failure(&d).check::<WaitsForItself>());
    Ok(())
}

/// The name of a chain is not its address: another chain may have come to be there.
#[test]
fn a_chain_whose_handles_are_gone_waits_for_one_made_later() -> Result<()> {
    for _ in 0..100 {
        let told = Rc::new(Cell::new(0));
        let (inner, promise) = typed::Deferred::<()>::pending();
        let tell = told.clone();
        Deferred::from(inner).add_callback(|()| succeed(7)).add_callback(move |n| tell.set(n));
        promise.callback(());
        assert_eq!(told.get(), 7);
    }
    Ok(())
}

#[test]
fn when_the_last_handle_goes_unfired_who_waits_is_told() -> Result<()> {
    let (outer, inner) = (Deferred::<u8>::new(), Deferred::<u8>::new());
    let waited = inner.clone();
    outer.add_callback(move |_| waited);
    outer.callback(1)?;
    assert!(outer.result().is_none());
    drop(inner);
    assert!(failure(&outer).check::<Abandoned>());
    Ok(())
}

#[test]
fn a_methods_result_may_be_a_shared_deferred() -> Result<()> {
    struct Asking(Deferred<usize>);
    impl Asking {
        fn ask(&mut self, _cx: &Context<Self>, more: usize) -> typed::Deferred<usize> {
            self.0.add_callback(move |n| Ok(n + more)).into()
        }
    }
    impl Protocol for Asking {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            let d = succeed(data.len());
            d.add_callback(cx.bind(Asking::ask));
            let transport = cx.transport();
            d.add_callback(move |n| transport.write(n.to_string()));
            d.add_errback(log::err);
        }
    }
    let answer = Deferred::new();
    let mut t = testing::connect(Asking(answer.clone()));
    t.receive("abc");
    assert_eq!(t.sent(), b"");
    answer.callback(39)?;
    assert_eq!(t.sent(), b"42");
    Ok(())
}

#[test]
fn a_list_can_be_what_a_stage_waits_for() -> Result<()> {
    let (a, b) = (Deferred::<u8>::new(), Deferred::new());
    let (of_a, of_b) = (a.clone(), b.clone());
    let all = succeed(()).add_callback(move |()| DeferredList::new([of_a, of_b]).consume_errors());
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    all.add_callback(move |listed| {
        let Listed::All(results) = listed else { return Err(Failure::msg("no flag was set")) };
        count.set(results.iter().filter(|result| result.is_ok()).count());
        Ok(())
    });
    all.cancel();
    assert_eq!(seen.get(), 0);
    assert!(a.called() && b.called());
    Ok(())
}

/// What a chain holds goes when it has fired, was cancelled, or nobody is left to fire it.
#[test]
fn nothing_is_kept_after_the_end() -> Result<()> {
    let baseline = pending().len();
    let (held, reports) = (Rc::new(()), Rc::new(RefCell::new(0)));
    let count = reports.clone();
    let guard = report::hook(move |_| *count.borrow_mut() += 1);
    for end in 0..4 {
        let (outer, inner) = (Deferred::<u8>::with_canceller(|_| ()), Deferred::<u8>::with_canceller(|_| ()));
        let (waited, kept) = (inner.clone(), held.clone());
        outer.add_callback(move |_| waited);
        outer.add_callback(move |n| {
            drop(kept);
            Ok(n)
        });
        outer.callback(1)?;
        let listed: Deferred<Listed<u8>> = DeferredList::new([outer.clone()]).into();
        match end {
            0 => inner.callback(2)?,
            1 => inner.errback(Failure::msg("no"))?,
            2 => listed.cancel(),
            _ => drop(inner),
        }
    }
    drop(guard);
    assert_eq!((Rc::strong_count(&held), pending().len()), (1, baseline));
    assert_eq!(*reports.borrow(), 3); // the failures of the three, in their own chains
    Ok(())
}

/// A value whose clone is code of the user's.
struct Cloned {
    clone: Rc<dyn Fn()>,
}

impl Clone for Cloned {
    fn clone(&self) -> Cloned {
        (self.clone)();
        Cloned { clone: self.clone.clone() }
    }
}

/// `result()` took the chain's end out to look at it, and what the clone added meanwhile was kept for an end that nobody put back for it.
#[test]
fn a_stage_that_a_clone_adds_while_the_result_is_looked_at_runs() {
    let (runs, d) = (Rc::new(Cell::new(0)), Deferred::<Cloned>::new());
    let (counts, own) = (runs.clone(), d.clone());
    let clone = Rc::new(move || {
        let counts = counts.clone();
        own.add_callback(move |value| {
            counts.set(counts.get() + 1);
            Ok(value)
        });
    });
    d.callback(Cloned { clone }).unwrap();
    assert!(d.result().expect("it is there").is_ok());
    assert_eq!(runs.get(), 1);
    d.add_callback(|_| Ok(())); // or the value would own its Deferred for ever
}

#[test]
fn a_clone_that_panics_leaves_the_result_where_it_is() {
    let (d, bad) = (Deferred::<Cloned>::new(), Rc::new(Cell::new(true)));
    let panics = bad.clone();
    d.callback(Cloned { clone: Rc::new(move || assert!(!panics.get(), "no copy")) }).unwrap();
    catch_unwind(AssertUnwindSafe(|| d.result().is_some())).unwrap_err();
    bad.set(false);
    assert!(d.result().expect("it is there").is_ok());
    let seen = Rc::new(Cell::new(false));
    let sees = seen.clone();
    d.add_callback(move |_| {
        sees.set(true);
        Ok(())
    });
    assert!(seen.get());
}
