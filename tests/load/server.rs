//! The server: what it does is its mode, what it is asked comes on its standard input.

use crate::heap::heap;
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use std::{
    cell::{Cell, RefCell},
    fs,
    io::{self, Write},
    rc::Rc,
    str::FromStr,
    thread,
};
use twistor::{
    Address, Context, Factory, Failure, Producer, Protocol, Reactor, Transport, error::WriteBufferFull,
};

/// What is done with each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Says hello.
    Greet,
    /// The same with 64 descriptors.
    Scarce,
    /// Sends 200 MiB by a producer, then closes.
    Produce,
    /// Writes 1 MiB a turn, whether or not it is read.
    Flood,
    /// Sends 50 MiB in one write, then closes.
    Whole,
}

pub(crate) const PRODUCED: usize = 200 << 20;
pub(crate) const WHOLE: usize = 50 << 20;

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let modes = [Mode::Greet, Mode::Scarce, Mode::Produce, Mode::Flood, Mode::Whole];
        modes.into_iter().find(|mode| format!("{mode:?}").eq_ignore_ascii_case(text)).ok_or(text.into())
    }
}

/// What is counted.
#[derive(Default)]
struct Counts {
    open: Cell<usize>,
    made: Cell<usize>,
    lost: Cell<usize>,
    pauses: Cell<usize>,
    resumes: Cell<usize>,
    /// Why the last connection was lost, without spaces.
    why: RefCell<String>,
    /// The number of open connections that somebody waits for.
    until: Cell<Option<usize>>,
}

fn add(count: &Cell<usize>) {
    count.set(count.get() + 1);
}

impl Counts {
    fn command(&self, line: &str) {
        match line.split_once(' ') {
            Some(("until", count)) => {
                self.until.set(Some(count.parse().expect("a count")));
                self.check();
            }
            _ => self.report(),
        }
    }

    fn check(&self) {
        if self.until.get() == Some(self.open.get()) {
            self.until.set(None);
            say("so many");
        }
    }

    fn report(&self) {
        let heap = heap();
        let Counts { open, made, lost, pauses, resumes, why, .. } = self;
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() - 1);
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec * 1000 + cpu.tv_nsec / 1_000_000;
        say(&format!(
            "open={} made={} lost={} pauses={} resumes={} why={} heap={heap} descriptors={descriptors} cpu={cpu}",
            open.get(),
            made.get(),
            lost.get(),
            pauses.get(),
            resumes.get(),
            why.borrow(),
        ));
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

struct Server {
    mode: Mode,
    counts: Rc<Counts>,
}

impl Factory for Server {
    type Protocol = Connection;

    fn build_protocol(&self, _peer: &Address) -> Option<Connection> {
        Some(Connection { mode: self.mode, counts: self.counts.clone() })
    }
}

struct Connection {
    mode: Mode,
    counts: Rc<Counts>,
}

impl Protocol for Connection {
    fn connection_made(&mut self, cx: &Context<Self>) {
        add(&self.counts.open);
        add(&self.counts.made);
        match self.mode {
            Mode::Greet | Mode::Scarce => cx.write("hello"),
            Mode::Produce => Pieces::start(cx, &self.counts),
            Mode::Flood => flood(Transport::clone(cx)),
            Mode::Whole => {
                cx.write((0..WHOLE).map(|n| n as u8).collect::<Vec<u8>>());
                cx.lose_connection();
            }
        }
        self.counts.check();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.counts.open.set(self.counts.open.get() - 1);
        add(&self.counts.lost);
        let full = why.value::<WriteBufferFull>().map(|full| format!("full:{}:{}", full.queued, full.limit));
        *self.counts.why.borrow_mut() = full.unwrap_or_else(|| why.to_string().replace(' ', "-"));
        self.counts.check();
    }
}

fn flood(transport: Transport) {
    if transport.is_connected() {
        transport.write(vec![b'x'; 1 << 20]);
        Reactor::current().call_later(std::time::Duration::ZERO, move || flood(transport));
    }
}

/// A push producer.
struct Pieces {
    to: Transport,
    counts: Rc<Counts>,
    left: Cell<usize>,
    paused: Cell<bool>,
}

impl Pieces {
    fn start(to: &Transport, counts: &Rc<Counts>) {
        let pieces = Rc::new(Pieces {
            to: to.clone(),
            counts: counts.clone(),
            left: Cell::new(PRODUCED),
            paused: Cell::new(false),
        });
        to.register_producer(Handle(pieces.clone()), true).expect("the first one");
        pieces.write();
    }

    fn write(&self) {
        const PIECE: usize = 32 << 10;
        while !self.paused.get() && self.left.get() > 0 {
            self.left.set(self.left.get() - PIECE);
            self.to.write([b'x'; PIECE]);
        }
        if self.left.get() == 0 && !self.paused.get() {
            self.to.unregister_producer();
            self.to.lose_connection();
        }
    }
}

struct Handle(Rc<Pieces>);

impl Producer for Handle {
    fn resume_producing(&self) {
        add(&self.0.counts.resumes);
        self.0.paused.set(false);
        self.0.write();
    }

    fn pause_producing(&self) {
        add(&self.0.counts.pauses);
        self.0.paused.set(true);
    }

    fn stop_producing(&self) {}
}

pub(crate) fn run(mode: Mode) {
    let most = if mode == Mode::Scarce { 64 } else { 20_000 };
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) }).expect("a limit");
    let reactor = Reactor::new().expect("a reactor");
    let counts = Rc::new(Counts::default());
    let port = reactor.listen_tcp(0, Server { mode, counts: counts.clone() }).expect("a port");
    say(&port.get_host().expect("it listens").to_string());
    thread_local! {
        static COUNTS: RefCell<Option<Rc<Counts>>> = const { RefCell::new(None) };
    }
    COUNTS.set(Some(counts));
    let remote = reactor.remote();
    thread::spawn(move || {
        for line in io::stdin().lines() {
            let line = line.expect("a line");
            let asked = remote.call_from_thread(move |_| {
                COUNTS.with_borrow(|counts| counts.as_ref().expect("set").command(&line));
            });
            asked.expect("it runs");
        }
        remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it runs");
    });
    reactor.run_without_signal_handlers().expect("a run");
}
