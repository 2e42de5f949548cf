//! The loop on the virtual driver: order, bounds, life. What needs the kernel is in `tests/reactor.rs`.
//!
//! With the tests of the simulation they run 99 % of the lines of `turn.rs` (112 of 113; 98 % of its regions): all but the report of a socket that panics by
//! itself, which is there for bugs of the loop. Measured with the compiler's own instruments, whose tools are the component `llvm-tools`:
//! ```sh
//! RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE=cov-%p.profraw cargo test --lib -- reactor::tests testing:: --skip parking
//! llvm-profdata merge -sparse cov-*.profraw -o all.profdata
//! llvm-cov report target/debug/deps/twistor-* -instr-profile=all.profdata src/reactor/turn.rs
//! ```

mod bounds;
mod closing;
mod panics;
mod parking;
mod shutdown;
mod startup;
mod turn;

use super::{Reactor, core::Core};
use crate::{
    Failure, Protocol, factory,
    protocol::{Context, Factory},
    report,
    tcp::ListeningPort,
    testing::{self, Simulation},
};
use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::{Arc, Mutex},
    time::Duration,
};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A reactor in memory, with what a test looks at.
struct World {
    reactor: Reactor,
    sim: Rc<Simulation>,
    /// Open until the end.
    ends: RefCell<Vec<Peer>>,
    log: Log,
    reports: Log,
    _hook: report::HookGuard,
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What happened since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// A closure that notes `what`.
    fn note(&self, what: &'static str) -> impl FnOnce() + Send + 'static {
        let log = self.clone();
        move || log.add(what)
    }
}

impl World {
    fn new() -> World {
        let (sim, reports) = (Rc::new(Simulation::new()), Log::default());
        let _hook = report::hook({
            let reports = reports.clone();
            move |report| reports.add(format!("{}: {}", report.origin, report.failure.message()))
        });
        let reactor = sim.reactor();
        World { reactor, sim, ends: RefCell::default(), log: Log::default(), reports, _hook }
    }

    fn run(&self) {
        self.reactor.run_without_signal_handlers().unwrap();
    }

    /// Listens with a protocol for each connection.
    fn serve<P: Protocol>(&self, make: impl Fn() -> P + 'static) -> ListeningPort {
        self.listen(factory(move |_peer| make()))
    }

    fn listen(&self, factory: impl Factory) -> ListeningPort {
        self.reactor.listen_tcp(("127.0.0.1", 0), factory).unwrap()
    }

    /// A client without a reactor.
    fn connect(&self, port: &ListeningPort) -> Peer {
        let to = port.get_host().unwrap().as_inet().unwrap();
        let peer = Peer(Rc::new(self.sim.connect(to).unwrap()));
        self.ends.borrow_mut().push(peer.clone());
        peer
    }

    /// What is alive as long as anything of the reactor is.
    fn core(&self) -> Weak<Core> {
        Rc::downgrade(&self.reactor.core)
    }

    /// Looks what there is, and turns once.
    fn turn(&self) {
        let core = &self.reactor.core;
        let _entered = core.enter();
        core.look().unwrap();
        core.turn();
    }

    /// Turns until nothing happens any more without time going by.
    fn settle(&self) {
        for _ in 0..8 {
            self.reactor.iterate(Duration::ZERO).unwrap();
        }
    }

    /// Calls `f` after so long.
    fn later(&self, after: u64, f: impl FnOnce() + 'static) {
        self.reactor.call_later(secs(after), f);
    }

    /// Stops after so long.
    fn stop_after(&self, after: u64) {
        self.later(after, || Reactor::current().stop().unwrap());
    }
}

/// The test's own end of a connection.
#[derive(Clone)]
struct Peer(Rc<testing::Peer>);

impl Peer {
    fn send(&self, data: &[u8]) -> usize {
        self.0.send(data).unwrap_or(0)
    }

    /// What has come; the end of the stream is "end".
    fn received(&self) -> String {
        let mut buffer = [0; 1024];
        match self.0.receive(&mut buffer) {
            Ok(0) => "end".into(),
            Ok(length) => String::from_utf8_lossy(&buffer[..length]).into(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }
}

/// Notes what it is told.
struct Noting(Log);

impl Protocol for Noting {
    fn connection_made(&mut self, _cx: &Context<Self>) {
        self.0.add("made");
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.0.add(format!("data {}", String::from_utf8_lossy(data)));
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.add(format!("lost: {}", why.message()));
    }
}

/// What is run so often at most, before a test gives up on the others: they starve.
fn at_most(times: usize) -> impl Fn() + Clone {
    let left = Rc::new(Cell::new(times));
    move || {
        left.set(left.get().saturating_sub(1));
        if left.get() == 0 {
            let _ = Reactor::current().crash();
        }
    }
}
