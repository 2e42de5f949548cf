//! The five programs of the guides: one conversation with the Rust one and with the Python one, and the same bytes on the wire.
//!
//! `cargo test` builds the examples first; with `--test programs` alone, run `cargo build -p twistor-twisted --examples` before.

mod support;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Far more than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A step of a conversation. The number says which connection.
enum Step {
    Connect(u8),
    Send(u8, Vec<u8>),
    /// So many bytes come.
    Receive(u8, usize),
    /// The rest comes, and then the server closes.
    End(u8),
    /// This side sends no more.
    Finish(u8),
    /// A datagram, and the one that answers it.
    Datagram(u8, Vec<u8>),
}
use Step::*;

fn send(connection: u8, bytes: impl AsRef<[u8]>) -> Step {
    Send(connection, bytes.as_ref().to_vec())
}

/// A server that runs; ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(mut command: Command) -> Server {
        let child = command.arg("0").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut server = Server { child, port: 0 };
        let mut line = String::new();
        let told = BufReader::new(server.child.stdout.as_mut().expect("it is piped")).read_line(&mut line);
        let port = line.trim().strip_prefix("listening on port ").and_then(|port| port.parse().ok());
        server.port = port.unwrap_or_else(|| panic!("it said {line:?}, {told:?}"));
        server
    }

    fn rust(name: &str) -> Server {
        let tests = env::current_exe().expect("a test knows where it is");
        let built = tests
            .parent()
            .and_then(|deps| deps.parent())
            .expect("target/debug")
            .join("examples")
            .join(format!("guide_{name}"));
        assert!(
            built.exists(),
            "{} is not built; `cargo test` builds it, or `cargo build -p twistor-twisted --examples`",
            built.display()
        );
        Server::start(Command::new(built))
    }

    fn python(python: &str, name: &str) -> Server {
        let mut command = Command::new(python);
        command.arg(support::path(&format!("examples/guide_{name}.py")));
        Server::start(command)
    }

    /// Plays the client, and writes down all that goes over the wire.
    fn talk(&self, conversation: &[Step]) -> String {
        let mut client = Client { port: self.port, streams: BTreeMap::new(), written: String::new() };
        conversation.iter().for_each(|step| client.play(step));
        client.written
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    port: u16,
    streams: BTreeMap<u8, TcpStream>,
    written: String,
}

impl Client {
    fn play(&mut self, step: &Step) {
        match step {
            Connect(c) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
                stream.set_nodelay(true).expect("a socket takes it");
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
                self.streams.insert(*c, stream);
                self.write(format_args!("{c} connected"));
            }
            Send(c, bytes) => {
                self.stream(*c).write_all(bytes).expect("it is connected");
                self.write(format_args!("{c} > {}", bytes.escape_ascii()));
            }
            Receive(c, length) => {
                let mut bytes = vec![0; *length];
                self.stream(*c).read_exact(&mut bytes).expect("so many bytes");
                self.write(format_args!("{c} < {}", bytes.escape_ascii()));
            }
            End(c) => {
                let mut rest = vec![];
                self.stream(*c).read_to_end(&mut rest).expect("it closes in order");
                self.streams.remove(c);
                self.write(format_args!("{c} < {} and the end", rest.escape_ascii()));
            }
            Finish(c) => {
                self.stream(*c).shutdown(Shutdown::Write).expect("it is connected");
                self.write(format_args!("{c} finished"));
            }
            Datagram(c, bytes) => {
                let answer = exchange(self.port, bytes);
                self.write(format_args!("{c} > {}", bytes.escape_ascii()));
                self.write(format_args!("{c} < {}", answer.escape_ascii()));
            }
        }
    }

    fn stream(&mut self, connection: u8) -> &mut TcpStream {
        self.streams.get_mut(&connection).expect("the conversation connects first")
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.written, "{line}").expect("a text takes it");
    }
}

fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
    socket.send_to(bytes, (Ipv4Addr::LOCALHOST, port)).expect("it is sent");
    let mut answer = vec![0; 65_536];
    let (length, _) = socket.recv_from(&mut answer).expect("an answer");
    answer.truncate(length);
    answer
}

fn compare(name: &str, conversation: &[Step]) {
    let ours = Server::rust(name).talk(conversation);
    support::same_as_twisted(name, &ours, |python| Server::python(python, name).talk(conversation));
}

#[test]
fn qotd_gives_the_same_quote() {
    compare("qotd", &[Connect(1), End(1), Connect(2), End(2)]);
}

#[test]
fn the_counted_echo_counts_alike_and_turns_away_alike() {
    const WELCOME: usize = "1 of 3\r\n".len();
    let bytes: Vec<u8> = (0..=255).collect();
    compare(
        "counted_echo",
        &[
            Connect(1),
            Receive(1, WELCOME),
            Connect(2),
            Receive(2, WELCOME),
            Connect(3),
            Receive(3, WELCOME),
            send(2, &bytes),
            Receive(2, bytes.len()),
            Connect(4),
            End(4),
            Finish(2),
            End(2),
            Connect(5),
            Receive(5, WELCOME),
            send(5, "again"),
            Receive(5, 5),
        ],
    );
}

#[test]
fn the_finger_chain_answers_and_traps_alike() {
    let ask = |c, question: &str| [Connect(c), send(c, question), End(c)];
    let asked = [
        ask(1, "moshez\r\n"),
        ask(2, "ada\r\n"),
        ask(3, "boole\r\n"), // the second look-up fails
        ask(4, "nobody\r\n"),
        ask(5, "\r\n"),
    ];
    compare("finger", &asked.into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn lines_and_raw_bytes_are_told_apart_alike() {
    compare(
        "store",
        &[
            Connect(1),
            send(1, "GET a\r\n"),
            Receive(1, "0 bytes\r\n".len()),
            send(1, "PUT a 5\r\nhe\r\nlGET a\r\n"), // all in one, and a line end in what is raw
            Receive(1, "stored a\r\n5 bytes\r\nhe\r\nl".len()),
            send(1, "PUT b 3\r\nx"),
            send(1, "y"),
            send(1, "zPUT c 1\r"),
            send(1, "\n!what now\r\n"),
            Receive(1, "stored b\r\nstored c\r\nwhat is what now?\r\n".len()),
            Connect(2),
            send(2, "GET b\r\nPUT b x\r\nGET\r\n"),
            Receive(2, "3 bytes\r\nxyzwhat is PUT b x?\r\nwhat is GET?\r\n".len()),
            send(2, "QUIT\r\nGET b\r\n"),
            End(2),
            send(1, "QUIT\r\n"),
            End(1),
        ],
    );
}

#[test]
fn datagrams_come_back_alike() {
    compare(
        "udp_echo",
        &[Datagram(1, b"one".to_vec()), Datagram(2, vec![]), Datagram(3, (0..=255).collect())],
    );
}
