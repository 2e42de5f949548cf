//! What goes through pipes.

use crate::{
    loopback::{Log, reports, run, stop, turns},
    probe::{Probe, play, said, sh, sorted},
};
use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{Read, Seek},
    rc::Rc,
};
use twistor::{
    Producer, Reactor, Transport,
    error::{NoChildPipe, ProtocolGone},
};

#[test]
fn what_is_written_reaches_the_process_and_its_answer_comes_back() {
    let log = play("cat", |log| {
        Probe::new(log).made(|cx| cx.write("hello ")).data(|cx, _, data| match data {
            b"hello " => cx.write_sequence(["wor", "ld"]),
            _ => cx.close_stdin(),
        })
    });
    assert_eq!(log[..3], ["made", "1: hello ", "1: world"]);
    assert_eq!(sorted(log[3..6].to_vec()), ["0 closed", "1 closed", "2 closed"]);
    assert_eq!(log[6..], ["exited done", "ended done"], "{log:?}");
}

#[test]
fn output_and_errors_are_told_apart() {
    let log = play(sh("echo out; echo err >&2"), Probe::new);
    assert_eq!((said(&log, 1), said(&log, 2)), ("out\n".into(), "err\n".into()));
}

#[test]
fn any_descriptor_of_the_child_may_be_a_pipe_in_either_direction() {
    let how = sh("cat <&4 >&3; cat <&3 2>/dev/null || echo closed >&5")
        .read_from(3)
        .write_to(4)
        .read_from(5)
        .close(0)
        .close(1)
        .close(2);
    let log = play(how, |log| {
        Probe::new(log).made(|cx| {
            assert_eq!(cx.write_to_child(0, "x").unwrap_err(), cx.write_to_child(0, "y").unwrap_err());
            assert!(cx.pipe(0).is_none() && cx.pipe(1).is_none() && cx.pipe(2).is_none());
            cx.write("dropped");
            cx.write_to_child(4, "by four").expect("there is such a pipe");
            cx.write_to_child(3, "read only").expect("a pipe, but it takes nothing");
            cx.close_child_fd(4);
            cx.close_child_fd(99);
        })
    });
    assert_eq!((said(&log, 3), said(&log, 5)), ("by four".into(), "closed\n".into()), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.ends_with(" closed")).count(), 3, "{log:?}");
}

#[test]
fn to_write_where_no_pipe_leads_is_an_error_by_name() {
    play("true", |log| {
        Probe::new(log).made(|cx| {
            let error: NoChildPipe = cx.write_to_child(7, "x").unwrap_err();
            assert!(error.to_string().contains("no pipe leads to descriptor 7"), "{error}");
        })
    });
}

#[test]
fn the_child_may_be_given_a_file() {
    let mut file = tempfile();
    let how = sh("echo kept; echo told >&3").give(1, file.try_clone().unwrap()).read_from(3);
    let log = play(how, Probe::new);
    assert_eq!(said(&log, 3), "told\n");
    let mut kept = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "kept\n");
}

/// A file without a name.
fn tempfile() -> File {
    let path = std::env::temp_dir().join(format!("twistor-process-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// The child closes its standard input and goes on: that is told though nothing is written.
#[test]
fn a_process_that_closes_its_input_is_told_of_at_once() {
    let log = play(sh("exec 0<&-; read line <&3").write_to(3), |log| {
        Probe::new(log).lost(|cx, descriptor| {
            if descriptor == 0 {
                assert!(cx.pid().is_some(), "it still runs");
                let gone = cx.drained().now().expect("at once").unwrap_err();
                assert!(gone.check::<ProtocolGone>());
                cx.write("dropped");
                cx.close_child_fd(3);
            }
        })
    });
    assert_eq!(log[1], "0 lost", "{log:?}");
}

#[test]
fn a_pipe_may_be_paused_alone() {
    let log = play(sh("echo out; echo err >&2; read line; echo more"), |log| {
        Probe::new(log).made(|cx| cx.pipe(1).expect("open").pause_producing()).data(|cx, descriptor, data| {
            match (descriptor, data) {
                (2, _) => {
                    let cx = cx.clone();
                    // The other one has its line since before this: a read of it would come in this turn, or the next.
                    Reactor::current().spawn(async move {
                        turns().await;
                        cx.pipe(1).expect("open").resume_producing();
                        Ok(())
                    });
                }
                (1, b"out\n") => cx.write("go\n"),
                _ => {}
            }
        })
    });
    assert_eq!(log[..4], ["made", "2: err\n", "1: out\n", "1: more\n"], "{log:?}");
}

#[test]
fn all_pipes_are_paused_and_resumed_at_once() {
    let (from, to) = std::io::pipe().unwrap();
    let how = sh("echo out; echo err >&2; echo both >&4; exec sleep 60").give(4, to);
    let log = play(how, |log| {
        let from = Rc::new(from);
        let (paused, told) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        let resumed = paused.clone();
        Probe::new(log)
            .made(move |cx| {
                cx.pause_producing();
                let (cx, resumed, from) = (cx.clone(), resumed.clone(), from.clone());
                Reactor::current().spawn(async move {
                    Reactor::current().readable(&*from).await?;
                    turns().await; // both have their line: a read of one would have come by then
                    resumed.set(false);
                    cx.resume_producing();
                    Ok(())
                });
            })
            .data(move |cx, _, _| {
                assert!(!paused.get());
                told.set(told.get() + 1);
                if told.get() == 2 {
                    cx.signal_process("KILL").expect("it runs");
                }
            })
    });
    assert_eq!(log.last().unwrap(), "ended signal 9", "{log:?}");
}

/// Writes so many pieces, one for each resume.
struct Pieces {
    left: Cell<usize>,
    to: Transport,
}

impl Producer for Pieces {
    fn resume_producing(&self) {
        self.to.write(vec![b'x'; 50_000]);
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.to.unregister_producer();
            self.to.lose_connection();
        }
    }

    fn stop_producing(&self) {}
}

#[test]
fn a_pull_producer_writes_to_the_standard_input() {
    let log = play(("wc", ["-c"]), |log| {
        Probe::new(log).made(|cx| {
            let to = cx.pipe(0).expect("open");
            cx.register_producer(Pieces { left: Cell::new(40), to }, false).expect("the first one");
        })
    });
    assert_eq!(said(&log, 1).trim(), "2000000");
}

/// Notes what it is told.
struct Noting(Rc<RefCell<Vec<&'static str>>>);

impl Producer for Noting {
    fn resume_producing(&self) {
        self.0.borrow_mut().push("resume");
    }

    fn pause_producing(&self) {
        self.0.borrow_mut().push("pause");
    }

    fn stop_producing(&self) {
        self.0.borrow_mut().push("stop");
    }
}

#[test]
fn a_push_producer_is_paused_resumed_and_stopped_with_the_pipe() {
    let told: Rc<RefCell<Vec<&str>>> = Rc::default();
    let noted = told.clone();
    play(sh("read go <&3; exec head -c 1000000 >/dev/null").write_to(3), move |log| {
        Probe::new(log)
            .made(move |cx| {
                cx.register_producer(Noting(noted.clone()), true).expect("the first one");
                assert!(cx.register_producer(Noting(noted.clone()), true).is_err());
                cx.write(vec![b'x'; 1_000_000]);
                assert!(cx.buffered() > 0);
                cx.write_to_child(3, "go\n").expect("a pipe");
                let drained = cx.drained();
                let (cx, noted) = (cx.clone(), noted.clone());
                drained.add_callback(move |()| {
                    assert_eq!(cx.buffered(), 0);
                    noted.borrow_mut().push("drained");
                });
            })
            .ended(|cx, _| {
                cx.register_producer(Noting(Rc::default()), true).expect("stopped at once");
                stop();
            })
    });
    let told = told.borrow();
    assert_eq!(told[0], "pause");
    assert!(told.contains(&"drained") && told.contains(&"resume"), "{told:?}");
    assert_eq!(told.last(), Some(&"stop"), "{told:?}");
}

#[test]
fn a_process_that_does_not_read_fails_the_pipe_by_name() {
    let log = play(sh("read go <&3").write_to(3), |log| {
        Probe::new(log)
            .made(|cx| {
                cx.set_write_limit(1 << 20);
                for _ in 0..30 {
                    cx.write(vec![b'x'; 100_000]);
                }
            })
            .lost(|cx, descriptor| {
                if descriptor == 0 {
                    cx.close_child_fd(3); // nothing else has ended
                }
            })
    });
    assert_eq!(log[1], "0 full", "{log:?}");
}

#[test]
fn a_panic_closes_the_pipes_and_the_ends_are_told_all_the_same() {
    let (reported, _hook) = reports();
    let log = play("cat", |log| Probe::new(log).made(|cx| cx.write("hello")).data(|_, _, _| panic!("no")));
    assert_eq!(log[..2], ["made", "1: hello"]);
    assert_eq!(sorted(log[2..5].to_vec()), ["0 panicked", "1 panicked", "2 panicked"]);
    assert!(log[6].starts_with("ended "), "{log:?}");
    assert_eq!(reported.all().len(), 1);
    assert!(reported.all()[0].starts_with("child_data_received: panicked: no"));
}

/// More calls than fit into one go, made by the protocol itself.
#[test]
fn calls_that_wait_come_before_what_the_process_says() {
    let log = Log::default();
    let reactor = Reactor::new().unwrap();
    let (calls, early) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (counted, seen) = (calls.clone(), early.clone());
    let probe = Probe::new(&log).made(|cx| cx.write("hello")).data(move |cx, _, data| {
        if data == b"hello" {
            for _ in 0..1000 {
                let counted = counted.clone();
                cx.call(move |_, _| counted.set(counted.get() + 1)).or_log("a call");
            }
            cx.write("again");
        } else {
            seen.set(counted.get());
            cx.close_stdin();
        }
    });
    reactor.spawn_process(probe, "cat").unwrap();
    run(&reactor);
    assert_eq!((calls.get(), early.get()), (1000, 1000));
}
