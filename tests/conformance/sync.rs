//! `DeferredLock`, `DeferredSemaphore`, `DeferredQueue`.

use crate::{
    handler::Handler,
    json::{Fields, Op},
    val::Val,
    world::World,
};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use twistor::{
    defer::{Deferred, DeferredLock, DeferredQueue, DeferredSemaphore},
    error::NotAcquired,
};

#[derive(Default)]
pub(crate) struct Tables {
    locks: RefCell<BTreeMap<i64, Lock>>,
    queues: RefCell<BTreeMap<i64, DeferredQueue<Val>>>,
}

impl Tables {
    pub(crate) fn clear(&self) {
        drop(self.locks.take());
        drop(self.queues.take());
    }

    fn lock(&self, op: &Op) -> Lock {
        self.locks.borrow()[&op.int("l")].clone()
    }

    fn queue(&self, op: &Op) -> DeferredQueue<Val> {
        self.queues.borrow()[&op.int("q")].clone()
    }
}

#[derive(Clone)]
enum Lock {
    One(DeferredLock),
    Some(DeferredSemaphore),
}

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    let tables = &world.sync;
    match op.text("op") {
        "lock" => add(world, op, Lock::One(DeferredLock::new())),
        "semaphore" => semaphore(world, op),
        "acquire" => world.put(op.int("d"), tables.lock(op).acquire().map(|()| Val::Null)),
        "release" => drop(world.attempt(tables.lock(op).release())),
        "run" => world.put(op.int("d"), tables.lock(op).run(Handler::new(world, "call", op, "f"))),
        "query" => world.log(tables.lock(op).query(op.int("l"))),
        "queue" => queue(world, op),
        "put" => drop(world.attempt(tables.queue(op).put(Val::of(&op["v"])))),
        "get" => get(world, op),
        "query_queue" => query_queue(world, op),
        _ => return false,
    }
    true
}

impl Lock {
    fn acquire(&self) -> Deferred<()> {
        match self {
            Lock::One(lock) => lock.acquire(),
            Lock::Some(semaphore) => semaphore.acquire(),
        }
    }

    fn release(&self) -> Result<(), NotAcquired> {
        match self {
            Lock::One(lock) => lock.release(),
            Lock::Some(semaphore) => semaphore.release(),
        }
    }

    fn run(&self, function: Handler) -> Deferred<Val> {
        match self {
            Lock::One(lock) => lock.run(|| function.make()),
            Lock::Some(semaphore) => semaphore.run(|| function.make()),
        }
    }

    fn query(&self, number: i64) -> Value {
        match self {
            Lock::One(lock) => json!(["lock", number, lock.locked(), lock.waiting()]),
            Lock::Some(s) => json!(["semaphore", number, s.tokens(), s.limit(), s.waiting()]),
        }
    }
}

fn add(world: &World, op: &Op, lock: Lock) {
    world.sync.locks.borrow_mut().insert(op.int("l"), lock);
}

fn semaphore(world: &World, op: &Op) {
    let tokens = op.size("n").expect("a semaphore has a number of tokens");
    if let Some(semaphore) = world.attempt(DeferredSemaphore::new(tokens)) {
        add(world, op, Lock::Some(semaphore));
    }
}

fn queue(world: &World, op: &Op) {
    let queue = DeferredQueue::bounded(op.size("size"), op.size("backlog"));
    world.sync.queues.borrow_mut().insert(op.int("q"), queue);
}

fn get(world: &World, op: &Op) {
    if let Some(value) = world.attempt(world.sync.queue(op).get()) {
        world.put(op.int("d"), value);
    }
}

fn query_queue(world: &World, op: &Op) {
    let queue = world.sync.queue(op);
    let values: Vec<Value> = queue.values().iter().map(Val::json).collect();
    world.log(json!(["queue", op.int("q"), values, queue.waiting()]));
}
