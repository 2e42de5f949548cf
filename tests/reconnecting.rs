//! Connecting again: on a clock, with a connector that connects to nothing; and on sockets, to a server that comes and goes.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, Protocol, Reactor,
    ReconnectingClientFactory, Reconnection,
    error::{AlreadyConnecting, NoConnector, NotConnectingError, UserError},
    factory,
    protocol::{ConnectorState, Connects},
    report, task,
    testing::{self, PeerListener, on_both},
    time::Clock,
};

const SECOND: Duration = Duration::from_secs(1);

/// A connector that notes when it is asked to connect, and tells a factory when it is stopped.
struct Fake<F> {
    clock: Clock,
    state: Cell<ConnectorState>,
    at: RefCell<Vec<Duration>>,
    factory: Rc<ReconnectingClientFactory<F>>,
}

struct Handle<F>(Rc<Fake<F>>);

impl<F: ClientFactory> Fake<F> {
    fn fail(self: &Rc<Self>) {
        self.state.set(ConnectorState::Disconnected);
        self.factory.client_connection_failed(&self.connector(), Failure::msg("refused"));
    }

    fn lose(self: &Rc<Self>) {
        self.state.set(ConnectorState::Disconnected);
        self.factory.client_connection_lost(&self.connector(), Failure::msg("lost"));
    }

    fn connector(self: &Rc<Self>) -> Connector {
        Connector::new(Handle(self.clone()))
    }

    /// When it connected, in seconds since the last look.
    fn connected_at(&self) -> Vec<f64> {
        self.at.take().iter().map(Duration::as_secs_f64).collect()
    }
}

impl<F: ClientFactory> Connects for Handle<F> {
    fn connect(&self) -> Result<(), AlreadyConnecting> {
        if self.0.state.replace(ConnectorState::Connecting) != ConnectorState::Disconnected {
            return Err(AlreadyConnecting::default());
        }
        self.0.at.borrow_mut().push(self.0.clock.now());
        Ok(())
    }

    fn stop_connecting(&self) -> Result<(), NotConnectingError> {
        if self.0.state.replace(ConnectorState::Disconnected) != ConnectorState::Connecting {
            return Err(NotConnectingError::default());
        }
        self.0.factory.client_connection_failed(&self.0.connector(), Failure::new(UserError::default()));
        Ok(())
    }

    fn disconnect(&self) {}

    fn state(&self) -> ConnectorState {
        self.0.state.get()
    }

    fn destination(&self) -> String {
        "nowhere".into()
    }
}

struct Nothing;
impl Protocol for Nothing {}

/// A factory that notes what it is told.
#[derive(Default)]
struct Told(RefCell<Vec<String>>);

impl Factory for Told {
    type Protocol = Nothing;
    fn build_protocol(&self, _peer: &Address) -> Option<Nothing> {
        Some(Nothing)
    }
    fn start_factory(&self) {
        self.0.borrow_mut().push("start".into());
    }
    fn stop_factory(&self) {
        self.0.borrow_mut().push("stop".into());
    }
}

impl ClientFactory for Told {
    fn started_connecting(&self, _connector: &Connector) {
        self.0.borrow_mut().push("connecting".into());
    }
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        self.0.borrow_mut().push(format!("failed: {why}"));
    }
    fn client_connection_lost(&self, _connector: &Connector, why: Failure) {
        self.0.borrow_mut().push(format!("lost: {why}"));
    }
}

type Reconnecting = ReconnectingClientFactory<Told>;

fn fake(set: impl FnOnce(Reconnecting) -> Reconnecting) -> (Clock, Rc<Fake<Told>>) {
    let clock = Clock::new();
    let factory = Rc::new(set(ReconnectingClientFactory::new(&clock, Told::default()).jitter(0.0)));
    let state = Cell::new(ConnectorState::Connecting);
    (clock.clone(), Rc::new(Fake { clock, state, at: RefCell::default(), factory }))
}

/// Fails whenever it connects, for a day.
fn connects_of_a_day(clock: &Clock, fake: &Rc<Fake<Told>>) -> Vec<f64> {
    let mut all = vec![];
    fake.fail();
    while clock.now() < SECOND * 86_400 && !clock.get_delayed_calls().is_empty() {
        clock.advance(clock.get_delayed_calls()[0].get_time() - clock.now());
        all.extend(fake.connected_at());
        fake.fail();
    }
    all
}

#[test]
fn delays_begin_with_a_second_and_grow_by_e_up_to_an_hour() {
    let (clock, fake) = fake(|factory| factory);
    let at = connects_of_a_day(&clock, &fake);
    let delays: Vec<_> = at.iter().scan(0.0, |last, at| Some(at - std::mem::replace(last, *at))).collect();
    for (n, delay) in delays.iter().enumerate() {
        let expected = (n as f64).exp().min(3600.0);
        assert!((delay - expected).abs() < 1e-6, "delay {n} was {delay}");
    }
    assert!(delays.len() > 25);
}

#[test]
fn its_numbers_can_be_set() {
    let (clock, fake) =
        fake(|f| f.initial_delay(SECOND * 2).factor(3.0).max_delay(SECOND * 10).max_retries(4));
    assert_eq!(connects_of_a_day(&clock, &fake), [2.0, 8.0, 18.0, 28.0]);
    assert_eq!((fake.factory.retries(), fake.factory.inner().0.take()), (5, vec!["failed: refused".into()]));
    fake.factory.reset_delay();
    assert_eq!((fake.factory.retries(), fake.factory.next_delay()), (0, SECOND * 2));
}

#[test]
fn the_first_delay_alone_can_be_set() {
    let (clock, fake) = fake(|f| f.delay(SECOND * 5));
    fake.lose();
    clock.advance(SECOND * 5);
    assert_eq!(fake.connected_at(), [5.0]);
    fake.factory.reset_delay();
    fake.lose();
    clock.advance(SECOND);
    assert_eq!(fake.connected_at(), [6.0]);
}

#[test]
fn jitter_spreads_the_delays_around_the_nominal_one() {
    let (mut sum, mut squares) = (0.0, 0.0);
    const TIMES: f64 = 10_000.0;
    for seed in 0..TIMES as u64 {
        let (clock, fake) = fake(|f| f.jitter(0.1).seed(seed));
        fake.fail();
        let delay = clock.get_delayed_calls()[0].get_time().as_secs_f64();
        sum += delay;
        squares += delay * delay;
    }
    let mean = sum / TIMES;
    let deviation = (squares / TIMES - mean * mean).sqrt();
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    assert!((deviation - 0.1).abs() < 0.005, "{deviation}");
}

#[test]
fn stop_trying_ends_a_delay_and_an_attempt_and_reset_takes_it_back() {
    let (clock, fake) = fake(|f| f);
    let connector = fake.connector(); // who goes on after a stop keeps it
    fake.factory.client_connection_failed(&connector, Failure::msg("refused"));
    fake.state.set(ConnectorState::Disconnected);
    fake.factory.stop_trying();
    clock.advance(SECOND * 10);
    assert_eq!((fake.connected_at(), clock.get_delayed_calls().len()), (vec![], 0));
    fake.factory.retry().expect("it does nothing");
    assert!(clock.get_delayed_calls().is_empty());

    fake.factory.reset_delay();
    fake.factory.retry().expect("there is a connector");
    clock.advance(SECOND);
    assert_eq!(fake.connected_at(), [11.0]); // and now it connects
    fake.factory.stop_trying();
    assert_eq!(fake.state.get(), ConnectorState::Disconnected);
    assert_eq!(fake.factory.inner().0.take(), ["failed: connecting was stopped by this side"]);
}

#[test]
fn a_reset_during_a_delay_leaves_it_and_a_stop_after_that_ends_it() {
    let (clock, fake) = fake(|f| f);
    fake.fail();
    fake.factory.reset_delay();
    fake.factory.stop_trying();
    assert!(clock.get_delayed_calls().is_empty());
}

#[test]
fn retry_without_a_connector_is_an_error() {
    let (clock, fake) = fake(|f| f);
    assert_eq!(fake.factory.retry(), Err(NoConnector::default()));
    fake.lose(); // its connector goes when its delay is over
    clock.advance(SECOND);
    assert_eq!(fake.factory.retry(), Err(NoConnector::default()));
}

#[test]
fn a_connect_that_somebody_else_has_made_is_no_error() {
    let (clock, fake) = fake(|f| f);
    fake.lose();
    fake.connector().connect().expect("it is disconnected");
    clock.advance(SECOND);
    assert_eq!(fake.connected_at(), [0.0]);
}

#[test]
fn the_factory_inside_is_told_of_all_but_of_what_is_tried_again() {
    let (_clock, fake) = fake(|f| f.max_retries(2));
    fake.factory.start_factory();
    fake.factory.started_connecting(&fake.connector());
    fake.fail();
    fake.lose();
    fake.fail();
    fake.factory.stop_factory();
    let told = fake.factory.inner().0.take();
    assert_eq!(told, ["start", "connecting", "lost: lost", "failed: refused", "stop"]);
}

#[test]
fn a_closure_inside_reports_only_what_is_given_up() {
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let _hook = report::hook(move |_| count.set(count.get() + 1));
    let clock = Clock::new();
    let factory = Rc::new(ReconnectingClientFactory::new(&clock, factory(|_| Nothing)).max_retries(3));
    let state = Cell::new(ConnectorState::Connecting);
    let fake = Rc::new(Fake { clock, state, at: RefCell::default(), factory });
    (0..3).for_each(|_| fake.fail());
    assert_eq!(seen.get(), 0);
    fake.fail();
    assert_eq!(seen.get(), 1);
}

#[test]
fn a_protocol_finds_the_factory_what_it_wraps_and_how_far_it_is() {
    let (_clock, fake) = fake(|f| f);
    fake.fail();
    let t = testing::accept(&fake.factory).expect("it takes all");
    let cx: Context<Nothing> = t.context();
    assert_eq!(cx.factory::<Reconnecting>().retries(), 1);
    assert_eq!(cx.factory::<Told>().0.borrow().len(), 0);
    cx.factory::<Reconnection>().reset_delay();
    assert_eq!(fake.factory.retries(), 0);
    assert!(cx.try_factory::<Nothing>().is_none());
}

on_both!(a_client_comes_back_to_a_server_that_was_away);
fn a_client_comes_back_to_a_server_that_was_away(reactor: &Reactor) -> twistor::Result<()> {
    const SOON: Duration = Duration::from_millis(2);
    // Nobody listens there yet.
    let to = PeerListener::bind(reactor, ([127, 0, 0, 1], 0))?.local_address()?;
    let client = ReconnectingClientFactory::new(reactor, Told::default()).initial_delay(SOON).max_delay(SOON);
    let client = Rc::new(client);
    let connector = reactor.connect_tcp(to, client.clone());
    let r = reactor.clone();
    testing::run(reactor, 20 * SECOND, async move {
        while client.retries() < 2 {
            task::defer_later(&r, SOON, || Ok(())).await?;
        }
        let server = PeerListener::bind(&r, to)?;
        for _ in 0..2 {
            drop(server.accept().await?); // it is lost, and comes again
        }
        let last = server.accept().await?;
        while connector.state() != ConnectorState::Connected {
            task::defer_later(&r, SOON, || Ok(())).await?;
        }
        client.stop_trying();
        drop(last);
        while connector.state() != ConnectorState::Disconnected {
            task::defer_later(&r, SOON, || Ok(())).await?;
        }
        let lost = client.inner().0.borrow().iter().filter(|told| told.starts_with("lost")).count();
        assert_eq!(lost, 3);
        Ok(())
    })
}
