//! [`Queue`]: the calls that wait, the first of them in front.
//!
//! What is cancelled, or moved to later, stays where it is in the heap: that is found out when it comes to the front, and before that when most of
//! the heap is such. So to cancel or to put off is to write a word, whatever the number of calls; Twisted's reactor does the same. Of what was
//! measured for a million timers, most of them cancelled, it is the fastest: a heap that removes at once takes up to a third longer, a `BTreeMap`
//! more than four times as long, a timer wheel three times.

use super::delayed::{NEVER, Node, State};
use crate::trace::Place;
use std::{
    cell::{Cell, RefCell},
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    rc::Rc,
    time::Duration,
};

/// The calls that wait.
///
/// A call that waits has at least one entry, and one of a time that is not after its own. `heap` is never borrowed while user code runs: a node that
/// goes with its last entry has lost its function before.
pub(super) struct Queue {
    heap: RefCell<BinaryHeap<Entry>>,
    /// How many calls wait; what the heap has beyond them is waste.
    waiting: Cell<usize>,
    /// How many calls were ever scheduled; the number of the next one.
    made: Cell<u64>,
    /// The clock, for what counts from now.
    now: Box<dyn Fn() -> Duration>,
}

/// A call as the heap has it. The key stands beside the call and not in it: comparing does not touch a call.
struct Entry {
    /// When it was due when this was written.
    at: u64,
    /// No two calls have the same.
    number: u64,
    node: Rc<Node>,
}

impl Ord for Entry {
    /// The greatest is in front: it is the one that is due first, of those the one that was scheduled first.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// So much waste is never worth looking through the heap for; Twisted's number.
const WASTE: usize = 50;

impl Queue {
    pub(super) fn new(now: impl Fn() -> Duration + 'static) -> Queue {
        Queue { heap: RefCell::default(), waiting: Cell::new(0), made: Cell::new(0), now: Box::new(now) }
    }

    pub(super) fn now(&self) -> Duration {
        (self.now)()
    }

    pub(super) fn insert(self: &Rc<Self>, at: u64, place: Place, call: impl FnOnce() + 'static) -> Rc<Node> {
        let number = self.made.replace(self.made.get() + 1);
        let node = Node::new(at, number, place, self, call);
        self.waiting.set(self.waiting.get() + 1);
        self.heap.borrow_mut().push(Entry { at, number, node: node.clone() });
        node
    }

    /// A call is due before any entry of it.
    pub(super) fn sooner(&self, node: &Rc<Node>) {
        let entry = Entry { at: node.at(), number: node.number(), node: node.clone() };
        self.heap.borrow_mut().push(entry);
        self.clean_up();
    }

    /// A call does not wait any more.
    pub(super) fn gone(&self) {
        self.waiting.set(self.waiting.get() - 1);
        self.clean_up();
    }

    /// No call is due before that: a bound that costs a look at the front. [`NEVER`] if none is at all.
    #[inline]
    pub(super) fn not_before(&self) -> u64 {
        self.heap.borrow().peek().map_or(NEVER, |front| front.at)
    }

    /// When the first call is due, and its number.
    #[inline]
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        if let Some(front) = self.heap.borrow().peek()
            && front.node.state() == State::Waiting
            && front.at >= front.node.at()
        {
            return Some((front.at, front.number)); // as it mostly is, and nothing is to be moved
        }
        self.find_first()
    }

    #[cold]
    fn find_first(&self) -> Option<(u64, u64)> {
        let mut heap = self.heap.borrow_mut();
        loop {
            let mut front = heap.peek_mut()?;
            if front.node.state() != State::Waiting {
                PeekMut::pop(front);
            } else if front.at < front.node.at() {
                front.at = front.node.at(); // it goes to where that belongs
            } else {
                return Some((front.at, front.number));
            }
        }
    }

    /// Takes the call that [`first`](Self::first) has just told of out to be made. There must be one.
    #[inline]
    pub(super) fn take_first(&self) -> Rc<Node> {
        let first = self.heap.borrow_mut().pop().expect("the first was told");
        first.node.set_state(State::Called);
        self.gone();
        first.node
    }

    pub(super) fn made(&self) -> u64 {
        self.made.get()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.get()
    }

    /// The calls that wait, in the order they will be made.
    pub(super) fn sorted(&self) -> Vec<Rc<Node>> {
        let mut nodes = self.in_no_order();
        nodes.sort_unstable_by_key(|node| (node.at(), node.number()));
        nodes
    }

    pub(super) fn in_no_order(&self) -> Vec<Rc<Node>> {
        self.sweep();
        self.heap.borrow().iter().map(|entry| entry.node.clone()).collect()
    }

    /// Cancels all calls, in their order. What is scheduled by something that is dropped here stays.
    pub(super) fn clear(&self) {
        let nodes = self.sorted();
        drop(self.heap.take());
        self.waiting.set(0);
        // All of them before the first function is dropped, for that may ask for the others.
        nodes.iter().for_each(|node| node.set_state(State::Cancelled));
        nodes.iter().for_each(|node| node.forget());
    }

    /// Sweeps when more than half of the heap is waste, so that a call has paid for it by then.
    fn clean_up(&self) {
        let entries = self.heap.borrow().len();
        if entries > self.waiting.get() * 2 + WASTE {
            self.sweep();
        }
    }

    /// Leaves one entry for each call that waits, of its own time, and none else.
    fn sweep(&self) {
        let mut entries = self.heap.take().into_vec();
        entries.retain_mut(|entry| {
            entry.at = entry.node.at();
            entry.node.is_found_anew()
        });
        entries.iter().for_each(|entry| entry.node.set_state(State::Waiting));
        self.heap.replace(entries.into());
    }
}

impl Drop for Queue {
    /// Else handles would show calls as waiting that can never be made.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DelayedCall, tests::Random};
    use std::panic::Location;

    /// The queue, and beside it the same calls in a list that is sorted anew for each question.
    struct Both {
        queue: Rc<Queue>,
        list: Vec<(u64, u64, DelayedCall)>,
    }

    impl Both {
        fn new() -> Both {
            Both { queue: Rc::new(Queue::new(|| Duration::ZERO)), list: Vec::new() }
        }

        fn step(&mut self, random: &mut Random) {
            match random.below(10) {
                0..3 => self.insert(random.below(50)),
                3 => self.cancel(random),
                4..7 => self.reset(random),
                7 => self.delay(random),
                8 => self.look(),
                _ => self.pop(),
            }
            self.compare();
        }

        fn insert(&mut self, at: u64) {
            let number = self.queue.made();
            let node = self.queue.insert(at, Location::caller(), || ());
            self.list.push((at, number, DelayedCall(node)));
        }

        fn cancel(&mut self, random: &mut Random) {
            if let Some(index) = random.index(self.list.len()) {
                self.list.swap_remove(index).2.cancel().unwrap();
            }
        }

        fn reset(&mut self, random: &mut Random) {
            if let Some(index) = random.index(self.list.len()) {
                let (at, _, call) = &mut self.list[index];
                *at = random.below(50);
                call.reset(Duration::from_nanos(*at)).unwrap();
            }
        }

        fn delay(&mut self, random: &mut Random) {
            if let Some(index) = random.index(self.list.len()) {
                let (at, _, call) = &mut self.list[index];
                *at += 20;
                call.delay(Duration::from_nanos(20)).unwrap();
            }
        }

        /// As a reactor does before it sleeps.
        fn look(&self) {
            let first = self.list.iter().map(|(at, number, _)| (*at, *number)).min();
            assert_eq!(self.queue.first(), first);
        }

        fn pop(&mut self) {
            self.look();
            let first = self.list.iter().enumerate().min_by_key(|(_, (at, number, _))| (*at, *number));
            if let Some((index, _)) = first {
                let (_, _, call) = self.list.swap_remove(index);
                assert!(Rc::ptr_eq(&self.queue.take_first(), &call.0));
            }
        }

        fn compare(&mut self) {
            assert_eq!(self.queue.len(), self.list.len());
            assert!(self.entries() <= 2 * self.list.len() + WASTE, "{} entries", self.entries());
        }

        fn entries(&self) -> usize {
            self.queue.heap.borrow().len()
        }
    }

    #[test]
    fn it_gives_what_a_sorted_list_gives_and_its_waste_has_a_bound() {
        let mut random = Random(7);
        for _ in 0..20 {
            let mut both = Both::new();
            for _ in 0..1000 {
                both.step(&mut random);
            }
            let mut list = std::mem::take(&mut both.list);
            list.sort_by_key(|(at, number, _)| (*at, *number));
            let sorted: Vec<_> = both.queue.sorted().into_iter().map(DelayedCall).collect();
            assert_eq!(sorted, list.into_iter().map(|(_, _, call)| call).collect::<Vec<_>>());
            assert_eq!(both.entries(), both.queue.len(), "who looks at all has swept");
        }
    }

    /// A peer that is watched: its patience begins anew with each message, and the loop sleeps in between.
    #[test]
    fn to_put_a_call_off_again_and_again_needs_one_entry() {
        let mut both = Both::new();
        both.insert(10);
        for at in 11..10_000 {
            both.list[0].2.reset(Duration::from_nanos(at)).unwrap();
            assert_eq!((both.queue.first(), both.entries()), (Some((at, 0)), 1));
        }
    }

    #[test]
    fn what_was_made_sooner_and_then_later_is_made_once() {
        let mut both = Both::new();
        both.insert(10);
        for at in [5, 10, 3, 10, 20, 10] {
            both.list[0].2.reset(Duration::from_nanos(at)).unwrap();
            assert_eq!(both.queue.first(), Some((at, 0)));
        }
        both.queue.take_first();
        assert_eq!((both.queue.first(), both.queue.len(), both.entries()), (None, 0, 0));
    }
}
