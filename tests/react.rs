//! `react`: the codes it gives, what it reports, and that it stops once.

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
    error::{ReactorNotRunning, SystemExit},
    react,
    reactor::Phase,
    report::{self, HookGuard},
    task::defer_later,
};

const MOMENT: Duration = Duration::from_micros(50);

/// What is reported from here on.
fn reports() -> (Rc<RefCell<Vec<String>>>, HookGuard) {
    let reports = Rc::new(RefCell::new(vec![]));
    let into = reports.clone();
    let told = move |r: &report::Report| into.borrow_mut().push(format!("{}: {}", r.origin, r.failure));
    (reports, report::hook(told))
}

#[test]
fn a_main_function_that_succeeds_gives_0() {
    let (reports, _hook) = reports();
    assert_eq!(react(|reactor| defer_later(&reactor, MOMENT, || Ok("any value"))), ExitCode::SUCCESS);
    assert_eq!(react(|_| defer::succeed(())), ExitCode::SUCCESS);
    let code = react(async |reactor| {
        let n = defer_later(&reactor, MOMENT, || Ok(6)).await?;
        assert!(reactor.running());
        Ok(n * 7)
    });
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

#[test]
fn a_main_function_that_fails_gives_1_and_is_reported_once() {
    let (reports, _hook) = reports();
    let late = |r: Reactor| defer_later(&r, MOMENT, || Err::<(), _>(Failure::msg("late")));
    assert_eq!(react(late), ExitCode::FAILURE);
    assert_eq!(react(|_| defer::fail::<()>(Failure::msg("at once"))), ExitCode::FAILURE);
    assert_eq!(react(async |_| Ok("three".parse::<u8>()?)), ExitCode::FAILURE);
    assert_eq!(react(async |_| -> Result<()> { panic!("inside") }), ExitCode::FAILURE);
    assert_eq!(react(|_| -> Deferred<()> { panic!("before") }), ExitCode::FAILURE);
    let told = reports.take();
    assert_eq!(told[..3], ["late", "at once", "invalid digit found in string"].map(main_function));
    assert!(told[3].contains("panicked: inside") && told[4].contains("panicked: before"), "{told:?}");
    assert_eq!(told.len(), 5);
}

fn main_function(failed: &str) -> String {
    format!("the main function: {failed}")
}

#[test]
fn a_main_function_can_choose_the_code() {
    let (reports, _hook) = reports();
    let code = react(|r| defer_later(&r, MOMENT, || Err::<(), _>(SystemExit::new(17).into())));
    assert_eq!(code, ExitCode::from(17));
    assert_eq!(react(async |_| Err::<(), _>(SystemExit::new(0).into())), ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

#[test]
fn a_main_function_that_the_end_of_the_run_comes_before_gives_0() {
    let (reports, _hook) = reports();
    let never = |reactor: Reactor| {
        reactor.call_later(MOMENT, || Reactor::current().stop().unwrap());
        let (deferred, promise) = Deferred::<()>::pending();
        reactor.call_later(Duration::MAX, move || {
            promise.callback(());
        });
        deferred
    };
    assert_eq!(react(never), ExitCode::SUCCESS);
    assert!(reports.borrow().is_empty());
}

#[test]
fn a_main_function_that_ends_while_the_reactor_stops_gives_its_code() {
    let (reports, _hook) = reports();
    let stopped = Rc::new(Cell::new(0));
    let stops = stopped.clone();
    let code = react(move |reactor| {
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

/// That a failure says that a reactor does not run does not make it one of this reactor's end.
#[test]
fn a_main_function_that_stops_the_reactor_twice_is_told() {
    let (reports, _hook) = reports();
    let code = react(async |reactor| {
        reactor.stop()?;
        Ok(reactor.stop()?)
    });
    assert_eq!(code, ExitCode::FAILURE);
    assert_eq!(*reports.borrow(), [main_function(&ReactorNotRunning::default().to_string())]);
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
