//! The operations on Deferreds that all suites share.

use crate::{
    divergences,
    handler::{self, Handler},
    json::{self, Fields, Op},
    val::{self, Val},
    world::World,
};
use serde_json::json;
use std::rc::Rc;
use twistor::{
    Result,
    defer::{Deferred, Fired, Promise, fail, succeed},
};

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    match op.text("op") {
        "new" => new(world, op),
        "succeed" => world.put(op.int("d"), succeed(Val::of(&op["v"]))),
        "failed" => world.put(op.int("d"), fail(val::failure(&op["e"]))),
        "fire" => fire(world, op.int("p"), Ok(Val::of(&op["v"]))),
        "fail" => fire(world, op.int("p"), Err(val::failure(&op["e"]))),
        "cancel" => cancel(world, op.int("d")),
        "pause" => pause(world, op.int("d")),
        "unpause" => unpause(world, op.int("d")),
        "stage" => change(world, op, |d| stage(world, op, d)),
        "timeout" => change(world, op, |d| timeout(world, op, d)),
        "bulk" => change(world, op, |d| bulk(op, d)),
        "tower" => world.put_both(op.int("d"), tower(op)),
        "drop" => drop(world.take(op.int("d"))),
        "advance" => world.clock().advance(op.time("t").expect("time goes on")),
        "reports" => world.write_reports(),
        "finish" => world.finish(),
        _ => return false,
    }
    true
}

fn new(world: &Rc<World>, op: &Op) {
    let (slot, does) = (op.int("d"), op["canceller"].clone());
    if does.is_null() {
        return world.put_both(slot, Deferred::pending());
    }
    let w = world.clone();
    let cancellable = Deferred::cancellable(move |own| handler::cancel(&w, slot, &does, own));
    world.put_both(slot, cancellable);
}

fn fire(world: &World, slot: i64, result: Result<Val>) {
    let promise = world.promise(slot);
    let fired = match result {
        Ok(value) => promise.callback(value),
        Err(failure) => promise.errback(failure),
    };
    if fired == Fired::AlreadyCalled {
        world.log(json!(["raised", "AlreadyCalled"]));
    }
}

fn cancel(world: &World, slot: i64) {
    let lost = world.waits.loses_cancel_of(slot);
    if !lost.is_some_and(|how| world.is_twisteds(how)) {
        world.handle(slot).cancel();
    }
}

fn pause(world: &World, slot: i64) {
    world.pauses.borrow_mut().entry(slot).and_modify(|pauses| *pauses += 1).or_insert(1);
    world.handle(slot).pause();
}

fn unpause(world: &World, slot: i64) {
    match world.pauses_of(slot).checked_sub(1) {
        Some(left) => drop(world.pauses.borrow_mut().insert(slot, left)),
        None if world.is_twisteds(divergences::UNPAUSED) => return world.handle(slot).pause(),
        None => {}
    }
    world.handle(slot).unpause();
}

/// Puts what `f` makes of a handle back into its slot.
fn change(world: &World, op: &Op, f: impl FnOnce(Deferred<Val>) -> Deferred<Val>) {
    let slot = op.int("d");
    let changed = f(world.take(slot));
    world.put(slot, changed);
}

fn stage(world: &Rc<World>, op: &Op, d: Deferred<Val>) -> Deferred<Val> {
    match (Handler::side(world, op, "ok"), Handler::side(world, op, "err")) {
        (Some(ok), Some(err)) => d.add_callbacks(|v| ok.handle(Ok(v)), |f| err.handle(Err(f))),
        (Some(ok), None) => d.add_callback(|v| ok.handle(Ok(v))),
        (None, Some(err)) => d.add_errback(|f| err.handle(Err(f))),
        (None, None) => d.add_both(|result| result),
    }
}

fn timeout(world: &Rc<World>, op: &Op, d: Deferred<Val>) -> Deferred<Val> {
    let (clock, after) = (world.clock(), op.time("t").expect("a timeout is in the future"));
    if op["on"].is_null() {
        return d.add_timeout(after, &clock);
    }
    let handler = Handler::new(world, "timed_out", op, "on");
    d.add_timeout_with(after, &clock, move |result, after| handler.time_out(result, json::time(after)))
}

fn bulk(op: &Op, mut d: Deferred<Val>) -> Deferred<Val> {
    for _ in 0..op.int("n") {
        d = match op.text("kind") {
            "plain" => d.map(|value| value.plus(1)),
            _ => d.add_callback(|value| succeed(value.plus(1))),
        };
    }
    d
}

/// Deferreds of which each waits for the next: the handle of the first and the promise of the last.
fn tower(op: &Op) -> (Deferred<Val>, Promise<Val>) {
    let (mut top, last) = Deferred::pending();
    let mut promises = vec![];
    for _ in 1..op.int("n") {
        let (above, promise) = Deferred::<Val>::pending();
        let inner = top;
        top = above.add_callback(|_| inner);
        promises.push(promise);
    }
    if op.text("order") == "asc" {
        promises.reverse(); // they were made from the last one up
    }
    for promise in promises {
        promise.callback(Val::Int(0));
    }
    (top, last)
}
