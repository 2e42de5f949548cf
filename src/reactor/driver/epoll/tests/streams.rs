//! TCP.

use super::*;
use std::io::Read;

/// Both ends on one driver.
fn pair(driver: &EpollDriver, at: SocketAddr) -> (Known, Known) {
    let (port, address) = listening(driver, at);
    let client = Known::new(driver.connect(address, None).unwrap());
    client.watch(driver, WRITE);
    until(driver, |ready| ready.token == client.token);
    driver.take_error(&client).unwrap();
    let (server, peer) = driver.accept(&port).unwrap();
    assert_eq!(peer, driver.local_address(&client).unwrap());
    assert_eq!(address, driver.local_address(&server).unwrap().as_inet().unwrap());
    let server = Known::new(server);
    client.watch(driver, READ);
    server.watch(driver, READ);
    (client, server)
}

fn receive(driver: &EpollDriver, key: &Known) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let received = once_ready_mut(driver, key, &mut buffer)?;
    buffer.truncate(received);
    Ok(buffer)
}

fn once_ready_mut(driver: &EpollDriver, key: &Known, buffer: &mut [u8]) -> io::Result<usize> {
    let buffer = std::cell::RefCell::new(buffer);
    once_ready(driver, key, |handle| driver.receive(handle, &mut buffer.borrow_mut()))
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn bytes_go_both_ways_in_both_families() {
    for at in [LOCAL, LOCAL_V6] {
        let driver = driver();
        let (client, server) = pair(&driver, at);
        assert_eq!(driver.send(&client, &[IoSlice::new(b"hello")]).unwrap(), 5);
        assert_eq!(receive(&driver, &server).unwrap(), b"hello");
        let parts = [IoSlice::new(b"good"), IoSlice::new(b""), IoSlice::new(b"bye")];
        assert_eq!(driver.send(&server, &parts).unwrap(), 7);
        assert_eq!(receive(&driver, &client).unwrap(), b"goodbye");
    }
}

#[test]
fn nothing_blocks() {
    let driver = driver();
    let (port, _) = listening(&driver, LOCAL);
    assert_eq!(kind(driver.accept(&port)), io::ErrorKind::WouldBlock);
    let (client, _server) = pair(&driver, LOCAL);
    assert_eq!(kind(driver.receive(&client, &mut [0; 8])), io::ErrorKind::WouldBlock);
    let piece = vec![0; 1 << 20];
    let full = (0..1000).find_map(|_| driver.send(&client, &[IoSlice::new(&piece)]).err()).unwrap();
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn more_slices_than_the_kernel_takes_are_sent_in_part() {
    let driver = driver();
    let (client, server) = pair(&driver, LOCAL);
    let slices = vec![IoSlice::new(b"x"); 3000];
    assert_eq!(driver.send(&client, &slices).unwrap(), 1024);
    assert_eq!(receive(&driver, &server).unwrap().len(), 1024);
}

#[test]
fn shutdown_ends_one_direction() {
    let driver = driver();
    let (client, server) = pair(&driver, LOCAL);
    driver.shutdown(&client).unwrap();
    assert_eq!(receive(&driver, &server).unwrap(), b"");
    assert_eq!(kind(driver.send(&client, &[IoSlice::new(b"x")])), io::ErrorKind::BrokenPipe);
    driver.send(&server, &[IoSlice::new(b"still")]).unwrap();
    assert_eq!(receive(&driver, &client).unwrap(), b"still");
}

#[test]
fn shutdown_of_what_is_not_connected_is_no_error() {
    let driver = driver();
    let (client, server) = pair(&driver, LOCAL);
    driver.reset(server.handle);
    until(&driver, |ready| ready.token == client.token);
    assert_eq!(kind(receive(&driver, &client)), io::ErrorKind::ConnectionReset);
    driver.shutdown(&client).unwrap();
}

#[test]
fn close_is_an_end_and_reset_a_reset() {
    let driver = driver();
    let (key, mut peer) = connection(&driver);
    driver.close(key.handle);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);

    let (key, mut peer) = connection(&driver);
    driver.reset(key.handle);
    assert_eq!(kind(peer.read(&mut [0; 8])), io::ErrorKind::ConnectionReset);
}

#[test]
fn to_send_to_a_peer_that_has_gone_is_an_error_and_no_signal() {
    let driver = driver();
    let (key, peer) = connection(&driver);
    drop(peer);
    let data = [IoSlice::new(b"x")];
    let deadline = Instant::now() + PATIENCE;
    // The first is answered with a reset, which the next meets.
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = driver.send(&key, &data) {
            break error;
        }
    };
    assert!(matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
}

#[test]
fn a_connection_that_is_refused_says_so_when_it_is_writable() {
    let driver = driver();
    let (port, address) = listening(&driver, LOCAL);
    driver.close(port.handle);
    match driver.connect(address, None) {
        Ok(handle) => {
            let key = Known::new(handle);
            key.watch(&driver, WRITE);
            until(&driver, |ready| ready.token == key.token);
            assert_eq!(kind(driver.take_error(&key)), io::ErrorKind::ConnectionRefused);
            assert_eq!(kind(driver.take_error(&key)), io::ErrorKind::WouldBlock); // told once
        }
        Err(refused) => panic!("{refused:?}"),
    }
}

#[test]
fn a_connection_comes_from_where_it_was_told_to() {
    let driver = driver();
    let (port, address) = listening(&driver, LOCAL);
    let from: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let _client = driver.connect(address, Some(from)).unwrap();
    port.watch(&driver, READ);
    let (_, peer) = once_ready(&driver, &port, |port| driver.accept(port)).unwrap();
    assert_eq!(peer.as_inet().unwrap().ip(), from.ip());

    let not_ours: SocketAddr = "192.0.2.77:0".parse().unwrap();
    let refused = driver.connect(address, Some(not_ours)).unwrap_err();
    assert!(matches!(&refused, Refused::Bind(e) if e.kind() == io::ErrorKind::AddrNotAvailable));
    assert!(matches!(driver.connect(address, Some(LOCAL_V6)), Err(Refused::Bind(_))));
}

#[test]
fn a_connection_that_cannot_begin_is_refused_at_once() {
    let broadcast: SocketAddr = "255.255.255.255:9".parse().unwrap();
    assert!(matches!(driver().connect(broadcast, None), Err(Refused::Connect(_))));
}

#[test]
fn a_port_is_listened_on_once_unless_it_is_shared() {
    let driver = driver();
    let (_port, at) = listening(&driver, LOCAL);
    let again = Listen { at, backlog: 50, reuse_address: true, reuse_port: false };
    assert_eq!(kind(driver.listen(&again)), io::ErrorKind::AddrInUse);

    let shared = Listen { at: LOCAL, backlog: u32::MAX, reuse_address: false, reuse_port: true };
    let first = driver.listen(&shared).unwrap();
    let at = driver.local_address(&first).unwrap().as_inet().unwrap();
    let _second = driver.listen(&Listen { at, ..shared }).unwrap();
}

#[test]
fn an_address_can_be_used_again_at_once() {
    let driver = driver();
    let (port, at) = listening(&driver, LOCAL);
    let mut peer = TcpStream::connect(at).unwrap();
    let (key, _) = driver.accept(&port).unwrap();
    // Who closes first keeps the address for a minute, in TIME_WAIT.
    driver.close(key);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    drop(peer);
    driver.close(port.handle);
    let again = Listen { at, backlog: 50, reuse_address: true, reuse_port: false };
    driver.listen(&again).unwrap();
}

#[test]
fn options_of_a_stream_are_what_they_were_set_to() {
    let driver = driver();
    let (key, _peer) = connection(&driver);
    for (name, option) in [
        (OptionName::NoDelay, SocketOption::NoDelay as fn(bool) -> SocketOption),
        (OptionName::KeepAlive, SocketOption::KeepAlive),
    ] {
        assert_eq!(driver.option(&key, name).unwrap(), 0);
        driver.set_option(&key, option(true)).unwrap();
        assert_eq!(driver.option(&key, name).unwrap(), 1);
        driver.set_option(&key, option(false)).unwrap();
        assert_eq!(driver.option(&key, name).unwrap(), 0);
    }
}

#[test]
fn a_listener_hands_its_options_on() {
    let driver = driver();
    let (port, address) = listening(&driver, LOCAL);
    driver.set_option(&port, SocketOption::NoDelay(true)).unwrap();
    let _peer = TcpStream::connect(address).unwrap();
    let (key, _) = driver.accept(&port).unwrap();
    assert_eq!(driver.option(&key, OptionName::NoDelay).unwrap(), 1);
}
