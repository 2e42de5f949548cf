//! What comes of an action in a callback.

use crate::{actions::Action, callbacks::Callback};
use twistor::{Failure, Result};

/// What is to be in a cell's log, whatever the order.
pub(crate) struct Outcome {
    pub(crate) word: &'static str,
    pub(crate) events: Vec<&'static str>,
    /// The action ends the run.
    pub(crate) ends_the_run: bool,
}

/// What an action without a carrier of its own is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// A method of the connection's protocol runs.
    OwnMethod,
    /// The connection is there, and no method of its protocol runs.
    Connection,
    /// The connection is over.
    Lost,
    /// The protocol is gone as well.
    Gone,
    /// A method of the UDP port's protocol runs; the connection is there.
    Port,
}

fn about(callback: Callback) -> About {
    match callback {
        Callback::ConnectionMade | Callback::DataReceived | Callback::LineReceived => About::OwnMethod,
        Callback::ConnectionLost => About::Lost,
        Callback::Drop => About::Gone,
        Callback::DatagramReceived => About::Port,
        _ => About::Connection,
    }
}

pub(crate) fn outcome(callback: Callback, action: Action) -> Outcome {
    let about = about(callback);
    let (word, mut events) = effect(callback, about, action);
    // What has brought it about.
    if matches!(about, About::Lost | About::Gone) {
        events.extend(["own lost: done", "peer lost: done"]);
    }
    let ends_the_run = end_the_run(callback, &[action]);
    if ends_the_run {
        events.extend(closing(callback, about));
    } else if callback == Callback::DatagramReceived && action != Action::LoseConnection {
        events.push("another datagram");
    }
    Outcome { word, events, ends_the_run }
}

pub(crate) fn end_the_run(callback: Callback, actions: &[Action]) -> bool {
    // What comes after a panic is not done.
    let last = actions.iter().position(|action| *action == Action::Panic).map_or(actions.len(), |at| at + 1);
    actions[..last].iter().any(|action| match action {
        Action::Stop => callback != Callback::Trigger,
        // Without a Deferred the shutdown does not wait.
        Action::Panic => callback == Callback::Trigger,
        _ => false,
    })
}

/// What must be so whatever was done: a panic is reported once, and an end comes once and never inside of a callback.
pub(crate) fn hold(actions: &[Action], log: &[String]) -> Result<()> {
    let count = |event: &str| log.iter().filter(|seen| seen.contains(event)).count();
    let panics = usize::from(actions.contains(&Action::Panic));
    let rules = [
        (count("reported") == panics, "a panic is reported once"),
        (["own lost", "peer lost", "second lost"].iter().all(|end| count(end) <= 1), "an end comes once"),
        (count("in: own lost") + count("in: peer lost") == 0, "an end does not come inside of a callback"),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err(Failure::msg(format!("not so: {rule}; found {log:?}"))),
        None => Ok(()),
    }
}

/// What the end of a run tells: connections and ports are closed.
fn closing(callback: Callback, about: About) -> Vec<&'static str> {
    match (callback, about) {
        (_, About::Lost | About::Gone) => vec![],
        (_, About::Port) => vec!["own lost: lost", "peer lost: lost", "port stopped"],
        (Callback::BuildProtocol, _) => vec!["own lost: lost", "peer lost: lost", "second lost: lost"],
        _ => vec!["own lost: lost", "peer lost: lost"],
    }
}

/// Of events that come while the callback runs, `in: ` says so; the others come after it has returned.
fn effect(callback: Callback, about: About, action: Action) -> (&'static str, Vec<&'static str>) {
    match (action, about) {
        (Action::Write, About::Port) => ("sent", vec!["sender got answer"]),
        (Action::Write, About::OwnMethod | About::Connection) => ("sent", vec!["peer got answer"]),
        (Action::LoseConnection, About::Port) => ("stopped", vec!["port stopped"]),
        (Action::LoseConnection, About::OwnMethod | About::Connection) => {
            ("done", vec!["own lost: done", "peer lost: done"])
        }
        (Action::Abort, About::OwnMethod | About::Connection | About::Port) => {
            ("aborted", vec!["own lost: aborted", "peer lost: lost"])
        }
        (Action::Write | Action::LoseConnection | Action::Abort, About::Lost | About::Gone) => {
            ("nothing", vec![])
        }
        (Action::Stop, _) if callback == Callback::Trigger => ("refused", vec!["in: does not stop"]),
        (Action::Stop, _) => ("the run ends", vec!["in: stops"]),
        (Action::AddCallback, _) => ("inside", vec!["in: stage", "late stage"]),
        (Action::Fire, About::Connection) => ("inside", vec!["in: stage", "in: method"]),
        (Action::Fire, About::OwnMethod | About::Port) => ("inside, after", vec!["in: stage", "method"]),
        (Action::Fire, About::Lost) => ("inside, after", vec!["in: stage", "method"]),
        (Action::Fire, About::Gone) => ("inside, gone", vec!["in: stage", "in: no method"]),
        (Action::Cancel, _) => ("inside", vec!["in: canceller", "in: cancelled"]),
        (Action::Connect, _) => ("made", vec!["made"]),
        (Action::Listen, _) => ("serves", vec!["serves", "made", "made"]),
        (Action::Drop, _) => ("abandoned", vec!["in: abandoned"]),
        (Action::Panic, About::OwnMethod) => {
            ("lost by it", vec!["own lost: panicked", "peer lost: done", "reported"])
        }
        (Action::Panic, _) if callback == Callback::BuildProtocol => {
            ("lost by it", vec!["second lost: done", "reported"])
        }
        (Action::Panic, _) if matches!(callback, Callback::Stage | Callback::Task) => {
            ("a failure", vec!["reported"])
        }
        (Action::Panic, _) => ("reported", vec!["reported"]),
    }
}
