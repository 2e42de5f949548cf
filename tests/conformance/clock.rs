//! `Clock` and `DelayedCall`.

use crate::{
    divergences,
    json::{self, Fields, Op},
    world::World,
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use twistor::{error::NotActive, time::DelayedCall};

#[derive(Default)]
pub(crate) struct Calls {
    calls: RefCell<BTreeMap<i64, DelayedCall>>,
    /// Those whose time was changed: for notes.
    moved: RefCell<BTreeSet<i64>>,
}

impl Calls {
    pub(crate) fn clear(&self) {
        drop(self.calls.take());
    }

    fn get(&self, number: i64) -> DelayedCall {
        self.calls.borrow()[&number].clone()
    }

    fn all(&self) -> BTreeMap<i64, DelayedCall> {
        self.calls.borrow().clone()
    }

    fn number(&self, call: &DelayedCall) -> i64 {
        let calls = self.all();
        *calls.iter().find(|(_, other)| *other == call).expect("every call has a number").0
    }
}

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    match op.text("op") {
        "later" => later(world, op),
        "call_cancel" => drop(world.attempt(world.calls.get(op.int("c")).cancel())),
        "call_reset" => change(world, op, DelayedCall::reset),
        "call_delay" => change(world, op, DelayedCall::delay),
        "call_active" => ask(world, op, "active", |call| json!(call.active())),
        "call_time" => ask(world, op, "time", |call| json::time(call.get_time())),
        "calls" => list(world),
        "seconds" => world.log(json!(["seconds", json::time(world.clock().now())])),
        "pump" => world.clock().pump(op.items("ts").iter().map(|t| json::seconds(t).expect("time goes on"))),
        _ => return false,
    }
    true
}

fn later(world: &Rc<World>, op: &Op) {
    let (number, does, w) = (op.int("c"), op.clone(), world.clone());
    let after = op.time("t").expect("a call is made later");
    let call = world.clock().call_later(after, move || made(&w, number, &does));
    world.calls.calls.borrow_mut().insert(number, call);
}

fn made(world: &Rc<World>, number: i64, does: &Op) {
    note_if_tied(world, number);
    world.log(json!(["call", number, json::time(world.clock().now())]));
    world.effects(does, "do");
}

/// Another call waits for the same instant, and one of the two was moved there.
fn note_if_tied(world: &World, number: i64) {
    let (calls, moved) = (world.calls.all(), world.calls.moved.borrow());
    let time = calls[&number].get_time();
    let tied = |(other, call): (&i64, &DelayedCall)| {
        call.active() && call.get_time() == time && (moved.contains(other) || moved.contains(&number))
    };
    if calls.iter().any(tied) {
        world.note(divergences::TIE);
    }
}

fn change(world: &World, op: &Op, how: fn(&DelayedCall, Duration) -> Result<(), NotActive>) {
    let call = world.calls.get(op.int("c"));
    let Some(time) = op.time("t") else { return sooner(world, &call, op["t"].as_f64()) };
    if call.active() {
        world.calls.moved.borrow_mut().insert(op.int("c"));
    }
    world.attempt(how(&call, time));
}

/// Twisted's `delay` of less than nothing.
fn sooner(world: &World, call: &DelayedCall, delay: Option<f64>) {
    if world.is_twisteds(divergences::NEGATIVE) {
        let by = Duration::from_secs_f64(-delay.expect("a delay is a number"));
        let after = call.get_time().saturating_sub(by).saturating_sub(world.clock().now());
        world.attempt(call.reset(after));
    }
}

fn ask(world: &World, op: &Op, event: &str, what: fn(&DelayedCall) -> Value) {
    let number = op.int("c");
    world.log(json!([event, number, what(&world.calls.get(number))]));
}

fn list(world: &World) {
    let calls = world.clock().get_delayed_calls();
    let mut list: Vec<(Duration, i64)> =
        calls.iter().map(|c| (c.get_time(), world.calls.number(c))).collect();
    list.sort();
    let list: Vec<Value> = list.into_iter().map(|(at, number)| json!([json::time(at), number])).collect();
    world.log(json!(["calls", list]));
}
