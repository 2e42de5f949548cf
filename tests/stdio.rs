//! Standard input and output as a transport: with `cat` and `sh` at the other ends, in a terminal of Python's, over files.
#![cfg(target_os = "linux")]

use rustix::fs::{OFlags, fcntl_getfl};
use std::{
    cell::RefCell,
    env,
    fs::{self, File},
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Output, Stdio},
    rc::Rc,
    time::Duration,
};
use twistor::{Context, Failure, Protocol, Reactor, error::ConnectionLost, testing::Simulation};

fn line_tool() -> PathBuf {
    let tests = env::current_exe().expect("a test knows where it is");
    let target = tests.parent().and_then(|deps| deps.parent()).expect("target/debug");
    let path = target.join("examples/line_tool");
    assert!(path.exists(), "it is not built; `cargo test` builds it, or `cargo build --examples`");
    path
}

/// What a shell makes of it, in which `$T` is the tool.
fn sh(script: &str) -> Output {
    // No shell waits longer than that for a tool that hangs.
    let mut command = Command::new("timeout");
    command.args(["20", "sh", "-c", script]).env("T", line_tool()).stdin(Stdio::null());
    command.output().expect("there is a shell")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn prints(script: &str, expected: &str) {
    let output = sh(script);
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[test]
fn it_stands_in_a_pipeline() {
    prints("printf 'a\\nb\\n' | $T 2>/dev/null | cat", "1 a\n2 b\n2 lines\n");
}

#[test]
fn files_that_cannot_be_polled_are_read_and_written() {
    let dir = env::temp_dir().join(format!("twistor-stdio-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (from, to) = (dir.join("from"), dir.join("to"));
    fs::write(&from, "x\n".repeat(50_000)).unwrap();
    let script =
        format!("$T < {} > {} 2>/dev/null; tail -n 1 {}", from.display(), to.display(), to.display());
    prints(&script, "50000 lines\n");
    assert_eq!(fs::read_to_string(&to).unwrap().lines().nth(49_999), Some("50000 x"));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_null_device_is_an_input_at_its_end_and_an_output_that_takes_all() {
    prints("$T </dev/null 2>/dev/null", "0 lines\n");
    let output = sh("printf 'a\\n' | $T >/dev/null");
    assert_eq!(text(&output.stderr), "connection was closed cleanly\n");
}

/// `cat` ends when it reads the end, which comes before the tool's own input ends: `sleep` holds that open.
#[test]
fn a_half_close_ends_the_output_for_its_reader_while_the_input_goes_on() {
    let script =
        "{ sleep 0.2; echo late; } | { $T --half-close 2>&3 | { cat; echo cat has ended >&3; }; } 3>&1";
    let output = text(&sh(script).stdout);
    let at = |what| output.find(what).unwrap_or_else(|| panic!("{what} is missing in {output}"));
    assert!(at("no more than this") < at("cat has ended"), "{output}");
    assert!(at("the output is at its end") < at("connection was closed cleanly"), "{output}");
}

/// The reader goes: the writer meets EPIPE, by its name, and no signal.
#[test]
fn a_reader_that_goes_is_an_error_of_the_connection() {
    let script = "{ yes | $T; echo status $? >&2; } | head -n 1; true";
    let output = sh(script);
    assert_eq!(text(&output.stdout), "1 y\n");
    let told = text(&output.stderr);
    assert!(told.contains("Broken pipe") && told.contains("status 0"), "{told}");
}

/// In a terminal, whose flags are the shell's as well: the tool ends, and they are as they were.
#[test]
fn a_terminal_is_left_as_it_was() {
    const PYTHON: &str = r#"
import fcntl, os, pty, subprocess, sys
master, slave = pty.openpty()
child = subprocess.Popen([sys.argv[1]], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, start_new_session=True)
os.write(master, b'hello\n')
seen = b''
while b'1 hello' not in seen: seen += os.read(master, 1000)
during = fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
os.write(master, b'\x04')
assert child.wait(20) == 0
after = fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
while b'1 lines' not in seen: seen += os.read(master, 1000)
print(during, after)
"#;
    let ran = Command::new("timeout").args(["30", "python3", "-c", PYTHON]).arg(line_tool()).output();
    let Some(output) = ran.ok().filter(|output| output.status.code() != Some(127)) else {
        return eprintln!("SKIPPED: there is no python3");
    };
    assert_eq!(text(&output.stdout), "0 0\n", "{}", text(&output.stderr));
}

// ---- in this process ----------------------------------------------------------------------------------------------------------------

/// Sends back what comes, and notes what it is told.
#[derive(Clone, Default)]
struct Echo(Rc<RefCell<Vec<String>>>);

impl Echo {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }
}

impl Protocol for Echo {
    fn connection_made(&mut self, _cx: &Context<Self>) {
        self.note("made");
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.note(text(data));
        assert_ne!(data, b"panic", "as it was told");
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.note(if why.check::<ConnectionLost>() { "lost".into() } else { why.message().to_string() });
        Reactor::current().stop().expect("it runs");
    }
}

/// Drives an echo over two pipes, to whose ends `script` has done something before. What it was told, and what came out.
fn echoed(script: impl FnOnce(PipeWriter) -> Option<PipeWriter>) -> (Vec<String>, String) {
    let ((input, to), (from, output)) = (pipe().unwrap(), pipe().unwrap());
    let (reactor, echo) = (Reactor::new().unwrap(), Echo::default());
    reactor.standard_io_on(input, output, echo.clone()).unwrap();
    let _open = script(to);
    run(&reactor);
    (echo.0.take(), all_of(from))
}

/// Runs until somebody stops it, which must be soon.
fn run(reactor: &Reactor) {
    let limit = Duration::from_secs(20);
    reactor.call_later(limit, || Reactor::current().stop().unwrap());
    reactor.run_without_signal_handlers().unwrap();
    assert!(reactor.now() < limit, "it was not over before the deadline");
}

fn all_of(mut from: PipeReader) -> String {
    let mut all = String::new();
    from.read_to_string(&mut all).unwrap();
    all
}

#[test]
fn what_came_before_the_end_is_sent_back_and_then_both_are_closed() {
    let (told, came) = echoed(|mut to| {
        to.write_all(b"hello").unwrap();
        None
    });
    assert_eq!(told, ["made", "hello", "connection was closed cleanly"]);
    assert_eq!(came, "hello");
}

/// A pair of sockets is one descriptor twice: its flags are set back when both directions are over, by a panic too.
#[test]
fn flags_that_are_shared_are_set_back_by_a_panic_too() {
    let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
    let witness = here.try_clone().unwrap();
    let blocks = || !fcntl_getfl(&witness).unwrap().contains(OFlags::NONBLOCK);
    let output: OwnedFd = here.try_clone().unwrap().into();
    let (reactor, echo) = (Reactor::new().unwrap(), Echo::default());
    let hook = twistor::report::hook(|_| {});
    reactor.standard_io_on(here, output, echo.clone()).unwrap();
    assert!(!blocks(), "a socket is not opened anew");
    there.write_all(b"panic").unwrap();
    reactor.run_without_signal_handlers().unwrap();
    drop(hook);
    assert!(blocks());
    assert_eq!(echo.0.borrow()[..2], ["made", "panic"]);
}

/// What an echo is told whose output has no reader, after `input` has come, until it is over.
fn without_a_reader(input: &[u8]) -> Vec<String> {
    let ((from_input, mut to), (from, output)) = (pipe().unwrap(), pipe().unwrap());
    let (reactor, echo) = (Reactor::new().unwrap(), Echo::default());
    reactor.standard_io_on(from_input, output, echo.clone()).unwrap();
    drop(from); // a child that another test is just starting may have a copy until its exec
    to.write_all(input).unwrap();
    run(&reactor);
    echo.0.take()
}

#[test]
fn a_closed_end_of_the_output_is_a_loss() {
    assert_eq!(without_a_reader(b"hello"), ["made", "hello", "lost"]);
}

/// As in Twisted: who only listens would go on for nobody.
#[test]
fn a_reader_that_goes_is_a_loss_without_a_write() {
    assert_eq!(without_a_reader(b""), ["made", "lost"]);
}

#[test]
fn a_virtual_reactor_says_that_it_has_no_real_descriptors() {
    let reactor = Simulation::new().reactor();
    let null = File::open("/dev/null").unwrap();
    let refused = reactor.standard_io_on(null.try_clone().unwrap(), null, Echo::default()).unwrap_err();
    assert!(refused.message().contains("no real sockets"), "{}", refused.message());
}
