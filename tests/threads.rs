//! Work in threads: what comes of it, when it is begun, and how it ends with its reactor.

use futures_lite::future::yield_now;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};
use twistor::{
    Context, Failure, Protocol, Reactor, Result,
    defer::gather_results,
    error::{CancelledError, Panicked, ReactorNotRunning, WouldDeadlock},
    factory,
    reactor::Phase,
    report,
    snapshot::Kind,
    testing::{self, Peer, Simulation, assert_no_result, failure_result_of, on_both, success_result_of},
    threads::ThreadPool,
};

const LIMIT: Duration = Duration::from_secs(20);

on_both!(what_a_job_gives_comes_back);
fn what_a_job_gives_comes_back(reactor: &Reactor) -> Result<()> {
    let value = reactor.defer_to_thread(|| Ok("value".to_string()));
    let failure = reactor.defer_to_thread(|| Ok("12a".parse::<u32>()?));
    let panic = reactor.defer_to_thread(|| -> Result<()> { panic!("in the job") });
    testing::run(reactor, LIMIT, async move {
        assert_eq!(value.await?, "value");
        assert!(failure.await.unwrap_err().check::<std::num::ParseIntError>());
        let panic = panic.await.unwrap_err();
        let panic = panic.trap::<Panicked>()?;
        assert_eq!(panic.message(), "in the job");
        assert!(panic.at().is_some_and(|at| at.contains("threads.rs")), "the place is known");
        Ok(())
    })
}

on_both!(a_callback_may_ask_for_the_next_job);
fn a_callback_may_ask_for_the_next_job(reactor: &Reactor) -> Result<()> {
    let r = reactor.clone();
    let both = reactor.defer_to_thread(|| Ok(6)).add_callback(move |n| r.defer_to_thread(move || Ok(n * 7)));
    assert_eq!(testing::run(reactor, LIMIT, both)?, 42);
    Ok(())
}

on_both!(many_results_come_each_to_its_own);
fn many_results_come_each_to_its_own(reactor: &Reactor) -> Result<()> {
    const JOBS: usize = 1_000;
    let all: Vec<_> = (0..JOBS).map(|n| reactor.defer_to_thread(move || Ok(n))).collect();
    let all = testing::run(reactor, LIMIT, gather_results(all))?;
    assert_eq!(all, (0..JOBS).collect::<Vec<_>>());
    Ok(())
}

on_both!(before_the_run_jobs_wait);
fn before_the_run_jobs_wait(reactor: &Reactor) -> Result<()> {
    let job = reactor.defer_to_thread(|| Ok(1));
    let load = reactor.thread_pool().statistics();
    assert_eq!((load.idle, load.running, load.waiting), (0, 0, 1));
    assert_no_result(&job);
    assert_eq!(testing::run(reactor, LIMIT, job)?, 1);
    assert_eq!(reactor.thread_pool().statistics().waiting, 0);
    Ok(())
}

on_both!(the_panic_of_a_call_is_reported_by_the_reactor);
fn the_panic_of_a_call_is_reported_by_the_reactor(reactor: &Reactor) -> Result<()> {
    let told = Rc::new(RefCell::new(vec![]));
    let seen = told.clone();
    let _hook =
        report::hook(move |report| seen.borrow_mut().push((report.origin, report.failure.to_string())));
    reactor.call_in_thread(|| panic!("in the call"));
    let seen = told.clone();
    testing::run(reactor, LIMIT, async move {
        while seen.borrow().is_empty() {
            yield_now().await;
        }
        Ok(())
    })?;
    let told = told.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == "call_in_thread" && told[0].1.contains("in the call"), "{told:?}");
    Ok(())
}

on_both!(a_job_that_has_not_begun_is_taken_back);
fn a_job_that_has_not_begun_is_taken_back(reactor: &Reactor) -> Result<()> {
    let pool = ThreadPool::new(reactor, "one", 0..=1);
    let held = Arc::new(());
    let (one, two) = (held.clone(), held.clone());
    let first = pool.defer_to_thread(move || {
        drop(one);
        Ok(())
    });
    let second = pool.defer_to_thread::<()>(move || {
        drop(two);
        panic!("it was cancelled");
    });
    second.cancel();
    assert!(failure_result_of(second).check::<CancelledError>());
    assert_eq!(Arc::strong_count(&held), 2, "what it holds goes with it");
    testing::run(reactor, LIMIT, first)?;
    // And nothing comes after that.
    assert_eq!(testing::run(reactor, LIMIT, pool.defer_to_thread(|| Ok(3)))?, 3);
    Ok(())
}

/// Lets jobs wait for each other: who is done tells `begun` first.
struct Gate {
    begun: Receiver<usize>,
    open: Sender<()>,
    parts: (Sender<usize>, Arc<Mutex<Receiver<()>>>),
}

impl Gate {
    fn new() -> Gate {
        let ((begin, begun), (open, gate)) = (channel(), channel());
        Gate { begun, open, parts: (begin, Arc::new(Mutex::new(gate))) }
    }

    fn job(&self, n: usize) -> impl FnOnce() -> Result<usize> + Send + 'static {
        let (begin, gate) = self.parts.clone();
        move || {
            let _ = begin.send(n); // the test may have seen enough
            gate.lock().expect("no panic").recv_timeout(LIMIT)?;
            Ok(n)
        }
    }

    fn next(&self) -> usize {
        self.begun.recv_timeout(LIMIT).expect("it begins")
    }

    fn open(&self, jobs: usize) {
        (0..jobs).for_each(|_| self.open.send(()).expect("they wait"));
    }
}

#[test]
fn no_more_threads_than_the_size_and_the_jobs_in_their_order() {
    let reactor = Reactor::new().unwrap();
    reactor.suggest_thread_pool_size(3);
    let gate = Gate::new();
    let all: Vec<_> = (0..8).map(|n| reactor.defer_to_thread(gate.job(n))).collect();
    let pool = reactor.thread_pool();
    testing::run(&reactor, LIMIT, async move {
        let begun: BTreeSet<_> = (0..3).map(|_| gate.next()).collect();
        assert_eq!(begun, BTreeSet::from([0, 1, 2]));
        let load = pool.statistics();
        assert_eq!((load.idle, load.running, load.waiting), (0, 3, 5));
        gate.open(1);
        assert_eq!(gate.next(), 3);
        gate.open(7);
        assert_eq!(gather_results(all).await?, [0, 1, 2, 3, 4, 5, 6, 7]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_thread_that_is_free_does_the_next_job() {
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    let threads: BTreeSet<_> = testing::run(&reactor, LIMIT, async move {
        let mut threads = BTreeSet::new();
        for _ in 0..50 {
            threads.insert(r.defer_to_thread(|| Ok(format!("{:?}", thread::current().id()))).await?);
        }
        Ok(threads)
    })
    .unwrap();
    assert_eq!(threads.len(), 1);
}

#[test]
fn a_job_that_runs_is_let_go_by_a_cancel_and_its_result_too() {
    struct Value(Arc<()>);
    let reactor = Reactor::new().unwrap();
    let (gate, held) = (Gate::new(), Arc::new(()));
    let (job, value) = (gate.job(0), Value(held.clone()));
    let deferred = reactor.defer_to_thread(move || job().map(|_| value));
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        gate.next();
        deferred.cancel();
        assert!(deferred.await.err().is_some_and(|failure| failure.check::<CancelledError>()));
        assert_eq!(r.thread_pool().statistics().running, 1);
        gate.open(1);
        Ok(())
    })
    .unwrap();
    drop(reactor);
    assert_eq!(Arc::strong_count(&held), 1);
    let _ = |Value(held)| held;
}

#[test]
fn a_pool_of_ones_own_does_not_wait_for_the_reactor_s() {
    let reactor = Reactor::new().unwrap();
    reactor.suggest_thread_pool_size(1);
    let own = ThreadPool::new(&reactor, "own", 1..=1);
    let gate = Gate::new();
    let blocked = reactor.defer_to_thread(gate.job(0));
    testing::run(&reactor, LIMIT, async move {
        let name = own.defer_to_thread(|| Ok(thread::current().name().map(str::to_string))).await?;
        assert_eq!(name.as_deref(), Some("own-0"));
        gate.open(1);
        blocked.await.map(drop)
    })
    .unwrap();
}

#[test]
fn the_tree_shows_what_runs_and_what_waits() {
    let reactor = Reactor::new().unwrap();
    reactor.suggest_thread_pool_size(1);
    let gate = Gate::new();
    let (runs, waits) = (reactor.defer_to_thread(gate.job(0)), reactor.defer_to_thread(gate.job(1)));
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        gate.next();
        let seen = r.snapshot();
        let job = |what: &str| {
            let is = |kind: &Kind| matches!(kind, Kind::Job { what: told, .. } if told == what);
            seen.entries.iter().find(|entry| is(&entry.kind)).unwrap_or_else(|| panic!("{seen}"))
        };
        for job in [job("runs in pool-0"), job("waits for pool")] {
            assert!(job.made.file().ends_with("threads.rs"));
            let waiter = seen.entries.iter().find(|entry| entry.holder == Some(job.id));
            assert!(matches!(waiter.map(|waiter| &waiter.kind), Some(Kind::Chain(_))), "{seen}");
        }
        gate.open(2);
        assert_eq!((runs.await?, waits.await?), (0, 1));
        assert!(!r.snapshot().entries.iter().any(|entry| matches!(entry.kind, Kind::Job { .. })));
        Ok(())
    })
    .unwrap();
}

// ---- the end of a run -------------------------------------------------------------------------------------------

thread_local! {
    static ENDS: RefCell<Option<Ends>> = const { RefCell::new(None) };
}

/// Counts the threads that have ended.
struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// As in Twisted: after the connections are told, and before `run` returns.
#[test]
fn at_the_end_all_jobs_are_done_those_that_wait_too_and_the_threads_have_ended() {
    let reactor = Reactor::new().unwrap();
    reactor.suggest_thread_pool_size(2);
    let (done, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for run in 1..=3 {
        let gate = Gate::new();
        for n in 0..20 {
            let (job, done, ends) = (gate.job(n), done.clone(), Ends(ended.clone()));
            reactor.call_in_thread(move || {
                job().expect("the gate opens");
                done.fetch_add(1, Ordering::SeqCst);
                ENDS.with_borrow_mut(|first| match first {
                    None => *first = Some(ends),
                    Some(_) => std::mem::forget(ends),
                });
            });
        }
        let r = reactor.clone();
        reactor.call_when_running(move || r.stop().unwrap());
        reactor.add_system_event_trigger(Phase::After, "shutdown", move || {
            let _both_threads_have_one = (gate.next(), gate.next());
            gate.open(20);
        });
        reactor.run_without_signal_handlers().unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 20 * run);
        assert_eq!(ended.load(Ordering::SeqCst), 2 * run);
    }
}

on_both!(what_is_pending_at_the_end_fails_unreported_and_is_done_all_the_same);
fn what_is_pending_at_the_end_fails_unreported_and_is_done_all_the_same(reactor: &Reactor) {
    let (sender, done) = channel();
    let r = reactor.clone();
    let job = Rc::new(Cell::new(None));
    let keep = job.clone();
    reactor.call_when_running(move || {
        keep.set(Some(r.defer_to_thread(move || Ok(sender.send(())?))));
        r.stop().unwrap();
    });
    reactor.run_without_signal_handlers().unwrap();
    assert!(failure_result_of(job.take().unwrap()).check::<ReactorNotRunning>());
    assert_eq!(done.try_iter().count(), 1);
}

on_both!(what_a_lost_connection_gives_to_a_thread_at_the_end_is_done);
fn what_a_lost_connection_gives_to_a_thread_at_the_end_is_done(reactor: &Reactor) -> Result<()> {
    struct Saving(Sender<()>);
    impl Protocol for Saving {
        fn connection_made(&mut self, _cx: &Context<Self>) {
            Reactor::current().stop().expect("it runs");
        }

        fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
            let saved = self.0.clone();
            Reactor::current().call_in_thread(move || saved.send(()).expect("the test is there"));
        }
    }
    let (sender, saved) = channel();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(move |_| Saving(sender.clone())))?;
    let _peer = Peer::connect(reactor, port.get_host()?.as_inet().expect("TCP"))?;
    reactor.run_without_signal_handlers()?;
    assert_eq!(saved.try_iter().count(), 1);
    Ok(())
}

/// In Twisted this is a deadlock: the reactor joins the thread, which waits for the reactor.
#[test]
fn a_thread_of_the_pool_that_is_blocked_in_a_call_is_let_go_at_the_end() {
    let reactor = Reactor::new().unwrap();
    let (sender, results) = channel();
    let remote = reactor.remote();
    reactor.call_in_thread(move || {
        let waits = remote.blocking_call_from_thread(|reactor| {
            reactor.stop().unwrap();
            let (deferred, promise) = twistor::defer::Deferred::<()>::pending();
            std::mem::forget(promise);
            deferred
        });
        let late = remote.blocking_call_from_thread(|_| Ok(()));
        sender.send([waits, late]).unwrap();
    });
    reactor.run_without_signal_handlers().unwrap();
    for result in results.try_recv().expect("the thread has ended") {
        assert!(result.unwrap_err().check::<ReactorNotRunning>());
    }
}

#[test]
fn without_a_run_nothing_is_done() {
    let reactor = Reactor::new().unwrap();
    let (sender, done) = channel::<()>();
    let job = reactor.defer_to_thread(move || Ok(sender.send(())?));
    drop(reactor);
    assert!(failure_result_of(job).check::<ReactorNotRunning>());
    assert!(done.recv().is_err(), "the job is dropped");
}

#[test]
fn a_pool_outlives_its_reactor_as_an_error() {
    let reactor = Reactor::new().unwrap();
    let pool = reactor.thread_pool();
    drop(reactor);
    pool.call_in_thread(|| panic!("nobody calls this"));
    assert!(failure_result_of(pool.defer_to_thread(|| Ok(()))).check::<ReactorNotRunning>());
}

#[test]
#[should_panic(expected = "no number of threads is in 3..=1")]
fn a_size_that_is_none_is_a_panic() {
    let (least, most) = (3, 1);
    ThreadPool::new(&Reactor::new().unwrap(), "none", least..=most);
}

// ---- in a simulation --------------------------------------------------------------------------------------------

#[test]
fn in_a_simulation_jobs_are_done_in_order_in_later_turns_and_take_no_time() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = |what: &str| {
        let (order, what) = (order.clone(), what.to_string());
        move || order.lock().unwrap().push(what)
    };
    let test = thread::current().id();
    let (one, two) = (note("job 1"), note("job 2"));
    let same = reactor.defer_to_thread(move || {
        one();
        Ok(thread::current().id() == test)
    });
    reactor.call_in_thread(two);
    reactor.call_later(Duration::ZERO, note("timer"));
    let result = note("result 1");
    let same = same.map(move |same| {
        result();
        same
    });
    sim.pump();
    assert!(success_result_of(same));
    assert_eq!(*order.lock().unwrap(), ["job 1", "job 2", "timer", "result 1"]);
    assert_eq!(sim.now(), Duration::ZERO);
}

#[test]
fn in_a_simulation_a_job_that_blocks_on_the_reactor_is_told_so() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let remote = reactor.remote();
    let blocked = reactor.defer_to_thread(move || remote.blocking_call_from_thread(|_| Ok(1)));
    assert!(sim.wait_for(blocked).unwrap_err().check::<WouldDeadlock>());
}
