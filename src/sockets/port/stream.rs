//! [`StreamPort`]: accepting, stopping, draining.

use super::{Drained, ListeningPort, Opens, Port};
use crate::{
    address::Address,
    defer::{Deferred, Promise, record::Role},
    error::{CannotListenError, ConnectionAborted, NotListeningError},
    failure::{Failure, Result},
    protocol::{
        Factory, LayerOf, build,
        socket::{Handle, Interest, OwnedSocket},
        transport::Connection,
        wire::{Owner, Wire},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Ready, out_of_descriptors},
    },
    report,
    snapshot::{
        Entry, Kind,
        here::{self, Birth},
    },
    sockets::{complaint::Complaint, connection::begin},
    time::DelayedCall,
    trace::Place,
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    io,
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

/// How many connections one event accepts at first; the number then follows what came, as in Twisted.
const FIRST_BATCH: usize = 100;
/// How much more after an event that used it up.
const MORE: usize = 20;
/// At most so many connections one event accepts, however fast they come: each is also served, and timers and those that are open wait meanwhile.
/// Who is left over is told of again by the next turn.
const MOST: usize = 1024;
/// At most so many connections are turned away in one event when no descriptor is left.
const TURNED_AWAY: usize = 1000;
/// So long a port rests that cannot accept, rather than to be told of the same connections again and again.
const REST: Duration = Duration::from_millis(50);

pub(super) struct StreamPort<O: Opens, F: Factory> {
    this: Weak<StreamPort<O, F>>,
    core: Weak<Core>,
    how: O,
    factory: F,
    /// Open while it listens; closed when it was stopped, or its reactor has closed.
    socket: OwnedSocket,
    kept: Cell<Option<O::Kept>>,
    /// Whether somebody takes what it accepts.
    accepting: Cell<bool>,
    /// How many connections the next event accepts.
    batch: Cell<usize>,
    open: Cell<usize>,
    draining: RefCell<Vec<(DelayedCall, Promise<Drained>)>>,
    birth: Birth,
    /// That it cannot accept.
    complaint: Complaint,
}

#[track_caller]
pub(crate) fn listen<F: Factory>(core: &Rc<Core>, how: impl Opens, factory: F) -> Result<ListeningPort> {
    let place = Location::caller();
    let port = Rc::new_cyclic(|this| StreamPort {
        this: this.clone(),
        core: Rc::downgrade(core),
        how,
        factory,
        socket: OwnedSocket::default(),
        kept: Cell::new(None),
        accepting: Cell::new(true),
        batch: Cell::new(FIRST_BATCH),
        open: Cell::new(0),
        draining: RefCell::default(),
        birth: Birth::at(place),
        complaint: Complaint::default(),
    });
    port.start()?;
    Ok(ListeningPort { port })
}

impl<O: Opens, F: Factory> StreamPort<O, F> {
    fn accept(&self, core: &Rc<Core>) {
        let batch = self.batch.get();
        for accepted in 0..batch {
            if !self.socket.watched().read {
                return; // stopped by what it accepted; or it rests, and this is late
            }
            match self.socket.with(|port| core.driver.accept(port)) {
                Ok((handle, peer)) => self.accepted(core, handle, peer),
                Err(error) => {
                    self.batch.set(accepted.max(1));
                    return self.cannot_accept(core, error);
                }
            }
        }
        self.batch.set((batch + MORE).min(MOST));
    }

    fn accepted(&self, core: &Rc<Core>, handle: Handle, peer: Address) {
        match build(&self.factory, &peer) {
            Ok(Some(layer)) => self.connected(core, handle, peer, layer),
            Ok(None) => core.driver.close(handle),
            Err(panicked) => {
                report::unhandled("build_protocol", panicked);
                core.driver.close(handle);
            }
        }
    }

    fn connected(&self, core: &Rc<Core>, handle: Handle, peer: Address, layer: LayerOf<F>) {
        let Some(owner) = self.this.upgrade() else { return core.driver.close(handle) };
        self.open.set(self.open.get() + 1);
        let wire = Wire::new(Some(core.clone()), owner, handle.into(), peer);
        begin::<O::Passage, _>(core, Rc::new(Connection { wire, layer }));
    }

    /// Mostly nobody waits any more. If no descriptor is left, those who wait are closed, with the one that is reserved for that, so that they know.
    fn cannot_accept(&self, core: &Rc<Core>, error: io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            return;
        }
        let mut turned_away = 0;
        if out_of_descriptors(&error) {
            let turn_away = || self.socket.with(|port| Ok(core.driver.turn_away(port)));
            turned_away = (0..TURNED_AWAY).take_while(|_| turn_away().unwrap_or(false)).count();
        }
        self.complain(core, &error, turned_away);
        if turned_away < TURNED_AWAY {
            self.rest(core);
        }
    }

    fn complain(&self, core: &Core, error: &io::Error, turned_away: usize) {
        if !self.complaint.is_due(core.now()) {
            return;
        }
        if out_of_descriptors(error) {
            tracing::warn!(turned_away, "connections are refused ({error}): raise the limit on open files");
        } else {
            tracing::warn!("a connection was not accepted: {error}");
        }
    }

    fn rest(&self, core: &Rc<Core>) {
        let _ = core.watch(&self.socket, Interest::NONE); // else it does not rest, and comes here again
        let this = self.this.clone();
        core.timers.schedule(core.now().saturating_add(REST), self.birth.place, move || {
            let Some(this) = this.upgrade().filter(|this| this.socket.is_open()) else { return };
            if let Some(core) = this.core.upgrade() {
                this.watch(&core);
            }
        });
    }

    fn interest(&self) -> Interest {
        Interest { read: self.accepting.get(), write: false }
    }

    /// Has the driver tell of those who connect; if it cannot now, it is tried again.
    fn watch(&self, core: &Rc<Core>) {
        if core.watch(&self.socket, self.interest()).is_err() {
            self.rest(core);
        }
    }

    fn close_socket(&self, core: &Core) {
        if !self.socket.is_open() {
            return;
        }
        drop(self.kept.take());
        core.close_socket(&self.socket);
        if let Err(panicked) = report::guarded(|| self.factory.stop_factory()) {
            report::unhandled("stop_factory", panicked);
        }
    }

    /// Ends the connections that are open. How many there were.
    fn abort_all(&self, core: &Rc<Core>) -> usize {
        let mut aborted = 0;
        for socket in core.all_sockets() {
            if socket.owner().is_some_and(|owner| self.is(owner)) {
                socket.close(core, Failure::new(ConnectionAborted::default()));
                aborted += 1;
            }
        }
        aborted
    }

    fn is(&self, owner: &dyn Owner) -> bool {
        std::ptr::addr_eq(self, owner)
    }

    /// None is open any more: those who wait for that are told.
    fn drained(&self, waiting: Vec<(DelayedCall, Promise<Drained>)>, aborted: usize) {
        for (deadline, promise) in waiting {
            let _ = deadline.cancel(); // it may be what came here
            promise.callback(Drained { aborted });
        }
    }

    /// So long was waited.
    fn deadline(&self) {
        let Some(core) = self.core.upgrade() else { return };
        let waiting = self.draining.take();
        let aborted = self.abort_all(&core);
        self.drained(waiting, aborted);
    }
}

impl<O: Opens, F: Factory> Port for StreamPort<O, F> {
    fn get_host(&self) -> Result<Address> {
        match self.core.upgrade().filter(|_| self.socket.is_open()) {
            Some(core) => Ok(self.socket.with(|port| core.driver.local_address(port))?),
            None => Err(NotListeningError::default().into()),
        }
    }

    fn start(&self) -> Result<()> {
        let (Some(core), Some(this)) = (self.core.upgrade(), self.this.upgrade()) else {
            return Err(crate::error::ReactorNotRunning::default().into());
        };
        let place = self.how.place()?;
        if self.socket.is_open() {
            let error = io::Error::new(io::ErrorKind::AddrInUse, "this port listens already");
            return Err(CannotListenError::new(place, error).into());
        }
        let cannot = |error| CannotListenError::new(&place, error);
        let (handle, kept) = self.how.open(&core).map_err(cannot)?;
        self.socket.open(handle);
        self.kept.set(Some(kept));
        core.add(&self.socket, this);
        if let Err(error) = core.watch(&self.socket, self.interest()) {
            drop(self.kept.take());
            core.close_socket(&self.socket);
            return Err(cannot(error).into());
        }
        // Who gets the error has no port to stop: it stops here, and the factory is told, which may have begun something.
        report::guarded(|| self.factory.start_factory()).inspect_err(|_| self.close_socket(&core))
    }

    fn stop(&self, promise: Promise<()>) {
        if let Some(core) = self.core.upgrade() {
            self.close_socket(&core);
        }
        promise.callback(());
    }

    fn drain(&self, deadline: Duration, place: Place, promise: Promise<Drained>) {
        let Some(core) = self.core.upgrade().filter(|_| self.open.get() > 0) else {
            promise.callback(Drained { aborted: 0 });
            return;
        };
        let this = self.this.clone();
        let at = core.now().saturating_add(deadline);
        let _owner = here::owned_by(self.birth.serial);
        let call = core.timers.schedule(at, place, move || {
            if let Some(port) = this.upgrade() {
                port.deadline();
            }
        });
        core.wake_if_asleep();
        self.draining.borrow_mut().push((call, promise));
    }

    fn connections(&self) -> usize {
        self.open.get()
    }

    fn birth(&self) -> &Birth {
        &self.birth
    }

    fn set_accepting(&self, on: bool) {
        self.accepting.set(on);
        if let Some(core) = self.core.upgrade().filter(|_| self.socket.is_open()) {
            self.watch(&core);
            core.wake_if_asleep();
        }
    }
}

impl<O: Opens, F: Factory> Socket for StreamPort<O, F> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        self.accept(core);
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, _why: Failure) {
        self.close_socket(core);
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }

    fn accepts(&self) -> Option<&dyn Owner> {
        Some(self)
    }

    fn entry(&self, core: &Core, now: u32) -> Option<Entry> {
        if !self.socket.is_open() {
            return None;
        }
        let address = self.socket.with(|port| core.driver.local_address(port));
        let address = address.map_or("an unknown address".into(), |at| at.to_string());
        Some(Entry::of(&self.birth, Kind::Listener { address, connections: self.open.get() }, now))
    }
}

impl<O: Opens, F: Factory> Owner for StreamPort<O, F> {
    fn factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.factory.find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        self.factory.factory_name()
    }

    fn birth(&self) -> Option<&Birth> {
        Some(&self.birth)
    }

    fn drain(&self, deadline: Duration) -> Option<Deferred<usize>> {
        self.close_socket(&*self.core.upgrade()?);
        let (drained, promise) = Deferred::pending_at(self.birth.place);
        drained.describe(Role::Chain, self.birth.serial);
        Port::drain(self, deadline, self.birth.place, promise);
        Some(drained.map(|drained: Drained| drained.aborted))
    }

    fn lost(&self, _why: Failure) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            self.drained(self.draining.take(), 0);
        }
    }
}
