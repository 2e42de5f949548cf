//! A UDP port as a stream and a sink.

use crate::{loopback::*, until};
use futures::{SinkExt, StreamExt, stream::FusedStream};
use twistor::{
    Reactor,
    error::{InvalidAddressError, NotListeningError},
    stream::Datagrams,
    testing::{PeerDatagrams, on_both},
};

/// A port, and a script that is given another socket too.
fn with_a_peer(reactor: &Reactor, script: impl AsyncFnOnce(Datagrams, PeerDatagrams) + 'static) {
    let port = reactor.datagrams(HERE).unwrap();
    let peer = PeerDatagrams::bind(reactor, ([127, 0, 0, 1], 0)).unwrap();
    play_alone(reactor, async move || script(port, peer).await);
}

fn send(peer: &PeerDatagrams, data: &[u8], to: &Datagrams) {
    peer.send_to(data, to.get_host().unwrap().as_inet().unwrap()).unwrap();
}

on_both!(each_comes_whole_with_who_sent_it_and_goes_where_it_is_to);
fn each_comes_whole_with_who_sent_it_and_goes_where_it_is_to(reactor: &Reactor) {
    with_a_peer(reactor, async |mut port, peer| {
        for data in [&b"one"[..], b"", b"three"] {
            send(&peer, data, &port);
            let (came, from) = port.next().await.expect("it is open");
            assert_eq!((&came[..], from), (data, peer.local_address().unwrap()));
            port.send((came, from)).await.unwrap();
            assert_eq!(peer.receive().await.unwrap().0, data);
        }
    });
}

on_both!(what_comes_when_too_many_wait_is_dropped_and_counted);
fn what_comes_when_too_many_wait_is_dropped_and_counted(reactor: &Reactor) {
    with_a_peer(reactor, async |mut port, peer| {
        port.set_limit(3);
        for n in 0..10_u8 {
            send(&peer, &[n], &port);
        }
        until(|| port.dropped() == 7).await;
        for n in 0..3_u8 {
            assert_eq!(port.next().await.expect("it waits").0[..], [n]);
        }
        send(&peer, b"there is room", &port);
        assert_eq!(port.next().await.expect("it comes").0, "there is room");
        assert_eq!(port.dropped(), 7);
    });
}

on_both!(it_ends_when_it_is_closed);
fn it_ends_when_it_is_closed(reactor: &Reactor) {
    with_a_peer(reactor, async |mut port, peer| {
        send(&peer, b"the last", &port);
        turns().await;
        port.close().await.unwrap();
        assert!(!port.is_terminated(), "what had come is still given");
        assert_eq!(port.next().await.expect("it waits").0, "the last");
        assert!(port.is_terminated());
        assert!(port.next().await.is_none());
        let to = peer.local_address().unwrap();
        let error = port.send(("more".into(), to)).await.unwrap_err();
        assert!(error.check::<NotListeningError>(), "{error}");
    });
}

on_both!(an_address_of_the_other_family_is_refused);
fn an_address_of_the_other_family_is_refused(reactor: &Reactor) {
    with_a_peer(reactor, async |mut port, _| {
        let error = port.send(("x".into(), "[::1]:9".parse().unwrap())).await.unwrap_err();
        assert!(error.check::<InvalidAddressError>());
    });
}

on_both!(to_drop_it_stops_the_port);
fn to_drop_it_stops_the_port(reactor: &Reactor) {
    with_a_peer(reactor, async |port, _| {
        let at = port.get_host().unwrap();
        drop(port);
        drop(Reactor::current().datagrams(&at).unwrap()); // it is free again
    });
}
