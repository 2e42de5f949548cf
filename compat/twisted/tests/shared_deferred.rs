//! What a Deferred does that several hold: the same scenarios as in `shared_deferred.py`, line by line, and real Twisted's trace of them.

mod support;

use futures::{
    executor::{LocalPool, LocalSpawner},
    future::LocalFutureObj,
    task::LocalSpawn,
};
use std::{
    cell::RefCell, error::Error, fmt, fmt::Write as _, pin::Pin, process::Command, rc::Rc, time::Duration,
};
use twisted::internet::{
    defer::{
        AlreadyCalledError, CancelledError, Deferred, DeferredList, DeferredLock, DeferredQueue, FirstError,
        Listed, QueueOverflow, QueueUnderflow, TimeoutError, WrongType, gather_results, inline_callbacks,
        maybe_deferred, succeed,
    },
    error::NotAcquired,
};
use twistor::{
    Failure, Result,
    defer::{Host, enter_host},
    report,
    time::Clock,
};

#[derive(Debug)]
struct E;

impl Error for E {}

impl fmt::Display for E {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("E")
    }
}

thread_local! {
    static TRACE: RefCell<String> = const { RefCell::new(String::new()) };
    static POOL: RefCell<LocalPool> = RefCell::default();
}

/// What polls async code.
struct Pool(LocalSpawner);

impl Host for Pool {
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        self.0.spawn_local_obj(LocalFutureObj::new(task)).expect("the pool is there");
    }
}

macro_rules! out {
    ($($text:tt)*) => { TRACE.with_borrow_mut(|trace| writeln!(trace, $($text)*).expect("a text takes it")) };
}

fn python(bool: bool) -> &'static str {
    if bool { "True" } else { "False" }
}

fn named(failure: &Failure) -> String {
    let names = [
        ("AlreadyCalledError", failure.check::<AlreadyCalledError>()),
        ("CancelledError", failure.check::<CancelledError>()),
        ("FirstError", failure.check::<FirstError>()),
        ("TimeoutError", failure.check::<TimeoutError>()),
        ("QueueOverflow", failure.check::<QueueOverflow>()),
        ("QueueUnderflow", failure.check::<QueueUnderflow>()),
        ("AssertionError", failure.check::<NotAcquired>()),
        // A value that was taken: Python has None there, and goes on.
        ("None", failure.value::<WrongType>().is_some_and(|wrong| wrong.found == "()")),
        ("E", failure.check::<E>()),
    ];
    names.iter().find(|(_, is)| *is).map_or_else(|| failure.to_string(), |(name, _)| name.to_string())
}

/// As Python shows it.
fn show<T: fmt::Debug>(result: &Result<T>) -> String {
    match result {
        Ok(value) if std::any::type_name::<T>() == "()" => format!("{value:?}").replace("()", "None"),
        Ok(value) => format!("{value:?}"),
        Err(failure) => named(failure),
    }
}

fn see<T: fmt::Debug + 'static>(d: &Deferred<T>, name: &'static str) {
    d.add_both(move |result| {
        out!("{name} {}", show(&result));
        result
    });
}

/// The last stage of a scenario: what is left is let go, Twisted's None among it.
fn end<T: 'static>(d: &Deferred<T>) {
    d.add_errback(|_| ());
}

fn attempt<T>(name: &str, f: impl FnOnce() -> Result<T>) {
    match f() {
        Ok(_) => out!("{name} done"),
        Err(failure) => out!("{name} {}", named(&failure)),
    }
}

fn stages_in_place() -> Result<()> {
    let d = Deferred::new();
    d.add_callback(|n: i32| Ok(n + 1));
    see(&d, "first");
    d.add_callback(|n| Ok(n * 10));
    see(&d, "second");
    out!("unfired {}", python(d.called()));
    d.callback(1)?;
    out!("fired {}", python(d.called()));
    d.add_callback(|n| Ok(n + 5));
    see(&d, "third");
    Ok(())
}

fn both_tracks() -> Result<()> {
    let d = Deferred::new();
    d.add_callbacks(
        |_: i32| {
            out!("never");
            Ok(0)
        },
        |_| Ok(7),
    );
    see(&d, "recovered");
    d.add_callback(|_| Err::<i32, _>(E.into()));
    see(&d, "failed");
    d.add_callback(|_| out!("never"));
    d.add_errback(|f| {
        f.trap::<E>()?;
        Ok(8)
    });
    see(&d, "trapped");
    d.add_errback(|_| out!("never"));
    d.errback(E)
}

fn a_stage_adds_another() -> Result<()> {
    let d = Deferred::<i32>::new();
    let this = d.clone();
    d.add_callback(move |n| {
        out!("adding");
        see(&this, "added");
        Ok(n)
    });
    see(&d, "before");
    d.callback(1)?;
    let this = d.clone();
    d.add_callback(move |n| {
        see(&this, "added again");
        out!("still adding");
        Ok(n)
    });
    out!("end");
    Ok(())
}

fn fired_twice() -> Result<()> {
    let d = Deferred::new();
    attempt("callback", || d.callback(1));
    attempt("again", || d.callback(2));
    attempt("errback", || d.errback(E));
    see(&d, "still");
    Ok(())
}

fn cancel_without_canceller() -> Result<()> {
    let d = Deferred::new();
    see(&d, "stage");
    d.add_errback(|_| Ok(0));
    d.cancel();
    out!("called {}", python(d.called()));
    attempt("late", || d.callback(1));
    attempt("later", || d.callback(2));
    d.cancel();
    see(&d, "still");
    Ok(())
}

fn cancel_with_canceller() -> Result<()> {
    let d = Deferred::with_canceller(|_| out!("canceller"));
    see(&d, "stage");
    d.add_errback(|_| Ok(0));
    d.cancel();
    d.cancel();
    attempt("late", || d.callback(1));
    Ok(())
}

fn canceller_that_fires() -> Result<()> {
    let d = Deferred::with_canceller(|d| {
        out!("canceller False"); // whoever cancels has used `called` up here
        d.callback(5).expect("it has not fired");
        out!("fired in it");
    });
    see(&d, "stage");
    d.cancel();
    attempt("late", || d.callback(1));
    Ok(())
}

fn cancel_of_a_fired_one() -> Result<()> {
    let d = Deferred::with_canceller(|_| out!("never"));
    d.callback(1)?;
    d.cancel();
    see(&d, "still");
    Ok(())
}

/// An outer one, fired with this when it is told to, whose stage waits for the inner one.
fn waiting(inner: &Deferred<i32>) -> Deferred<i32> {
    let (outer, inner) = (Deferred::<i32>::new(), inner.clone());
    outer.add_callback(|_| inner);
    outer
}

fn a_chain_waits() -> Result<()> {
    let inner = Deferred::new();
    let outer = waiting(&inner);
    see(&outer, "outer");
    outer.callback(1)?;
    see(&inner, "inner, added while it waits");
    end(&inner);
    out!("waits {}", python(outer.called()));
    inner.callback(2)?;
    see(&inner.add_both(|_| ()), "inner, later");
    Ok(())
}

fn a_chain_waits_for_a_fired_one() -> Result<()> {
    let inner = Deferred::new();
    inner.callback(2)?;
    let outer = waiting(&inner);
    see(&outer, "outer");
    outer.callback(1)?;
    see(&inner, "inner");
    end(&inner);
    Ok(())
}

fn a_chain_waits_for_a_failure() -> Result<()> {
    let inner = Deferred::new();
    let outer = waiting(&inner);
    see(&outer, "outer");
    outer.add_errback(|_| Ok(9));
    see(&outer, "after");
    outer.callback(1)?;
    inner.errback(E)?;
    see(&inner, "inner");
    end(&inner);
    Ok(())
}

fn two_chains_wait_for_one() -> Result<()> {
    let inner = Deferred::new();
    let (first, second) = (waiting(&inner), waiting(&inner));
    for (outer, name) in [(&first, "first"), (&second, "second")] {
        see(outer, name);
        end(outer);
        outer.callback(1)?;
    }
    inner.callback(2)
}

fn cancel_goes_through() -> Result<()> {
    let inner = Deferred::with_canceller(|_| out!("canceller"));
    let outer = waiting(&inner);
    see(&outer, "outer");
    outer.add_errback(|_| Ok(0));
    outer.callback(1)?;
    outer.cancel();
    see(&inner, "inner");
    end(&inner);
    Ok(())
}

fn cancel_goes_through_two() -> Result<()> {
    let inner = Deferred::with_canceller(|d| {
        out!("canceller");
        d.callback(4).expect("it has not fired");
    });
    let middle = waiting(&inner);
    let outer = waiting(&middle);
    see(&outer, "outer");
    middle.callback(1)?;
    outer.callback(1)?;
    outer.cancel();
    Ok(())
}

fn pauses_count() -> Result<()> {
    let d = Deferred::new();
    see(&d, "stage");
    d.pause();
    d.pause();
    d.callback(1)?;
    out!("called {}", python(d.called()));
    d.unpause();
    out!("once");
    d.unpause();
    d.pause();
    see(&d, "held");
    out!("twice");
    d.unpause();
    Ok(())
}

fn stages_of_an_unpause() -> Result<()> {
    let d = Deferred::<i32>::new();
    d.pause();
    let this = d.clone();
    d.add_callback(move |n| {
        out!("adding");
        see(&this, "added");
        Ok(n + 1)
    });
    see(&d, "before");
    d.callback(1)?;
    d.unpause();
    out!("end");
    Ok(())
}

fn a_stage_pauses() -> Result<()> {
    let d = Deferred::<i32>::new();
    let this = d.clone();
    d.add_callback(move |n| {
        this.pause();
        Ok(n)
    });
    see(&d, "held");
    d.callback(1)?;
    out!("paused");
    d.unpause();
    Ok(())
}

fn a_paused_one_holds_who_waits() -> Result<()> {
    let inner = Deferred::new();
    inner.pause();
    let outer = waiting(&inner);
    see(&outer, "outer");
    outer.callback(1)?;
    inner.callback(2)?;
    out!("held");
    inner.unpause();
    Ok(())
}

fn chained() -> Result<()> {
    let (a, b) = (Deferred::new(), Deferred::new());
    see(&b, "b");
    see(&a.chain_deferred(&b), "a");
    a.callback(1)?;
    let (a, b) = (Deferred::<i32>::new(), Deferred::new());
    see(&b, "b");
    end(&b);
    see(&a.chain_deferred(&b), "a");
    a.errback(E)?;
    let (a, b) = (Deferred::new(), Deferred::new());
    b.callback(0)?;
    let chained = a.chain_deferred(&b);
    see(&chained, "a");
    end(&chained);
    a.callback(1)
}

fn fires_inside_fires() -> Result<()> {
    let (a, b) = (Deferred::<i32>::new(), Deferred::<i32>::new());
    see(&a, "a1");
    let fired = b.clone();
    a.add_callback(move |n| {
        fired.callback(2)?;
        Ok(n)
    });
    see(&a, "a2");
    see(&b, "b1");
    let added = a.clone();
    see(&b.add_callback(move |_| see(&added, "a3")), "b2");
    a.callback(1)
}

const SECOND: Duration = Duration::from_secs(1);

fn timeouts() -> Result<()> {
    let clock = Clock::new();
    let d = Deferred::<i32>::new();
    d.add_timeout(2 * SECOND, &clock);
    see(&d, "too late");
    d.add_errback(|_| Ok(0));
    clock.advance(2 * SECOND);
    let d = Deferred::new();
    d.add_timeout(2 * SECOND, &clock);
    see(&d, "in time");
    clock.advance(SECOND);
    d.callback(1)?;
    out!("calls {}", clock.get_delayed_calls().len());
    let d = Deferred::with_canceller(|d| d.callback(3).expect("it has not fired"));
    d.add_timeout(2 * SECOND, &clock);
    see(&d, "the canceller's");
    clock.advance(2 * SECOND);
    let inner = Deferred::new();
    let outer = waiting(&inner);
    outer.callback(0)?;
    outer.add_timeout(2 * SECOND, &clock);
    see(&outer, "waiting");
    outer.add_errback(|_| Ok(0));
    clock.advance(2 * SECOND);
    see(&inner, "inner");
    end(&inner);
    Ok(())
}

fn all(listed: Listed<i32>) {
    match listed {
        Listed::All(results) => {
            let results: Vec<String> =
                results.iter().map(|r| format!("({}, '{}')", python(r.is_ok()), show(r))).collect();
            out!("all [{}]", results.join(", "));
        }
        Listed::First { value, index } => out!("first {value} {index}"),
    }
}

fn lists() -> Result<()> {
    let (a, b) = (Deferred::new(), Deferred::new());
    let listed: Deferred<Listed<i32>> = DeferredList::new([a.clone(), b.clone()]).into();
    listed.add_callback(all);
    b.errback(E)?;
    see(&b, "b");
    b.add_errback(|_| Ok(0));
    a.callback(1)?;
    let (a, b) = (Deferred::new(), Deferred::new());
    let listed: Deferred<Listed<i32>> = DeferredList::new([a.clone(), b.clone()]).consume_errors().into();
    listed.add_callback(all);
    b.errback(E)?;
    see(&b, "b");
    end(&b);
    a.callback(1)?;
    let (a, b) = (Deferred::new(), Deferred::new());
    let first: Deferred<Listed<i32>> =
        DeferredList::new([a.clone(), b.clone()]).fire_on_one_callback().into();
    first.add_callback(all);
    b.callback(2)?;
    a.callback(1)
}

fn gathered() -> Result<()> {
    let (a, b) = (Deferred::new(), Deferred::new());
    let all = gather_results([a.clone(), b.clone()]);
    see(&all, "all");
    b.callback(2)?;
    a.callback(1)?;
    let (a, b) = (Deferred::<i32>::new(), Deferred::with_canceller(|_| out!("canceller")));
    let all = gather_results([a.clone(), b.clone()]);
    see(&all, "all");
    all.add_errback(|f| match f.value::<FirstError>() {
        Some(first) => out!("{} {}", first.index, named(&first.failure)),
        None => out!("no FirstError"),
    });
    all.cancel();
    a.add_errback(|_| Ok(0));
    b.add_errback(|_| Ok(0));
    Ok(())
}

fn async_code() -> Result<()> {
    let d = Deferred::new();
    let waited = d.clone();
    let result = inline_callbacks(async move {
        out!("begins");
        let n = succeed(1).await?;
        out!("goes on {n}");
        let n: i32 = waited.await?;
        Ok(n + 1)
    });
    see(&result, "result");
    out!("waits {}", python(result.called()));
    d.cancel();
    POOL.with_borrow_mut(LocalPool::run_until_stalled); // Twisted goes on inside the cancel, async code when it is polled
    see(&d, "d");
    end(&d);
    result.add_errback(|_| Ok(0));
    Ok(())
}

fn maybe() -> Result<()> {
    see(&maybe_deferred(|| Ok(1)), "value");
    see(&maybe_deferred(|| succeed(2)), "Deferred");
    let d = maybe_deferred(|| Err::<i32, Failure>(E.into()));
    see(&d, "raised");
    d.add_errback(|_| Ok(0));
    Ok(())
}

fn locks() -> Result<()> {
    let lock = DeferredLock::new();
    let (first, second, third) = (lock.acquire(), lock.acquire(), lock.acquire());
    second.add_callback(|lock| {
        out!("second has it");
        Ok(lock)
    });
    third.add_errback(|f| out!("third {}", named(&f)));
    third.cancel();
    out!(
        "{} {} {} {}",
        python(first.called()),
        python(second.called()),
        python(lock.locked()),
        lock.waiting()
    );
    lock.release()?;
    out!("handed over");
    second.add_callback(|lock| lock.release());
    out!("{}", python(lock.locked()));
    attempt("once too often", || lock.release());
    see(&lock.run(|| Ok(5)), "run");
    out!("{}", python(lock.locked()));
    Ok(())
}

fn queues() -> Result<()> {
    let queue = DeferredQueue::bounded(Some(1), Some(1));
    see(&queue.get()?, "got");
    attempt("get", || queue.get());
    queue.put(1)?;
    queue.put(2)?;
    attempt("put", || queue.put(3));
    see(&queue.get()?, "got");
    Ok(())
}

fn unhandled() -> Result<()> {
    let d = Deferred::<i32>::new();
    d.errback(E)?;
    out!("held");
    drop(d);
    let d = Deferred::<i32>::new();
    d.errback(E)?;
    d.add_errback(|_| Ok(0));
    drop(d);
    let d = Deferred::<i32>::new();
    d.errback(E)?;
    let also = d.clone();
    drop(d);
    out!("held by another");
    also.add_errback(|_| Ok(0));
    drop(also);
    Ok(())
}

macro_rules! scenarios {
    ($($name:ident)*) => { &[$((stringify!($name), $name as fn() -> Result<()>)),*] };
}

type Scenario = (&'static str, fn() -> Result<()>);

const SCENARIOS: &[Scenario] = scenarios! {
    stages_in_place both_tracks a_stage_adds_another fired_twice cancel_without_canceller cancel_with_canceller
    canceller_that_fires cancel_of_a_fired_one a_chain_waits a_chain_waits_for_a_fired_one a_chain_waits_for_a_failure
    two_chains_wait_for_one cancel_goes_through cancel_goes_through_two pauses_count stages_of_an_unpause a_stage_pauses
    a_paused_one_holds_who_waits chained fires_inside_fires timeouts lists gathered async_code maybe locks queues unhandled
};

#[test]
fn what_several_hold_does_what_twisteds_does() {
    let _host = enter_host(Rc::new(Pool(POOL.with_borrow(LocalPool::spawner))));
    let told = Rc::new(RefCell::new(vec![]));
    let reports = told.clone();
    let _guard = report::hook(move |report| {
        out!("unhandled {}", named(&report.failure));
        reports.borrow_mut().push(report.to_string());
    });
    for (name, scenario) in SCENARIOS {
        out!("# {name}");
        scenario().unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
    }
    support::same_as_twisted("shared_deferred", &TRACE.take(), |python| {
        let script = support::path("tests/shared_deferred.py");
        let output = Command::new(python).arg(script).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    });
    assert_eq!(told.borrow().len(), 1, "{told:?}");
}
