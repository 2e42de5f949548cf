//! UDP, with multicast on the loopback interface.

use super::*;
use crate::{
    address::Address,
    reactor::driver::{Interface, Membership},
};

pub(super) fn port(driver: &EpollDriver) -> (Known, SocketAddr) {
    port_at(driver, LOCAL)
}

fn port_at(driver: &EpollDriver, at: SocketAddr) -> (Known, SocketAddr) {
    let port = driver.bind(&Bind { at, reuse_address: false, reuse_port: false }).unwrap();
    let address = driver.local_address(&port).unwrap().as_inet().unwrap();
    (Known::new(port), address)
}

fn receive(driver: &EpollDriver, key: &Known) -> io::Result<(Vec<u8>, SocketAddr)> {
    key.watch(driver, READ);
    once_ready(driver, key, |handle| {
        let (mut buffer, mut from) = ([0; 64], Address::Pipe);
        let length = driver.receive_from(handle, &mut buffer, &mut from)?;
        Ok((buffer[..length].to_vec(), from.as_inet().unwrap()))
    })
}

#[test]
fn datagrams_keep_their_bounds_and_their_sender() {
    for at in [LOCAL, LOCAL_V6] {
        let driver = driver();
        let ((a, from), (b, to)) = (port_at(&driver, at), port_at(&driver, at));
        for data in [&b"one"[..], b"", b"three"] {
            assert_eq!(driver.send_to(&a, data, Some(&to)).unwrap(), data.len());
        }
        assert_eq!(receive(&driver, &b).unwrap(), (b"one".to_vec(), from));
        assert_eq!(receive(&driver, &b).unwrap(), (b"".to_vec(), from));
        assert_eq!(receive(&driver, &b).unwrap(), (b"three".to_vec(), from));
        let error = driver.receive_from(&b, &mut [0; 8], &mut Address::Pipe).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn what_exceeds_the_buffer_is_lost() {
    let driver = driver();
    let ((a, _), (b, to)) = (port(&driver), port(&driver));
    driver.send_to(&a, &[7; 100], Some(&to)).unwrap();
    driver.send_to(&a, b"next", Some(&to)).unwrap();
    assert_eq!(receive(&driver, &b).unwrap().0, [7; 64]);
    assert_eq!(receive(&driver, &b).unwrap().0, b"next");
}

#[test]
fn a_connected_port_has_one_peer() {
    let driver = driver();
    let ((a, at_a), (b, at_b), (c, _)) = (port(&driver), port(&driver), port(&driver));
    driver.connect_datagrams(&a, at_b).unwrap();
    driver.send_to(&a, b"to b", None).unwrap();
    assert_eq!(receive(&driver, &b).unwrap(), (b"to b".to_vec(), at_a));
    driver.send_to(&c, b"a stranger", Some(&at_a)).unwrap();
    driver.send_to(&b, b"to a", Some(&at_a)).unwrap();
    assert_eq!(receive(&driver, &a).unwrap(), (b"to a".to_vec(), at_b));
}

#[test]
fn a_port_that_is_not_connected_needs_an_address() {
    let driver = driver();
    let (key, _) = port(&driver);
    // EDESTADDRREQ
    assert_eq!(driver.send_to(&key, b"x", None).unwrap_err().raw_os_error(), Some(89));
}

#[test]
fn a_connected_port_meets_the_refusal_of_its_peer() {
    let driver = driver();
    let ((a, _), (b, to)) = (port(&driver), port(&driver));
    driver.close(b.handle);
    driver.connect_datagrams(&a, to).unwrap();
    driver.send_to(&a, b"x", None).unwrap();
    assert_eq!(receive(&driver, &a).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_port_is_bound_once_unless_it_is_shared() {
    let driver = driver();
    let shared = Bind { at: LOCAL, reuse_address: true, reuse_port: true };
    let first = driver.bind(&shared).unwrap();
    let at = driver.local_address(&first).unwrap().as_inet().unwrap();
    let _second = driver.bind(&Bind { at, ..shared }).unwrap();
    let alone = Bind { at, reuse_address: false, reuse_port: false };
    assert_eq!(driver.bind(&alone).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn broadcast_must_be_allowed() {
    let driver = driver();
    let (key, _) = port(&driver);
    let everybody = "127.255.255.255:9".parse().unwrap();
    assert_eq!(driver.option(&key, OptionName::Broadcast).unwrap(), 0);
    let error = driver.send_to(&key, b"x", Some(&everybody)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    driver.set_option(&key, SocketOption::Broadcast(true)).unwrap();
    assert_eq!(driver.option(&key, OptionName::Broadcast).unwrap(), 1);
    driver.send_to(&key, b"x", Some(&everybody)).unwrap();
}

#[test]
fn multicast_options_are_what_they_were_set_to_in_both_families() {
    for at in [LOCAL, LOCAL_V6] {
        let driver = driver();
        let (key, _) = port_at(&driver, at);
        assert_eq!(driver.option(&key, OptionName::MulticastTtl).unwrap(), 1);
        driver.set_option(&key, SocketOption::MulticastTtl(17)).unwrap();
        assert_eq!(driver.option(&key, OptionName::MulticastTtl).unwrap(), 17);
        assert!(driver.set_option(&key, SocketOption::MulticastTtl(256)).is_err());

        assert_eq!(driver.option(&key, OptionName::MulticastLoopback).unwrap(), 1);
        driver.set_option(&key, SocketOption::MulticastLoopback(false)).unwrap();
        assert_eq!(driver.option(&key, OptionName::MulticastLoopback).unwrap(), 0);
    }
}

/// The loopback interface, in each family's words.
const LOOPBACK: Interface = Interface::Address(Ipv4Addr::LOCALHOST);
const LOOPBACK_INDEX: Interface = Interface::Index(1);

/// A group with a port that is bound for it, and the interface to use.
fn group(driver: &EpollDriver, group: &str, interface: Interface) -> (Known, SocketAddr, Membership) {
    let group: IpAddr = group.parse().unwrap();
    let any = if group.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let (key, at) = port_at(driver, any.parse().unwrap());
    driver.set_option(&key, SocketOption::MulticastInterface(interface)).unwrap();
    (key, SocketAddr::new(group, at.port()), Membership { group, interface: Some(interface) })
}

#[test]
fn a_member_of_a_group_hears_it_until_it_leaves() {
    let driver = driver();
    for (name, interface) in [("239.7.7.7", LOOPBACK), ("239.7.7.8", LOOPBACK_INDEX)] {
        let (key, to, membership) = group(&driver, name, interface);
        driver.set_option(&key, SocketOption::Join(membership)).unwrap();
        driver.send_to(&key, b"to all", Some(&to)).unwrap();
        assert_eq!(receive(&driver, &key).unwrap().0, b"to all");

        driver.set_option(&key, SocketOption::Leave(membership)).unwrap();
        driver.send_to(&key, b"to the others", Some(&to)).unwrap();
        assert_eq!(overhear(&driver), []);
        driver.close(key.handle);
    }
}

/// In IPv6 too, where the loopback interface has no route for groups and nothing can be heard.
#[test]
fn only_a_member_of_a_group_can_leave_it() {
    let driver = driver();
    for (name, interface) in
        [("239.7.7.9", LOOPBACK), ("239.7.7.9", LOOPBACK_INDEX), ("ff01::7:7", LOOPBACK_INDEX)]
    {
        let (key, _, membership) = group(&driver, name, interface);
        let leave = || driver.set_option(&key, SocketOption::Leave(membership));
        assert_eq!(leave().unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        driver.set_option(&key, SocketOption::Join(membership)).unwrap();
        leave().unwrap();
        assert_eq!(leave().unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}

#[test]
fn ipv6_does_not_know_interfaces_by_address() {
    let driver = driver();
    let (key, _) = port_at(&driver, LOCAL_V6);
    let membership = Membership { group: "ff01::7:7".parse().unwrap(), interface: Some(LOOPBACK) };
    for option in [SocketOption::Join(membership), SocketOption::MulticastInterface(LOOPBACK)] {
        let error = driver.set_option(&key, option).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("index"), "{error}");
    }
}
