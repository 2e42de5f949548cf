//! Tasks in the list: what one awaits, where, and that nothing is left of one that is gone.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use twistor::{
    Result,
    defer::{Deferred, Host, HostGuard, Promise, ensure_deferred, enter_host, pending},
    error::{CancelledError, NoHost, Panicked, ReactorNotRunning},
    report,
    snapshot::Entry,
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A host that polls when it is told to, with a waker that may be given.
#[derive(Clone, Default)]
struct ByHand(Rc<RefCell<Vec<Task>>>, Rc<Cell<Option<Waker>>>);

impl Host for ByHand {
    fn spawn_local(&self, task: Task) {
        self.0.borrow_mut().push(task);
    }
}

impl ByHand {
    fn enter() -> (ByHand, HostGuard) {
        let host = ByHand::default();
        (host.clone(), enter_host(Rc::new(host)))
    }

    fn poll_all(&self) {
        let tasks = self.0.take();
        let waker = self.1.take();
        let mut cx = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        let left =
            tasks.into_iter().filter_map(|mut task| task.as_mut().poll(&mut cx).is_pending().then_some(task));
        let left: Vec<_> = left.collect();
        self.0.borrow_mut().extend(left);
        self.1.set(waker);
    }
}

/// What is pending, the first made first.
fn listed() -> Vec<Entry> {
    let mut list = pending();
    list.sort_by_key(|p| p.id);
    list
}

#[test]
fn a_task_waits_for_what_it_awaits_at_the_line_of_its_await() {
    let (host, _here) = ByHand::enter();
    let (first, first_promise) = Deferred::<u8>::pending();
    let (second, second_promise) = Deferred::<u8>::pending();
    let made = line!() + 1;
    let sum = ensure_deferred(async {
        let one = first.await?;
        Ok(one + second.await?)
    });
    let [one, two, task] = &listed()[..] else { panic!("{:?}", pending()) };
    assert_eq!((one.waiter, two.waiter, task.waiter), (Some(task.id), None, None));
    assert_eq!((task.made.line(), task.at.map(|at| at.line())), (made, Some(made + 1)));

    first_promise.callback(1);
    host.poll_all();
    let [two, task] = &listed()[..] else { panic!("{:?}", pending()) };
    assert_eq!((two.waiter, task.at.map(|at| at.line())), (Some(task.id), Some(made + 2)));

    second_promise.callback(2);
    assert_eq!(listed().len(), 1, "the task, until it is polled");
    host.poll_all();
    assert_eq!(sum.now().unwrap().unwrap(), 3);
    assert!(pending().is_empty());
}

#[test]
fn a_task_that_is_dropped_waits_for_nothing() {
    let (host, _here) = ByHand::enter();
    let _hook = report::hook(|_| ());
    let (gate, promise) = Deferred::<u8>::pending();
    drop(ensure_deferred(gate));
    assert!(listed()[0].waiter.is_some());
    drop(host.0.take());
    let list = listed();
    assert_eq!((list.len(), list[0].waiter), (1, None));
    promise.callback(1);
    assert!(pending().is_empty());
}

#[test]
fn a_task_that_is_over_waits_for_nothing_while_its_callbacks_go_on() {
    let (host, _here) = ByHand::enter();
    let (mut left, left_promise) = Deferred::<u8>::pending();
    let (right, right_promise) = Deferred::<u8>::pending();
    let task = ensure_deferred(async move {
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut left).poll(cx).is_pending())).await;
        std::mem::forget(left); // it is no longer awaited, and nobody says so
        assert!(polled);
        let () = yield_once().await;
        Ok(0)
    });
    let end = task.add_callback(move |_: u8| right);
    host.poll_all();
    let [left, right, task] = &listed()[..] else { panic!("{:?}", pending()) };
    assert_eq!((left.waiter, right.waiter), (None, Some(task.id)));
    left_promise.callback(1);
    right_promise.callback(2);
    assert_eq!(end.now().unwrap().unwrap(), 2);
}

#[test]
fn a_stage_added_to_what_a_task_has_polled_ends_the_edge() {
    let (_host, _here) = ByHand::enter();
    let _hook = report::hook(|_| ());
    let (gate, promise) = Deferred::<u8>::pending();
    let (never, _never) = Deferred::<()>::pending();
    let _task = ensure_deferred(async move {
        let mut gate = gate;
        poll_fn(|cx| Poll::Ready(Pin::new(&mut gate).poll(cx).is_pending())).await;
        let list = listed();
        assert_eq!(list[0].waiter, Some(list[2].id));
        let gate = gate.add_callback(|n| Ok(n + 1));
        assert_eq!(listed()[0].waiter, None);
        drop(gate);
        never.await
    });
    assert_eq!(promise.callback(1), twistor::defer::Fired::Delivered);
}

/// A chain that took over what a task had polled ended that task's record, which the next Deferred then shared.
#[test]
fn what_a_task_has_polled_may_be_returned_by_a_stage() {
    let (host, _here) = ByHand::enter();
    let (mut inner, inner_promise) = Deferred::<u8>::pending();
    let (outer, start) = Deferred::<()>::pending();
    let (gate, opens) = Deferred::<()>::pending();
    let end = ensure_deferred(async move {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut inner).poll(cx).is_pending())).await;
        let waiting = outer.add_callback(move |()| inner);
        start.callback(());
        gate.await?;
        waiting.await
    });
    assert_eq!(listed().len(), 4);
    let (_another, _promise) = Deferred::<u8>::pending();
    assert_eq!(listed().len(), 5);
    opens.callback(());
    host.poll_all();
    inner_promise.callback(7);
    host.poll_all();
    assert_eq!(end.now().unwrap().unwrap(), 7);
    assert_eq!(listed().len(), 1);
}

/// Its record went back to the free ones with the task's name in it.
#[test]
fn a_task_whose_result_is_there_at_once_is_not_listed() {
    for _ in 0..3 {
        assert_eq!(ensure_deferred(async { Ok(1) }).now().unwrap().unwrap(), 1);
        let nobody_polls = ensure_deferred(std::future::pending::<Result<u8>>());
        assert!(nobody_polls.now().unwrap().unwrap_err().check::<NoHost>());
        assert!(pending().is_empty());
    }
}

/// How a task that has been polled twice ends, and what becomes of its result.
const ENDS: [fn(Deferred<u8>, Promise<u8>, &ByHand); 5] = [
    |task, opens, host| {
        opens.callback(1);
        host.poll_all();
        drop(task);
    },
    |task, opens, host| {
        drop(task);
        opens.callback(1);
        host.poll_all();
    },
    |mut task, opens, host| {
        task.pause();
        opens.callback(1);
        host.poll_all();
        task.unpause();
        assert_eq!(task.add_callback(|n| Ok(n + 1)).now().unwrap().unwrap(), 2);
    },
    |task, _opens, host| {
        task.cancel();
        host.poll_all();
        assert!(task.now().unwrap().is_err());
    },
    |task, opens, host| {
        let end = task.add_callback(|n| Ok(n + 1));
        opens.callback(1);
        host.poll_all();
        assert_eq!(end.now().unwrap().unwrap(), 2);
    },
];

/// A task that was over, and whose result was dropped, leaked the waker of its host, and with it an executor.
#[test]
fn a_task_that_is_over_holds_no_waker() {
    for (n, end) in ENDS.into_iter().enumerate() {
        let counted = Arc::new(Nobody);
        let (host, _here) = ByHand::enter();
        host.1.set(Some(Waker::from(counted.clone())));
        let (gate, opens) = Deferred::<u8>::pending();
        let task = ensure_deferred(async {
            yield_once().await;
            gate.await
        });
        host.poll_all();
        host.poll_all();
        end(task, opens, &host);
        drop((host.0.take(), host.1.take()));
        assert_eq!(Arc::strong_count(&counted), 1, "end {n}");
        assert!(pending().is_empty());
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// What async code holds panics when it is dropped: its Deferred fires all the same, and who cancelled it goes on.
#[test]
fn a_panic_in_the_drop_of_a_task_is_told_and_no_result_is_lost() {
    let told = Rc::new(RefCell::new(vec![]));
    let seen = told.clone();
    let _hook = report::hook(move |r| seen.borrow_mut().push((r.origin, r.failure.check::<Panicked>())));
    let holding = |gate| Held { _bomb: Bomb, inner: gate };
    let [(first, _first), (second, _second), (third, _third)] = std::array::from_fn(|_| Deferred::pending());

    let at_once = ensure_deferred(holding(twistor::defer::succeed(1)));
    assert_eq!(at_once.now().unwrap().unwrap(), 1);
    let nobody_polls = ensure_deferred(holding(first));
    assert!(nobody_polls.now().unwrap().unwrap_err().check::<NoHost>());

    let (host, _here) = ByHand::enter();
    let cancelled = ensure_deferred(holding(second));
    cancelled.cancel();
    assert!(cancelled.now().unwrap().unwrap_err().check::<CancelledError>());
    let (gate, opens) = Deferred::pending();
    let over = ensure_deferred(holding(gate));
    opens.callback(2);
    host.poll_all();
    assert_eq!(over.now().unwrap().unwrap(), 2);
    let abandoned = ensure_deferred(holding(third));
    drop(host.0.take());
    assert!(abandoned.now().unwrap().unwrap_err().check::<ReactorNotRunning>());

    assert_eq!(*told.borrow(), [("the end of a task", true); 5]);
    assert_eq!(pending().len(), 3, "what was awaited, and never fired");
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the drop");
    }
}

/// It is dropped with the future: what is local to an async block goes when that returns.
struct Held {
    _bomb: Bomb,
    inner: Deferred<u8>,
}

impl Future for Held {
    type Output = Result<u8>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u8>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
