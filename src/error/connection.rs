//! What becomes of a connection, and of what is sent.

use std::{error::Error, fmt, io};

plain! {
    /// The connection was closed in order, by either side.
    ConnectionDone: "connection was closed cleanly";
    /// The connection was ended by `abort_connection` on this side.
    ConnectionAborted: "connection was aborted by this side";
    /// The protocol this was for has lost its connection.
    ProtocolGone: "the connection of this protocol is gone";
    /// A half of a stream whose connection was handed over to a protocol, with `into_protocol`.
    HandedOver: "the connection of this stream was handed over to a protocol, with into_protocol; use the context that gave";
    /// Descriptors were sent, and the connection was ended without a byte after them that they could go with.
    FileDescriptorOverrun: "descriptors were sent and no byte after them: write one, which they go with, before the connection is ended";
    /// Descriptors that the peer sent could not be taken: bytes will speak of what is not there.
    FileDescriptorsLost: "descriptors that the peer sent were lost: this process has no room for them; raise the limit on open files";
    /// A second producer for one transport.
    ProducerRegistered: "a producer is registered already; call unregister_producer first";
}

/// The connection ended out of order: reset by the peer, broken by an error, or closed with its reactor.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ConnectionLost {
    cause: Option<io::Error>,
}

impl ConnectionLost {
    pub(crate) fn because(cause: io::Error) -> ConnectionLost {
        ConnectionLost { cause: Some(cause) }
    }

    /// What the system said, if it said something.
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }
}

impl Error for ConnectionLost {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|e| e as _)
    }
}

impl fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection to the other side was lost")
    }
}

/// More was written than the peer takes: the connection's write buffer is over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteBufferFull {
    /// How many bytes were queued before the write.
    pub queued: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl Error for WriteBufferFull {}

impl fmt::Display for WriteBufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WriteBufferFull { queued, limit } = self;
        write!(
            f,
            "the peer does not read: {queued} bytes were queued, over the limit of {limit}; register a producer, wait \
             for drained(), or raise the limit with set_write_limit"
        )
    }
}

/// A datagram is longer than the system sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLengthError {
    /// Its length in bytes.
    pub length: usize,
}

impl MessageLengthError {
    pub(crate) fn new(length: usize) -> MessageLengthError {
        MessageLengthError { length }
    }
}

impl Error for MessageLengthError {}

impl fmt::Display for MessageLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a datagram of {} bytes is too long to send; split it", self.length)
    }
}
