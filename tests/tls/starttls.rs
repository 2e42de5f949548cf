//! TLS that begins in mid-stream.

use super::{
    certificates::{client, server},
    recording::{Log, pump, word},
};
use std::{cell::Cell, rc::Rc};
use twistor::{
    Context, Failure, Producer, Protocol, Transport,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    testing,
    tls::{ServerTls, Tls, TlsErrorKind},
};

/// Speaks in lines, in clear until somebody says STARTTLS.
struct Lines {
    log: Log,
    tls: Tls,
}

impl LineProtocol for Lines {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.log.note(String::from_utf8_lossy(line));
        match line {
            b"STARTTLS" => {
                cx.send_line("220 go ahead");
                self.begin(cx);
            }
            b"220 go ahead" => self.begin(cx),
            _ => {}
        }
    }

    fn handshake_completed(&mut self, cx: &Context<Self>) {
        self.log.note("secured");
        cx.send_line("inside");
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.log.note(format!("lost: {}", word(&why)));
    }
}

impl Lines {
    fn begin(&self, cx: &Context<Self>) {
        let log = self.log.clone();
        cx.start_tls(self.tls.clone()).map(move |()| log.note("fired")).add_errback(|_| Ok(()));
    }
}

fn lines(tls: impl Into<Tls>) -> (LineReceiver<Lines>, Log) {
    let log = Log::default();
    (LineReceiver::new(Lines { log: log.clone(), tls: tls.into() }), log)
}

#[test]
fn what_was_written_before_goes_out_in_clear_first() {
    let (a, told_a) = lines(client());
    let (b, told_b) = lines(server());
    let (mut a, mut b) = (testing::connect(a), testing::connect(b));
    b.receive("STARTTLS\r\n");
    let clear = b.sent();
    assert_eq!(clear, b"220 go ahead\r\n");
    a.receive(clear);
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["220 go ahead", "secured", "fired", "inside"]);
    assert_eq!(told_b.take(), ["STARTTLS", "secured", "fired", "inside"]);
}

#[test]
fn the_roles_may_be_reversed() {
    let (a, told_a) = lines(server());
    let (b, told_b) = lines(client());
    let (mut a, mut b) = (testing::connect(a), testing::connect(b));
    b.receive("STARTTLS\r\n");
    pump(&mut a, &mut b);
    assert_eq!(told_a.take(), ["220 go ahead", "secured", "fired", "inside"]);
    assert_eq!(told_b.take(), ["STARTTLS", "secured", "fired", "inside"]);
}

#[test]
fn a_line_that_came_with_the_one_before_is_an_attack() {
    for (tls, injected) in [
        (Tls::from(server()), "STARTTLS\r\nMAIL FROM:<eve@example.org>\r\n"),
        (Tls::from(client()), "220 go ahead\r\n250 AUTH PLAIN\r\n"),
    ] {
        let (lines, told) = lines(tls);
        let mut end = testing::connect(lines);
        end.receive(injected);
        let told = told.take();
        assert_eq!((told.len(), told.last().unwrap().as_str()), (2, "lost: Injected"), "{told:?}");
    }
}

#[test]
fn half_a_line_is_one_too_also_when_tls_begins_later() {
    struct Later;
    impl LineProtocol for Later {
        fn line_received(&mut self, _cx: &Context<Self>, _line: &[u8]) {}
    }
    let mut end = testing::connect(LineReceiver::new(Later));
    end.receive("STARTTLS\r\nQU");
    let begun = end.transport().start_tls(server());
    let why = begun.now().expect("at once").unwrap_err();
    assert_eq!(super::recording::kind(&why), TlsErrorKind::Injected);
    assert!(why.to_string().contains("2 of them"), "{why}");
}

/// A producer that writes a piece whenever it is resumed.
#[derive(Clone)]
struct Pieces {
    left: Rc<Cell<usize>>,
    to: Rc<Cell<Option<Transport>>>,
}

impl Producer for Pieces {
    fn resume_producing(&self) {
        let Some(to) = self.to.take() else { return };
        match self.left.get() {
            0 => to.unregister_producer(),
            left => {
                self.left.set(left - 1);
                to.write(vec![b'x'; 1000]);
            }
        }
        self.to.set(Some(to));
    }
    fn pause_producing(&self) {}
    fn stop_producing(&self) {}
}

#[test]
fn a_producer_moves_along() {
    struct Counting(Rc<Cell<usize>>);
    impl Protocol for Counting {
        fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
            assert!(data.iter().all(|byte| *byte == b'x'));
            self.0.set(self.0.get() + data.len());
        }
    }
    let count = Rc::new(Cell::new(0));
    let mut a = testing::connect(Counting(Rc::default()));
    let mut b = testing::connect(Counting(count.clone()));
    let pieces = Pieces { left: Rc::new(Cell::new(10)), to: Rc::default() };
    pieces.to.set(Some(a.transport().clone()));
    a.transport().register_producer(pieces.clone(), false).unwrap();
    let clear = a.sent(); // and asks for more
    a.transport().start_tls(client()).or_log("the client");
    let clear = [clear, a.sent()].concat();
    assert!(clear.starts_with(&[b'x'; 2000]), "in clear first");
    b.receive(&clear[..2000]);
    b.transport().start_tls(server()).or_log("the server");
    b.receive(&clear[2000..]);
    pump(&mut a, &mut b);
    assert_eq!((pieces.left.get(), count.get()), (0, 10_000));
}

#[test]
fn tls_can_begin_in_tls() {
    struct Quiet(Log);
    impl Protocol for Quiet {
        fn handshake_completed(&mut self, _cx: &Context<Self>) {
            self.0.note("secured");
        }
        fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
            self.0.note(String::from_utf8_lossy(data));
        }
    }
    let told = Log::default();
    let (mut a, mut b) = (testing::connect(Quiet(Log::default())), testing::connect(Quiet(told.clone())));
    for layer in ["one", "two", "three"] {
        a.transport().start_tls(client()).or_log("the client");
        b.transport().start_tls(server()).or_log("the server");
        a.transport().write(layer);
        pump(&mut a, &mut b);
        assert_eq!(told.take(), ["secured", layer]);
    }
}

#[test]
fn after_the_end_of_a_connection_nothing_begins() {
    struct Nothing;
    impl Protocol for Nothing {}
    let mut end = testing::connect(Nothing);
    end.lose();
    let tls: ServerTls = server();
    assert!(end.transport().start_tls(&tls).now().expect("at once").is_err());
}

/// The one who says "go ahead" is then the client, whose first words come with that line.
#[test]
fn the_first_words_of_a_client_may_come_with_the_line() {
    let (a, told) = lines(server());
    let mut a = testing::connect(a);
    a.receive(b"220 go ahead\r\n\x16\x03\x01\x00\x05hello");
    assert_eq!(told.take(), ["220 go ahead", "lost: Protocol"], "it is no hello, but no line either");
}

/// Once the peer was said to have cut the connection.
#[test]
fn after_a_half_close_nothing_begins_and_the_reason_is_this_sides() {
    struct Nothing;
    impl Protocol for Nothing {}
    let mut end = testing::connect(Nothing);
    end.transport().lose_write_connection();
    end.sent();
    let why = end.transport().start_tls(client()).now().expect("at once").unwrap_err();
    assert_eq!(super::recording::kind(&why), TlsErrorKind::Options);
    assert!(why.to_string().contains("a direction of this connection has ended"), "{why}");
}
