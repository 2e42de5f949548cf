//! Sockets of datagrams.

use super::{
    counterparts::{output, python},
    folder::Folder,
    loopback::{Log, run, stop},
};
use std::{fs, io, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};
use twistor::{
    Address, DatagramContext, DatagramProtocol, Reactor,
    address::{InvalidAddressError, UnixAddress},
    error::{CannotListenError, ConnectError, ConnectErrorKind, MessageLengthError},
    unix::UnixDatagrams,
};

/// Logs what comes, with where from; sends it back if it has an end there.
struct Port {
    log: Log,
    echoes: bool,
    /// Stops the reactor after so many.
    left: usize,
}

impl DatagramProtocol for Port {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        self.log.add(format!("{} from {from}", String::from_utf8_lossy(data)));
        if self.echoes {
            cx.write_to(data, from).expect("it has a name");
        }
        self.left -= 1;
        if self.left == 0 {
            stop();
        }
    }

    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        self.log.add("stopped");
    }
}

fn port(log: &Log, echoes: bool, left: usize) -> Port {
    Port { log: log.clone(), echoes, left }
}

fn text(path: &std::path::Path) -> String {
    format!("unix:{}", path.display())
}

fn at(path: &std::path::Path) -> Address {
    UnixAddress::from(path).into()
}

#[test]
fn what_is_sent_comes_back_to_who_has_a_name() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("echo"));
    let (here, there) = (folder.at("here"), folder.at("there"));
    let (log, echoes) = (Log::default(), Log::default());
    let _echo = reactor.listen_unix_datagram(&there, port(&echoes, true, 9)).unwrap();
    let cx = reactor.listen_unix_datagram(&here, port(&log, false, 2)).unwrap();
    assert_eq!(cx.get_host().unwrap(), at(&here));
    cx.write_to("", &at(&there)).unwrap(); // it may be empty
    cx.write_to("hello", &at(&there)).unwrap();
    run(&reactor);
    let (here, there) = (text(&here), text(&there));
    assert_eq!(echoes.all()[..2], [format!(" from {here}"), format!("hello from {here}")]);
    assert_eq!(log.all()[..2], [format!(" from {there}"), format!("hello from {there}")]);
}

#[test]
fn a_connected_one_hears_its_peer_alone_and_who_has_no_name_is_unnamed() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("connected"));
    let (here, there) = (folder.at("here"), folder.at("there"));
    let (log, echoes) = (Log::default(), Log::default());
    let server = reactor.listen_unix_datagram(&there, port(&echoes, false, 2)).unwrap();
    let cx = reactor.connect_unix_datagram(&there, &here, port(&log, false, 9)).unwrap();
    cx.write("to the peer").unwrap();
    let stranger = reactor.listen_unix_datagram("", port(&log, false, 9)).unwrap();
    stranger.write_to("to the server", &at(&there)).unwrap();
    let refused = stranger.write_to("to the other", &at(&here)).unwrap_err();
    assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::PermissionDenied);
    run(&reactor);
    assert_eq!(echoes.all()[0], format!("to the peer from {}", text(&here)));
    assert_eq!(echoes.all()[1], "to the server from unix:");
    drop((server, reactor));
    assert!(!here.exists() && !there.exists());
}

#[test]
fn its_file_has_its_mode_and_goes_with_it() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("file"));
    let path = folder.at("s");
    let log = Log::default();
    let cx =
        reactor.listen_unix_datagram(UnixDatagrams::new(&path).mode(0o622), port(&log, false, 1)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o622);
    let taken = reactor.listen_unix_datagram(&path, port(&log, false, 1)).unwrap_err();
    assert_eq!(taken.value::<CannotListenError>().expect("by name").cause().kind(), io::ErrorKind::AddrInUse);
    drop(cx.stop_listening());
    assert!(!path.exists());
    assert_eq!(log.all(), ["stopped"]);
}

#[test]
fn a_peer_that_is_not_there_is_an_error_by_name_and_leaves_nothing() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("nobody"));
    let (here, there) = (folder.at("here"), folder.at("there"));
    let log = Log::default();
    let failed = reactor.connect_unix_datagram(&there, &here, port(&log, false, 1)).unwrap_err();
    assert_eq!(failed.value::<ConnectError>().expect("by name").kind(), ConnectErrorKind::BadFile);
    assert!(!here.exists());
    assert_eq!(log.all(), [""; 0], "its protocol was told nothing");

    let cx = reactor.listen_unix_datagram(&here, port(&log, false, 1)).unwrap();
    let kind = |to: &Address| io::Error::from(cx.write_to("x", to).unwrap_err()).kind();
    assert_eq!(kind(&at(&there)), io::ErrorKind::NotFound);
    drop(std::os::unix::net::UnixDatagram::bind(&there).unwrap());
    assert_eq!(kind(&at(&there)), io::ErrorKind::ConnectionRefused);
    let udp = "127.0.0.1:9".parse().unwrap();
    assert!(cx.write_to("x", &udp).unwrap_err().check::<InvalidAddressError>());
    let udp = reactor.listen_udp(("127.0.0.1", 0), port(&log, false, 1)).unwrap();
    assert!(udp.write_to("x", &at(&there)).unwrap_err().check::<InvalidAddressError>());
    assert!(udp.connect(at(&there)).unwrap_err().check::<InvalidAddressError>());
}

#[test]
fn what_does_not_fit_is_told_and_nothing_is_dropped() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("full"));
    let path = folder.at("s");
    let log = Log::default();
    let server = reactor.listen_unix_datagram(&path, port(&log, false, usize::MAX)).unwrap();
    let cx = reactor.connect_unix_datagram(&path, "", port(&Log::default(), false, 1)).unwrap();
    assert!(cx.write(vec![0; 8 << 20]).unwrap_err().check::<MessageLengthError>());
    let taken = (0..10_000).take_while(|number| match cx.write(format!("{number}")) {
        Ok(()) => true,
        Err(full) => {
            assert_eq!(io::Error::from(full).kind(), io::ErrorKind::WouldBlock);
            false
        }
    });
    let taken = taken.count();
    assert!(0 < taken && taken < 10_000, "{taken}");
    reactor.call_later(Duration::ZERO, || {
        Reactor::current().spawn(async {
            super::loopback::turns().await;
            stop();
            Ok(())
        });
    });
    run(&reactor);
    drop(server);
    let expected: Vec<String> = (0..taken).map(|number| format!("{number} from unix:")).collect();
    assert_eq!(log.all()[..taken], expected);
}

#[test]
fn python_sends_and_is_answered() {
    let script = r#"
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.settimeout(20)
s.bind(path + ".python")
s.sendto(b"hello", path)
data, sender = s.recvfrom(100)
print(data.decode(), sender == path)
"#;
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("python-datagrams"));
    let path: PathBuf = folder.at("s");
    let log = Log::default();
    let _port = reactor.listen_unix_datagram(&path, port(&log, true, 1)).unwrap();
    let Some(child) = python(script, &path) else { return };
    run(&reactor);
    assert_eq!(output(child), "hello True\n");
    assert_eq!(log.all()[0], format!("hello from {}.python", text(&path)));
}
