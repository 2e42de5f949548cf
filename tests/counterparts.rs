//! The core's rows with Python at the other end: TCP in both roles, UDP, multicast, names. The other rows have theirs where they are tested.

#[path = "support/counterpart.rs"]
mod counterpart;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Failure, Protocol, Reactor, Result,
    defer::{Deferred, Promise},
    factory, testing,
    udp::UdpListen,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A script that runs; killed when dropped.
struct Python {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Python {
    /// None if there is none here.
    fn start(script: &str, arguments: &[String]) -> Option<Python> {
        let script = format!("import socket, struct, sys\nsocket.setdefaulttimeout(20)\n{script}");
        let mut command = Command::new(counterpart::find("python3")?);
        command.args(["-c", &script]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Some(Python { child, out })
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("text");
        line.trim().to_string()
    }

    /// All that it says until it ends, which it does in order.
    fn rest(mut self) -> Result<String> {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest)?;
        assert!(self.child.wait()?.success());
        Ok(rest.trim().to_string())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Tells who has ended its direction how much came before.
#[derive(Default)]
struct Counting(usize);

impl Protocol for Counting {
    const HALF_CLOSEABLE: bool = true;

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.0 += data.len();
    }

    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        cx.write(format!("{} bytes", self.0));
        cx.lose_connection();
    }
}

#[test]
fn a_client_of_pythons_ends_its_direction_and_is_answered() -> Result<()> {
    const SCRIPT: &str = "
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'x' * 1_000_000)
s.shutdown(socket.SHUT_WR)
print(s.makefile().read())
";
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Counting::default()))?;
    let at = port.get_host()?.as_inet().expect("TCP").port();
    let Some(python) = Python::start(SCRIPT, &[at.to_string()]) else { return Ok(()) };
    let said = reactor.defer_to_thread(move || python.rest());
    assert_eq!(testing::run(&reactor, LIMIT, said)?, "1000000 bytes");
    Ok(())
}

/// Answers the greeting, and ends.
struct Polite(Option<Promise<()>>);

impl Protocol for Polite {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        self.0.take().expect("its end, once").callback(());
    }
}

#[test]
fn a_server_of_pythons_is_connected_to_and_reads_the_end() -> Result<()> {
    const SCRIPT: &str = "
s = socket.create_server(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
c, peer = s.accept()
c.sendall(b'hello')
print(c.makefile().read(), peer[0])
";
    let Some(mut python) = Python::start(SCRIPT, &[]) else { return Ok(()) };
    let at: u16 = python.line().parse()?;
    let reactor = Reactor::new()?;
    let r = reactor.clone();
    let said = testing::run(&reactor, LIMIT, async move {
        let (over, promise) = Deferred::pending();
        let _cx = r.connect_protocol(("127.0.0.1", at), Polite(Some(promise))).await?;
        over.await?;
        r.defer_to_thread(move || python.rest()).await
    })?;
    assert_eq!(said, "hello 127.0.0.1");
    Ok(())
}

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 9);

/// Answers in capitals: to who has sent, and what was for the group to the group, at the sender's port.
struct Answers;

impl DatagramProtocol for Answers {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        let from = from.as_inet().expect("UDP");
        let to = if data == b"group" { SocketAddr::from((GROUP, from.port())) } else { from };
        cx.write_to(data.to_ascii_uppercase(), &to.into()).expect("it is sent");
    }
}

#[test]
fn python_sends_datagrams_to_us_and_to_a_group_and_is_answered() -> Result<()> {
    const SCRIPT: &str = "
group, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 0))
here = socket.inet_aton('127.0.0.1')
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + here)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
s.sendto(b'one', ('127.0.0.1', port))
print(s.recv(100).decode())
s.sendto(b'group', (group, port))
heard = {s.recv(100).decode()}
while 'GROUP' not in heard: heard.add(s.recv(100).decode())
print('GROUP')
";
    let reactor = Reactor::new()?;
    let cx = reactor.listen_udp(UdpListen::port(0), Answers)?;
    cx.join_group(GROUP.into(), Some(Ipv4Addr::LOCALHOST.into()))?;
    cx.set_multicast_interface(Ipv4Addr::LOCALHOST)?;
    let port = cx.get_host()?.as_inet().expect("UDP").port();
    let Some(python) = Python::start(SCRIPT, &[GROUP.to_string(), port.to_string()]) else { return Ok(()) };
    let said = reactor.defer_to_thread(move || python.rest());
    assert_eq!(testing::run(&reactor, LIMIT, said)?, "ONE\nGROUP");
    Ok(())
}

#[test]
fn a_name_has_the_addresses_that_python_is_told() -> Result<()> {
    const SCRIPT: &str = "
for found in socket.getaddrinfo('localhost', None, type=socket.SOCK_STREAM): print(found[4][0])
";
    let Some(python) = Python::start(SCRIPT, &[]) else { return Ok(()) };
    let reactor = Reactor::new()?;
    let r = reactor.clone();
    let ours = testing::run(&reactor, LIMIT, async move { r.resolve_all("localhost", 80).await })?;
    let theirs: BTreeSet<IpAddr> =
        python.rest()?.lines().map(|line| line.parse().expect("an address")).collect();
    assert!(
        ours.iter().all(|address| theirs.contains(&address.ip())) && !ours.is_empty(),
        "{ours:?}, {theirs:?}"
    );
    Ok(())
}
