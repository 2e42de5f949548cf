//! Keeps programs running: each is started again when it has ended, later and later while it ends at once.
//!
//! Run with: `cargo run --example supervisor -- --delay 500 -- "sleep 1; echo done" "exit 3"`. After `--` comes a shell's command for each program;
//! the delay is the first one, in milliseconds.
//!
//! You will see what they write, each line with the program's number, and how they end. Ctrl-C asks them to end, and ends with them; who does not
//! hear is killed 3 seconds later.

#[expect(dead_code, reason = "it listens on no port")]
mod support;

use std::{
    cell::{Cell, RefCell},
    env,
    os::fd::AsFd,
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, ProcessContext, ProcessProtocol, Reactor, Result,
    defer::{Deferred, gather_results},
    process::Spawn,
    reactor::Phase,
};

/// Who lives longer is started again as soon as at first.
const SETTLED: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// How long they have to end when they are asked to.
const GRACE: Duration = Duration::from_secs(3);

struct Supervisor {
    reactor: Reactor,
    first_delay: Duration,
    ending: Cell<bool>,
    running: RefCell<Vec<ProcessContext<Worker>>>,
}

struct Program {
    number: usize,
    command: String,
    delay: Cell<Duration>,
}

/// A program while it runs.
struct Worker {
    supervisor: Rc<Supervisor>,
    program: Rc<Program>,
    started: Duration,
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
}

impl Supervisor {
    /// What it says on its error output goes where ours does.
    fn start(self: &Rc<Self>, program: Rc<Program>) -> Result<()> {
        let errors = std::io::stderr().as_fd().try_clone_to_owned()?;
        let how = Spawn::new("/bin/sh").args(["-c", &program.command]).give(2, errors);
        let started = self.reactor.now();
        let worker = Worker { supervisor: self.clone(), program, started, line: vec![] };
        self.running.borrow_mut().push(self.reactor.spawn_process(worker, how)?);
        Ok(())
    }

    fn start_later(self: &Rc<Self>, program: Rc<Program>) {
        let delay = program.delay.get();
        program.delay.set((delay * 2).min(LONGEST_DELAY));
        let this = self.clone();
        self.reactor.call_later(delay, move || {
            if !this.ending.get()
                && let Err(failure) = this.start(program.clone())
            {
                println!("{}: {failure}", program.number);
                this.start_later(program);
            }
        });
    }

    /// Asks all to end, and waits for them. That one ends by a signal is what was asked for.
    fn end(&self) -> Deferred<Vec<()>> {
        self.ending.set(true);
        let running = self.running.borrow().clone();
        signal(&running, "TERM");
        let late = running.clone();
        self.reactor.call_later(GRACE, move || signal(&late, "KILL"));
        gather_results(running.iter().map(|child| child.ended().add_both(|_| Ok(()))))
    }
}

fn signal(children: &[ProcessContext<Worker>], name: &str) {
    for child in children {
        let _ = child.signal_process(name); // it may have exited by itself
    }
}

impl ProcessProtocol for Worker {
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        println!("{}: started as {}", self.program.number, cx.pid().unwrap_or_default());
        cx.close_stdin();
    }

    fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                print!("{}: {}", self.program.number, String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
    }

    fn process_exited(&mut self, cx: &ProcessContext<Self>, why: Failure) {
        println!("{}: {}", self.program.number, why.message());
        cx.close_stdout(); // who is left behind may have it still
    }

    fn process_ended(&mut self, cx: &ProcessContext<Self>, _why: Failure) {
        let Worker { supervisor, program, started, .. } = self;
        supervisor.running.borrow_mut().retain(|child| !child.is(cx));
        if supervisor.reactor.now() - *started > SETTLED {
            program.delay.set(supervisor.first_delay);
        }
        supervisor.start_later(program.clone());
    }
}

fn main() -> Result<()> {
    let first_delay = Duration::from_millis(support::option("--delay")?.unwrap_or(500));
    let commands: Vec<String> = env::args().skip_while(|argument| argument != "--").skip(1).collect();
    if commands.is_empty() {
        return Err(Failure::msg("which programs? -- \"sleep 1\" \"exit 3\""));
    }
    let reactor = Reactor::new()?;
    let (ending, running) = Default::default();
    let supervisor = Rc::new(Supervisor { reactor: reactor.clone(), first_delay, ending, running });
    for (number, command) in (1..).zip(commands) {
        supervisor.start(Rc::new(Program { number, command, delay: Cell::new(first_delay) }))?;
    }
    let all_ended = move || supervisor.end().add_callback(|_| Ok(()));
    reactor.add_system_event_trigger(Phase::Before, "shutdown", all_ended);
    reactor.run()
}
