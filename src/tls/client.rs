//! The side that verifies a name: [`ClientOptions`].

use super::{Common, PrivateCertificate, TlsError, TrustRoots, common_options};
use rustls::{ClientConfig, client::Resumption, crypto::CryptoProvider, pki_types::ServerName};
use std::{fmt, sync::Arc, time::Duration};

/// How a client's connections are secured: the name that the server's certificate must be for, and who must have signed it.
///
/// Both are verified, always. A server whose certificate nobody signed is reached by trusting that certificate: [`trust_roots`](Self::trust_roots).
#[derive(Debug)]
#[must_use = "it does nothing until it is built"]
pub struct ClientOptions {
    pub(super) common: Common,
    name: String,
    roots: Option<TrustRoots>,
    certificate: Option<PrivateCertificate>,
    send_name: bool,
}

/// For a connection to the server of this name, or of this address: verified, with the trust roots of the platform, by the provider ring.
///
/// # Examples
/// ```no_run
/// use twistor::{Context, Protocol, Reactor, tls::{options_for_client_tls, secured}};
/// struct Get;
/// impl Protocol for Get {
///     fn connection_made(&mut self, cx: &Context<Self>) {
///         cx.write("GET / HTTP/1.0\r\nHost: example.org\r\n\r\n"); // leaves when the server is verified
///     }
///     fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) { print!("{}", String::from_utf8_lossy(data)) }
/// }
/// let tls = options_for_client_tls("example.org").protocols(["http/1.0"]).build()?;
/// let reactor = Reactor::new()?;
/// reactor.connect_protocol(("example.org", 443), secured(&tls, Get)).or_log("connecting");
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[cfg(feature = "ring")]
#[doc(alias = "optionsForClientTLS")]
pub fn options_for_client_tls(name: impl Into<String>) -> ClientOptions {
    ClientOptions::with_provider(super::ring(), name)
}

impl ClientOptions {
    /// As [`options_for_client_tls`], by another provider.
    pub fn with_provider(provider: Arc<CryptoProvider>, name: impl Into<String>) -> ClientOptions {
        ClientOptions {
            common: Common::new(provider),
            name: name.into(),
            roots: None,
            certificate: None,
            send_name: true,
        }
    }

    /// Whose signature is believed, instead of those that the platform believes.
    #[doc(alias = "trustRoot")]
    pub fn trust_roots(mut self, roots: TrustRoots) -> ClientOptions {
        self.roots = Some(roots);
        self
    }

    /// The certificate of this side, for a server that asks for one. None if not set.
    #[doc(alias = "clientCertificate")]
    pub fn certificate(mut self, certificate: PrivateCertificate) -> ClientOptions {
        self.certificate = Some(certificate);
        self
    }

    /// Whether the name is sent, so that a server with several certificates knows which to show (SNI). True if not set; an address is never sent.
    #[doc(alias = "sendServerName")]
    pub fn send_server_name(mut self, on: bool) -> ClientOptions {
        self.send_name = on;
        self
    }

    common_options!();

    /// Checks it all, and reads the platform's trust roots if they are wanted.
    ///
    /// # Errors
    /// [`TlsErrorKind::Options`](super::TlsErrorKind::Options), such as for a name that is none. One with other than ASCII letters is written as its punycode.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let name = ServerName::try_from(self.name.clone()).map_err(|error| {
            TlsError::options_because(format!("{:?} is no server's name", self.name), error)
        })?;
        let roots = self.roots.map_or_else(TrustRoots::platform, Ok)?;
        let provider = self.common.provider.clone();
        let verified = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.common.versions())
            .map_err(|error| TlsError::options_because("the provider has no such version", error))?
            .with_root_certificates(roots.store());
        let mut config = match self.certificate {
            None => verified.with_no_client_auth(),
            Some(own) => {
                let own = own.certified(&provider)?;
                verified.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)))
            }
        };
        config.alpn_protocols = self.common.protocols;
        config.enable_sni = self.send_name;
        config.resumption = Resumption::disabled();
        let (handshake_timeout, close_timeout) = (self.common.handshake_timeout, self.common.close_timeout);
        Ok(ClientTls { config: Arc::new(config), name, handshake_timeout, close_timeout })
    }
}

/// A client's side of TLS, from [`ClientOptions::build`]. A cheap handle.
#[derive(Clone)]
pub struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) handshake_timeout: Duration,
    pub(super) close_timeout: Duration,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}
