//! The side that has certificates: [`CertificateOptions`], and [`ServerTls`], which can be replaced under way.

use super::{Common, PrivateCertificate, TlsError, TrustRoots, common_options};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How a server's connections are secured: with which certificates, and whom it lets in.
///
/// # Examples
/// ```no_run
/// use twistor::{Context, Protocol, Reactor, factory};
/// use twistor::tls::{CertificateOptions, PrivateCertificate};
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
/// let tls = CertificateOptions::new(PrivateCertificate::from_files("cert.pem", "key.pem")?).build()?;
/// let reactor = Reactor::new()?;
/// reactor.listen_ssl(8443, &tls, factory(|_peer| Echo))?;
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is built"]
pub struct CertificateOptions {
    pub(super) common: Common,
    certificate: PrivateCertificate,
    named: Vec<(String, PrivateCertificate)>,
    clients: ClientCertificates,
}

/// Whether a server wants certificates of its clients.
#[derive(Clone, Debug, Default)]
pub enum ClientCertificates {
    /// It asks for none.
    #[default]
    No,
    /// It asks for one, which must be of these roots; who has none is let in too.
    Optional(TrustRoots),
    /// Who has none of these roots is not let in.
    Required(TrustRoots),
}

impl CertificateOptions {
    /// With this certificate for all names, by the provider ring.
    #[cfg(feature = "ring")]
    pub fn new(certificate: PrivateCertificate) -> CertificateOptions {
        CertificateOptions::with_provider(super::ring(), certificate)
    }

    /// The same by another provider.
    pub fn with_provider(
        provider: Arc<CryptoProvider>,
        certificate: PrivateCertificate,
    ) -> CertificateOptions {
        CertificateOptions {
            common: Common::new(provider),
            certificate,
            named: Vec::new(),
            clients: ClientCertificates::No,
        }
    }

    /// Another certificate for those who ask for this name (SNI). `*.example.org` is for every name right below `example.org` that has none of its own.
    #[doc(alias = "contextForServerName")]
    #[doc(alias = "SNI")]
    pub fn certificate_for(mut self, name: &str, certificate: PrivateCertificate) -> CertificateOptions {
        self.named.push((name.to_ascii_lowercase(), certificate));
        self
    }

    /// Whether certificates are wanted of clients. None if not set.
    #[doc(alias = "trustRoot")]
    pub fn client_certificates(mut self, wanted: ClientCertificates) -> CertificateOptions {
        self.clients = wanted;
        self
    }

    common_options!();

    /// Checks it all.
    ///
    /// # Errors
    /// [`TlsErrorKind::Options`](super::TlsErrorKind::Options), such as for a key that is of another certificate.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let current = Arc::new(Mutex::new(Arc::new(self.current()?)));
        Ok(ServerTls { current })
    }

    fn current(self) -> Result<Current, TlsError> {
        let provider = self.common.provider.clone();
        let mut named = HashMap::new();
        for (name, certificate) in self.named {
            named.insert(name, certificate.certified(&provider)?);
        }
        let names = Names { default: self.certificate.certified(&provider)?, named };
        let versions = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.common.versions())
            .map_err(|error| TlsError::options_because("the provider has no such version", error))?;
        let clients = match verifier(self.clients, provider)? {
            Some(verifier) => versions.with_client_cert_verifier(verifier),
            None => versions.with_no_client_auth(),
        };
        let mut config = clients.with_cert_resolver(Arc::new(names));
        config.alpn_protocols = self.common.protocols;
        // As in Twisted: each connection proves who it is, and a replaced certificate is gone.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let (handshake_timeout, close_timeout) = (self.common.handshake_timeout, self.common.close_timeout);
        Ok(Current { config: Arc::new(config), handshake_timeout, close_timeout })
    }
}

fn verifier(
    clients: ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let of = |roots: TrustRoots| WebPkiClientVerifier::builder_with_provider(roots.store(), provider);
    let built = match clients {
        ClientCertificates::No => return Ok(None),
        ClientCertificates::Optional(roots) => of(roots).allow_unauthenticated().build(),
        ClientCertificates::Required(roots) => of(roots).build(),
    };
    built.map(Some).map_err(|error| TlsError::options_because("clients cannot be verified", error))
}

/// A server's side of TLS, from [`CertificateOptions::build`]. A cheap handle: clones are the same, also on other threads.
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<Mutex<Arc<Current>>>,
}

/// What new connections get.
pub(super) struct Current {
    pub(super) config: Arc<ServerConfig>,
    pub(super) handshake_timeout: Duration,
    pub(super) close_timeout: Duration,
}

impl ServerTls {
    /// From here on connections begin with these options, wherever this handle is used: a certificate is renewed without a restart. Those that have begun go on.
    ///
    /// # Errors
    /// As of [`CertificateOptions::build`]. Then all stays as it was.
    ///
    /// # Examples
    /// ```no_run
    /// use twistor::tls::{CertificateOptions, PrivateCertificate, ServerTls, TlsError};
    /// fn reload(tls: &ServerTls) -> Result<(), TlsError> {
    ///     tls.replace(CertificateOptions::new(PrivateCertificate::from_files("cert.pem", "key.pem")?))
    /// }
    /// ```
    pub fn replace(&self, options: CertificateOptions) -> Result<(), TlsError> {
        let next = Arc::new(options.current()?);
        let former =
            std::mem::replace(&mut *self.current.lock().unwrap_or_else(PoisonError::into_inner), next);
        drop(former);
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The certificates by name.
#[derive(Debug)]
struct Names {
    default: Arc<CertifiedKey>,
    named: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        if let Some(own) = self.named.get(&name) {
            return Some(own);
        }
        let (_, parent) = name.split_once('.')?;
        self.named.get(&format!("*.{parent}"))
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        Some(named.unwrap_or(&self.default).clone())
    }
}
