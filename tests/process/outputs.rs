//! Output and exit codes as Deferreds.

use crate::probe::{reason, sh};
use std::{
    cell::RefCell,
    io::{BufRead, BufReader},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, Reactor, Result,
    defer::Deferred,
    error::{CancelledError, SpawnError, TimeoutError},
    process::Spawn,
    utils::{
        ProcessSignalled, UnexpectedErrorOutput, get_process_output, get_process_output_and_value,
        get_process_value,
    },
};

fn result<T: 'static>(asked: impl FnOnce(&Reactor) -> Deferred<T>) -> Result<T> {
    let reactor = Reactor::new().expect("a reactor");
    let got = Rc::new(RefCell::new(None));
    let put = got.clone();
    asked(&reactor).add_both(move |result| {
        put.replace(Some(result));
        Reactor::try_current().inspect(|reactor| reactor.stop().expect("it runs"));
    });
    if got.borrow().is_none() {
        crate::loopback::run(&reactor);
    }
    got.take().expect("fired")
}

#[test]
fn the_output_is_given_whatever_the_code() {
    assert_eq!(result(|r| get_process_output(r, sh("echo hello; exit 3"), false)).unwrap(), b"hello\n");
    assert_eq!(result(|r| get_process_output(r, sh("echo hello; kill -9 $$"), false)).unwrap(), b"hello\n");
    assert_eq!(result(|r| get_process_output(r, "true", false)).unwrap(), b"");
}

#[test]
fn errors_are_not_expected_unless_they_are_asked_for() {
    let failure = result(|r| get_process_output(r, sh("echo oh >&2; exec sleep 60"), false)).unwrap_err();
    let unexpected = failure.value::<UnexpectedErrorOutput>().expect("by name");
    assert_eq!(unexpected.text, b"oh\n");
    assert!(unexpected.to_string().contains("\"oh\\n\""), "{unexpected}");
    assert_eq!(result(|r| get_process_output(r, sh("echo oh >&2"), true)).unwrap(), b"oh\n");
}

#[test]
fn the_code_is_given_and_a_signal_is_a_failure() {
    assert_eq!(result(|r| get_process_value(r, "true")).unwrap(), 0);
    assert_eq!(result(|r| get_process_value(r, sh("echo thrown away; exit 3"))).unwrap(), 3);
    assert_eq!(reason(&result(|r| get_process_value(r, sh("kill -TERM $$"))).unwrap_err()), "signal 15");
}

#[test]
fn all_of_it_is_given_at_once() {
    let how = || sh("cat; echo oh >&2; exit 3");
    let much = vec![b'x'; 20 << 20];
    let sent = much.clone();
    let got = result(move |r| get_process_output_and_value(r, how(), sent)).unwrap();
    assert!(got.output == much);
    assert_eq!((&got.errors[..], got.code), (&b"oh\n"[..], 3));
    // Who does not read its input fails by nothing but its code.
    let got = result(|r| get_process_output_and_value(r, sh("exit 1"), vec![b'x'; 1 << 20])).unwrap();
    assert_eq!(got.code, 1);
}

#[test]
fn what_came_before_a_signal_is_in_the_failure() {
    let how = sh("echo out; echo err >&2; kill -KILL $$");
    let failure = result(|r| get_process_output_and_value(r, how, "")).unwrap_err();
    let ended = failure.value::<ProcessSignalled>().expect("by name");
    assert_eq!((&ended.output[..], &ended.errors[..], ended.signal), (&b"out\n"[..], &b"err\n"[..], Some(9)));
}

#[test]
fn what_cannot_be_run_is_a_failure_of_the_deferred() {
    let (reported, _hook) = crate::loopback::reports();
    let missing = "/no/such/file";
    assert!(result(|r| get_process_output(r, missing, false)).unwrap_err().check::<SpawnError>());
    assert!(result(|r| get_process_value(r, missing)).unwrap_err().check::<SpawnError>());
    assert!(result(|r| get_process_output_and_value(r, missing, "")).unwrap_err().check::<SpawnError>());
    assert_eq!(reported.all(), [""; 0]);
}

/// The process says its number, so that the test can see that it is gone.
#[test]
fn to_cancel_kills_the_process() {
    let (from, to) = std::io::pipe().unwrap();
    let how = Spawn::new("sh").args(["-c", "echo $$ >&3; exec sleep 60"]).give(3, to);
    let failure = result(|r| {
        let asked = get_process_value(r, how);
        let (outcome, promise) = Deferred::pending();
        let cancel = move |()| {
            asked.cancel();
            asked.add_both(move |result| {
                promise.fire(result);
            });
        };
        r.readable(&from).add_callback(cancel).or_log("the process's number");
        outcome
    })
    .unwrap_err();
    assert!(failure.check::<CancelledError>(), "{failure:?}");
    let mut pid = String::new();
    BufReader::new(from).read_line(&mut pid).unwrap();
    let pid: u32 = pid.trim().parse().unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(std::time::Instant::now() < until, "{pid} lives");
        std::thread::yield_now();
    }
}

#[test]
fn a_timeout_kills_the_process_too() {
    let failure: Failure =
        result(|r| get_process_value(r, ("sleep", ["60"])).add_timeout(Duration::from_millis(5), r))
            .unwrap_err();
    assert!(failure.check::<TimeoutError>(), "{failure:?}");
}
