//! Socket options, in the dialect of the socket's family.

use super::socket::Socket;
use crate::reactor::driver::{Interface, Membership, OptionName, SocketOption};
use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;
use socket2::{Domain, InterfaceIndexOrAddress, SockRef};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

pub(super) fn set(socket: Socket<'_>, option: SocketOption) -> io::Result<()> {
    let it = SockRef::from(&socket);
    match option {
        SocketOption::NoDelay(on) => it.set_tcp_nodelay(on),
        SocketOption::KeepAlive(on) => it.set_keepalive(on),
        SocketOption::Broadcast(on) => it.set_broadcast(on),
        SocketOption::MulticastTtl(hops) if is_v6(&it)? => it.set_multicast_hops_v6(hops),
        SocketOption::MulticastTtl(hops) => it.set_multicast_ttl_v4(hops),
        SocketOption::MulticastLoopback(on) if is_v6(&it)? => it.set_multicast_loop_v6(on),
        SocketOption::MulticastLoopback(on) => it.set_multicast_loop_v4(on),
        SocketOption::MulticastInterface(interface) if is_v6(&it)? => {
            it.set_multicast_if_v6(interface.index()?)
        }
        SocketOption::MulticastInterface(Interface::Address(address)) => it.set_multicast_if_v4(&address),
        SocketOption::MulticastInterface(Interface::Index(index)) => {
            let any = Ipv4Addr::UNSPECIFIED;
            Ok(set_ip_multicast_if_with_ifindex(socket, &any, &any, index)?)
        }
        SocketOption::Join(membership) => join(&it, membership),
        SocketOption::Leave(membership) => leave(&it, membership),
    }
}

/// A switch is 0 or 1.
pub(super) fn get(socket: Socket<'_>, name: OptionName) -> io::Result<u32> {
    let it = SockRef::from(&socket);
    match name {
        OptionName::NoDelay => it.tcp_nodelay().map(u32::from),
        OptionName::KeepAlive => it.keepalive().map(u32::from),
        OptionName::Broadcast => it.broadcast().map(u32::from),
        OptionName::MulticastTtl if is_v6(&it)? => it.multicast_hops_v6(),
        OptionName::MulticastTtl => it.multicast_ttl_v4(),
        OptionName::MulticastLoopback if is_v6(&it)? => it.multicast_loop_v6().map(u32::from),
        OptionName::MulticastLoopback => it.multicast_loop_v4().map(u32::from),
    }
}

fn join(socket: &SockRef<'_>, Membership { group, interface }: Membership) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &either(interface)),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.unwrap_or(ANY).index()?),
    }
}

fn leave(socket: &SockRef<'_>, Membership { group, interface }: Membership) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &either(interface)),
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface.unwrap_or(ANY).index()?),
    }
}

/// The system's choice.
const ANY: Interface = Interface::Index(0);

/// An interface for IPv4, whose newer request (ip_mreqn) takes both names.
fn either(interface: Option<Interface>) -> InterfaceIndexOrAddress {
    match interface.unwrap_or(ANY) {
        Interface::Address(address) => InterfaceIndexOrAddress::Address(address),
        Interface::Index(index) => InterfaceIndexOrAddress::Index(index),
    }
}

/// Asked of the kernel: options are rare, and the socket need not remember it.
fn is_v6(socket: &SockRef<'_>) -> io::Result<bool> {
    Ok(socket.domain()? == Domain::IPV6)
}
