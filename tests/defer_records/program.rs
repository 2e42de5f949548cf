//! The program as it is run.

use crate::{Act, At, End, Ev, F, Handle, How, Owner, Script, Whole, Write};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use twistor::{
    Failure, Result,
    defer::{
        Deferred, DeferredList, IntoDeferred, Listed, Promise, fail, gather_results, pending, race, succeed,
    },
    error::{Abandoned, CancelledError, FailureGroup, FirstError, Panicked, WaitsForItself},
    snapshot::Entry,
};

thread_local! {
    static HANDLES: RefCell<HashMap<Handle, Rc<Deferred<u32>>>> = RefCell::default();
    static PROMISES: RefCell<HashMap<Write, Promise<u32>>> = RefCell::default();
    pub(crate) static SCRIPTS: RefCell<HashMap<Owner, Script>> = RefCell::default();
    pub(crate) static TRACE: RefCell<Vec<Ev<Vec<Entry>>>> = RefCell::default();
    pub(crate) static LINES: RefCell<HashMap<u32, At>> = RefCell::default();
    pub(crate) static LIVE: Cell<i64> = const { Cell::new(0) };
}

pub(crate) fn log(event: Ev<Vec<Entry>>) {
    TRACE.with_borrow_mut(|trace| trace.push(event));
}

/// What this line has made is listed with this line.
fn here<T>(at: At, line: u32, made: T) -> T {
    LINES.with_borrow_mut(|lines| lines.insert(line, at));
    made
}

fn script(owner: Owner) -> Script {
    let script = SCRIPTS.with_borrow_mut(|scripts| scripts.remove(&owner));
    script.unwrap_or(Script { drops_first: true, acts: vec![], end: End::Value(0) }) // the traces will differ
}

fn own(h: Handle) -> Deferred<u32> {
    let handle = HANDLES.with_borrow_mut(|handles| handles.remove(&h)).expect("it is in the table");
    Rc::try_unwrap(handle).expect("it is not in use")
}

fn lend(h: Handle) -> Rc<Deferred<u32>> {
    HANDLES.with_borrow(|handles| handles[&h].clone())
}

fn put(h: Handle, deferred: Deferred<u32>) {
    HANDLES.with_borrow_mut(|handles| handles.insert(h, Rc::new(deferred)));
}

fn promise(p: Write) -> Promise<u32> {
    PROMISES.with_borrow_mut(|promises| promises.remove(&p)).expect("it is in the table")
}

fn keep(p: Write, promise: Promise<u32>) {
    PROMISES.with_borrow_mut(|promises| promises.insert(p, promise));
}

/// An error that counts itself.
#[derive(Debug)]
struct Numbered(u32);

impl Numbered {
    fn failure(n: u32) -> Failure {
        LIVE.set(LIVE.get() + 1);
        Failure::new(Numbered(n))
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

impl std::error::Error for Numbered {}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {}", self.0)
    }
}

pub(crate) fn name(failure: &Failure) -> F {
    if let Some(Numbered(n)) = failure.value() {
        return F::Number(*n);
    }
    if let Some(panicked) = failure.value::<Panicked>() {
        return F::Panic(panicked.message().parse().unwrap_or_else(|_| panic!("{panicked}")));
    }
    if let Some(first) = failure.value::<FirstError>() {
        return F::First(Box::new(name(&first.failure)), first.index);
    }
    if let Some(group) = failure.value::<FailureGroup>() {
        return F::Group(group.failures.iter().map(name).collect());
    }
    match failure {
        _ if failure.check::<CancelledError>() => F::Cancelled,
        _ if failure.check::<Abandoned>() => F::Abandoned,
        _ if failure.check::<WaitsForItself>() => F::Itself,
        _ => panic!("{failure:?}"),
    }
}

fn named<T: Copy>(result: &Result<T>) -> Result<T, F> {
    result.as_ref().map(|value| *value).map_err(name)
}

/// A captured value, which looks at what is pending when it is dropped.
struct Guard(Owner);

impl Guard {
    fn new(owner: Owner) -> Guard {
        LIVE.set(LIVE.get() + 1);
        Guard(owner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        log(Ev::Dropped(self.0, pending()));
    }
}

/// What a stage has captured, and what it does. Its fields are dropped in this order.
struct Body {
    guard: Guard,
    _promise: Option<Promise<u32>>,
    _handle: Option<Deferred<u32>>,
}

enum Answer {
    Result(Result<u32>),
    Deferred(Deferred<u32>),
}

impl Answer {
    fn result(self) -> Result<u32> {
        match self {
            Answer::Result(result) => result,
            Answer::Deferred(deferred) => panic!("a stage of results gave {deferred:?}"),
        }
    }

    fn deferred(self) -> Deferred<u32> {
        match self {
            Answer::Result(result) => result.into_deferred(),
            Answer::Deferred(deferred) => deferred,
        }
    }
}

impl Body {
    fn run(self, input: Result<u32>) -> Answer {
        let owner = self.guard.0;
        log(Ev::Called(owner, named(&input), pending()));
        let Script { drops_first, acts, end } = script(owner);
        let mut body = Some(self);
        if drops_first {
            body.take();
        }
        acts.iter().for_each(perform);
        match end {
            End::Value(n) => Answer::Result(Ok(n)),
            End::Fail(n) => Answer::Result(Err(Numbered::failure(n))),
            End::Panic(n) => std::panic::resume_unwind(Box::new(n.to_string())), // quiet
            End::Wait(h) => Answer::Deferred(own(h)),
            _ => Answer::Result(input),
        }
    }

    fn add_to(self, deferred: Deferred<u32>, at: At) -> Deferred<u32> {
        match at {
            At::Callback => here(at, line!(), deferred.add_callback(|n| self.run(Ok(n)).result())),
            At::CallbackWaits => here(at, line!(), deferred.add_callback(|n| self.run(Ok(n)).deferred())),
            At::Errback => here(at, line!(), deferred.add_errback(|f| self.run(Err(f)).result())),
            At::ErrbackWaits => here(at, line!(), deferred.add_errback(|f| self.run(Err(f)).deferred())),
            At::Both => here(at, line!(), deferred.add_both(|r| self.run(r).deferred())),
            _ => {
                let ok = Rc::new(Cell::new(Some(self)));
                let err = ok.clone();
                let ok = move |n| ok.take().expect("called once").run(Ok(n)).result();
                let err = move |f| err.take().expect("called once").run(Err(f)).deferred();
                here(at, line!(), deferred.add_callbacks(ok, err))
            }
        }
    }
}

fn run_canceller(owner: Owner, promise: Promise<u32>) {
    log(Ev::Canceller(owner, pending()));
    let Script { acts, end, .. } = script(owner);
    acts.iter().for_each(perform);
    match end {
        End::Value(n) => log(Ev::Told(promise.callback(n))),
        End::Fail(n) => log(Ev::Told(promise.errback(Numbered::failure(n)))),
        End::Keep(p) => keep(p, promise),
        End::Panic(n) => std::panic::resume_unwind(Box::new(n.to_string())),
        _ => drop(promise),
    }
}

struct Woke(Handle);

impl Wake for Woke {
    fn wake(self: Arc<Self>) {
        log(Ev::Woken(self.0));
    }
}

pub(crate) fn perform(act: &Act) {
    match *act {
        Act::Make(h, p, owner) => {
            let (deferred, promise) = make(owner);
            put(h, deferred);
            keep(p, promise);
        }
        Act::Fired(h, Ok(n)) => put(h, here(At::Succeed, line!(), succeed(n))),
        Act::Fired(h, Err(n)) => put(h, here(At::Fail, line!(), fail(Numbered::failure(n)))),
        Act::Stage(h, owner, at, captured) => {
            let (promise, handle) = (captured.promise.map(promise), captured.handle.map(own));
            let body = Body { guard: Guard::new(owner), _promise: promise, _handle: handle };
            put(h, body.add_to(own(h), at));
        }
        Act::ChainTo(h, p) => own(h).chain_deferred(promise(p)),
        Act::Log(h) => own(h).or_log("a log"),
        Act::Fire(p, result) => log(Ev::Told(promise(p).fire(result.map_err(Numbered::failure)))),
        Act::DropPromise(p) => drop(promise(p)),
        Act::DropHandle(h) => drop(own(h)),
        Act::DropCancelling(h) => drop(own(h).cancel_on_drop()),
        Act::Cancel(h) => lend(h).cancel(),
        Act::Poll(h) => {
            let mut deferred = own(h);
            let waker = Waker::from(Arc::new(Woke(h)));
            match Pin::new(&mut deferred).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => took(h, Ok(result)),
                Poll::Pending => took(h, Err(deferred)),
            }
        }
        Act::Now(h) => took(h, own(h).now()),
        Act::Pause(h) => lend(h).pause(),
        Act::Unpause(h) => lend(h).unpause(),
        Act::IsFired(h) => log(Ev::IsFired(h, lend(h).is_fired())),
        Act::Combine(how, ref inputs, h) => put(h, combine(how, inputs.iter().copied().map(own).collect())),
    }
}

fn make(owner: Option<Owner>) -> (Deferred<u32>, Promise<u32>) {
    let Some(guard) = owner.map(Guard::new) else { return here(At::Pending, line!(), Deferred::pending()) };
    let canceller = move |promise| {
        run_canceller(guard.0, promise);
        drop(guard);
    };
    here(At::Cancellable, line!(), Deferred::cancellable(canceller))
}

fn took(h: Handle, result: Result<Result<u32>, Deferred<u32>>) {
    log(Ev::Took(h, result.as_ref().ok().map(named)));
    if let Err(deferred) = result {
        put(h, deferred);
    }
}

fn combine(how: How, inputs: Vec<Deferred<u32>>) -> Deferred<u32> {
    fn unwrap<T: 'static>(whole: Deferred<T>, words: impl FnOnce(T) -> Whole + 'static) -> Deferred<u32> {
        whole.map(|value| {
            log(Ev::Whole(words(value)));
            0
        })
    }
    match how {
        How::Race => unwrap(here(At::Race, line!(), race(inputs)), |(index, n)| Whole::Won(index, n)),
        How::Gather { consume: false } => {
            unwrap(here(At::Gather, line!(), gather_results(inputs)), Whole::Gathered)
        }
        How::Gather { consume: true } => {
            let list = here(At::Gather, line!(), DeferredList::new(inputs));
            unwrap(list.consume_errors().gather(), Whole::Gathered)
        }
        How::List(flags) => {
            let mut list = here(At::List, line!(), DeferredList::new(inputs));
            if flags.one_callback {
                list = list.fire_on_one_callback();
            }
            if flags.one_errback {
                list = list.fire_on_one_errback();
            }
            if flags.consume {
                list = list.consume_errors();
            }
            unwrap(list.into_deferred(), |listed| match listed {
                Listed::All(results) => Whole::All(results.iter().map(named).collect()),
                Listed::First { value, index } => Whole::First(value, index),
            })
        }
    }
}

/// A program that went wrong leaves its Deferreds behind: dropped as the thread ends, they would go on with it.
pub(crate) struct LeakIfWrong;

impl Drop for LeakIfWrong {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget((HANDLES.take(), PROMISES.take()));
        }
    }
}
