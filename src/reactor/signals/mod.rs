//! Signals: who hears them, and SIGINT and SIGTERM to an orderly stop.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | the signals of one reactor: from a handler to who hears it, at the loop's boundary |
//! | `hear` | a callback, a stream, a Deferred of a signal |
//! | `process` | what the process does with a signal, and what it did before |
//! | `signal` | [`Signal`], by name or number |
//!
//! A handler sets a flag and writes one byte to a socket pair, whose other end is in the poll set: what happens then happens at the loop's boundary. A virtual
//! reactor has neither; its test sets the flag.

mod hear;
mod process;
mod signal;

pub use hear::{SignalHandler, Signals};
pub(crate) use process::Lease;
pub use signal::{Signal, SignalError};

use self::process::{Handlers, Taking};
use super::{
    core::{Core, Socket},
    driver::Ready,
    life::Life,
};
use crate::{
    failure::Failure,
    protocol::socket::{Interest, OwnedSocket},
    report,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    panic::Location,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What stops a run, unless the program hears it itself.
const STOPS: [Signal; 2] = [Signal::INT, Signal::TERM];

/// Whether a signal has come that nobody was told of yet: several that come before the loop looks are one.
type Came = Arc<AtomicBool>;

/// The signals of a reactor.
#[derive(Default)]
pub(crate) struct Hearings {
    heard: RefCell<BTreeMap<Signal, Heard>>,
    stopping: RefCell<Option<Stopping>>,
    inbox: RefCell<Option<Inbox>>,
    /// The number of the next listener.
    next: Cell<u64>,
}

/// A signal that the program hears.
struct Heard {
    came: Came,
    /// In the order in which they came.
    listeners: Vec<Rc<Listener>>,
    /// Goes before the lease does. None on a virtual reactor.
    _handlers: Option<Handlers>,
    _lease: Option<Lease>,
}

/// Who hears a signal.
struct Listener {
    number: u64,
    /// None while it is called.
    call: Cell<Option<Call>>,
}

type Call = Box<dyn FnMut(Signal)>;

/// The end of a listener's time; to drop this takes it off.
struct Hearing {
    core: Weak<Core>,
    signal: Signal,
    number: u64,
}

/// A run that signals stop.
struct Stopping {
    came: Came,
    /// By signal; those that the program hears itself are not among them. They go before the leases do. None on a virtual reactor.
    handlers: Vec<Handlers>,
    leases: BTreeMap<Signal, Lease>,
}

/// Where the handlers write.
struct Inbox {
    reader: Rc<Reader>,
    outbox: UnixStream,
}

impl Core {
    // ---- who hears --------------------------------------------------------------------------------------------------

    fn hear(self: &Rc<Self>, signal: Signal, call: Call) -> Result<Hearing, SignalError> {
        if signal.is_forbidden() {
            return Err(SignalError::Forbidden(signal));
        }
        let number = self.hearings.next.get();
        self.hearings.next.set(number + 1);
        let listener = Rc::new(Listener { number, call: Cell::new(Some(call)) });
        let is_first = !self.hearings.heard.borrow().contains_key(&signal);
        if is_first {
            let heard = self.begin_to_hear(signal).inspect_err(|_| self.close_inbox())?;
            self.hearings.heard.borrow_mut().insert(signal, heard);
        }
        if let Some(heard) = self.hearings.heard.borrow_mut().get_mut(&signal) {
            heard.listeners.push(listener);
        }
        if is_first {
            self.arrange_stop();
        }
        Ok(Hearing { core: Rc::downgrade(self), signal, number })
    }

    fn begin_to_hear(self: &Rc<Self>, signal: Signal) -> Result<Heard, SignalError> {
        let came = Came::default();
        let mut heard = Heard { came: came.clone(), listeners: vec![], _handlers: None, _lease: None };
        if !self.driver.is_virtual() {
            let refused = |cause| SignalError::System { signal, cause };
            heard._lease = Some(Lease::new(signal, Taking::Hear)?);
            heard._handlers = Some(self.handlers(signal, [came]).map_err(refused)?);
        }
        Ok(heard)
    }

    fn hear_no_more(self: &Rc<Self>, signal: Signal, number: u64) {
        let mut all = self.hearings.heard.borrow_mut();
        let Some(heard) = all.get_mut(&signal) else { return };
        let Some(at) = heard.listeners.iter().position(|listener| listener.number == number) else { return };
        let listener = heard.listeners.remove(at);
        let last = if heard.listeners.is_empty() { all.remove(&signal) } else { None };
        drop(all);
        if last.is_some() {
            self.arrange_stop(); // before the signal is nobody's
        }
        drop(last);
        self.close_inbox();
        drop(listener); // the program's code
    }

    /// With the end of the run nobody hears anything any more. Whether somebody did.
    pub(crate) fn end_hearings(self: &Rc<Self>) {
        let heard = self.hearings.heard.take();
        self.arrange_stop();
        let listeners: Vec<_> =
            heard.into_values().flat_map(|mut heard| std::mem::take(&mut heard.listeners)).collect();
        self.close_inbox();
        for listener in listeners {
            // The drop of what it holds is the program's code.
            if let Err(panicked) = report::guarded(|| drop(listener)) {
                report::unhandled("the end of a signal's handler", panicked);
            }
        }
    }

    pub(crate) fn hears(&self) -> bool {
        !self.hearings.heard.borrow().is_empty()
    }

    // ---- what stops a run -------------------------------------------------------------------------------------------

    /// SIGINT and SIGTERM stop the run, until the guard goes.
    pub(crate) fn stop_by_signals(self: &Rc<Self>) -> Result<StoppedBySignals<'_>, SignalError> {
        let stopping = Stopping { came: Came::default(), handlers: vec![], leases: BTreeMap::new() };
        self.hearings.stopping.replace(Some(stopping));
        let guard = StoppedBySignals(self);
        self.try_to_arrange_stop()?;
        Ok(guard)
    }

    /// Takes those of the signals for the stop that the program does not hear itself.
    fn arrange_stop(self: &Rc<Self>) {
        if let Err(error) = self.try_to_arrange_stop() {
            tracing::warn!("{error}: it does not stop the reactor");
        }
    }

    fn try_to_arrange_stop(self: &Rc<Self>) -> Result<(), SignalError> {
        let mut stopping = self.hearings.stopping.borrow_mut();
        let Some(stopping) = stopping.as_mut().filter(|_| !self.driver.is_virtual()) else { return Ok(()) };
        let heard = self.hearings.heard.borrow();
        let mut leases = BTreeMap::new();
        for signal in STOPS.into_iter().filter(|signal| !heard.contains_key(signal)) {
            let lease =
                stopping.leases.remove(&signal).map_or_else(|| Lease::new(signal, Taking::Stop), Ok)?;
            leases.insert(signal, lease);
        }
        drop(heard);
        let former = std::mem::replace(&mut stopping.leases, leases);
        let mut handlers = vec![];
        for signal in stopping.leases.keys().copied() {
            // The handler has the next one of either kind end the process: the loop may be stuck.
            let ends = stopping.leases.values().map(|lease| lease.ends().clone());
            let flags = ends.chain([stopping.came.clone()]);
            let refused = |cause| SignalError::System { signal, cause };
            handlers.push(self.handlers(signal, flags).map_err(refused)?);
        }
        // The new ones are there before the old ones go.
        stopping.handlers = handlers;
        // Only now, when no handler of the old ones can say any more that the next signal ends the process: to give them back says what it does.
        drop(former);
        Ok(())
    }

    // ---- what has come ----------------------------------------------------------------------------------------------

    /// Handlers that tell this reactor.
    fn handlers(
        self: &Rc<Self>,
        signal: Signal,
        flags: impl IntoIterator<Item = Came>,
    ) -> io::Result<Handlers> {
        self.open_inbox()?;
        match &*self.hearings.inbox.borrow() {
            Some(inbox) => Handlers::register(signal, flags, &inbox.outbox),
            None => Err(io::ErrorKind::NotConnected.into()), // it was opened
        }
    }

    /// Tells those who hear what has come: by number, then in the order in which they came. Then the run stops, if something has come that stops it.
    fn tell_signals(self: &Rc<Self>) {
        for (signal, listener) in self.hearings.told_of() {
            if self.hearings.is_there(signal, listener.number) {
                listener.tell(signal);
            }
        }
        let stopping = self.hearings.stopping.borrow();
        let stops = stopping.as_ref().is_some_and(|stopping| stopping.came.swap(false, Ordering::SeqCst));
        drop(stopping);
        if stops {
            match self.stop() {
                Ok(()) => tracing::info!("a signal stops the reactor; a second one ends the process"),
                Err(_) => tracing::info!("a signal came while the reactor was stopping"),
            }
        }
    }

    /// A signal comes to a virtual reactor. Whether the reactor takes it.
    pub(crate) fn raise(self: &Rc<Self>, signal: Signal) -> bool {
        let heard = self.hearings.heard.borrow().get(&signal).map(|heard| heard.came.clone());
        let Some(came) = heard.or_else(|| self.stopped_by(signal)) else { return false };
        came.store(true, Ordering::SeqCst);
        let this = Rc::downgrade(self);
        self.call_later(Location::caller(), Duration::ZERO, move || {
            if let Some(core) = this.upgrade() {
                core.tell_signals();
            }
        });
        true
    }

    /// If it stops the run. The second one, which would end the process, does not.
    fn stopped_by(&self, signal: Signal) -> Option<Came> {
        let runs = matches!(self.life.get(), Life::Starting | Life::Running) && !self.stop_asked.get();
        let stopping = self.hearings.stopping.borrow();
        let came = &stopping.as_ref().filter(|_| runs && STOPS.contains(&signal))?.came;
        (!came.load(Ordering::SeqCst)).then(|| came.clone())
    }

    /// A signal is sent to this process.
    pub(crate) fn send_to_self(signal: Signal) -> Result<(), SignalError> {
        if !process::is_taken(signal) {
            return Err(SignalError::Unheard(signal));
        }
        signal_hook::low_level::raise(signal.as_raw()).map_err(|cause| SignalError::System { signal, cause })
    }

    // ---- the inbox --------------------------------------------------------------------------------------------------

    fn open_inbox(self: &Rc<Self>) -> io::Result<()> {
        if self.hearings.inbox.borrow().is_some() {
            return Ok(());
        }
        let (inbox, outbox) = UnixStream::pair()?;
        inbox.set_nonblocking(true)?;
        let reader = Rc::new(Reader { socket: self.driver.adopt(OwnedFd::from(inbox))?.into() });
        self.hearings.inbox.replace(Some(Inbox { reader: reader.clone(), outbox }));
        self.add(&reader.socket, reader.clone());
        self.watch(&reader.socket, Interest::READ)
    }

    /// Unless it is still needed.
    fn close_inbox(&self) {
        if self.hears() || self.hearings.stopping.borrow().is_some() {
            return;
        }
        if let Some(inbox) = self.hearings.inbox.take() {
            self.close_socket(&inbox.reader.socket);
        }
    }
}

impl Hearings {
    /// What has come, with each who hears it.
    fn told_of(&self) -> Vec<(Signal, Rc<Listener>)> {
        let heard = self.heard.borrow();
        let came = heard.iter().filter(|(_, heard)| heard.came.swap(false, Ordering::SeqCst));
        came.flat_map(|(signal, heard)| heard.listeners.iter().map(|listener| (*signal, listener.clone())))
            .collect()
    }

    /// Whether it was not taken off meanwhile.
    fn is_there(&self, signal: Signal, number: u64) -> bool {
        let heard = self.heard.borrow();
        heard.get(&signal).is_some_and(|heard| heard.listeners.iter().any(|other| other.number == number))
    }
}

impl Listener {
    fn tell(&self, signal: Signal) {
        let Some(mut call) = self.call.take() else { return };
        let told = report::guarded(|| call(signal));
        self.call.set(Some(call));
        if let Err(panicked) = told {
            report::unhandled("a signal's handler", panicked);
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.hear_no_more(self.signal, self.number);
        }
    }
}

/// While signals stop the run.
pub(crate) struct StoppedBySignals<'a>(&'a Rc<Core>);

impl Drop for StoppedBySignals<'_> {
    fn drop(&mut self) {
        let stopping = self.0.hearings.stopping.take();
        drop(stopping);
        self.0.close_inbox();
    }
}

/// The end of the socket pair that the loop reads.
struct Reader {
    socket: OwnedSocket,
}

impl Socket for Reader {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        if matches!(self.socket.with(|handle| core.driver.receive(handle, &mut [0; 64])), Ok(1..)) {
            core.tell_signals();
        }
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    /// It is open for as long as somebody hears something, or a run is to be stopped.
    fn close(self: Rc<Self>, _core: &Rc<Core>, _why: Failure) {}

    fn serial(&self) -> u32 {
        0
    }
}
