//! [`Lines`]: how a stream is cut into lines.

use super::{
    basic::{LineProtocol, MAX_LENGTH},
    framed::{Event, Framed, Framing, Look, is_stopped},
};
use crate::protocol::{Context, Delimiter, wire::Wire};
use std::{cell::Cell, marker::PhantomData};

/// The kind of a framer that cuts lines; `M` says whether the protocol may change to raw bytes.
#[derive(Debug)]
pub struct Lines<M> {
    pub(super) rules: Rules,
    mode: PhantomData<M>,
}

/// Whether a receiver of lines has a raw mode.
pub trait Mode: 'static {
    /// The receiver's name.
    const NAME: &'static str;
    /// Whether it has one.
    const RAW: bool;
}

/// With a raw mode: a [`LineReceiver`](super::basic::LineReceiver).
#[derive(Debug)]
pub struct WithRaw;

/// Without: a [`LineOnlyReceiver`](super::basic::LineOnlyReceiver).
#[derive(Debug)]
pub struct LinesOnly;

impl Mode for WithRaw {
    const NAME: &'static str = "LineReceiver";
    const RAW: bool = true;
}

impl Mode for LinesOnly {
    const NAME: &'static str = "LineOnlyReceiver";
    const RAW: bool = false;
}

/// What ends a line, and what is too long for one. They may change at any line.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) delimiter: Delimiter,
    pub(super) max_length: Cell<usize>,
    pub(super) raw: Cell<bool>,
}

/// What comes after a row of lines.
enum Next {
    /// The row ended before that was looked at.
    Unknown,
    /// Raw bytes, all that there are.
    Raw,
    /// A line that is too long: so much is given for it, and so much goes.
    TooLong { line: usize, gone: usize },
    /// Less than a line.
    Partial,
}

impl<P: LineProtocol, M: Mode> Framed<P, Lines<M>> {
    /// Lines that end with CR LF, of at most [`MAX_LENGTH`] bytes.
    pub fn new(protocol: P) -> Self {
        let rules =
            Rules { delimiter: Delimiter::crlf(), max_length: Cell::new(MAX_LENGTH), raw: Cell::new(false) };
        Framed::with(Lines { rules, mode: PhantomData }, protocol)
    }

    /// Lines of at most so many bytes, without the delimiter.
    pub fn with_max_length(self, bytes: usize) -> Self {
        self.kind.rules.max_length.set(bytes);
        self
    }

    /// Lines that end with `delimiter`. With an empty one nothing ever ends a line.
    pub fn with_delimiter(self, delimiter: impl AsRef<[u8]>) -> Self {
        self.kind.rules.delimiter.set(delimiter.as_ref());
        self
    }

    /// Gives the lines that are there, in a row, and what comes then.
    fn look(&self, cx: &Context<P>, lent: &[u8]) -> Look {
        let next = self.row(cx, lent);
        let rest = self.buffer.rest(lent);
        match next {
            Next::Unknown if !M::RAW => return Look::Given,
            Next::Unknown => {}
            Next::Raw => {
                self.buffer.give(rest.len());
                self.slot.enter(cx, "raw_data_received", |protocol, cx| protocol.raw_data_received(cx, rest));
                return Look::Given;
            }
            Next::TooLong { line, gone } => {
                self.buffer.give(gone);
                let line = &rest[..line];
                self.slot.enter(cx, "line_length_exceeded", |protocol, cx| {
                    protocol.line_length_exceeded(cx, line)
                });
            }
            Next::Partial => return Look::Enough,
        }
        if cx.is_disconnecting() { Look::Enough } else { Look::Given }
    }

    /// Gives lines as long as they come and are wanted.
    fn row(&self, cx: &Context<P>, lent: &[u8]) -> Next {
        let (wire, mut next) = (cx.wire(), Next::Unknown);
        self.slot.enter_row(cx, "line_received", |protocol, cx| {
            let rest = self.buffer.rest(lent);
            match self.find(cx, rest) {
                Ok((line, gone)) => {
                    self.buffer.give(gone);
                    protocol.line_received(cx, &rest[..line]);
                    wants_more::<M>(wire)
                }
                Err(other) => {
                    next = other;
                    false
                }
            }
        });
        next
    }

    /// The length of the line that comes first, without and with its delimiter, or what comes instead.
    #[inline]
    fn find(&self, cx: &Context<P>, rest: &[u8]) -> Result<(usize, usize), Next> {
        let rules = &self.kind.rules;
        let max = rules.max_length.get();
        if rest.is_empty() {
            return Err(Next::Partial);
        }
        if rules.raw.get() {
            return Err(Next::Raw);
        }
        // All that differs is Twisted's. Only the one with a raw mode allows for a part of the delimiter at the end, and gives all that follows a
        // line that is too long, which may be raw. The other one looks for an end before a line, not after it.
        let find = |delimiter: &[u8]| (self.buffer.find(rest, delimiter), delimiter.len());
        let (found, ends) = rules.delimiter.lend(find);
        let (all, spare) = (rest.len(), if M::RAW { ends } else { 1 });
        match found {
            Some(_) if !M::RAW && cx.is_disconnecting() => Err(Next::Partial),
            Some(line) if line <= max => Ok((line, line + ends)),
            Some(line) if !M::RAW => Err(Next::TooLong { line, gone: line + ends }),
            None if all < max.saturating_add(spare) => Err(Next::Partial),
            _ => Err(Next::TooLong { line: all, gone: all }),
        }
    }
}

/// Whether the next line is to be given. Only with a raw mode a `lose_connection` stops at once.
#[inline]
fn wants_more<M: Mode>(wire: &Wire) -> bool {
    (if M::RAW { wire.is_open() } else { wire.is_alive() }) && !is_stopped(wire)
}

impl<P: LineProtocol, M: Mode> Framing<P> for Lines<M> {
    const NAME: &'static str = M::NAME;
    const HALF_CLOSEABLE: bool = P::HALF_CLOSEABLE;

    fn tell(protocol: &mut P, cx: &Context<P>, event: Event) {
        match event {
            Event::Made => protocol.connection_made(cx),
            Event::Secured => protocol.handshake_completed(cx),
            Event::ReadLost => protocol.read_connection_lost(cx),
            Event::WriteLost => protocol.write_connection_lost(cx),
            Event::Lost(why) => protocol.connection_lost(cx, why),
        }
    }

    fn look(framed: &Framed<P, Self>, cx: &Context<P>) -> Look {
        framed.buffer.lend(|lent| framed.look(cx, lent))
    }

    fn delimiter(&self) -> Option<&Delimiter> {
        Some(&self.rules.delimiter)
    }
}
