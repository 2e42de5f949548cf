//! Cancel, drop and timeout of an awaited Deferred, in every order with its firing: no value is lost or given twice, no wake is missed, nothing
//! leaks. Each cell of the table is run, and compared with what a small model says.
#![allow(clippy::redundant_async_block, reason = "a task that awaits is what is tested")]

use allocation_counter::measure;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use twistor::{
    Result,
    defer::{self, CancelHandle, CancelOnDrop, Deferred, Fired, Host, Promise, ensure_deferred, pending},
    error::{CancelledError, TimeoutError},
    report,
    time::Clock,
};

/// What happens to a Deferred that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fire,
    Cancel,
    /// By somebody else: what a task awaits, not the task.
    CancelAwaited,
    Drop,
    Timeout,
}

/// Who awaits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiter {
    /// A future that is polled by hand: the Deferred itself.
    Bare,
    /// The same, to be cancelled when it is dropped.
    BareCancelOnDrop,
    /// A task, whose own Deferred is what is cancelled, dropped and timed out.
    Task,
    /// The same, and in the task it is to be cancelled when it is dropped.
    TaskCancelOnDrop,
}

/// Who is asked to stop the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canceller {
    Nobody,
    /// Drops its writing end.
    Stops,
    /// Fires it with a value of its own.
    Answers,
}

const AWAITERS: [Awaiter; 4] =
    [Awaiter::Bare, Awaiter::BareCancelOnDrop, Awaiter::Task, Awaiter::TaskCancelOnDrop];
const CANCELLERS: [Canceller; 3] = [Canceller::Nobody, Canceller::Stops, Canceller::Answers];
const STEPS: [Step; 5] = [Step::Fire, Step::Cancel, Step::CancelAwaited, Step::Drop, Step::Timeout];

#[derive(Clone, Debug)]
struct Case {
    awaiter: Awaiter,
    canceller: Canceller,
    /// Whether it is polled after each step, or only after the last.
    eager: bool,
    order: Vec<Step>,
}

/// Every order of some of the steps.
fn orders() -> Vec<Vec<Step>> {
    let (mut all, mut last) = (vec![], vec![vec![]]);
    for _ in STEPS {
        let longer = |order: &Vec<Step>| {
            let next = STEPS.into_iter().filter(|step| !order.contains(step));
            next.map(|step| [order.clone(), vec![step]].concat()).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.clone());
    }
    all
}

/// How it ended for who awaits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Pending,
    /// It was dropped before.
    Dropped,
    Value(u32),
    Cancelled,
    TimedOut,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Pending => f.write_str("pending"),
            End::Dropped => f.write_str("dropped"),
            End::Value(n) => write!(f, "{n}"),
            End::Cancelled => f.write_str("cancelled"),
            End::TimedOut => f.write_str("timed out"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    end: End,
    /// What the fire was told.
    fired: Option<Fired>,
    /// How often the canceller was asked.
    asked: u32,
    /// How many failures were reported because nobody was left to handle them.
    reported: u32,
}

const SENT: u32 = 1;
const ANSWER: u32 = 99;
const AFTER: Duration = Duration::from_secs(5);

// ---- what is --------------------------------------------------------------------------------------------------------

/// A value that is counted while it lives.
struct Value(u32, Rc<Cell<i32>>);

impl Value {
    fn new(n: u32, alive: &Rc<Cell<i32>>) -> Value {
        alive.set(alive.get() + 1);
        Value(n, alive.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

/// Polls those of its tasks that were woken, when it is told.
#[derive(Default)]
struct Tasks(RefCell<Vec<Task>>);

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    wakes: Arc<Wakes>,
}

impl Host for Tasks {
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        let wakes = Arc::new(Wakes(AtomicUsize::new(1))); // it is to be polled once in any case
        self.0.borrow_mut().push(Task { future: task, wakes });
    }
}

impl Tasks {
    fn poll(&self) {
        let mut tasks = self.0.take();
        tasks.retain_mut(|Task { future, wakes }| {
            let waker = Waker::from(wakes.clone());
            wakes.take() == 0 || future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        self.0.borrow_mut().append(&mut tasks);
    }
}

struct Wakes(AtomicUsize);

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the test holds and polls.
enum Held {
    Deferred(Deferred<Value>),
    CancelOnDrop(CancelOnDrop<Value>),
}

impl Held {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value>> {
        match self {
            Held::Deferred(deferred) => Pin::new(deferred).poll(cx),
            Held::CancelOnDrop(deferred) => Pin::new(deferred).poll(cx),
        }
    }
}

fn end_of(result: Result<Value>) -> End {
    match result {
        Ok(value) => End::Value(value.0),
        Err(why) if why.check::<CancelledError>() => End::Cancelled,
        Err(why) => {
            assert!(why.check::<TimeoutError>(), "{why}");
            End::TimedOut
        }
    }
}

fn source(
    canceller: Canceller,
    asked: &Rc<Cell<u32>>,
    alive: &Rc<Cell<i32>>,
) -> (Deferred<Value>, Promise<Value>) {
    if canceller == Canceller::Nobody {
        return Deferred::pending();
    }
    let (asked, alive) = (asked.clone(), alive.clone());
    Deferred::cancellable(move |promise| {
        asked.set(asked.get() + 1);
        if canceller == Canceller::Answers {
            promise.callback(Value::new(ANSWER, &alive));
        }
    })
}

fn held(awaiter: Awaiter, source: Deferred<Value>, clock: &Clock) -> Held {
    match awaiter {
        Awaiter::Bare => Held::Deferred(source.add_timeout(AFTER, clock)),
        Awaiter::BareCancelOnDrop => Held::CancelOnDrop(source.add_timeout(AFTER, clock).cancel_on_drop()),
        Awaiter::Task => {
            Held::Deferred(ensure_deferred(async move { source.await }).add_timeout(AFTER, clock))
        }
        Awaiter::TaskCancelOnDrop => {
            let source = source.cancel_on_drop();
            Held::Deferred(ensure_deferred(async move { source.await }).add_timeout(AFTER, clock))
        }
    }
}

fn run(case: &Case) -> Seen {
    let (alive, asked, reported) =
        (Rc::<Cell<i32>>::default(), Rc::<Cell<u32>>::default(), Rc::<Cell<u32>>::default());
    let count = reported.clone();
    let hook = report::hook(move |_| count.set(count.get() + 1));
    let tasks = Rc::new(Tasks::default());
    let host = defer::enter_host(tasks.clone());
    let clock = Clock::new();
    let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    let cx = &mut Context::from_waker(&waker);

    let (deferred, promise) = source(case.canceller, &asked, &alive);
    let mut awaited = Some(deferred.cancel_handle());
    let (mut promise, mut held) = (Some(promise), Some(held(case.awaiter, deferred, &clock)));
    let (mut end, mut fired) = (End::Pending, None);
    assert!(held.as_mut().unwrap().poll(cx).is_pending());
    for (n, step) in case.order.iter().enumerate() {
        match step {
            Step::Fire => fired = promise.take().map(|promise| promise.callback(Value::new(SENT, &alive))),
            Step::Cancel => match &held {
                Some(Held::Deferred(deferred)) => deferred.cancel(),
                Some(Held::CancelOnDrop(_)) | None => {} // nobody can
            },
            Step::CancelAwaited => awaited.take().into_iter().for_each(CancelHandle::cancel),
            Step::Drop => {
                drop(held.take());
                end = if end == End::Pending { End::Dropped } else { end };
            }
            Step::Timeout => clock.advance(AFTER),
        }
        if case.eager || n + 1 == case.order.len() {
            tasks.poll();
            if let Some(waiting) = held.as_mut().filter(|_| end == End::Pending)
                && let Poll::Ready(result) = waiting.poll(cx)
            {
                assert_ne!(wakes.0.load(Ordering::Relaxed), 0, "nobody woke it: {case:?}");
                end = end_of(result);
            }
        }
    }
    let seen = Seen { end, fired, asked: asked.get(), reported: reported.get() };
    drop((held, promise, tasks.0.take(), host, hook));
    assert_eq!(alive.get(), 0, "each value was dropped once: {case:?}");
    assert!(clock.get_delayed_calls().is_empty(), "a timeout is left: {case:?}");
    assert!(pending().is_empty(), "{case:?}");
    seen
}

// ---- what should be -------------------------------------------------------------------------------------------------

/// The work behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Pending,
    Fired,
    /// Its canceller was asked, or there is none.
    Cancelled,
}

struct Model {
    case: Case,
    work: Work,
    seen: Seen,
    /// Whether the handle is still there.
    is_held: bool,
    /// Whether the result of what is held is there, or was.
    is_over: bool,
    /// What a task awaited has this result, and it was not polled since.
    ready: Option<End>,
}

impl Model {
    fn is_task(&self) -> bool {
        matches!(self.case.awaiter, Awaiter::Task | Awaiter::TaskCancelOnDrop)
    }

    /// The work is cancelled. What it gives then, if it is a value.
    fn cancel_work(&mut self) -> Option<u32> {
        if self.work != Work::Pending {
            return None;
        }
        self.work = Work::Cancelled;
        self.seen.asked += u32::from(self.case.canceller != Canceller::Nobody);
        (self.case.canceller == Canceller::Answers).then_some(ANSWER)
    }

    /// What is held is cancelled, by hand or by its timeout.
    fn cancel(&mut self, end: End) {
        if self.is_over {
            return;
        }
        let answer = match self.case.awaiter {
            Awaiter::Bare | Awaiter::BareCancelOnDrop => self.cancel_work(),
            // The future is dropped. That it waits for something is that one's affair.
            Awaiter::Task => None,
            Awaiter::TaskCancelOnDrop => {
                self.cancel_work();
                None
            }
        };
        let unseen = self.ready.take() == Some(End::Cancelled);
        self.seen.reported += u32::from(unseen); // a failure that the task did not come to see
        self.end(answer.map_or(end, End::Value));
    }

    /// What is awaited is cancelled.
    fn cancel_awaited(&mut self) {
        if self.work != Work::Pending {
            return;
        }
        let end = self.cancel_work().map_or(End::Cancelled, End::Value);
        match self.is_task() {
            // Nobody waits for it any more.
            true if self.is_over => self.seen.reported += u32::from(end == End::Cancelled),
            true => self.ready = Some(end),
            false => self.end(end),
        }
    }

    fn end(&mut self, end: End) {
        self.is_over = true;
        if self.is_held {
            self.seen.end = end;
        } else if !matches!(end, End::Value(_)) {
            self.seen.reported += 1;
        }
    }

    fn fire(&mut self) {
        self.seen.fired = Some(match (self.work, self.case.canceller) {
            (Work::Pending, _) => Fired::Delivered,
            (_, Canceller::Nobody) => Fired::Swallowed,
            _ => Fired::AlreadyCalled,
        });
        if self.work == Work::Pending {
            self.work = Work::Fired;
            match self.is_task() {
                true if self.is_over => {} // nobody waits for it any more
                true => self.ready = Some(End::Value(SENT)),
                false => self.end(End::Value(SENT)),
            }
        }
    }

    fn drop(&mut self) {
        if self.seen.end == End::Pending {
            self.seen.end = End::Dropped;
        }
        // A result that was not looked at goes with it.
        self.is_held = false;
        if self.case.awaiter == Awaiter::BareCancelOnDrop && !self.is_over {
            self.cancel_work();
            self.is_over = true; // it was asked for: nobody is told
        }
    }

    fn poll(&mut self) {
        if let Some(end) = self.ready.take() {
            self.end(end);
        }
    }
}

fn expected(case: &Case) -> Seen {
    let seen = Seen { end: End::Pending, fired: None, asked: 0, reported: 0 };
    let mut model =
        Model { case: case.clone(), work: Work::Pending, seen, is_held: true, is_over: false, ready: None };
    // What is held has its end, but who awaits has not looked: a drop takes it along.
    let mut looked = End::Pending;
    for (n, step) in case.order.iter().enumerate() {
        match step {
            Step::Fire => model.fire(),
            Step::Cancel if model.is_held && case.awaiter != Awaiter::BareCancelOnDrop => {
                model.cancel(End::Cancelled);
            }
            Step::Cancel => {}
            Step::CancelAwaited => model.cancel_awaited(),
            Step::Drop => {
                let unseen_failure = matches!(model.seen.end, End::Cancelled | End::TimedOut);
                if looked == End::Pending && model.seen.end != End::Pending {
                    model.seen.reported += u32::from(unseen_failure);
                    model.seen.end = End::Dropped;
                }
                model.drop();
            }
            Step::Timeout => model.cancel(End::TimedOut),
        }
        if case.eager || n + 1 == case.order.len() {
            model.poll();
            looked = model.seen.end;
        }
    }
    model.seen
}

// ---- the table ------------------------------------------------------------------------------------------------------

#[test]
fn every_order_of_fire_cancels_drop_and_timeout() {
    let mut cells = 0;
    for awaiter in AWAITERS {
        for canceller in CANCELLERS {
            for eager in [true, false] {
                for order in orders() {
                    let case = Case { awaiter, canceller, eager, order };
                    let seen = run(&case);
                    println!("{case:?} -> {seen:?}");
                    assert_eq!(seen, expected(&case), "{case:?}");
                    let again = measure(|| {
                        run(&case);
                    });
                    assert_eq!(again.count_current, 0, "it leaks: {case:?}");
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 4 * 3 * 2 * 325);
}
