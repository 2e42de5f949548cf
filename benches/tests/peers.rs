//! Every peer does what it is measured for: a server that lost or changed a byte would not be worth comparing with.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use twistor_bench::python;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

const ALL: &[&str] = &["echo", "line", "udp"];

/// A running server; dropping it kills the process.
struct Server(Child, SocketAddr);

impl Server {
    fn start(program: &[&str], mode: &str, flags: &[&str]) -> Server {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args([mode, "0"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening ").and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{command:?} said {line:?}"));
        Server(child, address)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.1, LIMIT).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check(program: &[&str], modes: &[&str], flags: &[&str]) {
    for mode in modes {
        let server = Server::start(program, mode, flags);
        match *mode {
            "udp" => datagrams(&server),
            mode => {
                pieces(&server, mode);
                flood(&server);
            }
        }
    }
}

/// Pieces sent one by one; those that have been answered are awaited before the next, so that the server meets each cut.
fn pieces(server: &Server, mode: &str) {
    let pieces: &[&[u8]] =
        &[b"one\r\n", b"tw", b"o", b"\r", b"\nthr", b"ee\r\n\r\nfour\r\nfi", b"ve\r\nsix\r\n", b"\r\n"];
    let (mut first, mut second) = (server.connect(), server.connect());
    let (mut sent, mut answered) = (Vec::new(), 0);
    for piece in pieces {
        sent.extend_from_slice(piece);
        let due = match mode {
            "line" => sent.windows(2).rposition(|two| two == b"\r\n").map_or(0, |at| at + 2),
            _ => sent.len(),
        };
        for stream in [&mut first, &mut second] {
            stream.write_all(piece).unwrap();
            let mut answer = vec![0; due - answered];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, sent[answered..due], "{mode}");
        }
        answered = due;
    }
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0, "the server closes what its client has ended");
    second.write_all(b"seven\r\n").unwrap();
    second.read_exact(&mut [0; 7]).unwrap();
}

/// So much that sockets fill up: what the server cannot send at once it has to keep.
fn flood(server: &Server) {
    let bytes: Vec<u8> = (0..200_000).flat_map(|n| format!("{n:038}\r\n").into_bytes()).collect();
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&bytes).unwrap());
        // Reading begins when much is under way.
        stream.peek(&mut [0]).unwrap();
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer == bytes, "the server changed what it was sent");
    });
}

fn datagrams(server: &Server) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(server.1).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut buffer = [0; 2048];
    for size in [1, 64, 1400] {
        let datagram = vec![size as u8; size];
        socket.send(&datagram).unwrap();
        let n = socket.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..n], datagram);
    }
    for n in 0..16 {
        socket.send(&[n; 64]).unwrap();
    }
    for n in 0..16 {
        assert_eq!(socket.recv(&mut buffer).unwrap(), 64);
        assert_eq!(buffer[..64], [n; 64]);
    }
}

#[test]
fn raw_epoll_answers_with_every_flag() {
    let path = &[env!("CARGO_BIN_EXE_peer_raw_epoll")];
    check(path, ALL, &[]);
    check(path, ALL, &["--edge", "--buffer", "256"]);
    check(path, ALL, &["--edge", "--buffer", "4", "--spin", "20"]);
}

#[test]
fn tokio_answers() {
    check(&[env!("CARGO_BIN_EXE_peer_tokio")], ALL, &[]);
    check(&[env!("CARGO_BIN_EXE_peer_tokio_codec")], &["line"], &[]);
}

#[test]
fn smol_answers() {
    check(&[env!("CARGO_BIN_EXE_peer_smol")], ALL, &[]);
}

#[test]
fn mio_answers() {
    check(&[env!("CARGO_BIN_EXE_peer_mio")], ALL, &[]);
}

#[test]
fn calloop_answers() {
    check(&[env!("CARGO_BIN_EXE_peer_calloop")], ALL, &[]);
}

/// A peer in Python, where a Python has its library.
fn check_python(library: &str, script: &str) {
    let Some((python, _)) = python(library) else {
        return println!("not checked: no Python here has {library}");
    };
    let script = format!("{}/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    check(&[&python.to_string_lossy(), &script], ALL, &[]);
}

#[test]
fn twisted_answers() {
    check_python("twisted", "twisted_server.py");
}

#[test]
fn uvloop_answers() {
    check_python("uvloop", "uvloop_server.py");
}
