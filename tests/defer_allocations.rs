//! What a Deferred allocates: one allocation a Deferred, at most one a stage, none for what has fired already.
//!
//! The counter counts the calls of this thread alone. Records are recycled and thread-locals are made once, so each
//! count is that of a second run: the first one warms up.

use allocation_counter::{AllocationInfo, measure};
use std::{
    cell::Cell,
    fmt,
    future::Future,
    hint::black_box,
    pin::Pin,
    process::Command,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use twistor::{
    Failure, Result,
    defer::{
        Deferred, Fired, Host, Promise, ensure_deferred, enter_host, gather_results, pending, race, succeed,
    },
    error::CancelledError,
    report,
};

/// Runs the test `name` where no failure captures a backtrace, whatever the environment asks for: in a process of its
/// own.
fn without_backtraces(name: &str, test: impl FnOnce()) {
    if std::env::var_os("RUST_LIB_BACKTRACE").is_some_and(|asked| asked == "0") {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output =
        child.args(["--exact", name, "--nocapture"]).env("RUST_LIB_BACKTRACE", "0").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
}

/// The allocations of a second run of `f`. All of them are given back.
#[track_caller]
fn allocations(mut f: impl FnMut()) -> u64 {
    f();
    let counted: AllocationInfo = measure(&mut f);
    assert_eq!(counted.count_current, 0, "given back: {counted:?}");
    assert!(pending().is_empty());
    counted.count_total
}

/// Counts the allocations of `f`.
fn of_this<R>(count: &mut u64, f: impl FnOnce() -> R) -> R {
    let mut given = None;
    *count = measure(|| given = Some(f())).count_total;
    given.expect("it was called")
}

/// What `f` has counted in a second run, given a new pending Deferred and its promise.
#[track_caller]
fn allocations_with(mut f: impl FnMut(Deferred<u64>, Promise<u64>, &mut u64)) -> u64 {
    let mut count = 0;
    for _ in 0..2 {
        let (deferred, promise) = Deferred::pending();
        f(deferred, promise, &mut count);
    }
    count
}

/// A value that is captured, so that no closure is of size 0.
fn captured() -> u64 {
    black_box(3)
}

#[derive(Debug)]
struct Wrong(#[expect(dead_code, reason = "an error that has a size")] u64);

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong")
    }
}

#[test]
fn a_deferred_with_three_stages_is_four_allocations() {
    let count = allocations(|| {
        let (a, b, c) = (captured(), captured(), captured());
        let (deferred, promise) = Deferred::<u64>::pending();
        let deferred = deferred
            .add_callback(move |n| Ok(n + a))
            .add_callback(move |n| Ok(n * b))
            .add_callback(move |n| Ok(n - c));
        assert_eq!(promise.callback(1), Fired::Delivered);
        assert_eq!(deferred.now().unwrap().unwrap(), 9);
    });
    assert_eq!(count, 4);
}

#[test]
fn a_stage_is_one_allocation_in_a_chain_of_any_length() {
    for stages in [0, 1, 10, 1000] {
        let count = allocations(|| {
            let (mut deferred, promise) = Deferred::<u64>::pending();
            for _ in 0..stages {
                let n = captured();
                deferred = deferred.add_callback(move |m| Ok(m + n));
            }
            promise.callback(0);
            assert_eq!(deferred.now().unwrap().unwrap(), 3 * stages);
        });
        assert_eq!(count, 1 + stages);
    }
}

#[test]
fn a_stage_of_each_kind_is_one_allocation() {
    fn one<U: 'static>(what: &str, add: impl Fn(Deferred<u64>) -> Deferred<U>) {
        let count = allocations_with(|deferred, promise, count| {
            let deferred = of_this(count, || add(deferred));
            promise.callback(1);
            deferred.now().unwrap().unwrap();
        });
        assert_eq!(count, 1, "{what}");
    }
    let n = captured();
    one("add_callback", move |d| d.add_callback(move |m| Ok(m + n)));
    one("add_callback that gives ()", move |d| {
        d.add_callback(move |m| {
            black_box(m + n);
        })
    });
    one("add_callback that gives a Deferred", move |d| d.add_callback(move |m| succeed(m + n)));
    one("add_errback", move |d| d.add_errback(move |_| Ok(n)));
    one("add_both", move |d| d.add_both(move |result| Ok(result? + n)));
    one("add_callbacks", move |d| d.add_callbacks(move |m| Ok(m + n), move |_| Ok(n)));
    one("map", move |d| d.map(move |m| m + n));
    let count = allocations_with(|deferred, promise, count| {
        of_this(count, || deferred.or_log("counted"));
        promise.callback(1);
    });
    assert_eq!(count, 1, "or_log");
}

#[test]
fn firing_allocates_nothing() {
    let count = allocations_with(|deferred, promise, count| {
        let n = captured();
        let deferred = deferred.add_callback(move |m| Ok(m + n)).map(move |m| m * n);
        of_this(count, || promise.callback(1));
        assert_eq!(deferred.now().unwrap().unwrap(), 12);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_fired_deferred_and_its_stages_allocate_nothing() {
    let count = allocations(|| {
        let n = captured();
        let deferred = succeed(1)
            .add_callback(move |m: u64| Ok(m + n))
            .add_errback(move |_| Ok(n))
            .add_callback(move |m| succeed(m + n))
            .map(move |m| m + n);
        assert_eq!(deferred.now().unwrap().unwrap(), 10);
    });
    assert_eq!(count, 0);

    let count = allocations_with(|deferred, promise, count| {
        promise.callback(1);
        let n = captured();
        let deferred = of_this(count, || deferred.add_callback(move |m| Ok(m + n)).map(move |m| m * n));
        assert_eq!(deferred.now().unwrap().unwrap(), 12);
    });
    assert_eq!(count, 0, "of one that a promise has fired");
}

/// Counts its wakes, and is cheap to clone as wakers are.
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_poll_allocates_nothing() {
    let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
    let (one, other) = (Waker::from(wakes.clone()), Waker::noop());
    let count = allocations_with(|mut deferred, promise, count| {
        of_this(count, || {
            for waker in [&one, &one, other, &one] {
                let polled = Pin::new(&mut deferred).poll(&mut Context::from_waker(waker));
                assert!(polled.is_pending());
            }
            promise.callback(1);
            let polled = Pin::new(&mut deferred).poll(&mut Context::from_waker(&one));
            assert!(matches!(polled, Poll::Ready(Ok(1))));
        });
    });
    assert_eq!(count, 0);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "once a run");
}

/// A host that keeps the task it is given.
#[derive(Default)]
struct Keeps(Cell<Option<Pin<Box<dyn Future<Output = ()>>>>>);

impl Host for Keeps {
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        self.0.set(Some(task));
    }
}

/// It once made a failure on its way out, for a promise that it had fired.
#[test]
fn the_end_of_a_task_allocates_nothing() {
    let host = Rc::new(Keeps::default());
    let _here = enter_host(host.clone());
    let end_of_one = || {
        let (gate, opens) = Deferred::<u64>::pending();
        let deferred = ensure_deferred(gate);
        opens.callback(1);
        let mut task = host.0.take().expect("it was pending");
        let mut count = 0;
        of_this(&mut count, || {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
            drop(task);
        });
        assert_eq!(deferred.now().unwrap().unwrap(), 1);
        count
    };
    end_of_one();
    assert_eq!(end_of_one(), 0);
}

#[test]
fn a_stage_that_returns_a_fired_deferred_allocates_nothing_more() {
    let count = allocations(|| {
        let n = captured();
        let (deferred, promise) = Deferred::<u64>::pending();
        let deferred = deferred.add_callback(move |m| succeed(m + n));
        promise.callback(1);
        assert_eq!(deferred.now().unwrap().unwrap(), 4);
    });
    assert_eq!(count, 2, "it and its stage");

    let count = allocations_with(|deferred, promise, count| {
        let (inner, fire_inner) = Deferred::<u64>::pending();
        fire_inner.callback(5);
        let deferred = of_this(count, || {
            let deferred = deferred.add_callback(move |_| inner);
            promise.callback(1);
            deferred
        });
        assert_eq!(deferred.now().unwrap().unwrap(), 5);
    });
    assert_eq!(count, 1, "one that a promise has fired");
}

#[test]
fn to_wait_for_a_pending_deferred_allocates_nothing_more() {
    let count = allocations_with(|deferred, promise, count| {
        let (inner, fire_inner) = Deferred::<u64>::pending();
        let deferred = of_this(count, || {
            let deferred = deferred.add_callback(move |_| inner);
            promise.callback(1);
            fire_inner.callback(5);
            deferred
        });
        assert_eq!(deferred.now().unwrap().unwrap(), 5);
    });
    assert_eq!(count, 1, "its stage");

    let count = allocations_with(|inner, promise, count| {
        let deferred = of_this(count, || {
            let deferred = succeed(1).add_callback(move |_| inner);
            promise.callback(5);
            deferred
        });
        assert_eq!(deferred.now().unwrap().unwrap(), 5);
    });
    assert_eq!(count, 1, "the node that waits in the place of a stage that has run");
}

#[test]
fn a_failure_is_two_allocations_however_far_it_goes() {
    without_backtraces("a_failure_is_two_allocations_however_far_it_goes", failures);
}

fn failures() {
    for stages in [0, 1, 100] {
        let count = allocations_with(|mut deferred, promise, count| {
            let n = captured();
            deferred = deferred.add_callback(move |m| Err(Wrong(m + n).into()));
            for _ in 0..stages {
                deferred = deferred.add_callback(move |m| Ok(m + n));
            }
            let deferred = deferred.add_errback(move |failure| {
                assert!(failure.check::<Wrong>());
                Ok(n)
            });
            of_this(count, || promise.callback(1));
            assert_eq!(deferred.now().unwrap().unwrap(), 3);
        });
        assert_eq!(count, 2, "passed by {stages}");
    }
    let count = allocations(|| {
        let n = captured();
        let failed = succeed(1).add_callback(move |m| -> Result<u64> { Err(Wrong(m + n).into()) });
        assert!(failed.map(move |m| m + n).now().unwrap().is_err());
    });
    assert_eq!(count, 2, "and on a Deferred that has fired");
}

#[test]
fn a_failure_nobody_handles_is_reported_without_an_allocation_of_its_own() {
    let told = Rc::new(Cell::new(0));
    let seen = told.clone();
    let _guard = report::hook(move |_| seen.set(seen.get() + 1));
    let count = allocations_with(|deferred, promise, count| {
        drop(deferred);
        let failure = Failure::new(Wrong(captured()));
        of_this(count, || promise.errback(failure));
    });
    assert_eq!((count, told.get()), (0, 2));
}

#[test]
fn cancelling_costs_the_failure_and_a_canceller_its_box() {
    without_backtraces("cancelling_costs_the_failure_and_a_canceller_its_box", cancels);
}

fn cancels() {
    let count = allocations_with(|deferred, promise, count| {
        of_this(count, || deferred.cancel());
        assert!(deferred.now().unwrap().unwrap_err().check::<CancelledError>());
        drop(promise);
    });
    assert_eq!(count, 2);

    let count = allocations(|| {
        let n = captured();
        let (deferred, promise) = Deferred::<u64>::cancellable(move |promise| {
            promise.callback(n);
        });
        deferred.cancel();
        assert_eq!(deferred.now().unwrap().unwrap(), 3);
        assert_eq!(promise.callback(1), Fired::AlreadyCalled);
    });
    assert_eq!(count, 2, "the Deferred and the box");
}

#[test]
fn a_combinator_allocates_a_stage_for_each_input_and_a_few_for_itself() {
    without_backtraces("a_combinator_allocates_a_stage_for_each_input_and_a_few_for_itself", combinators);
}

fn combinators() {
    // The list of the results grows as it is filled.
    const ITSELF: u64 = 16;
    for inputs in [1, 100] {
        let mut count = 0;
        let mut gathered = |combine: &dyn Fn(Vec<Deferred<u64>>) -> Deferred<u64>| {
            for _ in 0..2 {
                let (deferreds, promises): (Vec<_>, Vec<_>) =
                    (0..inputs).map(|_| Deferred::<u64>::pending()).unzip();
                let whole = of_this(&mut count, || {
                    let whole = combine(deferreds);
                    promises.into_iter().for_each(|promise| _ = promise.callback(1));
                    whole
                });
                whole.now().unwrap().unwrap();
            }
            count - inputs
        };
        let gather = gathered(&|deferreds| gather_results(deferreds).map(|values| values.len() as u64));
        assert!(gather <= ITSELF, "gather_results of {inputs}: {gather} for itself");
        // Each loser of the race gets a failure of two.
        let race = gathered(&|deferreds| race(deferreds).map(|(_, value)| value)) - 2 * (inputs - 1);
        assert!(race <= ITSELF, "race of {inputs}: {race} for itself");
        println!("{inputs} inputs: gather_results {gather}, race {race}");
    }
}
