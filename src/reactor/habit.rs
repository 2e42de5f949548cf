//! Where to sleep: on the poll set, or in async-io.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Where to sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sleep {
    /// On the poll set.
    #[default]
    Directly,
    /// In async-io.
    InAsyncIo,
}

/// Learns from the wakes where to sleep.
#[derive(Default)]
pub(super) struct Habit {
    sleep: Sleep,
    /// How many sleeps in a row spoke for the other way.
    against: u32,
    /// When async-io ended a sleep last.
    pub(super) woken: Duration,
}

impl Habit {
    /// So many sleeps in a row that async-io ended: a foreign future is at work.
    pub(super) const ENTER: u32 = 8;
    /// So many sleeps in a row that something else ended: it has stopped.
    pub(super) const LEAVE: u32 = 64;
    /// Wakes that are further apart are nothing to park for. What async-io's own thread costs is then little; and whoever parks in async-io has
    /// that thread get up now and then to see whether it is needed, which sparse traffic pays for.
    pub(super) const NEAR: Duration = Duration::from_millis(5);

    /// A sleep has ended. `woken` is the time, if it was async-io that ended it.
    pub(super) fn slept(&mut self, woken: Option<Duration>) -> Sleep {
        let is_at_work = woken.is_some_and(|now| {
            let before = std::mem::replace(&mut self.woken, now);
            now.saturating_sub(before) <= Self::NEAR
        });
        let (speaks_against, limit) = match self.sleep {
            Sleep::Directly => (is_at_work, Self::ENTER),
            Sleep::InAsyncIo => (!is_at_work, Self::LEAVE),
        };
        self.against = if speaks_against { self.against + 1 } else { 0 };
        if self.against == limit {
            self.against = 0;
            self.sleep = match self.sleep {
                Sleep::Directly => Sleep::InAsyncIo,
                Sleep::InAsyncIo => Sleep::Directly,
            };
        }
        self.sleep
    }

    /// It has to sleep directly after all.
    pub(super) fn stay(&mut self) {
        (self.sleep, self.against) = (Sleep::Directly, 0);
    }
}

/// The right to park in async-io. There is one in the process: async-io has one lock, and of two who sleep in it one would be woken for the sockets of the
/// other. Foreign futures of a reactor that does not have it are driven by the one that has, or by async-io's thread.
///
/// Who has it keeps it while it has tasks and foreign wakes come, or nothing at all does: one whose foreign futures have ended, but not all of its tasks, gives
/// it back only with [`Habit::LEAVE`] other wakes.
pub(super) struct Parking(());

static TAKEN: AtomicBool = AtomicBool::new(false);

impl Parking {
    pub(super) fn claim() -> Option<Parking> {
        // Made only if it is had: its drop gives the right back.
        (!TAKEN.swap(true, Ordering::Relaxed)).then(|| Parking(()))
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Relaxed);
    }
}
