//! The world: one clock, one network, and the reactors that live there, in the order in which they were made.

use super::{bell::Bells, driver::VirtualDriver, network::Network, random::Random};
use crate::{
    error::SimulationError,
    reactor::{Drive, Reactor, Signal, core::Core},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// So often at most the reactors look for something to do while no time goes by, before it is said that they never sleep.
const LOOKS: u32 = 200_000;
/// So long another thread may take to ring, if the test does not say.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct World {
    /// What the clocks of the reactors call the beginning.
    origin: Instant,
    now: Cell<Duration>,
    /// How many looks there were since time went by.
    looks: Cell<u32>,
    residents: RefCell<Vec<Resident>>,
    pub(super) seed: u64,
    /// Gives what else is left to chance a seed.
    seeds: RefCell<Random>,
    pub(super) network: RefCell<Network>,
    pub(super) bells: Arc<Bells>,
    /// Until when those sleep that somebody else drives, and who will be polled again by themselves.
    guests: RefCell<BTreeMap<usize, Duration>>,
    /// How many looks there may be.
    pub(super) most_looks: Cell<u32>,
    pub(super) patience: Cell<Duration>,
    /// How far each look at the clock puts it on.
    #[cfg(test)]
    pub(super) tick: Cell<Duration>,
}

/// A reactor of the world.
struct Resident {
    core: Weak<Core>,
    run: Run,
}

/// Who runs a reactor.
enum Run {
    /// Nobody yet; or somebody else, by `run` or `drive`.
    Elsewhere,
    /// The simulation, from now on.
    New(Drive),
    /// The simulation.
    Here(Drive),
    /// The simulation, at this moment.
    Now,
    /// Its run here has ended.
    Over,
}

/// What ends a sleep.
pub(super) enum Sleep {
    /// There is something to do, or the time has come.
    Over,
    /// Another guest has something to do; its host is to poll it first.
    Another,
    /// Nothing in this world.
    Never,
}

/// How a reactor sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleeper {
    /// In its own run, which nothing but the world goes on beside.
    Alone,
    /// In a host, that polls others too.
    Guest,
}

impl World {
    pub(super) fn new(seed: u64) -> Rc<World> {
        Rc::new(World {
            origin: Instant::now(),
            now: Cell::default(),
            looks: Cell::default(),
            residents: RefCell::default(),
            seed,
            seeds: RefCell::new(Random::new(seed)),
            network: RefCell::new(Network::new(seed)),
            bells: Arc::default(),
            guests: RefCell::default(),
            most_looks: Cell::new(LOOKS),
            patience: Cell::new(PATIENCE),
            #[cfg(test)]
            tick: Cell::default(),
        })
    }

    /// Makes another reactor.
    pub(super) fn add_reactor(self: &Rc<Self>) -> Reactor {
        let number = self.count();
        self.bells.add();
        let reactor = Reactor::of(Core::new(Rc::new(VirtualDriver::new(self.clone(), number))));
        self.residents
            .borrow_mut()
            .push(Resident { core: Rc::downgrade(&reactor.core), run: Run::Elsewhere });
        reactor
    }

    fn count(&self) -> usize {
        self.residents.borrow().len()
    }

    pub(super) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(super) fn instant(&self) -> Instant {
        #[cfg(test)]
        self.now.set(self.now.get() + self.tick.get());
        self.origin + self.now.get()
    }

    /// The clock goes on, never back; what is on its way arrives.
    pub(super) fn advance_to(&self, now: Duration) {
        if now > self.now.get() {
            self.now.set(now);
            self.looks.set(0);
            self.network.borrow_mut().advance_to(now);
        }
    }

    /// Whoever waits for a socket is woken, if there is something: for one of the test itself; or a reactor that sleeps as a guest, and has none to look.
    /// Whether there was anybody.
    pub(super) fn wake_watchers(&self) -> bool {
        let woken = self.network.borrow_mut().take_woken();
        let guests = self.bells.guests().into_iter();
        let called: Vec<usize> =
            guests.filter(|guest| !self.network.borrow_mut().ready(*guest).is_empty()).collect();
        let any = !woken.is_empty() || !called.is_empty();
        woken.into_iter().for_each(Waker::wake);
        called.into_iter().for_each(|guest| self.bells.wake(guest));
        any
    }

    /// The number of the reactor's sockets or its bell tell that it has something to do.
    pub(super) fn is_called(&self, number: usize) -> bool {
        self.wake_watchers();
        self.bells.is_rung(number) || !self.network.borrow_mut().ready(number).is_empty()
    }

    /// A reactor has looked for something to do. An error when that goes on and on and no time goes by.
    pub(super) fn look(&self) -> Result<(), SimulationError> {
        let looks = self.looks.get() + 1;
        self.looks.set(looks);
        if looks < self.most_looks.get() {
            return Ok(());
        }
        self.looks.set(0);
        Err(SimulationError::NeverSleeps { at: self.now.get() })
    }

    /// The reactor of that number has nothing to do until that time: the others go on, then time does.
    pub(super) fn sleep(
        &self,
        number: usize,
        until: Option<Instant>,
        sleeper: Sleeper,
    ) -> Result<Sleep, SimulationError> {
        let until = until.map(|until| self.since_origin(until));
        let is_guest = sleeper == Sleeper::Guest;
        loop {
            self.look()?;
            let woken = self.wake_watchers();
            if self.is_called(number) || until.is_some_and(|until| until <= self.now.get()) {
                return Ok(Sleep::Over);
            }
            if is_guest && (woken || self.is_a_guest_due()) {
                return Ok(Sleep::Another);
            }
            let next = if is_guest { self.next_guest().into_iter().chain(until).min() } else { until };
            if !self.turn_all() && !self.jump(next) {
                return Ok(Sleep::Never);
            }
        }
    }

    fn since_origin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    /// A guest gives way to whatever else its host has, and will be polled again. Time does not pass its deadline before.
    pub(super) fn lie_down(&self, number: usize, until: Option<Instant>) {
        if let Some(until) = until {
            self.guests.borrow_mut().insert(number, self.since_origin(until));
        }
    }

    /// The guest is polled, or its run is over.
    pub(super) fn get_up(&self, number: usize) {
        self.bells.forget_waker(number);
        self.guests.borrow_mut().remove(&number);
    }

    fn next_guest(&self) -> Option<Duration> {
        self.guests.borrow().values().min().copied()
    }

    /// Whether a guest's time has come. Each is told once: one that its host never polls again holds nobody up.
    fn is_a_guest_due(&self) -> bool {
        let mut guests = self.guests.borrow_mut();
        let before = guests.len();
        guests.retain(|_, until| *until > self.now.get());
        guests.len() < before
    }

    /// A seed for something that is left to chance; each time another one.
    pub(super) fn another_seed(&self) -> u64 {
        self.seeds.borrow_mut().next()
    }

    /// Has the time of what comes next come, unless `until` is before; or a little more. False if nothing ever comes.
    pub(super) fn jump(&self, until: Option<Duration>) -> bool {
        let next = [until, self.next()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        let jump = self.network.borrow_mut().clock_jump();
        self.advance_to(next.saturating_add(jump));
        self.network.borrow_mut().note_clock();
        true
    }

    /// When something is due in the network or at a reactor that is run here.
    pub(super) fn next(&self) -> Option<Duration> {
        let residents = self.residents.borrow();
        let here = residents.iter().filter(|resident| matches!(resident.run, Run::New(_) | Run::Here(_)));
        let timers = here.filter_map(|resident| {
            let core = resident.core.upgrade()?;
            Some(self.since_origin(core.instant(core.timers.next_deadline()?)))
        });
        timers.chain(self.network.borrow().next_event()).min()
    }

    // ---- the reactors that are run here -----------------------------------------------------------------------------

    /// Whether the call comes from something that a reactor calls.
    pub(super) fn is_turning(&self) -> bool {
        let residents = self.residents.borrow();
        residents.iter().filter_map(|resident| resident.core.upgrade()).any(|core| core.turning.get())
    }

    /// A signal comes to all of them. Whether one takes it.
    pub(super) fn raise(&self, signal: Signal) -> bool {
        let cores: Vec<_> =
            self.residents.borrow().iter().filter_map(|resident| resident.core.upgrade()).collect();
        cores.iter().filter(|core| core.raise(signal)).count() > 0
    }

    /// Runs from now on those that nobody runs yet.
    pub(super) fn start_all(&self) {
        for number in 0..self.count() {
            let mut residents = self.residents.borrow_mut();
            let resident = &mut residents[number];
            let Run::Elsewhere = resident.run else { continue };
            if let Some(core) = resident.core.upgrade().filter(|core| core.is_idle()) {
                resident.run = Run::New(Reactor::of(core).drive());
            }
        }
    }

    /// Each that is run here, and has something to do, does it. Whether one had.
    pub(super) fn turn_all(&self) -> bool {
        let mut any = false;
        for number in 0..self.count() {
            any |= self.turn(number);
        }
        any
    }

    fn turn(&self, number: usize) -> bool {
        let Some((core, mut drive)) = self.take(number) else { return false };
        match Pin::new(&mut drive).poll(&mut Context::from_waker(&core.waker)) {
            Poll::Pending => self.put(number, Run::Here(drive)),
            Poll::Ready(result) => {
                self.put(number, Run::Over);
                if let Err(failure) = result {
                    panic!("reactor {number} of the simulation has failed: {failure}");
                }
            }
        }
        true
    }

    /// Takes the run of a reactor, if it is here and there is something to do.
    fn take(&self, number: usize) -> Option<(Rc<Core>, Drive)> {
        let (core, is_new) = {
            let resident = &self.residents.borrow()[number];
            (resident.core.upgrade()?, matches!(resident.run, Run::New(_)))
        };
        // Nothing is borrowed: whoever is woken here is the program's code, which may make another reactor.
        if !is_new && !self.is_called(number) && !core.has_something_to_do() {
            return None;
        }
        let resident = &mut self.residents.borrow_mut()[number];
        match std::mem::replace(&mut resident.run, Run::Now) {
            Run::New(drive) | Run::Here(drive) => Some((core, drive)),
            other => {
                resident.run = other;
                None
            }
        }
    }

    fn put(&self, number: usize, run: Run) {
        self.residents.borrow_mut()[number].run = run;
    }

    /// Whether the simulation turns it at this moment, and it is not to wait for the others.
    pub(super) fn is_turned(&self, number: usize) -> bool {
        matches!(self.residents.borrow()[number].run, Run::Now)
    }

    /// Leaves all runs, as `crash` does.
    pub(super) fn leave_all(&self) {
        for number in 0..self.count() {
            let run = std::mem::replace(&mut self.residents.borrow_mut()[number].run, Run::Over);
            drop(run);
        }
    }

    // ---- the sleep that nothing ends --------------------------------------------------------------------------------

    /// Nothing in this world ends the sleep of that reactor, or of all. Another thread may: it is waited for, a while.
    pub(super) fn wait_for_threads(&self, number: Option<usize>) -> Result<(), SimulationError> {
        let cores = self.cores(number);
        let numbers: Vec<usize> = cores.iter().map(|(number, _)| *number).collect();
        let may_be_rung = cores.iter().any(|(_, core)| core.may_be_rung());
        if may_be_rung && self.bells.listen(&numbers, self.patience.get()) {
            return Ok(());
        }
        let pending = cores.iter().flat_map(|(number, core)| self.describe(*number, core)).collect();
        Err(SimulationError::SleepsForEver { at: self.now.get(), pending })
    }

    /// The reactors that sleep: that one and those that are run here.
    fn cores(&self, asleep: Option<usize>) -> Vec<(usize, Rc<Core>)> {
        let residents = self.residents.borrow();
        let all = residents.iter().enumerate();
        let sleeping =
            all.filter(|(number, resident)| asleep == Some(*number) || matches!(resident.run, Run::Here(_)));
        sleeping.filter_map(|(number, resident)| Some((number, resident.core.upgrade()?))).collect()
    }

    fn describe(&self, number: usize, core: &Core) -> Vec<String> {
        let mut pending = self.network.borrow().describe(number);
        if core.tasks().is_some() {
            pending.push("tasks".to_string());
        }
        pending.into_iter().map(|what| format!("reactor {number}: {what}")).collect()
    }
}
