//! What a process is started with.

use crate::{
    loopback::Log,
    probe::{Probe, play, said, sh},
};
use std::{io, path::Path};
use twistor::{Reactor, error::SpawnError, process::Spawn, testing::Simulation};

fn output(how: Spawn) -> String {
    said(&play(how, Probe::new), 1)
}

#[test]
fn arguments_name_directory_and_environment_are_as_told() {
    assert_eq!(output(Spawn::new("echo").args(["a b", "c"])), "a b c\n");
    assert_eq!(
        output(Spawn::new("cat").arg0("dog").args(["/proc/self/cmdline"])),
        "dog\0/proc/self/cmdline\0"
    );
    assert_eq!(output(Spawn::new("pwd").current_dir("/usr")), "/usr\n");
    assert_eq!(output(Spawn::new("/usr/bin/env").env_clear().env("A", "1")), "A=1\n");
    assert!(output(Spawn::new("/usr/bin/env").env("A", "1")).contains("PATH="), "that of this process");
    assert_eq!(output(Path::new("/bin/echo").into()), "\n");
    assert_eq!(output(("echo", ["x"]).into()), "x\n");
}

#[test]
fn a_process_runs_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        let refused =
            Reactor::new().unwrap().spawn_process(Probe::new(&Log::default()), Spawn::new("true").uid(0));
        return assert!(refused.unwrap_err().to_string().contains("may not be executed"));
    }
    let how = sh("id -u; id -g; id -G").uid(65534).gid(65534).groups([65534, 12]);
    assert_eq!(output(how).split_whitespace().collect::<Vec<_>>(), ["65534", "65534", "65534", "12"]);
}

#[test]
fn what_cannot_be_executed_is_an_error_that_says_why() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (how, kind, says) in [
        (
            Spawn::new("/no/such/file"),
            io::ErrorKind::NotFound,
            "cannot run /no/such/file: there is no such file",
        ),
        (Spawn::new("no-such-program"), io::ErrorKind::NotFound, "no such file"),
        (here.join("Cargo.toml").as_path().into(), io::ErrorKind::PermissionDenied, "may not be executed"),
        (
            Spawn::new("true").current_dir("/no/such"),
            io::ErrorKind::NotFound,
            "no such directory to run it in",
        ),
        (Spawn::new("true").current_dir("/no/such").uid(0), io::ErrorKind::NotFound, "no such directory"),
        (Spawn::new("no-such-terminal").terminal(1, 1), io::ErrorKind::NotFound, "no such file"),
        (Spawn::new("true").read_from(-1), io::ErrorKind::InvalidInput, "the system refused"),
    ] {
        let reactor = Reactor::new().unwrap();
        let log = Log::default();
        let failure = reactor.spawn_process(Probe::new(&log), how.clone()).unwrap_err();
        let error = failure.value::<SpawnError>().unwrap_or_else(|| panic!("{failure:?}"));
        assert_eq!(error.cause().kind(), kind, "{how:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(log.all(), [""; 0], "the protocol is told nothing");
        assert!(reactor.snapshot().is_empty(), "nothing is left");
    }
}

#[test]
fn a_simulation_has_no_processes_and_says_so() {
    let reactor = Simulation::new().reactor();
    let failure = reactor.spawn_process(Probe::new(&Log::default()), "true").unwrap_err();
    assert!(failure.to_string().contains("this reactor is a simulation"), "{failure}");
}

#[test]
fn the_same_options_start_more_than_one() {
    let how = sh("echo again");
    assert_eq!((output(how.clone()), output(how)), ("again\n".into(), "again\n".into()));
}
