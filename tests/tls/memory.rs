//! The filter without a socket.

use super::{
    certificates::{OTHER, ROOT, client, client_options, server, server_options},
    recording::{ends, pump, recorder},
};
use twistor::{
    Context, Protocol, testing,
    tls::{CertificateOptions, Negotiated, PrivateCertificate, TlsVersion, options_for_client_tls, secured},
};

#[test]
fn what_is_written_before_the_handshake_comes_after_it() {
    let ((a, told_a), (b, told_b)) = (recorder("hello"), recorder("welcome"));
    let (mut a, mut b) = ends((client(), a), (server(), b));
    assert_eq!(told_a.take(), ["made"]);
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["secured", "welcome"]);
    assert_eq!(told_b.take(), ["made", "secured", "hello"]);
}

#[test]
fn no_byte_leaves_in_clear() {
    let (mut a, mut b) = ends((client(), recorder("attack at dawn").0), (server(), recorder("").0));
    let mut seen = vec![];
    for _ in 0..10 {
        let (from_a, from_b) = (a.sent(), b.sent());
        seen.extend_from_slice(&from_a);
        b.receive(from_a);
        a.receive(from_b);
    }
    assert!(seen.len() > 200);
    assert!(!seen.windows(6).any(|bytes| bytes == b"attack"));
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let ((a, told_a), (b, told_b)) = (recorder("hello"), recorder("welcome"));
    let (mut a, mut b) = ends((client(), a), (server(), b));
    for _ in 0..10 {
        a.sent().iter().for_each(|byte| b.receive([*byte]));
        b.sent().iter().for_each(|byte| a.receive([*byte]));
    }
    assert_eq!(told_a.take(), ["made", "secured", "welcome"]);
    assert_eq!(told_b.take(), ["made", "secured", "hello"]);
}

#[test]
fn small_writes_leave_in_full_records() {
    let (mut a, mut b) = ends((client(), recorder("").0), (server(), recorder("").0));
    pump(&mut a, &mut b);
    for _ in 0..16_384 * 4 / 8 {
        a.transport().write(b"12345678");
    }
    let sent = a.sent();
    let mut records = vec![];
    let mut rest = &sent[..];
    while let [_, _, _, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push(length);
        rest = &rest[5 + length..];
    }
    // Each 16 KiB of what was written, a byte for its kind and 16 to prove it.
    assert_eq!(records, [16_384 + 17; 4]);
}

#[test]
fn a_connection_that_pauses_goes_on_with_the_handshake_and_holds_what_came_with_it() {
    struct Paused(super::recording::Recorder);
    impl Protocol for Paused {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.pause_producing();
        }
        fn handshake_completed(&mut self, _cx: &Context<Self>) {
            self.0.log.note("secured");
        }
        fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
            self.0.log.note(String::from_utf8_lossy(data));
        }
    }
    let (paused, told) = recorder("");
    let (mut a, mut b) = ends((client(), recorder("hello").0), (server(), Paused(paused)));
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["secured"]);
    b.transport().resume_producing();
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["hello"]);
}

#[test]
fn a_certificate_for_another_name_is_not_accepted_and_the_server_is_told() {
    let client = options_for_client_tls("example.org").trust_roots(ROOT.roots()).build().unwrap();
    let ((a, told_a), (b, told_b)) = (recorder("secret"), recorder(""));
    let (mut a, mut b) = ends((client, a), (server(), b));
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["made", "lost: Certificate"]);
    assert_eq!(told_b.take(), ["made", "lost: Refused"]);
}

#[test]
fn a_certificate_of_nobody_who_is_trusted_is_not_accepted() {
    let client = options_for_client_tls("localhost").trust_roots(OTHER.roots()).build().unwrap();
    let (a, told) = recorder("secret");
    let (mut a, mut b) = ends((client, a), (server(), recorder("").0));
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["made", "lost: Certificate"]);
}

#[test]
fn a_certificate_that_has_expired_is_not_accepted_and_the_error_says_which_and_why() {
    struct Told(std::rc::Rc<std::cell::RefCell<String>>);
    impl Protocol for Told {
        fn connection_lost(&mut self, _cx: &Context<Self>, why: twistor::Failure) {
            *self.0.borrow_mut() = why.to_string();
        }
    }
    let (chain, key) = ROOT.signs_with("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let expired = CertificateOptions::new(PrivateCertificate::from_pem(chain, key).unwrap()).build().unwrap();
    let text = std::rc::Rc::default();
    let (mut a, mut b) = ends((client(), Told(std::rc::Rc::clone(&text))), (expired, recorder("").0));
    pump(&mut a, &mut b);
    let text = text.borrow();
    assert!(text.starts_with("the certificate of the server localhost at "), "{text}");
    assert!(text.contains("expired"), "{text}");
}

#[test]
fn what_is_no_tls_fails_by_name() {
    let (b, told) = recorder("");
    let mut b = testing::connect(secured(server(), b));
    b.receive("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(told.take(), ["made", "lost: Protocol"]);
    assert!(!b.sent().is_empty(), "an alert");
}

#[test]
fn what_was_agreed_on_can_be_read() {
    let both = ["h2", "http/1.1"];
    let (a, b) = (client_options().protocols(["http/1.1"]), server_options().protocols(both));
    let (mut a, mut b) = ends((a.build().unwrap(), recorder("").0), (b.build().unwrap(), recorder("").0));
    assert_eq!(a.transport().negotiated(), None);
    pump(&mut a, &mut b);
    let agreed = a.transport().negotiated().expect("it is over");
    assert_eq!((agreed.version, agreed.protocol.as_deref()), (TlsVersion::Tls13, Some(&b"http/1.1"[..])));
    assert!(agreed.cipher.starts_with("TLS13_"), "{}", agreed.cipher);
    assert_eq!(agreed.peer_certificates.len(), 1);
    let Negotiated { server_name, peer_certificates, .. } = b.transport().negotiated().expect("it is over");
    assert_eq!((server_name.as_deref(), peer_certificates.len()), (Some("localhost"), 0));
}

#[test]
fn without_a_protocol_in_common_nothing_begins() {
    let (a, b) = (client_options().protocols(["h2"]), server_options().protocols(["http/1.1"]));
    let ((a_, told_a), (b_, told_b)) = (recorder(""), recorder(""));
    let (mut a, mut b) = ends((a.build().unwrap(), a_), (b.build().unwrap(), b_));
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["made", "lost: Refused"]);
    assert_eq!(told_b.take(), ["made", "lost: Protocol"]);
}

#[test]
fn tls_in_tls_tells_the_protocol_once_and_is_the_inner_ones() {
    let inner = (client_options().protocols(["inner"]), server_options().protocols(["inner"]));
    let ((a, told_a), (b, told_b)) = (recorder("hello"), recorder("welcome"));
    let a = secured(inner.0.build().unwrap(), a);
    let b = secured(inner.1.build().unwrap(), b);
    let (mut a, mut b) = ends((client(), a), (server(), b));
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["made", "secured", "welcome"]);
    assert_eq!(told_b.take(), ["made", "secured", "hello"]);
    assert_eq!(a.transport().negotiated().unwrap().protocol.unwrap(), b"inner");
    a.transport().lose_connection();
    pump(&mut a, &mut b);
    assert!(b.disconnecting());
}

#[test]
fn what_came_in_tls_before_a_bad_record_of_the_outer_one_is_told() {
    let (b, told) = recorder("");
    let a = secured(client(), recorder("").0);
    let (mut a, mut b) = ends((client(), a), (server(), secured(server(), b)));
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["made", "secured"]);
    a.transport().write("the last");
    b.receive([&a.sent()[..], b"\x17\x03\x03\x00\x05wrong"].concat());
    assert_eq!(told.take(), ["the last", "lost: Protocol"]);
}

#[test]
fn options_that_cannot_be_used_say_why() {
    let (chain, _) = ROOT.signs("localhost");
    let (_, key) = ROOT.signs("localhost");
    let mixed = CertificateOptions::new(PrivateCertificate::from_pem(&chain, &key).unwrap());
    let error = mixed.build().unwrap_err().to_string();
    assert!(error.starts_with("this certificate and this key do not go together"), "{error}");
    let error = PrivateCertificate::from_pem(&key, &key).unwrap_err().to_string();
    assert_eq!(error, "there is no certificate in this PEM");
    let error = PrivateCertificate::from_pem(&chain, &chain).unwrap_err().to_string();
    assert!(error.starts_with("there is no private key in this PEM"), "{error}");
    let error = PrivateCertificate::from_files("/no/such.pem", "/dev/null").unwrap_err().to_string();
    assert!(error.starts_with("cannot read /no/such.pem"), "{error}");
    let error = PrivateCertificate::from_files("/dev/null", "/dev/null").unwrap_err().to_string();
    assert_eq!(error, "/dev/null with /dev/null: there is no certificate in this PEM");
    let error = options_for_client_tls("not a name").trust_roots(ROOT.roots()).build().unwrap_err();
    assert!(error.to_string().starts_with("\"not a name\" is no server's name"), "{error}");
}
