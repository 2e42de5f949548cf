//! What a reactor looks after, copied out: all at once, or in slices between its turns.

use super::{core::Core, remote::Beginning};
use crate::{
    defer::record,
    snapshot::{
        Entry, Kind, Snapshot,
        here::{self, Birth, Stamp},
    },
    time::DelayedCall,
};
use std::{rc::Rc, time::Duration};

/// How far a [`Reading`] is.
#[derive(Clone, Copy)]
enum Step {
    Chains,
    /// The delayed calls, from this one on.
    Timers(usize),
    /// The sockets, from this one on.
    Sockets(usize),
    /// Clients, jobs and calls from threads, of which there are few.
    Rest,
    Over,
}

impl Step {
    fn further(self, by: usize) -> Step {
        match self {
            Step::Timers(from) => Step::Timers(from.saturating_add(by)),
            Step::Sockets(from) => Step::Sockets(from.saturating_add(by)),
            step => step,
        }
    }

    fn next(self) -> Step {
        match self {
            Step::Chains => Step::Timers(0),
            Step::Timers(_) => Step::Sockets(0),
            Step::Sockets(_) => Step::Rest,
            Step::Rest | Step::Over => Step::Over,
        }
    }
}

/// Copies what is pending. It runs no code of the program's, and reads no clock but the reactor's.
pub(crate) struct Reading {
    core: Rc<Core>,
    chains: record::Reader,
    /// Those that waited at the beginning: the heap that has them changes from turn to turn.
    timers: Vec<DelayedCall>,
    entries: Vec<Entry>,
    step: Step,
}

impl Reading {
    pub(crate) fn of(core: &Rc<Core>) -> Reading {
        let (chains, timers) = (record::Reader::of(core.serial), core.timers.in_no_order());
        Reading { core: core.clone(), chains, timers, entries: Vec::new(), step: Step::Chains }
    }

    /// Looks at so many more things; whether there are more.
    pub(crate) fn read(&mut self, at_most: usize) -> bool {
        let _turn = here::turn(self.core.serial, self.core.now());
        let now = here::stamp().now;
        let step = self.step;
        let more = match step {
            Step::Chains => self.chains.read(at_most),
            Step::Timers(from) => self.timers(from, at_most, now),
            Step::Sockets(from) => self.sockets(from, at_most, now),
            Step::Rest => self.rest(now),
            Step::Over => false,
        };
        self.step = if more { step.further(at_most) } else { step.next() };
        !matches!(self.step, Step::Over)
    }

    fn timers(&mut self, from: usize, at_most: usize, now: u32) -> bool {
        let time = self.core.now();
        let end = from.saturating_add(at_most).min(self.timers.len());
        // What was made or cancelled meanwhile is not pending any more.
        for timer in self.timers[from.min(end)..end].iter().filter(|timer| timer.active()) {
            let due = timer.deadline().map(|due| due.saturating_sub(time));
            self.entries.push(Entry::of(timer.birth(), Kind::Timer { due }, now));
        }
        end < self.timers.len()
    }

    fn sockets(&mut self, from: usize, at_most: usize, now: u32) -> bool {
        let (sockets, more) = self.core.some_sockets(from, at_most);
        self.entries.extend(sockets.iter().filter_map(|socket| socket.entry(&self.core, now)));
        more
    }

    fn rest(&mut self, now: u32) -> bool {
        let clients: Vec<_> = self.core.clients.borrow().iter().filter_map(|(_, c)| c.upgrade()).collect();
        self.entries.extend(clients.iter().filter_map(|client| client.entry(&self.core, now)));
        self.entries.extend(self.core.jobs.entries(now));
        self.entries.extend(self.core.pools.entries(now));
        let call = |Beginning { number, place }| {
            let birth = Birth { serial: number, stamp: Stamp::default(), place };
            Entry { age: None, ..Entry::of(&birth, Kind::Call, now) }
        };
        self.entries.extend(self.core.mailbox.beginnings().into_iter().map(call));
        false
    }

    pub(crate) fn finish(self) -> Read {
        Read { up: self.core.now(), chains: self.chains, entries: self.entries }
    }
}

/// What was read, and is still to be put in order: plain data, which can go to another thread for that.
pub(crate) struct Read {
    up: Duration,
    chains: record::Reader,
    entries: Vec<Entry>,
}

impl Read {
    pub(crate) fn snapshot(self) -> Snapshot {
        let mut entries = self.entries;
        entries.extend(self.chains.finish());
        Snapshot::new(Some(self.up), entries)
    }
}

/// All at once.
pub(crate) fn read(core: &Rc<Core>) -> Snapshot {
    let mut reading = Reading::of(core);
    while reading.read(usize::MAX) {}
    reading.finish().snapshot()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Simulation;
    use std::collections::BTreeSet;

    fn dues(entries: &[Entry]) -> BTreeSet<Duration> {
        let due = |entry: &Entry| match entry.kind {
            Kind::Timer { due } => due.expect("it comes"),
            _ => panic!("{entry:?}"),
        };
        entries.iter().map(due).collect()
    }

    /// Whatever the turns between two slices do to the heap: a timer that waits all the time was missed when it moved to a place that was read before.
    #[test]
    fn timers_that_wait_while_it_reads_are_all_there_and_those_that_do_not_are_not() {
        const TIMERS: u64 = 200;
        let sim = Simulation::new();
        let reactor = sim.reactor();
        let secs = Duration::from_secs;
        let calls: Vec<_> = (1..=TIMERS).map(|n| reactor.call_later(secs(n), || ())).collect();
        let mut reading = Reading::of(&reactor.core);
        let mut gone = 0;
        while reading.read(10) {
            for _ in 0..5 {
                let _ = calls[gone].cancel(); // the first, whose place the last one takes
                gone += 1;
            }
        }
        let seen = dues(&reading.finish().snapshot().entries);
        let stay: BTreeSet<_> = (gone as u64 + 1..=TIMERS).map(secs).collect();
        let missed: Vec<_> = stay.difference(&seen).collect();
        assert!(gone > 50 && missed.is_empty(), "{missed:?}");

        let mut reading = Reading::of(&reactor.core);
        for call in &calls {
            let _ = call.cancel(); // some were
        }
        while reading.read(10) {}
        assert!(dues(&reading.finish().snapshot().entries).is_empty());
    }
}
