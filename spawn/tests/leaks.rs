//! Many children, one after another and at once: nothing is left of them. Alone in its program, whose descriptors it counts.

mod support;

use std::{collections::BTreeSet, fs, io};
use support::{gone, sh};
use twistor_spawn::{Spawn, Status, Terminal};

fn descriptors() -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir("/proc/self/fd").unwrap().map(|entry| name(entry.unwrap())).collect()
}

fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok()).collect()
}

/// One in four is killed, one in four is left, one in four is nothing that can be run.
fn some_children() {
    for n in 0..100 {
        let (read, end) = io::pipe().unwrap();
        let terminal = Terminal::open(None).unwrap();
        let mut child = match n % 4 {
            0 => sh("exit 5").descriptor(5, end.into()).spawn().unwrap(),
            1 => sh("exec sleep 60").terminal(terminal.inner).spawn().unwrap(),
            2 => {
                let child = sh("read line").descriptor(0, read.into()).spawn().unwrap();
                let pid = child.pid();
                drop((child, end));
                gone(pid);
                continue;
            }
            _ => {
                Spawn::new("/no/such/file")
                    .descriptor(5, end.into())
                    .terminal(terminal.inner)
                    .spawn()
                    .unwrap_err();
                continue;
            }
        };
        if n % 4 == 1 {
            child.signal(libc::SIGKILL).unwrap();
        }
        assert!(matches!(
            child.wait().unwrap(),
            Status::Exited(5) | Status::Killed { signal: libc::SIGKILL, .. }
        ));
    }
}

#[test]
fn nothing_is_left_of_children() {
    some_children(); // with it come the reaper's own descriptors
    let before = descriptors();
    some_children();
    assert_eq!(descriptors(), before);
    assert_eq!(children(), "", "children that nobody has waited for");
}
