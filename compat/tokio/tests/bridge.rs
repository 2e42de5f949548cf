//! `Tokio::run` and `Tokio::enter`, and how a runtime ends.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::pending,
    rc::Rc,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};
use support::{PATIENCE, reports, run_until};
use tokio::sync::oneshot;
use twistor::{
    Failure, Reactor,
    defer::Deferred,
    error::{CancelledError, NotDriven, Panicked, ReactorNotRunning},
    reactor::Phase,
    task::defer_later,
};
use twistor_tokio::{
    Tokio,
    error::{NoWorkers, TokioStopped},
};

fn both() -> (Reactor, Tokio) {
    let reactor = Reactor::new().unwrap();
    let tokio = Tokio::new(&reactor).unwrap();
    (reactor, tokio)
}

/// Tells when it is dropped, and in which thread.
struct Told(Sender<String>);

impl Told {
    fn new() -> (Told, Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        (Told(sender), receiver)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _nobody_looks = self.0.send(thread::current().name().unwrap_or_default().to_string());
    }
}

// ---- run --------------------------------------------------------------------------------------------------------

#[test]
fn what_runs_there_comes_back_to_the_thread_of_the_reactor() {
    let (reactor, tokio) = both();
    let here = thread::current().id();
    let there = tokio.run(async { Ok(thread::current().name().unwrap_or_default().to_string()) });
    let back = there.map(move |there| (there, thread::current().id() == here));
    assert_eq!(run_until(&reactor, back).unwrap(), ("twistor-tokio".to_string(), true));
}

#[test]
fn it_begins_before_the_reactor_runs() {
    let (_reactor, tokio) = both();
    let (begun, begins) = mpsc::channel();
    let _work = tokio.run(async move {
        begun.send(()).unwrap();
        Ok(())
    });
    begins.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn an_error_arrives_as_it_is() {
    let (reactor, tokio) = both();
    let failure = run_until(&reactor, tokio.run(async { Ok("http".parse::<u16>()?) })).unwrap_err();
    assert!(failure.check::<std::num::ParseIntError>());
    assert!(failure.made_at().file().ends_with("bridge.rs"), "the line of the `?`");
}

#[test]
fn a_panic_is_a_failure_that_says_where() {
    let (reactor, tokio) = both();
    let failure = run_until(&reactor, tokio.run::<()>(async { panic!("number {}", 7) })).unwrap_err();
    let panicked = failure.value::<Panicked>().unwrap();
    assert_eq!(panicked.message(), "number 7");
    assert!(panicked.at().unwrap().contains("bridge.rs:"), "{panicked}");
    // And the runtime goes on.
    assert_eq!(run_until(&reactor, tokio.run(async { Ok(8) })).unwrap(), 8);
}

#[test]
fn to_cancel_drops_the_future_in_its_own_thread() {
    let (reactor, tokio) = both();
    let (told, dropped) = Told::new();
    let work = tokio.run(async move {
        let _told = told;
        pending::<()>().await;
        Ok(())
    });
    // In the run, as a program would; also with the reactor's next turn still to come.
    let (cancelled, promise) = Deferred::pending();
    reactor.call_later(Duration::ZERO, move || {
        work.cancel();
        promise.fire(work.now().expect("it is over"));
    });
    assert!(run_until(&reactor, cancelled).unwrap_err().check::<CancelledError>());
    assert_eq!(dropped.recv_timeout(PATIENCE).unwrap(), "twistor-tokio");
}

#[test]
fn to_drop_the_deferred_cancels_nothing() {
    let (reactor, tokio) = both();
    let (go, goes) = oneshot::channel();
    let (done, is_done) = mpsc::channel();
    drop(tokio.run(async move {
        goes.await?;
        done.send(()).unwrap();
        Ok(())
    }));
    go.send(()).unwrap();
    is_done.recv_timeout(PATIENCE).unwrap();
    run_until(&reactor, tokio.run(async { Ok(()) })).unwrap();
}

#[test]
fn a_failure_that_nobody_handles_is_reported_once() {
    let (reactor, tokio) = both();
    let (lost, _guard) = reports();
    drop(tokio.run::<()>(async { Err(Failure::msg("nobody looks")) }));
    run_until(&reactor, tokio.run(async { Ok(()) })).unwrap();
    // What was woken with that one has its turn.
    run_until(&reactor, defer_later(&reactor, Duration::ZERO, || Ok(()))).unwrap();
    assert_eq!(lost.borrow().len(), 1);
    assert!(lost.borrow()[0].contains("nobody looks"));
}

#[test]
fn many_at_once_each_get_their_own_result() {
    let (reactor, tokio) = both();
    let all: Vec<_> = (0..1000_u32).map(|n| tokio.run(async move { Ok(n * 2) })).collect();
    let all = run_until(&reactor, twistor::defer::gather_results(all)).unwrap();
    assert_eq!(all, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn awaited_where_nobody_turns_the_reactor_it_fails_and_says_so() {
    let (_reactor, tokio) = both();
    let never = tokio.run(pending::<twistor::Result<()>>());
    assert!(futures::executor::block_on(never).unwrap_err().check::<NotDriven>());
}

#[test]
fn a_runtime_of_two_workers_lets_a_task_block_in_place() {
    let reactor = Reactor::new().unwrap();
    let tokio = Tokio::with_workers(&reactor, 2).unwrap();
    let blocked = tokio.run(async { Ok(tokio::task::block_in_place(|| 7)) });
    assert_eq!(run_until(&reactor, blocked).unwrap(), 7);
    assert!(Tokio::with_workers(&reactor, 0).unwrap_err().check::<NoWorkers>());
}

// ---- enter ------------------------------------------------------------------------------------------------------

#[test]
fn what_is_entered_stays_in_the_thread_of_the_reactor_and_finds_tokio() {
    let (reactor, tokio) = both();
    let ours = Rc::new(Cell::new(0));
    let counts = ours.clone();
    let entered = tokio.enter(async move {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            counts.set(counts.get() + 1);
        }
        Ok(tokio::spawn(async { thread::current().name().unwrap_or_default().to_string() }).await?)
    });
    assert_eq!(run_until(&reactor, entered).unwrap(), "twistor-tokio");
    assert_eq!(ours.get(), 3);
}

#[test]
fn the_drop_of_what_is_entered_finds_tokio_too() {
    struct AsksTokio(Rc<Cell<bool>>);
    impl Drop for AsksTokio {
        fn drop(&mut self) {
            self.0.set(tokio::runtime::Handle::try_current().is_ok());
        }
    }
    let (reactor, tokio) = both();
    let found = Rc::new(Cell::new(false));
    let asks = AsksTokio(found.clone());
    let entered = tokio.enter::<()>(async move {
        let _asks = asks;
        pending().await
    });
    entered.cancel();
    assert!(found.get());
    assert!(run_until(&reactor, entered).unwrap_err().check::<CancelledError>());
    assert!(tokio::runtime::Handle::try_current().is_err(), "nobody else is inside");
}

// ---- the end ----------------------------------------------------------------------------------------------------

/// Stops the reactor as soon as it runs, and runs it.
fn run_and_stop(reactor: &Reactor) {
    let stops = reactor.clone();
    reactor.call_when_running(move || stops.stop().unwrap());
    reactor.run_without_signal_handlers().unwrap();
}

#[test]
fn with_the_end_of_the_reactor_its_tasks_are_dropped_and_who_waits_is_told() {
    let (reactor, tokio) = both();
    let (lost, _guard) = reports();
    let (told, dropped) = Told::new();
    let (told_too, dropped_too) = Told::new();
    let run = tokio.run::<()>(async move {
        let _told = told;
        pending().await
    });
    let entered = tokio.enter::<()>(async move {
        let _told = told_too;
        tokio::time::sleep(PATIENCE).await;
        Ok(())
    });
    let nobody_waits = tokio.run(pending::<twistor::Result<()>>());
    drop(nobody_waits);
    run_and_stop(&reactor);
    assert_eq!(dropped.try_recv().unwrap(), "twistor-tokio", "before `run` has returned");
    dropped_too.try_recv().unwrap();
    for deferred in [run, entered] {
        assert!(deferred.now().unwrap().unwrap_err().check::<ReactorNotRunning>());
    }
    assert!(lost.borrow().is_empty(), "{lost:?}");
}

#[test]
fn after_the_end_it_says_so() {
    let (reactor, tokio) = both();
    run_and_stop(&reactor);
    let run = tokio.run(async { Ok(()) });
    let place = line!() - 1;
    let failure = run.now().unwrap().unwrap_err();
    assert!(failure.check::<TokioStopped>());
    assert_eq!(failure.made_at().line(), place);
    assert!(tokio.enter(async { Ok(()) }).now().unwrap().unwrap_err().check::<TokioStopped>());
    assert_eq!(tokio.handle().unwrap_err(), TokioStopped::default());
    // The next run gets a runtime of its own.
    let next = Tokio::new(&reactor).unwrap();
    assert_eq!(run_until(&reactor, next.run(async { Ok(1) })).unwrap(), 1);
}

#[test]
fn what_shutdown_waits_for_may_use_it() {
    let (reactor, tokio) = both();
    let farewell = Rc::new(Cell::new(0));
    let (told, last) = (farewell.clone(), tokio.clone());
    reactor.add_system_event_trigger(Phase::Before, "shutdown", move || {
        last.run(async { Ok(7) }).map(move |n| told.set(n))
    });
    run_and_stop(&reactor);
    assert_eq!(farewell.get(), 7);
}

#[test]
fn one_that_is_made_while_the_reactor_stops_stops_too() {
    let reactor = Reactor::new().unwrap();
    let late = Rc::new(RefCell::new(None));
    let (makes, r) = (late.clone(), reactor.clone());
    reactor.add_system_event_trigger(Phase::After, "shutdown", move || {
        makes.replace(Some(Tokio::new(&r)?));
        Ok(())
    });
    run_and_stop(&reactor);
    assert!(late.take().expect("it was made").handle().is_err());
}

#[test]
fn a_crash_stops_nothing() {
    let (reactor, tokio) = both();
    let (go, goes) = oneshot::channel();
    let work = tokio.run(async move { Ok(goes.await?) });
    let crashes = reactor.clone();
    reactor.call_when_running(move || crashes.crash().unwrap());
    reactor.run_without_signal_handlers().unwrap();
    go.send(5).unwrap();
    assert_eq!(run_until(&reactor, work).unwrap(), 5);
}

#[test]
fn shutdown_fired_by_hand_stops_it_and_who_waits_is_told_that() {
    let (reactor, tokio) = both();
    let work = tokio.run(pending::<twistor::Result<()>>());
    let entered = tokio.enter(async {
        tokio::time::sleep(PATIENCE).await;
        Ok(())
    });
    let fires = reactor.clone();
    reactor.call_later(Duration::from_millis(1), move || fires.fire_system_event("shutdown"));
    let failures =
        work.add_both(|work| entered.add_both(|entered| Ok((work.unwrap_err(), entered.unwrap_err()))));
    let (work, entered) = run_until(&reactor, failures).unwrap();
    assert!(work.check::<TokioStopped>() && entered.check::<TokioStopped>(), "{work}, {entered}");
}

#[test]
fn with_the_last_handle_it_stops() {
    let (_reactor, tokio) = both();
    let (told, dropped) = Told::new();
    tokio.handle().unwrap().spawn(async move {
        let _told = told;
        pending::<()>().await;
    });
    let clone = tokio.clone();
    drop(tokio);
    assert!(clone.handle().is_ok());
    drop(clone);
    assert_eq!(dropped.recv_timeout(PATIENCE).unwrap(), "twistor-tokio");
}

#[test]
fn what_is_pending_outlives_the_last_handle() {
    let reactor = Reactor::new().unwrap();
    let (told, dropped) = Told::new();
    let slept = Tokio::new(&reactor).unwrap().run(async {
        tokio::spawn(async move {
            let _told = told;
            pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(3)
    });
    assert_eq!(run_until(&reactor, slept).unwrap(), 3);
    // Then it stops, with all that was spawned there.
    dropped.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn it_may_be_dropped_and_stopped_inside_of_another_runtime() {
    for workers in [1, 2] {
        let reactor = Reactor::new().unwrap();
        let dropped = Tokio::with_workers(&reactor, workers).unwrap();
        let stopped = Tokio::with_workers(&reactor, workers).unwrap();
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        other.block_on(async {
            drop(dropped);
            let stops = reactor.clone();
            reactor.call_when_running(move || stops.stop().unwrap());
            reactor.drive().await.unwrap();
        });
        assert!(stopped.handle().is_err());
    }
}

#[test]
fn with_two_workers_its_tasks_are_dropped_too() {
    let reactor = Reactor::new().unwrap();
    let tokio = Tokio::with_workers(&reactor, 2).unwrap();
    let (told, dropped) = Told::new();
    let (begun, begins) = mpsc::channel();
    let work = tokio.run::<()>(async move {
        let _told = told;
        begun.send(()).unwrap();
        pending().await
    });
    begins.recv_timeout(PATIENCE).unwrap();
    run_and_stop(&reactor);
    dropped.try_recv().unwrap();
    assert!(work.now().unwrap().unwrap_err().check::<ReactorNotRunning>());
}

#[test]
fn a_task_that_blocks_for_an_answer_of_the_reactor_is_let_go_at_its_end() {
    let (reactor, tokio) = both();
    let remote = reactor.remote();
    let (answered, answer) = mpsc::channel();
    let r = reactor.clone();
    drop(tokio.run(async move {
        let never = remote.blocking_call_from_thread(move |reactor| {
            let stops = reactor.clone();
            reactor.call_later(Duration::ZERO, move || stops.stop().unwrap());
            let (never, promise) = Deferred::<()>::pending();
            std::mem::forget(promise);
            never
        });
        answered.send(never.is_err()).unwrap();
        Ok(())
    }));
    let begun = Instant::now();
    r.run_without_signal_handlers().unwrap();
    assert!(answer.try_recv().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waited for anybody");
}

#[test]
fn a_task_that_blocks_for_ever_does_not_hold_up_the_end() {
    let (reactor, tokio) = both();
    let (blocks, is_blocked) = mpsc::channel();
    let (let_go, waits) = mpsc::channel::<()>();
    drop(tokio.run(async move {
        blocks.send(()).unwrap();
        let _ = waits.recv();
        Ok(())
    }));
    is_blocked.recv_timeout(PATIENCE).unwrap();
    let begun = Instant::now();
    run_and_stop(&reactor);
    assert!(begun.elapsed() < PATIENCE / 2);
    drop(let_go);
}
