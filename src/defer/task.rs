//! Async code as the first node of a chain: a future that a host polls, whose result the chain begins with.

use super::{
    Deferred,
    chain::{Cancel, Out, Tail, in_place, wake},
    future::current_host,
    record::{self, Id, Role, Token},
    source::{cancelled, go, tell_fired},
};
use crate::{
    error::{NoHost, ReactorNotRunning},
    failure::{Failure, Result},
    report,
    time::Driven,
    trace::Place,
};
use pin_project_lite::pin_project;
use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

/// Polls the future once and gives the rest to the current host.
pub(crate) fn start<T: 'static>(
    future: impl Future<Output = Result<T>> + 'static,
    place: Place,
) -> Deferred<T> {
    let mut future: Boxed<T> = Box::pin(Guarded { future });
    let task = Task::new(place, None);
    if let Poll::Ready(result) = task.poll_once(&mut future, &mut Context::from_waker(Waker::noop())) {
        task.forget();
        let_go(future);
        return Deferred::ready_at(result, place);
    }
    let Some(host) = current_host() else {
        task.forget();
        let_go(future);
        return Deferred::ready_at(Err(Failure::new(NoHost).with_place(place)), place);
    };
    task.work.set(Work::Waits(future));
    let deferred = task.deferred();
    host.spawn_polled(Polled(task));
    deferred
}

/// A future that `host` polls from the beginning, and the Deferred of its result.
pub(crate) fn spawned<T: 'static>(
    future: impl Future<Output = Result<T>> + 'static,
    place: Place,
    driven: Rc<Cell<Driven>>,
) -> (Deferred<T>, Polled) {
    let task = Task::new(place, Some(driven));
    task.work.set(Work::Waits(Box::pin(Guarded { future })));
    (task.deferred(), Polled(task))
}

pin_project! {
    /// A future whose panic is a failure.
    struct Guarded<F> {
        #[pin]
        future: F,
    }
}

impl<T, F: Future<Output = Result<T>>> Future for Guarded<F> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let future = self.project().future;
        report::guarded(|| future.poll(cx)).unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// What async code holds is dropped with it, which is foreign code: a panic in there is told, and the result is not lost by it.
fn let_go<T>(future: Boxed<T>) {
    if let Err(panicked) = report::guarded(|| drop(future)) {
        report::unhandled("the end of a task", panicked);
    }
}

/// The node of async code. It fires itself, so it has no promise.
struct Task<T: 'static> {
    out: Out<T>,
    token: Cell<Token>,
    work: Cell<Work<T>>,
    /// Who polls it, to be woken when there is nothing left to poll.
    waker: Cell<Option<Waker>>,
    place: Place,
}

/// How far async code is.
enum Work<T> {
    /// It waits to be polled.
    Waits(Boxed<T>),
    /// It is out of its place: polled, or being dropped.
    Out,
    /// The same, and it was cancelled there: it is dropped when the poll returns.
    Cancelled(Place),
    /// It has fired.
    Over,
}

impl<T: 'static> Task<T> {
    fn new(place: Place, driven: Option<Rc<Cell<Driven>>>) -> Rc<Task<T>> {
        let token = Token::new(place, Role::Task);
        if let Some(driven) = driven {
            token.driven_by(driven);
        }
        in_place(|task: &Weak<Task<T>>| {
            token.unfired(task.clone());
            Task {
                out: Out::new(),
                token: Cell::new(token),
                work: Cell::new(Work::Out),
                waker: Cell::new(None),
                place,
            }
        })
    }

    fn deferred(self: &Rc<Self>) -> Deferred<T> {
        Deferred::chain(self.clone(), self.id(), self.place)
    }

    fn id(&self) -> Id {
        record::with_token(&self.token, Token::id)
    }

    /// It is not needed: the result was there at once.
    fn forget(&self) {
        drop(self.token.take());
    }

    fn poll_once(&self, future: &mut Boxed<T>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let _polling = record::polling(self.id());
        future.as_mut().poll(cx)
    }

    fn fire(self: Rc<Self>, mut result: Result<T>, fired: Place) {
        if let Work::Over = self.work.replace(Work::Over) {
            return;
        }
        drop(self.waker.take()); // nobody wakes what is over, and this node is not looked at again
        let made = self.place;
        if let Err(failure) = &mut result {
            tell_fired(failure, made, fired);
        }
        let token = self.token.take();
        go(self, token, result, made, fired);
    }

    fn polled_by(&self, waker: &Waker) {
        let same = self.waker.take().filter(|same| same.will_wake(waker));
        self.waker.set(Some(same.unwrap_or_else(|| waker.clone())));
    }
}

impl<T: 'static> Cancel for Task<T> {
    fn cancel(self: Rc<Self>, at: Place) {
        match self.work.replace(Work::Out) {
            Work::Waits(future) => {
                let host = self.waker.take();
                let_go(future);
                self.fire(Err(cancelled(at)), at);
                if let Some(host) = host {
                    wake(host);
                }
            }
            Work::Out | Work::Cancelled(_) => self.work.set(Work::Cancelled(at)),
            Work::Over => self.work.set(Work::Over),
        }
    }
}

impl<T: 'static> Tail for Task<T> {
    type Value = T;

    fn out(&self) -> &Out<T> {
        &self.out
    }

    fn at(&self) -> Place {
        self.place
    }

    fn is_spent(&self) -> bool {
        self.token.take().is_over()
            && self.waker.take().is_none()
            && matches!(self.work.replace(Work::Over), Work::Over)
    }
}

/// Async code of any result, as its host sees it.
trait Hosted {
    fn poll(self: Rc<Self>, cx: &mut Context<'_>) -> Poll<()>;
    /// Nobody polls it any more.
    fn abandon(self: Rc<Self>);
}

impl<T: 'static> Hosted for Task<T> {
    fn poll(self: Rc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut future = match self.work.replace(Work::Out) {
            Work::Waits(future) => future,
            other => {
                self.work.set(other);
                return Poll::Ready(());
            }
        };
        let poll = self.poll_once(&mut future, cx);
        let (result, at) = match (poll, self.work.replace(Work::Out)) {
            (Poll::Ready(result), _) => (result, self.place),
            (Poll::Pending, Work::Cancelled(at)) => (Err(cancelled(at)), at),
            (Poll::Pending, _) => {
                self.work.set(Work::Waits(future));
                self.polled_by(cx.waker());
                return Poll::Pending;
            }
        };
        let_go(future);
        self.fire(result, at);
        Poll::Ready(())
    }

    /// If it is not over, nobody needs to be told of what that does.
    fn abandon(self: Rc<Self>) {
        let place = self.place;
        match self.work.replace(Work::Out) {
            Work::Over => self.work.set(Work::Over),
            work => {
                if let Work::Waits(future) = work {
                    let_go(future);
                }
                self.fire(Err(Failure::quiet(ReactorNotRunning)), place);
            }
        }
    }
}

/// Async code that [`ensure_deferred`](super::ensure_deferred) started, as a [`Host`](super::Host) polls it.
///
/// It is ready when the code is over, or was cancelled. To drop it before that drops the code, and its Deferred fails with
/// [`ReactorNotRunning`], which is not reported.
pub struct Polled(Rc<dyn Hosted>);

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.clone().poll(cx)
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.0.clone().abandon();
    }
}

impl fmt::Debug for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").finish_non_exhaustive()
    }
}
