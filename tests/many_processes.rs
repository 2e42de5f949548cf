//! Many children, and children that do not read. Alone in its program, whose children, descriptors and memory it counts.
//!
//! 1,000 of them; `TWISTOR_CHILDREN=10000 cargo test --test many_processes` for more.
#![cfg(target_os = "linux")]

#[path = "support/heap.rs"]
mod heap;
mod loopback;

use heap::{alone, heap};
use loopback::{run, stop, turns};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env, fs,
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, ProcessContext, ProcessProtocol, Producer, Reactor, Transport,
    error::{ProcessDone, ProcessTerminated, SpawnError, WriteBufferFull},
    process::Spawn,
};

fn descriptors() -> Vec<String> {
    let mut open: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("Linux")
        .map(|entry| entry.expect("a name").file_name().into_string().expect("a number"))
        .collect();
    open.sort();
    open
}

/// Children of this process that have ended and that nobody has waited for.
fn zombies() -> Vec<String> {
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let children: String =
        fs::read_dir("/proc/self/task").expect("Linux").map(|task| of(task.expect("a task"))).collect();
    let is_zombie =
        |pid: &&str| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    children.split_whitespace().filter(is_zombie).map(String::from).collect()
}

fn sh(script: &str) -> Spawn {
    Spawn::new("/bin/sh").args(["-c", script])
}

// ---- many ---------------------------------------------------------------------------------------------------------

/// So many live at once.
const AT_ONCE: usize = 50;

/// What became of them.
struct Crowd {
    reactor: Reactor,
    left: Cell<usize>,
    living: Cell<usize>,
    /// How often each kind of end was told.
    ends: RefCell<BTreeMap<String, usize>>,
}

impl Crowd {
    fn note(&self, what: impl Into<String>) {
        *self.ends.borrow_mut().entry(what.into()).or_default() += 1;
    }

    /// Starts more, as long as there are any and few live.
    fn fill(self: &Rc<Self>) {
        while self.living.get() < AT_ONCE && self.left.get() > 0 {
            let number = self.left.get();
            self.left.set(number - 1);
            let member = Member { crowd: self.clone(), number, lost: 0, exited: false, ended: false };
            let how = match number % 6 {
                0 => sh("exit 3"),
                1 => Spawn::new("sleep").args(["60"]),
                2 => Spawn::new("/no/such/file"),
                // What it leaves behind holds its output for a while.
                3 => sh("sleep 0.05 & exit 0"),
                4 => Spawn::new("cat").terminal(24, 80),
                _ => Spawn::new("cat"),
            };
            match self.reactor.spawn_process(member, how) {
                Ok(_) => self.living.set(self.living.get() + 1),
                Err(failure) => {
                    assert!(failure.check::<SpawnError>());
                    self.note("not started");
                }
            }
        }
        if self.living.get() == 0 {
            stop();
        }
    }
}

struct Member {
    crowd: Rc<Crowd>,
    number: usize,
    lost: usize,
    exited: bool,
    ended: bool,
}

impl ProcessProtocol for Member {
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        match self.number % 6 {
            1 => cx.signal_process("KILL").expect("it runs"),
            4 => cx.write("hello\n\x04"), // and the end of what is typed
            _ => {
                cx.write("hello");
                cx.close_stdin();
            }
        }
    }

    fn child_connection_lost(&mut self, _cx: &ProcessContext<Self>, _descriptor: i32, _why: Failure) {
        self.lost += 1;
    }

    fn process_exited(&mut self, _cx: &ProcessContext<Self>, _why: Failure) {
        assert!(!self.exited);
        self.exited = true;
    }

    fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
        assert!(self.exited && !self.ended);
        assert_eq!(self.lost, if self.number % 6 == 4 { 1 } else { 3 });
        self.ended = true;
        let ended = why.value::<ProcessTerminated>().map(|ended| (ended.exit_code, ended.signal));
        match ended {
            None if why.check::<ProcessDone>() => self.crowd.note("done"),
            Some((Some(3), None)) => self.crowd.note("code 3"),
            Some((None, Some(9))) => self.crowd.note("killed"),
            other => panic!("{other:?}: {why}"),
        }
        self.crowd.living.set(self.crowd.living.get() - 1);
        let crowd = self.crowd.clone();
        // Not from here: this one has not quite ended.
        self.crowd.reactor.call_later(Duration::ZERO, move || crowd.fill());
    }
}

fn crowd(reactor: &Reactor, count: usize) -> BTreeMap<String, usize> {
    let crowd = Rc::new(Crowd {
        reactor: reactor.clone(),
        left: Cell::new(count),
        living: Cell::new(0),
        ends: RefCell::default(),
    });
    let first = crowd.clone();
    reactor.call_when_running(move || first.fill());
    let late = Rc::new(Cell::new(false));
    let told = late.clone();
    let deadline = reactor.call_later(Duration::from_secs(20 + count as u64 / 20), move || {
        told.set(true);
        stop();
    });
    reactor.run_without_signal_handlers().expect("a run");
    let _ = deadline.cancel();
    assert!(!late.get(), "{} live, {} are to come", crowd.living.get(), crowd.left.get());
    crowd.ends.take()
}

#[test]
fn of_many_children_each_end_is_told_once_and_nothing_is_left() {
    let _alone = alone();
    let count: usize = env::var("TWISTOR_CHILDREN").map_or(1000, |count| count.parse().expect("a number"));
    let reactor = Reactor::new().unwrap();
    crowd(&reactor, 60); // what is made once is there then
    let (before, live) = (descriptors(), heap());
    let ends = crowd(&reactor, count);
    let of = |kind: usize| (1..=count).filter(|number| number % 6 == kind).count();
    assert_eq!(ends["code 3"], of(0));
    assert_eq!(ends["killed"], of(1));
    assert_eq!(ends["not started"], of(2));
    assert_eq!(ends["done"], of(3) + of(4) + of(5));
    assert_eq!(zombies(), [""; 0]);
    assert_eq!(descriptors(), before);
    assert!(heap() < live + (64 << 10), "{} bytes more live than before", heap().saturating_sub(live));
}

// ---- children that do not read --------------------------------------------------------------------------------------

const OFFERED: usize = 200 << 20;
const PIECE: usize = 64 << 10;

/// Offers pieces until it is paused, and goes on when it is resumed.
struct Offer {
    to: Transport,
    left: Cell<usize>,
    paused: Cell<bool>,
}

impl Offer {
    fn offer(&self) {
        while !self.paused.get() && self.left.get() > 0 {
            self.left.set(self.left.get() - PIECE);
            self.to.write([b'x'; PIECE]);
        }
        if self.left.get() == 0 {
            self.to.unregister_producer();
            self.to.lose_connection();
        }
    }
}

/// A producer that is known from outside, too.
struct Shared(Rc<Offer>);

impl Producer for Shared {
    fn resume_producing(&self) {
        self.0.paused.set(false);
        self.0.offer();
    }

    fn pause_producing(&self) {
        self.0.paused.set(true);
    }

    fn stop_producing(&self) {}
}

/// Reads nothing until it is told to; then all, and says how much that was.
struct Slow {
    peak: Rc<Cell<usize>>,
    live: usize,
    counted: String,
    drained: Rc<Cell<bool>>,
}

impl ProcessProtocol for Slow {
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        let to = cx.pipe(0).expect("a pipe");
        let offer = Rc::new(Offer { to, left: Cell::new(OFFERED), paused: Cell::new(false) });
        cx.register_producer(Shared(offer.clone()), true).expect("the first");
        offer.offer();
        assert!(offer.paused.get() && offer.left.get() > OFFERED - (1 << 20), "it was paused, and soon");
        let (drained, peak, live, cx) = (self.drained.clone(), self.peak.clone(), self.live, cx.clone());
        cx.drained().add_callback(move |()| drained.set(true));
        // It is offered to for as long as its pipe takes something, then it reads.
        Reactor::current().spawn(async move {
            for _ in 0..100 {
                turns().await;
            }
            peak.set(heap() - live);
            assert!(offer.paused.get() && cx.buffered() > 0);
            cx.write_to_child(3, "read\n").expect("a pipe");
            Ok(())
        });
    }

    fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
        self.counted.push_str(std::str::from_utf8(data).expect("a number"));
    }

    fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
        assert!(why.check::<ProcessDone>(), "{why}");
        assert_eq!(self.counted.trim(), OFFERED.to_string());
        assert!(self.drained.get());
        stop();
    }
}

#[test]
fn with_a_producer_a_child_that_does_not_read_costs_no_memory() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let peak = Rc::new(Cell::new(0));
    let slow = Slow { peak: peak.clone(), live: heap(), counted: String::new(), drained: Rc::default() };
    reactor.spawn_process(slow, sh("read line <&3; exec wc -c").write_to(3)).unwrap();
    run(&reactor);
    assert!(peak.get() < 1 << 20, "{} bytes live for what waits", peak.get());
}

/// Is written to without a look.
struct Careless {
    failed: bool,
}

impl ProcessProtocol for Careless {
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        let live = heap();
        for _ in 0..OFFERED / PIECE {
            cx.write([b'x'; PIECE]);
        }
        assert!(heap() < live + (17 << 20) + (1 << 20), "{} bytes live", heap() - live);
    }

    fn child_connection_lost(&mut self, cx: &ProcessContext<Self>, descriptor: i32, why: Failure) {
        if descriptor == 0 {
            let full = why.value::<WriteBufferFull>().expect("by name");
            assert_eq!(full.limit, 16 << 20);
            self.failed = true;
            cx.signal_process("TERM").expect("it runs");
        }
    }

    fn process_ended(&mut self, _cx: &ProcessContext<Self>, _why: Failure) {
        assert!(self.failed);
        stop();
    }
}

#[test]
fn without_a_producer_a_child_that_does_not_read_fails_the_pipe_at_its_limit() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    reactor.spawn_process(Careless { failed: false }, Spawn::new("sleep").args(["60"])).unwrap();
    run(&reactor);
}
