//! TLS, as a filter below a transport: on any carrier, from the beginning or in mid-stream, also TLS in TLS.
//!
//! | file | idea |
//! |---|---|
//! | `certificates` | [`PrivateCertificate`], [`TrustRoots`]: what is read of PEM |
//! | `server` | [`CertificateOptions`], and [`ServerTls`], which can be replaced under way |
//! | `client` | [`options_for_client_tls`], [`ClientOptions`], [`ClientTls`] |
//! | `secured` | [`Secured`]: a protocol or factory whose connections begin with TLS |
//! | `transport` | [`start_tls`](crate::Transport::start_tls), [`negotiated`](crate::Transport::negotiated) |
//! | `negotiated` | [`Negotiated`]: what the two sides agreed on |
//! | `session` | one connection of rustls as a filter |
//! | `error` | [`TlsError`]: what failed, by name |
//!
//! It does no I/O and reads no clock but the system's date, for certificates. [`listen_ssl`](crate::Reactor::listen_ssl) and [`connect_ssl`](crate::Reactor::connect_ssl) put it on TCP; on any other
//! carrier [`Secured`] does: [`attach`](crate::stream::attach()), the [test kit](crate::testing::connect), a TLS connection.
//!
//! The provider of the cryptography is a part of the options: ring, unless another is given, and nothing is installed for the whole process. So two
//! libraries that want different ones never meet.

mod certificates;
mod client;
mod error;
mod negotiated;
mod secured;
mod server;
mod session;
mod transport;

pub use certificates::{PrivateCertificate, TrustRoots};
#[cfg(feature = "ring")]
pub use client::options_for_client_tls;
pub use client::{ClientOptions, ClientTls};
pub use error::{TlsError, TlsErrorKind};
pub use negotiated::{Negotiated, TlsVersion};
/// Those of the version of rustls that is inside, for who gives a [`CryptoProvider`] of its own.
pub use rustls;
pub use secured::{Secured, SecuredLayer, secured};
pub use server::{CertificateOptions, ClientCertificates, ServerTls};
pub use transport::Tls;

use rustls::crypto::CryptoProvider;
use std::{sync::Arc, time::Duration};

/// How long a handshake may take, where the caller does not say.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the peer is waited for at the end, where the caller does not say.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

static ONLY_TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// What both sides may choose.
#[derive(Clone, Debug)]
struct Common {
    provider: Arc<CryptoProvider>,
    minimum: TlsVersion,
    protocols: Vec<Vec<u8>>,
    handshake_timeout: Duration,
    close_timeout: Duration,
}

impl Common {
    fn new(provider: Arc<CryptoProvider>) -> Common {
        Common {
            provider,
            minimum: TlsVersion::Tls12,
            protocols: Vec::new(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            close_timeout: CLOSE_TIMEOUT,
        }
    }

    fn versions(&self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        match self.minimum {
            TlsVersion::Tls12 => rustls::ALL_VERSIONS,
            TlsVersion::Tls13 => ONLY_TLS13,
        }
    }
}

/// The options that both sides have.
macro_rules! common_options {
    () => {
        /// The names of the protocols that this side speaks above TLS, what it likes best first (ALPN). None if not set. If both sides name
        /// some and none is the same, the handshake fails.
        #[doc(alias = "acceptableProtocols")]
        #[doc(alias = "ALPN")]
        pub fn protocols<N: AsRef<[u8]>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.common.protocols = names.into_iter().map(|name| name.as_ref().to_vec()).collect();
            self
        }

        /// The lowest version that is spoken. TLS 1.2 if not set.
        #[doc(alias = "raiseMinimumTo")]
        pub fn minimum_version(mut self, version: super::TlsVersion) -> Self {
            self.common.minimum = version;
            self
        }

        /// How long a handshake may take, from the first byte of the connection on. 30 seconds if not set. After it the connection fails, with
        /// [`TlsErrorKind::TimedOut`](super::TlsErrorKind::TimedOut). Where no reactor is, there is no clock, and no limit.
        pub fn handshake_timeout(mut self, after: std::time::Duration) -> Self {
            self.common.handshake_timeout = after;
            self
        }

        /// How long the peer is waited for at the end. 5 seconds if not set.
        ///
        /// When all that was written is sent, and that it ends (close_notify), the connection stays until the peer has said the same: to close it with something
        /// unread would reset it, and might cost the peer what was sent last. Who is silent for so long is waited for no more, and the end is one in
        /// order all the same.
        pub fn close_timeout(mut self, after: std::time::Duration) -> Self {
            self.common.close_timeout = after;
            self
        }
    };
}
use common_options;

#[cfg(feature = "ring")]
fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
