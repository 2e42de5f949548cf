//! The live tree for who asks: on a UNIX socket, and at SIGUSR1.

use std::{
    cell::Cell,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    thread,
    time::Duration,
};
use twistor::{
    Reactor,
    defer::{Deferred, Promise},
    manhole::{self, ManholeError},
    testing::Simulation,
};

/// How long the other side may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of this test, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("twistor-manhole-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("tree.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(path: &Path, question: &str) -> io::Result<String> {
    let (mut stream, mut answer) = (connect(path)?, String::new());
    stream.write_all(question.as_bytes())?;
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Runs the reactor while `f` is at work on another thread.
fn beside<T: Send + 'static>(reactor: &Reactor, f: impl FnOnce() -> T + Send + 'static) -> T {
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
        result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    });
    reactor.run_without_signal_handlers().expect("it ends");
    thread.join().expect("no panic")
}

#[test]
fn who_asks_is_told_in_each_form() {
    let folder = Folder::new("forms");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let made = line!() + 1;
    let (_forgotten, _promise) = Deferred::<u8>::pending();
    let path = folder.socket();
    let ([tree, json, lints, unknown], all) = beside(&reactor, move || {
        let asks = |question| ask(&path, question).expect("an answer");
        // Ages are in milliseconds: until the first one is over, nothing is older than 0.
        let all = (0..10_000).map(|_| asks("lints 0\n")).find(|lints| !lints.is_empty());
        (["tree\n", "json\n", "lints\n", "help\n"].map(asks), all.unwrap_or_default())
    });
    assert!(tree.starts_with("reactor  up ") && tree.contains("  1 deferred  "), "{tree}");
    assert!(tree.contains(&format!("made {}:{made}  promise in user code\n", file!())), "{tree}");
    assert_eq!(tree.lines().count(), 2, "nothing of the manhole itself: {tree}");
    assert!(json.starts_with("{\"id\":0,\"kind\":\"reactor\""), "{json}");
    assert!(json.lines().nth(1).is_some_and(|line| line.contains("\"kind\":\"deferred\"")), "{json}");
    assert_eq!(lints, "", "nothing is older than a minute");
    assert!(all.contains(&format!("1 deferred made {}:{made} is pending", file!())), "{all}");
    assert_eq!(unknown, "unknown question \"help\": send tree, json, lints or lints SECONDS\n");
}

#[test]
fn who_says_nothing_is_shown_the_tree() {
    let folder = Folder::new("silent");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let path = folder.socket();
    let (at_an_end, after_a_while) = beside(&reactor, move || {
        let (mut stream, mut at_an_end) = (connect(&path).expect("it is open"), String::new());
        stream.shutdown(Shutdown::Write).expect("an end");
        stream.read_to_string(&mut at_an_end).expect("an answer");
        (at_an_end, ask(&path, "").expect("an answer"))
    });
    assert!(at_an_end.starts_with("reactor  up "), "{at_an_end}");
    assert!(after_a_while.starts_with("reactor  up "), "{after_a_while}");
}

/// What was left unread reset the connection: the answer was there, and then an error in place of its end.
#[test]
fn who_says_more_than_a_question_gets_the_answer_and_an_end() {
    let folder = Folder::new("long");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let path = folder.socket();
    let (long, two) = beside(&reactor, move || {
        let long = ask(&path, &"x".repeat(1000)).expect("an answer, and an end");
        (long, ask(&path, &format!("lints\n{}", "tree\n".repeat(100))).expect("an answer, and an end"))
    });
    assert!(long.starts_with("unknown question \"xxx"), "{long}");
    assert_eq!(two, "");
}

#[test]
fn only_its_user_may_come_in_and_its_file_goes_with_the_run() {
    let folder = Folder::new("mode");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let mode = fs::metadata(folder.socket()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    beside(&reactor, || ());
    assert!(!folder.socket().exists(), "the run is over");
    // And with the last handle, without a run.
    manhole::listen(&reactor, folder.socket()).expect("it listens again");
    assert!(folder.socket().exists());
    drop(reactor);
    assert!(!folder.socket().exists());
}

#[test]
fn what_is_not_its_own_is_left_alone() {
    let folder = Folder::new("others");
    let reactor = Reactor::new().expect("a reactor");
    let refused = |path: &Path| {
        let failure = manhole::listen(&reactor, path).expect_err("it is refused");
        let text = failure.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        failure
    };

    // A file, a folder, what is listened at.
    fs::write(folder.socket(), "a file").expect("it is written");
    let failure = refused(&folder.socket());
    assert!(matches!(failure.value(), Some(ManholeError::NotASocket(_))), "{failure}");
    assert_eq!(fs::read_to_string(folder.socket()).expect("it is there"), "a file");
    assert!(matches!(refused(&folder.0).value(), Some(ManholeError::NotASocket(_))));
    fs::remove_file(folder.socket()).expect("it was there");
    let live = UnixListener::bind(folder.socket()).expect("it is free");
    let failure = refused(&folder.socket());
    assert!(matches!(failure.value(), Some(ManholeError::InUse(_))), "{failure}");
    assert!(UnixStream::connect(folder.socket()).is_ok(), "it is listened at still");

    // What a program left behind that is not there any more.
    drop(live);
    manhole::listen(&reactor, folder.socket()).expect("it is replaced");
    // What somebody else has put in its place meanwhile is not removed.
    fs::remove_file(folder.socket()).expect("it was there");
    fs::write(folder.socket(), "another's").expect("it is written");
    beside(&reactor, || ());
    assert_eq!(fs::read_to_string(folder.socket()).expect("it is there"), "another's");

    // What the system refuses.
    let nowhere = folder.0.join("no such folder").join("tree.sock");
    assert!(matches!(refused(&nowhere).value(), Some(ManholeError::System { .. })));
    let long = folder.0.join("x".repeat(200));
    assert!(matches!(refused(&long).value(), Some(ManholeError::System { .. })));
}

#[test]
fn a_virtual_reactor_has_none() {
    let folder = Folder::new("virtual");
    let reactor = Simulation::new().reactor();
    for failure in [
        manhole::listen(&reactor, folder.socket()).expect_err("it is refused"),
        manhole::print_on_sigusr1(&reactor).expect_err("it is refused"),
    ] {
        assert!(matches!(failure.value(), Some(ManholeError::Virtual)), "{failure}");
        assert!(failure.to_string().contains("take its snapshot() in the test"), "{failure}");
    }
    assert!(!folder.socket().exists());
}

/// So many are pending that they are copied in ten slices: in ten turns at least.
#[test]
fn a_large_table_holds_nobody_up() {
    const PENDING: usize = 40_000;
    let folder = Folder::new("large");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let _pending: Vec<(Deferred<u8>, Promise<u8>)> = (0..PENDING).map(|_| Deferred::pending()).collect();

    // Counts the turns in which the loop is busy: each schedules the next.
    let turns = Rc::new(Cell::new(0_u64));
    fn count(turns: Rc<Cell<u64>>) {
        turns.set(turns.get() + 1);
        Reactor::current().call_later(Duration::ZERO, move || count(turns));
    }
    let counted = turns.clone();
    reactor.call_later(Duration::ZERO, move || count(counted));
    let path = folder.socket();
    let answer = beside(&reactor, move || ask(&path, "tree\n").expect("an answer"));
    assert!(answer.contains(&format!("  {PENDING} deferreds  ")), "{}", &answer[..100]);
    assert_eq!(answer.matches("promise in user code").count(), PENDING);
    assert!(turns.get() >= 10, "{} turns", turns.get());
}

/// Nobody is kept waiting by who does not ask, nor by many who come at once.
#[test]
fn many_come_at_once_and_each_is_answered_or_told_to_come_again() {
    const MANY: usize = 40;
    let folder = Folder::new("many");
    let reactor = Reactor::new().expect("a reactor");
    manhole::listen(&reactor, folder.socket()).expect("it listens");
    let path = folder.socket();
    let answers = beside(&reactor, move || {
        let visitors: Vec<_> = (0..MANY)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || ask(&path, ""))
            })
            .collect();
        visitors.into_iter().map(|visitor| visitor.join().expect("no panic")).collect::<Vec<_>>()
    });
    // The system refuses who finds the queue before the door full.
    let served = answers.iter().flatten().filter(|answer| answer.starts_with("reactor  up ")).count();
    let busy =
        answers.iter().flatten().filter(|answer| *answer == "others are being served: ask again\n").count();
    assert_eq!(served + busy, answers.iter().flatten().count(), "{answers:?}");
    assert!(served >= 16, "{answers:?}");
}

/// Set in the process that is sent the signal: this test, run once more.
const CHILD: &str = "TWISTOR_TEST_CHILD";

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn print_when_asked() {
    let reactor = Reactor::new().expect("a reactor");
    manhole::print_on_sigusr1(&reactor).expect("it is installed");
    reactor.call_later(PATIENCE, || Reactor::current().stop().expect("it runs"));
    reactor.call_when_running(|| println!("ready"));
    reactor.run().expect("it ends");
}

#[test]
fn a_signal_prints_the_tree_to_standard_error() {
    if std::env::var(CHILD).is_ok() {
        return print_when_asked();
    }
    let child = Command::new(std::env::current_exe().expect("a test binary"))
        .args(["a_signal_prints_the_tree_to_standard_error", "--exact", "--nocapture"])
        .env(CHILD, "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut child = Running(child);
    let mut told = BufReader::new(child.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.ends_with("ready")));
    let pid = rustix::process::Pid::from_child(&child.0);
    let mut lines = BufReader::new(child.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
    for _ in 0..2 {
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).expect("it is there");
        let header = lines.find(|line| line.starts_with("reactor  up ")).expect("the tree");
        assert!(header.ends_with("  0 deferreds  1 timers, sockets, jobs"), "{header}");
        assert!(lines.next().is_some_and(|line| line.starts_with("└─ timer due in ")));
    }
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    assert!(child.0.wait().expect("it ends").success());
}
