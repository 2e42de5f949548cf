//! Programs that are not ours, which a test speaks with.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    thread,
};

/// Where that program is. None if it is not here: then the test is left out, and says so.
///
/// In `TWISTOR_LEFT_OUT`, if that names a file, stands one line for each that was left out; the checks print and count them.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        // The thread has the test's name.
        let thread = thread::current();
        leave_out(&format!("{}: there is no {program}", thread.name().unwrap_or("a test")));
    }
    found
}

fn leave_out(line: &str) {
    eprintln!("left out: {line}");
    if let Some(list) = env::var_os("TWISTOR_LEFT_OUT") {
        note(Path::new(&list), line);
    }
}

fn note(list: &Path, line: &str) {
    let file = fs::OpenOptions::new().create(true).append(true).open(list);
    file.and_then(|mut file| writeln!(file, "{line}")).expect("the list of what was left out");
}
