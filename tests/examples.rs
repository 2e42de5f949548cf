//! Each example is started as a user would start it, talked to over real sockets, and ended with SIGTERM.
//!
//! `cargo test` builds the examples first; with `--test examples` alone, run `cargo build --examples` before.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

/// Far more than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn command(name: &str) -> Command {
    let tests = env::current_exe().expect("a test knows where it is");
    let path: PathBuf = [
        tests.parent().and_then(|deps| deps.parent()).expect("target/debug"),
        "examples".as_ref(),
        name.as_ref(),
    ]
    .into_iter()
    .collect();
    assert!(
        path.exists(),
        "{} is not built; `cargo test` builds it, or `cargo build --examples`",
        path.display()
    );
    Command::new(path)
}

/// A server that runs, and what it prints.
struct Server {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Server {
        Server::spawn(name, command(name).args(["--port", "0"]).args(arguments), "listening on ")
    }

    /// It says where it listens after `saying`.
    fn spawn(name: &str, command: &mut Command, saying: &str) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let line = output.next().expect("a line").expect("of text");
        let address = line.strip_prefix(saying).unwrap_or_else(|| panic!("{name} printed {line:?}"));
        Server { address: address.parse().expect("an address"), child, output }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
        Client(BufReader::new(stream))
    }

    /// The next line that it prints.
    fn printed(&mut self) -> String {
        self.output.next().expect("a line").expect("of text")
    }

    /// SIGTERM: it ends in order.
    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    /// After a test that has failed.
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("it is connected");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_string()
    }

    /// All that comes until the server closes.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("it closes in order");
        rest
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("so many bytes");
        bytes
    }

    fn finish(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).expect("it is connected");
    }
}

#[test]
fn qotd_gives_its_quote_and_closes() {
    let server = Server::start("qotd", &[]);
    for _ in 0..2 {
        assert_eq!(server.connect().rest(), "An apple a day keeps the doctor away\r\n");
    }
    server.end();
}

#[test]
fn echo_turns_away_the_101st_and_takes_one_again_when_one_has_left() {
    let mut server = Server::start("echo", &[]);
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("I am {number}");
        client.send(&text);
        assert_eq!(client.exactly(text.len()), text.as_bytes());
    }
    assert_eq!(server.connect().rest(), "Too many users, try again later!");
    while server.printed() != "101 connected" {}
    assert_eq!(server.printed(), "100 connected");
    let gone = clients.pop().expect("a hundred");
    drop(gone);
    assert_eq!(server.printed(), "99 connected");
    let mut late = server.connect();
    late.send("late");
    assert_eq!(late.exactly(4), b"late");
    server.end();
}

#[test]
fn async_echo_hands_its_connection_over_to_callbacks() {
    let server = Server::start("async_echo", &[]);
    let mut client = server.connect();
    client.send("hello\ncount\none\n");
    assert_eq!(client.exactly(17), b"hello\ncounting\n1\n");
    client.send("two\n");
    assert_eq!(client.exactly(2), b"2\n");
    let mut other = server.connect();
    other.send("still an echo\n");
    assert_eq!(other.exactly(14), b"still an echo\n");
    server.end();
}

#[test]
fn echo_udp_answers_each_datagram() {
    let mut server = Server::start("echo_udp", &[]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
    client.connect(server.address).expect("an address");
    for text in ["hello", "", "again"] {
        client.send(text.as_bytes()).expect("it is sent");
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], text.as_bytes());
        assert!(server.printed().starts_with(&format!("{} bytes from 127.0.0.1:", text.len())));
    }
    server.end();
}

#[test]
fn chat_brings_what_one_writes_to_all_others() {
    let server = Server::start("chat", &[]);
    let arrive = |name: &str| {
        let mut client = server.connect();
        assert_eq!(client.line(), "What is your name?");
        client.send(format!("{name}\r\n"));
        client
    };
    let mut alice = arrive("alice");
    assert_eq!(alice.line(), "Welcome, alice!");
    let mut bob = arrive("alice");
    assert_eq!(bob.line(), "That name is taken or empty. Another one?");
    bob.send("bob\r\n");
    assert_eq!(bob.line(), "Welcome, bob!");
    assert_eq!(alice.line(), "* bob is here");
    alice.send("hello, bob\r\n");
    assert_eq!(bob.line(), "<alice> hello, bob");
    bob.finish();
    assert_eq!(alice.line(), "* bob is gone");
    server.end();
    assert_eq!(alice.rest(), ""); // what alice wrote did not come back, and the end was in order
}

#[test]
fn finger_answers_of_those_it_knows_and_of_those_it_does_not() {
    let server = Server::start("finger", &[]);
    for (user, answer) in [("alice", "alice is climbing, back at noon"), ("eve", "no such user: eve")] {
        let mut client = server.connect();
        client.send(format!("{user}\r\n"));
        assert_eq!(client.rest(), format!("{answer}\r\n"));
        // The example's own client, which is async.
        let port = server.address.port().to_string();
        let asked = run("finger", &["--port", &port, "--ask", user]);
        assert!(asked.status.success());
        assert_eq!(text(&asked.stdout), format!("{answer}\r\n"));
    }
    server.end();
}

#[test]
fn unix_fd_passing_gives_open_files_of_its_directory_and_no_others() {
    let folder = env::temp_dir().join(format!("twistor-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("letter"), "Dear reader,\nfarewell\n").expect("a file");
    let socket = folder.join("files.sock");
    let socket = socket.to_str().expect("text");
    let mut child = command("unix_fd_passing")
        .args(["--socket", socket])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut server = Server { child, output, address: ([0; 4], 0).into() }; // it has a path instead
    assert_eq!(server.printed(), format!("listening on unix:{socket}"));
    let me = rustix::process::getuid().as_raw();
    for (name, answer) in [
        ("letter", "here it is\r\nDear reader,\n"),
        ("../letter", "no: only the name of a file, without a directory\r\n"),
        ("nothing", "no: No such file or directory (os error 2)\r\n"),
    ] {
        let asked = run("unix_fd_passing", &["--socket", socket, "--ask", name]);
        assert!(asked.status.success());
        assert_eq!(text(&asked.stdout), answer);
        assert_eq!(server.printed(), format!("user {me} asks for {name}"));
    }
    server.end();
    assert!(!folder.join("files.sock").exists() && !folder.join("files.sock.lock").exists());
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn several_reactors_share_a_port_and_tell_each_other_their_counts() {
    let server = Server::start("several_reactors", &["--reactors", "3"]);
    let mut clients: Vec<Client> = (0..48).map(|_| server.connect()).collect();
    let mut answered = [0; 3];
    for client in &mut clients {
        client.send("hello\r\n");
        let line = client.line();
        let (number, text) = line.split_once(": ").expect("a number and the line");
        assert_eq!(text, "hello");
        answered[number.parse::<usize>().expect("of a reactor")] += 1;
    }
    // The system spreads by chance: that all 48 come to the same one does not happen.
    assert!(answered.iter().all(|count| *count < 48));
    for client in &mut clients[..8] {
        client.send("count\r\n");
        assert_eq!(client.line(), format!("{answered:?}"));
    }
    server.end();
    clients.iter_mut().for_each(|client| assert_eq!(client.rest(), ""));
}

/// A certificate for `localhost` that is its own root, and its key, as files.
fn certificate(folder: &Path) -> [String; 2] {
    let own = rcgen::generate_simple_self_signed(["localhost".to_string()]).expect("a certificate");
    let texts = [("cert.pem", own.cert.pem()), ("key.pem", own.signing_key.serialize_pem())];
    texts.map(|(name, text)| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("twistor-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What a client is shown that trusts this certificate alone: a line that it sends comes back, and the certificate.
fn over_tls(server: &Server, trusted: &str) -> Result<Vec<u8>, String> {
    use twistor::{Context, Failure, Protocol, Reactor, defer::Promise, testing, tls};
    struct Asks(Option<Promise<Vec<u8>>>);
    impl Protocol for Asks {
        fn handshake_completed(&mut self, cx: &Context<Self>) {
            cx.write("hello");
        }
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            assert_eq!(data, b"hello");
            let shown = cx.negotiated().expect("it is over").peer_certificates;
            self.0.take().expect("once").callback(shown[0].clone());
            cx.lose_connection();
        }
    }
    let reactor = Reactor::new().expect("a reactor");
    let (r, to, roots) = (reactor.clone(), server.address, fs::read(trusted).expect("a file"));
    let shown = testing::run(&reactor, PATIENCE, async move {
        let roots = tls::TrustRoots::from_pem(roots)?;
        let tls = tls::options_for_client_tls("localhost").trust_roots(roots).build()?;
        let (shown, promise) = twistor::defer::Deferred::pending();
        r.connect_protocol(to, tls::secured(tls, Asks(Some(promise)))).await?;
        shown.await
    });
    shown.map_err(|why: Failure| why.to_string())
}

#[test]
fn tls_echo_reads_its_certificate_again_at_a_hangup() {
    let folder = folder("tls-echo");
    let [cert, key] = certificate(&folder);
    let mut server = Server::start("tls_echo", &["--cert", &cert, "--key", &key]);
    let first = over_tls(&server, &cert).expect("it is trusted");
    assert!(server.printed().contains(": Tls13, TLS13_"));
    let old = folder.join("old.pem");
    fs::copy(&cert, &old).expect("a copy");
    certificate(&folder);
    kill_process(Pid::from_child(&server.child), Signal::HUP).expect("it runs");
    assert_eq!(server.printed(), "read again");
    let second = over_tls(&server, &cert).expect("the new one is shown");
    assert!(first != second);
    assert!(server.printed().contains(": Tls13, "));
    let refused = over_tls(&server, old.to_str().expect("a text")).unwrap_err();
    assert!(refused.starts_with("the certificate of the server localhost "), "{refused}");
    assert!(server.printed().contains(" refused TLS: "));
    fs::write(&key, "no key").expect("a file");
    kill_process(Pid::from_child(&server.child), Signal::HUP).expect("it runs");
    let unread = format!("all stays as it was: {cert} with {key}: there is no private key in this PEM");
    assert!(server.printed().starts_with(&unread));
    assert!(over_tls(&server, &cert).expect("it stays") == second);
    server.end();
    fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn starttls_answers_in_clear_and_then_inside() {
    let folder = folder("starttls");
    let [cert, key] = certificate(&folder);
    let mut server = Server::start("starttls", &["--cert", &cert, "--key", &key]);
    let port = server.address.port().to_string();
    let asked = run("starttls", &["--port", &port, "--ask", &cert]);
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    let answers = "530 not in clear: STARTTLS first\n220 go ahead\n250 somebody whom nobody overhears\n";
    assert_eq!(text(&asked.stdout), answers);
    assert!(server.printed().ends_with(": connection was closed cleanly"));

    // Who sends on without waiting is taken for somebody in between.
    let mut eve = server.connect();
    eve.send("STARTTLS\r\nWHO AM I\r\n");
    assert!(server.printed().contains("bytes in clear were waiting when TLS was to begin"));
    server.end();
    fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn bench_server_answers_in_each_mode_with_each_option() {
    for mode in ["echo", "line", "async", "await"] {
        for options in [&[][..], &["--spin"], &["--foreign"], &["--spin", "--foreign"]] {
            let server = bench_server(mode, options);
            let mut clients = [server.connect(), server.connect()];
            for text in ["one\r\n", "two\r\n"] {
                for client in &mut clients {
                    client.send(text);
                    assert_eq!(client.exactly(5), text.as_bytes(), "{mode} {options:?}");
                }
            }
            server.end();
        }
    }
}

#[test]
fn bench_server_answers_datagrams() {
    for options in [&[][..], &["--spin", "--foreign"]] {
        let server = bench_server("udp", options);
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        client.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
        client.connect(server.address).expect("an address");
        client.send(b"hello").expect("it is sent");
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], b"hello");
        server.end();
    }
}

fn bench_server(mode: &str, options: &[&str]) -> Server {
    Server::spawn("bench_server", command("bench_server").args([mode, "0"]).args(options), "listening ")
}

#[test]
fn bench_server_says_how_to_ask() {
    for (arguments, complaint) in [
        (&["echo"][..], "usage: "),
        (&["echo", "http"], "usage: "),
        (&["shout", "0"], "shout: no such mode\nusage: "),
        (&["echo", "0", "--fast"], "--fast: no such option\nusage: "),
    ] {
        let ended = run("bench_server", arguments);
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}");
        assert!(text(&ended.stderr).starts_with(complaint), "{}", text(&ended.stderr));
    }
}

#[test]
fn portforward_carries_both_directions_whole() {
    let echo = Server::start("echo", &[]);
    let forward = Server::start("portforward", &["--to", &echo.address.to_string()]);
    let mut client = forward.connect();
    // More than all buffers on the way hold, so that each side is paused for the other.
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = client.0.get_ref().try_clone().expect("a second handle");
    let back = std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&sent).expect("it is connected"));
        client.exactly(sent.len())
    });
    assert!(back == sent);
    forward.end();
    echo.end();
}

#[test]
fn portforward_closes_one_side_when_the_other_is_gone_or_never_came() {
    let inside = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = inside.local_addr().expect("an address").to_string();
    let forward = Server::start("portforward", &["--to", &to]);
    let mut outside = forward.connect();
    let (mut peer, _) = inside.accept().expect("it connects");
    peer.write_all(b"goodbye").expect("it is connected");
    drop(peer);
    assert_eq!(outside.rest(), "goodbye");

    drop(inside);
    assert_eq!(forward.connect().rest(), "");
    forward.end();
}

/// Three programs: one that ends at once, one that would run for ever, one that does not hear when it is asked to end.
#[test]
fn supervisor_starts_again_what_has_ended_and_ends_with_all_of_them() {
    let deaf = "trap '' TERM; echo deaf; while :; do read line <&0 || sleep 0.05; done";
    let mut command = command("supervisor");
    command.args(["--delay", "1", "--", "echo once; exit 3", "echo lives; exec sleep 60", deaf]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("it is piped")).lines().map(|line| line.expect("text"));
    let mut seen = Vec::new();
    let count = |seen: &[String], what: &str| seen.iter().filter(|line| *line == what).count();
    while count(&seen, "1: once") < 3 || count(&seen, "2: lives") < 1 || count(&seen, "3: deaf") < 1 {
        seen.push(lines.next().expect("it goes on"));
    }
    assert!(count(&seen, "1: the process has ended with code 3") >= 2, "{seen:?}");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    seen.extend(lines);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(count(&seen, "2: the process was ended by signal 15"), 1, "{seen:?}");
    assert_eq!(count(&seen, "3: the process was ended by signal 9"), 1, "{seen:?}");
    assert_eq!(count(&seen, "2: lives"), 1);
    let running = seen.iter().filter_map(|line| line.split_once(": started as ")?.1.parse::<u32>().ok());
    assert!(running.into_iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
}

#[test]
fn a_program_answers_the_same_in_each_of_three_steps() {
    for step in ["1", "2", "3"] {
        let server = Server::start("port_in_three_steps", &["--step", step]);
        let mut client = server.connect();
        for (city, answer) in [
            ("Paris", "Paris: mild, with rain"),
            ("Atlantis", "nobody knows the weather of Atlantis"),
            ("Oslo", "Oslo: snow"),
        ] {
            client.send(format!("{city}\r\n"));
            assert_eq!(client.line(), answer, "in step {step}");
        }
        client.finish();
        assert_eq!(client.rest(), "", "in step {step}");
        server.end();
    }
}

#[test]
fn the_tour_ends_by_itself_and_has_shown_each_of_its_stops() {
    let toured = run("tour", &[]);
    assert!(toured.status.success(), "{}", text(&toured.stderr));
    assert_eq!(text(&toured.stderr), "");
    let mut told = text(&toured.stdout).lines();
    for line in [
        "1. A callback server, a callback client",
        "connect_tcp has returned, and nothing has happened yet",
        "build_protocol for 127.0.0.1",
        "has all of it back: lose_connection",
        "client_connection_lost: after the protocol's",
        "every connection that it accepted",
        "2. The two worlds on one loop",
        "line_received \"measure me\"",
        "its async stage waits for a timer of async-io",
        "was answered \"10 bytes",
        "began inside connection_made",
        "was answered \"two one",
        "3. What runs when",
        "runs inside callback(), as in Twisted",
        "fires one with a bound method of this very protocol",
        "returns",
        "runs as soon as data_received has returned",
        "in the same turn",
        "of 0 ms",
        "of 1 ms",
        "of 3 ms",
        "all four are done",
        "4. When it takes too long",
        "is called once, and stops the work",
        "traps it: timed out after 2ms",
        "fires all the same, and is told: AlreadyCalled",
        "runs inside release()",
        "invalid digit found in string",
        "5. A thread",
        "the sum is 500000500000",
        "the thread was told \"come in\"",
        "6. Datagrams",
        "datagram_received \"ping\"",
        "datagram_received \"pong\"",
        "The end",
        "nobody had stopped this port",
        "run() has returned",
    ] {
        assert!(told.any(|told| told.contains(line)), "not told, or not in this order: {line}");
    }
}

#[test]
fn resolver_looks_names_up_in_its_own_table_and_by_the_system() {
    let names = ["db.internal=10.0.0.7", "db.internal", "localhost", "192.0.2.1"];
    let ended = run("resolver", &names);
    let told = text(&ended.stdout);
    assert!(ended.status.success(), "{told}{}", text(&ended.stderr));
    for line in [
        "db.internal has address 10.0.0.7",
        "localhost has address 127.0.0.1",
        "192.0.2.1 has address 192.0.2.1",
    ] {
        assert!(told.lines().any(|told| told == line), "{told}");
    }
    let ended = run("resolver", &["no-such-host.invalid", "localhost"]);
    let told = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("no-such-host.invalid: cannot look up \"no-such-host.invalid\": "), "{told}");
    assert!(told.contains("localhost has address 127.0.0.1"), "{told}");
}

#[test]
fn errors_say_what_to_do() {
    let server = Server::start("qotd", &[]);
    let taken = server.address.port().to_string();
    for (arguments, advice) in [
        (
            &["--port", &taken][..],
            "something listens there already; stop it, or take another port (0 picks a free one)",
        ),
        (&["--port"], "--port needs a value"),
        (&["--port", "http"], "--port does not take that value"),
    ] {
        let ended = run("qotd", arguments);
        assert_eq!(ended.status.code(), Some(1));
        assert!(text(&ended.stderr).contains(advice), "{}", text(&ended.stderr));
    }
    server.end();
}

fn run(name: &str, arguments: &[&str]) -> Output {
    command(name).args(arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}
