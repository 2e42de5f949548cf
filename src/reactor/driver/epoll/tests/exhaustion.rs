//! What a port does when no descriptor is left. In a process of its own, whose limit can be lowered.

use super::*;
use crate::reactor::driver::out_of_descriptors;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs::File, io::Read, process::Command};

#[test]
fn without_descriptors_connections_are_turned_away() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(concat!(module_path!(), "::in_a_process_of_its_own").split_once("::").unwrap().1)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}{child:?}");
}

#[test]
#[ignore = "lowers the limit of the whole process; run by the test above"]
fn in_a_process_of_its_own() {
    let driver = driver();
    let (port, address) = listening(&driver, LOCAL);
    let mut clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut fill = exhaust();

    for client in &mut clients[..2] {
        assert!(out_of_descriptors(&driver.accept(&port).unwrap_err()));
        assert!(driver.turn_away(&port));
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }

    // Somebody else has the place of the reserve.
    driver.reserve.take();
    fill.extend(exhaust());
    assert!(!driver.turn_away(&port));
    assert!(!driver.turn_away(&port));
    // He gives one back: it is enough to go on as before.
    fill.pop();
    assert!(driver.turn_away(&port));
    assert!(driver.turn_away(&port));
    assert!(out_of_descriptors(&driver.accept(&port).unwrap_err()));

    fill.clear();
    driver.accept(&port).unwrap();
    assert_eq!(driver.accept(&port).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!driver.turn_away(&port));
}

/// Opens what there is to open.
fn exhaust() -> Vec<File> {
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect()
}
