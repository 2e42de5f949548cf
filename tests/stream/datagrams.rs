//! A UDP port as a stream and a sink.

use crate::loopback::*;
use futures::{SinkExt, StreamExt, stream::FusedStream};
use std::net::UdpSocket;
use twistor::{Reactor, Result, error::InvalidAddressError, stream::Datagrams};

fn on_a_port<F: Future<Output = Result<()>> + 'static>(program: impl FnOnce(Datagrams, UdpSocket) -> F) {
    let reactor = Reactor::new().unwrap();
    let port = reactor.datagrams(HERE).unwrap();
    let peer = UdpSocket::bind(HERE).unwrap();
    peer.connect(port.get_host().unwrap().as_inet().unwrap()).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let done = reactor.spawn(program(port, peer)).add_both(|result| {
        stop();
        result
    });
    run(&reactor);
    done.now().unwrap_or_else(|_| panic!("pending")).unwrap();
}

#[test]
fn each_comes_whole_with_who_sent_it_and_goes_where_it_is_to() {
    on_a_port(|mut port, peer| async move {
        for data in [&b"one"[..], b"", b"three"] {
            peer.send(data)?;
            let (came, from) = port.next().await.expect("it is open");
            assert_eq!((&came[..], from), (data, peer.local_addr()?));
            port.send((came, from)).await?;
            let mut buffer = [0; 16];
            let length = peer.recv(&mut buffer)?;
            assert_eq!(&buffer[..length], data);
        }
        Ok(())
    });
}

#[test]
fn what_comes_when_too_many_wait_is_dropped_and_counted() {
    on_a_port(|mut port, peer| async move {
        port.set_limit(3);
        for n in 0..10_u8 {
            peer.send(&[n])?;
        }
        while port.dropped() < 7 {
            futures_lite::future::yield_now().await;
        }
        for n in 0..3_u8 {
            assert_eq!(port.next().await.expect("it waits").0[..], [n]);
        }
        peer.send(b"there is room")?;
        assert_eq!(port.next().await.expect("it comes").0, "there is room");
        assert_eq!(port.dropped(), 7);
        Ok(())
    });
}

#[test]
fn it_ends_when_it_is_closed() {
    on_a_port(|mut port, peer| async move {
        peer.send(b"last")?;
        assert_eq!(port.next().await.expect("it comes").0, "last");
        port.close().await?;
        assert!(port.is_terminated());
        assert!(port.next().await.is_none());
        let to = peer.local_addr()?;
        let error = port.send(("more".into(), to)).await.unwrap_err();
        assert!(error.to_string().contains("stopped"), "{error}");
        Ok(())
    });
}

#[test]
fn an_address_of_the_other_family_is_refused() {
    on_a_port(|mut port, _| async move {
        let error = port.send(("x".into(), "[::1]:9".parse()?)).await.unwrap_err();
        assert!(error.check::<InvalidAddressError>());
        Ok(())
    });
}

#[test]
fn to_drop_it_stops_the_port() {
    on_a_port(|port, _| async move {
        let at = port.get_host()?;
        drop(port);
        drop(Reactor::current().datagrams(&at)?); // it is free again
        Ok(())
    });
}
