//! Other programs at the other end. One that is not on this machine is left out, and says so.

use super::{
    folder::Folder,
    loopback::{run, stop},
};
use rustix::fd::OwnedFd;
use std::{
    cell::RefCell,
    env,
    fs::File,
    io::{Read, Write, pipe},
    path::Path,
    process::{Child, Command, Stdio},
    rc::Rc,
};
use twistor::{Address, Context, Failure, Protocol, Reactor, factory};

/// The program, unless it is not there. One of those that TWISTOR_COUNTERPARTS names must be.
fn program(name: &str, arguments: &[&str]) -> Option<Child> {
    let started = Command::new(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    match started {
        Ok(child) => Some(child),
        Err(why) => {
            let needed = env::var("TWISTOR_COUNTERPARTS").unwrap_or_default();
            assert!(!needed.split(' ').any(|needed| needed == name), "{name} is to be there: {why}");
            println!("skipped: {name} cannot be started: {why}");
            None
        }
    }
}

pub(crate) fn python(script: &str, socket: &Path) -> Option<Child> {
    let script = format!("import array, os, socket, sys\npath = sys.argv[1]\n{script}");
    program("python3", &["-c", &script, &socket.to_string_lossy()])
}

pub(crate) fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Sends back what comes, with a descriptor of a file that says the same; ends after the peer.
#[derive(Default)]
struct Echo {
    taken: Vec<File>,
}

impl Protocol for Echo {
    fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
        self.taken.push(descriptor.into());
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        for mut file in self.taken.drain(..) {
            let mut text = String::new();
            file.read_to_string(&mut text).expect("text");
            let (read, mut write) = pipe().expect("descriptors");
            write.write_all(text.to_uppercase().as_bytes()).expect("there is room");
            cx.send_file_descriptor(read).expect("a UNIX socket");
        }
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        stop();
    }
}

/// Runs until the connection that a program makes is over.
fn serve(name: &str, start: impl FnOnce(&Path) -> Option<Child>) -> Option<String> {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new(name));
    let path = folder.at("s");
    let _port = reactor.listen_unix(&path, factory(|_: &Address| Echo::default())).unwrap();
    let child = start(&path)?;
    run(&reactor);
    Some(output(child))
}

/// Python sends two files with a message, and reads what comes back.
#[test]
fn python_passes_descriptors_and_gets_some() {
    let script = r#"
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(path)
mine = []
for text in (b"one", b"two"):
    r, w = os.pipe()
    os.write(w, text)
    os.close(w)
    mine.append(r)
socket.send_fds(s, [b"look"], mine)
got, fds = b"", []
while len(got) < 4:
    data, more, flags, _ = socket.recv_fds(s, 100, 10)
    assert data, "too early an end"
    got += data
    fds += more
print(got.decode(), [os.read(fd, 100).decode() for fd in fds])
"#;
    let Some(said) = serve("python", |path| python(script, path)) else { return };
    assert_eq!(said, "look ['ONE', 'TWO']\n");
}

#[test]
fn socat_sends_lines_and_gets_them() {
    let said = serve("socat", |path| {
        let to = format!("UNIX-CONNECT:{}", path.display());
        let mut child = program("socat", &["-t20", "-", &to])?;
        child.stdin.take().expect("it is piped").write_all(b"a line\nanother\n").expect("it reads");
        Some(child)
    });
    assert!(said.is_none_or(|said| said == "a line\nanother\n"));
}

/// What a client of ours gets of a server of Python's.
struct Asks(Rc<RefCell<(Vec<String>, Vec<u8>)>>);

impl Protocol for Asks {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_file_descriptor(File::open("/dev/null").expect("it is there")).expect("a UNIX socket");
        cx.write("n");
    }

    fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
        let mut text = String::new();
        File::from(descriptor).read_to_string(&mut text).expect("text");
        self.0.borrow_mut().0.push(text);
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.0.borrow_mut().1.extend_from_slice(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        stop();
    }
}

/// Python's server says when it listens; it gives a descriptor with each of two messages, and says what it was given.
#[test]
fn a_server_of_pythons_gives_descriptors() {
    let script = r#"
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.bind(path)
s.listen()
print("listens", flush=True)
c, _ = s.accept()
c.settimeout(20)
data, fds, flags, _ = socket.recv_fds(c, 100, 10)
print(data.decode(), [os.fstat(fd).st_rdev == os.stat("/dev/null").st_rdev for fd in fds], flush=True)
for text in (b"1st", b"2nd"):
    r, w = os.pipe()
    os.write(w, text)
    os.close(w)
    c.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [r]))])
"#;
    let folder = Folder::new("python-server");
    let path = folder.at("s");
    let Some(mut child) = python(script, &path) else { return };
    let mut listens = [0; 8];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut listens).expect("it says so");
    let (reactor, came) = (Reactor::new().unwrap(), Rc::<RefCell<(Vec<String>, Vec<u8>)>>::default());
    let seen = came.clone();
    let _connector = reactor.connect_unix(&path, move |_: &Address| Asks(seen.clone()));
    run(&reactor);
    assert_eq!(output(child), "n [True]\n");
    let (texts, bytes) = came.take();
    assert_eq!((texts, &bytes[..]), (vec!["1st".to_string(), "2nd".to_string()], &b"1st2nd"[..]));
}
