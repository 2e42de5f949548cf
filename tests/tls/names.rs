//! Several certificates, certificates of clients, certificates that are replaced.

use super::{
    certificates::{OTHER, ROOT, client, client_options, server, server_options},
    recording::{ends, pump, recorder},
};
use twistor::tls::{ClientCertificates, ServerTls, options_for_client_tls};

/// The names of the certificate that the server showed, as far as they can be found in it.
fn shown(server: &ServerTls, asked: &str) -> Option<Vec<u8>> {
    let client = options_for_client_tls(asked).trust_roots(ROOT.roots()).build().unwrap();
    let (mut a, mut b) = ends((client, recorder("").0), (server, recorder("").0));
    pump(&mut a, &mut b);
    let mut chain = a.transport().negotiated()?.peer_certificates;
    Some(chain.remove(0))
}

fn is_for(certificate: &Option<Vec<u8>>, name: &str) -> bool {
    let certificate = certificate.as_ref().expect("a certificate that is accepted");
    certificate.windows(name.len()).any(|bytes| bytes == name.as_bytes())
}

#[test]
fn a_server_shows_the_certificate_of_the_name_that_was_asked_for() {
    let server = server_options()
        .certificate_for("one.example.org", ROOT.private("one.example.org"))
        .certificate_for("*.example.org", ROOT.private("*.example.org"))
        .build()
        .unwrap();
    assert!(is_for(&shown(&server, "localhost"), "localhost"));
    assert!(is_for(&shown(&server, "ONE.example.org"), "one.example.org"));
    assert!(is_for(&shown(&server, "two.example.org"), "*.example.org"));
    assert!(shown(&server, "two.one.example.org").is_none(), "a star is one label");
    assert!(shown(&server, "example.com").is_none(), "the default is not for it");
}

#[test]
fn a_replaced_certificate_is_for_those_who_come_then() {
    let server = server();
    let (b, told) = recorder("");
    let (mut a, mut b) = ends((client(), recorder("").0), (&server, b));
    pump(&mut a, &mut b);
    let before = shown(&server, "localhost");
    let renewed = twistor::tls::CertificateOptions::new(ROOT.private("localhost"));
    server.clone().replace(renewed).unwrap();
    assert!(shown(&server, "localhost") != before);

    a.transport().write("it goes on");
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["made", "secured", "it goes on"]);
}

#[test]
fn a_replacement_that_cannot_be_used_changes_nothing() {
    let server = server();
    let before = shown(&server, "localhost");
    let (chain, _) = ROOT.signs("localhost");
    let (_, key) = ROOT.signs("localhost");
    let mixed = twistor::tls::PrivateCertificate::from_pem(chain, key).unwrap();
    assert!(server.replace(twistor::tls::CertificateOptions::new(mixed)).is_err());
    assert!(shown(&server, "localhost") == before);
}

/// What a server that asks for certificates tells of a client, and the client of it.
fn with_client(
    wanted: ClientCertificates,
    own: Option<twistor::tls::PrivateCertificate>,
) -> (Vec<String>, Vec<String>, usize) {
    let server = server_options().client_certificates(wanted).build().unwrap();
    let client = client_options();
    let client = own.into_iter().fold(client, |client, own| client.certificate(own)).build().unwrap();
    let ((a, told_a), (b, told_b)) = (recorder(""), recorder(""));
    let (mut a, mut b) = ends((client, a), (server, b));
    pump(&mut a, &mut b);
    let shown = b.transport().negotiated().map_or(0, |agreed| agreed.peer_certificates.len());
    (told_a.take(), told_b.take(), shown)
}

#[test]
fn a_client_without_a_certificate_is_let_in_unless_one_is_required() {
    let (_, server, shown) = with_client(ClientCertificates::Optional(ROOT.roots()), None);
    assert_eq!((server, shown), (vec!["made".to_string(), "secured".to_string()], 0));
    let (client, server, _) = with_client(ClientCertificates::Required(ROOT.roots()), None);
    assert_eq!(server, ["made", "lost: Certificate"]);
    // Under TLS 1.3 the client is through before the server has looked at it.
    assert_eq!(client, ["made", "secured", "lost: Refused"]);
}

#[test]
fn the_certificate_of_a_client_is_verified_and_can_be_read() {
    let wanted = || ClientCertificates::Required(ROOT.roots());
    let (_, server, shown) = with_client(wanted(), Some(ROOT.private("client")));
    assert_eq!((server, shown), (vec!["made".to_string(), "secured".to_string()], 1));
    let (_, server, _) = with_client(wanted(), Some(OTHER.private("client")));
    assert_eq!(server, ["made", "lost: Certificate"]);
}
