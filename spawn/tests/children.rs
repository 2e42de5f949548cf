//! Children of all kinds: what they find, and how their end is told.

mod support;

use std::{
    fs::{self, File},
    io::{self, PipeReader, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};
use support::{end_of, gone, output, sh};
use twistor_spawn::{Spawn, Status};

#[test]
fn a_map_of_descriptors_may_be_a_circle() {
    let (mut three, end_of_three) = io::pipe().unwrap();
    let (mut four, end_of_four) = io::pipe().unwrap();
    let (three_at, four_at) = (end_of_three.as_raw_fd(), end_of_four.as_raw_fd());
    let mut spawn = Spawn::new("/bin/sh");
    // Each under the number that the other has here.
    spawn.args(["-c", &format!("echo a >/proc/self/fd/{four_at}; echo b >/proc/self/fd/{three_at}")]);
    spawn.descriptor(four_at, end_of_three.into()).descriptor(three_at, end_of_four.into());
    let mut child = spawn.spawn().unwrap();
    drop(spawn);
    assert_eq!((end_of(&mut three), end_of(&mut four)), ("a\n".into(), "b\n".into()));
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
}

#[test]
fn one_descriptor_may_be_there_twice_and_the_last_named_for_a_number_wins() {
    let (mut lost, end_of_lost) = io::pipe().unwrap();
    let (mut read, end) = io::pipe().unwrap();
    let mut spawn = sh("echo out; echo err >&2");
    spawn
        .descriptor(1, end_of_lost.into())
        .descriptor(1, end.try_clone().unwrap().into())
        .descriptor(2, end.into());
    spawn.spawn().unwrap().wait().unwrap();
    drop(spawn);
    assert_eq!((end_of(&mut read), end_of(&mut lost)), ("out\nerr\n".into(), String::new()));
}

#[test]
fn a_child_has_the_descriptors_that_were_named_and_no_others() {
    let (_read, end) = io::pipe().unwrap();
    let inherited = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap(); // as a careless library leaves it
    let high = rustix::io::fcntl_dupfd_cloexec(&inherited, 900).unwrap();
    rustix::io::fcntl_setfd(&high, rustix::io::FdFlags::empty()).unwrap();
    let mut spawn = Spawn::new("sleep");
    spawn.args(["60"]).descriptor(1, end.try_clone().unwrap().into()).descriptor(77, end.into());
    let mut child = spawn.spawn().unwrap();
    let mut open: Vec<RawFd> = fs::read_dir(format!("/proc/{}/fd", child.pid()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    open.sort_unstable();
    child.signal(libc::SIGKILL).unwrap();
    assert_eq!(open, [1, 77]);
    assert_eq!(child.wait().unwrap(), Status::Killed { signal: libc::SIGKILL, core: false });
}

fn refused(spawn: &mut Spawn) -> io::ErrorKind {
    spawn.spawn().expect_err("there is nothing to run").kind()
}

#[test]
fn an_exec_that_fails_is_an_error() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(refused(&mut Spawn::new("/no/such/file")), io::ErrorKind::NotFound);
    assert_eq!(refused(&mut Spawn::new("no-such-program-anywhere")), io::ErrorKind::NotFound);
    assert_eq!(refused(&mut Spawn::new(here.join("Cargo.toml"))), io::ErrorKind::PermissionDenied);
    assert_eq!(refused(&mut Spawn::new(here)), io::ErrorKind::PermissionDenied);
    assert_eq!(refused(sh("true").current_dir("/no/such/directory")), io::ErrorKind::NotFound);
    assert_eq!(refused(Spawn::new("a\0b").args(["c"])), io::ErrorKind::InvalidInput);
}

/// What is told, if it is told, of a child whose executable is not there, and what came by the descriptor.
fn misplaced(number: RawFd) -> (Option<io::ErrorKind>, String) {
    let (mut read, end) = io::pipe().unwrap();
    let mut spawn = Spawn::new("/no/such/file");
    spawn.descriptor(number, end.into());
    let error = spawn.spawn().err().map(|error| error.kind());
    drop(spawn);
    (error, end_of(&mut read))
}

/// The number by which `Command` is told of the error is one of these.
#[test]
fn an_exec_that_fails_is_an_error_whatever_numbers_the_child_wants() {
    for number in 0..64 {
        assert_eq!(misplaced(number), (Some(io::ErrorKind::NotFound), String::new()), "{number}");
    }
}

#[test]
fn an_exec_that_fails_is_an_error_while_other_threads_open_and_close() {
    let stop = AtomicBool::new(false);
    let wrong = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                drop([File::open("/dev/null"), File::open("/dev/null"), File::open("/dev/null")]);
            }
        });
        let wrong =
            (0..300).map(|n| misplaced(3 + n % 24)).find(|(error, came)| error.is_none() || !came.is_empty());
        stop.store(true, Relaxed);
        wrong
    });
    assert_eq!(wrong, None);
}

#[test]
fn the_environment_the_directory_and_the_name_are_as_told() {
    assert_eq!(output(sh("pwd").current_dir("/usr")), "/usr\n");
    assert_eq!(output(sh("echo $0").args(["a name"])), "a name\n");
    assert_eq!(
        output(Spawn::new("cat").arg0("dog").args(["/proc/self/cmdline"])),
        "dog\0/proc/self/cmdline\0"
    );
    assert_eq!(output(Spawn::new("/usr/bin/env").env_clear().env("A", "1").env("A", "2")), "A=2\n");
    assert!(output(Spawn::new("/usr/bin/env").env("A", "1")).contains("PATH="), "of this process");
}

#[test]
fn a_user_comes_with_its_groups_and_without_ours() {
    if !rustix::process::geteuid().is_root() {
        assert_eq!(refused(sh("true").uid(0)), io::ErrorKind::PermissionDenied);
        return;
    }
    let id = "id -ru; id -u; id -rg; id -g; id -G";
    assert_eq!(output(sh(id).uid(65534).gid(65534)), "65534\n65534\n65534\n65534\n65534\n");
    assert_eq!(output(sh("id -u; id -G").uid(65534).gid(12).groups([12, 13])), "65534\n12 13\n");
    assert_eq!(refused(sh("true").uid(65534).current_dir("/no/such/directory")), io::ErrorKind::NotFound);
}

/// In a process that ignores some: this test, begun again by a shell.
#[test]
fn no_signal_is_ignored_or_blocked_in_the_child() {
    const AGAIN: &str = "TWISTOR_SPAWN_IGNORES";
    if std::env::var_os(AGAIN).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "no_signal_is_ignored_or_blocked_in_the_child";
        let mut again = sh(r#"trap "" HUP USR1 TERM; exec "$0" --exact "$1""#);
        again.args([this.as_os_str(), name.as_ref()]).env(AGAIN, "1");
        let said = output(&mut again);
        return assert!(said.contains("1 passed"), "{said}");
    }
    let mask = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & !(3 << 31) // but for two that are the C library's own
    };
    assert_ne!(mask(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn:"), 0);
    let theirs = output(Spawn::new("cat").args(["/proc/self/status"]));
    assert_eq!((mask(&theirs, "SigIgn:"), mask(&theirs, "SigBlk:")), (0, 0));
}

#[test]
fn a_child_tells_its_end_by_its_descriptor() {
    let (read, mut end) = io::pipe().unwrap();
    let mut child = sh("read line; exit $line").descriptor(0, read.into()).spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert!(!support::readable(child.as_fd(), 0));
    end.write_all(b"7\n").unwrap();
    assert!(support::readable(child.bell().unwrap().as_fd(), 10_000));
    assert_eq!(child.try_wait().unwrap(), Some(Status::Exited(7)));
    assert_eq!(child.try_wait().unwrap(), Some(Status::Exited(7)));
    assert_eq!(child.wait().unwrap(), Status::Exited(7));
}

#[test]
fn a_signal_reaches_the_child_or_nobody() {
    let mut child = Spawn::new("sleep").args(["60"]).spawn().unwrap();
    child.signal(0).unwrap();
    assert_eq!(child.signal(4711).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    child.signal(libc::SIGRTMIN() + 1).unwrap();
    assert_eq!(child.wait().unwrap(), Status::Killed { signal: libc::SIGRTMIN() + 1, core: false });
    assert_eq!(child.signal(libc::SIGKILL).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_child_that_somebody_else_has_waited_for_has_ended_all_the_same() {
    let mut child = sh("exit 3").spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(child.pid() as i32);
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    assert_eq!(child.wait().unwrap(), Status::Unknown);
    assert_eq!(child.signal(libc::SIGKILL).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_child_whose_handle_is_dropped_is_no_zombie() {
    let children: Vec<(u32, OwnedFd)> = (0..5)
        .map(|_| {
            let (read, end) = io::pipe().unwrap();
            let child = sh("read line").descriptor(0, read.into()).spawn().unwrap();
            (child.pid(), end.into())
        })
        .collect();
    let pids: Vec<u32> = children.iter().map(|(pid, _)| *pid).collect();
    assert!(pids.iter().all(|pid| Path::new(&format!("/proc/{pid}")).exists()), "left, they go on");
    drop(children);
    pids.into_iter().for_each(gone);
}

fn end_of_pipe(mut pipe: PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    pipe.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn nothing_of_a_child_is_inherited_by_another_one() {
    let (stdin, end) = io::pipe().unwrap();
    let (out, out_end) = io::pipe().unwrap();
    let mut cat = Spawn::new("cat");
    cat.descriptor(0, stdin.into()).descriptor(1, out_end.into());
    let mut child = cat.spawn().unwrap();
    drop(cat);
    let other = Spawn::new("sleep").args(["60"]).spawn().unwrap();
    drop(end); // the only writing end: `cat` sees the end of its input
    assert_eq!(end_of_pipe(out), b"");
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
    other.signal(libc::SIGKILL).unwrap();
}
