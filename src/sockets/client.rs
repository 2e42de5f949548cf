//! Connecting, whatever the family of the address: from one state of a client to the next.
//!
//! | file | idea |
//! |---|---|
//! | `attempt` | one attempt: which address is tried when |
//! | `found` | the addresses of a name, as they come |
//! | `later` | what comes of an attempt when `connect` has returned |

mod attempt;
mod found;
mod later;

use self::attempt::Attempt;
use super::connection::{Passage, begin};
use crate::{
    address::Address,
    error::{AlreadyConnecting, ConnectError, ConnectErrorKind, NotConnectingError, UserError},
    failure::Failure,
    protocol::{
        ClientFactory, Connector, ConnectorState, Connects, LayerOf, Transport, build,
        socket::{Handle, OwnedSocket},
        transport::{Connection, Link},
        wire::{Owner, Wire, done},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Ready, Refused},
    },
    report,
    snapshot::{
        Entry, Kind,
        here::{self, Birth},
    },
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    io,
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

/// What is connected to, of one family of addresses.
pub(crate) trait Target: 'static {
    /// How the bytes of its connection come and go.
    type Passage: Passage;

    /// As the errors say it.
    fn destination(&self) -> String;
    /// How long an attempt may take.
    fn timeout(&self) -> Option<Duration>;
    /// Where it is.
    fn places(&self) -> Places;
    /// Begins to connect.
    fn open(&self, core: &Core, to: &Address) -> Result<Handle, Refused>;
}

/// Where a target is.
pub(crate) enum Places {
    /// There.
    Known(Address),
    /// Where the host of this name is.
    Named(String, u16),
    /// Nowhere, and why, where there is more to say.
    Missing(ConnectErrorKind, Option<io::Error>),
}

struct Client<T: Target, F: ClientFactory> {
    this: Weak<Client<T, F>>,
    core: Weak<Core>,
    to: T,
    factory: F,
    state: RefCell<State>,
    /// The number of the attempt: what comes late of a former one finds another number.
    attempt: Cell<u64>,
    /// Whether the factory was told that it is used.
    started: Cell<bool>,
    birth: Birth,
    /// Its place among the clients of the reactor.
    listed: Cell<usize>,
}

/// How far a client is.
enum State {
    Disconnected,
    Connecting(Attempt),
    /// There is a connection, and the factory makes its protocol.
    Building,
    Connected(Transport),
}

#[track_caller]
pub(crate) fn connect<T: Target, F: ClientFactory>(core: &Rc<Core>, to: T, factory: F) -> (Connector, u32) {
    let place = Location::caller();
    let client = Rc::new_cyclic(|this| Client {
        this: this.clone(),
        core: Rc::downgrade(core),
        to,
        factory,
        state: RefCell::new(State::Disconnected),
        attempt: Cell::new(0),
        started: Cell::new(false),
        birth: Birth::at(place),
        listed: Cell::new(0),
    });
    let shown: Weak<dyn Socket> = Rc::<Client<T, F>>::downgrade(&client);
    client.listed.set(core.clients.borrow_mut().insert(shown));
    client.begin(core);
    let serial = client.birth.serial;
    (Connector::shared(client), serial)
}

impl<T: Target, F: ClientFactory> Client<T, F> {
    fn connector(&self) -> Option<Connector> {
        Some(Connector::shared(self.this.upgrade()?))
    }

    /// Begins an attempt. Whatever comes of it comes later, from the loop.
    fn begin(&self, core: &Rc<Core>) {
        let number = self.attempt.get() + 1;
        self.attempt.set(number);
        let _owner = here::owned_by(self.birth.serial);
        let timeout = self.to.timeout().map(|after| self.time_out(core, after, number));
        *self.state.borrow_mut() = State::Connecting(Attempt::begin(timeout));
        if !self.started.replace(true) {
            self.tell("start_factory", F::start_factory);
        }
        if let Some(connector) = self.connector() {
            self.tell("started_connecting", |factory| factory.started_connecting(&connector));
        }
        if !self.is_attempt(number) {
            return; // the factory has stopped it
        }
        match self.to.places() {
            Places::Known(place) => self.try_only(core, number, place),
            Places::Named(host, port) => self.look_up(core, number, &host, port),
            Places::Missing(kind, cause) => {
                let error = ConnectError::new(kind, self.to.destination(), cause);
                self.fail_later(core, number, Failure::new(error));
            }
        }
    }

    /// Calls the factory. Its panic is reported, and hinders nothing.
    fn tell(&self, what: &'static str, f: impl FnOnce(&F)) {
        if let Err(panicked) = report::guarded(|| f(&self.factory)) {
            report::unhandled(what, panicked);
        }
    }

    /// The socket is told of to this client until there is a connection.
    fn connected(&self, core: &Rc<Core>, socket: OwnedSocket, peer: Address) {
        self.leave_attempt(core, State::Building);
        let built = build(&self.factory, &peer);
        let stopped = !matches!(*self.state.borrow(), State::Building);
        match built {
            Ok(Some(layer)) if !stopped => self.hand_over(core, socket, peer, layer),
            Ok(_) => {
                // Without a protocol it is, as in Twisted, a connection that was made and is lost at once.
                core.close_socket(&socket);
                self.leave_building();
                self.over(done(), true);
            }
            Err(panicked) => {
                core.close_socket(&socket);
                self.leave_building();
                report::unhandled("build_protocol", panicked.clone());
                self.over(panicked.hushed(), false);
            }
        }
    }

    /// Unless the factory, when it was asked for a protocol, has gone on to something else.
    fn leave_building(&self) {
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Building) {
            *state = State::Disconnected;
        }
    }

    fn hand_over(&self, core: &Rc<Core>, socket: OwnedSocket, peer: Address, layer: LayerOf<F>) {
        let Some(owner) = self.this.upgrade() else { return core.close_socket(&socket) };
        let wire = Wire::new(Some(core.clone()), owner, socket, peer);
        let connection = Rc::new(Connection { wire, layer });
        let link: Rc<Link> = connection.clone();
        drop(self.state.replace(State::Connected(Transport { link })));
        begin::<T::Passage, _>(core, connection);
    }

    /// The attempt has failed.
    fn failed(&self, core: &Rc<Core>, failure: Failure) {
        if self.leave_attempt(core, State::Disconnected) {
            self.over(failure, false);
        }
    }

    /// Tells the factory; if it does not connect again, it is not used any more.
    fn over(&self, why: Failure, was_connected: bool) {
        let Some(connector) = self.connector() else { return };
        if was_connected {
            self.tell("client_connection_lost", |factory| factory.client_connection_lost(&connector, why));
        } else {
            self.tell("client_connection_failed", |factory| {
                factory.client_connection_failed(&connector, why)
            });
        }
        if matches!(*self.state.borrow(), State::Disconnected) && self.started.replace(false) {
            self.tell("stop_factory", F::stop_factory);
        }
    }
}

impl<T: Target, F: ClientFactory> Connects for Client<T, F> {
    fn connect(&self) -> Result<(), AlreadyConnecting> {
        if self.state() != ConnectorState::Disconnected {
            return Err(AlreadyConnecting::default());
        }
        // A factory that connects again when it is told of the end would do so for ever.
        if let Some(core) = self.core.upgrade().filter(|core| !core.is_closing()) {
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
        let transport = match &mut *self.state.borrow_mut() {
            State::Connected(transport) => Some(transport.clone()),
            building @ State::Building => {
                *building = State::Disconnected;
                None
            }
            State::Connecting(_) | State::Disconnected => None,
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
            State::Building | State::Connected(_) => ConnectorState::Connected,
        }
    }

    fn destination(&self) -> String {
        self.to.destination()
    }
}

/// While it connects, its socket is the client's; then it is the connection's.
impl<T: Target, F: ClientFactory> Socket for Client<T, F> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        self.connected_or_not(core, ready.token);
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        self.failed(core, why);
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }

    fn entry(&self, _core: &Core, now: u32) -> Option<Entry> {
        let state = self.state();
        let kind = Kind::Client { to: self.to.destination(), connected: state == ConnectorState::Connected };
        (state != ConnectorState::Disconnected).then(|| Entry::of(&self.birth, kind, now))
    }
}

impl<T: Target, F: ClientFactory> Drop for Client<T, F> {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.clients.borrow_mut().try_remove(self.listed.get());
        }
    }
}

impl<T: Target, F: ClientFactory> Owner for Client<T, F> {
    fn factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.factory.find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        self.factory.factory_name()
    }

    fn birth(&self) -> Option<&Birth> {
        Some(&self.birth)
    }

    /// The protocol has been told; now the factory is, whatever the protocol did with it.
    fn lost(&self, why: Failure) {
        drop(self.state.replace(State::Disconnected));
        self.over(why, true);
    }
}
