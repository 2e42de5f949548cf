//! Over TCP, on both drivers.

use super::{
    certificates::{OTHER, client, client_options, server, server_options},
    recording::{ending_recorder, kind, recorder},
};
use futures_lite::{AsyncReadExt, AsyncWriteExt, io::AsyncWrite};
use std::{cell::RefCell, rc::Rc, time::Duration};
use twistor::{
    Context, Failure, Protocol, Reactor, Result, factory, serve,
    stream::Stream,
    testing::{self, Peer, PeerListener, on_both},
    tls::{TlsErrorKind, options_for_client_tls, secured},
};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const LIMIT: Duration = Duration::from_secs(20);

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

/// Sends back what it got, if that is as much as was sent.
struct Asking {
    length: usize,
    got: Vec<u8>,
    done: Option<twistor::defer::Promise<Vec<u8>>>,
}

impl Protocol for Asking {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.got.extend_from_slice(data);
        if self.got.len() == self.length {
            cx.lose_connection();
        }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        if let Some(done) = self.done.take() {
            match why.check::<twistor::error::ConnectionDone>() {
                true => done.callback(std::mem::take(&mut self.got)),
                false => done.errback(why),
            };
        }
    }
}

on_both!(what_is_sent_comes_back_however_long);
fn what_is_sent_comes_back_however_long(reactor: &Reactor) -> Result<()> {
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), factory(|_| Echo))?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        for length in [1, 16_384, 16_385, 100_000, 1_000_000] {
            let (done, promise) = twistor::defer::Deferred::pending();
            let asking = Asking { length, got: vec![], done: Some(promise) };
            let cx = r.connect_protocol(&to, secured(client(), asking)).await?;
            let sent: Vec<u8> = (0..length).map(|at| at as u8).collect();
            cx.write(&sent);
            assert!(done.await? == sent, "{length}");
        }
        Ok(())
    })
}

on_both!(a_clients_deferred_fires_when_the_server_is_verified);
fn a_clients_deferred_fires_when_the_server_is_verified(reactor: &Reactor) -> Result<()> {
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), factory(|_| Echo))?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let cx = r.connect_protocol(&to, secured(client(), Echo)).await?;
        assert!(cx.negotiated().is_some());
        cx.lose_connection();

        let strict = options_for_client_tls("localhost").trust_roots(OTHER.roots()).build()?;
        let why = r.connect_protocol(&to, secured(strict, Echo)).await.unwrap_err();
        assert_eq!(kind(&why), TlsErrorKind::Certificate);
        Ok(())
    })
}

on_both!(a_server_that_says_nothing_is_given_up);
fn a_server_that_says_nothing_is_given_up(reactor: &Reactor) -> Result<()> {
    let silent = PeerListener::bind(reactor, LOOPBACK)?;
    let (to, r) = (silent.local_address()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let soon = client_options().handshake_timeout(Duration::from_millis(20)).build()?;
        let why = r.connect_protocol(to, secured(soon, Echo)).await.unwrap_err();
        assert_eq!(kind(&why), TlsErrorKind::TimedOut);
        drop(silent);
        Ok(())
    })
}

on_both!(a_client_that_says_nothing_is_given_up);
fn a_client_that_says_nothing_is_given_up(reactor: &Reactor) -> Result<()> {
    let soon = server_options().handshake_timeout(Duration::from_millis(20)).build()?;
    let (recorder, told) = recorder("");
    let recorder = RefCell::new(Some(recorder));
    let port = reactor.listen_ssl(("127.0.0.1", 0), soon, move |_: &twistor::Address| recorder.take())?;
    let mut peer = Peer::connect(reactor, port.get_host()?.as_inet().expect("TCP"))?;
    testing::run(reactor, LIMIT, async move {
        let mut byte = [0];
        assert_eq!(peer.read(&mut byte).await?, 0, "it is closed");
        Ok(())
    })?;
    assert_eq!(told.take(), ["made", "lost: TimedOut"]);
    Ok(())
}

on_both!(an_async_handler_reads_and_writes_through_it);
fn an_async_handler_reads_and_writes_through_it(reactor: &Reactor) -> Result<()> {
    let shout = serve(|mut stream: Stream| async move {
        let mut asked = String::new();
        stream.read_to_string(&mut asked).await?; // until the peer's direction ends
        stream.write_all(asked.to_uppercase().as_bytes()).await?;
        stream.close().await?;
        Ok(())
    });
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), shout)?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let (done, promise) = twistor::defer::Deferred::pending();
        let asking = Halves { got: vec![], done: Some(promise) };
        let cx = r.connect_protocol(&to, secured(client(), asking)).await?;
        cx.write("hello");
        cx.lose_write_connection();
        assert_eq!(done.await?, b"HELLO");
        Ok(())
    })
}

struct Halves {
    got: Vec<u8>,
    done: Option<twistor::defer::Promise<Vec<u8>>>,
}

impl Protocol for Halves {
    const HALF_CLOSEABLE: bool = true;
    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.got.extend_from_slice(data);
    }
    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        if let Some(done) = self.done.take() {
            done.callback(std::mem::take(&mut self.got));
        }
        cx.lose_connection();
    }
}

on_both!(a_peer_that_never_says_that_it_ends_is_waited_for_only_so_long);
fn a_peer_that_never_says_that_it_ends_is_waited_for_only_so_long(reactor: &Reactor) -> Result<()> {
    let listener = PeerListener::bind(reactor, LOOPBACK)?;
    let (to, r) = (listener.local_address()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let (recorder, told, ended) = ending_recorder();
        let soon = client_options().close_timeout(Duration::from_millis(20)).build()?;
        let connecting = r.connect_protocol(to, secured(soon, recorder));
        let mut peer = listener.accept().await?;
        // A server without a reactor, that never closes.
        let mut tls = server_of_rustls();
        while tls.is_handshaking() {
            step(&mut tls, &mut peer).await?;
        }
        let cx = connecting.await?;
        cx.write("the last");
        cx.lose_connection();
        ended.await?;
        assert_eq!(told.take(), ["made", "secured", "lost: connection was closed cleanly"]);
        Ok(())
    })
}

/// Nothing can be said to it any more: so it is not waited for either, here for an hour.
fn a_bad_record_after_a_half_close_is_a_loss_at_once(reactor: &Reactor) -> Result<()> {
    let _hook = twistor::report::hook(|_| {}); // built for tests, rustls takes it for a mistake of its caller's
    let listener = PeerListener::bind(reactor, LOOPBACK)?;
    let (to, r) = (listener.local_address()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let (recorder, told, ended) = ending_recorder();
        let patient = client_options().close_timeout(Duration::from_secs(3600)).build()?;
        let connecting = r.connect_protocol(to, secured(patient, recorder));
        let mut peer = listener.accept().await?;
        let mut tls = server_of_rustls();
        while tls.is_handshaking() {
            step(&mut tls, &mut peer).await?;
        }
        let cx = connecting.await?;
        cx.lose_write_connection();
        peer.write_all(b"\x17\x03\x03\x00\x05wrong").await?;
        ended.await?;
        let told = told.take();
        assert_eq!(told[..2], ["made", "secured"]);
        assert!(told[2].starts_with("lost: ") && !told[2].contains("closed cleanly"), "{told:?}");
        Ok(())
    })
}
on_both!(a_bad_record_after_a_half_close_is_a_loss_at_once);

fn server_of_rustls() -> twistor::tls::rustls::ServerConnection {
    use twistor::tls::rustls::{
        ServerConfig, ServerConnection,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    let (chain, key) = super::certificates::ROOT.signs("localhost");
    let config =
        ServerConfig::builder_with_provider(twistor::tls::rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
    ServerConnection::new(config.into()).unwrap()
}

/// What it has to say, and what it is told.
async fn step(tls: &mut twistor::tls::rustls::ServerConnection, peer: &mut Peer) -> Result<()> {
    let mut out = vec![];
    while tls.wants_write() {
        tls.write_tls(&mut out)?;
    }
    peer.write_all(&out).await?;
    let mut buffer = [0; 4096];
    if tls.is_handshaking() {
        let length = peer.read(&mut buffer).await?;
        tls.read_tls(&mut &buffer[..length])?;
        tls.process_new_packets()?;
    }
    Ok(())
}

on_both!(who_waits_for_drained_is_told_that_nothing_was_sent);
fn who_waits_for_drained_is_told_that_nothing_was_sent(reactor: &Reactor) -> Result<()> {
    struct Writes(Rc<RefCell<Option<twistor::defer::Deferred<()>>>>);
    impl Protocol for Writes {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.write("secret");
            *self.0.borrow_mut() = Some(cx.drained());
        }
    }
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), factory(|_| Echo))?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let strict = options_for_client_tls("localhost").trust_roots(OTHER.roots()).build()?;
        let drained = Rc::default();
        let made = r.connect_protocol(&to, secured(strict, Writes(Rc::clone(&drained)))).await;
        assert_eq!(kind(&made.unwrap_err()), TlsErrorKind::Certificate);
        let drained = drained.take().expect("it was made");
        assert_eq!(kind(&drained.await.unwrap_err()), TlsErrorKind::Certificate);
        Ok(())
    })
}

on_both!(who_pauses_after_a_half_close_holds_the_peer_up);
fn who_pauses_after_a_half_close_holds_the_peer_up(reactor: &Reactor) -> Result<()> {
    const MUCH: usize = 48 << 20;
    struct Answers(Rc<RefCell<Option<twistor::Transport>>>);
    impl Protocol for Answers {
        const HALF_CLOSEABLE: bool = true;
        fn read_connection_lost(&mut self, cx: &Context<Self>) {
            cx.set_write_limit(usize::MAX);
            cx.write(vec![7; MUCH]);
            *self.0.borrow_mut() = Some(cx.transport());
        }
    }
    let (answers, r) = (Rc::new(RefCell::new(None)), reactor.clone());
    let seen = answers.clone();
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), factory(move |_| Answers(seen.clone())))?;
    let to = port.get_host()?;
    testing::run(reactor, LIMIT, async move {
        let cx = r.connect_protocol(&to, secured(client(), Halves { got: vec![], done: None })).await?;
        cx.lose_write_connection();
        cx.pause_producing();
        let mut turns = 0;
        while answers.borrow().is_none() || turns < 500 {
            let (later, promise) = twistor::defer::Deferred::pending();
            r.call_later(Duration::from_micros(10), move || {
                promise.callback(());
            });
            later.await?;
            turns += 1;
            assert!(turns < 100_000, "it never answers");
        }
        let waits = answers.take().expect("it answers").buffered();
        assert!(waits > MUCH / 2, "{waits} bytes of {MUCH} wait");
        cx.abort_connection();
        Ok(())
    })
}

on_both!(a_factory_is_found_through_tls);
fn a_factory_is_found_through_tls(reactor: &Reactor) -> Result<()> {
    struct Own(Rc<RefCell<u32>>);
    impl twistor::Factory for Own {
        type Protocol = Asks;
        fn build_protocol(&self, _peer: &twistor::Address) -> Option<Asks> {
            Some(Asks)
        }
    }
    struct Asks;
    impl Protocol for Asks {
        fn handshake_completed(&mut self, cx: &Context<Self>) {
            *cx.factory::<Own>().0.borrow_mut() += 1;
            cx.lose_connection();
        }
    }
    let count = Rc::default();
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), Own(Rc::clone(&count)))?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let (recorder, told, ended) = ending_recorder();
        r.connect_protocol(&to, secured(client(), recorder)).await?;
        ended.await?;
        assert_eq!(told.take(), ["made", "secured", "lost: connection was closed cleanly"]);
        Ok(())
    })?;
    assert_eq!(*count.borrow(), 1);
    Ok(())
}

// `attach` over any futures I/O: here a stream of the reactor's own, over TCP.
on_both!(it_runs_over_any_futures_io);
fn it_runs_over_any_futures_io(reactor: &Reactor) -> Result<()> {
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), factory(|_| Echo))?;
    let (to, r) = (port.get_host()?, reactor.clone());
    testing::run(reactor, LIMIT, async move {
        let stream = r.connect_stream(&to).await?;
        fn is_io(_: &impl AsyncWrite) {}
        is_io(&stream);
        let (done, promise) = twistor::defer::Deferred::pending();
        let asking = Asking { length: 5, got: vec![], done: Some(promise) };
        let cx = twistor::stream::attach(secured(client(), asking), stream)?;
        cx.write("hello");
        assert_eq!(done.await?, b"hello");
        Ok(())
    })
}
