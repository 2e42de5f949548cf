//! The virtual reactor: a clock that moves when it is told, and a network in memory.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | [`Simulation`]: the world as a test sees it |
//! | `world` | the clock, who is turned when, and how time goes on when all sleep |
//! | `driver` | the seam: what a reactor asks is asked of the world |
//! | `network` | all sockets, and what is on its way |
//! | `stream`, `udp_port` | one socket of each kind, as the kernel keeps it |
//! | `addresses` | names, addresses, ports |
//! | `faults`, `random` | what goes wrong, by the chance of a seed |
//! | `trace` | what happened |
//! | `bell` | other threads wake a reactor |
//! | `seat` | a socket of the test itself |

mod addresses;
mod bell;
mod driver;
mod faults;
mod network;
mod random;
mod seat;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod udp_port;
mod world;

pub(super) use faults::Strike;
pub use faults::{Fault, Faults};
pub(super) use seat::Seat;
pub use trace::Trace;

use self::world::World;
use crate::{
    defer::Deferred,
    failure::Result,
    reactor::{Reactor, Signal},
    testing::Peer,
};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

/// A world in memory: reactors, one clock and one network, without a socket, a thread or a sleep.
///
/// Its [reactors](Self::reactor) are the real [`Reactor`]: the same turn, timers and transports as on the system's sockets. Below the driver's seam
/// there are queues instead of a kernel: ports and connections with their buffers, half-close and reset, refusals, datagrams, names. A program does
/// not see the difference, save that each run of it is the same.
///
/// # Time
/// The clock stands still while code runs. [`advance`](Self::advance) moves it; and where a reactor would sleep, in [`Reactor::run`], it jumps to what
/// comes next. An hour of virtual time takes as long as its work does.
///
/// What goes on and on at one instant is an error; see [`busy_at_most`](Self::busy_at_most).
///
/// # Several reactors
/// They share the clock and the network, as programs on one machine do. [`pump`](Self::pump) and the other methods here turn them, each in the order in which
/// it was made. They are run from then on, as by [`Reactor::run`]: "startup" is fired, [`stop`](Reactor::stop) stops them.
///
/// Its run here is the only one: one that was stopped is not turned again, only by a [`run`](Reactor::run) of its own.
///
/// With a single one [`Reactor::run`] does as well. While it sleeps there, it turns those that the simulation runs, and no others. Of several that are
/// [driven](Reactor::drive) in one host, none has time go by while another one's time has come.
///
/// # Threads, signals, foreign futures
/// Calls from threads come when they come, and are the one thing that is not the same each time. Time does not wait for them while anything is due: a
/// timeout of 30 seconds beside a thread that takes 5 ms has always passed before the thread answers. Signals are those that the test [raises](crate::testing::raise()). A future of another package that
/// waits for the system's clock or sockets is waited for only while nothing in the simulation is due; see [`patience`](Self::patience).
///
/// # Examples
/// A server, and the test as its client:
/// ```
/// use twistor::{Context, Protocol, factory, testing::Simulation};
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.listen_tcp(7, factory(|_peer| Echo))?;
/// let peer = sim.connect(([127, 0, 0, 1], 7))?;
/// peer.send("hello")?;
/// sim.pump();
/// assert_eq!(peer.received(), b"hello");
///
/// // Where nothing listens.
/// let refused = sim.connect(([127, 0, 0, 1], 8)).unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
/// # Ok::<(), twistor::Failure>(())
/// ```
/// A timeout of an hour:
/// ```
/// use std::time::Duration;
/// use twistor::{defer::Deferred, error::TimeoutError, testing::{Simulation, assert_no_result, failure_result_of}};
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// let (deferred, _promise) = Deferred::<()>::pending();
/// let deferred = deferred.add_timeout(Duration::from_secs(3600), &reactor);
/// sim.advance(Duration::from_secs(3599));
/// assert_no_result(&deferred);
/// sim.advance(Duration::from_secs(1));
/// assert!(failure_result_of(deferred).check::<TimeoutError>());
/// ```
/// A program that runs, and one that waits for what never comes:
/// ```
/// use std::time::Duration;
/// use twistor::{Reactor, error::SimulationError, testing::Simulation};
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.call_later(Duration::from_secs(86_400), || Reactor::current().stop().expect("it runs"));
/// reactor.run()?;
/// assert_eq!(sim.now(), Duration::from_secs(86_400));
///
/// let failure = reactor.run().unwrap_err();
/// assert!(failure.check::<SimulationError>(), "{failure}");
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct Simulation {
    world: Rc<World>,
}

/// The end of all clocks: what is later never comes.
const END: Duration = Duration::from_nanos(u64::MAX);

impl Simulation {
    /// A world without a reactor, at time zero, with the seed 0.
    pub fn new() -> Simulation {
        Simulation::from_seed(0)
    }

    /// A world in which all that is left to chance comes from this seed: which [faults](Self::faults) strike, and the jitter of those who
    /// [reconnect](crate::ReconnectingClientFactory). The same seed gives the same [`trace`](Self::trace), on any machine.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Protocol, factory, testing::{Faults, Simulation}};
    /// struct Echo;
    /// impl Protocol for Echo {
    ///     fn data_received(&mut self, cx: &twistor::Context<Self>, data: &[u8]) { cx.write(data) }
    /// }
    /// fn run(seed: u64) -> String {
    ///     let sim = Simulation::from_seed(seed);
    ///     sim.faults(Faults::all());
    ///     let reactor = sim.reactor();
    ///     reactor.listen_tcp(7, factory(|_peer| Echo)).expect("it is free");
    ///     let peer = sim.connect(([127, 0, 0, 1], 7)).expect("it listens");
    ///     peer.send(vec![7; 1000]).expect("there is room");
    ///     sim.run_until_idle();
    ///     sim.trace().to_string()
    /// }
    /// assert_eq!(run(1), run(1));
    /// assert_ne!(run(1), run(2));
    /// ```
    pub fn from_seed(seed: u64) -> Simulation {
        Simulation { world: World::new(seed) }
    }

    /// What goes wrong from now on. Nothing, if not set.
    pub fn faults(&self, faults: Faults) {
        self.world.network.borrow_mut().chance.faults = faults;
    }

    /// Of all faults, whenever they are set, only these strike.
    pub(super) fn only(&self, strikes: impl IntoIterator<Item = Strike>) {
        self.world.network.borrow_mut().chance.only = Some(strikes.into_iter().collect());
    }

    /// The seed of its chance.
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// The faults that struck so far, in order.
    ///
    /// # Examples
    /// A test that asks for less after a connection was cut:
    /// ```
    /// use twistor::{Protocol, factory, testing::{Fault, Faults, Simulation}};
    /// struct Silent;
    /// impl Protocol for Silent {}
    /// let sim = Simulation::new();
    /// sim.faults(Faults::none().with(Fault::NoDescriptor, 1.0));
    /// let reactor = sim.reactor();
    /// reactor.listen_tcp(7, factory(|_peer| Silent))?;
    /// let peer = sim.connect(([127, 0, 0, 1], 7))?;
    /// sim.pump();
    /// assert!(peer.is_at_end() && sim.struck().contains(&Fault::NoDescriptor));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn struck(&self) -> Vec<Fault> {
        self.world.network.borrow().chance.struck.iter().map(|(kind, _)| *kind).collect()
    }

    /// The same, each with its number.
    pub(super) fn strikes(&self) -> Vec<Strike> {
        self.world.network.borrow().chance.struck.clone()
    }

    /// A signal comes to all reactors of the world that this one is of. Whether one of them takes it; None if that world is the real one.
    pub(super) fn raise_by(reactor: &Reactor, signal: Signal) -> Option<bool> {
        Some(Seat::world(reactor)?.raise(signal))
    }

    /// What has happened so far.
    pub fn trace(&self) -> Trace {
        self.world.network.borrow().trace.clone()
    }

    /// Makes a reactor that lives here; the real type, on a driver in memory.
    ///
    /// As everywhere, with its last handle it closes, unless it is run.
    pub fn reactor(&self) -> Reactor {
        self.world.add_reactor()
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// The time since the beginning of the simulation.
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Turns all reactors until none of them has anything to do at this instant.
    ///
    /// # Panics
    /// If there always is, with [`SimulationError::NeverSleeps`](crate::error::SimulationError::NeverSleeps); and if it is called by something that it calls.
    #[track_caller]
    pub fn pump(&self) {
        // The other ways to have time go by begin with this one.
        assert!(
            !self.world.is_turning(),
            "a reactor of this simulation calls this at the moment, so it can not be turned: only the test itself has time go by"
        );
        self.world.start_all();
        while self.world.turn_all() {}
    }

    /// Has so much time go by, or a little more if the [clock jumps](Fault::ClockJump). What is due meanwhile happens at its time and in its order; all is [pumped](Self::pump) before, after and in between.
    ///
    /// # Panics
    /// As [`pump`](Self::pump).
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        let end = self.now().saturating_add(by).min(END);
        self.pump();
        while self.world.next().is_some_and(|at| at <= end) {
            self.world.jump(Some(end));
            self.pump();
        }
        self.world.advance_to(end);
        self.pump();
    }

    /// Has time go by until nothing is due any more: all reactors sleep, no timer is set and nothing is on its way.
    ///
    /// It does not end if a call is made again and again, as by a server that pings its clients: then [`advance`](Self::advance).
    ///
    /// # Panics
    /// As [`pump`](Self::pump).
    #[track_caller]
    pub fn run_until_idle(&self) {
        self.pump();
        while self.world.jump(None) {
            self.pump();
        }
    }

    /// Has time go by until this Deferred has a result, and gives it.
    ///
    /// # Errors
    /// Its failure; [`SimulationError::SleepsForEver`](crate::error::SimulationError::SleepsForEver) if nothing is due any more and it is still pending.
    ///
    /// # Panics
    /// As [`pump`](Self::pump).
    ///
    /// # Examples
    /// ```
    /// use twistor::{defer::Deferred, error::SimulationError, testing::Simulation};
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// let answer = reactor.spawn(async { Ok(6 * 7) });
    /// assert_eq!(sim.wait_for(answer)?, 42);
    ///
    /// let (never, _promise) = Deferred::<u8>::pending();
    /// assert!(sim.wait_for(never).unwrap_err().check::<SimulationError>());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn wait_for<T>(&self, deferred: Deferred<T>) -> Result<T> {
        let mut pending = deferred;
        loop {
            self.pump();
            pending = match pending.now() {
                Ok(result) => return result,
                Err(pending) => pending,
            };
            if !self.world.jump(None) {
                self.world.wait_for_threads(None)?;
            }
        }
    }

    /// So long, of the system's time, a simulation in which nothing is due waits for another thread, or for a future of another package. A second if not
    /// set. It waits only if there is a [`Remote`](crate::reactor::Remote) or a task, and then says [`SimulationError::SleepsForEver`](crate::error::SimulationError::SleepsForEver).
    pub fn patience(&self, at_most: Duration) {
        self.world.patience.set(at_most);
    }

    /// So often at most the reactors look for something to do while no time goes by, before it is
    /// [`SimulationError::NeverSleeps`](crate::error::SimulationError::NeverSleeps). 200,000 times if not set, which is about 50,000 round trips of two programs that
    /// answer each other without a delay.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{Reactor, error::SimulationError, testing::Simulation};
    /// fn again() { Reactor::current().call_later(Duration::ZERO, again); }
    /// let sim = Simulation::new();
    /// sim.busy_at_most(100);
    /// let reactor = sim.reactor();
    /// reactor.call_later(Duration::ZERO, again);
    /// assert!(reactor.run().unwrap_err().check::<SimulationError>());
    /// ```
    pub fn busy_at_most(&self, looks: u32) {
        self.world.most_looks.set(looks);
    }

    // ---- the network ------------------------------------------------------------------------------------------------

    /// Lets so many bytes wait on the way to each end that there is.
    #[cfg(test)]
    pub(crate) fn widen(&self, capacity: usize) {
        self.world.network.borrow_mut().widen(capacity);
    }

    /// Gives a name these addresses. They are then of this machine: one can listen there, and connect.
    ///
    /// There is `localhost`, and the loopback's addresses. Other names do not resolve; to other addresses there is no route.
    ///
    /// # Examples
    /// ```
    /// use twistor::{testing::Simulation, factory, Protocol};
    /// struct Silent;
    /// impl Protocol for Silent {}
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// assert!(reactor.listen_tcp(("10.0.0.2", 80), factory(|_peer| Silent)).is_err());
    /// sim.host("db.example", ["10.0.0.2".parse().expect("an address")]);
    /// reactor.listen_tcp(("10.0.0.2", 80), factory(|_peer| Silent))?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn host(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.world.network.borrow_mut().addresses.name(name, addresses.into_iter().collect());
    }

    /// Connects the test itself to a port. The connection is there at once; it is accepted when the port's reactor is turned.
    ///
    /// # Errors
    /// Those of a socket: `ConnectionRefused` if nothing listens there, `NetworkUnreachable` if there is no such address.
    pub fn connect(&self, to: impl Into<SocketAddr>) -> io::Result<Peer> {
        Seat::connect(self.world.clone(), to.into()).map(Peer::simulated)
    }

    /// How many sockets are open: ports, both ends of connections, those too that nobody has accepted yet.
    pub fn sockets(&self) -> usize {
        self.world.network.borrow().open()
    }
}

impl Default for Simulation {
    fn default() -> Simulation {
        Simulation::new()
    }
}

impl Drop for Simulation {
    /// Reactors that are run here are left, as by [`crash`](Reactor::crash).
    fn drop(&mut self) {
        self.world.leave_all();
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now()).finish_non_exhaustive()
    }
}
