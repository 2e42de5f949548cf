//! [`Pool`]: threads that work for a reactor, and the jobs that wait for one.
//!
//! A thread is made when there is a job that nobody is free for, and ends when there was none for a while. Between the runs of its reactor a pool has no
//! threads. A reactor in memory never has any: the jobs of its pools are done in its own thread, each by a call that is left for it.

mod pools;
#[cfg(test)]
mod tests;

pub(crate) use pools::Pools;

use super::{core::Core, remote::WeakMailbox};
use crate::{
    failure::{Failure, Result},
    report,
    snapshot::{Entry, Kind, here::Birth},
};
use slab::Slab;
use std::{
    collections::VecDeque,
    io, mem,
    ops::RangeInclusive,
    rc::Rc,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Who has waited so long for a job ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done in a thread; or, in the reactor's, told that none is to be had.
pub(crate) type Work = Box<dyn FnOnce(Result<()>) -> After + Send>;

/// Tells others of a job, which counts as done by then.
pub(crate) type After = Option<Box<dyn FnOnce() + Send>>;

/// How a thread is made.
type Spawn = fn(thread::Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;

/// The reactor's side of a pool: whoever asks for something does it in the reactor's thread.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    hands: Hands,
    whose: Whose,
}

/// Who does the jobs.
enum Hands {
    Threads(Spawn),
    /// A reactor in memory, in its own thread.
    Reactor(WeakMailbox),
}

/// Whose work it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The program's: it is shown, and done before the run is over.
    Program,
    /// The loop's own, which nobody misses: it is left behind, and shown as what it is for.
    Loop,
}

struct Shared {
    /// What its threads are called, each with a number.
    name: String,
    /// How long a thread waits for a job before it ends.
    patience: Duration,
    state: Mutex<State>,
    /// There is something for threads that wait.
    bell: Condvar,
}

struct State {
    stage: Stage,
    /// So many threads stay, and so many there are at most.
    size: RangeInclusive<usize>,
    queue: VecDeque<Job>,
    /// The jobs that are being done, each with the number of its thread.
    running: Slab<(Birth, Option<usize>)>,
    /// How many threads wait for a job, or are about to look for one.
    idle: usize,
    /// How many were made and have not begun yet.
    new: usize,
    threads: Slab<JoinHandle<()>>,
    /// Those that have nothing more to do than to end.
    ended: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The reactor does not run: jobs wait.
    Closed,
    /// Jobs are done.
    Open,
    /// What waits is still done, then the threads end.
    Ending,
}

struct Job {
    birth: Birth,
    work: Work,
}

/// How much a pool has to do.
pub(crate) struct Load {
    pub(crate) idle: usize,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

impl Pool {
    /// A pool of that reactor, which opens and closes it.
    pub(crate) fn new(core: &Core, name: String, size: RangeInclusive<usize>, whose: Whose) -> Rc<Pool> {
        let hands = match core.driver.is_virtual() {
            true => Hands::Reactor(core.mailbox.downgrade()),
            false => Hands::Threads(|thread, life| thread.spawn(life)),
        };
        let pool = Rc::new(Pool::with(hands, name, size, whose, PATIENCE));
        core.pools.add(pool.clone());
        pool
    }

    fn with(
        hands: Hands,
        name: String,
        size: RangeInclusive<usize>,
        whose: Whose,
        patience: Duration,
    ) -> Pool {
        let state = State {
            stage: Stage::Closed,
            size,
            queue: VecDeque::new(),
            running: Slab::new(),
            idle: 0,
            new: 0,
            threads: Slab::new(),
            ended: vec![],
        };
        let shared = Shared { name, patience, state: Mutex::new(state), bell: Condvar::new() };
        Pool { shared: Arc::new(shared), hands, whose }
    }

    /// Has a job done. They are begun in the order they came.
    pub(crate) fn put(&self, birth: Birth, work: Work) {
        let mut state = self.shared.lock();
        state.queue.push_back(Job { birth, work });
        self.attend(state, 1);
    }

    /// Takes a job back that has not begun.
    pub(crate) fn take_back(&self, serial: u32) -> Option<Work> {
        let mut state = self.shared.lock();
        let at = state.queue.iter().position(|job| job.birth.serial == serial)?;
        state.queue.remove(at).map(|job| job.work)
    }

    pub(crate) fn size(&self) -> RangeInclusive<usize> {
        self.shared.lock().size.clone()
    }

    pub(crate) fn resize(&self, size: RangeInclusive<usize>) {
        let mut state = self.shared.lock();
        state.size = size;
        self.shared.bell.notify_all(); // those who are too many leave
        self.attend(state, 0);
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.shared.lock();
        Load { idle: state.idle, running: state.running.len(), waiting: state.queue.len() }
    }

    /// The reactor runs.
    fn open(&self) {
        let mut state = self.shared.lock();
        if state.stage == Stage::Closed {
            state.stage = Stage::Open;
            let waiting = state.queue.len();
            self.attend(state, waiting);
        }
    }

    /// Sees to it that somebody is there for so many new jobs, and for the size.
    fn attend(&self, state: MutexGuard<'_, State>, new: usize) {
        if state.stage == Stage::Closed {
            return;
        }
        match &self.hands {
            Hands::Threads(spawn) => self.shared.attend(state, *spawn),
            Hands::Reactor(mailbox) => {
                drop(state);
                for _ in 0..new {
                    let shared = self.shared.clone();
                    // If nobody makes calls any more, what waits is done when the pool is closed.
                    mailbox.put(Box::new(move |_| {
                        shared.do_one();
                    }));
                }
            }
        }
    }

    /// The run is over. The program's work is done before this returns, what waits too; if it was opened, and there may be a thread at all.
    fn close(&self) {
        let mut state = self.shared.lock();
        if state.stage == Stage::Open && self.whose == Whose::Program {
            state.stage = Stage::Ending;
            drop(state);
            match self.hands {
                Hands::Reactor(_) => while self.shared.do_one() {},
                Hands::Threads(_) => self.shared.join(),
            }
            state = self.shared.lock();
        }
        state.stage = Stage::Closed;
        let left = mem::take(&mut state.queue);
        drop(state);
        self.shared.bell.notify_all(); // those that were not waited for
        drop(left);
    }

    fn is_at_rest(&self) -> bool {
        let state = self.shared.lock();
        state.queue.is_empty() && state.threads.is_empty()
    }

    /// Its jobs, as they are shown.
    fn entries(&self, now: u32) -> Vec<Entry> {
        if self.whose == Whose::Loop {
            return vec![];
        }
        let name = &self.shared.name;
        let entry = |birth: &Birth, what: String| Entry::of(birth, Kind::Job { what }, now);
        let state = self.shared.lock();
        let running = state.running.iter().map(|(_, (birth, thread))| match thread {
            Some(thread) => entry(birth, format!("runs in {name}-{thread}")),
            None => entry(birth, format!("runs in {name}")),
        });
        let waiting = state.queue.iter().map(|job| entry(&job.birth, format!("waits for {name}")));
        running.chain(waiting).collect()
    }
}

impl Drop for Pool {
    /// Its threads end when they have done what waits.
    fn drop(&mut self) {
        self.shared.lock().stage = Stage::Ending;
        self.shared.bell.notify_all();
    }
}

impl State {
    fn count(&self) -> usize {
        self.idle + self.new + self.running.len()
    }

    /// What is put between two runs waits for the next, also where a thread of the last is left.
    fn next(&mut self) -> Option<Job> {
        if self.stage == Stage::Closed { None } else { self.queue.pop_front() }
    }

    /// Whether a thread that has no job is to end.
    fn can_spare_one(&self, waited: bool) -> bool {
        self.stage != Stage::Open || waited && self.count() > *self.size.start()
    }
}

/// A panic here is none of a job's, which is caught by who has put it; but of what is dropped with one.
fn guarded<T>(f: impl FnOnce() -> Option<T>) -> Option<T> {
    report::guarded(f).unwrap_or_else(|panicked| {
        report::unhandled("a job in a thread", panicked);
        None
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread, or makes those that are missing. Without any, what waits is told so.
    fn attend(self: &Arc<Self>, mut state: MutexGuard<'_, State>, spawn: Spawn) {
        if state.idle > 0 {
            self.bell.notify_one();
        }
        let hired = self.hire(&mut state, spawn);
        let refused = match &hired {
            Err(_) if state.count() == 0 => mem::take(&mut state.queue),
            _ => VecDeque::new(), // those who are there come to it
        };
        drop(state);
        if let Err(error) = hired.map_err(Failure::from) {
            refused.into_iter().for_each(|job| tell((job.work)(Err(error.clone()))));
        }
    }

    fn hire(self: &Arc<Self>, state: &mut State, spawn: Spawn) -> io::Result<()> {
        state.ended.retain(|thread| !thread.is_finished());
        while state.count() < *state.size.start()
            || state.queue.len() > state.idle + state.new && state.count() < *state.size.end()
        {
            let place = state.threads.vacant_entry();
            let (number, shared) = (place.key(), self.clone());
            let thread = thread::Builder::new().name(format!("{}-{number}", self.name));
            // It begins by waiting for the lock.
            place.insert(spawn(thread, Box::new(move || shared.serve(number)))?);
            state.new += 1;
        }
        Ok(())
    }

    /// The life of a thread.
    fn serve(&self, number: usize) {
        let mut state = self.lock();
        state.new -= 1;
        state.idle += 1;
        let mut waited = false;
        while state.count() <= *state.size.end() {
            if let Some(job) = state.next() {
                state.idle -= 1;
                state = self.run(state, job, Some(number));
                waited = false;
            } else if state.can_spare_one(waited) {
                break;
            } else {
                (state, waited) = self.wait(state);
            }
        }
        state.idle -= 1;
        // Whoever joins has taken it out.
        if let Some(thread) = state.threads.try_remove(number) {
            state.ended.push(thread);
        }
    }

    /// Waits for a job. Whether that was in vain, and long enough.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        if state.count() <= *state.size.start() {
            return (self.bell.wait(state).unwrap_or_else(PoisonError::into_inner), false);
        }
        let waited = self.bell.wait_timeout(state, self.patience);
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, result.timed_out())
    }

    /// Does a job, without the lock. Before others are told, the thread is free for what they give it.
    fn run<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        job: Job,
        thread: Option<usize>,
    ) -> MutexGuard<'a, State> {
        let running = state.running.insert((job.birth, thread));
        drop(state);
        let after = guarded(|| (job.work)(Ok(())));
        let mut state = self.lock();
        state.running.remove(running);
        state.idle += usize::from(thread.is_some());
        if after.is_none() {
            return state;
        }
        drop(state);
        tell(after);
        self.lock()
    }

    /// Does the next job in the thread that calls this. Whether there was one.
    fn do_one(&self) -> bool {
        let mut state = self.lock();
        let Some(job) = state.queue.pop_front() else { return false };
        drop(self.run(state, job, None));
        true
    }

    /// Waits for the end of all threads.
    fn join(&self) {
        self.bell.notify_all();
        while let Some(thread) = self.take_thread() {
            let _ = thread.join(); // it has told of its panics itself
        }
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        let first = state.threads.iter().next().map(|(number, _)| number);
        let thread = first.map(|number| state.threads.remove(number));
        thread.or_else(|| state.ended.pop())
    }
}

fn tell(after: After) {
    if let Some(after) = after {
        guarded(|| {
            after();
            Some(())
        });
    }
}
