//! Connecting, by name or address.

use super::{connection::begin, options::TcpConnect};
use crate::{
    address::Address,
    defer::{record::next_serial, spawned},
    error::{
        AlreadyConnecting, ConnectError, ConnectErrorKind, NotConnectingError, ReactorNotRunning, UserError,
    },
    failure::Failure,
    protocol::{
        ClientFactory, Connector, ConnectorState, Connects, Transport, build,
        transport::{Connection, Link},
        wire::{Owner, Wire, done},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Key, Ready, Refused},
    },
    time::DelayedCall,
    trace::Place,
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

struct TcpClient<F: ClientFactory> {
    this: Weak<TcpClient<F>>,
    core: Weak<Core>,
    to: TcpConnect,
    factory: F,
    state: RefCell<State>,
    /// The number of the attempt: what comes late of a former one finds another number.
    attempt: Cell<u64>,
    /// Whether the factory was told that it is used.
    started: Cell<bool>,
    place: Place,
    serial: u32,
}

/// How far a client is.
enum State {
    Disconnected,
    Connecting(Attempt),
    Connected(Transport),
}

/// An attempt to connect.
struct Attempt {
    /// The addresses that were not tried yet.
    left: VecDeque<SocketAddr>,
    /// The one that is tried.
    trying: Option<(Key, SocketAddr)>,
    timeout: Option<DelayedCall>,
}

#[track_caller]
pub(super) fn connect<F: ClientFactory>(core: &Rc<Core>, to: TcpConnect, factory: F) -> Connector {
    let client = Rc::new_cyclic(|this| TcpClient {
        this: this.clone(),
        core: Rc::downgrade(core),
        to,
        factory,
        state: RefCell::new(State::Disconnected),
        attempt: Cell::new(0),
        started: Cell::new(false),
        place: Location::caller(),
        serial: next_serial(),
    });
    client.begin(core);
    Connector::shared(client)
}

impl<F: ClientFactory> TcpClient<F> {
    fn connector(&self) -> Option<Connector> {
        Some(Connector::shared(self.this.upgrade()?))
    }

    /// Begins an attempt. Whatever comes of it comes later, from the loop.
    fn begin(&self, core: &Rc<Core>) {
        let number = self.attempt.get() + 1;
        self.attempt.set(number);
        let timeout = self.to.timeout.map(|after| self.later(core, after, number, Self::timed_out));
        *self.state.borrow_mut() =
            State::Connecting(Attempt { left: VecDeque::new(), trying: None, timeout });
        if !self.started.replace(true) {
            self.factory.start_factory();
        }
        if let Some(connector) = self.connector() {
            self.factory.started_connecting(&connector);
        }
        if !self.is_attempt(number) {
            return; // the factory has stopped it
        }
        match self.to.host.parse::<IpAddr>() {
            Ok(ip) => self.resolved(core, number, Ok(vec![SocketAddr::new(ip, self.to.port)])),
            Err(_) => self.look_up(core, number),
        }
    }

    /// Calls a method later, if the client is there and the attempt is still this one.
    fn later(
        &self,
        core: &Rc<Core>,
        after: Duration,
        number: u64,
        f: impl FnOnce(&Self, &Rc<Core>, u64) + 'static,
    ) -> DelayedCall {
        let watch = Watch { client: self.this.clone(), number, armed: Cell::new(true) };
        core.wake_if_asleep();
        core.timers.schedule(core.now().saturating_add(after), self.place, move || {
            if let Some((client, core)) = watch.attempt() {
                f(&client, &core, number);
            }
        })
    }

    fn is_attempt(&self, number: u64) -> bool {
        self.attempt.get() == number && matches!(*self.state.borrow(), State::Connecting(_))
    }

    fn look_up(&self, core: &Rc<Core>, number: u64) {
        let resolving = core.driver.resolve(&self.to.host, self.to.port);
        let watch = Watch { client: self.this.clone(), number, armed: Cell::new(true) };
        let task = async move {
            let found = resolving.await;
            if let Some((client, core)) = watch.attempt() {
                client.resolved(&core, number, found);
            }
            watch.armed.set(false); // whatever comes of it is watched by its own
            Ok(())
        };
        let (deferred, task) = spawned(task, self.place, core.driven.clone());
        core.spawn(task);
        deferred.or_log("the lookup of a name");
    }

    fn resolved(&self, core: &Rc<Core>, number: u64, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Ok(addresses) => {
                if let State::Connecting(attempt) = &mut *self.state.borrow_mut() {
                    attempt.left = addresses.into();
                }
                self.try_next(core, number, None);
            }
            Err(error) => self.fail_later(core, number, self.error(ConnectErrorKind::UnknownHost, error)),
        }
    }

    fn error(&self, kind: ConnectErrorKind, cause: io::Error) -> Failure {
        Failure::new(ConnectError::new(kind, self.to.destination(), Some(cause)))
    }

    /// Tries the next address; after the last one the attempt has failed.
    fn try_next(&self, core: &Rc<Core>, number: u64, mut failure: Option<Failure>) {
        loop {
            let next = match &mut *self.state.borrow_mut() {
                State::Connecting(attempt) => attempt.left.pop_front(),
                _ => return,
            };
            let Some(address) = next else { break };
            match core.driver.connect(address, self.to.bind) {
                Ok(key) => return self.wait_for(core, key, address),
                Err(Refused::Bind(error)) => failure = Some(self.error(ConnectErrorKind::Bind, error)),
                Err(Refused::Connect(error)) => failure = Some(self.from_system(error)),
            }
        }
        let failure = failure
            .unwrap_or_else(|| self.error(ConnectErrorKind::UnknownHost, io::ErrorKind::NotFound.into()));
        self.fail_later(core, number, failure);
    }

    fn from_system(&self, error: io::Error) -> Failure {
        Failure::new(ConnectError::from_system(self.to.destination(), error))
    }

    /// Connected, or not, when it is writable.
    fn wait_for(&self, core: &Rc<Core>, key: Key, address: SocketAddr) {
        if let State::Connecting(attempt) = &mut *self.state.borrow_mut() {
            attempt.trying = Some((key, address));
        }
        if let Some(this) = self.this.upgrade() {
            core.add(key, this);
            core.set_interest(key, false, true);
        }
    }

    /// A failure is never told from inside `connect`.
    fn fail_later(&self, core: &Rc<Core>, number: u64, failure: Failure) {
        self.later(core, Duration::ZERO, number, move |client, core, _| client.failed(core, failure));
    }

    fn timed_out(&self, core: &Rc<Core>, _number: u64) {
        let failure =
            Failure::new(ConnectError::new(ConnectErrorKind::TimedOut, self.to.destination(), None));
        self.failed(core, failure);
    }

    /// The socket of the attempt is writable.
    fn connected_or_not(&self, core: &Rc<Core>, key: Key) {
        let trying = match &*self.state.borrow() {
            State::Connecting(attempt) => attempt.trying,
            _ => None,
        };
        let Some((_, address)) = trying.filter(|(trying, _)| *trying == key) else { return };
        core.forget(key);
        match core.driver.take_error(key) {
            Ok(()) => self.connected(core, key, address),
            Err(error) => {
                core.driver.close(key);
                let failure = self.from_system(error);
                self.try_next(core, self.attempt.get(), Some(failure));
            }
        }
    }

    fn connected(&self, core: &Rc<Core>, key: Key, address: SocketAddr) {
        let peer = Address::from(address);
        self.forget_attempt();
        let layer = match build(&self.factory, &peer) {
            Ok(Some(layer)) => layer,
            Ok(None) => {
                // As in Twisted: a connection that was made and is lost at once.
                core.driver.close(key);
                return self.over(done(), true);
            }
            Err(panicked) => {
                core.driver.close(key);
                return self.over(panicked, false);
            }
        };
        let Some(owner) = self.this.upgrade() else { return core.driver.close(key) };
        let wire = Wire::new(Some(core.clone()), owner, key.0, peer);
        let connection = Rc::new(Connection { wire, layer });
        let link: Rc<dyn Link> = connection.clone();
        *self.state.borrow_mut() = State::Connected(Transport { link });
        begin(core, connection);
    }

    /// Leaves the attempt behind: its timeout and what is tried.
    fn forget_attempt(&self) -> Option<Key> {
        let former = self.state.replace(State::Disconnected);
        let State::Connecting(attempt) = former else { return None };
        if let Some(timeout) = attempt.timeout {
            let _ = timeout.cancel(); // it may be what came here
        }
        attempt.trying.map(|(key, _)| key)
    }

    /// The attempt has failed.
    fn failed(&self, core: &Rc<Core>, failure: Failure) {
        if let Some(key) = self.forget_attempt() {
            core.forget(key);
            core.driver.close(key);
        }
        self.over(failure, false);
    }

    /// Tells the factory; if it does not connect again, it is not used any more.
    fn over(&self, why: Failure, was_connected: bool) {
        let Some(connector) = self.connector() else { return };
        let told = crate::report::guarded(|| {
            if was_connected {
                self.factory.client_connection_lost(&connector, why);
            } else {
                self.factory.client_connection_failed(&connector, why);
            }
        });
        if let Err(panicked) = told {
            crate::report::unhandled("a client factory", panicked);
        }
        if matches!(*self.state.borrow(), State::Disconnected) && self.started.replace(false) {
            self.factory.stop_factory();
        }
    }
}

/// An attempt that something waits for. If that is let go while the attempt is still under way, its reactor has closed, and the factory is told.
struct Watch<F: ClientFactory> {
    client: Weak<TcpClient<F>>,
    number: u64,
    armed: Cell<bool>,
}

impl<F: ClientFactory> Watch<F> {
    fn attempt(&self) -> Option<(Rc<TcpClient<F>>, Rc<Core>)> {
        let client = self.client.upgrade().filter(|client| client.is_attempt(self.number))?;
        let core = client.core.upgrade()?;
        Some((client, core))
    }
}

impl<F: ClientFactory> Drop for Watch<F> {
    fn drop(&mut self) {
        if let Some((client, core)) = self.attempt().filter(|_| self.armed.get()) {
            client.failed(&core, Failure::quiet(ReactorNotRunning::default()));
        }
    }
}

impl<F: ClientFactory> Connects for TcpClient<F> {
    fn connect(&self) -> Result<(), AlreadyConnecting> {
        if self.state() != ConnectorState::Disconnected {
            return Err(AlreadyConnecting::default());
        }
        if let Some(core) = self.core.upgrade() {
            self.begin(&core);
        }
        Ok(())
    }

    fn stop_connecting(&self) -> Result<(), NotConnectingError> {
        if self.state() != ConnectorState::Connecting {
            return Err(NotConnectingError::default());
        }
        if let Some(core) = self.core.upgrade() {
            self.failed(&core, Failure::new(UserError::default()));
        }
        Ok(())
    }

    fn disconnect(&self) {
        let transport = match &*self.state.borrow() {
            State::Connected(transport) => Some(transport.clone()),
            _ => None,
        };
        match transport {
            Some(transport) => transport.lose_connection(),
            None => drop(self.stop_connecting()),
        }
    }

    fn state(&self) -> ConnectorState {
        match &*self.state.borrow() {
            State::Disconnected => ConnectorState::Disconnected,
            State::Connecting(_) => ConnectorState::Connecting,
            State::Connected(_) => ConnectorState::Connected,
        }
    }

    fn destination(&self) -> String {
        self.to.destination()
    }
}

/// While it connects, its socket is the client's; then it is the connection's.
impl<F: ClientFactory> Socket for TcpClient<F> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        self.connected_or_not(core, ready.key);
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        self.failed(core, why);
    }

    fn serial(&self) -> u32 {
        self.serial
    }
}

impl<F: ClientFactory> Owner for TcpClient<F> {
    fn factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.factory.find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        self.factory.factory_name()
    }

    /// The protocol has been told; now the factory is, whatever the protocol did with it.
    fn lost(&self, why: Failure) {
        drop(self.state.replace(State::Disconnected));
        self.over(why, true);
    }
}
