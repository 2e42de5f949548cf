//! `Remote`, the door for other threads.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};
use twistor::{
    Failure, Reactor, Result,
    defer::{Deferred, Promise, succeed},
    error::{Panicked, ReactorNotRunning, WouldDeadlock},
    reactor::{Phase, Remote},
};

type Shared<T> = Arc<Mutex<Vec<T>>>;

fn stop(remote: &Remote) {
    remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
}

#[test]
fn calls_of_a_thread_are_made_in_their_order_also_those_before_the_run() {
    let reactor = Reactor::new().unwrap();
    let seen: Shared<u32> = Arc::default();
    let put = |remote: &Remote, range: std::ops::Range<u32>| {
        for n in range {
            let seen = seen.clone();
            remote.call_from_thread(move |_| seen.lock().unwrap().push(n)).unwrap();
        }
    };
    put(&reactor.remote(), 0..100);
    thread::scope(|scope| {
        let remote = reactor.remote();
        let (started, start) = mpsc::channel();
        reactor.call_when_running(move || started.send(()).unwrap());
        scope.spawn(move || {
            start.recv().unwrap();
            put(&remote, 100..1000);
            stop(&remote);
        });
        reactor.run_without_signal_handlers().unwrap();
    });
    assert_eq!(*seen.lock().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn many_threads_at_once_lose_nothing() {
    const THREADS: usize = 8;
    const CALLS: usize = 2000;
    let reactor = Reactor::new().unwrap();
    let count: Shared<()> = Arc::default();
    for _ in 0..THREADS {
        let (remote, count) = (reactor.remote(), count.clone());
        thread::spawn(move || {
            for n in 0..CALLS {
                let count = count.clone();
                let call = move |reactor: &Reactor| {
                    count.lock().unwrap().push(());
                    if count.lock().unwrap().len() == THREADS * CALLS {
                        reactor.stop().unwrap();
                    }
                };
                // Some sleep in between, some do not: so the loop is met asleep and awake.
                match n % 100 {
                    0 => drop(remote.blocking_call_from_thread(move |reactor| call(reactor))),
                    _ => remote.call_from_thread(call).unwrap(),
                }
            }
        });
    }
    reactor.run_without_signal_handlers().unwrap();
    assert_eq!(count.lock().unwrap().len(), THREADS * CALLS);
}

#[test]
fn after_the_end_it_is_an_error_and_when_the_reactor_is_gone() {
    let reactor = Reactor::new().unwrap();
    let remote = reactor.remote();
    let refused = || {
        assert_eq!(remote.call_from_thread(|_| ()), Err(ReactorNotRunning::default()));
        let blocking = thread::scope(|scope| {
            scope.spawn(|| remote.blocking_call_from_thread(|_| succeed(1))).join().unwrap()
        });
        assert!(blocking.unwrap_err().check::<ReactorNotRunning>());
        let task = futures_lite::future::block_on(remote.spawn(|| async { Ok(1) }));
        assert!(task.unwrap_err().check::<ReactorNotRunning>());
    };
    reactor.call_when_running(|| Reactor::current().stop().unwrap());
    reactor.run_without_signal_handlers().unwrap();
    refused();
    // The next run takes calls again.
    reactor.call_when_running({
        let remote = remote.clone();
        move || stop(&remote)
    });
    reactor.run_without_signal_handlers().unwrap();
    drop(reactor);
    refused();
}

/// Runs a reactor until `call`, made in another thread, has its result.
fn call_and_stop<T: Send + 'static>(call: impl FnOnce(Remote) -> T + Send + 'static) -> T {
    let reactor = Reactor::new().unwrap();
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        let result = call(remote.clone());
        stop(&remote);
        result
    });
    reactor.run_without_signal_handlers().unwrap();
    thread.join().unwrap()
}

#[test]
fn a_blocking_call_gives_what_its_deferred_gives() {
    let value = call_and_stop(|remote| {
        remote.blocking_call_from_thread(|reactor| {
            let (deferred, promise) = Deferred::pending();
            reactor.call_later(Duration::from_millis(1), move || {
                promise.callback(7);
            });
            deferred
        })
    });
    assert_eq!(value.unwrap(), 7);
    let failure =
        call_and_stop(|remote| remote.blocking_call_from_thread(|_| Err::<(), _>(Failure::msg("not here"))));
    assert_eq!(failure.unwrap_err().message(), "not here");
}

#[test]
fn a_panic_of_what_it_calls_is_its_failure() {
    let called =
        call_and_stop(|remote| remote.blocking_call_from_thread(|_| -> Result<()> { panic!("in the call") }));
    assert!(called.unwrap_err().check::<Panicked>());
    let spawned = call_and_stop(|remote| {
        let task = remote.spawn(|| -> std::future::Ready<Result<()>> { panic!("in the maker") });
        futures_lite::future::block_on(task)
    });
    assert!(spawned.unwrap_err().check::<Panicked>());
}

#[test]
fn a_blocking_call_in_the_reactor_s_own_thread_would_deadlock() {
    let reactor = Reactor::new().unwrap();
    let failure = reactor.remote().blocking_call_from_thread(|_| Ok(())).unwrap_err();
    assert!(failure.check::<WouldDeadlock>());
}

/// Whoever holds what it waits for: here the promise is kept, and never fired.
#[test]
fn a_blocking_call_gets_an_error_when_the_reactor_stops() {
    thread_local! {
        static KEPT: std::cell::Cell<Option<Promise<()>>> = const { std::cell::Cell::new(None) };
    }
    let reactor = Reactor::new().unwrap();
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        remote.blocking_call_from_thread(|reactor| {
            let (deferred, promise) = Deferred::pending();
            KEPT.set(Some(promise));
            reactor.stop().unwrap();
            deferred
        })
    });
    reactor.run_without_signal_handlers().unwrap();
    assert!(thread.join().unwrap().unwrap_err().check::<ReactorNotRunning>());
}

/// In Twisted this is a deadlock: shutdown joins the thread, which waits for the reactor.
#[test]
fn a_trigger_of_shutdown_may_join_a_thread_that_is_blocked_in_a_call() {
    let reactor = Reactor::new().unwrap();
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        let waits = remote.blocking_call_from_thread(|reactor| {
            reactor.stop().unwrap();
            let (deferred, promise) = Deferred::<()>::pending();
            std::mem::forget(promise);
            deferred
        });
        // And one that comes too late.
        [waits, remote.blocking_call_from_thread(|_| Ok(()))]
    });
    let joined: Shared<bool> = Arc::default();
    let note = joined.clone();
    reactor.add_system_event_trigger(Phase::During, "shutdown", move || {
        for result in thread.join().unwrap() {
            note.lock().unwrap().push(result.unwrap_err().check::<ReactorNotRunning>());
        }
    });
    reactor.run_without_signal_handlers().unwrap();
    assert_eq!(*joined.lock().unwrap(), [true, true]);
}

#[test]
fn a_task_of_another_thread_ends_with_the_reactor() {
    let reactor = Reactor::new().unwrap();
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        let task = remote.spawn(|| async {
            Reactor::current().stop()?;
            std::future::pending::<Result<()>>().await
        });
        futures_lite::future::block_on(task)
    });
    reactor.run_without_signal_handlers().unwrap();
    assert!(thread.join().unwrap().unwrap_err().check::<ReactorNotRunning>());
}
