//! Where twistor differs from Twisted on purpose, and why.
//!
//! A case is only excused if it is tagged, and if taking away what its tags explain leaves two equal traces. The recorder
//! tags what it sees of Twisted's inside; where it looks too late, or not far enough, the interpreter's own note is the
//! tag.

use crate::{
    case::Case,
    verdict,
    world::{Note, Ran},
};
use serde_json::{Value, json};

pub(crate) const LIST_CANCEL: &str = "a fired list does not pass cancel on to what its stages wait for";
pub(crate) const UNPAUSED: &str = "the pause count goes to -1 and any count but 0 means paused";
pub(crate) const RACE_LATE: &str =
    "a race that was cancelled is fired again when a child that outlived the cancelling ends";
pub(crate) const TIE: &str =
    "the order of equal times, one of them set by reset or delay, comes from a stable sort of the old order";
pub(crate) const NEGATIVE: &str = "negative delay";

/// A quirk of Twisted's that twistor does not have.
pub(crate) struct Divergence {
    pub(crate) tag: &'static str,
    /// Why twistor does otherwise.
    pub(crate) reason: &'static str,
    /// Which differences that explains.
    explains: Explains,
}

enum Explains {
    /// Reports of this error that Twisted makes.
    NoReportOf(&'static str),
    /// All that comes after the interpreter has seen it happen: the two programs are in different states then.
    WhatFollows,
}

use Explains::{NoReportOf, WhatFollows};

/// The tags are the ones of the cases, in their words.
pub(crate) const ALL: &[Divergence] = &[
    Divergence {
        tag: UNPAUSED,
        reason: "one unpause too many would hold a chain for ever; without a pause it does nothing",
        explains: WhatFollows,
    },
    Divergence {
        tag: LIST_CANCEL,
        reason: "a list is cancelled as any chain is: once it has fired, what its stages wait for is",
        explains: WhatFollows,
    },
    Divergence {
        tag: RACE_LATE,
        reason: "the race is over, so there is nothing to fire and nobody to tell that it was",
        explains: NoReportOf("AlreadyCalled"),
    },
    Divergence {
        tag: TIE,
        reason: "calls due at the same instant are made in the order they were asked for, moved or not",
        explains: WhatFollows,
    },
    Divergence {
        tag: NEGATIVE,
        reason: "a Duration is not negative; `reset` has a call made sooner",
        explains: WhatFollows,
    },
];

/// Two traces, from which the divergences take what they explain.
struct Traces<'a> {
    recorded: Vec<Value>,
    /// Each event with its place in the whole.
    got: Vec<(usize, Value)>,
    notes: &'a [Note],
}

/// The tags that explain all differences of a case.
pub(crate) fn excuse(case: &Case, ran: &Ran) -> Option<Vec<&'static str>> {
    let got = ran.trace.iter().cloned().enumerate().collect();
    let mut traces = Traces { recorded: case.expect.clone(), got, notes: &ran.notes };
    let listed = ALL.iter().filter(|divergence| divergence.is_of(case, ran));
    let tags =
        listed.filter(|divergence| divergence.takes_from(&mut traces)).map(|divergence| divergence.tag);
    let tags: Vec<_> = tags.collect();
    traces.are_equal().then_some(tags)
}

impl Divergence {
    fn is_of(&self, case: &Case, ran: &Ran) -> bool {
        let unseen = ran.notes.iter().any(|note| note.tag == self.tag && note.unseen);
        unseen || case.quirks.iter().any(|tag| tag == self.tag)
    }

    /// Whether it took anything.
    fn takes_from(&self, traces: &mut Traces<'_>) -> bool {
        match self.explains {
            NoReportOf(error) => traces.forget_report_of(error),
            WhatFollows => traces.forget_what_follows(self.tag),
        }
    }
}

impl Traces<'_> {
    fn forget_report_of(&mut self, error: &str) -> bool {
        let before = self.recorded.len();
        self.recorded.retain(|event| *event != json!(["unhandled", [error]]));
        self.recorded.len() < before
    }

    fn forget_what_follows(&mut self, tag: &str) -> bool {
        let Some(note) = self.notes.iter().find(|note| note.tag == tag) else { return false };
        self.got.retain(|(place, _)| *place < note.at);
        let differed = self.recorded.len() > self.got.len();
        self.recorded.truncate(self.got.len());
        differed
    }

    fn are_equal(self) -> bool {
        let got: Vec<Value> = self.got.into_iter().map(|(_, event)| event).collect();
        verdict::difference(&self.recorded, &got).is_none()
    }
}
