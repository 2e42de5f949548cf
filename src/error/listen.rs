//! Why a port does not listen.

use std::{error::Error, fmt, io};

plain! {
    /// The port does not listen: it was stopped.
    NotListeningError: "the port was stopped and does not listen; listen again with listen_tcp or listen_udp";
}

/// A port could not be opened.
#[derive(Debug)]
pub struct CannotListenError {
    at: String,
    cause: io::Error,
}

impl CannotListenError {
    pub(crate) fn new(at: impl Into<String>, cause: io::Error) -> CannotListenError {
        CannotListenError { at: at.into(), cause }
    }

    /// Where it was to listen.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for CannotListenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for CannotListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_unix = self.at.starts_with("unix:");
        let advice = match self.cause.kind() {
            io::ErrorKind::AddrInUse if is_unix => {
                "something listens there, or has left its file behind; stop it, or remove the file"
            }
            io::ErrorKind::PermissionDenied if is_unix => {
                "this user may not write to that directory; take another one"
            }
            io::ErrorKind::AddrInUse => {
                "something listens there already; stop it, or take another port (0 picks a free one)"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need the right to bind them; take a higher port"
            }
            io::ErrorKind::AddrNotAvailable => "that address is not of this machine",
            _ => "the system refused",
        };
        write!(f, "cannot listen on {}: {advice}", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Here and not over the network: some systems let anybody listen anywhere.
    #[test]
    fn a_port_that_needs_a_privilege() {
        /// Of Linux.
        const EACCES: i32 = 13;
        let error = CannotListenError::new("127.0.0.1:81", io::Error::from_raw_os_error(EACCES));
        let told =
            "cannot listen on 127.0.0.1:81: ports below 1024 need the right to bind them; take a higher port";
        assert_eq!(error.to_string(), told);
        assert_eq!((error.at(), error.cause().raw_os_error()), ("127.0.0.1:81", Some(EACCES)));
    }
}
