//! Tests in a process of their own: the test binary runs itself once more, with one test and the part that it is to play.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long a child may take for anything it is asked for.
const PATIENCE: Duration = Duration::from_secs(60);

const ROLE: &str = "TWISTOR_TEST_CHILD";

/// In the child: the part to play. None in the parent.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Tells the parent something.
pub(crate) fn tell(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {}", line.as_ref()).and_then(|()| out.flush()).expect("the parent listens");
}

/// A child; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

/// Runs `test` of this binary again, in that part. Its signals are at their defaults: a shell that runs the tests in the background has SIGINT ignored, which is inherited.
pub(crate) fn start(test: &str, role: &str) -> Running {
    let mut by_default = Command::new("env");
    by_default.arg("--default-signal").arg(env::current_exe().expect("a test binary"));
    run(by_default, test, role)
}

/// The same from a shell that has done `first`.
#[allow(dead_code, reason = "not every suite starts one so")]
pub(crate) fn start_in_shell(first: &str, test: &str, role: &str) -> Running {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{first}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().expect("a test binary"));
    run(shell, test, role)
}

fn run(mut command: Command, test: &str, role: &str) -> Running {
    let mut child = command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = read(child.stdout.take().expect("piped"));
    Running { child, lines }
}

/// Reads what it tells, in a thread, so that to wait for it has an end.
fn read(out: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // The name of the test may stand before the first one, on the same line.
            if let Some((_, told)) = line.split_once("> ")
                && sender.send(told.to_string()).is_err()
            {
                return;
            }
        }
    });
    lines
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing that it tells; None if it has ended.
    pub(crate) fn told(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child says nothing"),
        }
    }

    /// Waits for its end. What it had still to tell, and how it ended.
    pub(crate) fn ended(mut self) -> (Vec<String>, ExitStatus) {
        let told = std::iter::from_fn(|| self.told()).collect();
        let begun = Instant::now();
        loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => return (told, status),
                None => assert!(begun.elapsed() < PATIENCE, "the child does not end"),
            }
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
