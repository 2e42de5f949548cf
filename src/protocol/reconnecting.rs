//! [`ReconnectingClientFactory`]: connects again, after delays that grow.

use super::{ClientFactory, Connector, Connects, Factory};
use crate::{
    address::Address,
    error::NoConnector,
    failure::Failure,
    time::{DelayedCall, Time},
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    f64::consts::E,
    fmt,
    ops::Deref,
    rc::{Rc, Weak},
    time::Duration,
};

/// A client factory around another one, which connects again when connecting fails or the connection is lost.
///
/// The first delay is one second; each is *e* times as long as the one before, up to an hour, and varies a little, so that many clients of a
/// server that went down do not come back at once. A protocol that is content with its connection calls
/// [`reset_delay`](Reconnection::reset_delay), else the delays go on growing.
///
/// The factory inside is told of all but of a failure after which it is tried again: its
/// [`client_connection_failed`](ClientFactory::client_connection_failed) means that it was given up.
///
/// It keeps what its delays are waited for on: with a reactor, one of its handles. So as long as the factory is used, or waits to be, a reactor
/// that never runs does not close when the last of the program's own handles is dropped; [`Reactor::stop`](crate::Reactor::stop) ends one that
/// runs all the same.
///
/// It derefs to its [`Reconnection`], which `cx.factory::<Reconnection>()` finds as well, whatever the factory inside. That one is found by its
/// own type, as if it were not wrapped.
///
/// # Examples
/// ```no_run
/// use twistor::{Context, Protocol, Reactor, ReconnectingClientFactory, Reconnection, factory};
/// struct Feed;
/// impl Protocol for Feed {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
///         cx.factory::<Reconnection>().reset_delay(); // it works: the next loss begins with a short delay
///         println!("{}", String::from_utf8_lossy(data));
///     }
/// }
/// let reactor = Reactor::new()?;
/// let feeds = ReconnectingClientFactory::new(&reactor, factory(|_| Feed));
/// reactor.connect_tcp(("feed.example", 4000), feeds);
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Debug)]
pub struct ReconnectingClientFactory<F> {
    inner: F,
    reconnection: Reconnection,
}

/// The first delay, if not set otherwise; Twisted's `initialDelay`.
const INITIAL_DELAY: f64 = 1.0;
/// The longest delay, in seconds; Twisted's `maxDelay`.
const MAX_DELAY: f64 = 3600.0;
/// The part of a delay that is its standard deviation; Twisted's `jitter`, which it took from the molar Planck constant times *c*.
const JITTER: f64 = 0.119_626_565_582;

impl<F: ClientFactory> ReconnectingClientFactory<F> {
    /// A factory around `inner`, whose delays are waited for on `time`: a reactor, or a [`Clock`](crate::time::Clock).
    pub fn new(time: &(impl Time + Clone + 'static), inner: F) -> ReconnectingClientFactory<F> {
        let reconnection = Reconnection {
            time: Box::new(time.clone()),
            initial: INITIAL_DELAY,
            max: MAX_DELAY,
            factor: E,
            jitter: JITTER,
            max_retries: None,
            random: RefCell::new(fastrand::Rng::with_seed(time.seed())),
            delay: Cell::new(INITIAL_DELAY),
            retries: Cell::new(0),
            stopped: Cell::new(false),
            pending: Rc::default(),
            connector: RefCell::default(),
        };
        ReconnectingClientFactory { inner, reconnection }
    }

    /// The delay that [`reset_delay`](Reconnection::reset_delay) goes back to, and the first one. One second if not set.
    #[doc(alias = "initialDelay")]
    pub fn initial_delay(mut self, delay: Duration) -> Self {
        self.reconnection.initial = delay.as_secs_f64();
        self.delay(delay)
    }

    /// The next delay alone.
    pub fn delay(self, delay: Duration) -> Self {
        self.reconnection.delay.set(delay.as_secs_f64());
        self
    }

    /// No delay grows beyond this. An hour if not set.
    #[doc(alias = "maxDelay")]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.reconnection.max = delay.as_secs_f64();
        self
    }

    /// By how much each delay is longer than the one before. *e* if not set.
    pub fn factor(mut self, factor: f64) -> Self {
        self.reconnection.factor = factor;
        self
    }

    /// Which part of a delay its standard deviation is: delays are distributed normally. 0.1196 if not set; 0 for none.
    pub fn jitter(mut self, part: f64) -> Self {
        self.reconnection.jitter = part;
        self
    }

    /// After so many retries without a [`reset_delay`](Reconnection::reset_delay) it is given up. No limit if not set.
    #[doc(alias = "maxRetries")]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.reconnection.max_retries = Some(retries);
        self
    }

    /// Has the jitter of a test be the same each time.
    pub fn seed(self, seed: u64) -> Self {
        self.reconnection.random.borrow_mut().seed(seed);
        self
    }

    /// The factory inside.
    pub fn inner(&self) -> &F {
        &self.inner
    }
}

impl<F> Deref for ReconnectingClientFactory<F> {
    type Target = Reconnection;

    fn deref(&self) -> &Reconnection {
        &self.reconnection
    }
}

/// How far a [`ReconnectingClientFactory`] is with connecting again.
pub struct Reconnection {
    time: Box<dyn Time>,
    initial: f64,
    max: f64,
    factor: f64,
    jitter: f64,
    max_retries: Option<u32>,
    random: RefCell<fastrand::Rng>,
    /// In seconds, like all the others: a [`Duration`] would round each product.
    delay: Cell<f64>,
    retries: Cell<u32>,
    stopped: Cell<bool>,
    pending: Rc<RefCell<Option<DelayedCall>>>,
    /// Weak, since the connector owns the factory. While it connects, is connected or waits, somebody holds it.
    connector: RefCell<Option<Weak<dyn Connects>>>,
}

impl Reconnection {
    /// Has the connector that came last connect again, after the next delay. It does nothing after
    /// [`stop_trying`](Self::stop_trying), and when there were enough retries.
    ///
    /// It is for who has stopped, or waits for something else. During a delay it adds a second one, as in Twisted, and `stop_trying`
    /// knows of the last.
    ///
    /// # Errors
    /// [`NoConnector`] if no attempt has failed and no connection was lost.
    pub fn retry(&self) -> Result<(), NoConnector> {
        if self.stopped.get() {
            return Ok(());
        }
        let connector = self.connector.borrow().as_ref().and_then(Weak::upgrade);
        self.retry_with(&Connector::shared(connector.ok_or_else(NoConnector::default)?));
        Ok(())
    }

    /// Begins with short delays again, and counts the retries from zero. It also takes a [`stop_trying`](Self::stop_trying) back.
    ///
    /// Called when the connection has proved good.
    #[doc(alias = "resetDelay")]
    pub fn reset_delay(&self) {
        self.delay.set(self.initial);
        self.retries.set(0);
        self.stopped.set(false);
    }

    /// Connects no more: a delay or an attempt that is under way is given up. A connection that there is stays.
    ///
    /// Who means to [`retry`](Self::retry) later keeps the [`Connector`]: the factory does not.
    #[doc(alias = "stopTrying")]
    pub fn stop_trying(&self) {
        self.stopped.set(true);
        if let Some(call) = self.pending.take() {
            let _ = call.cancel(); // it may have been made
        }
        let connector = self.connector.borrow().as_ref().and_then(Weak::upgrade);
        if let Some(connector) = connector {
            let _ = connector.stop_connecting(); // it may not be connecting
        }
    }

    /// How many retries there were since the last [`reset_delay`](Self::reset_delay).
    pub fn retries(&self) -> u32 {
        self.retries.get()
    }

    /// How long the next delay is, without its jitter.
    pub fn next_delay(&self) -> Duration {
        seconds(self.delay.get())
    }

    /// Whether it is tried again.
    fn came_to_nothing(&self, connector: &Connector) -> bool {
        if self.stopped.get() {
            return false;
        }
        self.connector.replace(Some(connector.downgrade()));
        self.retry_with(connector)
    }

    fn retry_with(&self, connector: &Connector) -> bool {
        let retries = self.retries.get().saturating_add(1);
        self.retries.set(retries);
        if self.max_retries.is_some_and(|max| retries > max) {
            tracing::info!("{connector:?} is given up after {} retries", retries - 1);
            return false;
        }
        let delay = self.with_jitter(self.delay.get());
        tracing::info!("{connector:?} will retry in {delay} s");
        let (connector, pending) = (connector.clone(), self.pending.clone());
        let reconnect = move || {
            pending.take();
            let _ = connector.connect(); // somebody else may have called it
        };
        let call = self.time.schedule(seconds(delay), Box::new(reconnect));
        self.pending.replace(Some(call));
        self.delay.set((delay * self.factor).min(self.max));
        true
    }

    /// Distributed normally around `delay`, near enough: as the sum of twelve numbers (Irwin, Hall, 1927). Additions are the same on every
    /// machine, as a logarithm is not.
    fn with_jitter(&self, delay: f64) -> f64 {
        let mut random = self.random.borrow_mut();
        let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        delay + delay * self.jitter * normal
    }
}

/// What is no number of seconds is never over, or over at once.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

impl fmt::Debug for Reconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnection")
            .field("retries", &self.retries())
            .field("next_delay", &self.next_delay())
            .field("stopped", &self.stopped.get())
            .finish_non_exhaustive()
    }
}

impl<F: ClientFactory> Factory for ReconnectingClientFactory<F> {
    type Protocol = F::Protocol;

    fn build_protocol(&self, peer: &Address) -> Option<F::Protocol> {
        self.inner.build_protocol(peer)
    }

    fn start_factory(&self) {
        self.inner.start_factory();
    }

    fn stop_factory(&self) {
        self.inner.stop_factory();
    }

    fn find_factory(&self, id: TypeId) -> Option<&dyn Any> {
        let (this, reconnection): (&dyn Any, &dyn Any) = (self, &self.reconnection);
        let found = [this, reconnection].into_iter().find(|factory| (**factory).type_id() == id);
        found.or_else(|| self.inner.find_factory(id))
    }

    fn factory_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl<F: ClientFactory> ClientFactory for ReconnectingClientFactory<F> {
    fn started_connecting(&self, connector: &Connector) {
        self.inner.started_connecting(connector);
    }

    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        if !self.came_to_nothing(connector) {
            self.inner.client_connection_failed(connector, why);
        }
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        self.inner.client_connection_lost(connector, why);
        self.came_to_nothing(connector);
    }
}
