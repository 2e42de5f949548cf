//! Connecting, whatever the family of the address.

mod found;

use self::found::Found;
use super::{
    connection::{Passage, begin},
    race::{Race, Step},
};
use crate::{
    address::Address,
    error::{
        AlreadyConnecting, ConnectError, ConnectErrorKind, NotConnectingError, ReactorNotRunning, UserError,
    },
    failure::Failure,
    names::HostResolution,
    protocol::{
        ClientFactory, Connector, ConnectorState, Connects, LayerOf, Transport, build,
        socket::{Handle, Interest, OwnedSocket, Token},
        transport::{Connection, Link},
        wire::{Owner, Wire, done},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Ready, Refused},
        names::look_up,
    },
    report,
    snapshot::{
        Entry, Kind,
        here::{self, Birth},
    },
    time::DelayedCall,
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    io,
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

/// So long later it is tried again where as many wait to be accepted as may.
const TRY_AGAIN: Duration = Duration::from_millis(20);

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
    /// Nowhere.
    Missing(ConnectErrorKind),
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

/// An attempt to connect.
#[derive(Default)]
struct Attempt {
    /// None: there is but one address, which is being tried.
    choice: Option<Box<Choice>>,
    /// Those that are being tried.
    trying: Vec<(OwnedSocket, Address)>,
    /// Why the last one failed.
    failure: Option<Failure>,
    timeout: Option<DelayedCall>,
}

/// Addresses that are left to try, or may come.
#[derive(Default)]
struct Choice {
    lookup: Option<HostResolution>,
    /// Says which address is tried when.
    race: Race,
    /// When the race is to be looked at again.
    tick: Option<DelayedCall>,
}

/// What came of an address at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// It is being tried.
    GoesOn,
    /// It has failed.
    Failed,
    /// As many wait there as may: it is tried when there may be room.
    Later,
}

impl Attempt {
    fn choice(&mut self) -> &mut Choice {
        self.choice.get_or_insert_default()
    }

    /// What is to be done, and the call that was to ask for it.
    fn step(&mut self, core: &Core) -> (Step, Option<DelayedCall>) {
        match &mut self.choice {
            Some(choice) => (choice.race.step(core.now(), self.trying.len()), choice.tick.take()),
            None if self.trying.is_empty() => (Step::Lost, None),
            None => (Step::Wait, None),
        }
    }
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
        *self.state.borrow_mut() = State::Connecting(Attempt { timeout, ..Attempt::default() });
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
            Places::Known(place) => {
                if self.try_one(core, number, place) == Tried::Failed {
                    self.lose(core, number);
                }
            }
            Places::Named(host, port) => self.look_up(core, number, &host, port),
            Places::Missing(kind) => {
                let error = ConnectError::new(kind, self.to.destination(), None);
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

    /// Ends the attempt if it takes too long.
    fn time_out(&self, core: &Rc<Core>, after: Duration, number: u64) -> DelayedCall {
        let client = self.this.clone();
        core.wake_if_asleep();
        core.timers.schedule(core.now().saturating_add(after), self.birth.place, move || {
            let Some(client) = client.upgrade().filter(|client| client.is_attempt(number)) else { return };
            let Some(core) = client.core.upgrade() else { return };
            let to = client.to.destination();
            client.failed(&core, Failure::new(ConnectError::new(ConnectErrorKind::TimedOut, to, None)));
        })
    }

    /// Keeps the client until something has come of the attempt, whoever has let go of its connector.
    fn later(&self, number: u64) -> Later<T, F> {
        Later { client: self.this.upgrade(), number }
    }

    fn is_attempt(&self, number: u64) -> bool {
        self.attempt.get() == number && matches!(*self.state.borrow(), State::Connecting(_))
    }

    fn look_up(&self, core: &Rc<Core>, number: u64, host: &str, port: u16) {
        self.in_attempt(|attempt| attempt.choice().race = Race::open());
        let found = Found::new(self.later(number));
        let (lookup, _) = look_up(core, self.birth.place, host, port, Box::new(found));
        if self.is_attempt(number) {
            self.in_attempt(|attempt| attempt.choice().lookup = Some(lookup));
        }
    }

    /// A name has this address.
    fn found(&self, core: &Rc<Core>, place: Address) {
        self.in_attempt(|attempt| attempt.choice().race.add(place, core.now()));
        self.race(core, self.attempt.get());
    }

    /// A name has no more addresses. Why some are missing matters to nobody who has others.
    fn looked_up(&self, core: &Rc<Core>, number: u64, result: io::Result<()>) {
        match (self.in_attempt(|attempt| attempt.choice().race.close()), result) {
            (Some(false), Err(error)) => {
                self.fail_later(core, number, self.error(ConnectErrorKind::UnknownHost, error));
            }
            _ => self.race(core, number),
        }
    }

    /// Nothing of the program's may run in `f`.
    fn in_attempt<R>(&self, f: impl FnOnce(&mut Attempt) -> R) -> Option<R> {
        match &mut *self.state.borrow_mut() {
            State::Connecting(attempt) => Some(f(attempt)),
            _ => None,
        }
    }

    fn error(&self, kind: ConnectErrorKind, cause: io::Error) -> Failure {
        Failure::new(ConnectError::new(kind, self.to.destination(), Some(cause)))
    }

    /// Tries the addresses whose turn it is; after the last one the attempt has failed.
    fn race(&self, core: &Rc<Core>, number: u64) {
        loop {
            let Some((step, tick)) = self.in_attempt(|attempt| attempt.step(core)) else { return };
            let _ = tick.map(|tick| tick.cancel()); // it may be what came here
            match step {
                Step::Try(place) => {
                    if self.try_one(core, number, place) == Tried::Later {
                        return;
                    }
                }
                Step::Wait => return,
                Step::WaitUntil(at) => return self.wait_until(core, number, at),
                Step::Lost => return self.lose(core, number),
            }
        }
    }

    fn lose(&self, core: &Rc<Core>, number: u64) {
        let failure = self.in_attempt(|attempt| attempt.failure.take()).flatten();
        let failure = failure
            .unwrap_or_else(|| self.error(ConnectErrorKind::UnknownHost, io::ErrorKind::NotFound.into()));
        self.fail_later(core, number, failure);
    }

    /// Begins to connect there.
    fn try_one(&self, core: &Rc<Core>, number: u64, place: Address) -> Tried {
        let failure = match self.to.open(core, &place) {
            Ok(handle) => match self.wait_for(core, handle.into(), place) {
                Ok(()) => return Tried::GoesOn,
                Err(error) => self.refused(error),
            },
            Err(Refused::Bind(error)) => self.error(ConnectErrorKind::Bind, error),
            Err(Refused::Connect(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.try_later(core, number, place);
                return Tried::Later;
            }
            Err(Refused::Connect(error)) => self.refused(error),
        };
        self.in_attempt(|attempt| attempt.failure = Some(failure));
        Tried::Failed
    }

    /// Looks at the race again at that time, if the client is still there: whoever tries something, or looks a name up, keeps it.
    fn wait_until(&self, core: &Rc<Core>, number: u64, at: Duration) {
        let client = self.this.clone();
        core.wake_if_asleep();
        let tick = core.timers.schedule(at, self.birth.place, move || {
            let Some(client) = client.upgrade().filter(|client| client.is_attempt(number)) else { return };
            if let Some(core) = client.core.upgrade() {
                client.race(&core, number);
            }
        });
        self.in_attempt(|attempt| attempt.choice().tick = Some(tick));
    }

    /// As many wait there as may: the system does not tell when there is room.
    fn try_later(&self, core: &Rc<Core>, number: u64, place: Address) {
        let later = self.later(number);
        core.wake_if_asleep();
        core.timers.schedule(core.now().saturating_add(TRY_AGAIN), self.birth.place, move || {
            let Some((client, core)) = later.now() else { return };
            client.in_attempt(|attempt| attempt.choice().race.put_back(place));
            client.race(&core, number);
        });
    }

    fn refused(&self, error: io::Error) -> Failure {
        Failure::new(ConnectError::from_system(self.to.destination(), error))
    }

    /// Connected, or not, when it is writable.
    fn wait_for(&self, core: &Rc<Core>, socket: OwnedSocket, place: Address) -> io::Result<()> {
        if let Some(this) = self.this.upgrade() {
            core.add(&socket, this);
        }
        core.watch(&socket, Interest::WRITE).inspect_err(|_| core.close_socket(&socket))?;
        self.in_attempt(|attempt| attempt.trying.push((socket, place)));
        Ok(())
    }

    /// A failure is never told from inside `connect`.
    fn fail_later(&self, core: &Rc<Core>, number: u64, failure: Failure) {
        let later = self.later(number);
        core.wake_if_asleep();
        core.timers.schedule(core.now(), self.birth.place, move || {
            if let Some((client, core)) = later.now() {
                client.failed(&core, failure);
            }
        });
    }

    /// A socket of the attempt is writable.
    fn connected_or_not(&self, core: &Rc<Core>, token: Token) {
        let Some((socket, place, connected)) = self.take_tried(core, token) else { return };
        match connected {
            Ok(()) => self.connected(core, socket, place),
            Err(error) => {
                core.close_socket(&socket);
                let failure = self.refused(error);
                self.in_attempt(|attempt| attempt.failure = Some(failure));
                self.race(core, self.attempt.get());
            }
        }
    }

    /// What was tried there, with how it went. None while it goes on: the event was of another socket, whose place in the table this one has got.
    fn take_tried(&self, core: &Core, token: Token) -> Option<(OwnedSocket, Address, io::Result<()>)> {
        let State::Connecting(attempt) = &mut *self.state.borrow_mut() else { return None };
        let at = attempt.trying.iter().position(|(socket, _)| socket.token() == token)?;
        let connected = attempt.trying[at].0.with(|handle| core.driver.take_error(handle));
        if connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return None;
        }
        let (socket, place) = attempt.trying.remove(at);
        Some((socket, place, connected))
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

    /// Leaves the attempt behind, with all that it has begun. Whether there was one.
    fn leave_attempt(&self, core: &Core, next: State) -> bool {
        if !matches!(*self.state.borrow(), State::Connecting(_)) {
            return false;
        }
        let State::Connecting(attempt) = self.state.replace(next) else { return false };
        if let Some(timeout) = attempt.timeout {
            let _ = timeout.cancel(); // it may be what came here
        }
        if let Some(Choice { lookup, tick, .. }) = attempt.choice.map(|choice| *choice) {
            let _ = tick.map(|tick| tick.cancel()); // so may this
            let _ = lookup.map(|lookup| lookup.cancel()); // it may have come to its end
        }
        attempt.trying.iter().for_each(|(socket, _)| core.close_socket(socket));
        true
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

/// What comes of an attempt later, from the loop. If it is let go before, its reactor has closed, and the factory is told so.
struct Later<T: Target, F: ClientFactory> {
    client: Option<Rc<Client<T, F>>>,
    number: u64,
}

impl<T: Target, F: ClientFactory> Later<T, F> {
    /// It has come: the client, if the attempt is still the same.
    fn now(mut self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        self.take()
    }

    /// The client, if the attempt is still the same, and something is to come still.
    fn peek(&self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        let client = self.client.clone().filter(|client| client.is_attempt(self.number))?;
        let core = client.core.upgrade()?;
        Some((client, core))
    }

    fn take(&mut self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        let client = self.client.take().filter(|client| client.is_attempt(self.number))?;
        let core = client.core.upgrade()?;
        Some((client, core))
    }
}

impl<T: Target, F: ClientFactory> Drop for Later<T, F> {
    fn drop(&mut self) {
        if let Some((client, core)) = self.take() {
            client.failed(&core, Failure::quiet(ReactorNotRunning::default()));
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
