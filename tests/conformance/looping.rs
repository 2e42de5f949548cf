//! `LoopingCall`, `Cooperator`, `CooperativeTask`.

use crate::{
    divergences,
    handler::Handler,
    json::{self, Fields, Op},
    val::Val,
    world::World,
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, Result,
    error::LoopAlreadyRunning,
    task::{CooperativeTask, Cooperator, LoopingCall, Step},
};

#[derive(Default)]
pub(crate) struct Tables {
    loops: RefCell<BTreeMap<i64, LoopingCall>>,
    cooperators: RefCell<BTreeMap<i64, Cooperator>>,
    tasks: RefCell<BTreeMap<i64, CooperativeTask>>,
    /// Tasks that wait for the Deferred of their step, and those of them that were stopped: for notes.
    waiting: RefCell<BTreeSet<i64>>,
    stopped: RefCell<BTreeSet<i64>>,
}

impl Tables {
    pub(crate) fn clear(&self) {
        drop(self.loops.take());
        drop(self.cooperators.take());
        drop(self.tasks.take());
    }

    fn looping(&self, op: &Op) -> LoopingCall {
        self.loops.borrow()[&op.int("x")].clone()
    }

    fn cooperator(&self, op: &Op) -> Cooperator {
        self.cooperators.borrow()[&op.int("c")].clone()
    }

    fn task(&self, op: &Op) -> CooperativeTask {
        self.tasks.borrow()[&op.int("k")].clone()
    }
}

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    let tables = &world.looping;
    match op.text("op") {
        "loop" => new_loop(world, op),
        "loop_start" => start_loop(world, op),
        "loop_stop" => drop(world.attempt(tables.looping(op).stop())),
        "loop_reset" => drop(world.attempt(tables.looping(op).reset())),
        "loop_query" => world.log(json!(["running", op["x"], tables.looping(op).running()])),
        "cooperator" => new_cooperator(world, op),
        "cooperate" => cooperate(world, op),
        "coop_start" => tables.cooperator(op).start(),
        "coop_stop" => stop(world, op),
        "coop_query" => world.log(json!(["cooperator", op["c"], tables.cooperator(op).running()])),
        "task_pause" => drop(world.attempt(tables.task(op).pause())),
        "task_resume" => resume(world, op),
        "task_stop" => stop_task(world, op),
        "task_done" => world.put(op.int("d"), tables.task(op).when_done().map(|()| Val::Null)),
        _ => return false,
    }
    true
}

// ---- LoopingCall

fn new_loop(world: &Rc<World>, op: &Op) {
    let (w, does, calls) = (world.clone(), op.clone(), Cell::new(0));
    let function = move |count: Option<u64>| {
        let call = calls.replace(calls.get() + 1);
        let mut event = vec![json!("loop"), does["x"].clone(), json!(call), json::time(w.clock_now())];
        event.extend(count.map(|count| json!(count)));
        script(&w, event, &does["script"][call]).make()
    };
    let clock = world.clock();
    let looping = match op.flag("count") {
        true => LoopingCall::with_count(&clock, move |count| function(Some(count))),
        false => LoopingCall::new(&clock, move || function(None)),
    };
    world.looping.loops.borrow_mut().insert(op.int("x"), looping);
}

/// What a function or an iterator does at one of its calls; nothing but to give a value after the end of its script.
fn script(world: &Rc<World>, event: Vec<Value>, does: &Op) -> Handler {
    let does = if does.is_null() { json!({"ret": {"value": 0}}) } else { does.clone() };
    Handler::of_a_script(world, event, does)
}

fn start_loop(world: &Rc<World>, op: &Op) {
    let looping = world.looping.looping(op);
    let interval = op.time("interval").expect("an interval is not negative");
    let ended = match looping.start(interval, op.flag("now")).now() {
        Err(pending) => pending,
        Ok(Err(failure)) if failure.check::<LoopAlreadyRunning>() => {
            if !looping.running() {
                world.note(divergences::LOST_RESTART);
            }
            world.attempt(Err::<(), _>(failure));
            return;
        }
        Ok(result) => twistor::defer::maybe_deferred(|| result),
    };
    world.put(op.int("d"), ended.map(|()| Val::Null));
}

// ---- Cooperator

fn new_cooperator(world: &Rc<World>, op: &Op) {
    let (clock, units) = (world.clock(), op.int("units"));
    let slices = move || {
        let mut left = units;
        move || {
            left -= 1;
            left <= 0
        }
    };
    let cooperator = Cooperator::with(slices, move |tick| clock.call_later(Duration::from_secs(1), tick));
    let cooperator = if op.flag("started") { cooperator } else { cooperator.not_started() };
    world.looping.cooperators.borrow_mut().insert(op.int("c"), cooperator);
}

fn cooperate(world: &Rc<World>, op: &Op) {
    let (w, task, steps) = (world.clone(), op.int("k"), op.items("steps").to_vec());
    let steps = steps.into_iter().enumerate().map(move |(number, does)| {
        w.looping.waiting.borrow_mut().remove(&task);
        let kind = does["ret"].clone();
        let given = script(&w, vec![json!("step"), json!(task), json!(number)], &does).make();
        if kind.get("value").is_some() {
            return Step::Next;
        }
        match (kind.get("raise"), given.now()) {
            (Some(_), Ok(result)) => result.into(),
            (_, Ok(result)) => twistor::defer::maybe_deferred(|| result).into(),
            (_, Err(pending)) => {
                w.looping.waiting.borrow_mut().insert(task);
                let w = w.clone();
                pending.add_errback(move |failure| note_if_stopped(&w, task, failure)).into()
            }
        }
    });
    let begun = world.looping.cooperator(op).cooperate(steps);
    world.looping.tasks.borrow_mut().insert(task, begun);
}

/// Twisted's completes every second task, and the others never.
fn stop(world: &World, op: &Op) {
    world.note(divergences::STOP_HALF);
    world.looping.cooperator(op).stop();
}

fn stop_task(world: &World, op: &Op) {
    let task = op.int("k");
    if world.looping.waiting.borrow().contains(&task) {
        world.looping.stopped.borrow_mut().insert(task);
    }
    world.attempt(world.looping.task(op).stop());
}

/// The Deferred of a step has failed. Twisted's task fails with it, even if it was stopped.
fn note_if_stopped(world: &World, task: i64, failure: Failure) -> Result<Val> {
    if world.looping.stopped.borrow().contains(&task) {
        world.note(divergences::FAIL_AFTER_STOP);
    }
    Err(failure)
}

fn resume(world: &World, op: &Op) {
    if world.looping.waiting.borrow().contains(&op.int("k")) {
        world.note(divergences::EARLY_RESUME);
    }
    world.attempt(world.looping.task(op).resume());
}
