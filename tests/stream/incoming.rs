//! A port as a stream of connections: as fast as they are taken, and to its end.

use crate::loopback::*;
use futures::stream::FusedStream;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use std::{io::Write, net::TcpStream};
use twistor::{Reactor, Stream};

#[test]
fn who_nobody_takes_waits_in_the_system() {
    const PEERS: usize = 60;
    let reactor = Reactor::new().unwrap();
    let mut incoming = reactor.incoming(HERE).unwrap();
    let to = incoming.get_host().unwrap().as_inet().unwrap();
    let connect = blocking::unblock(move || (0..PEERS).map(|_| dial(to)).collect::<Vec<TcpStream>>());
    let remote = reactor.remote();
    let all = reactor.spawn(async move {
        let peers = connect.await;
        blocking::unblock(move || turns(&remote)).await;
        assert_eq!(incoming.port().connections(), 16);
        let mut taken = vec![];
        for _ in 0..PEERS {
            taken.push(incoming.next().await.expect("one that waited"));
        }
        assert_eq!(incoming.port().connections(), PEERS);
        for (n, stream) in taken.iter_mut().enumerate() {
            stream.write_all(&[n as u8]).await?;
        }
        drop(taken);
        let all: Vec<Vec<u8>> =
            blocking::unblock(move || peers.iter().map(|peer| read_all(peer).0).collect()).await;
        stop();
        Ok(all)
    });
    run(&reactor);
    let mut all = all.now().unwrap_or_else(|_| panic!("pending")).unwrap();
    all.sort();
    assert_eq!(all, (0..PEERS as u8).map(|n| vec![n]).collect::<Vec<_>>());
}

#[test]
fn it_ends_when_the_port_is_stopped() {
    let reactor = Reactor::new().unwrap();
    let mut incoming = reactor.incoming(HERE).unwrap();
    let to = incoming.get_host().unwrap().as_inet().unwrap();
    let done = reactor.spawn(async move {
        let mut peer = blocking::unblock(move || dial(to)).await;
        peer.write_all(b"hello")?;
        while incoming.port().connections() == 0 {
            futures_lite::future::yield_now().await;
        }
        incoming.port().stop_listening().await?;
        assert!(!incoming.is_terminated());
        let mut waited = incoming.next().await.expect("it had come before");
        let mut said = [0; 5];
        waited.read_exact(&mut said).await?;
        assert_eq!(&said, b"hello");
        assert!(incoming.next().await.is_none());
        assert!(incoming.is_terminated());
        stop();
        Ok(())
    });
    run(&reactor);
    done.now().unwrap_or_else(|_| panic!("pending")).unwrap();
}

/// Also who waits for the next one outside of the reactor is told.
#[test]
fn it_ends_with_the_run() {
    let reactor = Reactor::new().unwrap();
    let mut incoming = reactor.incoming(HERE).unwrap();
    reactor.call_later(std::time::Duration::ZERO, stop);
    run(&reactor);
    assert!(futures_lite::future::block_on(incoming.next()).is_none());
}

#[test]
fn to_drop_it_stops_the_port_and_closes_who_was_not_taken() {
    let reactor = Reactor::new().unwrap();
    let incoming = reactor.incoming(HERE).unwrap();
    let (to, port) = (incoming.get_host().unwrap().as_inet().unwrap(), incoming.port().clone());
    let done = reactor.spawn(async move {
        let peer = blocking::unblock(move || dial(to)).await;
        while port.connections() == 0 {
            futures_lite::future::yield_now().await;
        }
        drop(incoming);
        assert!(port.get_host().is_err());
        assert_eq!(blocking::unblock(move || read_all(&peer)).await, (vec![], None));
        stop();
        Ok(())
    });
    run(&reactor);
    done.now().unwrap_or_else(|_| panic!("pending")).unwrap();
}

/// The loop of every async server.
#[test]
fn accept_and_spawn() {
    async fn echo(mut stream: Stream) -> twistor::Result<()> {
        let mut all = vec![];
        stream.read_to_end(&mut all).await?;
        stream.write_all(&all).await?;
        Ok(())
    }
    let reactor = Reactor::new().unwrap();
    let mut incoming = reactor.incoming(HERE).unwrap();
    let to = incoming.get_host().unwrap().as_inet().unwrap();
    reactor
        .spawn(async move {
            while let Some(stream) = incoming.next().await {
                Reactor::current().spawn(echo(stream)).or_log("a connection");
            }
            Ok(())
        })
        .or_log("the server");
    play_alone(&reactor, move || {
        let peers: Vec<TcpStream> = (0..100).map(|_| dial(to)).collect();
        for mut peer in peers {
            peer.write_all(b"hello").unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(read_all(&peer), (b"hello".to_vec(), None));
        }
    });
}
