//! What is pending: one record for each chain that has no result yet, in a list of its thread.
//!
//! The right to be listed is a [`Token`]. It is moved and never copied: from the source of a chain to the
//! [`Run`] of its firing, from there to the record of the Deferred that the chain waits for, and
//! back to a `Run`. So a record lives exactly as long as its chain is unfired, queued to fire, waiting or paused,
//! whatever is dropped, cancelled or panics. `cancel` walks the same records down to the source.

mod reader;

pub(crate) use reader::Reader;
pub use reader::pending;

use super::chain::{Cancel, Run, Step, drop_after};
use crate::{
    snapshot::here::{self, Stamp},
    time::Driven,
    trace::Place,
};
use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Duration,
};

/// Names a record in a handle. A stale one, whose record serves another chain by now, is told apart.
#[derive(Clone, Copy, Default)]
pub(crate) struct Id {
    /// The lower bits are the record's place in the list; the top bit says that the handle was paused once, so that
    /// handles that never were need not ask.
    index: u32,
    /// 0 for a handle whose result is there.
    serial: u32,
}

const PAUSED: u32 = 1 << 31;

impl Id {
    #[inline]
    pub(crate) fn was_paused(self) -> bool {
        self.index & PAUSED != 0
    }

    pub(crate) fn with_pause(self) -> Id {
        Id { index: self.index | PAUSED, ..self }
    }

    /// Whether both name the same pending chain.
    pub(crate) fn is(self, other: Id) -> bool {
        self.serial != 0 && self.serial == other.serial && self.place() == other.place()
    }

    /// The number that it is shown under.
    pub(crate) fn serial(self) -> u32 {
        self.serial
    }

    fn place(self) -> usize {
        (self.index & !PAUSED) as usize
    }
}

/// One pending chain. Recycled: all fields are set anew by [`Token::new`].
#[derive(Default)]
pub(crate) struct Record {
    /// Where the chain was made.
    place: Cell<Option<Place>>,
    /// Where it stands: the stage that returned what it waits for, or the last `.await` of a task.
    at: Cell<Option<Place>>,
    /// While alive: who waits for it. While free: the next free record.
    link: Cell<Option<Rc<Record>>>,
    /// The serial that `link` had when it was set: whoever waits may be over.
    linked: Cell<u32>,
    /// Whether `link` owns the waiting chain, or only shows the task or combinator that waits.
    owns: Cell<bool>,
    /// What holds the chain up: the way of `cancel`.
    below: Cell<Below>,
    /// Whether one of the next four was set: most records have none of them to undo.
    marked: Cell<bool>,
    /// How often the chain is paused, what waits for the end of the pause, and whether anybody can end it.
    pauses: Cell<u32>,
    parked: Cell<Option<Box<Parked>>>,
    handle: Cell<Handle>,
    /// The reactor that will fire it, if one will.
    driven: Cell<Option<Rc<Cell<Driven>>>>,
    /// When and in whose callback it was made, and what will fire it.
    stamp: Cell<Stamp>,
    serial: Cell<u32>,
    index: Cell<u32>,
    role: Cell<Role>,
}

/// What a record is of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: it is free.
    #[default]
    Free,
    /// A chain, whose promise is in the hands of the program or of its holder.
    Chain,
    /// Async code.
    Task,
    /// A list or a race of others.
    Combined,
    /// A place in the line of a lock, a semaphore or a queue.
    InLine,
    /// A call that waits for its protocol.
    Queued,
    /// A thread that is blocked until its call has a result.
    Blocked,
}

/// What holds a chain up.
#[derive(Default)]
enum Below {
    /// It is being fired, or is free.
    #[default]
    Nothing,
    /// It is unfired. The writing ends own the source.
    Source(Weak<dyn Cancel>),
    /// A stage returned a Deferred that has no result.
    Chain(Id),
}

/// A step that was to be driven while its chain was paused.
pub(crate) struct Parked {
    pub(crate) step: Rc<dyn Step>,
    pub(crate) run: Run,
    /// The result came during the pause. As in Twisted, nobody is told of a failure then until the pause ends.
    silent: bool,
}

impl Parked {
    /// Nobody can end the pause, and nobody waits for the chain: it goes.
    pub(crate) fn drop_chain(mut self) {
        self.run.token.end();
        self.step.let_go(self.silent);
        drop_after(&*self.step);
    }

    /// Nobody can end the pause, but somebody waits for the chain: its result goes, and it stays listed.
    pub(crate) fn drop_result(mut self) {
        self.step.let_go(self.silent);
        self.run.park(self.step, self.silent);
    }
}

/// What became of the handle of a paused chain. Only its handle can end a pause.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Handle {
    /// It is there.
    #[default]
    Held,
    /// It was handed to a chain or a combinator, which waits for ever.
    HandedOn,
    /// It was dropped.
    Dropped,
}

struct Registry {
    /// The record of the task that is being polled.
    polling: Cell<Option<Rc<Record>>>,
    free: Cell<Option<Rc<Record>>>,
    /// Borrowed inside this module only, and never while a record is let go.
    all: RefCell<Vec<Rc<Record>>>,
}

thread_local! {
    static PENDING: Registry = const {
        Registry {
            polling: Cell::new(None),
            free: Cell::new(None),
            all: RefCell::new(Vec::new()),
        }
    };
}

/// Not there any more while a thread ends: then chains go on, unlisted.
#[inline]
fn with<R: Default>(f: impl FnOnce(&Registry) -> R) -> R {
    PENDING.try_with(f).unwrap_or_default()
}

/// The right to be listed.
#[derive(Default)]
pub(crate) struct Token(Option<Rc<Record>>);

impl Token {
    #[inline]
    pub(crate) fn new(place: Place, role: Role) -> Token {
        with(|r| {
            let record = match r.free.take() {
                Some(record) => {
                    put(&r.free, record.link.take());
                    record
                }
                None => r.grow(),
            };
            record.place.set(Some(place));
            record.at.set(None);
            record.stamp.set(here::stamp());
            record.serial.set(here::next_serial());
            record.role.set(role);
            Token(Some(record))
        })
    }

    #[inline]
    pub(crate) fn id(&self) -> Id {
        match &self.0 {
            Some(record) => Id { index: record.index.get(), serial: record.serial.get() },
            None => Id::default(),
        }
    }

    /// The chain is unfired: `source` is what a cancel goes to.
    #[inline]
    pub(crate) fn unfired(&self, source: Weak<dyn Cancel>) {
        if let Some(record) = &self.0 {
            record.below.set(Below::Source(source));
        }
    }

    /// The chain is being fired: no cancel may overtake a fire that waits for its turn. Whether it is paused.
    #[inline]
    pub(crate) fn firing(&self) -> bool {
        let Some(record) = &self.0 else { return false };
        record.below.set(Below::Nothing);
        record.pauses.get() > 0
    }

    /// The reactor that will fire it.
    pub(crate) fn driven_by(&self, driven: Rc<Cell<Driven>>) {
        if let Some(record) = &self.0 {
            record.driven.set(Some(driven));
            record.marked.set(true);
        }
    }

    /// Whether it was moved on, or ended.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_none()
    }

    /// The chain is over.
    #[inline]
    pub(crate) fn end(&mut self) {
        if let Some(record) = self.0.take() {
            free(record);
        }
    }

    /// The chain is over, and the chain that waited for it goes on. Gives that one's token, and where it was made.
    #[inline]
    pub(crate) fn take_waiter(&mut self) -> (Token, Option<Place>) {
        let waiter = self.0.take().and_then(free);
        let made = waiter.as_ref().and_then(|w| {
            w.below.set(Below::Nothing);
            w.place.get()
        });
        (Token(waiter), made)
    }

    /// This chain waits, in its stage at `at`, for the chain `inner`: the first of the three places that say who waits
    /// for whom.
    pub(crate) fn waits_for(&mut self, inner: Id, at: Place) {
        let Some(me) = self.0.take() else { return };
        me.at.set(Some(at));
        me.below.set(Below::Chain(inner));
        let over = match get(inner) {
            Some(inner) => {
                inner.linked.set(me.serial.get());
                let owned = inner.owns.replace(true);
                inner.link.replace(Some(me)).filter(|_| owned) // a task that was only shown is not ours to end
            }
            None => Some(me),
        };
        drop(Token(over)); // on a thread that ends, this chain itself
    }

    /// Whether the chain is paused.
    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.pauses.get() > 0)
    }

    /// What became of the chain's handle; only kept for paused ones.
    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().map_or(Handle::Held, |record| record.handle.get())
    }

    /// Puts a step aside until the pause ends. The record keeps its own token meanwhile; ending the pause, or dropping
    /// the handle, breaks that ring.
    pub(crate) fn park(self, step: Rc<dyn Step>, silent: bool, make: impl FnOnce(Token) -> Run) {
        let Some(record) = self.0.clone() else { return };
        let parked = Parked { step, run: make(self), silent };
        record.parked.set(Some(Box::new(parked)));
    }
}

/// Looks at a token where it lies.
pub(crate) fn with_token<R>(cell: &Cell<Token>, f: impl FnOnce(&Token) -> R) -> R {
    let token = cell.take();
    let result = f(&token);
    cell.set(token);
    result
}

impl Drop for Token {
    #[inline]
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            free_all(record);
        }
    }
}

/// The rare ways out: a source dropped unfired takes the chains that wait for it along, one after the other.
#[cold]
fn free_all(record: Rc<Record>) {
    let mut next = Some(record);
    while let Some(record) = next {
        record.below.set(Below::Nothing);
        next = free(record);
    }
}

/// Puts a record back, which nothing holds up any more, and gives the chain that waited for it.
#[inline]
fn free(record: Rc<Record>) -> Option<Rc<Record>> {
    debug_assert!(record.is_alive(), "a token is moved, never copied");
    debug_assert!(record.with_below(|below| matches!(below, Below::Nothing)), "it was fired, or let go");
    record.role.set(Role::Free);
    if record.marked.replace(false) {
        record.unmark();
    }
    let waiter = record.link.take().filter(|_| record.owns.replace(false));
    with(|r| {
        put(&record.link, r.free.take());
        put(&r.free, Some(record));
    });
    waiter
}

/// Fills a cell that is empty: there is nothing to drop.
#[inline]
fn put<T>(cell: &Cell<Option<T>>, value: Option<T>) {
    let former = cell.replace(value);
    debug_assert!(former.is_none(), "what it held would leak");
    std::mem::forget(former);
}

impl Registry {
    #[cold]
    fn grow(&self) -> Rc<Record> {
        let record = Rc::<Record>::default();
        let mut all = self.all.borrow_mut();
        record.index.set(all.len() as u32);
        all.push(record.clone());
        record
    }
}

impl Drop for Registry {
    /// Links are cut in a loop: 100,000 chains that wait for each other are a deep list.
    fn drop(&mut self) {
        let all = std::mem::take(self.all.get_mut());
        let links: Vec<_> = all.iter().map(|record| record.link.take()).collect();
        drop((all, links));
    }
}

#[inline]
fn get(id: Id) -> Option<Rc<Record>> {
    with(|r| {
        r.all
            .borrow()
            .get(id.place())
            .filter(|record| record.is_alive() && record.serial.get() == id.serial)
            .cloned()
    })
}

/// Cancels what holds the chain up: walks down to the source of what it waits for.
pub(crate) fn cancel(mut id: Id, at: Place) {
    while let Some(record) = get(id) {
        let below = record.below.take();
        match &below {
            Below::Chain(inner) => {
                id = *inner;
                record.below.set(below);
            }
            Below::Source(source) => {
                let source = source.upgrade();
                record.below.set(below);
                drop(record);
                if let Some(source) = source {
                    source.cancel(at);
                }
                return;
            }
            Below::Nothing => return,
        }
    }
}

/// Whether the chain is listed and paused.
#[inline]
pub(crate) fn is_paused(id: Id) -> bool {
    id.was_paused() && is_paused_now(id)
}

#[cold]
fn is_paused_now(id: Id) -> bool {
    get(id).is_some_and(|record| record.pauses.get() > 0)
}

/// Adds a pause to a chain that has no result. False if it is not listed.
pub(crate) fn pause(id: Id) -> bool {
    let Some(record) = get(id) else { return false };
    record.pauses.set(record.pauses.get() + 1);
    record.marked.set(true);
    true
}

/// Takes a pause back; gives what waited for the last one to end.
pub(crate) fn unpause(id: Id) -> Option<Parked> {
    let record = get(id)?;
    let left = record.pauses.get().checked_sub(1)?;
    record.pauses.set(left);
    if left > 0 {
        return None;
    }
    record.parked.take().map(|parked| *parked)
}

/// The handle of a paused chain is gone: nobody can end the pause. Gives what was parked, to be let go.
pub(crate) fn orphan(id: Id, handle: Handle) -> Option<Parked> {
    let record = get(id).filter(|record| record.pauses.get() > 0)?;
    record.handle.set(handle);
    record.parked.take().map(|parked| *parked)
}

/// The handle of a chain that was paused is dropped.
#[cold]
#[inline(never)]
pub(crate) fn handle_dropped(id: Id) {
    if let Some(parked) = orphan(id, Handle::Dropped) {
        parked.drop_chain();
    }
}

/// How far down a chain is asked whose reactor will fire it: each level is a stage that waits.
const DRIVEN_LEVELS: usize = 64;

/// Whether the chain waits for a reactor that nobody turns.
pub(crate) fn waits_for_nobody(mut id: Id) -> bool {
    for _ in 0..DRIVEN_LEVELS {
        let Some(record) = get(id) else { return false };
        let driven = record.driven.take();
        let state = driven.as_ref().map(|d| d.get());
        record.driven.set(driven);
        if let Some(state) = state {
            return state == Driven::No;
        }
        let below = record.below.take();
        let inner = match &below {
            Below::Chain(inner) => Some(*inner),
            _ => None,
        };
        record.below.set(below);
        match inner {
            Some(inner) => id = inner,
            None => return false,
        }
    }
    false
}

/// The task that is being polled awaits this chain at `at`: the second place that says who waits for whom.
pub(crate) fn awaited(id: Id, at: Place) {
    with(|r| {
        let Some(task) = r.polling.take() else { return };
        task.at.set(Some(at));
        show(id, &task);
        r.polling.set(Some(task));
    });
}

/// A combinator whose Deferred is `whole` takes the chain as an input: the third place.
pub(crate) fn input_of(id: Id, whole: Id) {
    if let Some(whole) = get(whole) {
        show(id, &whole);
    }
}

/// Nobody waits for the chain itself any more: a stage was added to it.
#[cold]
pub(crate) fn not_awaited(id: Id) {
    if let Some(record) = get(id).filter(|record| !record.owns.get()) {
        record.link.set(None);
    }
}

fn show(id: Id, waiter: &Rc<Record>) {
    let Some(record) = get(id) else { return };
    if record.owns.get() || Rc::ptr_eq(&record, waiter) {
        return;
    }
    record.linked.set(waiter.serial.get());
    record.link.set(Some(waiter.clone()));
}

/// Notes the task of this Deferred as the one that is polled, until the guard goes.
pub(crate) fn polling(id: Id) -> Polling {
    let task = get(id);
    let owner = here::owned_by(id.serial);
    Polling { former: with(|r| r.polling.replace(task)), _owner: owner }
}

pub(crate) struct Polling {
    former: Option<Rc<Record>>,
    _owner: here::Owned,
}

impl Drop for Polling {
    fn drop(&mut self) {
        let former = self.former.take();
        drop(with(|r| r.polling.replace(former)));
    }
}

/// A reactor turns, until the guard goes: a thread may hold several, one inside the other. A guest's callbacks are not its host's task.
#[inline]
pub(crate) fn turn(reactor: u32, now: Duration) -> Turning {
    Turning { polling: with(|r| r.polling.take()), _here: here::turn(reactor, now) }
}

pub(crate) struct Turning {
    polling: Option<Rc<Record>>,
    _here: here::Turning,
}

impl Drop for Turning {
    #[inline]
    fn drop(&mut self) {
        let polling = self.polling.take();
        with(|r| r.polling.set(polling));
    }
}

/// Says what a chain is, if it is not just a chain, and what will fire it; 0 for nobody that is known.
pub(crate) fn describe(id: Id, role: Role, holder: u32) {
    if let Some(record) = get(id) {
        record.role.set(role);
        record.stamp.set(Stamp { holder, ..record.stamp.get() });
    }
}

impl Record {
    fn is_alive(&self) -> bool {
        self.role.get() != Role::Free
    }

    #[cold]
    fn unmark(&self) {
        self.driven.set(None);
        self.pauses.set(0);
        self.handle.set(Handle::Held);
    }

    fn with_below<R>(&self, f: impl FnOnce(&Below) -> R) -> R {
        let below = self.below.take();
        let result = f(&below);
        self.below.set(below);
        result
    }

    fn is_unfired(&self) -> bool {
        self.with_below(|below| matches!(below, Below::Source(_)))
    }
}
