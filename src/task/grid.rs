//! [`Grid`]: the instants at which a loop is called, and how many of them have passed.

use std::time::Duration;

/// Instants one interval apart, from an origin on. Late calls do not move them, so a loop never drifts.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) origin: Duration,
    pub(super) interval: Duration,
    /// The first call is at the origin itself.
    pub(super) at_once: bool,
}

impl Grid {
    /// How long it is from `now` to the next instant. On an instant that is a whole interval.
    pub(super) fn until_next(&self, now: Duration) -> Duration {
        let interval = self.interval.as_nanos();
        if interval == 0 {
            return Duration::ZERO;
        }
        from_nanos(interval - now.saturating_sub(self.origin).as_nanos() % interval)
    }

    /// How many instants there were after `last`, the time of the last call that counted, up to `now`. With no interval it is always one.
    pub(super) fn passed(&self, last: Option<Duration>, now: Duration) -> u64 {
        let interval = signed(self.interval);
        if interval == 0 {
            return 1;
        }
        // The instant at the origin counts if a call was due there.
        let before = if self.at_once { -interval } else { 0 };
        // From before the origin in a loop that was stopped and started anew. As in Twisted, the time between counts too.
        let last = last.map_or(before, |last| signed(last) - signed(self.origin));
        let passed = (signed(now) - signed(self.origin)) / interval - last / interval;
        u64::try_from(passed.max(0)).unwrap_or(u64::MAX)
    }
}

/// A `Duration` has less than 2^94 nanoseconds.
fn signed(time: Duration) -> i128 {
    time.as_nanos() as i128
}

fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn grid(origin: u64, interval: u64) -> Grid {
        Grid { origin: millis(origin), interval: millis(interval), at_once: true }
    }

    #[test]
    fn the_next_instant_is_on_the_grid_of_the_origin() {
        let grid = grid(250, 1000);
        for (now, until) in [(250, 1000), (251, 999), (1249, 1), (1250, 1000), (7750, 500)] {
            assert_eq!(grid.until_next(millis(now)), millis(until), "from {now}");
        }
    }

    #[test]
    fn an_interval_of_no_time_and_one_of_all_time() {
        assert_eq!(grid(3, 0).until_next(millis(9)), Duration::ZERO);
        assert_eq!(grid(3, 0).passed(Some(millis(4)), millis(9)), 1);
        let never = Grid { origin: millis(1), interval: Duration::MAX, at_once: false };
        assert_eq!(never.until_next(millis(1)), Duration::MAX);
        assert_eq!(never.passed(None, Duration::MAX), 0);
    }

    #[test]
    fn instants_that_have_passed_are_counted_once() {
        let grid = grid(500, 1000);
        assert_eq!(grid.passed(None, millis(500)), 1);
        assert_eq!(grid.passed(Some(millis(500)), millis(1499)), 0);
        assert_eq!(grid.passed(Some(millis(500)), millis(1500)), 1);
        assert_eq!(grid.passed(Some(millis(1400)), millis(4700)), 4);
        let later = Grid { at_once: false, ..grid };
        assert_eq!((later.passed(None, millis(500)), later.passed(None, millis(2600))), (0, 2));
    }

    /// Twisted cuts towards zero: of the time before the origin, a part of an interval does not count.
    #[test]
    fn the_time_while_a_loop_was_stopped_counts() {
        assert_eq!(grid(6000, 1000).passed(Some(millis(1000)), millis(6000)), 5);
        assert_eq!(grid(6500, 1000).passed(Some(millis(1000)), millis(6500)), 5);
    }
}
