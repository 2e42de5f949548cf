//! Lines: [`LineReceiver`] with its raw mode, and [`LineOnlyReceiver`].
//!
//! Twisted's `twisted.protocols.basic`.

use crate::{
    failure::Failure,
    protocol::{Context, IntoLayer, Layer, Slot, Transport},
};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
};

/// The longest line without its delimiter, if not set otherwise; in bytes. Twisted's `MAX_LENGTH`.
pub const MAX_LENGTH: usize = 16_384;

/// The user's side of a connection that speaks in lines; lives in a [`LineReceiver`] or a [`LineOnlyReceiver`].
///
/// What can be asked of the receiver are the methods of [`LineControl`] on the context.
#[doc(alias = "LineReceiver")]
pub trait LineProtocol: Sized + 'static {
    /// See [`Protocol::HALF_CLOSEABLE`](crate::Protocol::HALF_CLOSEABLE).
    const HALF_CLOSEABLE: bool = false;

    /// The connection is there.
    fn connection_made(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }

    /// A line came, given without its delimiter.
    #[doc(alias = "lineReceived")]
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]);

    /// Bytes came in raw mode: all that there are, cut anywhere.
    #[doc(alias = "rawDataReceived")]
    fn raw_data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let _ = (cx, data);
    }

    /// A line is longer than the limit; the connection is closed unless this is overridden.
    ///
    /// `line` is all that was received and not given yet: of a [`LineReceiver`] the line, its delimiter if it has come, and what follows; of
    /// a [`LineOnlyReceiver`] the line. It is gone from the buffer.
    #[doc(alias = "lineLengthExceeded")]
    fn line_length_exceeded(&mut self, cx: &Context<Self>, line: &[u8]) {
        let _ = line;
        cx.lose_connection();
    }

    /// The connection is over.
    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        let _ = (cx, why);
    }

    /// See [`Protocol::read_connection_lost`](crate::Protocol::read_connection_lost).
    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }

    /// See [`Protocol::write_connection_lost`](crate::Protocol::write_connection_lost).
    fn write_connection_lost(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }
}

/// Cuts a stream into lines, and lets the protocol change to raw bytes and back at any line.
///
/// * [`set_raw_mode`](LineControl::set_raw_mode) in `line_received` gives all that follows to `raw_data_received`;
///   [`set_line_mode(rest)`](LineControl::set_line_mode) goes back, and gives it what was not raw.
/// * [`pause_producing`](Transport::pause_producing) stops after the line that is being received;
///   [`resume_producing`](Transport::resume_producing) goes on with what is held.
/// * After [`lose_connection`](Transport::lose_connection) no line is given any more.
/// * An endless line costs at most the limit and one read.
///
/// # Examples
/// The nine cases in which bytes may come, without a reactor:
/// ```
/// use twistor::{Context, protocols::basic::{LineControl, LineProtocol, LineReceiver}, testing};
///
/// struct Shout;
/// impl LineProtocol for Shout {
///     fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
///         cx.send_line(line.to_ascii_uppercase());
///     }
/// }
/// let cases: [(&[&[u8]], &[u8], usize); 8] = [
///     (&[], b"", 0),                                           // nothing sent
///     (&[b"he"], b"", 2),                                      // half a line
///     (&[b"hello\r\n"], b"HELLO\r\n", 0),                      // a line
///     (&[b"hello\r\nwo"], b"HELLO\r\n", 2),                    // a line and a half
///     (&[b"a\r\nb\r\n"], b"A\r\nB\r\n", 0),                    // two lines
///     (&[b"hello\r", b"\nx"], b"HELLO\r\n", 1),                // CR and LF apart
///     (&[b"h", b"i", b"\r", b"\n"], b"HI\r\n", 0),             // byte by byte
///     (&[b"\r\n"], b"\r\n", 0),                                // an empty line
/// ];
/// for (pieces, answer, left) in cases {
///     let mut t = testing::connect(LineReceiver::new(Shout));
///     pieces.iter().for_each(|piece| t.receive(piece));
///     assert_eq!((t.sent().as_slice(), t.protocol().buffered()), (answer, left));
///     t.lose(); // closed inside a line: what is left is dropped
/// }
/// let mut t = testing::connect(LineReceiver::new(Shout).with_max_length(4));
/// t.receive(b"a line past the limit");
/// assert!(t.disconnecting() && t.sent().is_empty());
/// ```
pub struct LineReceiver<P> {
    lines: Lines,
    raw: Cell<bool>,
    /// While lines are given, what comes goes to `extra`.
    busy: Cell<bool>,
    slot: Slot<P>,
}

/// What the two receivers share: the bytes that are held, and how they are cut.
struct Lines {
    /// Lent to the callback, one line at a time; whoever changes it meanwhile changes `at` and `extra`.
    buffer: RefCell<Vec<u8>>,
    /// How much of the buffer is given.
    at: Cell<usize>,
    /// How much of the buffer is known to hold no delimiter, so that a byte-by-byte peer does not cost a scan a byte.
    scanned: Cell<usize>,
    /// What came while the buffer was lent.
    extra: RefCell<Vec<u8>>,
    delimiter: RefCell<Vec<u8>>,
    max_length: Cell<usize>,
}

thread_local! {
    /// One buffer goes round among the receivers of a thread: an idle one keeps none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger buffer is freed rather than kept.
const SPARE_LIMIT: usize = 128 << 10;

impl Lines {
    fn new() -> Lines {
        Lines {
            buffer: RefCell::default(),
            at: Cell::new(0),
            scanned: Cell::new(0),
            extra: RefCell::default(),
            delimiter: RefCell::new(b"\r\n".to_vec()),
            max_length: Cell::new(MAX_LENGTH),
        }
    }

    fn push(&self, data: &[u8]) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        buffer.extend_from_slice(data);
    }

    /// Appends what came while the buffer was lent.
    fn push_extra(&self) {
        let extra = self.extra.take();
        if !extra.is_empty() {
            self.push(&extra);
        }
    }

    fn held(&self) -> usize {
        self.buffer.borrow().len() - self.at.get() + self.extra.borrow().len()
    }

    /// The length of the first line in `rest`, which begins at `at`.
    fn find(&self, rest: &[u8]) -> Option<usize> {
        let delimiter = self.delimiter.borrow();
        let (last, before) = delimiter.split_last()?;
        let from = self.scanned.get().saturating_sub(self.at.get());
        for at in memchr::memchr_iter(*last, &rest[from..]) {
            if let Some(start) = (from + at).checked_sub(before.len())
                && rest[start..from + at] == *before
            {
                return Some(start);
            }
        }
        self.scanned.set(self.at.get() + rest.len());
        None
    }

    fn delimiter_length(&self) -> usize {
        self.delimiter.borrow().len()
    }

    fn set_delimiter(&self, delimiter: &[u8]) {
        *self.delimiter.borrow_mut() = delimiter.to_vec();
        self.scanned.set(self.at.get());
    }

    /// Takes all that is held, in whatever stands on the stack.
    fn clear(&self) -> Vec<u8> {
        let buffer = self.buffer.borrow();
        let mut held = buffer[self.at.get()..].to_vec();
        self.at.set(buffer.len());
        held.append(&mut self.extra.borrow_mut());
        held
    }

    /// Frees what is given: the whole buffer, or its larger half.
    fn compact(&self) {
        let mut buffer = self.buffer.borrow_mut();
        let at = self.at.get();
        if at == buffer.len() {
            let mut spare = std::mem::take(&mut *buffer);
            if spare.capacity() <= SPARE_LIMIT {
                spare.clear();
                let _ = SPARE.try_with(|cell| cell.set(spare));
            }
        } else if at > buffer.len() / 2 {
            buffer.drain(..at);
        } else {
            return;
        }
        self.at.set(0);
        self.scanned.set(self.scanned.get().saturating_sub(at));
    }

    fn send_line(&self, transport: &Transport, line: &[u8]) {
        let delimiter = self.delimiter.borrow();
        transport.write_sequence([line, &delimiter]);
    }
}

/// What became of one look at the buffer.
#[derive(PartialEq, Eq)]
enum Look {
    /// Something was given; there may be more.
    Given,
    /// Nothing more can be given now.
    Enough,
}

impl<P: LineProtocol> LineReceiver<P> {
    /// Lines that end with CR LF, of at most [`MAX_LENGTH`] bytes.
    pub fn new(protocol: P) -> LineReceiver<P> {
        LineReceiver {
            lines: Lines::new(),
            raw: Cell::new(false),
            busy: Cell::new(false),
            slot: Slot::new(protocol),
        }
    }

    /// Lines of at most so many bytes, without the delimiter.
    pub fn with_max_length(self, bytes: usize) -> LineReceiver<P> {
        self.lines.max_length.set(bytes);
        self
    }

    /// Lines that end with `delimiter`. With an empty one nothing ever ends a line.
    pub fn with_delimiter(self, delimiter: impl AsRef<[u8]>) -> LineReceiver<P> {
        self.lines.set_delimiter(delimiter.as_ref());
        self
    }

    /// How many bytes were received and not given yet.
    pub fn buffered(&self) -> usize {
        self.lines.held()
    }

    /// Looks at the protocol; None while one of its methods runs.
    pub fn peek<R>(&self, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.slot.peek(f)
    }

    /// Gives lines and raw bytes, as long as there are some and they are wanted.
    fn run(&self, cx: &Context<P>) {
        if self.busy.replace(true) {
            return;
        }
        while !cx.is_paused() && !cx.wire().is_held() && self.look(cx) == Look::Given {}
        self.lines.push_extra();
        self.lines.compact();
        self.busy.set(false);
    }

    fn look(&self, cx: &Context<P>) -> Look {
        self.lines.push_extra();
        let buffer = self.lines.buffer.borrow();
        let rest = &buffer[self.lines.at.get()..];
        if rest.is_empty() {
            return Look::Enough;
        }
        if self.raw.get() {
            self.lines.at.set(buffer.len());
            self.slot.enter(cx, "raw_data_received", |protocol, cx| protocol.raw_data_received(cx, rest));
            return Look::Given;
        }
        let max = self.lines.max_length.get();
        let end = self.lines.find(rest);
        // A partial line is given the length of a delimiter more: the delimiter may be cut.
        if end.map_or(rest.len() >= max.saturating_add(self.lines.delimiter_length()), |end| end > max) {
            self.lines.at.set(buffer.len());
            self.slot
                .enter(cx, "line_length_exceeded", |protocol, cx| protocol.line_length_exceeded(cx, rest));
            return Look::Enough;
        }
        let Some(end) = end else { return Look::Enough };
        self.lines.at.set(self.lines.at.get() + end + self.lines.delimiter_length());
        self.slot.enter(cx, "line_received", |protocol, cx| protocol.line_received(cx, &rest[..end]));
        if cx.is_disconnecting() { Look::Enough } else { Look::Given }
    }
}

impl<P: LineProtocol> Layer for LineReceiver<P> {
    fn connection_made(&self, transport: &Transport) {
        self.slot
            .enter(&Context::of(transport), "connection_made", |protocol, cx| protocol.connection_made(cx));
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        if self.busy.get() {
            return self.lines.extra.borrow_mut().extend_from_slice(data);
        }
        self.lines.push(data);
        self.run(&Context::of(transport));
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.slot.enter(&Context::of(transport), "connection_lost", |protocol, cx| {
            protocol.connection_lost(cx, why)
        });
        self.slot.clear();
    }

    fn next(&self) -> Option<&dyn Layer> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn half_closeable(&self) -> bool {
        P::HALF_CLOSEABLE
    }

    fn read_connection_lost(&self, transport: &Transport) {
        let cx = Context::of(transport);
        self.slot.enter(&cx, "read_connection_lost", |protocol, cx| protocol.read_connection_lost(cx));
    }

    fn write_connection_lost(&self, transport: &Transport) {
        let cx = Context::of(transport);
        self.slot.enter(&cx, "write_connection_lost", |protocol, cx| protocol.write_connection_lost(cx));
    }

    fn go_on(&self, transport: &Transport) -> bool {
        let cx = Context::of(transport);
        if !self.slot.run_waiting(&cx) {
            return false;
        }
        self.run(&cx);
        true
    }

    fn find(&self, id: std::any::TypeId) -> Option<&dyn Any> {
        let (this, slot): (&dyn Any, &dyn Any) = (self, &self.slot);
        [this, slot].into_iter().find(|layer| (**layer).type_id() == id)
    }
}

impl<P: LineProtocol> IntoLayer for LineReceiver<P> {
    type Layer = LineReceiver<P>;

    fn into_layer(self) -> LineReceiver<P> {
        self
    }
}

impl<P> fmt::Debug for LineReceiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReceiver")
            .field("held", &self.lines.held())
            .field("raw", &self.raw.get())
            .finish()
    }
}

/// Cuts a stream into lines and does nothing else: no raw mode.
///
/// As in Twisted, a line that is too long takes the other lines of the same piece with it.
///
/// # Examples
/// ```
/// use twistor::{Context, protocols::basic::{LineControl, LineOnlyReceiver, LineProtocol}, testing};
/// struct Count(usize);
/// impl LineProtocol for Count {
///     fn line_received(&mut self, cx: &Context<Self>, _line: &[u8]) {
///         self.0 += 1;
///         cx.send_line(self.0.to_string());
///     }
/// }
/// let mut t = testing::connect(LineOnlyReceiver::new(Count(0)));
/// t.receive(b"one\r\ntwo\r\n");
/// assert_eq!(t.sent(), b"1\r\n2\r\n");
/// ```
pub struct LineOnlyReceiver<P> {
    lines: Lines,
    busy: Cell<bool>,
    slot: Slot<P>,
}

impl<P: LineProtocol> LineOnlyReceiver<P> {
    /// Lines that end with CR LF, of at most [`MAX_LENGTH`] bytes.
    pub fn new(protocol: P) -> LineOnlyReceiver<P> {
        LineOnlyReceiver { lines: Lines::new(), busy: Cell::new(false), slot: Slot::new(protocol) }
    }

    /// Lines of at most so many bytes, without the delimiter.
    pub fn with_max_length(self, bytes: usize) -> LineOnlyReceiver<P> {
        self.lines.max_length.set(bytes);
        self
    }

    /// Lines that end with `delimiter`.
    pub fn with_delimiter(self, delimiter: impl AsRef<[u8]>) -> LineOnlyReceiver<P> {
        self.lines.set_delimiter(delimiter.as_ref());
        self
    }

    /// How many bytes were received and not given yet.
    pub fn buffered(&self) -> usize {
        self.lines.held()
    }

    fn run(&self, cx: &Context<P>) {
        if self.busy.replace(true) {
            return;
        }
        while !cx.wire().is_held() && self.look(cx) == Look::Given {}
        self.lines.push_extra();
        self.lines.compact();
        self.busy.set(false);
    }

    fn look(&self, cx: &Context<P>) -> Look {
        let buffer = self.lines.buffer.borrow();
        let start = self.lines.at.get();
        let rest = &buffer[start..];
        let max = self.lines.max_length.get();
        let Some(end) = self.lines.find(rest) else {
            if rest.len() > max {
                self.too_long(cx, rest, buffer.len());
            }
            return Look::Enough;
        };
        if cx.is_disconnecting() {
            self.lines.at.set(start + self.whole_lines(rest));
            return Look::Enough;
        }
        if end > max {
            let whole = self.whole_lines(rest);
            self.too_long(cx, &rest[..end], start + whole);
            return Look::Enough;
        }
        self.lines.at.set(start + end + self.lines.delimiter_length());
        self.slot.enter(cx, "line_received", |protocol, cx| protocol.line_received(cx, &rest[..end]));
        Look::Given
    }

    /// How far the whole lines of `rest` go: to the end of its last delimiter.
    fn whole_lines(&self, rest: &[u8]) -> usize {
        let delimiter = self.lines.delimiter.borrow();
        let mut whole = 0;
        while let Some(at) = memchr::memmem::find(&rest[whole..], &delimiter) {
            whole += at + delimiter.len();
        }
        whole
    }

    fn too_long(&self, cx: &Context<P>, line: &[u8], at: usize) {
        self.lines.at.set(at);
        self.slot.enter(cx, "line_length_exceeded", |protocol, cx| protocol.line_length_exceeded(cx, line));
    }
}

impl<P: LineProtocol> Layer for LineOnlyReceiver<P> {
    fn connection_made(&self, transport: &Transport) {
        self.slot
            .enter(&Context::of(transport), "connection_made", |protocol, cx| protocol.connection_made(cx));
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        if self.busy.get() {
            return self.lines.extra.borrow_mut().extend_from_slice(data);
        }
        self.lines.push(data);
        self.run(&Context::of(transport));
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.slot.enter(&Context::of(transport), "connection_lost", |protocol, cx| {
            protocol.connection_lost(cx, why)
        });
        self.slot.clear();
    }

    fn next(&self) -> Option<&dyn Layer> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn half_closeable(&self) -> bool {
        P::HALF_CLOSEABLE
    }

    fn read_connection_lost(&self, transport: &Transport) {
        let cx = Context::of(transport);
        self.slot.enter(&cx, "read_connection_lost", |protocol, cx| protocol.read_connection_lost(cx));
    }

    fn write_connection_lost(&self, transport: &Transport) {
        let cx = Context::of(transport);
        self.slot.enter(&cx, "write_connection_lost", |protocol, cx| protocol.write_connection_lost(cx));
    }

    fn go_on(&self, transport: &Transport) -> bool {
        let cx = Context::of(transport);
        if !self.slot.run_waiting(&cx) {
            return false;
        }
        self.run(&cx);
        true
    }

    fn find(&self, id: std::any::TypeId) -> Option<&dyn Any> {
        let (this, slot): (&dyn Any, &dyn Any) = (self, &self.slot);
        [this, slot].into_iter().find(|layer| (**layer).type_id() == id)
    }
}

impl<P: LineProtocol> IntoLayer for LineOnlyReceiver<P> {
    type Layer = LineOnlyReceiver<P>;

    fn into_layer(self) -> LineOnlyReceiver<P> {
        self
    }
}

impl<P> fmt::Debug for LineOnlyReceiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineOnlyReceiver").field("held", &self.lines.held()).finish()
    }
}

/// What a line protocol may ask of its receiver, on its context.
///
/// It acts at once, also from inside a method: `set_raw_mode` in `line_received` decides how the very next byte is given.
pub trait LineControl {
    /// Sends a line: `line` and the delimiter, in one write.
    #[doc(alias = "sendLine")]
    fn send_line(&self, line: impl AsRef<[u8]>);
    /// Gives all that follows to `raw_data_received`. A [`LineOnlyReceiver`] has no raw mode.
    #[doc(alias = "setRawMode")]
    fn set_raw_mode(&self);
    /// Gives lines again, and begins with `extra`: what came as raw bytes and is not.
    #[doc(alias = "setLineMode")]
    fn set_line_mode(&self, extra: impl AsRef<[u8]>);
    /// Takes what was received and not given yet.
    #[doc(alias = "clearLineBuffer")]
    fn clear_line_buffer(&self) -> Vec<u8>;
    /// Sets the longest line, in bytes without the delimiter, from the next look at the buffer on.
    #[doc(alias = "MAX_LENGTH")]
    fn set_max_length(&self, bytes: usize);
    /// Sets what ends a line, from the next look at the buffer on.
    #[doc(alias = "delimiter")]
    fn set_delimiter(&self, delimiter: impl AsRef<[u8]>);
}

impl<P: LineProtocol> LineControl for Context<P> {
    fn send_line(&self, line: impl AsRef<[u8]>) {
        if let Some(lines) = lines(self) {
            lines.send_line(self, line.as_ref());
        }
    }

    fn set_raw_mode(&self) {
        if let Some(receiver) = self.layer::<LineReceiver<P>>() {
            receiver.raw.set(true);
        }
    }

    fn set_line_mode(&self, extra: impl AsRef<[u8]>) {
        if let Some(receiver) = self.layer::<LineReceiver<P>>() {
            receiver.raw.set(false);
            if !extra.as_ref().is_empty() {
                receiver.data_received(self, extra.as_ref());
            }
        }
    }

    fn clear_line_buffer(&self) -> Vec<u8> {
        lines(self).map(Lines::clear).unwrap_or_default()
    }

    fn set_max_length(&self, bytes: usize) {
        if let Some(lines) = lines(self) {
            lines.max_length.set(bytes);
        }
    }

    fn set_delimiter(&self, delimiter: impl AsRef<[u8]>) {
        if let Some(lines) = lines(self) {
            lines.set_delimiter(delimiter.as_ref());
        }
    }
}

/// The lines of whichever receiver the protocol lives in: it lives in one of the two.
fn lines<P: LineProtocol>(cx: &Context<P>) -> Option<&Lines> {
    let receiver = cx.layer::<LineReceiver<P>>().map(|receiver| &receiver.lines);
    receiver.or_else(|| cx.layer::<LineOnlyReceiver<P>>().map(|receiver| &receiver.lines))
}
