//! [`Pipe`]: the layer behind a stream, where the callbacks of the transport meet the polls of a task.

use crate::{
    error::ConnectionDone,
    failure::Failure,
    protocol::{Asked, IntoLayer, Layer, Transport, wire::HIGH_WATER},
    report,
};
use std::{
    any::Any,
    cell::{Cell, OnceCell, RefCell},
    fmt, io,
    task::{Context, Poll, Waker},
};

/// What came and was not read yet, how the incoming direction is, and who waits for it.
#[derive(Default)]
pub struct Pipe {
    incoming: RefCell<Vec<u8>>,
    /// Reading was paused because nobody took what is held.
    paused: Cell<bool>,
    direction: RefCell<Direction>,
    reader: Cell<Reader>,
    halves: Cell<Halves>,
    /// The protocol that the connection was handed over to.
    next: OnceCell<Box<dyn Layer>>,
}

/// How far the incoming direction is.
#[derive(Default)]
enum Direction {
    #[default]
    Open,
    /// The peer has ended it.
    Ended,
    /// The connection is over.
    Lost(Failure),
}

/// Whoever reads.
#[derive(Default)]
enum Reader {
    /// Does not wait for anything.
    #[default]
    Busy,
    /// The same, since this one was woken. As a rule it is who waits next, and then nothing is counted anew.
    Woken(Waker),
    /// Waits for what comes.
    Waits(Waker),
}

/// Which halves of the stream are there.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Halves {
    #[default]
    Both,
    Read,
    Write,
    Neither,
}

/// A buffer above this capacity, in bytes, is freed when it is read. An idle stream has two of them: it keeps at most 32 KiB.
const KEPT: usize = 16 << 10;

impl Pipe {
    /// Exchanges `chunk`, which is read, for what came meanwhile. False at the end of the incoming direction.
    pub(super) fn poll_take(
        &self,
        transport: &Transport,
        chunk: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        chunk.clear();
        if chunk.capacity() > KEPT {
            *chunk = Vec::new();
        }
        std::mem::swap(&mut *self.incoming.borrow_mut(), chunk);
        if self.paused.take() {
            transport.resume_producing();
        }
        if !chunk.is_empty() {
            return Poll::Ready(Ok(true));
        }
        match self.end() {
            Some(end) => Poll::Ready(end.map(|()| false)),
            None => {
                self.wait(cx.waker());
                Poll::Pending
            }
        }
    }

    /// The end of the incoming direction, in order or not.
    fn end(&self) -> Option<io::Result<()>> {
        match &*self.direction.borrow() {
            Direction::Open => None,
            Direction::Ended => Some(Ok(())),
            Direction::Lost(why) if why.check::<ConnectionDone>() => Some(Ok(())),
            Direction::Lost(why) => Some(Err(why.clone().into())),
        }
    }

    /// Why the connection is over, if it is.
    pub(super) fn lost(&self) -> Option<Failure> {
        match &*self.direction.borrow() {
            Direction::Lost(why) => Some(why.clone()),
            Direction::Open | Direction::Ended => None,
        }
    }

    fn wait(&self, waker: &Waker) {
        let waker = match self.reader.take() {
            Reader::Woken(same) | Reader::Waits(same) if same.will_wake(waker) => same,
            _ => waker.clone(),
        };
        self.reader.set(Reader::Waits(waker));
    }

    fn wake(&self) {
        let reader = match self.reader.take() {
            Reader::Waits(reader) => reader,
            busy => return self.reader.set(busy),
        };
        reader.wake_by_ref();
        // Who polls inside the wake waits again by now, or is gone.
        match self.reader.take() {
            Reader::Busy if self.has_reader() => self.reader.set(Reader::Woken(reader)),
            now => self.reader.set(now),
        }
    }

    // ---- halves -------------------------------------------------------------------------------------------------

    /// The reading half is dropped. What comes is held, up to the limit, and the peer has to wait then. It is not paused at once: a close
    /// resets the connection while the system holds what nobody took, and what was written last could be lost on its way.
    pub(super) fn reader_gone(&self, transport: &Transport) {
        drop(self.reader.take());
        match self.halves.get() {
            Halves::Both => self.halves.set(Halves::Write),
            _ => self.gone(transport),
        }
    }

    /// The writing half is dropped: the peer reads an end after what was written.
    pub(super) fn writer_gone(&self, transport: &Transport) {
        match self.halves.get() {
            Halves::Both => {
                self.halves.set(Halves::Read);
                if !self.is_handed_over() {
                    transport.lose_write_connection();
                }
            }
            _ => self.gone(transport),
        }
    }

    fn has_reader(&self) -> bool {
        matches!(self.halves.get(), Halves::Both | Halves::Read)
    }

    fn gone(&self, transport: &Transport) {
        self.halves.set(Halves::Neither);
        if !self.is_handed_over() {
            transport.lose_connection();
        }
    }

    // ---- handing over -------------------------------------------------------------------------------------------

    pub(super) fn is_handed_over(&self) -> bool {
        self.next.get().is_some()
    }

    /// From here on the connection is the protocol's: it is told that it is made, then of all that came and was not read.
    pub(super) fn hand_over(&self, transport: &Transport, mut unread: Vec<u8>, next: Box<dyn Layer>) {
        drop(self.reader.take());
        unread.append(&mut self.incoming.borrow_mut());
        if self.paused.take() {
            transport.resume_producing(); // the protocol begins unpaused; nothing is held here that could be given now
        }
        let next = self.next.get_or_init(|| next);
        let told = report::guarded(|| next.connection_made(transport));
        self.incoming.replace(unread);
        if let Err(panicked) = told.and_then(|()| report::guarded(|| self.catch_up(transport, &**next))) {
            report::unhandled("into_protocol", panicked.clone());
            transport.fail(panicked);
        }
    }

    /// Tells the protocol of what happened before it was there.
    fn catch_up(&self, transport: &Transport, next: &dyn Layer) {
        self.give(transport, next);
        match self.direction.take() {
            Direction::Open => {}
            Direction::Ended if next.half_closeable() => next.read_connection_lost(transport),
            Direction::Ended => transport.lose_connection(),
            Direction::Lost(why) => next.connection_lost(transport, why),
        }
    }

    /// Gives what is held, unless the protocol has paused reading. After the end of a direction there is no pause.
    fn give(&self, transport: &Transport, next: &dyn Layer) {
        let over = matches!(*self.direction.borrow(), Direction::Lost(_));
        let wanted = transport.wire().is_open() && !transport.is_paused();
        if over || wanted {
            let held = self.incoming.take();
            if !held.is_empty() {
                next.data_received(transport, &held);
            }
        }
    }

    /// How much is held then.
    fn append(&self, data: &[u8]) -> usize {
        let mut incoming = self.incoming.borrow_mut();
        incoming.extend_from_slice(data);
        incoming.len()
    }

    fn hold(&self, transport: &Transport, data: &[u8]) {
        if self.append(data) >= HIGH_WATER {
            self.paused.set(true);
            transport.pause_producing();
        }
        self.wake(); // a waker may poll inside: nothing is borrowed here
    }
}

impl Layer for Pipe {
    fn connection_made(&self, _transport: &Transport) {}

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        match self.next() {
            Some(next) => next.data_received(transport, data),
            None => self.hold(transport, data),
        }
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        if let Some(next) = self.next() {
            return next.connection_lost(transport, why);
        }
        self.direction.replace(Direction::Lost(why));
        self.wake();
    }

    fn next(&self) -> Option<&dyn Layer> {
        self.next.get().map(|next| &**next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn half_closeable(&self) -> bool {
        self.next().is_none_or(Layer::half_closeable)
    }

    fn read_connection_lost(&self, transport: &Transport) {
        if let Some(next) = self.next() {
            return next.read_connection_lost(transport);
        }
        self.direction.replace(Direction::Ended);
        self.wake();
    }

    fn go_on(&self, transport: &Transport) -> bool {
        let Some(next) = self.next() else { return true };
        let free = next.go_on(transport);
        self.give(transport, next);
        free
    }

    fn held(&self, asked: Asked) -> usize {
        let unread = self.incoming.try_borrow().map_or(0, |incoming| incoming.len());
        unread + self.next().map_or(0, |next| next.held(asked))
    }
}

impl IntoLayer for Pipe {
    type Layer = Self;

    fn into_layer(self) -> Self {
        self
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("unread", &self.incoming.borrow().len())
            .field("handed_over", &self.is_handed_over())
            .finish_non_exhaustive()
    }
}
