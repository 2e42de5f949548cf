//! How a connection with TLS ends.

use super::{
    certificates::{client, server},
    recording::{Log, ends, pump, recorder, word},
};
use twistor::{Context, Failure, Protocol, tls::TlsVersion};

/// Tells the two directions apart.
struct Halves(Log);

impl Protocol for Halves {
    const HALF_CLOSEABLE: bool = true;

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.0.note(String::from_utf8_lossy(data));
    }

    fn read_connection_lost(&mut self, _cx: &Context<Self>) {
        self.0.note("read lost");
    }

    fn write_connection_lost(&mut self, _cx: &Context<Self>) {
        self.0.note("write lost");
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.note(format!("lost: {}", word(&why)));
    }
}

#[test]
fn a_close_is_told_before_the_connection_ends() {
    let (b, told) = recorder("");
    let (mut a, mut b) = ends((client(), recorder("").0), (server(), b));
    pump(&mut a, &mut b);
    told.take();
    a.transport().write("the last");
    a.transport().lose_connection();
    pump(&mut a, &mut b);
    assert_eq!(told.take(), ["the last"]);
    assert!(b.disconnecting(), "it was told");
    b.end();
    b.lose();
    assert_eq!(told.take(), ["lost: connection was closed cleanly"]);
}

#[test]
fn an_end_of_the_connection_without_a_word_is_a_truncation() {
    let (b, told) = recorder("");
    let (mut a, mut b) = ends((client(), recorder("").0), (server(), b));
    pump(&mut a, &mut b);
    a.transport().write("half of it");
    b.receive(a.sent());
    told.take();
    b.end();
    assert_eq!(told.take(), ["lost: Truncated"]);
}

#[test]
fn an_end_in_the_handshake_is_a_truncation() {
    let (b, told) = recorder("");
    let (mut a, mut b) = ends((client(), recorder("").0), (server(), b));
    b.receive(a.sent());
    b.end();
    assert_eq!(told.take(), ["made", "lost: Truncated"]);
}

#[test]
fn under_tls_13_a_direction_ends_alone() {
    let (told_a, told_b) = (Log::default(), Log::default());
    let (mut a, mut b) = ends((client(), Halves(told_a.clone())), (server(), Halves(told_b.clone())));
    pump(&mut a, &mut b);
    a.transport().write("a question");
    a.transport().lose_write_connection();
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["write lost"]);
    assert_eq!(told_b.take(), ["a question", "read lost"]);
    b.transport().write("an answer");
    b.transport().lose_connection();
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["an answer", "read lost"]);
}

#[test]
fn under_tls_12_both_directions_end_together() {
    let mut provider = twistor::tls::rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    let own = super::certificates::ROOT.private("localhost");
    let old_server = twistor::tls::CertificateOptions::with_provider(provider.into(), own).build();
    let (told_a, told_b) = (Log::default(), Log::default());
    let (mut a, mut b) =
        ends((client(), Halves(told_a.clone())), (old_server.unwrap(), Halves(told_b.clone())));
    pump(&mut a, &mut b);
    assert_eq!(a.transport().negotiated().unwrap().version, TlsVersion::Tls12);
    a.transport().lose_write_connection();
    pump(&mut a, &mut b);
    assert_eq!(told_b.take(), [""; 0]);
    assert!(b.disconnecting(), "the peer wants nothing more");
}

/// A peer that was told of the end ignores what follows.
#[test]
fn what_is_written_after_the_peer_was_told_of_the_end_is_dropped() {
    let (mut a, mut b) = ends((client(), recorder("").0), (server(), recorder("").0));
    pump(&mut a, &mut b);
    a.transport().write("the last");
    a.transport().lose_connection();
    assert!(a.sent().len() > "the last".len());
    a.transport().write("too late");
    assert_eq!((a.sent(), a.transport().buffered()), (vec![], 0));
}
