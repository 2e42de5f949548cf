//! What the errors are among those of the system.

use super::{
    CannotListenError, ConnectError, ConnectErrorKind, ConnectionAborted, ConnectionDone, ConnectionLost,
    DnsLookupError, HandedOver, InvalidAddressError, NotListeningError, ProtocolGone, TimeoutError,
};
use crate::failure::Failure;
use std::io;

/// What a failure is among the system's errors, for code that knows only those.
pub(crate) fn io_kind(failure: &Failure) -> io::ErrorKind {
    if let Some(error) = cause(failure) {
        return error.kind();
    }
    if let Some(error) = failure.value::<ConnectError>() {
        return match error.kind() {
            ConnectErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ConnectErrorKind::UnknownHost => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
    }
    let kinds = [
        (failure.check::<ConnectionDone>(), io::ErrorKind::BrokenPipe),
        (failure.check::<ConnectionAborted>(), io::ErrorKind::ConnectionAborted),
        (failure.check::<ConnectionLost>(), io::ErrorKind::ConnectionAborted), // with its reactor
        (failure.check::<ProtocolGone>(), io::ErrorKind::NotConnected),
        (failure.check::<HandedOver>(), io::ErrorKind::NotConnected),
        (failure.check::<NotListeningError>(), io::ErrorKind::NotConnected),
        (failure.check::<TimeoutError>(), io::ErrorKind::TimedOut),
        (failure.check::<InvalidAddressError>(), io::ErrorKind::InvalidInput),
    ];
    kinds.iter().find(|(is, _)| *is).map_or(io::ErrorKind::Other, |(_, kind)| *kind)
}

/// What the system said, if it said something.
fn cause(failure: &Failure) -> Option<&io::Error> {
    failure
        .value()
        .or_else(|| failure.value::<ConnectionLost>()?.cause())
        .or_else(|| failure.value::<ConnectError>()?.cause())
        .or_else(|| failure.value().map(CannotListenError::cause))
        .or_else(|| failure.value().map(DnsLookupError::cause))
}
