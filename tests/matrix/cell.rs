//! One callback with its actions, run and judged.

use crate::{
    actions::{Action, PANIC},
    callbacks::Callback,
    rules::{self, Outcome},
    scene::Scene,
};
use std::{fs, rc::Rc};
use twistor::{
    Failure, Reactor, Result, defer,
    error::Panicked,
    report::{self, HookGuard},
    testing::Simulation,
};

/// Where a cell is run.
#[derive(Debug)]
pub(crate) enum World {
    Virtual(Simulation),
    /// With the number of descriptors that were open before.
    Real(usize),
}

impl World {
    pub(crate) fn both() -> [World; 2] {
        [World::Virtual(Simulation::new()), World::Real(descriptors())]
    }

    fn reactor(&self) -> Reactor {
        match self {
            World::Virtual(simulation) => simulation.reactor(),
            World::Real(_) => Reactor::new().expect("a reactor"),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            World::Virtual(_) => "virtual",
            World::Real(_) => "real",
        }
    }

    /// How many are open that were not before.
    fn sockets(&self) -> usize {
        match self {
            World::Virtual(simulation) => simulation.sockets(),
            World::Real(before) => descriptors().saturating_sub(*before),
        }
    }
}

/// How many descriptors the process has: nobody else opens any, for all that this program does is done by one thread.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("it is there").count()
}

/// What is wrong with an action in a callback, if anything is.
pub(crate) fn differs(world: World, callback: Callback, action: Action, outcome: &Outcome) -> Option<String> {
    let cell = format!("{} in {} on the {} reactor", action.name(), callback.name(), world.name());
    let ran = run(&world, callback, &[action], outcome.events.len(), outcome.ends_the_run);
    let verdict = ran.and_then(|mut found| {
        let mut expected = outcome.events.clone();
        // The rules say what comes inside of the callback, and no further order.
        found.sort();
        expected.sort();
        let same = found == expected;
        same.then_some(()).ok_or_else(|| Failure::msg(format!("expected {expected:?}, found {found:?}")))
    });
    verdict.err().map(|failure| format!("{cell}: {failure}"))
}

/// What is wrong with two actions in a callback, one after the other, if anything is.
pub(crate) fn breaks(world: World, callback: Callback, actions: [Action; 2]) -> Option<String> {
    let [first, second] = actions.map(Action::name);
    let cell = format!("{first}, {second} in {} on the {} reactor", callback.name(), world.name());
    let ends = rules::end_the_run(callback, &actions);
    let verdict = run(&world, callback, &actions, 0, ends).and_then(|log| rules::hold(&actions, &log));
    verdict.err().map(|failure| format!("{cell}: {failure}"))
}

/// The log; an error if the cell is not over in time or leaves something behind.
fn run(
    world: &World,
    callback: Callback,
    actions: &[Action],
    events: usize,
    ends: bool,
) -> Result<Vec<String>> {
    let before = defer::pending().len();
    let (scene, acted) = Scene::new(world.reactor(), callback, actions);
    let hook = log_reports(&scene);
    let result = scene.run(acted, events, ends);
    drop(hook);
    let (log, reports) = (scene.log.take(), scene.reports.take());
    let (open, still) = (scene.open.get(), Rc::downgrade(&scene));
    drop(scene);
    result.map_err(|failure| Failure::msg(format!("{failure}; found {log:?}")))?;
    if let Some(report) = reports.first() {
        return Err(Failure::msg(format!("{} reports, of which the first: {report}", reports.len())));
    }
    let left = [
        ("ends that are open", usize::try_from(open).unwrap_or(usize::MAX)),
        ("scenes", still.strong_count()),
        ("pending Deferreds", defer::pending().len() - before),
        ("sockets", world.sockets()),
    ];
    match left.iter().find(|(_, count)| *count != 0) {
        Some((what, count)) => Err(Failure::msg(format!("{count} {what} left; found {log:?}"))),
        None => Ok(log),
    }
}

/// The panic that is an action is expected, and nothing else, at the end of the run neither.
fn log_reports(scene: &Rc<Scene>) -> HookGuard {
    let scene = scene.clone();
    report::hook(move |report| {
        let panicked = report.failure.value::<Panicked>();
        match panicked.is_some_and(|panicked| panicked.message() == PANIC) {
            true => scene.log("reported"),
            false => scene.reports.borrow_mut().push(report.to_string()),
        }
    })
}
