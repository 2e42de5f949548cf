//! The way of a failure: the places it went by, from the Deferred that was made to the one that awaited.
//!
//! A place costs nothing until something fails: each stage, source and handle keeps one
//! `&'static Location`, and only the failing path copies them into the [`Failure`](crate::Failure).

use std::{fmt, panic::Location};

/// A line of source code.
pub type Place = &'static Location<'static>;

/// What happened to a failure at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The Deferred of this chain was made here.
    Made,
    /// The promise was fired here.
    Fired,
    /// This stage, added with `add_callback` or its like, gave the failure.
    Callback,
    /// This stage, added with `add_errback`, gave the failure.
    Errback,
    /// This stage, added with `add_both`, gave the failure.
    Both,
    /// The failure itself was made here: the line of the `?`, of `fail(..)`, of `errback(..)`.
    Failed,
    /// This stage had no use for it and passed it on.
    Passed,
    /// The chain that waited for the failed one goes on from this stage.
    Into,
    /// An `.await` received it here.
    Awaited,
    /// `cancel()` was called here.
    Cancelled,
}

/// One entry of a [`Way`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub event: Event,
    /// Where. For stages in a row that passed the failure on: the last one.
    pub place: Place,
    /// How many stages in a row passed it on, else 1.
    pub times: u32,
}

/// The first events are kept, and the newest.
const FIRST: usize = 5;
const KEPT: usize = 8;

/// The way of a failure: at most eight events, the first five and the newest three.
#[derive(Clone, Copy, Default)]
pub struct Way {
    steps: [Option<Step>; KEPT],
    omitted: u32,
}

impl Way {
    /// The events in the order they happened.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().map_while(|step| *step)
    }

    /// How many events between the first five and the newest three are left out.
    pub fn omitted(&self) -> u32 {
        self.omitted
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps[0].is_none()
    }

    pub(crate) fn push(&mut self, event: Event, place: Place) {
        let used = self.steps().count();
        if event == Event::Passed
            && let Some(last) = self.steps[..used].last_mut().and_then(Option::as_mut)
            && last.event == Event::Passed
        {
            last.times += 1;
            last.place = place;
            return;
        }
        let step = Some(Step { event, place, times: 1 });
        if used < KEPT {
            self.steps[used] = step;
            return;
        }
        self.steps.copy_within(FIRST + 1.., FIRST);
        self.steps[KEPT - 1] = step;
        self.omitted += 1;
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps().enumerate() {
            if i > 0 {
                f.write_str(" -> ")?;
            }
            if i == FIRST && self.omitted > 0 {
                write!(f, "({} more) -> ", self.omitted)?;
            }
            write!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.event, self.times) {
            (Event::Made, _) => write!(f, "made at {}", At(self.place)),
            (Event::Passed, times @ 2..) => write!(f, "passed {times} stages, last {}", At(self.place)),
            (event, _) => write!(f, "{event} {}", At(self.place)),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Event::Made => "made",
            Event::Fired => "fired",
            Event::Callback => "callback",
            Event::Errback => "errback",
            Event::Both => "both",
            Event::Failed => "failed",
            Event::Passed => "passed",
            Event::Into => "into",
            Event::Awaited => "awaited",
            Event::Cancelled => "cancelled",
        })
    }
}

/// Writes `file:line`. A function passed as a value, such as `map_err(Failure::from)`, has its place in the
/// standard library, which tells nothing.
pub(crate) struct At(pub(crate) Place);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.file().starts_with("/rustc/") {
            return f.write_str("an unknown place");
        }
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_in_a_row_are_one_and_the_middle_of_a_long_way_is_left_out() {
        let mut way = Way::default();
        way.push(Event::Made, Location::caller());
        way.push(Event::Passed, Location::caller());
        way.push(Event::Passed, Location::caller());
        assert_eq!(way.steps().map(|s| s.times).collect::<Vec<_>>(), [1, 2]);
        for _ in 0..8 {
            way.push(Event::Into, Location::caller());
        }
        assert_eq!((way.steps().count(), way.omitted()), (8, 2));
        assert_eq!(way.steps().next().map(|s| s.event), Some(Event::Made));
        assert!(way.to_string().contains("(2 more) -> into"), "{way}");
    }
}
