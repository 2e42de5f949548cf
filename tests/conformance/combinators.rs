//! `DeferredList`, `gather_results`, `race`, `maybe_deferred`.

use crate::{
    handler::Handler,
    json::{Fields, Op},
    val::Val,
    world::{HELD_FOR_EVER, World},
};
use std::rc::Rc;
use twistor::{
    Result,
    defer::{Deferred, DeferredList, IntoDeferred, Listed, gather_results, maybe_deferred, race},
};

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    let whole = match op.text("op") {
        "list" => list(op, children(world, op)).map(listed),
        "gather" => gather(op, children(world, op)).map(Val::List),
        "race" => race(children(world, op)).map(|(index, value)| Val::List(vec![number(index), value])),
        "maybe" => maybe(world, op),
        _ => return false,
    };
    note_what_it_is(world, op);
    world.put(op.int("d"), whole);
    true
}

fn note_what_it_is(world: &World, op: &Op) {
    let (kind, of_none) = (op.text("op"), op.items("of").is_empty());
    let never_fires = of_none && (kind == "race" || kind == "list" && op.flag("one_ok"));
    if never_fires {
        world.note(HELD_FOR_EVER);
    }
    if matches!(kind, "list" | "gather") {
        world.waits.is_list(op.int("d"));
    }
}

/// A function that gives a Deferred gives that very one, with its pauses.
fn maybe(world: &Rc<World>, op: &Op) -> Deferred<Val> {
    let given = op["f"]["ret"]["wait"].as_i64();
    let pauses = given.map_or(0, |slot| world.pauses_of(slot));
    world.pauses.borrow_mut().insert(op.int("d"), pauses);
    let whole = maybe_deferred(|| Handler::new(world, "call", op, "f").make());
    given.into_iter().for_each(|slot| world.waits.same(op.int("d"), slot));
    whole
}

fn children(world: &World, op: &Op) -> Vec<Deferred<Val>> {
    op.items("of").iter().map(|slot| world.hand_on(slot.as_i64().expect("a slot is a number"))).collect()
}

fn list(op: &Op, of: Vec<Deferred<Val>>) -> Deferred<Listed<Val>> {
    let mut list = DeferredList::new(of);
    if op.flag("one_ok") {
        list = list.fire_on_one_callback();
    }
    if op.flag("one_err") {
        list = list.fire_on_one_errback();
    }
    if op.flag("consume") {
        list = list.consume_errors();
    }
    list.into_deferred()
}

fn gather(op: &Op, of: Vec<Deferred<Val>>) -> Deferred<Vec<Val>> {
    match op.flag("consume") {
        true => DeferredList::new(of).consume_errors().gather(),
        false => gather_results(of),
    }
}

fn listed(listed: Listed<Val>) -> Val {
    match listed {
        Listed::All(results) => Val::List(results.into_iter().map(entry).collect()),
        Listed::First { value, index } => Val::List(vec![value, number(index)]),
    }
}

fn entry(result: Result<Val>) -> Val {
    let succeeded = Val::Bool(result.is_ok());
    Val::List(vec![succeeded, result.unwrap_or_else(Val::Failed)])
}

fn number(index: usize) -> Val {
    Val::Int(index as i64)
}
