//! A signal as a callback, a stream, a Deferred.

use super::{Hearing, Signal, SignalError};
use crate::{
    defer::{Canceller, Deferred, Promise},
    reactor::Reactor,
};
use futures::stream::{FusedStream, Stream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    panic::Location,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Signals of the system.
impl Reactor {
    /// Calls `f` at each signal of this kind, from now on and until the handle is dropped or the reactor's run has ended.
    ///
    /// It is called by the loop like any other callback, not inside the signal's handler: everything may be done in it. Signals of a kind that come before the loop looks
    /// are one. Of several kinds that have come it tells in the order of their numbers, and of several who hear the same one, in the order in which they asked.
    /// All reactors of the process hear it that listen for it. A panic is reported, and ends nothing else.
    ///
    /// # What the signal did before
    /// It does not do while somebody in the process hears it, and does again when nobody does: most of them end the process, and what was ignored, or had a handler of
    /// somebody else, is left to that. For `SIGINT` and `SIGTERM` that is the orderly stop of a reactor that [runs](Self::run): while this reactor hears one of them
    /// itself, that one does not stop it, not even a second one; who wants to stop calls [`stop`](Self::stop). Other reactors are stopped by it as before.
    ///
    /// `SIGCHLD` is never taken by twistor itself.
    ///
    /// # Errors
    /// [`SignalError::Forbidden`] for those that no program can hear; [`SignalError::System`] if the system refuses.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Reactor, reactor::{Signal, SignalError}, testing};
    /// let reactor = Reactor::new()?;
    /// let _reload = reactor.on_signal(Signal::HUP, || {
    ///     println!("the configuration is read again");
    ///     Reactor::current().stop().expect("it runs");
    /// })?;
    /// testing::raise(&reactor, Signal::HUP)?; // or: kill -HUP PID
    /// reactor.run()?;
    ///
    /// let refused = reactor.on_signal(Signal::KILL, || {}).unwrap_err();
    /// assert_eq!(refused, SignalError::Forbidden(Signal::KILL));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "signal.signal")]
    pub fn on_signal(
        &self,
        signal: Signal,
        mut f: impl FnMut() + 'static,
    ) -> Result<SignalHandler, SignalError> {
        let hearing = self.core.hear(signal, Box::new(move |_| f()))?;
        Ok(SignalHandler { hearing })
    }

    /// These signals as a stream, which ends with the reactor's run.
    ///
    /// Each kind that has come and was not taken yet is in it once. Else it is as [`on_signal`](Self::on_signal), and to drop the stream is as to drop its handle.
    ///
    /// # Errors
    /// As of [`on_signal`](Self::on_signal).
    ///
    /// # Examples
    /// ```
    /// use futures_lite::StreamExt;
    /// use twistor::{Reactor, reactor::Signal, testing};
    /// let reactor = Reactor::new()?;
    /// let mut signals = reactor.signals(&[Signal::HUP, Signal::USR2])?;
    /// reactor.spawn(async move {
    ///     while let Some(signal) = signals.next().await {
    ///         match signal {
    ///             Signal::HUP => println!("the configuration is read again"),
    ///             _ => Reactor::current().stop()?,
    ///         }
    ///     }
    ///     Ok(())
    /// }).or_log("signals");
    /// testing::raise(&reactor, Signal::HUP)?;
    /// testing::raise(&reactor, Signal::USR2)?;
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn signals(&self, signals: &[Signal]) -> Result<Signals, SignalError> {
        let queue = Rc::new(Queue::default());
        let hear = |signal: &Signal| {
            let end = QueueEnd::new(&queue);
            self.core.hear(*signal, Box::new(move |signal| end.0.push(signal)))
        };
        let hearings = signals.iter().map(hear).collect::<Result<_, _>>()?;
        Ok(Signals { queue, _hearings: hearings })
    }

    /// The next signal of this kind: fires when it comes.
    ///
    /// It is as [`on_signal`](Self::on_signal) until then. To drop the Deferred ends nothing: cancel it, and the signal does again what it did before.
    ///
    /// # Errors
    /// [`CancelledError`](crate::error::CancelledError), and [`ReactorNotRunning`](crate::error::ReactorNotRunning) if the run ends first;
    /// a [`SignalError`] as of `on_signal`.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Reactor, reactor::Signal, testing};
    /// let reactor = Reactor::new()?;
    /// reactor.next_signal(Signal::TERM)
    ///     .add_callback(|_| {
    ///         println!("good bye");
    ///         Reactor::current().stop()?;
    ///         Ok(())
    ///     })
    ///     .or_log("SIGTERM");
    /// testing::raise(&reactor, Signal::TERM)?;
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn next_signal(&self, signal: Signal) -> Deferred<Signal> {
        let hearing: Rc<Cell<Option<Hearing>>> = Rc::default();
        let off = hearing.clone();
        let cancel = move |promise: Promise<Signal>| {
            drop(off.take());
            drop(promise); // which fails it
        };
        let canceller = Canceller::Once(Box::new(cancel));
        let (deferred, promise) = Deferred::driven(Location::caller(), self.core.driven.clone(), canceller);
        let promise = Rc::new(Cell::new(Some(promise)));
        let (off, fired) = (hearing.clone(), promise.clone());
        let call = move |signal| {
            drop(off.take()); // what it does by default is back before anybody is told
            if let Some(promise) = fired.take() {
                promise.callback(signal);
            }
        };
        match self.core.hear(signal, Box::new(call)) {
            // From here on the promise goes with who hears it.
            Ok(heard) => hearing.set(Some(heard)),
            Err(error) => {
                promise.take().map(|promise| promise.errback(error));
            }
        }
        deferred
    }
}

/// Hears a signal; from [`on_signal`](Reactor::on_signal). To drop it is to hear it no more.
#[must_use = "to drop it is to hear the signal no more"]
pub struct SignalHandler {
    hearing: Hearing,
}

impl SignalHandler {
    /// What it hears.
    pub fn signal(&self) -> Signal {
        self.hearing.signal
    }
}

impl fmt::Debug for SignalHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalHandler").field("signal", &self.signal()).finish()
    }
}

/// Signals as a stream; from [`signals`](Reactor::signals). To drop it is to hear them no more.
#[must_use = "to drop it is to hear the signals no more"]
pub struct Signals {
    queue: Rc<Queue>,
    _hearings: Vec<Hearing>,
}

/// Between the reactor and who takes.
#[derive(Default)]
struct Queue {
    /// No kind twice.
    waiting: RefCell<VecDeque<Signal>>,
    taker: Cell<Option<Waker>>,
    /// How many kinds still come.
    kinds: Cell<usize>,
}

impl Queue {
    fn push(&self, signal: Signal) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.contains(&signal) {
            waiting.push_back(signal);
        }
        drop(waiting);
        self.wake();
    }

    fn wake(&self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }
}

/// The end of a queue that a kind of signal is put in at.
struct QueueEnd(Rc<Queue>);

impl QueueEnd {
    fn new(queue: &Rc<Queue>) -> QueueEnd {
        queue.kinds.set(queue.kinds.get() + 1);
        QueueEnd(queue.clone())
    }
}

impl Drop for QueueEnd {
    fn drop(&mut self) {
        self.0.kinds.set(self.0.kinds.get() - 1);
        self.0.wake();
    }
}

impl Stream for Signals {
    type Item = Signal;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Signal>> {
        if let Some(signal) = self.queue.waiting.borrow_mut().pop_front() {
            return Poll::Ready(Some(signal));
        }
        if self.queue.kinds.get() == 0 {
            return Poll::Ready(None);
        }
        self.queue.taker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl FusedStream for Signals {
    fn is_terminated(&self) -> bool {
        self.queue.kinds.get() == 0 && self.queue.waiting.borrow().is_empty()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("waiting", &self.queue.waiting.borrow())
            .field("kinds", &self.queue.kinds.get())
            .finish()
    }
}
