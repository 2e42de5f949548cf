//! A shell on a terminal.

mod support;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
};
use support::sh;
use twistor_spawn::{Child, Status, Terminal, WindowSize, set_window_size, window_size};

fn on_a_terminal(script: &str) -> (Child, BufReader<File>) {
    let terminal = Terminal::open(Some(WindowSize { rows: 33, columns: 99 })).unwrap();
    let child = sh(script).terminal(terminal.inner).spawn().unwrap();
    (child, BufReader::new(File::from(terminal.outer)))
}

fn line(outer: &mut BufReader<File>) -> String {
    let mut line = String::new();
    outer.read_line(&mut line).unwrap();
    line
}

#[test]
fn a_child_has_a_terminal_of_its_size() {
    let (mut child, mut outer) = on_a_terminal("tty; stty size; tty </dev/tty; tty <&1; tty <&2");
    let name = line(&mut outer);
    assert!(name.starts_with("/dev/pts/"), "{name}");
    assert_eq!(line(&mut outer), "33 99\r\n");
    assert_eq!(line(&mut outer), "/dev/tty\r\n", "it is the terminal of its session");
    assert_eq!([line(&mut outer), line(&mut outer)], [name.clone(), name]);
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
    assert_eq!(outer.read(&mut [0]).unwrap_err().raw_os_error(), Some(libc::EIO));
}

#[test]
fn what_is_typed_reaches_the_child_and_its_group() {
    let (mut child, mut outer) = on_a_terminal("stty -echo; echo ready; exec cat");
    assert_eq!(line(&mut outer), "ready\r\n");
    outer.get_mut().write_all(b"hello\n").unwrap();
    assert_eq!(line(&mut outer), "hello\r\n");
    outer.get_mut().write_all(b"\x03").unwrap(); // control-C
    assert_eq!(child.wait().unwrap(), Status::Killed { signal: libc::SIGINT, core: false });
}

#[test]
fn a_child_is_told_that_its_terminal_has_another_size() {
    let (mut child, mut outer) =
        on_a_terminal("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done");
    assert_eq!(line(&mut outer), "ready\r\n");
    let size = WindowSize { rows: 5, columns: 40 };
    set_window_size(outer.get_ref(), size).unwrap();
    assert_eq!(line(&mut outer), "5 40\r\n");
    assert_eq!(window_size(outer.get_ref()).unwrap(), size);
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
}

#[test]
fn what_is_no_terminal_has_no_size() {
    let (read, _end) = io::pipe().unwrap();
    assert!(window_size(read).is_err());
}
