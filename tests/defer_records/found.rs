//! What the random programs have found, each in a few lines.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Failure,
    defer::{Deferred, Promise, pending, race},
    report::{self, HookGuard},
    snapshot::Entry,
};

fn reports() -> (Rc<Cell<usize>>, HookGuard) {
    let count = Rc::new(Cell::new(0));
    let seen = count.clone();
    (count, report::hook(move |_| seen.set(seen.get() + 1)))
}

/// A Deferred whose canceller keeps its promise: there are two writing ends then.
fn with_two_ends() -> (Deferred<u8>, Promise<u8>, Promise<u8>) {
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    let (deferred, promise) = Deferred::cancellable(move |own| *keep.borrow_mut() = Some(own));
    deferred.cancel();
    let own = kept.take().expect("the canceller was called");
    (deferred, promise, own)
}

fn listed(made: u32) -> Entry {
    let mut list = pending();
    list.retain(|p| p.made.line() == made);
    assert_eq!(list.len(), 1, "{list:?}");
    list.remove(0)
}

#[test]
fn a_race_that_is_won_waits_for_its_losers_no_more() {
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    let loser_made = line!() + 1;
    let (loser, _loser) = Deferred::<u8>::cancellable(move |own| *keep.borrow_mut() = Some(own));
    let (winner, wins) = Deferred::<u8>::pending();
    let (inner, inner_promise) = Deferred::<u8>::pending();
    let first = race([loser, winner]).add_callback(move |_| inner);
    assert!(listed(loser_made).waiter.is_some());
    wins.callback(1);
    assert_eq!(listed(loser_made).waiter, None, "the race goes on, but waits for another");
    inner_promise.callback(2);
    assert_eq!(first.now().unwrap().unwrap(), 2);
}

#[test]
fn a_chain_that_goes_on_does_not_stand_where_it_waited() {
    let (inner, inner_promise) = Deferred::<u8>::pending();
    let made = line!() + 1;
    let (outer, start) = Deferred::<()>::pending();
    let at = line!() + 1;
    let waiting = outer.add_callback(move |()| inner);
    let end = waiting.add_callback(move |_| Ok(listed(made).at));
    start.callback(());
    assert_eq!(listed(made).at.map(|at| at.line()), Some(at));
    inner_promise.callback(1);
    assert_eq!(end.now().unwrap().unwrap(), None);
}

#[test]
fn a_cancelled_deferred_that_is_dropped_is_reported_though_its_promise_lives() {
    let (reports, _hook) = reports();
    let (deferred, promise) = Deferred::<u8>::pending();
    deferred.cancel();
    drop(deferred);
    assert_eq!(reports.get(), 1);
    drop(promise);
    assert_eq!(reports.get(), 1);
}

#[test]
fn a_failure_without_a_handle_is_reported_though_another_writing_end_lives() {
    let (reports, _hook) = reports();
    let (deferred, promise, own) = with_two_ends();
    drop(deferred);
    own.errback(Failure::msg("nobody has the handle"));
    assert_eq!(reports.get(), 1);
    drop(promise);
    assert_eq!(reports.get(), 1);
}

#[test]
fn what_a_pause_holds_back_goes_with_the_handle_though_the_promise_lives() {
    let captured = Rc::new(());
    let held = captured.clone();
    let (deferred, _promise) = Deferred::<u8>::pending();
    let deferred = deferred.add_both(move |_| drop(held)).add_both(|_| Ok(1));
    deferred.pause();
    deferred.cancel();
    drop(deferred);
    assert_eq!((Rc::strong_count(&captured), pending().len()), (1, 0));

    let held = captured.clone();
    let (deferred, _promise, own) = with_two_ends();
    let deferred = deferred.add_both(move |_| drop(held));
    deferred.pause();
    drop(deferred);
    own.callback(1);
    assert_eq!((Rc::strong_count(&captured), pending().len()), (1, 0));
}
