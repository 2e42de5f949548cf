//! One case while it runs.

use crate::{
    clock,
    json::{Fields, Op},
    lines, looping, reconnecting,
    suites::Exec,
    sync,
    val::{self, Val},
    waits::Waits,
};
use serde_json::{Value, json};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure,
    defer::{Deferred, Promise},
    report::{self, HookGuard, Report},
    time::Clock,
};

/// The tables of a program and the trace it writes.
///
/// No table is borrowed while the library is called, for it calls handlers, and those use the tables too.
#[derive(Default)]
pub(crate) struct World {
    vocabulary: &'static [Exec],
    pub(crate) trace: RefCell<Vec<Value>>,
    notes: RefCell<Vec<Note>>,
    /// The program is over: handlers that the end of things calls pass on what they are given.
    pub(crate) done: Cell<bool>,
    pub(crate) handles: RefCell<BTreeMap<i64, Rc<Deferred<Val>>>>,
    pub(crate) promises: RefCell<BTreeMap<i64, Promise<Val>>>,
    pub(crate) waits: Waits,
    manner: Manner,
    /// How often slots are paused: for notes.
    pub(crate) pauses: RefCell<BTreeMap<i64, usize>>,
    pub(crate) clock: RefCell<Option<Clock>>,
    pub(crate) calls: clock::Calls,
    pub(crate) sync: sync::Tables,
    pub(crate) looping: looping::Tables,
    pub(crate) lines: lines::Tables,
    pub(crate) reconnecting: reconnecting::Tables,
    unhandled: RefCell<Vec<Value>>,
}

/// Twistor did something that a divergence is about.
pub(crate) struct Note {
    pub(crate) tag: &'static str,
    /// How many events there were.
    pub(crate) at: usize,
}

/// How a program is run where twistor does otherwise on purpose.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Twistor's way, as everywhere.
    #[default]
    Own,
    /// Twisted's way, which the interpreter brings about by other calls, so that all else of such a case can be compared.
    Twisteds,
}

/// What came of a program.
pub(crate) struct Ran {
    pub(crate) trace: Vec<Value>,
    pub(crate) notes: Vec<Note>,
    /// Chains, and worlds, that were still there when all was dropped.
    pub(crate) leaked: usize,
}

/// A note: what is waited for is paused, or nothing can fire it. Whatever waits for it stays listed, unless it is cancelled.
pub(crate) const HELD_FOR_EVER: &str = "something waits for ever";

impl Ran {
    pub(crate) fn has_note(&self, tag: &str) -> bool {
        self.notes.iter().any(|note| note.tag == tag)
    }

    /// An error if something was not dropped that should have been.
    pub(crate) fn without_leaks(self) -> Result<Ran, String> {
        match self.leaked {
            0 => Ok(self),
            _ if self.has_note(HELD_FOR_EVER) => Ok(self),
            leaks => Err(format!("leaks: {leaks} chains or worlds are never dropped")),
        }
    }
}

/// Runs a program on a thread that has run nothing but programs. If it panics, that is its last event.
pub(crate) fn run(program: &[Op], vocabulary: &'static [Exec], manner: Manner) -> Ran {
    let world = World::new(vocabulary, manner);
    let hook = world.collect_reports();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run(program))) {
        world.log(json!(["panic", message(&*panic)]));
        world.let_go();
    }
    drop(hook);
    let (trace, notes, still) = (world.trace.take(), world.notes.take(), Rc::downgrade(&world));
    drop(world);
    Ran { trace, notes, leaked: still.strong_count() + twistor::defer::pending().len() }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl World {
    fn new(vocabulary: &'static [Exec], manner: Manner) -> Rc<World> {
        let clock = RefCell::new(Some(Clock::new()));
        Rc::new(World { vocabulary, manner, clock, ..World::default() })
    }

    fn run(self: &Rc<Self>, program: &[Op]) {
        for (number, op) in program.iter().enumerate() {
            self.log(json!(["op", number]));
            self.exec(op);
        }
    }

    pub(crate) fn exec(self: &Rc<Self>, op: &Op) {
        let known = self.vocabulary.iter().any(|exec| exec(self, op));
        assert!(known, "{op} is no operation of this suite");
    }

    /// Does what a handler, a canceller or a delayed call has under `key`.
    pub(crate) fn effects(self: &Rc<Self>, of: &Op, key: &str) {
        of.items(key).iter().for_each(|op| self.exec(op));
    }

    // ---- the trace

    pub(crate) fn log(&self, event: Value) {
        self.trace.borrow_mut().push(event);
    }

    /// From here on the trace may differ for a reason that `divergences` gives.
    pub(crate) fn note(&self, tag: &'static str) {
        let at = self.trace.borrow().len();
        self.notes.borrow_mut().push(Note { tag, at });
    }

    /// Notes the same, and says whether it is to be done in Twisted's way.
    pub(crate) fn is_twisteds(&self, tag: &'static str) -> bool {
        self.note(tag);
        self.manner == Manner::Twisteds
    }

    /// Gives what a call gave, or writes how it was refused.
    pub(crate) fn attempt<T>(&self, result: Result<T, impl Into<Failure>>) -> Option<T> {
        result.map_err(|error| self.log(json!(["raised", val::error(&error.into())[0]]))).ok()
    }

    // ---- slots

    pub(crate) fn put(&self, slot: i64, deferred: Deferred<Val>) {
        let former = self.handles.borrow_mut().insert(slot, Rc::new(deferred));
        assert!(former.is_none(), "slot {slot} is filled already");
    }

    pub(crate) fn put_both(&self, slot: i64, (deferred, promise): (Deferred<Val>, Promise<Val>)) {
        self.promises.borrow_mut().insert(slot, promise);
        self.put(slot, deferred);
    }

    pub(crate) fn handle(&self, slot: i64) -> Rc<Deferred<Val>> {
        self.handles.borrow().get(&slot).unwrap_or_else(|| panic!("no handle in slot {slot}")).clone()
    }

    pub(crate) fn take(&self, slot: i64) -> Deferred<Val> {
        let handle = self.handles.borrow_mut().remove(&slot);
        let handle = handle.unwrap_or_else(|| panic!("no handle in slot {slot}"));
        Rc::try_unwrap(handle).unwrap_or_else(|_| panic!("the handle in slot {slot} is in use"))
    }

    /// Takes a handle that something is to wait for.
    pub(crate) fn hand_on(&self, slot: i64) -> Deferred<Val> {
        if self.pauses_of(slot) > 0 {
            self.note(HELD_FOR_EVER);
        }
        self.take(slot)
    }

    pub(crate) fn pauses_of(&self, slot: i64) -> usize {
        self.pauses.borrow().get(&slot).copied().unwrap_or(0)
    }

    pub(crate) fn promise(&self, slot: i64) -> Promise<Val> {
        let promise = self.promises.borrow_mut().remove(&slot);
        promise.unwrap_or_else(|| panic!("no promise in slot {slot}"))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.borrow().clone().expect("no operation comes after finish")
    }

    /// Zero when the program is over.
    pub(crate) fn clock_now(&self) -> Duration {
        self.clock.borrow().as_ref().map_or(Duration::ZERO, Clock::now)
    }

    // ---- the end, and reports

    fn collect_reports(self: &Rc<Self>) -> HookGuard {
        let world = Rc::downgrade(self);
        report::hook(move |report| {
            if let Some(world) = world.upgrade() {
                world.unhandled(report);
            }
        })
    }

    fn unhandled(&self, report: &Report) {
        if self.done.get() && val::is_of_the_end(&report.failure) {
            return;
        }
        match report.origin {
            "Deferred" => self.unhandled.borrow_mut().push(json!(["unhandled", val::error(&report.failure)])),
            callback => self.log(json!(["failed", callback, report.failure.to_string()])),
        }
    }

    /// Writes the reports since the last time, in an order that does not depend on when things are dropped.
    pub(crate) fn write_reports(&self) {
        let mut reports = self.unhandled.take();
        reports.sort_by_cached_key(Value::to_string);
        self.trace.borrow_mut().extend(reports);
    }

    /// Writes what became of each handle, lets go of everything, and writes the reports.
    pub(crate) fn finish(self: &Rc<Self>) {
        let slots: Vec<i64> = self.handles.borrow().keys().copied().collect();
        slots.into_iter().for_each(|slot| self.write_state(slot));
        self.let_go();
        self.write_reports();
    }

    /// Drops everything: handlers that are called by that write no events.
    fn let_go(&self) {
        self.done.set(true);
        drop(self.handles.take());
        drop(self.promises.take());
        self.looping.clear();
        self.stop_the_clock();
        self.calls.clear();
        self.sync.clear();
        self.lines.clear();
        self.reconnecting.clear();
    }

    /// What waits on the clock may hold it: without an end neither would go.
    fn stop_the_clock(&self) {
        for call in self.clock.take().iter().flat_map(Clock::get_delayed_calls) {
            let _ = call.cancel(); // the end of another one may have cancelled it
        }
    }

    fn write_state(self: &Rc<Self>, slot: i64) {
        let (handle, told) = (self.take(slot), Rc::new(Cell::new(false)));
        let fired = handle.is_fired();
        let handle = handle.add_both(self.clone().probe(slot, told.clone()));
        assert_eq!(fired, told.get(), "whether slot {slot} has fired");
        if !told.replace(true) {
            self.log(json!(["state", slot, "pending"]));
        }
        drop(handle);
    }

    /// A stage that tells what has become of a slot, once.
    fn probe(
        self: Rc<Self>,
        slot: i64,
        told: Rc<Cell<bool>>,
    ) -> impl FnOnce(twistor::Result<Val>) -> twistor::Result<Val> {
        move |result| {
            if !told.replace(true) {
                let track = if result.is_ok() { "ok" } else { "err" };
                self.log(json!(["state", slot, track, val::result(&result)]));
            }
            result
        }
    }
}
