//! What a program's handlers and cancellers do.

use crate::{
    json::{Fields, Op},
    val::{self, Val},
    world::World,
};
use serde_json::{Value, json};
use std::rc::Rc;
use twistor::{
    Failure, Result,
    defer::{Deferred, IntoDeferred, Promise, fail, succeed},
};

/// One side of a stage, or another function of a program.
pub(crate) struct Handler {
    world: Rc<World>,
    /// The slot of the chain that it is of.
    slot: i64,
    /// What the event of its call begins with.
    event: Vec<Value>,
    does: Op,
}

impl Handler {
    /// None where the program has null: that side passes through.
    pub(crate) fn side(world: &Rc<World>, op: &Op, side: &str) -> Option<Handler> {
        (!op[side].is_null()).then(|| Handler::new(world, side, op, side))
    }

    pub(crate) fn new(world: &Rc<World>, event: &str, op: &Op, key: &str) -> Handler {
        let event = vec![json!(event), op["s"].clone()];
        Handler { world: world.clone(), slot: op.int("d"), event, does: op[key].clone() }
    }

    /// What a function or an iterator does at one of its calls.
    pub(crate) fn of_a_script(world: &Rc<World>, event: Vec<Value>, does: Op) -> Handler {
        Handler { world: world.clone(), slot: NO_SLOT, event, does }
    }

    /// As a stage, with the result so far.
    pub(crate) fn handle(self, input: Result<Val>) -> Deferred<Val> {
        let seen = vec![val::result(&input)];
        self.call(seen, input)
    }

    /// As `on` of a timeout, with what the cancelling gave and the time that is over.
    pub(crate) fn time_out(self, input: Result<Val>, after: Value) -> Deferred<Val> {
        let seen = vec![val::result(&input), after];
        self.call(seen, input)
    }

    /// As a function that is given nothing.
    pub(crate) fn make(self) -> Deferred<Val> {
        self.call(vec![], Ok(Val::Null))
    }

    fn call(mut self, seen: Vec<Value>, input: Result<Val>) -> Deferred<Val> {
        if self.world.done.get() {
            return input.into_deferred();
        }
        self.event.extend(seen);
        self.world.log(Value::Array(self.event));
        self.world.effects(&self.does, "pre");
        if let Some(on) = self.does["ret"]["wait"].as_i64() {
            self.world.waits.wait(self.slot, on);
        }
        outcome(&self.world, &self.does["ret"], input)
    }
}

/// Of no chain of the program's.
const NO_SLOT: i64 = -1;

/// What a handler gives: a value, an error, or a Deferred.
fn outcome(world: &World, ret: &Value, input: Result<Val>) -> Deferred<Val> {
    if ret == "pass" {
        return input.into_deferred();
    }
    let (what, with) = ret.as_object().and_then(|ret| ret.iter().next()).expect("ret says what to give");
    match what.as_str() {
        "value" => Ok(Val::of(with)).into_deferred(),
        "inc" => input.map(|value| value.plus(ret.int("inc"))).into_deferred(),
        "raise" => Err(val::failure(with)).into_deferred(),
        "trap" => input.or_else(|failure| trap(&failure, ret)).into_deferred(),
        "succeed" => succeed(Val::of(with)),
        "failed" => fail(val::failure(with)),
        "wait" => world.hand_on(ret.int("wait")),
        unknown => panic!("{unknown} is nothing to give"),
    }
}

fn trap(failure: &Failure, ret: &Value) -> Result<Val> {
    let trapped = ret.items("trap").iter().any(|kind| val::trap(failure, kind).is_ok());
    trapped.then(|| Val::of(&ret["v"])).ok_or_else(|| failure.clone())
}

/// The canceller of the Deferred in `slot`, with the writing end that the library gives it.
pub(crate) fn cancel(world: &Rc<World>, slot: i64, does: &Op, own: Promise<Val>) {
    if world.done.get() {
        return;
    }
    world.log(json!(["canceller", slot]));
    world.effects(does, "pre");
    let Some(fire) = does["fire"].as_object() else { return };
    // In Twisted there is one writing end, and this is its use.
    let spent = world.promise(slot);
    match fire.get("ok") {
        Some(value) => own.callback(Val::of(value)),
        None => own.errback(val::failure(&fire["err"])),
    };
    drop(spent);
}
