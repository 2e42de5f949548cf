//! How a process ends, and its pipes.

use crate::{
    loopback::{Log, reports, run, stop},
    probe::{Probe, play, reason, said, sh, sorted},
};
use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};
use twistor::{
    ProcessContext, Reactor,
    error::{ProcessExitedAlready, ProcessTerminated, ReactorNotRunning},
    process::{SignalId, Spawn},
    reactor::{Signal, SignalError},
    snapshot::Kind,
};

#[test]
fn the_code_and_the_signal_are_told() {
    assert_eq!(play(sh("exit 7"), Probe::new).last().unwrap(), "ended code 7");
    assert_eq!(play(sh("kill -TERM $$"), Probe::new).last().unwrap(), "ended signal 15");
    let core = play(sh("kill -ABRT $$"), |log| {
        Probe::new(log).ended(|_, why| {
            let ended = *why.value::<ProcessTerminated>().expect("not in order");
            assert_eq!((ended.exit_code, ended.signal), (None, Some(6)));
            assert!(ended.to_string().starts_with("the process was ended by signal 6"));
            stop();
        })
    });
    assert_eq!(core.last().unwrap(), "ended signal 6");
}

/// A grandchild holds the output open: the process has exited, and more comes.
#[test]
fn a_process_has_ended_when_it_has_exited_and_its_pipes_have_ended() {
    let log = play(sh("(read line <&3; echo late) & echo early").write_to(3), |log| {
        Probe::new(log).exited(|cx| {
            assert_eq!(cx.pid(), None);
            assert!(cx.signal_process("TERM").unwrap_err().check::<ProcessExitedAlready>());
            cx.write_to_child(3, "now\n").expect("the grandchild has it");
        })
    });
    let at =
        |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {log:?}"));
    assert!(at("exited done") < at("1: late\n") && at("1: late\n") < at("1 closed"), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("ended")).count(), 1);
    assert_eq!(log.last().unwrap(), "ended done");
}

/// The other order: all pipes are closed long before the process ends.
#[test]
fn a_process_may_close_its_pipes_and_go_on() {
    let log = play(sh("exec 0<&- 1>&- 2>&-; read line <&3; exit 4").write_to(3), |log| {
        let lost = Cell::new(0);
        Probe::new(log).lost(move |cx, descriptor| {
            lost.set(lost.get() + 1);
            if lost.get() == 3 {
                assert!(cx.pid().is_some());
                cx.write_to_child(3, "go\n").expect("a pipe");
            }
            assert!(lost.get() <= 3 || descriptor == 3);
        })
    });
    assert_eq!(sorted(log[1..4].to_vec()), ["0 lost", "1 closed", "2 closed"]);
    assert_eq!(log.last().unwrap(), "ended code 4");
}

#[test]
fn to_lose_the_connection_closes_all_pipes() {
    let log = play(("sleep", ["60"]), |log| {
        Probe::new(log).made(|cx| cx.lose_connection()).lost(|cx, _| {
            if (0..3).all(|descriptor| cx.pipe(descriptor).is_none()) {
                cx.signal_process("SIGKILL").expect("it runs");
            }
        })
    });
    assert_eq!(log[1..4], ["0 closed", "1 closed", "2 closed"]);
    assert_eq!(log[4..], ["exited signal 9", "ended signal 9"]);
}

#[test]
fn a_signal_is_sent_by_name_or_number_and_what_is_none_is_an_error() {
    for signal in
        ["INT".into(), "TERM".into(), "HUP".into(), 10.into(), Signal::QUIT.into()] as [SignalId<'_>; 5]
    {
        let log = play(("sleep", ["60"]), |log| {
            Probe::new(log).made(move |cx| {
                assert!(cx.signal_process("NOSUCH").unwrap_err().check::<SignalError>());
                assert!(cx.signal_process(4711).is_err());
                cx.signal_process(0).expect("it is there");
                cx.signal_process(signal).expect("it runs");
            })
        });
        assert!(log.last().unwrap().starts_with("ended signal "), "{signal:?}: {log:?}");
    }
}

#[test]
fn the_end_can_be_awaited_before_and_after() {
    let reactor = Reactor::new().unwrap();
    let log = Log::default();
    let r = reactor.clone();
    let seen = log.clone();
    reactor
        .spawn(async move {
            let quiet = || Probe::new(&Log::default()).ended(|_, _| ());
            r.spawn_process(quiet(), "true")?.ended().await?;
            let failed = r.spawn_process(quiet(), sh("exit 9"))?;
            let why = failed.ended().await.unwrap_err();
            seen.add(reason(&why));
            seen.add(reason(&failed.ended().await.unwrap_err()));
            stop();
            Ok(())
        })
        .or_log("the test");
    run(&reactor);
    assert_eq!(log.all(), ["code 9", "code 9"]);
}

#[test]
fn a_process_that_has_ended_before_the_reactor_runs_is_waited_for_then() {
    let reactor = Reactor::new().unwrap();
    let log = Log::default();
    let pid = reactor.spawn_process(Probe::new(&log), "true").unwrap().pid().expect("it is not waited for");
    let status = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !status().contains(") Z ") {
        assert!(Instant::now() < until, "it does not end");
        thread::yield_now();
    }
    assert_eq!(log.all(), ["made"]);
    run(&reactor);
    assert_eq!(log.all().last().unwrap(), "ended done");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// The reactor ends before its processes: they are left to themselves, and are no zombies when they end.
#[test]
fn with_the_reactor_the_pipes_are_closed_and_the_end_is_told_once() {
    let (reported, _hook) = reports();
    let log = Log::default();
    let reactor = Reactor::new().unwrap();
    let pids: Rc<RefCell<Vec<u32>>> = Rc::default();
    let kept = pids.clone();
    let probe = Probe::new(&log)
        .made(move |cx| {
            kept.borrow_mut().push(cx.pid().expect("it runs"));
            cx.write("x");
        })
        .data(|_, _, _| stop())
        .ended(|cx, why| {
            assert!(cx.pid().is_some(), "it runs");
            cx.signal_process(0).expect("here it can still be told something");
            assert_eq!(reason(&why), "lost");
            let again = Reactor::current().spawn_process(Probe::new(&Log::default()), "true");
            assert!(again.unwrap_err().check::<ReactorNotRunning>());
        });
    let cx = reactor.spawn_process(probe, "cat").unwrap();
    run(&reactor);
    assert_eq!(sorted(log.all()[2..5].to_vec()), ["0 lost", "1 lost", "2 lost"]);
    assert_eq!(log.all()[5..], ["ended lost"]);
    assert!(cx.ended().now().expect("at once").is_err());
    assert!(cx.signal_process("TERM").unwrap_err().check::<ProcessExitedAlready>());
    let pid = pids.borrow()[0];
    let until = Instant::now() + Duration::from_secs(20);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < until, "`cat` has read its end, and is still there");
        thread::yield_now();
    }
    assert_eq!(reported.all(), [""; 0]);
}

#[test]
fn a_process_is_shown_with_its_open_pipes_until_its_end() {
    let log = Log::default();
    let reactor = Reactor::new().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let shown = seen.clone();
    let look = move |cx: &ProcessContext<Probe>| {
        let snapshot = Reactor::current().snapshot();
        let entry =
            snapshot.entries.iter().find(|entry| matches!(entry.kind, Kind::Process { .. })).expect("shown");
        let Kind::Process { pid, open, outgoing, .. } = &entry.kind else { unreachable!() };
        assert_eq!((*pid, *outgoing), (cx.pid(), cx.buffered()));
        assert!(entry.made.file().ends_with("ends.rs"));
        assert!(snapshot.to_string().contains("process /bin/sh  "), "{snapshot}");
        assert!(snapshot.to_json().contains("\"kind\":\"process\""));
        shown.borrow_mut().push((pid.is_some(), open.clone()));
    };
    let (made, exited) = (look.clone(), look);
    let how = sh("exec 2>&-; (read line <&3) & exec true").write_to(3);
    let probe = Probe::new(&log).made(move |cx| made(cx)).exited(move |cx| {
        exited(cx);
        cx.close_child_fd(3);
    });
    reactor.spawn_process(probe, how).unwrap();
    run(&reactor);
    let seen = seen.borrow();
    assert_eq!(seen[0], (true, vec![0, 1, 2, 3]));
    assert!(!seen[1].0 && seen[1].1.contains(&3), "{seen:?}");
    assert!(reactor.snapshot().is_empty());
    assert_eq!(said(&log.all(), 1), "");
}

#[test]
fn a_process_can_be_started_from_the_end_of_another() {
    let log = Log::default();
    let reactor = Reactor::new().unwrap();
    let second = log.clone();
    let probe = Probe::new(&log).ended(move |_, _| {
        let next = Probe::new(&second);
        Reactor::current().spawn_process(next, Spawn::new("true")).expect("it is started");
    });
    reactor.spawn_process(probe, "true").unwrap();
    run(&reactor);
    assert_eq!(log.count("made"), 2);
    assert_eq!(log.count("ended done"), 2);
}
