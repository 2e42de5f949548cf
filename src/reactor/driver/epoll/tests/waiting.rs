//! The poll set: what is told, when, and to whom.

use super::*;

#[test]
fn readiness_is_told_until_it_is_dealt_with() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    assert_eq!(look(&driver), [ready(&key, READ)]);
    assert_eq!(look(&driver), [ready(&key, READ)]);
    assert_eq!(driver.receive(&key, &mut [0; 8]).unwrap(), 1);
    assert_eq!(look(&driver), []);
}

#[test]
fn what_is_told_is_what_was_asked() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    for interest in [READ, WRITE, BOTH, READ] {
        key.watch(&driver, interest);
        assert_eq!(look(&driver), [ready(&key, interest)]);
    }
}

#[test]
fn a_change_to_the_same_interest_is_no_change() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    key.watch(&driver, READ);
    key.watch(&driver, NONE);
    key.watch(&driver, NONE);
    assert_eq!(look(&driver), []);
    key.watch(&driver, READ);
    assert_eq!(look(&driver), [ready(&key, READ)]);
}

#[test]
fn without_interest_not_even_a_hang_up_is_told() {
    let driver = driver();
    let (key, peer) = readable(&driver);
    reset(peer);
    until(&driver, |told| told.token == key.token);
    key.watch(&driver, NONE);
    assert_eq!(overhear(&driver), []);
    key.watch(&driver, READ);
    assert_eq!(look(&driver), [ready(&key, BOTH)]);
}

#[test]
fn a_hang_up_is_told_as_both_whatever_was_asked() {
    let driver = driver();
    let (key, peer) = connection(&driver);
    key.watch(&driver, READ);
    reset(peer);
    until(&driver, |told| told.read);
    for interest in [READ, WRITE, BOTH] {
        key.watch(&driver, interest);
        assert_eq!(look(&driver), [ready(&key, BOTH)]);
    }
    let error = driver.receive(&key, &mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn an_idle_connection_says_nothing() {
    let driver = driver();
    let (key, _peer) = connection(&driver);
    key.watch(&driver, READ);
    assert_eq!(overhear(&driver), []);
}

#[test]
fn what_exceeds_a_batch_is_told_by_the_next_wait() {
    let driver = driver();
    let ports: Vec<_> = (0..300).map(|_| datagrams::port(&driver).0).collect();
    for port in &ports {
        port.watch(&driver, WRITE);
    }
    let first = look(&driver);
    assert_eq!(first.len(), 256);
    let mut told: Vec<_> = first.into_iter().chain(look(&driver)).map(|ready| ready.token.0).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), ports.len());
}

#[test]
fn a_wait_appends() {
    let driver = driver();
    let ((key, _peer), (other, _)) = (readable(&driver), connection(&driver));
    let mut both = vec![ready(&other, WRITE)];
    driver.wait(None, &mut both).unwrap();
    assert_eq!(both, [ready(&other, WRITE), ready(&key, READ)]);
}

#[test]
fn a_wait_never_ends_before_its_time() {
    let driver = driver();
    for micros in [0, 1, 300, 999, 1_000, 1_001, 2_500, 7_300] {
        let time = Duration::from_micros(micros);
        let start = Instant::now();
        driver.wait(Some(time), &mut Vec::new()).unwrap();
        assert!(start.elapsed() >= time, "{time:?} ended after {:?}", start.elapsed());
    }
}

#[test]
fn a_wait_may_be_longer_than_the_kernel_can_count() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    let mut told = Vec::new();
    driver.wait(Some(Duration::MAX), &mut told).unwrap();
    assert_eq!(told, [ready(&key, READ)]);
}

#[test]
fn a_closed_socket_is_told_no_more() {
    let driver = driver();
    let ((closed, _peer), (dropped, _other)) = (readable(&driver), readable(&driver));
    driver.close(closed.handle);
    drop(dropped);
    assert_eq!(look(&driver), []);
}

#[test]
fn one_in_memory_is_no_socket_of_the_system() {
    let driver = driver();
    let virtual_one = Handle::Virtual(0);
    assert_eq!(driver.receive(&virtual_one, &mut [0; 8]).unwrap_err().raw_os_error(), Some(9));
    let watched = driver.watch(&virtual_one, Token(0), NONE, READ);
    assert_eq!(watched.unwrap_err().raw_os_error(), Some(9));
    driver.reset(virtual_one);
}

/// Closes with a reset, as a peer does that has not read all.
fn reset(peer: TcpStream) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}
