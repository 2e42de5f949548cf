//! An attempt to connect: the addresses, which of them is tried when, and what has become of them.

use super::{Client, State, Target, found::Found, later::Later};
use crate::{
    address::Address,
    error::{ConnectError, ConnectErrorKind},
    failure::Failure,
    names::HostResolution,
    protocol::{
        ClientFactory,
        socket::{Interest, OwnedSocket, Token},
    },
    reactor::{core::Core, driver::Refused, names::look_up},
    sockets::race::{Race, Step},
    time::DelayedCall,
};
use std::{io, rc::Rc, time::Duration};

/// So long later it is tried again where as many wait to be accepted as may.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// An attempt to connect.
#[derive(Default)]
pub(super) struct Attempt {
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
    /// One that ends at that timeout, if there is one.
    pub(super) fn begin(timeout: Option<DelayedCall>) -> Attempt {
        Attempt { timeout, ..Attempt::default() }
    }

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

impl<T: Target, F: ClientFactory> Client<T, F> {
    /// Ends the attempt if it takes too long.
    pub(super) fn time_out(&self, core: &Rc<Core>, after: Duration, number: u64) -> DelayedCall {
        let client = self.this.clone();
        core.wake_if_asleep();
        core.timers.schedule(core.now().saturating_add(after), self.birth.place, move || {
            let Some(client) = client.upgrade().filter(|client| client.is_attempt(number)) else { return };
            let Some(core) = client.core.upgrade() else { return };
            let to = client.to.destination();
            client.failed(&core, Failure::new(ConnectError::new(ConnectErrorKind::TimedOut, to, None)));
        })
    }

    pub(super) fn is_attempt(&self, number: u64) -> bool {
        self.attempt.get() == number && matches!(*self.state.borrow(), State::Connecting(_))
    }

    pub(super) fn look_up(&self, core: &Rc<Core>, number: u64, host: &str, port: u16) {
        self.in_attempt(|attempt| attempt.choice().race = Race::open());
        let found = Found::new(self.later(number));
        let (lookup, _) = look_up(core, self.birth.place, host, port, Box::new(found));
        if self.is_attempt(number) {
            self.in_attempt(|attempt| attempt.choice().lookup = Some(lookup));
        }
    }

    /// There is no other address.
    pub(super) fn try_only(&self, core: &Rc<Core>, number: u64, place: Address) {
        if self.try_one(core, number, place) == Tried::Failed {
            self.lose(core, number);
        }
    }

    /// A name has this address.
    pub(super) fn found(&self, core: &Rc<Core>, place: Address) {
        self.in_attempt(|attempt| attempt.choice().race.add(place, core.now()));
        self.race(core, self.attempt.get());
    }

    /// A name has no more addresses. Why some are missing matters to nobody who has others.
    pub(super) fn looked_up(&self, core: &Rc<Core>, number: u64, result: io::Result<()>) {
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
    pub(super) fn fail_later(&self, core: &Rc<Core>, number: u64, failure: Failure) {
        let later = self.later(number);
        core.wake_if_asleep();
        core.timers.schedule(core.now(), self.birth.place, move || {
            if let Some((client, core)) = later.now() {
                client.failed(&core, failure);
            }
        });
    }

    /// A socket of the attempt is writable.
    pub(super) fn connected_or_not(&self, core: &Rc<Core>, token: Token) {
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

    /// Leaves the attempt behind, with all that it has begun. Whether there was one.
    pub(super) fn leave_attempt(&self, core: &Core, next: State) -> bool {
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
        for (socket, _) in attempt.trying {
            core.close_socket(&socket);
        }
        true
    }

    /// Keeps the client until something has come of the attempt, whoever has let go of its connector.
    fn later(&self, number: u64) -> Later<T, F> {
        Later { client: self.this.upgrade(), number }
    }
}
