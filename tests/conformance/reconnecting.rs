//! `ReconnectingClientFactory`, with a connector that does nothing.

use crate::{
    divergences::{FIRST_DELAY, FORGOTTEN_CALL},
    json::{self, Fields, Op},
    world::World,
};
use serde_json::json;
use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    time::Duration,
};
use twistor::{
    Address, ClientFactory, Connector, Factory, Failure, Protocol, ReconnectingClientFactory,
    error::{AlreadyConnecting, ConnectionDone, NotConnectingError},
    protocol::{ConnectorState, Connects},
    time::{DelayedCall, Time},
};

type Reconnecting = ReconnectingClientFactory<Silent>;

#[derive(Default)]
pub(crate) struct Tables {
    made: RefCell<Option<(Rc<Reconnecting>, Connector)>>,
    /// The last delay, and those that Twisted has forgotten: for a divergence.
    last_delay: RefCell<Option<DelayedCall>>,
    forgotten: RefCell<Vec<DelayedCall>>,
}

impl Tables {
    pub(crate) fn clear(&self) {
        drop((self.made.take(), self.last_delay.take(), self.forgotten.take()));
    }
}

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    if op.text("op") == "rc_make" {
        let made = (Rc::new(make(world, op)), Connector::new(Told(Rc::downgrade(world))));
        world.reconnecting.made.replace(Some(made));
        return true;
    }
    let Some((factory, connector)) = world.reconnecting.made.borrow().clone() else { return false };
    match op.text("op") {
        "rc_failed" => factory.client_connection_failed(&connector, nothing()),
        "rc_lost" => factory.client_connection_lost(&connector, nothing()),
        "rc_retry" => drop(world.attempt(factory.retry())),
        "rc_reset" => reset(world, &factory),
        "rc_stop" => stop(world, &factory, &connector),
        _ => return false,
    }
    true
}

fn reset(world: &World, factory: &Reconnecting) {
    let last = world.reconnecting.last_delay.take();
    world.reconnecting.forgotten.borrow_mut().extend(last);
    factory.reset_delay();
}

/// A delay that Twisted has forgotten is not given up there: it connects when its time comes.
fn stop(world: &World, factory: &Reconnecting, connector: &Connector) {
    let mut forgotten = world.reconnecting.forgotten.take();
    forgotten.retain(DelayedCall::active);
    factory.stop_trying();
    let given_up = forgotten.iter().filter(|call| !call.active());
    for call in given_up.filter(|_| world.is_twisteds(FORGOTTEN_CALL)) {
        let (after, connector) = (call.get_time().saturating_sub(world.clock().now()), connector.clone());
        world.clock().call_later(after, move || {
            let _ = connector.connect(); // it may have been stopped meanwhile
        });
    }
    world.reconnecting.forgotten.replace(forgotten);
}

/// The programs give no reason.
fn nothing() -> Failure {
    ConnectionDone::default().into()
}

fn make(world: &Rc<World>, op: &Op) -> Reconnecting {
    let retries = op["maxRetries"].as_u64().map(|retries| retries as u32);
    let factory = Reconnecting::new(&Told(Rc::downgrade(world)), Silent).jitter(0.0);
    let factory = set(factory, time(op, "initialDelay"), Reconnecting::initial_delay);
    let factory = set(factory, first_delay(world, op), Reconnecting::delay);
    let factory = set(factory, time(op, "maxDelay"), Reconnecting::max_delay);
    let factory = set(factory, op["factor"].as_f64(), Reconnecting::factor);
    set(factory, retries, Reconnecting::max_retries)
}

/// Null leaves it as it is.
fn set<T>(factory: Reconnecting, to: Option<T>, how: fn(Reconnecting, T) -> Reconnecting) -> Reconnecting {
    match to {
        Some(to) => how(factory, to),
        None => factory,
    }
}

fn time(op: &Op, key: &str) -> Option<Duration> {
    op[key].as_f64().map(Duration::from_secs_f64)
}

fn first_delay(world: &World, op: &Op) -> Option<Duration> {
    let delay = time(op, "delay");
    let twisteds = delay.is_none() && op["initialDelay"].is_number() && world.is_twisteds(FIRST_DELAY);
    delay.or(twisteds.then_some(Duration::from_secs(1)))
}

/// A clock, and a connector, that write what is asked of them.
#[derive(Clone)]
struct Told(Weak<World>);

impl Told {
    fn world(&self) -> Rc<World> {
        self.0.upgrade().expect("a program that is over asks nothing")
    }
}

impl Time for Told {
    fn now(&self) -> Duration {
        self.world().clock().now()
    }

    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        let world = self.world();
        world.log(json!(["delay", json::time(delay)]));
        let call = world.clock().schedule(delay, call);
        world.reconnecting.last_delay.replace(Some(call.clone()));
        call
    }
}

impl Connects for Told {
    fn connect(&self) -> Result<(), AlreadyConnecting> {
        self.world().log(json!(["connect", json::time(self.now())]));
        Ok(())
    }

    fn stop_connecting(&self) -> Result<(), NotConnectingError> {
        self.world().log(json!(["stop_connecting"]));
        Ok(())
    }

    fn disconnect(&self) {}

    fn state(&self) -> ConnectorState {
        ConnectorState::Disconnected
    }

    fn destination(&self) -> String {
        "nowhere".into()
    }
}

/// The factory inside: it makes nothing, for nothing is connected.
struct Silent;

impl Protocol for Silent {}

impl Factory for Silent {
    type Protocol = Silent;

    fn build_protocol(&self, _: &Address) -> Option<Silent> {
        None
    }
}

impl ClientFactory for Silent {
    /// It is given up. By itself a factory reports that.
    fn client_connection_failed(&self, _: &Connector, _: Failure) {}
}
