//! Producers: who writes more than fits at once is told when to.

/// Writes to a transport in its own time.
///
/// A *push* producer (`streaming` true, Twisted's `IPushProducer`) writes until it is paused, at more than 64 KiB that
/// wait to be sent, or by the first write to a connection that has failed, and goes on when all is gone. Each pause is told once, and each is followed by one resume or by
/// [`stop_producing`](Self::stop_producing). A *pull* producer (`IPullProducer`) writes one piece at each
/// [`resume_producing`](Self::resume_producing).
///
/// The methods take `&self`: a producer may be paused by the very write it makes. A panic of theirs is reported and ends the
/// connection that is produced for, whoever wrote to it.
///
/// A [`Transport`](super::Transport) is a producer: `a.register_producer(b.clone(), true)` makes what is read from `b` and
/// written to `a` wait for `a`.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use twistor::{Address, Context, Producer, Protocol, Transport, factory, testing};
///
/// /// Counts from 3 down, a number each time there is room.
/// struct Countdown { left: Cell<u8>, to: Transport }
/// impl Producer for Countdown {
///     fn resume_producing(&self) {
///         self.to.write(format!("{}\n", self.left.get()));
///         self.left.set(self.left.get() - 1);
///         if self.left.get() == 0 {
///             self.to.unregister_producer();
///             self.to.lose_connection();
///         }
///     }
///     fn stop_producing(&self) {}
/// }
///
/// struct Launch;
/// impl Protocol for Launch {
///     fn connection_made(&mut self, cx: &Context<Self>) {
///         let to = cx.transport();
///         cx.register_producer(Countdown { left: Cell::new(3), to }, false).expect("the first one");
///     }
/// }
/// let mut t = testing::connect(Launch);
/// assert_eq!([t.sent(), t.sent(), t.sent()].concat(), b"3\n2\n1\n"); // each `sent` makes room
/// assert!(t.disconnecting());
/// ```
#[doc(alias = "IPushProducer")]
#[doc(alias = "IPullProducer")]
pub trait Producer: 'static {
    /// There is room: write on.
    #[doc(alias = "resumeProducing")]
    fn resume_producing(&self);
    /// Too much waits to be sent: write no more until the resume. Only push producers are paused.
    #[doc(alias = "pauseProducing")]
    fn pause_producing(&self) {}
    /// The connection is gone: write never again.
    #[doc(alias = "stopProducing")]
    fn stop_producing(&self);
}
