//! Where twistor differs from Twisted on purpose, and why.
//!
//! A case is only excused if taking away what a divergence explains leaves two equal traces.
//!
//! Where the interpreter can bring about what Twisted does, by other calls of twistor, the case is run once more so, and
//! all must be the same then. That needs no tag: the recorder sees few of the cancels that Twisted loses. Where it can
//! not, the case must be tagged by the recorder, which looks at Twisted's inside; unless it is known to miss some, which the
//! interpreter sees itself.

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
pub(crate) const TOO_LONG: &str = "when lineLengthExceeded does not disconnect, the rest of the piece is lost but its last, partial line is kept";
pub(crate) const NEGATIVE: &str = "negative delay";
pub(crate) const FIRST_DELAY: &str =
    "the first delay is the attribute delay, which only resetDelay copies from initialDelay";
pub(crate) const LOST_RESTART: &str = "start while the function's Deferred of an earlier run is pending loses the earlier start's Deferred and lets two loops run";
pub(crate) const STOP_HALF: &str =
    "stop of a Cooperator completes only every second task, as the list is changed under its iterator";
pub(crate) const FAIL_AFTER_STOP: &str =
    "a stopped task fires its whenDone Deferreds a second time when what it waited for fails";
pub(crate) const EARLY_RESUME: &str = "a task cannot tell its own pause from a user's";
pub(crate) const FORGOTTEN_CALL: &str = "resetDelay forgets the pending call without cancelling it";

/// A quirk of Twisted's that twistor does not have.
pub(crate) struct Divergence {
    pub(crate) tag: &'static str,
    /// Why twistor does otherwise.
    pub(crate) reason: &'static str,
    /// Which differences that explains.
    explains: Explains,
}

enum Explains {
    /// All that is gone when the program is run in [Twisted's manner](crate::world::Manner).
    AsTwisted,
    /// Reports of this error that Twisted makes.
    NoReportOf(&'static str),
    /// All that comes after the interpreter has seen it happen: the two programs are in different states then.
    WhatFollows,
    /// The same without a tag: the recorder sees only some of it.
    WhatFollowsUntagged,
}

use Explains::{AsTwisted, NoReportOf, WhatFollows, WhatFollowsUntagged};

/// The tags are the ones of the cases, in their words.
pub(crate) const ALL: &[Divergence] = &[
    Divergence {
        tag: UNPAUSED,
        reason: "one unpause too many would hold a chain for ever; without a pause it does nothing",
        explains: AsTwisted,
    },
    Divergence {
        tag: LIST_CANCEL,
        reason: "a list is cancelled as any chain is: once it has fired, what its stages wait for is",
        explains: AsTwisted,
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
        tag: TOO_LONG,
        reason: "a line that is too long is told once and goes, alone: the lines that come after it are given",
        explains: WhatFollows,
    },
    Divergence {
        tag: NEGATIVE,
        reason: "a Duration is not negative; `reset` has a call made sooner",
        explains: AsTwisted,
    },
    Divergence {
        tag: FIRST_DELAY,
        reason: "the initial delay is the first one; `delay` sets another for the first time",
        explains: AsTwisted,
    },
    Divergence {
        tag: FORGOTTEN_CALL,
        reason: "to stop trying gives up every delay, also one that was under way when the delays were reset",
        explains: AsTwisted,
    },
    Divergence {
        tag: LOST_RESTART,
        reason: "a loop has ended when its last call has: before that it can not be started, so it never overlaps itself",
        explains: WhatFollows,
    },
    Divergence {
        tag: STOP_HALF,
        reason: "stop ends all tasks, and whoever waits for one is told",
        explains: WhatFollows,
    },
    Divergence {
        tag: FAIL_AFTER_STOP,
        reason: "a task is over once: what it waited for does not matter any more",
        explains: WhatFollowsUntagged,
    },
    Divergence {
        tag: EARLY_RESUME,
        reason: "what is not paused can not be resumed, and the Deferred of a step is waited for in any case",
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

/// A divergence that shows in a case.
pub(crate) struct Excuse {
    pub(crate) tag: &'static str,
    /// The recorder has not seen it.
    pub(crate) untagged: bool,
}

/// What explains all differences of a case, or the first one that is left. `again` runs it in Twisted's manner.
pub(crate) fn excuse(
    case: &Case,
    ran: Ran,
    again: impl FnOnce() -> Result<Ran, String>,
) -> Result<Vec<Excuse>, String> {
    let can_be_avoided = ALL.iter().any(|divergence| divergence.can_be_avoided_in(&ran));
    let ran = if can_be_avoided { again()? } else { ran };
    let avoided = ALL.iter().filter(|divergence| divergence.can_be_avoided_in(&ran));
    let mut excuses: Vec<Excuse> = avoided.map(|divergence| divergence.excuse(case)).collect();
    let mut traces = Traces::new(case, &ran);
    let may_explain = ALL.iter().filter(|divergence| divergence.may_explain(case));
    excuses.extend(may_explain.filter(|d| d.takes_from(&mut traces)).map(|d| d.excuse(case)));
    traces.difference().map_or(Ok(excuses), Err)
}

impl Divergence {
    fn can_be_avoided_in(&self, ran: &Ran) -> bool {
        matches!(self.explains, AsTwisted) && ran.has_note(self.tag)
    }

    fn may_explain(&self, case: &Case) -> bool {
        matches!(self.explains, WhatFollowsUntagged) || self.is_tag_of(case)
    }

    fn is_tag_of(&self, case: &Case) -> bool {
        case.quirks.iter().any(|tag| tag == self.tag)
    }

    fn excuse(&self, case: &Case) -> Excuse {
        Excuse { tag: self.tag, untagged: !self.is_tag_of(case) }
    }

    /// Whether it took anything.
    fn takes_from(&self, traces: &mut Traces<'_>) -> bool {
        match self.explains {
            AsTwisted => false, // the traces are of a run without it
            NoReportOf(error) => traces.forget_report_of(error),
            WhatFollows | WhatFollowsUntagged => traces.forget_what_follows(self.tag),
        }
    }
}

impl<'a> Traces<'a> {
    fn new(case: &Case, ran: &'a Ran) -> Traces<'a> {
        let got = ran.trace.iter().cloned().enumerate().collect();
        Traces { recorded: case.expect.clone(), got, notes: &ran.notes }
    }

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

    fn difference(self) -> Option<String> {
        let got: Vec<Value> = self.got.into_iter().map(|(_, event)| event).collect();
        verdict::difference(&self.recorded, &got)
    }
}
