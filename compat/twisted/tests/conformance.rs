//! The recorded programs of the front package's suites `deferred` and `timeouts`, run on shared handles: the trace is Twisted's.
//!
//! `tests/data/conformance` has them, and says how they were made.

use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    error::Error,
    fmt, fs, panic,
    path::Path,
    rc::Rc,
    sync::mpsc,
    thread,
    time::Duration,
};
use twisted::internet::defer::{CancelledError, Deferred, IntoDeferred, TimeoutError, fail, succeed};
use twistor::{Failure, Result, error::Abandoned, report, time::Clock};

/// How long all may take together. They take a second.
const PATIENCE: Duration = Duration::from_secs(120);
/// Some programs build chains of ten thousand, which must not show in the depth of the stack.
const STACK: usize = 256 << 10;

/// The thread's name.
const PROGRAMS: &str = "programs";

/// What twistor does otherwise, and its table says so.
const UNPAUSED: &str = "the pause count goes to -1 and any count but 0 means paused";

/// An integer, or an object that a program cannot look into.
type Val = Option<i64>;

/// The four kinds of a program's own errors.
#[derive(Debug)]
struct Own(String, i64);

impl Error for Own {}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

fn failure(named: &Value) -> Failure {
    Own(text(&named[0]).to_string(), int(&named[1])).into()
}

fn error(failure: &Failure) -> Value {
    match failure.value::<Own>() {
        Some(Own(kind, n)) => json!([kind, n]),
        None if failure.check::<CancelledError>() => json!(["Cancelled"]),
        None if failure.check::<TimeoutError>() => json!(["Timeout"]),
        None => json!([failure.to_string()]),
    }
}

fn shown(result: &Result<Val>) -> Value {
    result.as_ref().map_or_else(error, |value| json!(value))
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no integer"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("a time"))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One program while it runs.
#[derive(Default)]
struct World {
    handles: RefCell<BTreeMap<i64, Deferred<Val>>>,
    /// Other handles of the same Deferreds, of which whoever fires one takes it.
    promises: RefCell<BTreeMap<i64, Deferred<Val>>>,
    clock: Clock,
    trace: RefCell<Vec<Value>>,
    unhandled: RefCell<Vec<Value>>,
    done: Cell<bool>,
}

impl World {
    fn log(&self, event: Value) {
        if !self.done.get() {
            self.trace.borrow_mut().push(event);
        }
    }

    fn handle(&self, op: &Value) -> Deferred<Val> {
        self.handles.borrow().get(&int(&op["d"])).expect("the slot is filled").clone()
    }

    fn take(&self, slot: i64) -> Deferred<Val> {
        self.handles.borrow_mut().remove(&slot).expect("the slot is filled")
    }

    fn promise(&self, slot: i64) -> Deferred<Val> {
        self.promises.borrow_mut().remove(&slot).expect("it has not been used")
    }

    fn put(&self, slot: i64, d: Deferred<Val>) {
        self.handles.borrow_mut().insert(slot, d);
    }

    fn put_both(&self, slot: i64, d: Deferred<Val>, fires: Deferred<Val>) {
        self.put(slot, d);
        self.promises.borrow_mut().insert(slot, fires);
    }

    fn exec(self: &Rc<World>, op: &Value) {
        let slot = || int(&op["d"]);
        match text(&op["op"]) {
            "new" => {
                let d = self.new_deferred(slot(), &op["canceller"]);
                self.put_both(slot(), d.clone(), d);
            }
            "succeed" => self.put(slot(), succeed(op["v"].as_i64())),
            "failed" => self.put(slot(), fail(failure(&op["e"]))),
            "fire" => self.fire(int(&op["p"]), Ok(op["v"].as_i64())),
            "fail" => self.fire(int(&op["p"]), Err(failure(&op["e"]))),
            "cancel" => self.handle(op).cancel(),
            "pause" => self.handle(op).pause(),
            "unpause" => self.handle(op).unpause(),
            "stage" => self.stage(op),
            "timeout" => self.timeout(op),
            "bulk" => self.bulk(op),
            "tower" => self.tower(op),
            "drop" => drop(self.take(slot())),
            "advance" => self.clock.advance(seconds(&op["t"])),
            "reports" => self.write_reports(),
            "finish" => self.finish(),
            unknown => panic!("{unknown} is no operation"),
        }
    }

    fn new_deferred(self: &Rc<World>, slot: i64, canceller: &Value) -> Deferred<Val> {
        if canceller.is_null() {
            return Deferred::new();
        }
        let (world, canceller) = (Rc::downgrade(self), canceller.clone());
        Deferred::with_canceller(move |d| {
            let Some(world) = world.upgrade().filter(|world| !world.done.get()) else { return };
            world.log(json!(["canceller", slot]));
            items(&canceller["pre"]).iter().for_each(|op| world.exec(op));
            let Some(fire) = canceller["fire"].as_object() else { return };
            drop(world.promise(slot));
            let fired = match fire.get("ok") {
                Some(value) => d.callback(value.as_i64()),
                None => d.errback(failure(&fire["err"])),
            };
            fired.expect("the canceller is first");
        })
    }

    fn fire(&self, slot: i64, result: Result<Val>) {
        let d = self.promise(slot);
        let fired = match result {
            Ok(value) => d.callback(value),
            Err(failure) => d.errback(failure),
        };
        if fired.is_err() {
            self.log(json!(["raised", "AlreadyCalled"]));
        }
    }

    fn stage(self: &Rc<World>, op: &Value) {
        let (d, ok, err) = (self.handle(op), self.handler(op, "ok"), self.handler(op, "err"));
        match (op["ok"].is_null(), op["err"].is_null()) {
            (false, false) => drop(d.add_callbacks(|value| ok(Ok(value)), |failure| err(Err(failure)))),
            (false, true) => drop(d.add_callback(|value| ok(Ok(value)))),
            (true, false) => drop(d.add_errback(|failure| err(Err(failure)))),
            (true, true) => drop(d.add_both(|result| result)),
        }
    }

    /// One side of a stage.
    fn handler(
        self: &Rc<World>,
        op: &Value,
        side: &'static str,
    ) -> impl FnOnce(Result<Val>) -> Given + 'static {
        let (world, s, does) = (self.clone(), op["s"].clone(), op[side].clone());
        move |input| {
            world.log(json!([side, s, shown(&input)]));
            world.give(&does, input)
        }
    }

    fn timeout(self: &Rc<World>, op: &Value) {
        let (d, after) = (self.handle(op), seconds(&op["t"]));
        if op["on"].is_null() {
            d.add_timeout(after, &self.clock);
            return;
        }
        let (world, s, does) = (self.clone(), op["s"].clone(), op["on"].clone());
        d.add_timeout_with(after, &self.clock, move |input, after| {
            world.log(json!(["timed_out", s, shown(&input), after.as_secs_f64()]));
            world.give(&does, input)
        });
    }

    /// What a handler does, and what it gives.
    fn give(self: &Rc<World>, does: &Value, input: Result<Val>) -> Given {
        if self.done.get() {
            return Given::Now(input);
        }
        items(&does["pre"]).iter().for_each(|op| self.exec(op));
        let ret = &does["ret"];
        if ret == "pass" {
            return Given::Now(input);
        }
        let (what, with) = ret.as_object().and_then(|ret| ret.iter().next()).expect("it says what to give");
        match what.as_str() {
            "value" => Given::Now(Ok(with.as_i64())),
            "inc" => Given::Now(input.map(|value| value.map(|n| n + int(with)))),
            "raise" => Given::Now(Err(failure(with))),
            "trap" => Given::Now(input.or_else(|f| trapped(&f, ret).then_some(ret["v"].as_i64()).ok_or(f))),
            "succeed" => Given::Later(succeed(with.as_i64())),
            "failed" => Given::Later(fail(failure(with))),
            "wait" => Given::Later(self.take(int(with))),
            unknown => panic!("{unknown} is nothing to give"),
        }
    }

    fn bulk(&self, op: &Value) {
        let d = self.handle(op);
        for _ in 0..int(&op["n"]) {
            match text(&op["kind"]) {
                "plain" => d.add_callback(|value| Ok(value.map(|n| n + 1))),
                _ => d.add_callback(|value: Val| succeed(value.map(|n| n + 1))),
            };
        }
    }

    /// Deferreds of which each waits for the next: the handle of the first, and the last one to fire.
    fn tower(&self, op: &Value) {
        let last = Deferred::<Val>::new();
        let (mut top, mut others) = (last.clone(), vec![]);
        for _ in 1..int(&op["n"]) {
            let (above, inner) = (Deferred::<Val>::new(), top);
            above.add_callback(|_| inner);
            others.push(above.clone());
            top = above;
        }
        if text(&op["order"]) == "asc" {
            others.reverse(); // they were made from the last one up
        }
        for d in others {
            d.callback(Some(0)).expect("it is fired here alone");
        }
        self.put_both(int(&op["d"]), top, last);
    }

    fn write_reports(&self) {
        let mut reports = self.unhandled.take();
        reports.sort_by_cached_key(Value::to_string);
        self.trace.borrow_mut().extend(reports);
    }

    fn finish(self: &Rc<World>) {
        let slots: Vec<i64> = self.handles.borrow().keys().copied().collect();
        for slot in slots {
            let (d, told, world) = (self.take(slot), Rc::new(Cell::new(false)), self.clone());
            let probed = told.clone();
            d.add_both(move |result| {
                if !probed.replace(true) {
                    let track = if result.is_ok() { "ok" } else { "err" };
                    world.log(json!(["state", slot, track, shown(&result)]));
                }
                result
            });
            if !told.replace(true) {
                self.log(json!(["state", slot, "pending"]));
            }
        }
        self.done.set(true);
        drop(self.promises.take());
        self.clock.get_delayed_calls().iter().for_each(|call| call.cancel().expect("it waits"));
        self.write_reports();
    }
}

fn trapped(failure: &Failure, ret: &Value) -> bool {
    let named = error(failure);
    items(&ret["trap"]).contains(&named[0])
}

/// What a handler gives.
enum Given {
    Now(Result<Val>),
    Later(Deferred<Val>),
}

impl IntoDeferred for Given {
    type Output = Val;

    fn into_typed(self) -> twistor::defer::Deferred<Val> {
        match self {
            Given::Now(result) => result.into_typed(),
            Given::Later(d) => d.into_typed(),
        }
    }
}

impl twisted::internet::defer::Handled<Val> for Given {}

fn run(program: &[Value]) -> Vec<Value> {
    let world = Rc::new(World::default());
    let seen = Rc::downgrade(&world);
    let guard = report::hook(move |report| {
        let Some(world) = seen.upgrade() else { return };
        if !(world.done.get() && report.failure.check::<Abandoned>()) {
            world.unhandled.borrow_mut().push(json!(["unhandled", error(&report.failure)]));
        }
    });
    for (i, op) in program.iter().enumerate() {
        world.log(json!(["op", i]));
        world.exec(op);
    }
    drop(guard);
    world.trace.take()
}

/// Integers are exact; a time may be written `2` or `2.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn cases() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/conformance");
    let files = [
        "deferred.jsonl",
        "timeouts.jsonl",
        "random/deferred.jsonl",
        "random/timeouts.jsonl",
        "random/rare.jsonl",
    ];
    let read = |file: &&str| fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let parse = |line: &str| serde_json::from_str(line).expect("a case is a line of JSON");
    files
        .iter()
        .map(read)
        .flat_map(|text| text.lines().map(parse).collect::<Vec<Value>>())
        .filter(is_of_deferreds)
        .collect()
}

/// The suite `timeouts` has programs of other parts of the library too.
fn is_of_deferreds(case: &Value) -> bool {
    let of_others =
        |op: &Value| ["rc_", "cs_", "tm_", "tp_"].iter().any(|part| text(&op["op"]).starts_with(part));
    !items(&case["program"]).iter().any(of_others)
}

/// The last handle of a paused Deferred is gone, and so who waits for it is told. Twisted's waits for ever.
fn is_abandoned(event: Option<&Value>) -> bool {
    event.is_some_and(|event| event.to_string().contains(&Abandoned::default().to_string()))
}

/// Whether it is the same, or differs as it may; or what is wrong.
fn judge(case: &Value) -> Result<bool, String> {
    let name = text(&case["name"]);
    let ran = panic::catch_unwind(|| run(items(&case["program"])));
    let got = ran.map_err(|_| format!("{name}: it panicked"))?;
    let expect = items(&case["expect"]);
    let at = (0..expect.len().max(got.len())).find(|&at| match (expect.get(at), got.get(at)) {
        (Some(one), Some(other)) => !same(one, other),
        _ => true,
    });
    match at {
        None => Ok(true),
        Some(_) if case["quirk"].as_str().is_some_and(|quirk| quirk.contains(UNPAUSED)) => Ok(false),
        Some(at) if is_abandoned(got.get(at)) && case["program"].to_string().contains("\"pause\"") => {
            Ok(false)
        }
        Some(at) => Err(format!(
            "{name}, event {at}: recorded {:?}, got {:?}",
            expect.get(at).map(Value::to_string),
            got.get(at).map(Value::to_string)
        )),
    }
}

#[test]
fn recorded_programs_have_the_same_trace_on_shared_handles() {
    // A program whose trace has diverged may ask for what is not there. What comes of a panic is in the trace.
    let former = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(PROGRAMS) {
            former(info);
        }
    }));
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        let cases = cases();
        let judged: Vec<_> = cases.iter().map(judge).collect();
        sender.send(judged).expect("it is waited for");
    };
    thread::Builder::new().name(PROGRAMS.into()).stack_size(STACK).spawn(work).expect("a thread");
    let judged = receiver.recv_timeout(PATIENCE).expect("it ends, and does not overflow its stack");
    let failed: Vec<&str> = judged.iter().filter_map(|one| one.as_ref().err().map(String::as_str)).collect();
    let same = judged.iter().filter(|one| **one == Ok(true)).count();
    println!("{} programs, {same} the same, {} failed", judged.len(), failed.len());
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    assert!(same >= 460, "only {same} are the same");
}
