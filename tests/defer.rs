//! What a Deferred promises, each in a few lines.

use futures_lite::future::block_on;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use twistor::{
    Failure, Result,
    defer::{Deferred, DeferredLock, Fired, fail, pending, succeed},
    error::{Abandoned, CancelledError, Panicked, WaitsForItself},
    report::{self, HookGuard},
};

/// Runs on a thread whose stack an unwanted recursion would overflow at once.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(f).unwrap().join().unwrap();
}

/// What is reported as unhandled from now on.
fn reports() -> (Rc<RefCell<Vec<String>>>, HookGuard) {
    let reports = Rc::new(RefCell::new(vec![]));
    let seen = reports.clone();
    (reports, report::hook(move |report| seen.borrow_mut().push(report.to_string())))
}

const MANY: usize = 1_000_000;

fn long_chain() -> (Deferred<usize>, twistor::defer::Promise<usize>) {
    let (mut deferred, promise) = Deferred::<usize>::pending();
    for _ in 0..MANY {
        deferred = deferred.add_callback(|n| Ok(n + 1));
    }
    (deferred, promise)
}

#[test]
fn a_million_stages_are_fired_cancelled_and_dropped_unfired_on_a_small_stack() {
    on_a_small_stack(|| {
        let (deferred, promise) = long_chain();
        promise.callback(0);
        assert_eq!(deferred.now().unwrap().unwrap(), MANY);

        let (deferred, promise) = long_chain();
        deferred.cancel();
        assert!(deferred.now().unwrap().unwrap_err().check::<CancelledError>());
        assert_eq!(promise.callback(1), Fired::Swallowed);

        let (deferred, promise) = long_chain();
        drop(promise);
        assert!(deferred.now().unwrap().unwrap_err().check::<Abandoned>());

        let (deferred, promise) = long_chain();
        std::mem::forget(promise); // unfired for ever, and so visible for ever
        drop(deferred);
        assert_eq!(pending().len(), 1);

        let (mut deferred, promise) = Deferred::<usize>::pending();
        for _ in 0..MANY {
            deferred = deferred.add_callback(|n| succeed(n + 1));
        }
        promise.callback(0);
        assert_eq!(deferred.now().unwrap().unwrap(), MANY);
    });
}

#[derive(Clone, Copy, Debug)]
enum End {
    FireAscending,
    FireDescending,
    Cancel,
    DropHandleFirst,
    DropPromisesFirst,
    LastPromiseForgotten,
}

/// Chains that each wait for the next: 0 for 1, 1 for 2, ...
fn tower(end: End) {
    let mut promises = vec![];
    let mut deferreds = vec![];
    for _ in 0..MANY {
        let (deferred, promise) = Deferred::<usize>::pending();
        deferreds.push(deferred);
        promises.push(promise);
    }
    let mut top = deferreds.pop().unwrap();
    while let Some(deferred) = deferreds.pop() {
        let inner = top;
        top = deferred.add_callback(move |_| inner);
    }
    let last = promises.pop().unwrap();
    let start = |promises: Vec<twistor::defer::Promise<usize>>| {
        promises.into_iter().for_each(|p| assert!(p.callback(0).is_delivered()))
    };
    match end {
        End::FireAscending => {
            start(promises);
            last.callback(9);
            assert_eq!(top.now().unwrap().unwrap(), 9);
        }
        End::FireDescending => {
            promises.reverse();
            start(promises);
            last.callback(9);
            assert_eq!(top.now().unwrap().unwrap(), 9);
        }
        End::Cancel => {
            start(promises);
            top.cancel();
            assert!(top.now().unwrap().unwrap_err().check::<CancelledError>());
            assert_eq!(last.callback(1), Fired::Swallowed);
        }
        End::DropHandleFirst => {
            start(promises);
            drop(top);
            assert_eq!(pending().len(), MANY);
            last.callback(3);
        }
        End::DropPromisesFirst => {
            let _guard = report::hook(|_| ());
            drop(promises);
            drop(last);
            drop(top);
        }
        End::LastPromiseForgotten => {
            start(promises);
            std::mem::forget(last);
            drop(top); // and the thread ends with a deep list of chains that wait for each other
            return;
        }
    }
    assert!(pending().is_empty(), "{end:?}");
}

#[test]
fn a_million_chains_that_wait_for_each_other_on_a_small_stack() {
    on_a_small_stack(|| {
        tower(End::FireAscending);
        tower(End::FireDescending);
        tower(End::Cancel);
        tower(End::DropHandleFirst);
        tower(End::DropPromisesFirst);
        tower(End::LastPromiseForgotten);
    });
}

#[test]
fn a_hundred_thousand_promises_fired_from_callbacks_do_not_overflow() {
    on_a_small_stack(|| {
        let (last, mut promise) = Deferred::<usize>::pending();
        for _ in 0..100_000 {
            let (deferred, before) = Deferred::<usize>::pending();
            let next = promise;
            deferred.add_callback(move |n| {
                next.callback(n + 1);
            });
            promise = before;
        }
        promise.callback(0);
        assert_eq!(last.now().unwrap().unwrap(), 100_000);
    });
}

#[test]
fn a_hundred_thousand_lock_waiters_do_not_overflow() {
    on_a_small_stack(|| {
        let lock = DeferredLock::new();
        let served = Rc::new(Cell::new(0));
        lock.acquire().or_log("the first");
        for _ in 0..100_000 {
            let (lock, served) = (lock.clone(), served.clone());
            lock.clone().acquire().add_callback(move |()| {
                served.set(served.get() + 1);
                Ok(lock.release()?)
            });
        }
        lock.release().unwrap();
        assert_eq!(served.get(), 100_000);
        assert!(!lock.locked());
    });
}

#[test]
fn a_fire_past_the_depth_runs_before_the_outermost_fire_returns() {
    let order = Rc::new(RefCell::new(vec![]));
    let (deferred, mut promise) = Deferred::<usize>::pending();
    let seen = order.clone();
    deferred.add_callback(move |n| {
        seen.borrow_mut().push(n);
    });
    for depth in (0..40).rev() {
        let (deferred, before) = Deferred::<usize>::pending();
        let (seen, next) = (order.clone(), promise);
        deferred.add_callback(move |_| {
            next.callback(depth + 1);
            seen.borrow_mut().push(depth);
        });
        promise = before;
    }
    promise.callback(0);
    assert_eq!(order.borrow().len(), 41);
}

#[test]
fn a_stage_that_returns_its_own_deferred_is_a_named_failure() {
    let (reports, _guard) = reports();
    let handle = Rc::new(RefCell::new(None::<Deferred<u8>>));
    let (deferred, promise) = Deferred::<u8>::pending();
    let own = handle.clone();
    *handle.borrow_mut() =
        Some(deferred.add_callback(move |_| own.borrow_mut().take().expect("put there below")));
    promise.callback(1);
    let text = reports.borrow().join("\n");
    assert!(text.contains(&WaitsForItself::default().to_string()), "{text}");
}

#[test]
fn stages_run_in_order_and_those_added_by_a_stage_come_last() {
    let log = Rc::new(RefCell::new(vec![]));
    let push = |text: &'static str| {
        let log = log.clone();
        move |n: u8| {
            log.borrow_mut().push(text);
            Ok(n)
        }
    };
    let handle = Rc::new(RefCell::new(None::<Deferred<u8>>));
    let (deferred, promise) = Deferred::<u8>::pending();
    let (table, late) = (handle.clone(), push("added by the first"));
    let deferred = deferred
        .add_callback(move |n| {
            let own: Deferred<u8> = table.borrow_mut().take().expect("put there below");
            *table.borrow_mut() = Some(own.add_callback(late));
            Ok(n)
        })
        .add_callback(push("second"));
    *handle.borrow_mut() = Some(deferred);
    promise.callback(1);
    assert_eq!(*log.borrow(), ["second", "added by the first"]);
}

#[test]
fn a_panic_is_a_failure_of_that_chain_alone() {
    let (deferred, promise) = Deferred::<u8>::pending();
    let deferred = deferred.add_callback(|_| -> Result<u8> { panic!("boom") });
    promise.callback(1);
    let failure = deferred.now().unwrap().unwrap_err();
    assert_eq!(failure.value::<Panicked>().unwrap().message(), "boom");
}

#[test]
fn the_way_of_a_panic_tells_lines_of_the_program_alone() {
    let (deferred, promise) = Deferred::<u8>::pending();
    let deferred = deferred.add_callback(|_| -> Result<u8> { panic!("boom") }).map(|n| n + 1);
    promise.callback(1);
    let of_chain = deferred.now().unwrap().unwrap_err();
    let of_fired =
        succeed(1).add_callback(|_: u8| -> Result<u8> { panic!("boom") }).now().unwrap().unwrap_err();
    let of_call =
        twistor::defer::maybe_deferred(|| -> Result<u8> { panic!("boom") }).now().unwrap().unwrap_err();
    for failure in [of_chain, of_fired, of_call] {
        assert!(failure.way().steps().all(|step| step.place.file() == file!()), "{}", failure.way());
    }
}

#[test]
fn a_promise_dropped_by_a_panic_still_runs_the_errbacks() {
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (deferred, promise) = Deferred::<u8>::pending();
        let _end = deferred.add_errback(move |_| {
            count.set(count.get() + 1);
            if count.get() > 0 {
                panic!("second")
            }
            Ok(1)
        });
        let _held = promise;
        panic!("first")
    }));
    assert_eq!(seen.get(), 1);
}

#[test]
fn a_canceller_that_keeps_its_promise_leaves_the_deferred_pending_until_the_next_cancel() {
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    let (deferred, promise) = Deferred::<u8>::cancellable(move |own| *keep.borrow_mut() = Some(own));
    deferred.cancel();
    assert!(!deferred.is_fired());
    deferred.cancel();
    assert!(deferred.now().unwrap().unwrap_err().check::<CancelledError>());
    assert_eq!(kept.take().unwrap().callback(1), Fired::AlreadyCalled);
    assert_eq!(promise.callback(1), Fired::AlreadyCalled);
}

#[test]
fn a_canceller_that_panics_fails_its_deferred_and_is_reported() {
    let (reports, _guard) = reports();
    let (deferred, _promise) = Deferred::<u8>::cancellable(|_own| panic!("no"));
    deferred.cancel();
    assert!(deferred.now().unwrap().unwrap_err().check::<CancelledError>());
    assert!(reports.borrow()[0].starts_with("unhandled failure in a canceller: panicked: no"), "{reports:?}");
}

#[test]
fn an_unhandled_failure_is_reported_once_and_tells_its_way() {
    let (reports, _guard) = reports();
    let (deferred, promise) = Deferred::<usize>::pending();
    let (outer, start) = Deferred::<()>::pending();
    let line = line!();
    let inner = deferred.add_callback(|n| Ok(n + "x".parse::<usize>()?)); // 1
    drop(outer.add_callback(move |()| inner).add_callback(|n| Ok(n + 1)).add_callback(|n| Ok(n + 1))); // 2
    start.callback(());
    promise.callback(1); // 4
    let file = file!();
    let expected = format!(
        "unhandled failure in Deferred: invalid digit found in string\n  made at {file}:{} -> fired {file}:{} -> callback \
         {file}:{} -> failed {file}:{} -> into {file}:{} -> passed 2 stages, last {file}:{}",
        line - 2,
        line + 4,
        line + 1,
        line + 1,
        line + 2,
        line + 2
    );
    assert_eq!(*reports.borrow(), [expected]);
}

#[test]
fn an_awaited_failure_tells_the_line_of_the_await() {
    let (deferred, promise) = Deferred::<u8>::pending();
    promise.errback(Failure::msg("no"));
    let line = line!() + 1;
    let failure = block_on(async { deferred.await.map(drop) }).unwrap_err();
    let last = failure.way().steps().last().unwrap();
    assert_eq!((last.event, last.place.line()), (twistor::trace::Event::Awaited, line));
}

#[test]
fn a_report_hook_that_panics_does_not_end_the_process() {
    let _guard = report::hook(|_| panic!("in the hook"));
    let _ = std::panic::catch_unwind(|| {
        let _failed = fail::<u8>(Failure::msg("dropped while unwinding"));
        panic!("first")
    });
}

#[test]
fn awaiting_wakes_the_task_when_the_callbacks_have_run() {
    let (deferred, promise) = Deferred::<u8>::pending();
    let mut deferred = pin!(deferred.add_callback(|n| Ok(n + 1)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(deferred.as_mut().poll(&mut cx).is_pending());
    promise.callback(1);
    assert!(matches!(deferred.as_mut().poll(&mut cx), Poll::Ready(Ok(2))));
}

#[test]
fn a_stage_may_be_added_after_a_poll() {
    let (mut deferred, promise) = Deferred::<u8>::pending();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(std::pin::Pin::new(&mut deferred).poll(&mut cx).is_pending());
    let deferred = deferred.add_callback(|n| Ok(n * 2));
    promise.callback(4);
    assert_eq!(deferred.now().unwrap().unwrap(), 8);
}

#[test]
#[should_panic(expected = "used after its result was taken")]
fn awaiting_twice_panics_and_says_why() {
    let mut deferred = succeed(1);
    block_on(&mut deferred).unwrap();
    let _ = block_on(&mut deferred);
}

#[test]
fn a_pause_holds_all_stages_back_and_a_dropped_paused_handle_frees_them() {
    let (reports, _guard) = reports();
    let (deferred, promise) = Deferred::<u8>::pending();
    let deferred = deferred.add_callback(|n| Ok(n + 1));
    deferred.pause();
    deferred.pause();
    promise.callback(1);
    deferred.unpause();
    assert!(!deferred.is_fired());
    deferred.unpause();
    assert!(deferred.is_fired());
    deferred.pause();
    let deferred = deferred.add_callback(|n| Ok(n + 1));
    assert!(!deferred.is_fired());
    deferred.unpause();
    assert_eq!(deferred.now().unwrap().unwrap(), 3);

    let held = Rc::new(());
    let captured = held.clone();
    let failed = fail::<u8>(Failure::msg("held back"));
    failed.pause();
    let failed = failed.add_callback(move |n| {
        drop(captured);
        Ok(n)
    });
    assert_eq!((pending().len(), Rc::strong_count(&held)), (1, 2));
    drop(failed);
    assert_eq!((pending().len(), Rc::strong_count(&held)), (0, 1));
    assert_eq!(reports.borrow().len(), 1);
}

#[test]
fn handles_are_small() {
    assert_eq!(size_of::<Deferred<u64>>(), 40);
    assert_eq!(size_of::<twistor::defer::Promise<u64>>(), 16);
}

#[test]
fn a_paused_chain_of_any_length_is_dropped_in_a_loop() {
    on_a_small_stack(|| {
        let (mut deferred, promise) = Deferred::<u32>::pending();
        deferred.pause();
        for _ in 0..100_000 {
            deferred = deferred.map(|n| n + 1);
        }
        promise.callback(0);
        drop(deferred);
        assert!(pending().is_empty());
    });
}

#[test]
fn a_failure_after_a_wait_was_made_where_its_own_chain_was() {
    let (outer, start) = Deferred::<()>::pending();
    let line = line!() - 1;
    let (inner, end) = Deferred::<()>::pending();
    let outer = outer.add_callback(|()| inner).add_callback(|()| Err::<(), _>(Failure::msg("no")));
    start.callback(());
    end.callback(());
    let failure = outer.now().unwrap().unwrap_err();
    let made = failure.way().steps().find(|step| step.event == twistor::trace::Event::Made).unwrap();
    assert_eq!(made.place.line(), line);
}

#[test]
fn who_waits_for_a_paused_result_stays_listed() {
    let inner = succeed(());
    inner.pause();
    let (outer, start) = Deferred::<()>::pending();
    let outer = outer.add_callback(|()| inner);
    start.callback(());
    let list = pending();
    assert_eq!(list.len(), 2);
    assert!(list.iter().any(|one| list.iter().any(|other| one.waiter == Some(other.id))));
    drop(outer);
}
