//! `react`: the codes it gives, what it reports, and that it stops once; on the real and on a virtual reactor.

#[path = "support/child.rs"]
mod child;

use std::{
    cell::{Cell, RefCell},
    env,
    process::{Command, ExitCode},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, Reactor, Result,
    defer::{self, Deferred},
    error::{ReactorAlreadyRunning, ReactorNotRunning, SystemExit},
    react,
    reactor::Phase,
    report::{self, HookGuard},
    task::defer_later,
    testing::{Simulation, on_both},
};

const MOMENT: Duration = Duration::from_micros(50);

/// What is reported from here on.
fn reports() -> (Rc<RefCell<Vec<String>>>, HookGuard) {
    let reports = Rc::new(RefCell::new(vec![]));
    let into = reports.clone();
    let told = move |r: &report::Report| into.borrow_mut().push(format!("{}: {}", r.origin, r.failure));
    (reports, report::hook(told))
}

on_both!(a_main_function_that_succeeds_gives_0);
fn a_main_function_that_succeeds_gives_0(on: &Reactor) {
    let (reports, _hook) = reports();
    assert_eq!(on.react(|reactor| defer_later(&reactor, MOMENT, || Ok("any value"))), ExitCode::SUCCESS);
    assert_eq!(on.react(|_| defer::succeed(())), ExitCode::SUCCESS);
    let code = on.react(async |reactor| {
        let n = defer_later(&reactor, MOMENT, || Ok(6)).await?;
        assert!(reactor.running());
        Ok(n * 7)
    });
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

on_both!(a_main_function_that_fails_gives_1_and_is_reported_once);
fn a_main_function_that_fails_gives_1_and_is_reported_once(on: &Reactor) {
    let (reports, _hook) = reports();
    let late = |r: Reactor| defer_later(&r, MOMENT, || Err::<(), _>(Failure::msg("late")));
    assert_eq!(on.react(late), ExitCode::FAILURE);
    assert_eq!(on.react(|_| defer::fail::<()>(Failure::msg("at once"))), ExitCode::FAILURE);
    assert_eq!(on.react(async |_| Ok("three".parse::<u8>()?)), ExitCode::FAILURE);
    assert_eq!(on.react(async |_| -> Result<()> { panic!("inside") }), ExitCode::FAILURE);
    assert_eq!(on.react(|_| -> Deferred<()> { panic!("before") }), ExitCode::FAILURE);
    let told = reports.take();
    assert_eq!(told[..3], ["late", "at once", "invalid digit found in string"].map(main_function));
    assert!(told[3].contains("panicked: inside") && told[4].contains("panicked: before"), "{told:?}");
    assert_eq!(told.len(), 5);
}

fn main_function(failed: &str) -> String {
    format!("the main function: {failed}")
}

on_both!(a_main_function_can_choose_the_code);
fn a_main_function_can_choose_the_code(on: &Reactor) {
    let (reports, _hook) = reports();
    let code = on.react(|r| defer_later(&r, MOMENT, || Err::<(), _>(SystemExit::new(17).into())));
    assert_eq!(code, ExitCode::from(17));
    assert_eq!(on.react(async |_| Err::<(), _>(SystemExit::new(0).into())), ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

on_both!(a_main_function_that_the_end_of_the_run_comes_before_gives_0);
fn a_main_function_that_the_end_of_the_run_comes_before_gives_0(on: &Reactor) {
    let (reports, _hook) = reports();
    let never = |reactor: Reactor| {
        reactor.call_later(MOMENT, || Reactor::current().stop().unwrap());
        let (deferred, promise) = Deferred::<()>::pending();
        reactor.call_later(Duration::MAX, move || {
            promise.callback(());
        });
        deferred
    };
    assert_eq!(on.react(never), ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

on_both!(a_main_function_that_ends_while_the_reactor_stops_gives_its_code);
fn a_main_function_that_ends_while_the_reactor_stops_gives_its_code(on: &Reactor) {
    let (reports, _hook) = reports();
    let stopped = Rc::new(Cell::new(0));
    let stops = stopped.clone();
    let code = on.react(move |reactor| {
        let (main, end) = Deferred::<()>::pending();
        let (shutdown, go_on) = Deferred::<()>::pending();
        reactor.add_system_event_trigger(Phase::Before, "shutdown", move || {
            stops.set(stops.get() + 1);
            let reactor = Reactor::current();
            reactor.call_later(MOMENT, move || {
                end.errback(Failure::msg("too late"));
            });
            reactor.call_later(MOMENT * 20, move || {
                go_on.callback(());
            });
            shutdown
        });
        reactor.call_later(MOMENT, || Reactor::current().stop().unwrap());
        main
    });
    assert_eq!(code, ExitCode::FAILURE);
    assert_eq!((stopped.get(), reports.take()), (1, vec![main_function("too late")]));
}

on_both!(a_main_function_that_stops_the_reactor_twice_is_told);
/// That a failure says that a reactor does not run does not make it one of this reactor's end.
fn a_main_function_that_stops_the_reactor_twice_is_told(on: &Reactor) {
    let (reports, _hook) = reports();
    let code = on.react(async |reactor| {
        reactor.stop()?;
        Ok(reactor.stop()?)
    });
    assert_eq!(code, ExitCode::FAILURE);
    assert_eq!(*reports.borrow(), [main_function(&ReactorNotRunning::default().to_string())]);
}

on_both!(the_reactor_is_the_one_that_is_there_and_can_be_used_again);
fn the_reactor_is_the_one_that_is_there_and_can_be_used_again(on: &Reactor) {
    let told = Rc::new(RefCell::new(vec![]));
    let tell = |what| {
        let told = told.clone();
        move || told.borrow_mut().push(what)
    };
    on.call_later(MOMENT, tell("asked for before"));
    on.add_system_event_trigger(Phase::After, "shutdown", tell("shut down"));
    assert_eq!(on.react(|reactor| defer_later(&reactor, MOMENT * 2, || Ok(()))), ExitCode::SUCCESS);
    assert!(!on.running());

    on.add_system_event_trigger(Phase::After, "shutdown", tell("shut down again"));
    assert_eq!(on.react(async |_| Err::<(), _>(SystemExit::new(3).into())), ExitCode::from(3));
    assert_eq!(*told.borrow(), ["asked for before", "shut down", "shut down again"]);
}

on_both!(inside_a_run_it_is_an_error_and_the_run_goes_on);
fn inside_a_run_it_is_an_error_and_the_run_goes_on(on: &Reactor) {
    let (reports, _hook) = reports();
    let called = Rc::new(Cell::new(false));
    let calls = called.clone();
    let code = on.react(async move |reactor| {
        let inner = reactor.react(async move |_| {
            calls.set(true);
            Ok(())
        });
        assert_eq!(inner, ExitCode::FAILURE);
        defer_later(&reactor, MOMENT, || Err::<(), _>(SystemExit::new(4).into())).await
    });
    assert_eq!((code, called.get()), (ExitCode::from(4), false));
    assert_eq!(reports.take(), [main_function(&ReactorAlreadyRunning::default().to_string())]);
}

#[test]
fn on_a_virtual_reactor_an_hour_takes_no_time_and_an_end_that_cannot_come_is_told() {
    let (reports, _hook) = reports();
    let reactor = Simulation::new().reactor();
    let hour = Duration::from_secs(3600);
    assert_eq!(reactor.react(|reactor| defer_later(&reactor, hour, || Ok(()))), ExitCode::SUCCESS);
    assert_eq!(reactor.now(), hour);
    assert_eq!(reactor.react(|_| std::future::pending::<Result<()>>()), ExitCode::FAILURE);
    assert_eq!(reports.borrow().len(), 1, "{reports:?}");
}

#[test]
fn on_a_new_reactor_it_does_the_same() {
    let (reports, _hook) = reports();
    assert_eq!(react(async |reactor| defer_later(&reactor, MOMENT, || Ok(6)).await), ExitCode::SUCCESS);
    assert_eq!(react(async |_| Err::<(), _>(SystemExit::new(17).into())), ExitCode::from(17));
    assert!(reports.borrow().is_empty());
    assert_eq!(react(|_| -> Deferred<()> { panic!("before") }), ExitCode::FAILURE);
    assert_eq!(reports.borrow().len(), 1, "{reports:?}");
}

#[test]
fn where_nobody_listens_a_failure_is_on_stderr() {
    if child::role().is_some() {
        let code = react(async |_| Err::<(), _>(Failure::msg("as nobody listens")));
        return assert_eq!(code, ExitCode::FAILURE);
    }
    let output = Command::new(env::current_exe().expect("a test binary"))
        .args(["where_nobody_listens_a_failure_is_on_stderr", "--exact", "--nocapture"])
        .env("TWISTOR_TEST_CHILD", "fails")
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches("unhandled failure in the main function: as nobody listens").count(), 1);
}

#[test]
fn a_signal_stops_it_in_order() {
    if child::role().is_some() {
        let code = react(|reactor| {
            reactor.add_system_event_trigger(Phase::After, "shutdown", || child::tell("shut down"));
            reactor.call_when_running(|| child::tell("ready"));
            let (deferred, promise) = Deferred::<()>::pending();
            reactor.call_later(Duration::MAX, move || drop(promise));
            deferred
        });
        return child::tell(format!("{}", code == ExitCode::SUCCESS));
    }
    let child = child::start("a_signal_stops_it_in_order", "waits");
    assert_eq!(child.told().as_deref(), Some("ready"));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("it runs");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is ours");
    let (told, status) = child.ended();
    assert_eq!(told, ["shut down", "true"]);
    assert!(status.success());
}
