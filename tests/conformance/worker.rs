//! Runs one case after the other, each within its time, on a small stack.

use crate::{
    case::Case,
    json::Op,
    suites::Exec,
    world::{self, Manner, Ran},
};
use std::{
    panic,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

/// How long a case may take. The slowest takes some milliseconds; what takes so long is in a loop.
const BOUND: Duration = Duration::from_secs(10);

/// The programs build chains of ten thousand, which must not show in the depth of the stack.
const STACK: usize = 256 << 10;

const NAME: &str = "programs";

/// Keeps quiet about panics of programs: what comes of them is in the verdict, and some are of cases that diverge.
pub(crate) fn quiet_panics() {
    let former = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(NAME) {
            former(info);
        }
    }));
}

type Job = (Vec<Op>, &'static [Exec], Manner);

/// The thread that runs the cases; a new one after a case that did not come back.
#[derive(Default)]
pub(crate) struct Workers(Option<Worker>);

struct Worker {
    jobs: Sender<Job>,
    done: Receiver<Ran>,
}

impl Workers {
    /// What came of the case, or why nothing did.
    pub(crate) fn run(
        &mut self,
        case: &Case,
        vocabulary: &'static [Exec],
        manner: Manner,
    ) -> Result<Ran, String> {
        let worker = self.0.take().unwrap_or_else(Worker::start);
        let ran = worker.run((case.program.clone(), vocabulary, manner));
        // The next case must not see what this one has left behind on its thread.
        if ran.as_ref().is_ok_and(|ran| ran.leaked == 0) {
            self.0 = Some(worker);
        }
        ran
    }
}

impl Worker {
    fn start() -> Worker {
        let ((jobs, todo), (results, done)) = (channel::<Job>(), channel());
        let work = move || {
            for (program, vocabulary, manner) in todo {
                let ran = world::run(&program, vocabulary, manner);
                if results.send(ran).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name(NAME.into()).stack_size(STACK);
        thread.spawn(work).expect("a thread can be started");
        Worker { jobs, done }
    }

    fn run(&self, job: Job) -> Result<Ran, String> {
        self.jobs.send(job).expect("the worker waits for jobs");
        self.done.recv_timeout(BOUND).map_err(|_| format!("runs for more than {BOUND:?}"))
    }
}
