//! One suite for three echoes: callbacks, async code, and a protocol that awaits a Deferred for each message. The clients are async code on the same reactor.

use crate::{loopback::*, pause};
use futures_lite::{AsyncReadExt, AsyncWriteExt, io::copy};
use std::{future::Future, net::SocketAddr, time::Duration};
use twistor::{
    Context, Protocol, Reactor, Result, Stream, defer::Deferred, error::ConnectError, factory,
    serve as handle, tcp::ListeningPort, testing::on_both,
};

// ---- the echoes -----------------------------------------------------------------------------------------------------

struct Callbacks;

impl Protocol for Callbacks {
    /// What is written here is read here: a peer that does not take it is not read from.
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.register_producer(cx.transport(), true).unwrap();
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

async fn streams(stream: Stream) -> Result<()> {
    let (mut from, mut to) = stream.split();
    copy(&mut from, &mut to).await?;
    Ok(())
}

struct Mixed;

impl Mixed {
    /// Somebody who answers by and by.
    fn ask(question: Vec<u8>) -> Deferred<Vec<u8>> {
        let (answer, promise) = Deferred::pending();
        Reactor::current().call_later(Duration::ZERO, move || {
            promise.callback(question);
        });
        answer
    }
}

impl Protocol for Mixed {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (question, to) = (data.to_vec(), cx.transport());
        cx.pause_producing(); // one at a time
        cx.spawn(async move {
            let answer = Mixed::ask(question).await?;
            to.write(answer);
            to.drained().await?;
            to.resume_producing();
            Ok(())
        })
        .add_errback(|_lost| Ok(())) // the peer has not waited for the answer
        .or_log("an answer");
    }
}

type Listen = fn(&Reactor) -> Result<ListeningPort>;

const ECHOES: [(&str, Listen); 3] = [
    ("callbacks", |reactor| reactor.listen_tcp(HERE, factory(|_| Callbacks))),
    ("streams", |reactor| reactor.listen_tcp(HERE, handle(streams))),
    ("mixed", |reactor| reactor.listen_tcp(HERE, factory(|_| Mixed))),
];

/// Each echo with these clients; afterwards nothing is open, and nothing was reported.
fn with_each<F: Future<Output = Result<()>> + 'static>(
    reactor: &Reactor,
    clients: fn(Reactor, SocketAddr) -> F,
) {
    for (name, listen) in ECHOES {
        println!("{name}");
        let (reported, hook) = reports();
        let port = listen(reactor).unwrap();
        let (to, on) = (at(&port), reactor.clone());
        play(reactor, port, async move || clients(on, to).await).unwrap();
        drop(hook);
        assert_eq!(reported.all(), [""; 0]);
    }
}

// ---- the suite ------------------------------------------------------------------------------------------------------

on_both!(piece_by_piece);
fn piece_by_piece(reactor: &Reactor) {
    with_each(reactor, |reactor, to| async move {
        let mut stream = reactor.connect_stream(to).await?;
        for piece in ["a", "bc", "a longer one", "d"] {
            stream.write_all(piece.as_bytes()).await?;
            let mut echo = vec![0; piece.len()];
            stream.read_exact(&mut echo).await?;
            assert_eq!(echo, piece.as_bytes());
        }
        Ok(())
    });
}

on_both!(all_of_it_comes_back_after_a_half_close);
fn all_of_it_comes_back_after_a_half_close(reactor: &Reactor) {
    with_each(reactor, |reactor, to| async move {
        let mut stream = reactor.connect_stream(to).await?;
        stream.write_all(b"hello").await?;
        stream.close().await?;
        let mut echo = vec![];
        stream.read_to_end(&mut echo).await?;
        assert_eq!(echo, b"hello");

        let mut silent = reactor.connect_stream(to).await?;
        silent.close().await?;
        assert_eq!(silent.read(&mut [0]).await?, 0);
        Ok(())
    });
}

on_both!(much_data_and_a_slow_reader);
fn much_data_and_a_slow_reader(reactor: &Reactor) {
    const ALL: usize = 3_000_000;
    with_each(reactor, |reactor, to| async move {
        let (mut from, mut to) = reactor.connect_stream(to).await?.split();
        let writing = reactor.spawn(async move {
            let data: Vec<u8> = (0..ALL).map(|n| (n / 3) as u8).collect();
            to.write_all(&data).await?;
            to.close().await?;
            Ok(to)
        });
        let (mut count, mut buffer) = (0, vec![0; 20_000]);
        loop {
            for _ in 0..5 {
                pause().await;
            }
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            for byte in &buffer[..length] {
                assert_eq!(*byte, (count / 3) as u8, "number {count}");
                count += 1;
            }
        }
        assert_eq!(count, ALL);
        writing.await?;
        Ok(())
    });
}

on_both!(a_reset_in_the_middle_ends_one_connection);
fn a_reset_in_the_middle_ends_one_connection(reactor: &Reactor) {
    with_each(reactor, |reactor, to| async move {
        let mut other = reactor.connect_stream(to).await?;
        for unread in [0, 1, 1_000_000] {
            let mut stream = reactor.connect_stream(to).await?;
            if unread > 0 {
                let data = vec![b'x'; unread];
                // It may be that it is not taken: the echo waits until this side reads.
                let written = async { stream.write_all(&data).await };
                let enough = async {
                    for _ in 0..100 {
                        pause().await;
                    }
                    Ok(())
                };
                futures_lite::future::or(written, enough).await?;
            }
            stream.abort();
        }
        other.write_all(b"still here").await?;
        let mut echo = [0; 10];
        other.read_exact(&mut echo).await?;
        assert_eq!(&echo, b"still here");
        Ok(())
    });
}

on_both!(many_connections_at_once);
fn many_connections_at_once(reactor: &Reactor) {
    with_each(reactor, |reactor, to| async move {
        let mut clients = vec![];
        for n in 0..100_u8 {
            let connecting = reactor.connect_stream(to);
            clients.push(reactor.spawn(async move {
                let mut stream = connecting.await?;
                for round in 0..5 {
                    stream.write_all(&[n, round]).await?;
                    let mut echo = [0; 2];
                    stream.read_exact(&mut echo).await?;
                    assert_eq!(echo, [n, round]);
                }
                Ok(())
            }));
        }
        for client in clients {
            client.await?;
        }
        Ok(())
    });
}

on_both!(nobody_listens_any_more);
fn nobody_listens_any_more(reactor: &Reactor) {
    with_each(reactor, |reactor, to| async move {
        let nowhere = SocketAddr::from((to.ip(), 1)); // a port of the system's, on which nothing of ours listens
        let refused = reactor.connect_stream(nowhere).await.unwrap_err();
        assert!(refused.check::<ConnectError>());
        Ok(())
    });
}
