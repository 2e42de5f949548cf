//! What has been pending, or paused, for too long.

use super::{Entry, Kind, Snapshot, tree::Age};
use crate::trace::{At, Place};
use std::{collections::BTreeMap, fmt, time::Duration};

/// How long is too long; for [`Snapshot::lints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A Deferred may be pending for so long. 60 s by default.
    pub pending: Duration,
    /// A producer, or the reading of a connection, may be paused for so long. 10 s by default.
    pub paused: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { pending: Duration::from_secs(60), paused: Duration::from_secs(10) }
    }
}

/// Something that may be wrong. `Display` gives one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// Deferreds of one place have been pending for too long.
    #[non_exhaustive]
    Pending {
        /// Where they were made.
        made: Place,
        /// How many.
        count: usize,
        /// The oldest one's id.
        oldest: u32,
        /// And its age.
        age: Duration,
    },
    /// The reading of a connection has been paused for too long: nothing comes in, nor is its end noticed.
    #[non_exhaustive]
    ReadingPaused {
        /// The connection's id.
        id: u32,
        /// Its peer.
        peer: String,
        /// For how long.
        age: Duration,
    },
    /// What writes to a connection has been paused for too long: its peer does not read.
    #[non_exhaustive]
    ProducerPaused {
        /// The connection's id.
        id: u32,
        /// Its peer.
        peer: String,
        /// How many bytes wait to be sent.
        outgoing: usize,
        /// For how long.
        age: Duration,
    },
}

impl Snapshot {
    /// What has been pending or paused for longer than that: Deferreds by the place where they were made, the oldest first, then connections.
    ///
    /// Tasks are not among them: many live as long as the program, and what one awaits is.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{Reactor, snapshot::Limits};
    /// let reactor = Reactor::new()?;
    /// // Nothing is pending. A program would ask now and then, and log what comes.
    /// let limits = Limits { pending: Duration::from_secs(30), ..Limits::default() };
    /// assert_eq!(reactor.snapshot().lints(limits), []);
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn lints(&self, limits: Limits) -> Vec<Lint> {
        let mut lints = self.pending_too_long(limits.pending);
        lints.extend(self.entries.iter().flat_map(|entry| paused(entry, limits.paused)).flatten());
        lints
    }

    fn pending_too_long(&self, limit: Duration) -> Vec<Lint> {
        let mut by_place: BTreeMap<_, (Place, usize, u32, Duration)> = BTreeMap::new();
        for entry in &self.entries {
            let Some(age) = entry.age.filter(|age| *age > limit) else { continue };
            if !matches!(entry.kind, Kind::Chain(_)) {
                continue;
            }
            let key = (entry.made.file(), entry.made.line(), entry.made.column());
            let (_, count, oldest, most) = by_place.entry(key).or_insert((entry.made, 0, entry.id, age));
            *count += 1;
            if age > *most {
                (*oldest, *most) = (entry.id, age);
            }
        }
        let mut groups: Vec<_> = by_place.into_values().collect();
        groups.sort_by_key(|(.., age)| std::cmp::Reverse(*age));
        let lint = |(made, count, oldest, age)| Lint::Pending { made, count, oldest, age };
        groups.into_iter().map(lint).collect()
    }
}

fn paused(entry: &Entry, limit: Duration) -> [Option<Lint>; 2] {
    let Kind::Connection { peer, outgoing, reading_paused, producer_paused, .. } = &entry.kind else {
        return [None, None];
    };
    let too_long = |paused: &Option<Duration>| paused.filter(|age| *age > limit);
    let (id, outgoing) = (entry.id, *outgoing);
    [
        too_long(reading_paused).map(|age| Lint::ReadingPaused { id, peer: peer.clone(), age }),
        too_long(producer_paused).map(|age| Lint::ProducerPaused { id, peer: peer.clone(), outgoing, age }),
    ]
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lint::Pending { made, count: 1, oldest, age } => {
                write!(f, "1 deferred made {} is pending, #{oldest}, for {}", At(made), Age(*age))
            }
            Lint::Pending { made, count, oldest, age } => {
                let (made, age) = (At(made), Age(*age));
                write!(f, "{count} deferreds made {made} are pending, the oldest, #{oldest}, for {age}")
            }
            Lint::ReadingPaused { id, peer, age } => {
                write!(f, "conn {peer} #{id} has not been read for {}: its reading is paused", Age(*age))
            }
            Lint::ProducerPaused { id, peer, outgoing, age } => {
                let age = Age(*age);
                write!(
                    f,
                    "conn {peer} #{id} has had its producer paused for {age}: {outgoing} B wait for the peer"
                )
            }
        }
    }
}
