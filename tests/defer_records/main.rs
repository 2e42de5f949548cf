//! Random programs of Deferreds, beside a model that says in plain words what happens.
//!
//! The model goes first. It decides each step, follows it to its end and writes down what the callbacks do meanwhile
//! (the scripts) and what is seen (the trace). Then the program is run: its callbacks follow the scripts and write a
//! trace too, which must be the same. Each event that runs code of the user's carries what [`pending`] lists then: from
//! inside a callback, a canceller, the report hook and the Drop of a captured value.
//!
//! `TWISTOR_SEED=n cargo test --test defer_records -- --nocapture` runs the one program and prints it.

mod found;
mod model;
mod program;
mod tasks;

use model::Model;
use program::{LINES, LIVE, LeakIfWrong, SCRIPTS, TRACE, log, name, perform};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};
use twistor::{
    defer::{Fired, pending},
    report,
    snapshot::Entry,
};

const PROGRAMS: u64 = 30_000;

/// What the programs must come by, and how often at least.
const RARE: &[(&str, u64)] = &[
    ("a stage waits", 5000),
    ("a chain waits for one that waits", 500),
    ("a stage of a fired Deferred waits", 1000),
    ("a stage gives its own Deferred", 500),
    ("a cancel goes down", 200),
    ("a cancel comes after the fire", 100),
    ("a cancel is asked of a combinator", 500),
    ("a fire comes too late", 500),
    ("a fire waits for its turn", 1000),
    ("a result is taken before its turn", 100),
    ("a fire is held back by a pause", 500),
    ("a chain that waited is held back by a pause", 100),
    ("the end of a chain is held back by a pause", 20),
    ("a result is paused", 500),
    ("the end of a pause lets a chain run", 500),
    ("what is held back is dropped", 200),
    ("a panic drops what is captured", 1000),
];

#[test]
fn random_programs_list_exactly_what_is_pending_and_lose_no_failure() {
    if let Ok(seed) = std::env::var("TWISTOR_SEED") {
        return run(seed.parse().expect("TWISTOR_SEED is a number"), true);
    }
    let mut seen = BTreeMap::new();
    for seed in 0..PROGRAMS {
        let ran = std::panic::catch_unwind(|| run(seed, false));
        assert!(ran.is_ok(), "replay with TWISTOR_SEED={seed}");
        COVERED
            .with_borrow(|covered| covered.iter().for_each(|(what, n)| *seen.entry(*what).or_insert(0) += n));
    }
    println!("{seen:#?}");
    for (what, least) in RARE {
        assert!(seen.get(what).is_some_and(|n| n >= least), "hardly any: {what}");
    }
}

fn run(seed: u64, show: bool) {
    COVERED.take();
    let _tables = LeakIfWrong;
    let mut model = Model::new(seed);
    let mut names = Names::default();
    let _hook = report::hook(|report| {
        let snap = pending();
        log(Ev::Reported(report.origin, name(&report.failure), snap));
    });
    while let Some(acts) = model.step() {
        if show {
            println!("{acts:?}\n  {:?}", model.scripts);
        }
        SCRIPTS.set(std::mem::take(&mut model.scripts));
        acts.iter().for_each(perform);
        let expected = std::mem::take(&mut model.trace);
        names.compare(&acts, &expected, TRACE.take(), model.snapshot(), pending());
    }
    assert!(pending().is_empty());
    assert_eq!(LIVE.get(), 0, "captured values and failures that are still there");
    model.account(&names.reported);
}

/// Which chain of the model each record is: both are numbered in the order they are made.
#[derive(Default)]
struct Names {
    chains: HashMap<u32, usize>,
    known: BTreeSet<usize>,
    reported: Vec<u32>,
}

impl Names {
    fn compare(
        &mut self,
        acts: &[Act],
        expected: &[Ev<Listing>],
        seen: Vec<Ev<Vec<Entry>>>,
        expected_now: Listing,
        now: Vec<Entry>,
    ) {
        let all = seen.iter().filter_map(Ev::snap).chain([&now]);
        let ids: BTreeSet<u32> =
            all.flatten().map(|p| p.id).filter(|id| !self.chains.contains_key(id)).collect();
        let all = expected.iter().filter_map(Ev::snap).chain([&expected_now]);
        let chains: BTreeSet<_> =
            all.flatten().map(|(c, ..)| *c).filter(|c| !self.known.contains(c)).collect();
        self.chains.extend(ids.into_iter().zip(chains.iter().copied()));
        self.known.extend(chains);
        let seen: Vec<_> = seen.into_iter().map(|event| event.map(|snap| self.listing(snap))).collect();
        for (i, event) in seen.iter().enumerate() {
            if let Ev::Reported(_, F::Number(n) | F::Panic(n), _) = event {
                self.reported.push(*n);
            }
            let same = expected.get(i) == Some(event);
            assert!(same, "{acts:?}: event {i}\nexpected:{}seen:{}", lines(expected), lines(&seen));
        }
        let same = expected.len() == seen.len();
        assert!(same, "{acts:?}\nexpected:{}seen:{}", lines(expected), lines(&seen));
        assert_eq!(expected_now, self.listing(now), "after {acts:?}");
    }

    fn listing(&self, snap: Vec<Entry>) -> Listing {
        let chain = |id: u32| self.chains.get(&id).copied().unwrap_or(usize::MAX);
        let line = |place: twistor::trace::Place| {
            assert!(place.file().ends_with("program.rs"));
            LINES.with_borrow(|lines| lines[&place.line()])
        };
        let mut listing: Listing = snap
            .into_iter()
            .map(|p| (chain(p.id), line(p.made), p.at.map(line), p.waiter.map(chain)))
            .collect();
        listing.sort_by_key(|(chain, ..)| *chain);
        listing
    }
}

fn lines(events: &[Ev<Listing>]) -> String {
    events.iter().map(|event| format!("\n  {event:?}")).chain(["\n".into()]).collect()
}

thread_local! {
    static COVERED: RefCell<BTreeMap<&'static str, u64>> = RefCell::default();
}

/// Counts that a program came by here.
fn covered(what: &'static str) {
    COVERED.with_borrow_mut(|covered| *covered.entry(what).or_insert(0) += 1);
}

// ---- the words of the model and of the run ----------------------------------------------------------------------

/// Small, and the same everywhere.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }
}

/// The numbers of handles, promises, stages and cancellers.
type Handle = usize;
type Write = usize;
type Owner = usize;

/// One step of a program.
#[derive(Debug)]
enum Act {
    Make(Handle, Write, Option<Owner>),
    Fired(Handle, Result<u32, u32>),
    Stage(Handle, Owner, At, Captured),
    ChainTo(Handle, Write),
    Log(Handle),
    Fire(Write, Result<u32, u32>),
    DropPromise(Write),
    DropHandle(Handle),
    DropCancelling(Handle),
    Cancel(Handle),
    Poll(Handle),
    Now(Handle),
    IsFired(Handle),
    Pause(Handle),
    Unpause(Handle),
    Combine(How, Vec<Handle>, Handle),
}

#[derive(Clone, Copy, Debug, Default)]
struct Captured {
    promise: Option<Write>,
    handle: Option<Handle>,
}

/// A line of this file: where a Deferred is made, or a stage added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Pending,
    Cancellable,
    Succeed,
    Fail,
    List,
    Gather,
    Race,
    Callback,
    CallbackWaits,
    Errback,
    ErrbackWaits,
    Both,
    Callbacks,
}

impl At {
    const STAGES: [At; 6] =
        [At::Callback, At::CallbackWaits, At::Errback, At::ErrbackWaits, At::Both, At::Callbacks];

    fn takes<V>(self, result: &Result<V, F>) -> bool {
        match self {
            At::Callback | At::CallbackWaits => result.is_ok(),
            At::Errback | At::ErrbackWaits => result.is_err(),
            _ => true,
        }
    }

    /// Whether what the stage gives for this result may be a Deferred.
    fn may_wait<V>(self, result: &Result<V, F>) -> bool {
        match self {
            At::Callback | At::Errback => false,
            At::Callbacks => result.is_err(),
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    List(Flags),
    Gather { consume: bool },
    Race,
}

#[derive(Clone, Copy, Debug)]
struct Flags {
    one_callback: bool,
    one_errback: bool,
    consume: bool,
}

/// What a callback or a canceller does when it is called.
#[derive(Debug)]
struct Script {
    /// Whether what it has captured goes before all else, or after it (or by a panic).
    drops_first: bool,
    acts: Vec<Act>,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Value(u32),
    Fail(u32),
    Panic(u32),
    /// An errback gives the failure on.
    Pass,
    /// A stage returns this Deferred.
    Wait(Handle),
    /// A canceller drops its promise.
    Drop,
    /// A canceller keeps its promise, under this number.
    Keep(Write),
}

/// A failure, told apart by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum F {
    Number(u32),
    Panic(u32),
    Cancelled,
    Abandoned,
    Itself,
    First(Box<F>, usize),
    Group(Vec<F>),
}

/// What a combinator gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whole {
    All(Vec<Result<u32, F>>),
    First(u32, usize),
    Gathered(Vec<u32>),
    Won(usize, u32),
}

/// What is seen. `S` is what was pending then.
#[derive(Debug, PartialEq, Eq)]
enum Ev<S> {
    Called(Owner, Result<u32, F>, S),
    Canceller(Owner, S),
    Dropped(Owner, S),
    Reported(&'static str, F, S),
    Told(Fired),
    Whole(Whole),
    Took(Handle, Option<Result<u32, F>>),
    IsFired(Handle, bool),
    Woken(Handle),
}

impl<S> Ev<S> {
    fn snap(&self) -> Option<&S> {
        match self {
            Ev::Called(.., s) | Ev::Canceller(_, s) | Ev::Dropped(_, s) | Ev::Reported(.., s) => Some(s),
            _ => None,
        }
    }

    fn map<N>(self, f: impl FnOnce(S) -> N) -> Ev<N> {
        match self {
            Ev::Called(owner, result, s) => Ev::Called(owner, result, f(s)),
            Ev::Canceller(owner, s) => Ev::Canceller(owner, f(s)),
            Ev::Dropped(owner, s) => Ev::Dropped(owner, f(s)),
            Ev::Reported(origin, failure, s) => Ev::Reported(origin, failure, f(s)),
            Ev::Told(fired) => Ev::Told(fired),
            Ev::Whole(whole) => Ev::Whole(whole),
            Ev::Took(handle, result) => Ev::Took(handle, result),
            Ev::IsFired(handle, fired) => Ev::IsFired(handle, fired),
            Ev::Woken(handle) => Ev::Woken(handle),
        }
    }
}

/// A pending chain as the model lists it: its number, where it was made, where it waits, the chain that waits for it.
type Listing = Vec<(usize, At, Option<At>, Option<usize>)>;
