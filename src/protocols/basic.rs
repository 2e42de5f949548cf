//! Lines: [`LineReceiver`] with its raw mode, and [`LineOnlyReceiver`].
//!
//! Twisted's `twisted.protocols.basic`.

use super::{
    buffer::Buffer,
    lines::{Lines, LinesOnly, Rules, WithRaw},
};
use crate::{
    failure::Failure,
    protocol::{Asked, Context, Delimiter},
};
use std::any::TypeId;

pub use super::framed::Framed;

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

    /// See [`Protocol::handshake_completed`](crate::Protocol::handshake_completed).
    fn handshake_completed(&mut self, cx: &Context<Self>) {
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
    /// `line` is gone from the buffer. A [`LineReceiver`] gives all that it holds: the line, its delimiter if that has come, and
    /// what follows. A [`LineOnlyReceiver`] gives the line.
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
/// * [`pause_producing`](crate::Transport::pause_producing) stops after the line that is being received;
///   [`resume_producing`](crate::Transport::resume_producing) goes on with what is held.
/// * [`lose_connection`](crate::Transport::lose_connection) in `line_received` stops there. What is held stays, for
///   [`clear_line_buffer`](LineControl::clear_line_buffer).
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
/// // `|` is a cut between two reads; what is answered, how many bytes are held, whether it is open
/// let nine = [
///     ("", "", 0, true),                           // nothing sent
///     ("hel", "", 3, true),                        // half a line
///     ("hello\r\n", "HELLO\r\n", 0, true),         // a line
///     ("hello\r\nwo", "HELLO\r\n", 2, true),       // a line and a half
///     ("a\r\nb\r\n", "A\r\nB\r\n", 0, true),       // two lines
///     ("hello\r|\n", "HELLO\r\n", 0, true),        // CR and LF apart
///     ("h|e|l|l|o|\r|\n", "HELLO\r\n", 0, true),   // byte by byte
///     ("hello\r\nwo|END", "HELLO\r\n", 0, false),  // closed inside a line
///     ("a line past the limit", "", 0, false),     // a line past the limit
/// ];
/// for (pieces, answer, held, open) in nine {
///     let mut t = testing::connect(LineReceiver::new(Shout).with_max_length(9));
///     pieces.split('|').for_each(|piece| if piece == "END" { t.end() } else { t.receive(piece) });
///     let seen = (t.sent(), t.protocol().buffered(), !t.disconnecting());
///     assert_eq!(seen, (answer.into(), held, open), "{pieces}");
/// }
/// ```
pub type LineReceiver<P> = Framed<P, Lines<WithRaw>>;

/// Cuts a stream into lines and does nothing else: no raw mode.
///
/// A line that is too long is given to `line_length_exceeded` alone. What follows it is given too, if the connection is kept.
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
pub type LineOnlyReceiver<P> = Framed<P, Lines<LinesOnly>>;

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
    #[inline]
    fn send_line(&self, line: impl AsRef<[u8]>) {
        if let Some(delimiter) = delimiter(self) {
            let line = line.as_ref();
            self.put(|out| delimiter.lend(|delimiter| out.copy([line, delimiter])));
        }
    }

    fn set_raw_mode(&self) {
        if let Some(receiver) = self.layer::<LineReceiver<P>>() {
            receiver.kind.rules.raw.set(true);
        }
    }

    fn set_line_mode(&self, extra: impl AsRef<[u8]>) {
        if let Some(receiver) = self.layer::<LineReceiver<P>>() {
            receiver.kind.rules.raw.set(false);
            if !extra.as_ref().is_empty() {
                receiver.buffer.put_back(extra.as_ref());
                receiver.give(self);
            }
        }
    }

    fn clear_line_buffer(&self) -> Vec<u8> {
        receiver(self).map(|(buffer, _)| buffer.take()).unwrap_or_default()
    }

    fn set_max_length(&self, bytes: usize) {
        if let Some((_, rules)) = receiver(self) {
            rules.max_length.set(bytes);
        }
    }

    fn set_delimiter(&self, delimiter: impl AsRef<[u8]>) {
        if let Some((buffer, rules)) = receiver(self) {
            rules.delimiter.set(delimiter.as_ref());
            buffer.rescan();
        }
    }
}

/// What ends the lines of the receiver that the protocol lives in. A layer of one's own may have gone another way to it than to the next.
#[inline]
fn delimiter<P: LineProtocol>(cx: &Context<P>) -> Option<&Delimiter> {
    let next = cx.link.layer().delimiter(TypeId::of::<P>(), Asked);
    if next.is_some() { next } else { searched_delimiter(cx) }
}

#[cold]
fn searched_delimiter<P: LineProtocol>(cx: &Context<P>) -> Option<&Delimiter> {
    receiver(cx).map(|(_, rules)| &rules.delimiter)
}

/// The buffer and the rules of the receiver that the protocol lives in, whichever of the two it is.
fn receiver<P: LineProtocol>(cx: &Context<P>) -> Option<(&Buffer, &Rules)> {
    if let Some(receiver) = cx.layer::<LineReceiver<P>>() {
        return Some((&receiver.buffer, &receiver.kind.rules));
    }
    let receiver = cx.layer::<LineOnlyReceiver<P>>()?;
    Some((&receiver.buffer, &receiver.kind.rules))
}
