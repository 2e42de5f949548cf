//! Peers that are not ours: `openssl s_client` and `s_server`, and Python's `ssl`. CI has both; where one is missing its tests say that they were left out.

use super::counterpart;
use super::{
    certificates::{ROOT, client_options, server_options},
    recording::{Log, Recorder, ending_recorder, word},
};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};
use twistor::{
    Context, Failure, Reactor, Result,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    testing::{self, Guard},
    tls::{ClientCertificates, TlsVersion, secured},
};

const LIMIT: Duration = Duration::from_secs(60);

/// Whether a program is here. If not, a test says so and is left out.
fn is_here(program: &str) -> bool {
    counterpart::find(program).is_some()
}

/// The certificates as files, for programs; removed with the last test's process.
struct Files {
    root: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let folder = env::temp_dir().join(format!("twistor-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (chain, key) = ROOT.signs("localhost");
    Files { root: put("root.pem", ROOT.pem()), chain: put("chain.pem", chain), key: put("key.pem", key) }
});

/// A program that is killed when the test is over.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Program {
        Program(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Says something to it, and gives all that it says until it ends.
    fn ask(mut self, text: &str) -> String {
        let mut input = self.0.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    /// The port in the first line that has one.
    fn port(&mut self) -> u16 {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let port = |line: String| line.rsplit(':').next()?.trim().parse().ok();
        lines.by_ref().take(20).find_map(|line| port(line.unwrap())).expect("a port")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends lines back, and ends at `bye`.
struct EchoLines(Log);

impl LineProtocol for EchoLines {
    fn handshake_completed(&mut self, cx: &Context<Self>) {
        let agreed = cx.negotiated().expect("it is over");
        let protocol = agreed.protocol.map(|name| String::from_utf8_lossy(&name).into_owned());
        self.0.note(format!("{:?} {protocol:?} {}", agreed.version, agreed.peer_certificates.len()));
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        cx.send_line(line);
        if line == b"bye" {
            cx.lose_connection();
        }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.note(format!("lost: {}", word(&why)));
    }
}

/// Asks an echo of ours by a program, which is given the port. What the program said, and what the server was told.
fn ask_our_server(
    change: impl FnOnce(twistor::tls::CertificateOptions) -> twistor::tls::CertificateOptions,
    program: impl FnOnce(u16) -> Command + Send + 'static,
) -> (String, Vec<String>) {
    let reactor = Reactor::new().unwrap();
    let _guard = Guard::new();
    let log = Log::default();
    let told = log.clone();
    let tls = change(server_options()).build().unwrap();
    let lines = twistor::factory(move |_| LineReceiver::new(EchoLines(log.clone())).with_delimiter("\n"));
    let port = reactor.listen_ssl(("127.0.0.1", 0), tls, lines).unwrap();
    let number = port.get_host().unwrap().as_inet().unwrap().port();
    let r = reactor.clone();
    let said = testing::run(&reactor, LIMIT, async move {
        let asked = r.defer_to_thread(move || Ok(Program::start(&mut program(number)).ask("hello\nbye\n")));
        let said = asked.await?;
        port.stop_and_drain(Duration::from_secs(10)).await?;
        Ok(said)
    });
    (said.unwrap(), told.take())
}

fn s_client(port: u16, more: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"]);
    command.args(["-servername", "localhost", "-connect", &format!("127.0.0.1:{port}"), "-CAfile"]);
    command.arg(&FILES.root).args(more).stderr(Stdio::null());
    command
}

#[test]
fn openssl_talks_to_our_server() {
    if !is_here("openssl") {
        return;
    }
    for (version, agreed) in [("-tls1_3", TlsVersion::Tls13), ("-tls1_2", TlsVersion::Tls12)] {
        let (said, told) = ask_our_server(
            |options| options.protocols(["one", "two"]),
            move |port| s_client(port, &[version, "-alpn", "two,three"]),
        );
        assert_eq!(said, "hello\nbye\n");
        assert_eq!(told, [&format!("{agreed:?} Some(\"two\") 0"), "lost: connection was closed cleanly"]);
    }
}

#[test]
fn openssl_shows_our_server_a_certificate() {
    if !is_here("openssl") {
        return;
    }
    let wanted = |options: twistor::tls::CertificateOptions| {
        options.client_certificates(ClientCertificates::Required(ROOT.roots()))
    };
    let (said, told) = ask_our_server(wanted, |port| {
        let mut command = s_client(port, &["-cert"]);
        command.arg(&FILES.chain).arg("-key").arg(&FILES.key);
        command
    });
    assert_eq!((said.as_str(), told.len()), ("hello\nbye\n", 2));
    assert!(
        told[0].starts_with("Tls13 None") && !told[0].ends_with(" 0"),
        "{}: with its root, perhaps",
        told[0]
    );
    let (said, told) = ask_our_server(wanted, |port| s_client(port, &[]));
    assert_eq!((said.as_str(), told), ("", vec!["lost: Certificate".to_string()]));
}

/// Our client asks a server. What it got, and what it was told.
fn ask_with_our_client(mut server: Program) -> (String, Vec<String>) {
    let reactor = Reactor::new().unwrap();
    let port = server.port();
    let (recorder, log, ended) = ending_recorder();
    let r = reactor.clone();
    let result: Result<()> = testing::run(&reactor, LIMIT, async move {
        let tls = client_options().build()?;
        let cx: Context<Recorder> = r.connect_protocol(("127.0.0.1", port), secured(tls, recorder)).await?;
        cx.write("hello\n");
        r.call_later(Duration::from_millis(500), move || cx.lose_connection()); // in case it does not
        ended.await
    });
    result.unwrap();
    let told = log.take();
    let (got, events) = told.into_iter().partition::<Vec<_>, _>(|line| line.ends_with('\n'));
    (got.concat(), events)
}

#[test]
fn our_client_talks_to_openssl() {
    if !is_here("openssl") {
        return;
    }
    for version in ["-tls1_3", "-tls1_2"] {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "0", "-rev", "-naccept", "1", version, "-cert"]);
        command.arg(&FILES.chain).arg("-key").arg(&FILES.key).stderr(Stdio::null());
        let (got, told) = ask_with_our_client(Program::start(&mut command));
        assert_eq!(got, "olleh\n");
        assert_eq!(told, ["made", "secured", "lost: connection was closed cleanly"], "{version}");
    }
}

/// A script for Python: it has `context(side)`, and the arguments are root, chain and key.
fn python(script: &str, arguments: &[String]) -> Command {
    let begin = "
import socket, ssl, sys
root, chain, key = sys.argv[1:4]
def context(side):
    context = ssl.create_default_context(side, cafile=root)
    if side == ssl.Purpose.CLIENT_AUTH:
        context.load_cert_chain(chain, key)
    return context
";
    let mut command = Command::new("python3");
    command.arg("-c").arg(format!("{begin}{script}"));
    command.arg(&FILES.root).arg(&FILES.chain).arg(&FILES.key).args(arguments);
    command
}

#[test]
fn python_talks_to_our_server_and_both_say_that_they_end() {
    if !is_here("python3") {
        return;
    }
    let script = "
raw = socket.create_connection(('127.0.0.1', int(sys.argv[4])))
tls = context(ssl.Purpose.SERVER_AUTH).wrap_socket(raw, server_hostname='localhost')
tls.sendall(sys.stdin.read(10).encode())
got = b''
while piece := tls.recv(100):
    got += piece
tls.unwrap()  # an error if the server has not said that it ends
print(got.decode(), end='')
";
    let (said, told) = ask_our_server(|options| options, move |port| python(script, &[port.to_string()]));
    assert_eq!(said, "hello\nbye\n");
    assert_eq!(told, ["Tls13 None 0", "lost: connection was closed cleanly"]);
}

fn python_server(then: &str) -> Program {
    let script = format!(
        "
port = socket.create_server(('127.0.0.1', 0))
print('port :%d' % port.getsockname()[1], flush=True)
tls = context(ssl.Purpose.CLIENT_AUTH).wrap_socket(port.accept()[0], server_side=True)
tls.sendall(tls.recv(100).upper())
{then}
"
    );
    Program::start(&mut python(&script, &[]))
}

#[test]
fn our_client_talks_to_python_and_knows_an_end_from_a_cut() {
    if !is_here("python3") {
        return;
    }
    let (got, told) = ask_with_our_client(python_server("tls.unwrap().close()"));
    assert_eq!(got, "HELLO\n");
    assert_eq!(told, ["made", "secured", "lost: connection was closed cleanly"]);
    let (got, told) = ask_with_our_client(python_server("tls.shutdown(socket.SHUT_RDWR)"));
    assert_eq!(got, "HELLO\n");
    assert_eq!(told, ["made", "secured", "lost: Truncated"]);
}

/// Two lines in clear, in one piece: Python sends the second before it begins TLS, as an attacker in between would.
#[test]
fn python_injects_a_line_before_starttls() {
    if !is_here("python3") {
        return;
    }
    struct Clear(Log, twistor::tls::ServerTls);
    impl LineProtocol for Clear {
        fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
            self.0.note(String::from_utf8_lossy(line));
            if line == b"STARTTLS" {
                cx.send_line("220 go ahead");
                cx.start_tls(&self.1);
            }
        }
        fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
            self.0.note(format!("lost: {}", word(&why)));
        }
    }
    let script = "
raw = socket.create_connection(('127.0.0.1', int(sys.argv[4])))
raw.sendall(b'STARTTLS\\r\\n' + sys.argv[5].encode())
assert sys.argv[5] or raw.recv(100) == b'220 go ahead\\r\\n'
tls = context(ssl.Purpose.SERVER_AUTH).wrap_socket(raw, server_hostname='localhost')
tls.sendall(b'QUIT\\r\\n')
tls.unwrap()
print('secured')
";
    for (injected, said, told) in [
        ("", "secured\n", ["STARTTLS", "QUIT", "lost: connection was closed cleanly"].as_slice()),
        ("MAIL FROM:<eve>\r\n", "", ["STARTTLS", "lost: Injected"].as_slice()),
    ] {
        let reactor = Reactor::new().unwrap();
        let (log, tls) = (Log::default(), server_options().build().unwrap());
        let seen = log.clone();
        let lines = twistor::factory(move |_| LineReceiver::new(Clear(log.clone(), tls.clone())));
        let port = reactor.listen_tcp(("127.0.0.1", 0), lines).unwrap();
        let number = port.get_host().unwrap().as_inet().unwrap().port().to_string();
        let r = reactor.clone();
        let answer = testing::run(&reactor, LIMIT, async move {
            let asked = r.defer_to_thread(move || {
                let mut command = python(script, &[number, injected.to_string()]);
                command.stderr(Stdio::null());
                Ok(Program(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?).ask(""))
            });
            let answer = asked.await?;
            port.stop_and_drain(Duration::from_secs(10)).await?;
            Ok(answer)
        });
        assert_eq!(
            (answer.unwrap().as_str(), seen.take()),
            (said, told.iter().map(ToString::to_string).collect())
        );
    }
}
