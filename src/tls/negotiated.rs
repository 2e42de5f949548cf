//! [`Negotiated`]: what the two sides agreed on.

use rustls::{Connection, ProtocolVersion};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "TLSVersion")]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2. Its two directions end together.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What the two sides agreed on; from [`Transport::negotiated`](crate::Transport::negotiated).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The version.
    pub version: TlsVersion,
    /// The cipher, by its registered name, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name of the protocol above (ALPN), if both sides named some.
    #[doc(alias = "negotiatedProtocol")]
    pub protocol: Option<Vec<u8>>,
    /// To a server: the name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The certificates that the peer showed, which are verified, as DER: first its own. Empty if it showed none.
    #[doc(alias = "getPeerCertificate")]
    pub peer_certificates: Vec<Vec<u8>>,
}

impl Negotiated {
    /// None while the handshake is not over.
    pub(super) fn of(connection: &Connection) -> Option<Negotiated> {
        if connection.is_handshaking() {
            return None;
        }
        let certificates = connection.peer_certificates().unwrap_or_default();
        let server_name = match connection {
            Connection::Client(_) => None,
            Connection::Server(server) => server.server_name().map(Into::into),
        };
        Some(Negotiated {
            version: version(connection)?,
            cipher: format!("{:?}", connection.negotiated_cipher_suite()?.suite()),
            protocol: connection.alpn_protocol().map(Into::into),
            server_name,
            peer_certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
        })
    }
}

/// The version that was agreed on, if one was.
pub(super) fn version(connection: &Connection) -> Option<TlsVersion> {
    match connection.protocol_version()? {
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
        _ => None,
    }
}
