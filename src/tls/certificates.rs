//! What is read of PEM: a certificate with its key, and whom to trust.

use super::{TlsError, TlsErrorKind};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fmt, fs, path::Path, sync::Arc};

/// A certificate with those that lead to its root, and its private key.
pub struct PrivateCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl PrivateCertificate {
    /// Of PEM: first the certificate itself, then those that signed it, if any. `key` is PKCS#8, PKCS#1 or SEC1; it may be the same text.
    ///
    /// # Errors
    /// [`TlsErrorKind::Options`] if there is no certificate or no key in it.
    #[doc(alias = "loadPEM")]
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<PrivateCertificate, TlsError> {
        let chain = certificates(chain.as_ref())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref())
            .map_err(|error| TlsError::options_because("there is no private key in this PEM", error))?;
        Ok(PrivateCertificate { chain, key })
    }

    /// Of two files of PEM, which may be the same one.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), with the names of the files; and if one cannot be read.
    pub fn from_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<PrivateCertificate, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        PrivateCertificate::from_pem(read(chain)?, read(key)?).map_err(|error| {
            TlsError::options_because(format!("{} with {}", chain.display(), key.display()), error)
        })
    }

    /// For the provider. The key is checked to be that of the certificate.
    pub(super) fn certified(self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        let certified = CertifiedKey::from_der(self.chain, self.key, provider);
        let unusable =
            |error| TlsError::options_because("this certificate and this key do not go together", error);
        certified.map(Arc::new).map_err(unusable)
    }
}

impl fmt::Debug for PrivateCertificate {
    /// The key is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCertificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Whose certificates are believed.
#[derive(Clone)]
pub struct TrustRoots(Arc<RootCertStore>);

impl TrustRoots {
    /// Those of the platform, which are read now.
    ///
    /// # Errors
    /// [`TlsErrorKind::Options`] if there are none.
    #[doc(alias = "platformTrust")]
    pub fn platform() -> Result<TrustRoots, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A platform has some that nobody can read any more: those are not believed.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
            return Err(TlsError::options_because("this platform has no trust roots", why));
        }
        Ok(TrustRoots(Arc::new(roots)))
    }

    /// Those of a PEM, and no others.
    ///
    /// # Errors
    /// [`TlsErrorKind::Options`] if there is none in it, or one that cannot be read.
    #[doc(alias = "trustRootFromCertificates")]
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<TrustRoots, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(pem.as_ref())? {
            roots.add(root).map_err(|error| TlsError::options_because("this is no trust root", error))?;
        }
        Ok(TrustRoots(Arc::new(roots)))
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        self.0.clone()
    }
}

impl fmt::Debug for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustRoots").field(&self.0.len()).finish()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(TlsError::new(TlsErrorKind::Options, "there is no certificate in this PEM"))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::options_because("this PEM cannot be read", error)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path)
        .map_err(|error| TlsError::options_because(format!("cannot read {}", path.display()), error))
}
