//! [`TlsError`]: what failed, by name.

use rustls::{AlertDescription, CertificateError, Error as Cause};
use std::{error::Error, fmt};

/// TLS failed: what a connection is lost with, or what is wrong with options.
#[derive(Debug)]
#[doc(alias = "SSLError")]
#[doc(alias = "VerificationError")]
pub struct TlsError {
    kind: TlsErrorKind,
    peer: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// The peer's certificate is not accepted: its name, its date, who signed it; or there is none.
    Certificate,
    /// The peer has refused, and sent an alert that says why: mostly it does not accept this side's certificate.
    ///
    /// Where it closes with bytes of this side unread, the system may drop the alert: then it is a [`ConnectionLost`](crate::error::ConnectionLost).
    Refused,
    /// What came is no TLS, or the two sides have nothing in common: no version, no cipher, no protocol name.
    Protocol,
    /// The handshake took longer than its [timeout](super::CertificateOptions::handshake_timeout).
    TimedOut,
    /// The connection below ended and the peer had not said that it would: what was received may not be all, and somebody else may have cut it.
    Truncated,
    /// Bytes that came in clear were still to be read when TLS was to begin: somebody may have put them there to have them taken for the peer's (STARTTLS injection).
    Injected,
    /// The options cannot be used: no certificate in the PEM, a key of another certificate, a name that is none.
    Options,
}

impl TlsError {
    pub(super) fn new(kind: TlsErrorKind, peer: impl Into<String>) -> TlsError {
        TlsError { kind, peer: peer.into(), cause: None }
    }

    pub(super) fn options(what: impl Into<String>) -> TlsError {
        TlsError::new(TlsErrorKind::Options, what)
    }

    pub(super) fn options_because(
        what: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> TlsError {
        TlsError { cause: Some(cause.into()), ..TlsError::options(what) }
    }

    /// What rustls says of what this peer sent.
    pub(super) fn of(peer: &str, cause: Cause) -> TlsError {
        let kind = match &cause {
            Cause::InvalidCertificate(_) | Cause::NoCertificatesPresented => TlsErrorKind::Certificate,
            Cause::AlertReceived(_) => TlsErrorKind::Refused,
            _ => TlsErrorKind::Protocol,
        };
        TlsError { kind, peer: peer.into(), cause: Some(Box::new(cause)) }
    }

    /// What failed.
    pub fn kind(&self) -> TlsErrorKind {
        self.kind
    }

    fn reason(&self) -> String {
        let cause = self.cause.as_ref().map(|cause| cause.downcast_ref::<Cause>());
        match cause {
            Some(Some(Cause::AlertReceived(alert))) => alert_text(*alert),
            Some(Some(Cause::InvalidCertificate(CertificateError::UnknownIssuer))) => {
                "nobody whom this side trusts has signed it; is the right root among the trust roots?".into()
            }
            Some(Some(Cause::InvalidCertificate(why))) => why.to_string(),
            Some(Some(cause)) => cause.to_string(),
            Some(None) => self.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
            None => String::new(),
        }
    }
}

/// An alert in words, with its name.
fn alert_text(alert: AlertDescription) -> String {
    let advice = match alert {
        AlertDescription::UnknownCA => "it does not know who signed this side's certificate",
        AlertDescription::CertificateRequired => "it wants a certificate of this side",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept this side's certificate"
        }
        AlertDescription::CertificateExpired => "this side's certificate has expired",
        AlertDescription::NoApplicationProtocol => "it speaks none of the protocols that this side named",
        AlertDescription::ProtocolVersion => "it speaks no version of TLS that this side speaks",
        AlertDescription::HandshakeFailure => "it found nothing in common",
        _ => return format!("{alert:?}"),
    };
    format!("{advice} ({alert:?})")
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, reason) = (&self.peer, self.reason());
        match self.kind {
            TlsErrorKind::Certificate => write!(f, "the certificate of {peer} is not accepted: {reason}"),
            TlsErrorKind::Refused => write!(f, "{peer} refused TLS: {reason}"),
            TlsErrorKind::Protocol => write!(f, "TLS with {peer} failed: {reason}"),
            TlsErrorKind::TimedOut => write!(
                f,
                "the TLS handshake with {peer} was not over in time; handshake_timeout sets how long it may take"
            ),
            TlsErrorKind::Truncated => {
                write!(f, "the connection was cut: {peer} did not say that it ends (close_notify)")
            }
            TlsErrorKind::Injected => {
                write!(f, "bytes in clear were waiting when TLS was to begin with {peer}: {reason}")
            }
            TlsErrorKind::Options if reason.is_empty() => f.write_str(peer),
            TlsErrorKind::Options => write!(f, "{peer}: {reason}"),
        }
    }
}

impl TlsError {
    /// So many bytes were waiting.
    pub(super) fn injected(peer: &str, bytes: usize) -> TlsError {
        let cause = format!("{bytes} of them; whoever sent them did not wait for TLS, or is an attacker");
        TlsError { kind: TlsErrorKind::Injected, peer: peer.into(), cause: Some(cause.into()) }
    }
}
