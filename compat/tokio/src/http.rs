//! What hyper asks a runtime for besides I/O: a timer and an executor, both of them the reactor.

use futures::task::{AtomicWaker, LocalSpawnExt};
use hyper::rt::{Executor, Sleep, Timer};
use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use twistor::{Reactor, time::DelayedCall};

/// hyper's timer on the clock of the reactor whose task polls the connection, virtual or not; and hyper's executor, which spawns there.
///
/// No tokio runtime is needed for it. Without a timer, hyper panics as soon as a timeout is set: `header_read_timeout` and its like.
///
/// # Examples
/// ```
/// use http_body_util::Empty;
/// use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
/// use std::time::Duration;
/// use twistor::{Failure, Stream, serve, testing::Simulation};
/// use twistor_tokio::{OnReactor, StreamExt as _};
///
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.listen_tcp(80, serve(|stream: Stream| async move {
///     let empty = service_fn(async |_request| Ok::<_, Failure>(Response::new(Empty::<Bytes>::new())));
///     let mut http = http1::Builder::new();
///     http.timer(OnReactor).header_read_timeout(Duration::from_secs(10));
///     Ok(http.serve_connection(stream.into_hyper(), empty).await?)
/// }))?;
///
/// // Ten seconds of silence; they take no time here.
/// # let _told = twistor::report::hook(|_| ());
/// let silent = sim.connect(([127, 0, 0, 1], 80))?;
/// sim.advance(Duration::from_secs(10));
/// assert!(silent.is_at_end());
///
/// // No reactor calls this.
/// use hyper::rt::Timer;
/// assert!(std::panic::catch_unwind(|| OnReactor.now()).is_err());
/// # Ok::<(), twistor::Failure>(())
/// ```
///
/// # Panics
/// All of it where no reactor calls: a connection that has this for its timer is served in a task of a reactor.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnReactor;

impl Timer for OnReactor {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Asleep::new(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        // hyper reckons in instants, and a reactor in the time since it was made.
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now) + Reactor::current().now()
    }
}

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnReactor {
    fn execute(&self, future: F) {
        let spawned = Reactor::current().spawn_local(async move { drop(future.await) });
        spawned.expect("a reactor takes every task");
    }
}

thread_local! {
    /// The calls that wake what sleeps on this thread: hyper has its sleeps `Send`, and a delayed call is not.
    static CALLS: RefCell<HashMap<u64, DelayedCall>> = RefCell::default();
}

/// A sleep of hyper's. Dropped, it takes its delayed call back; in another thread it does not, and then that call does nothing.
struct Asleep {
    call: u64,
    alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Alarm {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Asleep {
    fn new(duration: Duration) -> Asleep {
        static CALL: AtomicU64 = AtomicU64::new(0);
        let call = CALL.fetch_add(1, Ordering::Relaxed);
        let alarm = Arc::new(Alarm::default());
        let rings = alarm.clone();
        let delayed = Reactor::current().call_later(duration, move || {
            CALLS.with_borrow_mut(|calls| calls.remove(&call));
            rings.rung.store(true, Ordering::Release);
            rings.waker.wake();
        });
        CALLS.with_borrow_mut(|calls| calls.insert(call, delayed));
        Asleep { call, alarm }
    }
}

impl Sleep for Asleep {}

impl Future for Asleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.waker.register(cx.waker());
        if self.alarm.rung.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let call = CALLS.try_with(|calls| calls.borrow_mut().remove(&self.call));
        if let Ok(Some(call)) = call {
            // It may have been closed with its reactor.
            let _ = call.cancel();
        }
    }
}
