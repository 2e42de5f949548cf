//! A root of the test's own, and what it signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::sync::LazyLock;
use twistor::tls::{
    CertificateOptions, ClientOptions, ClientTls, PrivateCertificate, ServerTls, TrustRoots,
    options_for_client_tls,
};

/// Made once: keys cost time.
pub(crate) static ROOT: LazyLock<Root> = LazyLock::new(|| Root::new("the root of the test"));
/// Nobody trusts it.
pub(crate) static OTHER: LazyLock<Root> = LazyLock::new(|| Root::new("another root"));

pub(crate) struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    fn new(name: &str) -> Root {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Root(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> TrustRoots {
        TrustRoots::from_pem(self.pem()).unwrap()
    }

    /// A certificate for this name, and its key.
    pub(crate) fn signs(&self, name: &str) -> (String, String) {
        self.signs_with(name, |_| ())
    }

    pub(crate) fn signs_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::new([name.to_string()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn private(&self, name: &str) -> PrivateCertificate {
        let (chain, key) = self.signs(name);
        PrivateCertificate::from_pem(chain, key).unwrap()
    }
}

pub(crate) fn server_options() -> CertificateOptions {
    static LOCALHOST: LazyLock<(String, String)> = LazyLock::new(|| ROOT.signs("localhost"));
    CertificateOptions::new(PrivateCertificate::from_pem(&LOCALHOST.0, &LOCALHOST.1).unwrap())
}

pub(crate) fn server() -> ServerTls {
    server_options().build().unwrap()
}

pub(crate) fn client_options() -> ClientOptions {
    options_for_client_tls("localhost").trust_roots(ROOT.roots())
}

pub(crate) fn client() -> ClientTls {
    client_options().build().unwrap()
}
