//! Whether to look for a moment before sleeping.

use std::time::Duration;

/// Learns from its looks whether the next one is likely to find something.
#[derive(Clone, Copy, Default)]
pub(super) struct Spin {
    /// How long to look; zero: never.
    pub(super) time: Duration,
    /// While there is some, every wait looks.
    pub(super) credit: u32,
    /// How many waits without credit have not looked since the last that did.
    skipped: u32,
}

impl Spin {
    /// What it can have at most: traffic that stops costs a few looks in vain.
    pub(super) const MOST: u32 = 16;
    /// What a look in vain costs; one that finds something earns 1. So it pays where three of four find something.
    pub(super) const MISS: u32 = 3;
    /// Without credit one of so many waits looks: often enough to find new traffic soon, and too seldom to cost anything.
    pub(super) const PROBE: u32 = 64;

    pub(super) fn new(time: Duration) -> Spin {
        Spin { time, ..Spin::default() }
    }

    /// Whether the wait that begins looks first.
    pub(super) fn looks(&mut self) -> bool {
        if self.time.is_zero() || self.credit > 0 {
            return !self.time.is_zero();
        }
        self.skipped = (self.skipped + 1) % Self::PROBE;
        self.skipped == 0
    }

    /// It has looked, and found something or not.
    pub(super) fn learn(&mut self, found: bool) {
        self.credit =
            if found { (self.credit + 1).min(Self::MOST) } else { self.credit.saturating_sub(Self::MISS) };
    }
}
