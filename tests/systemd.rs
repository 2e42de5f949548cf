//! Socket activation by others: `systemd-socket-activate`, and Python as a service manager.

#[path = "support/counterpart.rs"]
mod counterpart;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use twistor::{
    Context, Failure, Protocol, Reactor, Result,
    error::{AdoptError, AdoptErrorKind},
    factory,
    systemd::ListenFds,
};

/// How long a program may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Set in the process that is started with sockets: this test, run once more.
const ACTIVATED: &str = "TWISTOR_TEST_ACTIVATED";

/// Answers with what it is, and stops the reactor.
struct Named(String);

impl Protocol for Named {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(format!("{}: {}", self.0, data.escape_ascii()));
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        let _ = Reactor::current().stop(); // it stops already
    }
}

/// The program that is activated: serves the first connection at any of its sockets.
fn activated() -> Result<()> {
    let mut inherited = ListenFds::from_environment()?;
    assert!(ListenFds::from_environment()?.is_empty(), "each is taken once");
    let names: Vec<String> = inherited.names().map(str::to_string).collect();
    assert_eq!(inherited.len(), names.len());
    let reactor = Reactor::new()?;
    for name in names {
        let socket = inherited.take(&name).expect("it is there");
        let said = name.clone();
        let named = factory(move |_peer| Named(said.clone()));
        match reactor.adopt_stream_port(socket, named) {
            Ok(_) => {}
            Err(error) => not_adopted(&name, error),
        }
    }
    assert!(inherited.is_empty());
    reactor.run()
}

/// The manager may give what is no stream.
fn not_adopted(name: &str, error: AdoptError) {
    assert_eq!((name, error.kind()), ("datagrams", AdoptErrorKind::SocketType));
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn ended(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status.success();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::yield_now();
        }
    }
}

/// What a manager is to start: this binary, with one test.
fn program(test: &str) -> Vec<String> {
    let binary = env::current_exe().expect("a test binary");
    let all = [&*binary.to_string_lossy(), test, "--exact", "--nocapture", "--test-threads=1"];
    all.map(str::to_string).to_vec()
}

/// A folder of this test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("twistor-systemd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Connects as soon as somebody listens.
fn connect(path: &Path) -> UnixStream {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => {
                assert!(begun.elapsed() < PATIENCE, "nobody listens at {}: {error}", path.display())
            }
        }
        std::thread::yield_now();
    }
}

fn ask(mut stream: impl Read + Write) -> String {
    stream.write_all(b"who is it").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_manager_starts_it_with_two_sockets() -> Result<()> {
    const TEST: &str = "a_manager_starts_it_with_two_sockets";
    if env::var_os(ACTIVATED).is_some() {
        return activated();
    }
    let Some(manager) = counterpart::find("systemd-socket-activate") else { return Ok(()) };
    let folder = Folder::new("two");
    let (web, admin) = (folder.0.join("web"), folder.0.join("admin"));
    let child = Command::new(manager)
        .arg(format!("--listen={}", web.display()))
        .arg(format!("--listen={}", admin.display()))
        .args(["--fdname=web:admin", &format!("--setenv={ACTIVATED}=1")])
        .args(program(TEST))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut running = Running(child);
    // It starts the program with the first connection, which is still to be accepted then.
    let stream = connect(&admin);
    stream.set_read_timeout(Some(PATIENCE))?;
    assert_eq!(ask(stream), "admin: who is it");
    assert!(running.ended());
    assert!(UnixStream::connect(&web).is_err(), "nobody listens any more");
    Ok(())
}

/// Opens sockets, puts them at 3 and on, tells where, and becomes the program.
const BY_HAND: &str = "
import os, socket, sys
stream = socket.create_server(('127.0.0.1', 0))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(('127.0.0.1', 0))
print(stream.getsockname()[1], flush=True)
first, second = os.dup(stream.fileno()), os.dup(datagrams.fileno())
high = [os.dup2(fd, at, inheritable=False) for fd, at in ((first, 20), (second, 21))]
os.dup2(20, 3)
os.dup2(21, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='web:datagrams')
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn python_starts_it_as_a_manager_does() -> Result<()> {
    const TEST: &str = "python_starts_it_as_a_manager_does";
    if env::var_os(ACTIVATED).is_some() {
        return activated();
    }
    let Some(python) = counterpart::find("python3") else { return Ok(()) };
    let mut child = Command::new(python)
        .args(["-c", BY_HAND])
        .args(program(TEST))
        .env(ACTIVATED, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut running = Running(child);
    let mut port = String::new();
    out.read_line(&mut port)?;
    let stream = TcpStream::connect(("127.0.0.1", port.trim().parse::<u16>()?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    assert_eq!(ask(stream), "web: who is it");
    assert!(running.ended());
    drop(out); // what it still said is nobody's
    Ok(())
}

/// What is for another process is let alone, and what is wrong is told.
#[test]
fn an_environment_that_is_not_ours_or_makes_no_sense() -> Result<()> {
    const TEST: &str = "an_environment_that_is_not_ours_or_makes_no_sense";
    if env::var_os(ACTIVATED).is_some() {
        let text = match ListenFds::from_environment() {
            Ok(inherited) => format!("{} sockets", inherited.len()),
            Err(error) => error.to_string(),
        };
        println!("> {text}");
        return Ok(());
    }
    let told = |settings: &str| -> Result<String> {
        // The shell's own number is the program's, which it becomes.
        let script = format!("{settings} exec \"$0\" \"$@\"");
        let program = program(TEST);
        let out = Command::new("sh")
            .args(["-c", &script])
            .args(program)
            .env(ACTIVATED, "1")
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find_map(|line| line.split_once("> ")).expect("it tells").1;
        Ok(line.to_string())
    };
    assert_eq!(told("")?, "0 sockets");
    assert_eq!(told("LISTEN_PID=1 LISTEN_FDS=1")?, "0 sockets");
    assert_eq!(told("LISTEN_PID=$$ LISTEN_FDS=0")?, "0 sockets");
    let no_number = "LISTEN_FDS is \"some\", which is no number that a service manager gives";
    assert_eq!(told("LISTEN_PID=$$ LISTEN_FDS=some")?, no_number);
    let names = "LISTEN_FDNAMES has 1 names for 2 sockets";
    assert_eq!(told("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web")?, names);
    let file = "the inherited descriptor \"web\" is no socket of IPv4, IPv6 or UNIX; look at the Listen lines of the .socket file";
    assert_eq!(told("exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web")?, file);
    assert_eq!(told("exec 3<&-; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web")?, file);
    Ok(())
}
