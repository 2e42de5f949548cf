//! A real shell on a terminal.

use crate::{
    loopback::{Log, run},
    probe::{Probe, play, said, sh},
};
use std::{cell::RefCell, rc::Rc};
use twistor::{Reactor, process::Spawn};

#[test]
fn a_process_has_a_terminal_of_its_size() {
    let log = play(sh("tty; stty size; tty </dev/tty; exit 5").terminal(33, 99), Probe::new);
    let said = said(&log, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{said}");
    assert_eq!(lines[1..], ["33 99", "/dev/tty"], "{said}");
    assert!(log.contains(&"1 closed".to_string()), "in order, though the system says EIO: {log:?}");
    assert_eq!(log.last().unwrap(), "ended code 5");
}

/// Types into a shell as a person would: a prompt, a command, its answer.
#[test]
fn a_shell_is_talked_to() {
    let log = Log::default();
    let heard = Rc::new(RefCell::new(String::new()));
    let all = heard.clone();
    let typed =
        [("$ ", "stty -echo; echo a$((1+1))b\n"), ("a2b\r\n$ ", "stty size\n"), ("40 80\r\n$ ", "exit 3\n")];
    let mut next = typed.into_iter().peekable();
    let probe = Probe::new(&log)
        .made(|cx| {
            cx.close_stdin(); // a terminal has no part that could be closed
            cx.close_child_fd(1);
            assert!(cx.pipe(0).expect("open").is(&cx.pipe(2).expect("the same")));
            assert!(cx.set_window_size(40, 80).is_ok());
        })
        .data(move |cx, descriptor, data| {
            assert_eq!(descriptor, 1);
            all.borrow_mut().push_str(std::str::from_utf8(data).expect("text"));
            if next.peek().is_some_and(|(prompt, _)| all.borrow().ends_with(prompt))
                && let Some((_, text)) = next.next()
            {
                cx.write(text);
            }
        });
    let shell = Spawn::new("/bin/sh").env("PS1", "$ ").args(["-i"]).terminal(24, 80);
    let reactor = Reactor::new().unwrap();
    reactor.spawn_process(probe, shell).unwrap();
    run(&reactor);
    assert_eq!(log.all().last().unwrap(), "ended code 3", "{:?}", heard.borrow());
}

#[test]
fn control_c_interrupts_what_is_in_front() {
    let log = play(sh("echo ready; exec sleep 60").terminal(24, 80), |log| {
        Probe::new(log).data(|cx, _, data| {
            if data.starts_with(b"ready") {
                cx.write("\x03");
            }
        })
    });
    assert_eq!(log.last().unwrap(), "ended signal 2", "{log:?}");
}

#[test]
fn to_close_the_terminal_hangs_up() {
    let how = Spawn::new("sleep").args(["60"]).terminal(24, 80);
    let log = play(how, |log| Probe::new(log).made(|cx| cx.lose_connection()));
    assert_eq!(log.last().unwrap(), "ended signal 1", "{log:?}");
}

#[test]
fn what_has_no_terminal_has_no_size() {
    play("true", |log| {
        Probe::new(log).made(|cx| {
            let error = cx.set_window_size(1, 1).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("Spawn::terminal"));
        })
    });
}

/// Besides its terminal it may have pipes.
#[test]
fn a_process_on_a_terminal_may_have_pipes_too() {
    let log = play(sh("cat <&3; tty").terminal(2, 2).write_to(3), |log| {
        Probe::new(log).made(|cx| {
            cx.write_to_child(3, "by three\n").expect("a pipe");
            cx.close_child_fd(3);
        })
    });
    assert!(said(&log, 1).starts_with("by three\r\n/dev/pts/"), "{log:?}");
}
