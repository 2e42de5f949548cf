//! What goes wrong in a simulation, by chance.

use super::random::{Random, below};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
    time::Duration,
};

/// A kind of fault. Each is something that a kernel or a network does to a program that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// What is sent takes its time. The bytes of one direction stay in order.
    Delay,
    /// A read gives a part of what is there.
    PartialRead,
    /// A write takes a part of what there is room for.
    PartialWrite,
    /// A connection has no room, for a while.
    FullBuffer,
    /// A connection is reset, for both ends.
    Reset,
    /// A connection ends in order, for both ends, though neither has ended it: what was sent before arrives, what comes after does not.
    Close,
    /// A connection is refused, though something listens there.
    Refusal,
    /// There is no descriptor for a connection, on either side: EMFILE.
    NoDescriptor,
    /// A datagram does not arrive.
    DatagramLoss,
    /// A datagram is late, so that others overtake it.
    DatagramReorder,
    /// A datagram arrives twice.
    DatagramDuplication,
    /// The clock goes further than to the next deadline, as when a program was not scheduled.
    ClockJump,
    /// Sockets that are ready at once are told in another order.
    Order,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 13] = [
        Fault::Delay,
        Fault::PartialRead,
        Fault::PartialWrite,
        Fault::FullBuffer,
        Fault::Reset,
        Fault::Close,
        Fault::Refusal,
        Fault::NoDescriptor,
        Fault::DatagramLoss,
        Fault::DatagramReorder,
        Fault::DatagramDuplication,
        Fault::ClockJump,
        Fault::Order,
    ];
}

/// A word or two in lower case.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Delay => "delay",
            Fault::PartialRead => "partial read",
            Fault::PartialWrite => "partial write",
            Fault::FullBuffer => "full buffer",
            Fault::Reset => "reset",
            Fault::Close => "close",
            Fault::Refusal => "refusal",
            Fault::NoDescriptor => "no descriptor",
            Fault::DatagramLoss => "datagram loss",
            Fault::DatagramReorder => "datagram reorder",
            Fault::DatagramDuplication => "datagram duplication",
            Fault::ClockJump => "clock jump",
            Fault::Order => "order",
        })
    }
}

/// How likely each kind of fault is, at each occasion, and how large; for [`Simulation::faults`](super::Simulation::faults).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::testing::{Fault, Faults};
/// let faults = Faults::none()
///     .with(Fault::Reset, 0.01)
///     .with(Fault::Delay, 0.5)
///     .lasting(Fault::Delay, Duration::from_millis(1)..=Duration::from_millis(80));
/// assert_eq!(faults.kinds().collect::<Vec<_>>(), [Fault::Delay, Fault::Reset]);
/// assert_eq!(faults.without(Fault::Reset).kinds().count(), 1);
/// assert_eq!(Faults::all().kinds().count(), Fault::ALL.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "they are given to a simulation"]
pub struct Faults {
    kinds: BTreeMap<Fault, Setting>,
}

/// One fault that struck: the number says the how many-th of its kind it was, from 0.
pub(in super::super) type Strike = (Fault, u32);

#[derive(Clone, Debug, PartialEq)]
struct Setting {
    /// Of 2^32.
    probability: u64,
    shortest: Duration,
    longest: Duration,
}

const CERTAIN: u64 = 1 << 32;
/// How long those last that take time, if not set.
const LASTING: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl Faults {
    /// None.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// All of them: those that a program should not notice often, those that end connections about once in a hundred occasions.
    pub fn all() -> Faults {
        Fault::ALL.into_iter().fold(Faults::none(), |faults, kind| {
            faults.with(
                kind,
                match kind {
                    Fault::Delay | Fault::PartialRead | Fault::PartialWrite | Fault::Order => 0.3,
                    Fault::FullBuffer | Fault::DatagramLoss | Fault::ClockJump => 0.1,
                    Fault::DatagramReorder | Fault::DatagramDuplication => 0.1,
                    Fault::Refusal | Fault::NoDescriptor => 0.05,
                    Fault::Reset | Fault::Close => 0.01,
                },
            )
        })
    }

    /// Has this kind strike with that probability, from 0 to 1, at each occasion.
    ///
    /// An occasion is a call of a reactor on a socket, such as a read; for [`ClockJump`](Fault::ClockJump), a sleep.
    pub fn with(mut self, kind: Fault, probability: f64) -> Faults {
        let (shortest, longest) =
            self.kinds.get(&kind).map_or(LASTING, |setting| (setting.shortest, setting.longest));
        let probability = (probability.clamp(0.0, 1.0) * CERTAIN as f64) as u64;
        self.kinds.insert(kind, Setting { probability, shortest, longest });
        self
    }

    /// How long a delay, a full buffer, a datagram's lateness or the clock's jump is. 1 to 100 ms if not set.
    ///
    /// It says nothing of a kind that does not strike.
    pub fn lasting(mut self, kind: Fault, range: RangeInclusive<Duration>) -> Faults {
        if let Some(setting) = self.kinds.get_mut(&kind) {
            (setting.shortest, setting.longest) = range.into_inner();
        }
        self
    }

    /// The same without this kind.
    pub fn without(mut self, kind: Fault) -> Faults {
        self.kinds.remove(&kind);
        self
    }

    /// The kinds that may strike.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> {
        self.kinds.keys().copied()
    }
}

/// Faults with the chance that decides on them. Each kind has a chance of its own, so that to leave one out changes nothing for the others.
///
/// Other faults may be set in the middle of a run: what has struck stays, and each kind goes on from where it was.
#[derive(Debug, Default)]
pub(super) struct Chance {
    seed: u64,
    pub(super) faults: Faults,
    /// The only ones that may strike, whatever is set; none for all.
    pub(super) only: Option<BTreeSet<Strike>>,
    /// The chance of each kind that has had an occasion, and how often it struck.
    kinds: BTreeMap<Fault, (Random, u32)>,
    /// Those that struck.
    pub(super) struck: Vec<Strike>,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance { seed, ..Chance::default() }
    }

    /// An occasion for this kind. If it strikes, how hard: a random number.
    pub(super) fn strikes(&mut self, kind: Fault) -> Option<u64> {
        let probability = self.faults.kinds.get(&kind)?.probability;
        let own = || (Random::new(Random::new(self.seed ^ ((kind as u64 + 1) << 56)).next()), 0);
        let (random, count) = self.kinds.entry(kind).or_insert_with(own);
        // Always two numbers, so that what strikes later does not depend on what did before.
        let (whether, how) = (random.next() >> 32, random.next());
        if whether >= probability {
            return None;
        }
        let strike = (kind, *count);
        *count += 1;
        if self.only.as_ref().is_some_and(|only| !only.contains(&strike)) {
            return None;
        }
        self.struck.push(strike);
        Some(how)
    }

    /// The same for a kind that lasts: how long.
    pub(super) fn lasts(&mut self, kind: Fault) -> Option<Duration> {
        let how = self.strikes(kind)?;
        let Setting { shortest, longest, .. } = self.faults.kinds.get(&kind)?;
        let more = longest.saturating_sub(*shortest).as_nanos() as u64;
        Some(*shortest + Duration::from_nanos(below(how, more.saturating_add(1))))
    }

    /// The same for a kind that leaves a part: how much of `whole`, at least one.
    pub(super) fn leaves(&mut self, kind: Fault, whole: usize) -> usize {
        if whole < 2 {
            return whole; // no occasion
        }
        self.strikes(kind).map_or(whole, |how| 1 + below(how, whole as u64 - 1) as usize)
    }
}
