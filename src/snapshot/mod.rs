//! What is pending, as plain data: the live tree.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | [`Snapshot`], [`Entry`]: what was there at one moment |
//! | `here` | which reactor turns and whose callback runs, for what is made meanwhile |
//! | `tree` | as a text for people |
//! | `json` | as records for programs |
//! | `lints` | what has been pending, or paused, for too long |
//!
//! [`Reactor::snapshot`](crate::Reactor::snapshot) makes one.

pub(crate) mod here;
mod json;
mod lints;
mod tree;

pub use lints::{Limits, Lint};

use self::here::Birth;
use crate::trace::Place;
use std::time::Duration;

/// What is pending at one moment: Deferreds, tasks, timers, sockets, jobs.
///
/// Plain data: it can go to another thread, and what it tells of may be long gone. `Display` gives the tree, [`to_json`](Self::to_json) the same
/// as records.
///
/// # Reading the tree
/// A node stands under who waits for it; else under its owner, the connection, port, connector or task in whose callback it was made; else
/// at the root. What no root reaches waits for itself, and stands under `cycle:`. Places are `file:line`.
///
/// # Examples
/// ```
/// use twistor::{Reactor, defer::Deferred};
///
/// let reactor = Reactor::new()?;
/// let line = line!() + 1;
/// let (forgotten, promise) = Deferred::<u8>::pending();
/// let _forgotten = forgotten.add_callback(|n| Ok(n + 1));
///
/// let tree = reactor.snapshot().to_string();
/// let lines: Vec<&str> = tree.lines().collect();
/// assert!(lines[0].starts_with("reactor  up ") && lines[0].contains("  1 deferred"));
/// assert!(lines[1].contains(&format!("made {}:{line}  then {}:{}", file!(), file!(), line + 1)), "{tree}");
/// assert!(lines[1].ends_with("  promise in user code"));
/// # drop(promise);
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// How old the reactor is; none for that of a thread.
    pub up: Option<Duration>,
    /// All that was there, in the order of the ids: the first made first, and calls of other threads last.
    pub entries: Vec<Entry>,
}

impl Snapshot {
    /// Of entries in any order. What comes twice, as it may if it was copied in slices, is taken once.
    pub(crate) fn new(up: Option<Duration>, mut entries: Vec<Entry>) -> Snapshot {
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.dedup_by_key(|entry| entry.id);
        Snapshot { up, entries }
    }

    /// Whether nothing was pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of this number.
    pub fn get(&self, id: u32) -> Option<&Entry> {
        self.position(id).map(|at| &self.entries[at])
    }

    /// Those whose parent in the tree is this one, in the order they were made. None gives those at the root.
    ///
    /// What waits for itself is nobody's child.
    pub fn children(&self, id: Option<u32>) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| self.parent(entry).map(|parent| parent.id) == id)
    }

    /// Under which one an entry stands: who waits for it, else its owner. None is the root.
    pub fn parent(&self, entry: &Entry) -> Option<&Entry> {
        let waiter = entry.waiter.and_then(|id| self.get(id));
        waiter.or_else(|| entry.made_in.and_then(|id| self.get(id)).filter(|owner| owner.id != entry.id))
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }
}

/// Of a list from [`pending`](crate::defer::pending): the tree of a thread, with or without a reactor.
impl From<Vec<Entry>> for Snapshot {
    fn from(entries: Vec<Entry>) -> Snapshot {
        Snapshot::new(None, entries)
    }
}

/// One thing that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number on its thread. All kinds have one counter, save the calls of other threads: those have the process's, from 2^31 on.
    pub id: u32,
    /// What it is.
    pub kind: Kind,
    /// The line of code that made it: the `listen_tcp` of a connection's port.
    pub made: Place,
    /// How old it is, if it was made since its reactor was. Measured from the beginning of that turn, in milliseconds.
    pub age: Option<Duration>,
    /// The chain, task or combinator that waits for it.
    pub waiter: Option<u32>,
    /// The connection, port, connector or task in whose callback it was made, or that it belongs to.
    pub made_in: Option<u32>,
    /// What will fire it, if the library holds its promise: a timer, a job, a connection.
    pub holder: Option<u32>,
    /// Of a Deferred: the stage that gave the one it waits for. Of a task: its last `.await` of a Deferred.
    pub at: Option<Place>,
    /// The stages that are still to run, as they were added; at most 16.
    pub then: Vec<Place>,
    /// How many more there are.
    pub more: usize,
}

/// How many stages an [`Entry`] names.
pub(crate) const STAGES: usize = 16;

impl Entry {
    /// Of what keeps its beginning.
    pub(crate) fn of(birth: &Birth, kind: Kind, now: u32) -> Entry {
        Entry {
            id: birth.serial,
            kind,
            made: birth.place,
            age: Some(age(now, birth.stamp.now)),
            waiter: None,
            made_in: some(birth.stamp.owner),
            holder: some(birth.stamp.holder),
            at: None,
            then: Vec::new(),
            more: 0,
        }
    }
}

/// A number, of which 0 says "none".
pub(crate) fn some(serial: u32) -> Option<u32> {
    (serial != 0).then_some(serial)
}

/// The time between two stamps. They begin anew every 49 days.
pub(crate) fn age(now: u32, then: u32) -> Duration {
    Duration::from_millis(now.wrapping_sub(then).into())
}

/// What an [`Entry`] is of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A Deferred that has no result, with its stages.
    Chain(State),
    /// Async code: spawned, an async stage, or [`ensure_deferred`](crate::defer::ensure_deferred).
    Task(State),
    /// A delayed call.
    #[non_exhaustive]
    Timer {
        /// How long until it is made. None: never.
        due: Option<Duration>,
    },
    /// A TCP port.
    #[non_exhaustive]
    Listener {
        /// Where it listens.
        address: String,
        /// How many of its connections are open.
        connections: usize,
    },
    /// A stream connection.
    #[non_exhaustive]
    Connection {
        /// The other side.
        peer: String,
        /// How many bytes came in and wait in a framer of [`protocols`](crate::protocols). 0 under a [`Layer`](crate::Layer) of the program's own, which
        /// does not say.
        incoming: usize,
        /// How many bytes were written and wait to be sent.
        outgoing: usize,
        /// How long reading has been paused.
        reading_paused: Option<Duration>,
        /// How long the producer that writes to it has been paused.
        producer_paused: Option<Duration>,
        /// It closes when all is sent.
        closing: bool,
    },
    /// A client: it looks a name up, connects, or has a connection.
    #[non_exhaustive]
    Client {
        /// Where to.
        to: String,
        /// Whether it has its connection.
        connected: bool,
    },
    /// A UDP port.
    #[non_exhaustive]
    Udp {
        /// Where it is bound.
        address: String,
    },
    /// A child process. It is there until its pipes have ended, too.
    #[non_exhaustive]
    Process {
        /// What it runs.
        executable: String,
        /// Its number. None: it has exited, and somebody else has its pipes.
        pid: Option<u32>,
        /// The descriptors of the child whose pipes are open.
        open: Vec<i32>,
        /// How many bytes were written and wait for it.
        outgoing: usize,
    },
    /// Work on another thread, such as the lookup of a name.
    #[non_exhaustive]
    Job {
        /// Which.
        what: String,
    },
    /// A call that a thread has left, and that is not made yet.
    Call,
    /// A thread is blocked until its call has a result.
    Blocked,
}

/// How far a Deferred or a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is unfired, and its promise is in the hands of the program, or of what the entry names as its holder.
    #[default]
    Unfired,
    /// It waits for several Deferreds: a list, or a race.
    Combined,
    /// It is in the line of a lock, a semaphore or a queue.
    InLine,
    /// It is a call of a protocol whose method runs: its turn comes after it.
    Queued,
    /// A stage has given a Deferred that has no result.
    Waiting,
    /// It is being fired: one of its stages runs, or its turn to be fired comes after the fires that are running.
    Firing,
    /// It is paused, and goes on when that ends.
    Paused,
    /// It is the task that is being polled.
    Running,
}
