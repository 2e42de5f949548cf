//! A port as a stream of connections: as fast as they are taken, and to its end.

use crate::loopback::*;
use futures::stream::FusedStream;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use std::net::SocketAddr;
use twistor::{
    Reactor, Stream,
    stream::Incoming,
    testing::{Peer, on_both},
};

fn listen(reactor: &Reactor) -> (Incoming, SocketAddr) {
    let incoming = reactor.incoming(HERE).unwrap();
    let to = at(incoming.port());
    (incoming, to)
}

on_both!(who_nobody_takes_waits_in_the_system);
fn who_nobody_takes_waits_in_the_system(reactor: &Reactor) {
    const PEERS: usize = 60;
    let (mut incoming, to) = listen(reactor);
    play_alone(reactor, async move || {
        let mut peers: Vec<Peer> = (0..PEERS).map(|_| dial(to)).collect();
        turns().await;
        assert_eq!(incoming.port().connections(), 16);
        let mut taken = vec![];
        for _ in 0..PEERS {
            taken.push(incoming.next().await.expect("one that waited"));
        }
        assert_eq!(incoming.port().connections(), PEERS);
        for (n, stream) in taken.iter_mut().enumerate() {
            stream.write_all(&[n as u8]).await.unwrap();
        }
        drop(taken);
        let mut all = vec![];
        for peer in &mut peers {
            all.push(read_all(peer).await.0);
        }
        all.sort();
        assert_eq!(all, (0..PEERS as u8).map(|n| vec![n]).collect::<Vec<_>>());
    });
}

on_both!(it_ends_when_the_port_is_stopped);
fn it_ends_when_the_port_is_stopped(reactor: &Reactor) {
    let (mut incoming, to) = listen(reactor);
    play_alone(reactor, async move || {
        let mut peer = dial(to);
        peer.write_all(b"hello").await.unwrap();
        turns().await;
        incoming.port().stop_listening().await.unwrap();
        assert!(!incoming.is_terminated());
        let mut waited = incoming.next().await.expect("it had come before");
        let mut said = [0; 5];
        waited.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
        assert!(incoming.next().await.is_none());
        assert!(incoming.is_terminated());
    });
}

on_both!(it_ends_with_the_run);
/// Also who waits for the next one outside of the reactor is told.
fn it_ends_with_the_run(reactor: &Reactor) {
    let (mut incoming, _) = listen(reactor);
    reactor.call_later(std::time::Duration::ZERO, stop);
    run(reactor);
    assert!(futures_lite::future::block_on(incoming.next()).is_none());
}

on_both!(to_drop_it_stops_the_port_and_closes_who_was_not_taken);
fn to_drop_it_stops_the_port_and_closes_who_was_not_taken(reactor: &Reactor) {
    let (incoming, to) = listen(reactor);
    let port = incoming.port().clone();
    play_alone(reactor, async move || {
        let mut peer = dial(to);
        turns().await;
        assert_eq!(port.connections(), 1);
        drop(incoming);
        assert!(port.get_host().is_err());
        assert_eq!(read_all(&mut peer).await, (vec![], None));
        assert_eq!(port.connections(), 0);
    });
}

async fn echo(mut stream: Stream) -> twistor::Result<()> {
    let mut all = vec![];
    stream.read_to_end(&mut all).await?;
    stream.write_all(&all).await?;
    Ok(())
}

on_both!(accept_and_spawn);
/// The loop of every async server.
fn accept_and_spawn(reactor: &Reactor) {
    let (mut incoming, to) = listen(reactor);
    let server = async move {
        while let Some(stream) = incoming.next().await {
            Reactor::current().spawn(echo(stream)).or_log("a connection");
        }
        Ok(())
    };
    reactor.spawn(server).or_log("the server");
    play_alone(reactor, async move || {
        let peers: Vec<Peer> = (0..100).map(|_| dial(to)).collect();
        for mut peer in peers {
            peer.write_all(b"hello").await.unwrap();
            peer.close().await.unwrap();
            assert_eq!(read_all(&mut peer).await, (b"hello".to_vec(), None));
        }
    });
}

on_both!(a_port_that_listens_again_without_its_stream_keeps_nobody);
fn a_port_that_listens_again_without_its_stream_keeps_nobody(reactor: &Reactor) {
    let (incoming, _) = listen(reactor);
    let port = incoming.port().clone();
    play_alone(reactor, async move || {
        drop(incoming);
        port.start_listening().unwrap();
        let mut peer = dial(at(&port));
        assert_eq!(read_all(&mut peer).await, (vec![], None));
        assert_eq!(port.connections(), 0);
    });
}
