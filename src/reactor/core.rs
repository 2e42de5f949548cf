//! [`Core`]: the state behind a [`Reactor`](super::Reactor).

use super::{
    awaited::Awaited,
    driver::{Alarm, Driver, OptionName, Ready, SocketOption, is_momentary},
    fork::Birthplace,
    jobs::Jobs,
    life::Life,
    pool::Pools,
    remote::{Blocked, Mailbox},
    signals::Hearings,
    triggers::Triggers,
    watch::Wakes,
};
use crate::{
    address::{Address, Credentials},
    defer::{Host, Polled},
    failure::Failure,
    names::HostnameResolver,
    protocol::{
        socket::{Interest, OwnedSocket, Token},
        transport::Link,
        wire::{Below, Owner, Wire},
    },
    report,
    snapshot::{Entry, here},
    task::Cooperator,
    time::{DelayedCall, Driven, Timers},
    trace::Place,
};
use async_executor::LocalExecutor;
use futures_lite::FutureExt;
use slab::Slab;
use std::{
    any::Any,
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, VecDeque},
    future::Future,
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, Location},
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Wake, Waker},
    time::{Duration, Instant},
};

/// What the loop calls when a socket has something to do. One of a connection, a listening port, an attempt to connect, a UDP port, the signals.
pub(crate) trait Socket {
    /// The driver has told of it.
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready);
    /// It was touched outside of its own event: what was written leaves.
    fn serve(self: Rc<Self>, core: &Rc<Core>);
    /// Its protocol has calls that wait: some of them run now. Before they are through there is no event for it.
    fn go_on(self: Rc<Self>, core: &Rc<Core>);
    /// The reactor closes.
    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure);
    /// The number that what its callbacks make is shown under.
    fn serial(&self) -> u32;
    /// As it is shown, `now`. None: it is not. It runs no code of the program's.
    fn entry(&self, _core: &Core, _now: u32) -> Option<Entry> {
        None
    }
    /// Itself, if it is a port that accepts connections.
    fn accepts(&self) -> Option<&dyn Owner> {
        None
    }
    /// The port or connector that a connection came from.
    fn owner(&self) -> Option<&dyn Owner> {
        None
    }
}

pub(crate) struct Core {
    /// Its number among all that is shown.
    pub(crate) serial: u32,
    pub(crate) driver: Rc<dyn Driver>,
    pub(crate) birthplace: Birthplace,
    /// Where the reactor's time begins.
    origin: Instant,
    pub(crate) timers: Timers,
    pub(crate) triggers: Triggers,
    pub(crate) mailbox: Mailbox,
    /// The threads that wait for the result of their call.
    pub(crate) blocked: Blocked,
    pub(crate) life: Cell<Life>,
    /// Asked for by `stop`, and not begun yet: what the turn is at gets to its end first.
    pub(crate) stop_asked: Cell<bool>,
    /// How long a stop waits for the connections of its ports. None: it does not.
    pub(crate) draining: Cell<Option<Duration>>,
    /// How many runs have ended: tells what belongs to this one.
    pub(crate) runs: Cell<u64>,
    /// How many handles there are. With the last one it closes.
    pub(crate) handles: Cell<usize>,
    /// How many turn the loop, or are about to.
    pub(crate) drivings: Cell<usize>,
    /// Whether somebody turns the loop; Deferreds that only the loop can fire look at it when they are awaited.
    pub(crate) driven: Rc<Cell<Driven>>,
    /// A turn is on the stack. What is asked outside of one wakes the loop, which may be asleep as another executor's guest.
    pub(crate) turning: Rc<Cell<bool>>,
    /// Each at the index that its token is.
    sockets: RefCell<Slab<Rc<dyn Socket>>>,
    /// Those that connect or have connected, which a socket table does not tell of while a name is looked up.
    pub(crate) clients: RefCell<Slab<Weak<dyn Socket>>>,
    /// The program's own descriptors by their numbers, each of a type that `fdset` knows.
    pub(crate) descriptors: RefCell<BTreeMap<i32, Rc<dyn Any>>>,
    pub(crate) jobs: Jobs,
    pub(crate) hearings: Hearings,
    /// The threads that work for it.
    pub(crate) pools: Pools,
    /// What names are looked up with. None: the system's resolver, not made yet.
    pub(crate) name_resolver: RefCell<Option<Rc<dyn HostnameResolver>>>,
    /// What they are to bring.
    pub(crate) awaited: Awaited,
    /// Those with something to do outside of their own event.
    touched: RefCell<Vec<Token>>,
    /// The room of the last such list, kept from one flush to the next. Empty while a list is gone through.
    touched_next: Cell<Vec<Token>>,
    /// Those with more calls waiting than fit into one go.
    pub(crate) held: RefCell<VecDeque<Token>>,
    /// What the last wait told, and the turn has not looked at yet.
    pub(crate) batch: Cell<Vec<Ready>>,
    /// How many bytes each connection of the batch may read in this turn.
    share: Cell<usize>,
    /// Lent to the socket that reads. None while it is lent.
    buffer: Cell<Option<Box<[u8]>>>,
    executor: RefCell<Option<Rc<LocalExecutor<'static>>>>,
    /// Made when it is first asked for.
    cooperator: OnceCell<Cooperator>,
    /// Rings the driver's alarm.
    pub(crate) waker: Waker,
    /// What the executor tells that a task is runnable.
    pub(crate) wakes: Arc<Wakes>,
}

/// The size of the buffer that sockets are read into. Twisted's `bufferSize` is 64 KiB; with four times that a stream costs less, and the buffer is one a reactor.
const BUFFER: usize = 256 << 10;

/// At most so many bytes of one connection are read in a turn: a stream is read depth first, for a while.
const SHARE: usize = 4 * BUFFER;

/// At most so many bytes are read in a turn, shared alike by the connections that are ready: then timers, threads and tasks get theirs. For the 256 of a
/// full batch that is 64 KiB each, Twisted's `bufferSize`.
const IN_A_TURN: usize = 16 << 20;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

impl Core {
    pub(crate) fn new(driver: Rc<dyn Driver>) -> Rc<Core> {
        report::remember_where_panics_happen();
        let origin = driver.now();
        let turning = Rc::new(Cell::new(false));
        let serial = here::next_serial();
        here::reactor_made(serial);
        Rc::new(Core {
            serial,
            birthplace: Birthplace::here(),
            origin,
            timers: Timers::new({
                // A call that is reset from outside of a turn may come sooner than what the loop sleeps for.
                let (clock, turning, alarm) = (driver.clone(), turning.clone(), driver.alarm());
                move || {
                    if !turning.get() {
                        alarm.ring();
                    }
                    clock.now().saturating_duration_since(origin)
                }
            }),
            triggers: Triggers::default(),
            mailbox: Mailbox::new(driver.alarm()),
            blocked: Blocked::default(),
            life: Cell::new(Life::Idle),
            stop_asked: Cell::new(false),
            draining: Cell::new(None),
            runs: Cell::new(0),
            handles: Cell::new(0),
            drivings: Cell::new(0),
            driven: Rc::new(Cell::new(Driven::No)),
            turning,
            sockets: RefCell::default(),
            clients: RefCell::default(),
            descriptors: RefCell::default(),
            jobs: Jobs::default(),
            hearings: Hearings::default(),
            pools: Pools::default(),
            name_resolver: RefCell::default(),
            awaited: Awaited::default(),
            touched: RefCell::default(),
            touched_next: Cell::default(),
            held: RefCell::default(),
            batch: Cell::default(),
            share: Cell::new(SHARE),
            buffer: Cell::new(None),
            executor: RefCell::default(),
            cooperator: OnceCell::new(),
            waker: Arc::new(Ringing(driver.alarm())).into(),
            wakes: Wakes::new(),
            driver,
        })
    }

    pub(crate) fn current() -> Option<Rc<Core>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Makes this the current reactor, and the host of async code, until the guard goes.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let host: Rc<dyn Host> = self.clone();
        let former = CURRENT.try_with(|current| current.replace(Some(self.clone()))).ok().flatten();
        Entered { former, _host: crate::defer::enter_host(host) }
    }

    pub(crate) fn now(&self) -> Duration {
        self.driver.now().saturating_duration_since(self.origin)
    }

    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.origin + at
    }

    pub(crate) fn call_later(
        &self,
        place: Place,
        delay: Duration,
        call: impl FnOnce() + 'static,
    ) -> DelayedCall {
        let at = self.now().saturating_add(delay);
        self.wake_if_asleep();
        self.timers.schedule(at, place, call)
    }

    /// The reactor's own cooperator.
    pub(crate) fn cooperator(self: &Rc<Self>) -> &Cooperator {
        self.cooperator.get_or_init(|| {
            // Weak, for the core owns it.
            let (clock, timers) = (Rc::downgrade(self), Rc::downgrade(self));
            let now = move || clock.upgrade().map_or(Duration::MAX, |core| core.now());
            Cooperator::of(now, move |place, delay, tick| {
                Some(timers.upgrade()?.call_later(place, delay, tick))
            })
        })
    }

    // ---- sockets ------------------------------------------------------------------------------------------------

    /// Has what is told of `owned` told to `socket`: instead of to another one, if it was another one's up to now.
    pub(crate) fn add(&self, owned: &OwnedSocket, socket: Rc<dyn Socket>) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(place) = sockets.get_mut(owned.token().0 as usize) else {
            return owned.set_token(Token(sockets.insert(socket) as u32));
        };
        let former = std::mem::replace(place, socket);
        drop(sockets);
        drop(former); // may be the last of it: outside of the borrow
    }

    #[inline]
    pub(crate) fn get(&self, token: Token) -> Option<Rc<dyn Socket>> {
        self.sockets.borrow().get(token.0 as usize).cloned()
    }

    /// Closes a socket that was added, or was not. Nothing if it is closed.
    pub(crate) fn close_socket(&self, owned: &OwnedSocket) {
        self.forget(owned);
        owned.close().into_iter().for_each(|handle| self.driver.close(handle));
    }

    /// The same with a reset instead of an end.
    pub(crate) fn reset_socket(&self, owned: &OwnedSocket) {
        self.forget(owned);
        owned.close().into_iter().for_each(|handle| self.driver.reset(handle));
    }

    fn forget(&self, owned: &OwnedSocket) {
        let token = owned.token();
        owned.set_token(Token::NONE);
        let gone = self.sockets.borrow_mut().try_remove(token.0 as usize);
        drop(gone);
    }

    pub(crate) fn all_sockets(&self) -> Vec<Rc<dyn Socket>> {
        self.sockets.borrow().iter().map(|(_, socket)| socket.clone()).collect()
    }

    /// Those in so many places of the table, from this one on; and whether there are more.
    pub(crate) fn some_sockets(&self, from: usize, at_most: usize) -> (Vec<Rc<dyn Socket>>, bool) {
        let sockets = self.sockets.borrow();
        let end = from.saturating_add(at_most).min(sockets.capacity());
        ((from..end).filter_map(|at| sockets.get(at)).cloned().collect(), end < sockets.capacity())
    }

    /// Says what is to be told of a socket. If the system refuses, nothing would ever be told of it: whoever asked ends it.
    pub(crate) fn watch(&self, owned: &OwnedSocket, interest: Interest) -> io::Result<()> {
        let (token, from) = (owned.token(), owned.watched());
        let watched = self
            .check_fork()
            .and_then(|()| owned.with(|handle| self.driver.watch(handle, token, from, interest)));
        match &watched {
            Ok(()) => owned.set_watched(interest),
            Err(error) => tracing::warn!("a socket is not watched: {error}"),
        }
        watched
    }

    pub(crate) fn touch(&self, token: Token) {
        self.touched.borrow_mut().push(token);
        self.wake_if_asleep();
    }

    /// Something is to be done that no turn knows of.
    pub(crate) fn wake_if_asleep(&self) {
        if !self.turning.get() {
            self.waker.wake_by_ref();
        }
    }

    pub(crate) fn has_touched(&self) -> bool {
        !self.touched.borrow().is_empty()
    }

    pub(crate) fn take_touched(&self) -> Vec<Token> {
        self.touched.replace(self.touched_next.take())
    }

    /// Keeps the room of a list that was gone through.
    pub(crate) fn give_touched_back(&self, list: Vec<Token>) {
        self.touched_next.set(list);
    }

    pub(crate) fn hold(&self, token: Token) {
        let mut held = self.held.borrow_mut();
        if !held.contains(&token) {
            held.push_back(token);
        }
    }

    /// Whether there is something to do without waiting for the world.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_touched() || !self.held.borrow().is_empty()
    }

    /// Shares what is read in a turn among so many sockets.
    pub(crate) fn share_among(&self, sockets: usize) {
        self.share.set((IN_A_TURN / sockets.max(1)).clamp(1, SHARE));
    }

    /// How many bytes a connection may read in this turn.
    pub(crate) fn share(&self) -> usize {
        self.share.get()
    }

    /// Lends the buffer that sockets are read into.
    #[inline]
    pub(crate) fn buffer(&self) -> Buffer<'_> {
        let bytes = self.buffer.take().unwrap_or_else(new_buffer);
        Buffer { core: self, bytes }
    }

    // ---- tasks --------------------------------------------------------------------------------------------------

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let guarded = AssertUnwindSafe(task).catch_unwind();
        let task = async move {
            if let Err(payload) = guarded.await {
                report::unhandled("a task", report::panicked(&*payload));
            }
        };
        self.executor().spawn(task).detach();
        self.wakes.note();
        self.wake_if_asleep();
    }

    fn executor(&self) -> Rc<LocalExecutor<'static>> {
        self.executor.borrow_mut().get_or_insert_with(Rc::default).clone()
    }

    /// The executor, if it has tasks.
    pub(crate) fn tasks(&self) -> Option<Rc<LocalExecutor<'static>>> {
        self.executor.borrow().clone().filter(|executor| !executor.is_empty())
    }

    /// Whether another thread may have a way to wake this reactor: by a [`Remote`](super::Remote), or by what a task awaits.
    pub(crate) fn may_be_rung(&self) -> bool {
        self.mailbox.has_remotes() || self.tasks().is_some()
    }

    /// Drops all tasks. Whoever waits in a tick of the executor holds it, and lets go of it first.
    pub(crate) fn drop_tasks(&self) {
        let executor = self.executor.take();
        drop(executor);
    }
}

#[cold]
fn new_buffer() -> Box<[u8]> {
    vec![0; BUFFER].into_boxed_slice()
}

/// An alarm as a waker.
struct Ringing(Arc<dyn Alarm>);

impl Wake for Ringing {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.ring();
    }
}

/// The reactor's buffer, lent; it goes back when this is dropped, panic or not.
pub(crate) struct Buffer<'a> {
    core: &'a Core,
    pub(crate) bytes: Box<[u8]>,
}

impl Drop for Buffer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.core.buffer.set(Some(std::mem::take(&mut self.bytes)));
    }
}

/// Puts the former reactor back.
pub(crate) struct Entered {
    former: Option<Rc<Core>>,
    _host: crate::defer::HostGuard,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let former = self.former.take();
        let _gone = CURRENT.try_with(|current| current.replace(former));
    }
}

impl Host for Core {
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        self.spawn(task);
    }

    fn spawn_polled(&self, task: Polled) {
        self.spawn(task);
    }
}

impl Below for Core {
    fn touched(&self, link: &Rc<Link>) {
        self.touch(link.wire().socket.token());
    }

    fn send_now(&self, wire: &Wire, data: &[u8]) -> io::Result<usize> {
        match wire.socket.with(|handle| self.driver.send(handle, &[IoSlice::new(data)])) {
            Err(error) if is_momentary(&error) => Ok(0),
            sent => sent,
        }
    }

    fn call_later(&self, after: Duration, call: Box<dyn FnOnce()>) -> Option<DelayedCall> {
        Some(self.call_later(Location::caller(), after, call))
    }

    fn local_address(&self, wire: &Wire) -> io::Result<Address> {
        wire.socket.with(|handle| self.driver.local_address(handle))
    }

    fn passes_descriptors(&self, wire: &Wire) -> bool {
        is_unix(wire) && !self.driver.is_virtual()
    }

    fn peer_credentials(&self, wire: &Wire) -> io::Result<Credentials> {
        if !self.passes_descriptors(wire) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        wire.socket.with(|handle| self.driver.peer_credentials(handle))
    }

    fn no_delay(&self, wire: &Wire) -> io::Result<bool> {
        if is_unix(wire) {
            return Ok(false); // what is sent there is there, and Twisted's answer
        }
        wire.socket.with(|handle| self.driver.option(handle, OptionName::NoDelay)).map(|on| on != 0)
    }

    fn set_no_delay(&self, wire: &Wire, on: bool) -> io::Result<()> {
        if is_unix(wire) {
            return Ok(());
        }
        wire.socket.with(|handle| self.driver.set_option(handle, SocketOption::NoDelay(on)))
    }

    fn keep_alive(&self, wire: &Wire) -> io::Result<bool> {
        wire.socket.with(|handle| self.driver.option(handle, OptionName::KeepAlive)).map(|on| on != 0)
    }

    fn set_keep_alive(&self, wire: &Wire, on: bool) -> io::Result<()> {
        wire.socket.with(|handle| self.driver.set_option(handle, SocketOption::KeepAlive(on)))
    }
}

fn is_unix(wire: &Wire) -> bool {
    wire.peer().as_unix().is_some()
}
