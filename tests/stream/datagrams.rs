//! A UDP port as a stream and a sink.

use crate::loopback::*;
use futures::{SinkExt, StreamExt, stream::FusedStream};
use std::net::SocketAddr;
use twistor::{
    Reactor, Result,
    error::InvalidAddressError,
    stream::Datagrams,
    testing::{self, PeerDatagrams, on_both},
};

/// The peer's socket, and where the port is.
struct Other(PeerDatagrams, SocketAddr);

impl Other {
    fn send(&self, data: &[u8]) -> std::io::Result<()> {
        self.0.send_to(data, self.1)
    }
}

fn on_a_port<F: Future<Output = Result<()>> + 'static>(
    reactor: &Reactor,
    program: impl FnOnce(Datagrams, Other) -> F,
) {
    let port = reactor.datagrams(HERE).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    let peer = PeerDatagrams::bind(reactor, ([127, 0, 0, 1], 0)).unwrap();
    testing::run(reactor, DEADLINE, program(port, Other(peer, to))).unwrap();
}

on_both!(each_comes_whole_with_who_sent_it_and_goes_where_it_is_to);
fn each_comes_whole_with_who_sent_it_and_goes_where_it_is_to(reactor: &Reactor) {
    on_a_port(reactor, |mut port, peer| async move {
        for data in [&b"one"[..], b"", b"three"] {
            peer.send(data)?;
            let (came, from) = port.next().await.expect("it is open");
            assert_eq!((&came[..], from), (data, peer.0.local_address()?));
            port.send((came, from)).await?;
            assert_eq!(peer.0.receive().await?.0, data);
        }
        Ok(())
    });
}

on_both!(what_comes_when_too_many_wait_is_dropped_and_counted);
fn what_comes_when_too_many_wait_is_dropped_and_counted(reactor: &Reactor) {
    on_a_port(reactor, |mut port, peer| async move {
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

on_both!(it_ends_when_it_is_closed);
fn it_ends_when_it_is_closed(reactor: &Reactor) {
    on_a_port(reactor, |mut port, peer| async move {
        peer.send(b"last")?;
        assert_eq!(port.next().await.expect("it comes").0, "last");
        port.close().await?;
        assert!(port.is_terminated());
        assert!(port.next().await.is_none());
        let to = peer.0.local_address()?;
        let error = port.send(("more".into(), to)).await.unwrap_err();
        assert!(error.to_string().contains("stopped"), "{error}");
        Ok(())
    });
}

on_both!(an_address_of_the_other_family_is_refused);
fn an_address_of_the_other_family_is_refused(reactor: &Reactor) {
    on_a_port(reactor, |mut port, _| async move {
        let error = port.send(("x".into(), "[::1]:9".parse()?)).await.unwrap_err();
        assert!(error.check::<InvalidAddressError>());
        Ok(())
    });
}

on_both!(to_drop_it_stops_the_port);
fn to_drop_it_stops_the_port(reactor: &Reactor) {
    on_a_port(reactor, |port, _| async move {
        let at = port.get_host()?;
        drop(port);
        drop(Reactor::current().datagrams(&at)?); // it is free again
        Ok(())
    });
}
