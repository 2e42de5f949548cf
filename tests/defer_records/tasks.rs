//! Tasks in the list: what one awaits, where, and that nothing is left of one that is gone.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use twistor::{
    defer::{Deferred, Host, HostGuard, ensure_deferred, enter_host, pending},
    report,
    snapshot::Entry,
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A host that polls when it is told to.
#[derive(Clone, Default)]
struct ByHand(Rc<RefCell<Vec<Task>>>);

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
        let mut cx = Context::from_waker(Waker::noop());
        let left =
            tasks.into_iter().filter_map(|mut task| task.as_mut().poll(&mut cx).is_pending().then_some(task));
        let left: Vec<_> = left.collect();
        self.0.borrow_mut().extend(left);
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

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
