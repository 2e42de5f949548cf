//! Descriptors of the program's own in the reactor.
#![cfg(target_os = "linux")]

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write, pipe},
    os::fd::{AsFd, BorrowedFd},
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, Reactor, Result,
    error::{ConnectionLost, ReactorNotRunning},
    fdset::{FileDescriptor, ReadDescriptor, WriteDescriptor},
    testing::Simulation,
};

type Step = Box<dyn Fn(&Watcher) -> Result<()>>;

/// Does at each read or write what it is told to, and counts.
struct Watcher {
    file: RefCell<Option<File>>,
    /// What its descriptor is, for `descriptor` lends for as long as it is borrowed.
    lent: &'static File,
    step: Step,
    calls: Cell<usize>,
    lost: RefCell<Vec<Failure>>,
}

impl Watcher {
    fn new(
        file: impl Into<std::os::fd::OwnedFd>,
        step: impl Fn(&Watcher) -> Result<()> + 'static,
    ) -> Rc<Watcher> {
        // Left open to the end of the test: the descriptor is lent out for that long.
        let lent: &'static File = Box::leak(Box::new(File::from(file.into())));
        Rc::new(Watcher {
            file: RefCell::new(Some(lent.try_clone().unwrap())),
            lent,
            step: Box::new(step),
            calls: Cell::new(0),
            lost: RefCell::default(),
        })
    }

    /// Closed behind the reactor's back.
    fn close(&self) {
        self.file.take();
    }

    fn call(&self) -> Result<()> {
        self.calls.set(self.calls.get() + 1);
        (self.step)(self)
    }

    fn lost(&self) -> Vec<String> {
        self.lost.borrow().iter().map(|why| why.message().to_string()).collect()
    }
}

impl FileDescriptor for Watcher {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.borrow().as_ref().map(|_| self.lent.as_fd())
    }

    fn connection_lost(&self, why: Failure) {
        self.lost.borrow_mut().push(why);
    }

    fn log_prefix(&self) -> String {
        "watcher".into()
    }
}

impl ReadDescriptor for Watcher {
    fn do_read(&self) -> Result<()> {
        self.call()
    }
}

impl WriteDescriptor for Watcher {
    fn do_write(&self) -> Result<()> {
        self.call()
    }
}

fn stop() {
    let _ = Reactor::current().stop(); // it may stop already
}

/// Runs until somebody stops it; that must be soon.
#[track_caller]
fn run(reactor: &Reactor) {
    let late = reactor.call_later(Duration::from_secs(20), stop);
    reactor.run_without_signal_handlers().unwrap();
    assert!(late.cancel().is_err() || !late.active());
    assert!(reactor.now() < Duration::from_secs(20), "nobody has stopped it");
}

/// A few turns with nothing else to do.
fn turns(reactor: &Reactor) {
    for _ in 0..5 {
        reactor.iterate(Duration::ZERO).unwrap();
    }
}

fn full_pipe() -> (PipeReader, PipeWriter) {
    let (from, mut to) = pipe().unwrap();
    to.write_all(b"x").unwrap();
    (from, to)
}

fn broken() -> Failure {
    io::Error::other("broken").into()
}

#[test]
fn what_a_process_prints_is_read_until_its_end() {
    let mut child =
        Command::new("sh").args(["-c", "echo one; echo two"]).stdout(Stdio::piped()).spawn().unwrap();
    let heard = Rc::new(RefCell::new(String::new()));
    let all = heard.clone();
    let reader = Watcher::new(child.stdout.take().unwrap(), move |this| {
        let mut buffer = [0; 100];
        match (&mut &*this.lent).read(&mut buffer)? {
            0 => {
                stop();
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            }
            length => {
                all.borrow_mut().push_str(&String::from_utf8_lossy(&buffer[..length]));
                Ok(())
            }
        }
    });
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    run(&reactor);
    child.wait().unwrap();
    assert_eq!(*heard.borrow(), "one\ntwo\n");
    assert_eq!(reader.lost().len(), 1);
    assert!(reactor.get_readers().is_empty());
}

#[test]
fn it_is_called_until_it_is_taken_out_and_to_add_it_twice_changes_nothing() {
    let (from, _to) = full_pipe();
    let reader = Watcher::new(from, |this| {
        if this.calls.get() == 3 {
            Reactor::current().remove_reader(this);
        }
        Ok(())
    });
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    assert_eq!(reactor.get_readers().len(), 1);
    turns(&reactor);
    assert_eq!((reader.calls.get(), reader.lost()), (3, vec![]));
    reactor.remove_reader(&*reader); // it is out already
    reactor.add_reader(reader.clone()).unwrap();
    turns(&reactor);
    assert_eq!(reader.calls.get(), 8, "it comes back");
}

#[test]
fn one_that_fails_is_lost_as_reader_and_writer_and_is_told_once() {
    let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
    there.write_all(b"x").unwrap();
    let both = Watcher::new(here, |_| Err(broken()));
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(both.clone()).unwrap();
    reactor.add_writer(both.clone()).unwrap();
    turns(&reactor);
    assert_eq!((both.calls.get(), both.lost()), (1, vec!["broken".to_string()]));
    assert!(reactor.get_readers().is_empty() && reactor.get_writers().is_empty());
}

#[test]
fn a_panic_is_reported_and_loses_it() {
    let (from, _to) = full_pipe();
    let reports = Rc::new(Cell::new(0));
    let count = reports.clone();
    let _hook = twistor::report::hook(move |_| count.set(count.get() + 1));
    let reader = Watcher::new(from, |_| panic!("as it was told"));
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    turns(&reactor);
    assert_eq!((reader.calls.get(), reader.lost().len(), reports.get()), (1, 1, 1));
}

/// Both are told of by one wait; the first one takes the other out.
#[test]
fn one_that_another_has_taken_out_in_the_same_batch_is_not_called() {
    let ((one, _a), (other, _b)) = (full_pipe(), full_pipe());
    let others: Rc<RefCell<Vec<Rc<Watcher>>>> = Rc::default();
    let list = others.clone();
    let take_out = move |this: &Watcher| {
        for other in list.borrow().iter().filter(|other| !std::ptr::eq(&***other, this)) {
            Reactor::current().remove_reader(&**other);
        }
        Ok(())
    };
    let (one, other) = (Watcher::new(one, take_out.clone()), Watcher::new(other, take_out));
    others.borrow_mut().extend([one.clone(), other.clone()]);
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(one.clone()).unwrap();
    reactor.add_reader(other.clone()).unwrap();
    turns(&reactor);
    let called = [one.calls.get() > 0, other.calls.get() > 0];
    assert_eq!(called.iter().filter(|called| **called).count(), 1, "{called:?}");
    others.take();
}

#[test]
fn one_that_was_closed_behind_the_back_is_told_with_the_next_event() {
    let (from, _to) = full_pipe();
    let reader = Watcher::new(from, |_| Ok(()));
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    reader.close();
    turns(&reactor);
    assert_eq!(reader.calls.get(), 0);
    let lost = reader.lost.take();
    let cause = lost[0].value::<ConnectionLost>().unwrap().cause().and_then(io::Error::raw_os_error);
    assert_eq!((lost.len(), cause), (1, Some(9)), "EBADF");
    assert!(reactor.add_reader(reader).is_err(), "it has no descriptor");
}

#[test]
fn a_descriptor_has_one_reader() {
    let (from, _to) = full_pipe();
    let (reactor, first) = (Reactor::new().unwrap(), Watcher::new(from, |_| Ok(())));
    let second = Rc::new(Watcher {
        file: RefCell::new(Some(first.lent.try_clone().unwrap())),
        lent: first.lent,
        step: Box::new(|_| Ok(())),
        calls: Cell::new(0),
        lost: RefCell::default(),
    });
    reactor.add_reader(first.clone()).unwrap();
    let refused = reactor.add_reader(second.clone()).unwrap_err();
    assert_eq!(refused.value::<io::Error>().unwrap().kind(), io::ErrorKind::AlreadyExists);
    reactor.add_writer(second.clone()).unwrap();
    let (readers, writers) = reactor.remove_all();
    assert_eq!((readers.len(), writers.len()), (1, 1));
    turns(&reactor);
    assert_eq!((first.calls.get(), second.calls.get(), first.lost()), (0, 0, vec![]));
}

/// epoll does not know a file: it is called in each turn.
#[test]
fn a_regular_file_is_always_ready() {
    let reader = Watcher::new(File::open("Cargo.toml").unwrap(), |this| {
        let mut buffer = [0; 256];
        match (&mut &*this.lent).read(&mut buffer)? {
            0 => {
                stop();
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            }
            _ => Ok(()),
        }
    });
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    assert_eq!(reactor.get_readers().len(), 1);
    run(&reactor);
    assert!(reader.calls.get() > 2, "{}", reader.calls.get());
    assert_eq!(reader.lost().len(), 1);
    assert!(reactor.readable(&File::open("Cargo.toml").unwrap()).is_fired());
}

#[test]
fn with_the_reactor_all_are_lost() {
    let (from, to) = pipe().unwrap();
    let (reader, waits) = (Watcher::new(from, |_| Ok(())), Rc::new(RefCell::new(None)));
    let reactor = Reactor::new().unwrap();
    reactor.add_reader(reader.clone()).unwrap();
    waits.replace(Some(reactor.readable(reader.lent)));
    reactor.call_when_running(stop);
    run(&reactor);
    assert_eq!(reader.lost().len(), 1);
    let told = waits.take().unwrap().now().expect("it is told");
    assert!(told.unwrap_err().check::<ReactorNotRunning>());
    drop(to);
}

#[test]
fn to_wait_for_it_is_a_deferred() {
    let (from, mut to) = pipe().unwrap();
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    let done = Rc::new(Cell::new(false));
    let seen = done.clone();
    reactor
        .spawn(async move {
            r.writable(&to).await?;
            let waits = r.readable(&from);
            assert!(!waits.is_fired());
            to.write_all(b"x")?;
            waits.await?;
            let cancelled = r.writable(&from).add_errback(|_| Ok(())); // a reader is never writable
            cancelled.cancel();
            seen.set(true);
            stop();
            Ok(())
        })
        .or_log("the program");
    run(&reactor);
    assert!(done.get());
}

/// Who watches nothing any more costs nothing: the program's copy of a closed one does not keep it in the set.
#[test]
fn what_was_taken_out_wakes_nobody() {
    let (from, _to) = full_pipe();
    let reactor = Reactor::new().unwrap();
    let reader = Watcher::new(from, |this| {
        Reactor::current().remove_reader(this);
        Ok(())
    });
    reactor.add_reader(reader).unwrap();
    turns(&reactor);
    let timer = Rc::new(Cell::new(false));
    let rung = timer.clone();
    reactor.call_later(Duration::from_millis(50), move || rung.set(true));
    reactor.iterate(Duration::ZERO).unwrap(); // to have asked from outside wakes it once
    reactor.iterate(Duration::from_secs(10)).unwrap();
    reactor.iterate(Duration::ZERO).unwrap();
    assert!(timer.get(), "it has slept until the timer");
}

#[test]
fn a_virtual_reactor_has_no_real_descriptors() {
    let (from, _to) = pipe().unwrap();
    let reactor = Simulation::new().reactor();
    let refused = reactor.readable(&from).now().unwrap().unwrap_err();
    assert!(refused.message().contains("no real sockets"), "{}", refused.message());
}
