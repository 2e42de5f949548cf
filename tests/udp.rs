//! UDP, on the system's loopback and in a simulation. Peers are sockets without a reactor: the kernel's, or the simulated network's.

mod loopback;

use loopback::{Log, another, play_alone, reports, run, stop};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use twistor::{
    Address, DatagramContext, DatagramProtocol, Reactor,
    address::InvalidAddressError,
    error::{MessageLengthError, NotListeningError},
    testing::{PeerDatagrams, on_both},
    udp::UdpListen,
};

const HERE: (&str, u16) = ("127.0.0.1", 0);

type Received = Box<dyn FnMut(&DatagramContext<Probe>, &[u8], &Address)>;

/// Logs its events, and does what the test says with a datagram.
struct Probe {
    log: Log,
    received: Received,
}

impl Probe {
    fn new(log: &Log, received: impl FnMut(&DatagramContext<Probe>, &[u8], &Address) + 'static) -> Probe {
        Probe { log: log.clone(), received: Box::new(received) }
    }

    fn echo(log: &Log) -> Probe {
        Probe::new(log, |cx, data, from| cx.write_to(data, from).expect("sent"))
    }

    fn silent(log: &Log) -> Probe {
        Probe::new(log, |_, _, _| ())
    }
}

impl DatagramProtocol for Probe {
    fn start_protocol(&mut self, cx: &DatagramContext<Self>) {
        assert!(cx.get_host().is_ok());
        self.log.add("start");
    }

    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        self.log.add(format!("data {}", String::from_utf8_lossy(data)));
        (self.received)(cx, data, from);
    }

    fn connection_refused(&mut self, _cx: &DatagramContext<Self>) {
        self.log.add("refused");
    }

    fn stop_protocol(&mut self, cx: &DatagramContext<Self>) {
        assert!(cx.get_host().is_err(), "it is closed already");
        self.log.add("stop");
    }
}

fn at(cx: &DatagramContext<Probe>) -> SocketAddr {
    cx.get_host().expect("it is open").as_inet().expect("it is UDP")
}

fn peer(reactor: &Reactor) -> PeerDatagrams {
    PeerDatagrams::bind(reactor, ([127, 0, 0, 1], 0)).unwrap()
}

async fn receive(peer: &PeerDatagrams) -> Vec<u8> {
    peer.receive().await.expect("a datagram").0
}

on_both!(datagrams_come_and_go_empty_ones_too);
fn datagrams_come_and_go_empty_ones_too(reactor: &Reactor) {
    let log = Log::default();
    let to = at(&reactor.listen_udp(HERE, Probe::echo(&log)).unwrap());
    assert_eq!(log.all(), ["start"], "inside listen_udp");
    let peer = peer(reactor);
    let echoes = play_alone(reactor, async move || {
        let mut echoes = Vec::new();
        for text in ["hello", "", "again"] {
            peer.send_to(text, to).unwrap();
            echoes.push(receive(&peer).await);
        }
        echoes
    });
    assert_eq!(echoes, [&b"hello"[..], b"", b"again"]);
    // The end of the reactor stops the port.
    assert_eq!(log.all(), ["start", "data hello", "data ", "data again", "stop"]);
}

on_both!(many_that_wait_come_in_order);
/// More than one event takes, and more than one event.
fn many_that_wait_come_in_order(reactor: &Reactor) {
    const MANY: u8 = 200;
    let log = Log::default();
    let to = at(&reactor.listen_udp(HERE, Probe::echo(&log)).unwrap());
    let peer = peer(reactor);
    for n in 0..MANY {
        peer.send_to([n], to).unwrap();
    }
    let echoes = play_alone(reactor, async move || {
        let mut echoes = Vec::new();
        for _ in 0..MANY {
            echoes.push(receive(&peer).await[0]);
        }
        echoes
    });
    assert_eq!(echoes, (0..MANY).collect::<Vec<_>>());
}

on_both!(a_panic_leaves_the_port_open);
fn a_panic_leaves_the_port_open(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let log = Log::default();
    let probe = Probe::new(&log, |cx, data, from| {
        assert_ne!(data, b"bad", "a bad datagram");
        cx.write_to(data, from).unwrap();
    });
    let to = at(&reactor.listen_udp(HERE, probe).unwrap());
    let peer = peer(reactor);
    let echo = play_alone(reactor, async move || {
        peer.send_to(b"bad", to).unwrap();
        peer.send_to(b"good", to).unwrap();
        receive(&peer).await
    });
    assert_eq!(echo, b"good");
    assert_eq!(reports.all().len(), 1);
    assert!(reports.all()[0].starts_with("datagram_received: panicked"), "{:?}", reports.all());
}

on_both!(a_refusal_reaches_a_connected_port_and_leaves_it_open);
/// Twisted's epoll reactor closes the port instead, and tells nobody.
fn a_refusal_reaches_a_connected_port_and_leaves_it_open(reactor: &Reactor) {
    let log = Log::default();
    let cx = reactor.listen_udp(HERE, Probe::new(&log, |_, _, _| stop())).unwrap();
    let gone = peer(reactor).local_address().unwrap();
    cx.connect(gone).unwrap();
    cx.write("anybody?").unwrap();
    let there = cx.clone();
    reactor.call_later(Duration::from_millis(10), move || {
        let peer = PeerDatagrams::bind(&Reactor::current(), gone).unwrap();
        there.write("and now?").unwrap();
        assert_eq!(peer.try_receive().unwrap().0, b"and now?");
        peer.send_to(b"yes", at(&there)).unwrap();
    });
    run(reactor);
    assert_eq!(log.all(), ["start", "refused", "data yes", "stop"]);
}

on_both!(what_is_sent_after_a_refusal_is_sent);
/// The refusal is an error of the next send, which then has sent nothing.
fn what_is_sent_after_a_refusal_is_sent(reactor: &Reactor) {
    let log = Log::default();
    let cx = reactor.listen_udp(HERE, Probe::silent(&log)).unwrap();
    let gone = peer(reactor).local_address().unwrap();
    cx.connect(gone).unwrap();
    cx.write("refused at once, on loopback").unwrap();
    let peer = PeerDatagrams::bind(reactor, gone).unwrap();
    cx.write("and now?").unwrap();
    assert_eq!(peer.try_receive().unwrap().0, b"and now?");
    assert_eq!(log.all(), ["start", "refused"]);
}

on_both!(a_connected_port_hears_its_peer_alone);
fn a_connected_port_hears_its_peer_alone(reactor: &Reactor) {
    let log = Log::default();
    let cx = reactor.listen_udp(HERE, Probe::silent(&log)).unwrap();
    let (friend, stranger) = (peer(reactor), peer(reactor));
    cx.connect(friend.local_address().unwrap()).unwrap();
    let error = cx.connect(friend.local_address().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "this port is connected; open another one");
    let to = at(&cx);
    stranger.send_to(b"stranger", to).unwrap();
    friend.send_to(b"friend", to).unwrap();
    reactor.call_later(Duration::from_millis(10), stop);
    run(reactor);
    assert_eq!(log.all(), ["start", "data friend", "stop"]);
}

on_both!(what_cannot_be_sent_is_a_named_error);
fn what_cannot_be_sent_is_a_named_error(reactor: &Reactor) {
    let log = Log::default();
    let cx = reactor.listen_udp(HERE, Probe::silent(&log)).unwrap();
    let error = cx.write_to("x", &"[::1]:9".parse().unwrap()).unwrap_err();
    assert!(error.check::<InvalidAddressError>());
    assert_eq!(error.to_string(), "`[::1]:9` is no address: this port is of IPv4: send to such an address");
    let error = cx.write_to(vec![0; 65_536], &peer(reactor).local_address().unwrap().into()).unwrap_err();
    assert_eq!(error.trap::<MessageLengthError>().unwrap().length, 65_536);
    assert_eq!(error.to_string(), "a datagram of 65536 bytes is too long to send; split it");
    let error = cx.write("to whom?").unwrap_err();
    assert_eq!(
        error.to_string(),
        "this port is not connected: connect it first, or say where to with write_to"
    );
    assert!(cx.get_host().is_ok(), "it is open all the same");
}

on_both!(stopped_twice_and_used_afterwards);
fn stopped_twice_and_used_afterwards(reactor: &Reactor) {
    let log = Log::default();
    let cx = reactor.listen_udp(HERE, Probe::silent(&log)).unwrap();
    let to = peer(reactor).local_address().unwrap().into();
    for _ in 0..2 {
        cx.stop_listening().now().unwrap().unwrap();
    }
    assert_eq!(log.all(), ["start", "stop"]);
    let text = "the port was stopped and does not listen; listen again with listen_tcp or listen_udp";
    for failure in [
        cx.get_host().unwrap_err(),
        cx.write_to("x", &to).unwrap_err(),
        cx.write("x").unwrap_err(),
        cx.connect(to.clone()).unwrap_err(),
        cx.join_group(Ipv4Addr::new(239, 255, 0, 1).into(), None).unwrap_err(),
    ] {
        assert!(failure.message().contains(text), "{failure:?}");
    }
    assert!(cx.get_host().unwrap_err().check::<NotListeningError>());
    assert!(cx.broadcast_allowed().unwrap_err().to_string().contains(text));
}

on_both!(a_datagram_may_stop_the_port);
fn a_datagram_may_stop_the_port(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let probe = Probe::new(&log, move |cx, _, _| {
        for _ in 0..2 {
            let log = seen.clone();
            cx.stop_listening().map(move |()| log.add("stopped"));
        }
        cx.stop_listening().map(|()| stop());
        assert!(cx.get_host().is_err());
        seen.add("still in the method");
    });
    let to = at(&reactor.listen_udp(HERE, probe).unwrap());
    let peer = peer(reactor);
    for text in ["one", "two", "three"] {
        peer.send_to(text, to).unwrap();
    }
    run(reactor);
    assert_eq!(log.all(), ["start", "data one", "still in the method", "stop", "stopped", "stopped"]);
}

on_both!(a_port_outlives_its_reactor);
/// A port whose reactor is gone is stopped all the same.
fn a_port_outlives_its_reactor(reactor: &Reactor) {
    let log = Log::default();
    let gone = another(reactor);
    let cx = gone.listen_udp(HERE, Probe::silent(&log)).unwrap();
    drop(gone);
    assert!(cx.get_host().unwrap_err().check::<NotListeningError>());
    assert!(cx.stop_listening().is_fired());
    assert_eq!(log.all(), ["start", "stop"]);
}

on_both!(calls_that_wait_come_before_the_next_datagram);
fn calls_that_wait_come_before_the_next_datagram(reactor: &Reactor) {
    let log = Log::default();
    let (seen, calls) = (log.clone(), std::rc::Rc::new(std::cell::Cell::new(0)));
    let probe = Probe::new(&log, move |cx, data, _| {
        seen.add(format!("after {} calls", calls.get()));
        if data == b"two" {
            return stop();
        }
        for _ in 0..1000 {
            let calls = calls.clone();
            cx.call(move |_, _| calls.set(calls.get() + 1));
        }
    });
    let to = at(&reactor.listen_udp(HERE, probe).unwrap());
    let peer = peer(reactor);
    for text in ["one", "two"] {
        peer.send_to(text, to).unwrap();
    }
    run(reactor);
    assert_eq!(log.all(), ["start", "data one", "after 0 calls", "data two", "after 1000 calls", "stop"]);
}

on_both!(what_exceeds_the_packet_size_is_cut);
fn what_exceeds_the_packet_size_is_cut(reactor: &Reactor) {
    let log = Log::default();
    let listen = UdpListen::port(0).interface("127.0.0.1").max_packet_size(4);
    let to = at(&reactor.listen_udp(listen, Probe::new(&log, |_, _, _| stop())).unwrap());
    peer(reactor).send_to(b"too long", to).unwrap();
    run(reactor);
    assert_eq!(log.all(), ["start", "data too ", "stop"]);
}

on_both!(broadcast_is_off_until_it_is_allowed);
fn broadcast_is_off_until_it_is_allowed(reactor: &Reactor) {
    let cx = reactor.listen_udp(HERE, Probe::silent(&Log::default())).unwrap();
    assert!(!cx.broadcast_allowed().unwrap());
    let everybody = "127.255.255.255:9".parse().unwrap();
    assert!(cx.write_to("x", &everybody).is_err());
    cx.set_broadcast_allowed(true).unwrap();
    assert!(cx.broadcast_allowed().unwrap());
    cx.write_to("x", &everybody).unwrap();
    cx.set_broadcast_allowed(false).unwrap();
    assert!(!cx.broadcast_allowed().unwrap());
}

on_both!(multicast_of_ipv4_on_loopback);
fn multicast_of_ipv4_on_loopback(reactor: &Reactor) {
    let (group, here) = (Ipv4Addr::new(239, 255, 77, 1), Ipv4Addr::LOCALHOST);
    let log = Log::default();
    let (left, seen) = (std::rc::Rc::new(std::cell::Cell::new(0)), log.clone());
    let probe = Probe::new(&log, move |cx, data, _| {
        if data == b"to the group" {
            cx.leave_group(group.into(), Some(here.into())).expect("it was joined");
            left.set(1);
            cx.write_to("nobody is in it", &SocketAddr::from((group, at(cx).port())).into()).unwrap();
            cx.write_to("to myself", &SocketAddr::from((here, at(cx).port())).into()).unwrap();
        } else {
            seen.add("end");
            stop();
        }
    });
    let cx = reactor.listen_udp(UdpListen::port(0).listen_multiple(true), probe).unwrap();
    assert_eq!(cx.multicast_ttl().unwrap(), 1);
    cx.set_multicast_ttl(3).unwrap();
    assert_eq!(cx.multicast_ttl().unwrap(), 3);
    cx.set_multicast_loopback(false).unwrap();
    assert!(!cx.multicast_loopback().unwrap());
    cx.set_multicast_loopback(true).unwrap();
    assert!(cx.multicast_loopback().unwrap());
    assert!(cx.join_group(Ipv4Addr::new(10, 0, 0, 1).into(), None).is_err(), "no group");
    assert!(cx.leave_group(group.into(), Some(here.into())).is_err(), "not joined");
    cx.join_group(group.into(), Some(here.into())).unwrap();
    cx.set_multicast_interface(here).unwrap();
    // Several may listen there.
    let second = UdpListen::port(at(&cx).port()).listen_multiple(true);
    reactor.listen_udp(second, Probe::silent(&Log::default())).unwrap().stop_listening();
    cx.write_to("to the group", &SocketAddr::from((group, at(&cx).port())).into()).unwrap();
    run(reactor);
    assert_eq!(log.all(), ["start", "data to the group", "data to myself", "end", "stop"]);
}

on_both!(multicast_of_ipv6);
fn multicast_of_ipv6(reactor: &Reactor) {
    let log = Log::default();
    let cx = match reactor.listen_udp(("::1", 0), Probe::new(&log, |_, _, _| stop())) {
        Ok(cx) => cx,
        Err(error) => return eprintln!("not tested, there is no IPv6 here: {}", error.message()),
    };
    cx.set_multicast_ttl(7).unwrap();
    assert_eq!(cx.multicast_ttl().unwrap(), 7);
    cx.set_multicast_loopback(false).unwrap();
    assert!(!cx.multicast_loopback().unwrap());
    let group = IpAddr::from(Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x77));
    let loopback = Some(1.into());
    cx.join_group(group, loopback).unwrap();
    cx.leave_group(group, loopback).unwrap();
    assert!(cx.leave_group(group, loopback).is_err(), "it was left");
    let error = cx.join_group(group, Some(Ipv4Addr::LOCALHOST.into())).unwrap_err();
    assert!(error.to_string().contains("names an interface by its index"), "{error}");
    let error = cx.write_to("x", &"127.0.0.1:9".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("this port is of IPv6"), "{error}");
    cx.write_to("myself", &cx.get_host().unwrap()).unwrap();
    run(reactor);
    assert_eq!(log.all(), ["start", "data myself", "stop"]);
}
