//! `task::react` of a ported program: on the thread's reactor, as Twisted's is on the process's.

use std::{process::ExitCode, thread, time::Duration};
use twisted::internet::{defer::Deferred, reactor, task};
use twistor::{Failure, Reactor, Result, error::SystemExit, testing::Simulation};

const HOUR: Duration = Duration::from_secs(3600);

/// A program as it is ported: half of it before `react`, and all of it on the module's functions.
fn program(answer: Result<&'static str>) -> ExitCode {
    let d = Deferred::new();
    let fired = d.clone();
    reactor::call_later(HOUR, move || {
        answer.map_or_else(|failure| fired.errback(failure), |text| fired.callback(text))
    });
    task::react(move |own| {
        assert_eq!(own.get_delayed_calls().len(), 1, "it is the reactor that was used before");
        d
    })
}

#[test]
fn a_program_runs_in_a_simulation_where_its_hour_takes_no_time() {
    let world = Simulation::new();
    reactor::install(world.reactor()).unwrap();
    assert_eq!(program(Ok("an hour later")), ExitCode::SUCCESS);
    assert_eq!(reactor::seconds(), HOUR);
    let exit = Err::<&str, Failure>(SystemExit::new(17).into());
    assert_eq!(program(exit), ExitCode::from(17));
}

#[test]
fn the_thread_s_reactor_may_be_used_before_or_not_at_all() {
    // Each in a thread of its own, for a thread has one reactor.
    let used = thread::spawn(|| {
        reactor::call_later(Duration::ZERO, || ());
        task::react(async |_: Reactor| Ok(()))
    });
    let new = thread::spawn(|| {
        task::react(async |own: Reactor| {
            assert!(own.get_delayed_calls().is_empty());
            Ok(())
        })
    });
    assert_eq!((used.join().unwrap(), new.join().unwrap()), (ExitCode::SUCCESS, ExitCode::SUCCESS));
}
